//! The watch flags: whatever is under way is watched.

use std::sync::Arc;
use std::time::Duration;

use super::super::membership::Membership;
use super::super::outbox::Outbox;
use super::super::socket::memory::MemorySocket;
use super::super::stall::Watched;
use super::super::tcp_info::TcpInfo;
use crate::reason::Cause;
use crate::sync::thread;

use super::{
    EXCEPTIONS, STALL_TIMEOUT, check, check_unfair, expect_found, join, say_to, watched_delivery,
};

/// Something is sent, partly by the writer thread, while the watch looks: when all is at rest and
/// the peer has not read, the watch knows this client.
fn send_and_look(look: fn(&mut Watched, &Arc<Outbox>, &Membership) -> bool) {
    let (delivery, told) = watched_delivery(1 << 20, 1);
    let socket = MemorySocket::with_capacity(200);
    let receiver = join(&delivery, &socket);
    let sender = join(&delivery, &MemorySocket::default());
    let session = {
        let (delivery, receiver, socket) =
            (Arc::clone(&delivery), Arc::clone(&receiver), socket.clone());
        thread::spawn(move || {
            say_to(&delivery, &sender, Some(receiver.uid()), &"x".repeat(150));
            delivery.flush_or_delegate();
            // The peer reads once: what waits can be sent then, and is not read.
            socket.read();
        })
    };
    let mut watched = None;
    // The watch looks some times, and forgets a client for which it finds nothing under way.
    for _ in 0..4 {
        for outbox in told.try_iter() {
            watched.get_or_insert(Watched::new(outbox));
        }
        if watched.as_mut().is_some_and(|watched| !look(watched, &receiver, delivery.membership()))
        {
            watched = None;
        }
        thread::yield_now();
    }
    session.join().expect("the session ends");
    // Until the writer thread has ended or cannot go on.
    for _ in 0..30 {
        thread::yield_now();
    }
    let is_under_way = receiver.waiting() > 0 || socket.has_unread();
    let is_watched = watched.is_some() || told.try_iter().count() > 0;
    assert!(is_watched || !is_under_way, "{} wait, and nobody watches", receiver.waiting());
    delivery.membership().disconnect(&receiver, Cause::StoppedReading);
}

#[test]
fn whatever_is_under_way_is_watched() {
    let look = |watched: &mut Watched, _: &Arc<Outbox>, membership: &Membership| {
        watched.look(Duration::ZERO, STALL_TIMEOUT, &TcpInfo::open(), membership)
    };
    check(move || send_and_look(look));
    check_unfair(move || send_and_look(look));
}

#[test]
fn a_watch_that_looks_at_the_socket_before_the_queue_is_found() {
    // The mutation: what leaves the queue between the two looks is in neither.
    let look = |_: &mut Watched, outbox: &Arc<Outbox>, _: &Membership| {
        outbox.end_watch();
        let unsent = outbox.socket().stats(&TcpInfo::open()).map_or(0, |stats| stats.unsent_bytes);
        if unsent == 0 && outbox.waiting() == 0 {
            return false;
        }
        outbox.begin_watch();
        true
    };
    expect_found("nobody watches", || {
        shuttle::check_pct(move || send_and_look(look), 10_000, EXCEPTIONS);
    });
}
