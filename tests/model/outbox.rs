//! Outbox, writer and offer: every byte once and in order, whatever the socket takes of it and when,
//! whenever the writer thread ends or is started again, and whenever the client is lost.

use std::sync::Arc;

use super::super::chunk::Chunk;
use super::super::outbox::Outbox;
use super::super::socket::Wait;
use super::super::socket::memory::MemorySocket;
use super::super::writer::Writer;
use crate::reason::Cause;
use crate::sync::thread;

use super::{check, delivery, expect_found, join, say_to, texts};

const TEXTS: usize = 4;

/// Two senders talk to one client, whose socket takes a few bytes at a time.
fn talk(threads: usize, breaks: bool) {
    let delivery = delivery(1 << 20, threads);
    let socket = MemorySocket::with_capacity(150);
    let receiver = join(&delivery, &socket);
    let senders: Vec<_> = (0..2)
        .map(|name| {
            let (delivery, receiver) = (Arc::clone(&delivery), Arc::clone(&receiver));
            let sender = join(&delivery, &MemorySocket::default());
            thread::spawn(move || {
                for nth in 0..TEXTS {
                    say_to(&delivery, &sender, Some(receiver.uid()), &format!("{name}{nth}"));
                    delivery.flush_or_delegate();
                }
            })
        })
        .collect();
    let breaker = breaks.then(|| {
        let socket = socket.clone();
        thread::spawn(move || {
            thread::yield_now();
            socket.break_with(Cause::Reset);
        })
    });
    // The peer reads until everything has come, or the client is lost.
    let is_over = || {
        receiver.is_lost() || texts(&socket.sent()).len() == 2 * TEXTS && receiver.waiting() == 0
    };
    while !is_over() {
        socket.read();
        thread::yield_now();
    }
    senders.into_iter().for_each(|sender| sender.join().expect("a sender ends"));
    breaker.into_iter().for_each(|breaker| breaker.join().expect("the breaker ends"));
    receiver.wait_drained();
    let got = texts(&socket.sent());
    for name in ["0", "1"] {
        let own: Vec<_> = got.iter().filter(|text| text.starts_with(name)).cloned().collect();
        let all: Vec<_> = (0..TEXTS).map(|nth| format!("{name}{nth}")).collect();
        if breaks {
            // Up to where it broke; the last one may be cut.
            let whole = own.len().saturating_sub(1);
            assert_eq!(own[..whole], all[..whole]);
        } else {
            assert_eq!(own, all);
        }
    }
    assert_eq!(delivery.membership().backlog.waiting(), 0);
}

#[test]
fn every_byte_comes_once_and_in_order() {
    check(|| talk(2, false));
}

#[test]
fn every_byte_comes_once_and_in_order_where_the_spare_thread_writes() {
    check(|| talk(0, false));
}

#[test]
fn nobody_waits_for_a_client_that_is_lost() {
    check(|| talk(1, true));
}

/// The flusher's side of an outbox: `is_free` tells whether the socket is its own.
fn offer(outbox: &Arc<Outbox>, bytes: &[u8], is_free: fn(&Outbox) -> bool) -> Option<Writer> {
    let mut sent = 0;
    if is_free(outbox) {
        sent = outbox.socket().send(&[std::io::IoSlice::new(bytes)], Wait::No, false).unwrap_or(0);
    }
    if sent == bytes.len() {
        return None;
    }
    let chunks = vec![Chunk::Bytes(bytes[sent..].into(), 0..bytes.len() - sent)];
    let queue = outbox.enqueue(chunks, |_| {})?;
    Some(Writer::new(Arc::clone(outbox), queue))
}

fn offer_digits(is_free: fn(&Outbox) -> bool) {
    let delivery = delivery(1 << 20, 4);
    let socket = MemorySocket::with_capacity(3);
    let outbox = join(&delivery, &socket);
    let mut writers = Vec::new();
    for digit in b'0'..b'6' {
        if let Some(writer) = offer(&outbox, &[digit; 2], is_free) {
            let delivery = Arc::clone(&delivery);
            writers.push(thread::spawn(move || writer.run(delivery.membership())));
        }
        socket.read();
    }
    while outbox.waiting() > 0 {
        socket.read();
        thread::yield_now();
    }
    outbox.close_queue();
    writers.into_iter().for_each(|writer| writer.join().expect("a writer ends"));
    assert_eq!(socket.sent(), b"001122334455", "something has overtaken");
}

#[test]
fn nothing_overtakes_what_waits() {
    check(|| offer_digits(|outbox| outbox.waiting() == 0));
}

#[test]
fn a_flusher_that_looks_whether_a_writer_is_at_work_is_found() {
    // The mutation: the socket is taken for free while no writer thread is at work yet, or any more.
    expect_found("something has overtaken", || {
        shuttle::check_random(|| offer_digits(|outbox| !outbox.has_writer()), 10_000);
    });
}
