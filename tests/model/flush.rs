//! Flush and hand-off: nothing that was added stays unflushed when all sleep.

use std::sync::Arc;

use super::super::socket::memory::MemorySocket;
use super::Delivery;
use crate::sync::thread;

use super::{EXCEPTIONS, check, check_unfair, delivery, expect_found, join, say_to, texts};

const SESSIONS: usize = 2;
const TEXTS: usize = 2;

/// Sessions say something to all and flush, and sleep then.
fn talk(flush: impl Fn(&Delivery) + Copy + Send + 'static) {
    let delivery = delivery(1 << 20, 0);
    let socket = MemorySocket::default();
    let _receiver = join(&delivery, &socket);
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|name| {
            let delivery = Arc::clone(&delivery);
            let sender = join(&delivery, &MemorySocket::default());
            thread::spawn(move || {
                for nth in 0..TEXTS {
                    say_to(&delivery, &sender, None, &format!("{name}.{nth}"));
                    flush(&delivery);
                }
            })
        })
        .collect();
    sessions.into_iter().for_each(|session| session.join().expect("a session ends"));
    assert!(!delivery.room().has_unflushed(), "something stays unflushed");
    let got = texts(&socket.sent());
    assert_eq!(got.len(), SESSIONS * TEXTS);
    for name in 0..SESSIONS {
        let own = got.iter().filter(|text| text.starts_with(&format!("{name}.")));
        assert!(own.eq((0..TEXTS).map(|nth| format!("{name}.{nth}")).collect::<Vec<_>>().iter()));
    }
}

#[test]
fn nothing_stays_unflushed() {
    check(|| talk(Delivery::flush_or_delegate));
    check_unfair(|| talk(Delivery::flush_or_delegate));
}

#[test]
fn nothing_stays_unflushed_where_some_wait_for_the_flusher() {
    check(|| talk(Delivery::flush_blocking));
    check_unfair(|| talk(Delivery::flush_blocking));
}

#[test]
fn a_flusher_that_looks_for_more_only_while_it_holds_the_lock_is_found() {
    // The mutation: what is added between its last look and the end of its lock stays.
    let flush_once = |delivery: &Delivery| {
        if let Some(mut flusher) = delivery.flusher.try_lock() {
            while flusher.flush_batch(&delivery.tools, 1024) {}
        }
    };
    expect_found("something stays unflushed", || {
        shuttle::check_pct(move || talk(flush_once), 10_000, EXCEPTIONS);
    });
}
