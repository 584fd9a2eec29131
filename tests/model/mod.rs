//! The delivery core under a model checker: the product's own code, with sockets in memory and
//! primitives (`crate::sync`) whose every step the checker orders as it likes.
//!
//! Each property is held against many schedules; and the same test, with a fault planted in it
//! (`…_is_found`): a mutation of the product's code, kept here, that the checker must find. So a
//! property that could not fail would itself be noticed.
//!
//! `make model` runs many schedules (`MODEL_SCHEDULES`), `make test` some seconds of them. A failure
//! prints the schedule, which `shuttle::replay` repeats.

mod backpressure;
mod flush;
mod forms;
mod hold;
mod outbox;
mod watch;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::flusher::Tools;
use super::outbox::Outbox;
use super::socket::memory::MemorySocket;
use super::stall::StallWatch;
use super::writer::Writers;
use super::{Delivery, Limits};
use crate::ids::{MessageId, Uid};
use crate::limits::Threads;
use crate::room::{Added, ChatToAdd};
use crate::sync::channel::Receiver;
use crate::wire::{Content, Inherited, MessageType};

const STALL_TIMEOUT: Duration = Duration::from_secs(10);

const EXCEPTIONS: usize = 3;

/// How many schedules each property is held against.
fn schedules() -> usize {
    env::var("MODEL_SCHEDULES").map_or(300, |text| text.parse().expect("a number"))
}

/// Holds a property against random schedules, in which every thread that can go on gets its turn.
fn check(property: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(property, schedules());
}

/// Holds a property against schedules that keep a thread from running for as long as possible, with
/// so many exceptions (probabilistic concurrency testing). For properties in which nobody waits in a
/// loop for another thread.
fn check_unfair(property: impl Fn() + Send + Sync + 'static) {
    shuttle::check_pct(property, schedules(), EXCEPTIONS);
}

/// Expects a checker to find the fault in a mutation, and to say so with these words.
#[track_caller]
fn expect_found(words: &str, check: impl FnOnce()) {
    let found = catch_unwind(AssertUnwindSafe(check));
    let payload = found.expect_err("no schedule has found the fault");
    let said = payload.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(said.contains(words), "another fault was found: {said}");
}

/// A room with so many writer threads; the rest is written by the spare one.
fn delivery(queue: usize, threads: usize) -> Arc<Delivery> {
    watched_delivery(queue, threads).0
}

/// The same, and what its stall watch is told: that thread is not started.
fn watched_delivery(queue: usize, threads: usize) -> (Arc<Delivery>, Receiver<Weak<Outbox>>) {
    let limits = Limits {
        queue,
        queue_total: usize::MAX,
        text: 65_536,
        stall_timeout: STALL_TIMEOUT,
        history: 2,
    };
    let membership = Delivery::new_membership(limits);
    let writers = Writers::start(Threads::new(threads), &membership).expect("a thread");
    let (stall_watch, told) = StallWatch::new();
    (Delivery::with(limits, Tools { writers, stall_watch, membership }), told)
}

fn join(delivery: &Delivery, socket: &MemorySocket) -> Arc<Outbox> {
    delivery.membership().join(Arc::new(socket.clone()))
}

/// Adds a private text, and its response, as a session does.
fn say_to(delivery: &Delivery, sender: &Arc<Outbox>, to: Option<Uid>, text: &str) {
    let inherited = Inherited { message_type: Some(MessageType::Chat), id: MessageId(1) };
    let chat =
        ChatToAdd { to, content: Content::Text(text.as_bytes()), file_name: None, inherited };
    if let Ok(added) = delivery.room().chat(sender, None, chat, |_| true) {
        assert!(matches!(added, Added::Unflushed(_)));
    }
}

/// The texts of the relays among these bytes, in order.
fn texts(bytes: &[u8]) -> Vec<String> {
    let all = String::from_utf8(bytes.to_vec()).expect("texts are UTF-8");
    let relays = all.split("Message-Type chat\r\n").filter(|one| one.contains("From "));
    relays
        .filter_map(|one| one.split_once("\r\n\r\n"))
        .map(|(_, text)| text.split("Status ").next().unwrap_or_default().to_owned())
        .collect()
}
