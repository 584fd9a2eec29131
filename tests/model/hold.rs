//! The hold of a newcomer: whenever it ends, and whether in frames or not, every byte comes once and
//! in order, and what goes out in frames goes out in frames alone.

use std::sync::Arc;

use super::super::outbox::Outbox;
use super::super::socket::memory::MemorySocket;
use super::{Delivery, check, delivery, expect_found, say_to, texts};
use crate::sync::thread;

const TEXTS: usize = 4;

/// What stands in the frames of these bytes, which hold nothing else.
fn unframed(bytes: &[u8]) -> Vec<u8> {
    let (mut payload, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        assert_eq!(rest[0], 0x82, "bytes outside of a frame");
        let (start, len) = match rest[1] {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            len => (2, usize::from(len)),
        };
        payload.extend_from_slice(&rest[start..start + len]);
        rest = &rest[start + len..];
    }
    payload
}

/// How the hold of a newcomer ends.
#[derive(Clone, Copy)]
enum End {
    Raw,
    Framed,
    /// Raw; then in frames, where this finds that nothing was written and the hold has begun again.
    RawThenFramed(fn(&Outbox, &MemorySocket) -> bool),
}

/// Two talk to a newcomer while its hold ends.
fn talk(end: End) {
    let delivery = delivery(1 << 20, 2);
    let socket = MemorySocket::with_capacity(150);
    let newcomer = delivery.membership().join_held(Arc::new(socket.clone()));
    let senders: Vec<_> = (0..2)
        .map(|name| {
            let (delivery, newcomer) = (Arc::clone(&delivery), Arc::clone(&newcomer));
            let sender = super::join(&delivery, &MemorySocket::default());
            thread::spawn(move || {
                for nth in 0..TEXTS {
                    say_to(&delivery, &sender, Some(newcomer.uid()), &format!("{name}{nth}"));
                    delivery.flush_or_delegate();
                }
            })
        })
        .collect();
    let is_framed = end_hold(&delivery, &newcomer, &socket, end);
    // The peer reads while others talk, and then until everything has come.
    for _ in 0..10 {
        socket.read();
        thread::yield_now();
    }
    senders.into_iter().for_each(|sender| sender.join().expect("a sender ends"));
    delivery.flush_blocking();
    while newcomer.waiting() > 0 {
        socket.read();
        thread::yield_now();
    }
    newcomer.wait_drained();
    let sent = socket.sent();
    let got = texts(&if is_framed { unframed(&sent) } else { sent });
    for name in ["0", "1"] {
        let own: Vec<_> = got.iter().filter(|text| text.starts_with(name)).cloned().collect();
        let all: Vec<_> = (0..TEXTS).map(|nth| format!("{name}{nth}")).collect();
        assert_eq!(own, all);
    }
    assert_eq!(delivery.membership().backlog.waiting(), 0);
}

/// Returns whether everything goes out in frames.
fn end_hold(delivery: &Delivery, newcomer: &Arc<Outbox>, socket: &MemorySocket, end: End) -> bool {
    thread::yield_now();
    if let End::RawThenFramed(hold_again) = end {
        delivery.release(newcomer, false);
        thread::yield_now();
        if !hold_again(newcomer, socket) {
            return false;
        }
        thread::yield_now();
    }
    let is_framed = !matches!(end, End::Raw);
    delivery.release(newcomer, is_framed);
    is_framed
}

#[test]
fn whenever_the_hold_ends_every_byte_comes_once_and_in_order() {
    check(|| talk(End::Raw));
}

#[test]
fn whenever_it_ends_in_frames_there_is_nothing_outside_of_them() {
    check(|| talk(End::Framed));
}

#[test]
fn it_begins_again_only_where_nothing_was_written() {
    check(|| talk(End::RawThenFramed(|newcomer, _| newcomer.hold_again())));
}

#[test]
fn a_session_that_looks_whether_anything_was_written_is_found() {
    // The mutation: the flusher may be about to write what is not yet written.
    let look = |newcomer: &Outbox, socket: &MemorySocket| {
        let is_untouched = newcomer.waiting() == 0 && socket.sent().is_empty();
        if is_untouched {
            newcomer.way.set_framed();
        }
        is_untouched
    };
    expect_found("bytes outside of a frame", || {
        shuttle::check_random(move || talk(End::RawThenFramed(look)), 10_000);
    });
}

#[test]
fn a_request_that_leaves_while_others_talk_to_it_leaves_nothing_behind() {
    check(|| {
        let delivery = delivery(1 << 20, 2);
        let socket = MemorySocket::default();
        let newcomer = delivery.membership().join_held(Arc::new(socket.clone()));
        let sender = super::join(&delivery, &MemorySocket::default());
        let talker = {
            let (delivery, uid) = (Arc::clone(&delivery), newcomer.uid());
            thread::spawn(move || {
                for nth in 0..TEXTS {
                    say_to(&delivery, &sender, Some(uid), &format!("{nth}"));
                    delivery.flush_or_delegate();
                }
            })
        };
        thread::yield_now();
        delivery.membership().withdraw(&newcomer);
        talker.join().expect("the talker ends");
        delivery.flush_blocking();
        assert!(socket.sent().is_empty());
        assert_eq!(delivery.membership().backlog.waiting(), 0);
    });
}
