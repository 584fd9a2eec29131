//! Back-pressure: the bound holds, no held session is forgotten and no quiet one held, whatever
//! happens to the client that the queue belongs to.

use std::sync::Arc;

use super::super::backpressure::{Backpressure, ChatCost};
use super::super::outbox::Outbox;
use super::super::socket::memory::MemorySocket;
use super::Delivery;
use crate::ids::Uid;
use crate::reason::Cause;
use crate::room::{Added, ChatToAdd};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::thread;
use crate::wire::{Content, Inherited};

use super::{check, delivery, expect_found, join, texts};

const LIMIT: usize = 4000;
const TEXT: usize = 1000;

/// Says one text of a flood, as a session does; `None` where it could not be said any more.
fn say(delivery: &Delivery, sender: &Arc<Outbox>, to: Option<Uid>, text: &str) -> Option<()> {
    let mut cost = ChatCost::new(sender.uid(), to, text.len() + 128);
    let inherited = Inherited::default();
    let chat =
        ChatToAdd { to, content: Content::Text(text.as_bytes()), file_name: None, inherited };
    loop {
        let mut is_held = false;
        let may_add = |unflushed| {
            is_held = !delivery.backpressure().admit(&mut cost);
            !is_held && delivery.has_room_for(unflushed, text.len())
        };
        match delivery.room().chat(sender, None, chat, may_add).ok()? {
            Added::Unflushed(_) => return Some(()),
            Added::NotNow => delivery.flush_blocking(),
            Added::Never => return None,
        }
        if is_held {
            delivery.backpressure().wait_to_add(&mut cost, || sender.is_disconnected());
        }
    }
}

/// What happens to the reader.
#[derive(Clone, Copy)]
enum End {
    Reads,
    Leaves,
    IsLost,
    IsDisconnected,
}

/// Three senders flood a slow reader, and one says something short.
fn flood(end: End) {
    let delivery = delivery(LIMIT, 1);
    let socket = MemorySocket::with_capacity(500);
    let reader = join(&delivery, &socket);
    let quiet = join(&delivery, &MemorySocket::default());
    let flooders: Vec<_> = (0..3).map(|_| join(&delivery, &MemorySocket::default())).collect();
    let talking = Arc::new(AtomicUsize::new(flooders.len()));
    let sessions: Vec<_> = flooders
        .into_iter()
        .map(|sender| {
            let (delivery, talking) = (Arc::clone(&delivery), Arc::clone(&talking));
            thread::spawn(move || {
                (0..4).try_for_each(|_| say(&delivery, &sender, None, &"x".repeat(TEXT)));
                delivery.flush_or_delegate();
                talking.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    // A share is not smaller than 1 KiB, so this one is never held; and if it were while the reader
    // below does not read, the checker would find that nobody can go on.
    (0..2).try_for_each(|_| say(&delivery, &quiet, Some(reader.uid()), "a short line"));
    delivery.flush_or_delegate();
    let bound = 2 * LIMIT.max(5 * 1024) + delivery.batch_limit() + 2 * TEXT;
    let mut looks = 0;
    while talking.load(Ordering::SeqCst) > 0 || reader.waiting() > 0 {
        assert!(reader.waiting() <= bound, "{} wait", reader.waiting());
        looks += 1;
        match end {
            End::Reads => drop(socket.read()),
            End::Leaves if looks == 5 => delivery.membership().leave(&reader, Cause::Closed),
            End::IsLost if looks == 5 => socket.break_with(Cause::Reset),
            End::IsDisconnected if looks == 5 => {
                delivery.membership().disconnect(&reader, Cause::StoppedReading);
            }
            _ => drop(socket.read()),
        }
        thread::yield_now();
    }
    sessions.into_iter().for_each(|session| session.join().expect("a session ends"));
    delivery.flush_blocking();
    while reader.waiting() > 0 {
        socket.read();
        thread::yield_now();
    }
    if matches!(end, End::Reads) {
        assert_eq!(texts(&socket.sent()).len(), 3 * 4 + 2);
    }
    assert!(!delivery.backpressure().is_on());
}

#[test]
fn a_flood_ends_and_nothing_is_lost() {
    check(|| flood(End::Reads));
}

#[test]
fn senders_go_on_when_the_reader_leaves() {
    check(|| flood(End::Leaves));
}

#[test]
fn senders_go_on_when_the_reader_is_lost() {
    check(|| flood(End::IsLost));
}

#[test]
fn senders_go_on_when_the_reader_is_disconnected() {
    check(|| flood(End::IsDisconnected));
}

/// One sender waits for a queue, which another thread clears.
fn wait_for_clear(wait: impl Fn(&Backpressure, &mut ChatCost) + Send + 'static) {
    let delivery = delivery(LIMIT, 0);
    let reader = join(&delivery, &MemorySocket::default());
    delivery.backpressure().raise(&reader, || vec![Uid(1), Uid(2)]);
    let session = {
        let delivery = Arc::clone(&delivery);
        thread::spawn(move || {
            let mut cost = ChatCost::new(Uid(2), None, 10 * LIMIT);
            wait(delivery.backpressure(), &mut cost);
        })
    };
    delivery.backpressure().clear(&reader);
    session.join().expect("the session goes on");
}

#[test]
fn nobody_sleeps_through_the_end_of_a_queue() {
    check(|| wait_for_clear(|pressure, cost| pressure.wait_to_add(cost, || false)));
}

#[test]
fn a_sender_that_looks_before_it_takes_the_lock_is_found() {
    // The mutation: the queue is cleared between the look and the wait.
    let look_and_wait = |pressure: &Backpressure, cost: &mut ChatCost| {
        if !pressure.admit(cost) {
            pressure.changed.wait(&mut pressure.state.lock());
        }
    };
    expect_found("deadlock", || {
        shuttle::check_random(move || wait_for_clear(look_and_wait), 10_000);
    });
}
