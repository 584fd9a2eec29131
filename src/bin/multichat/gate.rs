//! What arrives while one joins: it waits until what was said before has been shown.

use std::sync::Arc;

use multichat::client::Relay;
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
        ConnectionEvent::Relay(relay, _) => relay.text_len(),
        ConnectionEvent::Status(text) => text.len(),
        ConnectionEvent::Notice(notice) => notice.text_len(),
        ConnectionEvent::Joined(_) | ConnectionEvent::JoinedAgain | ConnectionEvent::Ended(_) => 0,
    };
    EVENT_BYTES + text_len
}

#[cfg(test)]
mod tests {
    use multichat::client::{Content, Extra};
    use multichat::ids::Uid;

    use super::*;

    fn said(to: Option<u64>, text: &str) -> ConnectionEvent {
        let relay = Relay {
            to: to.map(Uid),
            from: Uid(7),
            nickname: None,
            content_type: "text".to_string(),
            len: text.len() as u64,
            content: Content::Text(text.to_string()),
            extra: Extra::default(),
        };
        ConnectionEvent::Relay(relay, Age::New)
    }

    /// A gate, and the texts that have come through it.
    fn gate(is_closed: bool, is_repeated: bool) -> (Gate, Arc<Mutex<Vec<String>>>) {
        let texts = Arc::new(Mutex::new(Vec::new()));
        let through = Arc::clone(&texts);
        let on_event = move |event| match event {
            ConnectionEvent::Relay(Relay { content: Content::Text(text), .. }, _)
            | ConnectionEvent::Status(text) => through.lock().push(text),
            _ => {}
        };
        (Gate::new(Arc::new(on_event), is_closed, is_repeated), texts)
    }

    #[test]
    fn what_arrives_waits_until_the_gate_is_opened() {
        let (gate, through) = gate(true, false);
        gate.pass(said(None, "one"));
        gate.pass(ConnectionEvent::Status("two".to_string()));
        assert!(through.lock().is_empty());
        gate.open();
        assert_eq!(*through.lock(), ["one", "two"]);
        gate.pass(said(None, "three"));
        gate.give_up();
        assert_eq!(*through.lock(), ["one", "two", "three"]);
    }

    #[test]
    fn what_comes_again_is_dropped_with_the_connection_and_the_rest_is_not() {
        // E3: the next connection fetches what is public; nobody repeats the rest.
        for (is_repeated, expected) in
            [(true, &["psst", "status"][..]), (false, &["aloud", "psst", "status"])]
        {
            let (gate, through) = gate(true, is_repeated);
            gate.pass(said(None, "aloud"));
            gate.pass(said(Some(9), "psst"));
            gate.pass(ConnectionEvent::Status("status".to_string()));
            gate.give_up();
            assert_eq!(*through.lock(), expected);
        }
    }

    #[test]
    fn an_open_gate_holds_nothing() {
        let (gate, through) = gate(false, true);
        gate.pass(said(None, "one"));
        assert_eq!(*through.lock(), ["one"]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (gate, through) = gate(true, false);
        let long = "x".repeat(1 << 20);
        for _ in 0..7 {
            gate.pass(said(None, &long));
        }
        assert!(through.lock().is_empty());
        gate.pass(said(None, &long));
        assert_eq!(through.lock().len(), 8);
    }
}
