//! How far a connection has come in the one order of public messages (E2, E3).

use super::Relay;

/// The last public message that was seen, as far as the server tells.
///
/// Not every message has a `Sequence`: one's own have none, nor those that arrive before the extended form
/// begins. But everything public that follows the connecting arrives in the one order or is answered
/// in it, so counting tells the numbers.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The last number that was told.
    told: Option<u64>,
    /// How many public messages have followed it.
    since: u64,
}

impl Place {
    /// A relay has arrived.
    pub(super) fn note(&mut self, relay: &Relay) {
        match relay.extra.sequence {
            Some(sequence) => *self = Place { told: Some(sequence), since: 0 },
            None if relay.to.is_none() => self.count(),
            None => {}
        }
    }

    /// A public message without a number: one's own, or one in the form of the draft.
    pub(super) fn count(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    /// The last number before this connection was made; 0 where nothing had been said.
    pub(super) fn begin_behind(&mut self, sequence: u64) {
        self.told.get_or_insert(sequence);
    }

    /// The number of the last message, where that can be known.
    pub(super) fn last(&self) -> Option<u64> {
        self.told.map(|told| told.saturating_add(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Extra};
    use super::*;
    use crate::ids::Uid;

    fn relay(to: Option<u64>, sequence: Option<u64>) -> Relay {
        Relay {
            to: to.map(Uid),
            from: Uid(7),
            nickname: None,
            content_type: "text".to_string(),
            len: 0,
            content: Content::Text(String::new()),
            extra: Extra { sequence, ..Extra::default() },
        }
    }

    #[test]
    fn what_has_no_number_is_counted() {
        // E2: `Sequence` has no gap, and private messages have none.
        let mut place = Place::default();
        place.note(&relay(None, None));
        place.count();
        assert_eq!(place.last(), None);
        place.begin_behind(10);
        assert_eq!(place.last(), Some(12));
        place.note(&relay(Some(9), None));
        assert_eq!(place.last(), Some(12));
        place.note(&relay(None, Some(13)));
        place.count();
        assert_eq!(place.last(), Some(14));
        place.begin_behind(10);
        assert_eq!(place.last(), Some(14));
    }
}
