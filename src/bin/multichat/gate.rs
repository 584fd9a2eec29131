//! What arrives while one joins: it waits until what was said before has been shown.

use std::sync::Arc;

use multichat::client::{Content, Relay};
use parking_lot::Mutex;

use crate::reconnecting_client::{ConnectionEvent, OnEvent};
use crate::show::Age;

/// How much may wait, in bytes; once more has come it is shown, before the history if need be. Far above
/// what arrives between a question and its answer.
const HELD_BYTES: usize = 8 << 20;

/// What an event costs beside its text, in bytes.
const EVENT_BYTES: usize = 256;

/// What one connection brings, in order: held back or handed on.
pub(crate) struct Gate {
    on_event: Arc<OnEvent>,
    /// `None` once it is open.
    held: Mutex<Option<Held>>,
    /// Whether the next connection fetches the public messages that this one has brought in vain.
    is_repeated: bool,
}

#[derive(Default)]
struct Held {
    events: Vec<ConnectionEvent>,
    bytes: usize,
}

impl Gate {
    /// A gate for what goes to `on_event`. With `is_repeated`, what is public is dropped where it is
    /// given up: it comes again.
    pub(crate) fn new(on_event: Arc<OnEvent>, is_closed: bool, is_repeated: bool) -> Gate {
        let held = is_closed.then(Held::default);
        Gate { on_event, held: Mutex::new(held), is_repeated }
    }

    /// Something has arrived.
    pub(crate) fn pass(&self, event: ConnectionEvent) {
        let mut held = self.held.lock();
        let Some(waiting) = &mut *held else {
            drop(held);
            return (self.on_event)(event);
        };
        waiting.bytes += cost(&event);
        waiting.events.push(event);
        if waiting.bytes > HELD_BYTES {
            // Under the lock: nothing that comes behind overtakes it.
            hand_on(&self.on_event, held.take());
        }
    }

    /// Hands on what waits, and from now on all that arrives.
    pub(crate) fn open(&self) {
        let mut held = self.held.lock();
        hand_on(&self.on_event, held.take());
    }

    /// The same where nothing comes of the connection.
    pub(crate) fn give_up(&self) {
        let mut held = self.held.lock();
        if let Some(held) = held.as_mut().filter(|_| self.is_repeated) {
            held.events.retain(|event| !is_public(event));
        }
        hand_on(&self.on_event, held.take());
    }
}

fn hand_on(on_event: &Arc<OnEvent>, held: Option<Held>) {
    held.into_iter().flat_map(|held| held.events).for_each(|event| on_event(event));
}

fn is_public(event: &ConnectionEvent) -> bool {
    matches!(event, ConnectionEvent::Relay(Relay { to: None, .. }, Age::New))
}

fn cost(event: &ConnectionEvent) -> usize {
    let text_len = match event {
        ConnectionEvent::Relay(Relay { content: Content::Text(text), .. }, _) => text.len(),
        _ => 0,
    };
    EVENT_BYTES + text_len
}
