//! The last public messages, for those who come later (E3), and the clock of the room.
//!
//! Kept in memory alone, as they were relayed, and put into the extended form only for those who ask.
//! A message costs the same however many are kept: it goes in at one end, and what is too much goes
//! out at the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use crate::text::FileName;
use crate::wire::{Extra, Timestamp};

/// The most bytes that are kept together, as encoded.
pub const HISTORY_BYTES: usize = 1 << 20;

/// The largest buffer that is used again, in bytes.
const SPARE_BYTES: usize = 512;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many messages are kept; 0 where the history is off.
    limit: usize,
    bytes: usize,
    /// Ascending by `Sequence`.
    kept: VecDeque<Kept>,
}

/// A public message that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    sequence: u64,
    time: Timestamp,
    file_name: Option<FileName>,
    /// The relay as the draft has it, a text's body included.
    relay: Arc<Vec<u8>>,
    /// Where in that the fields of the extended form stand.
    place: usize,
}

impl Kept {
    fn extra(&self) -> Extra<'_> {
        let file_name = self.file_name.as_ref();
        Extra { file_name, sequence: Some(self.sequence), time: self.time }
    }

    /// How many bytes it has in the extended form.
    pub(crate) fn len(&self) -> usize {
        self.relay.len() + self.extra().encoded_len()
    }

    /// Appends the relay to `out` in the extended form.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.extra().insert(&self.relay, self.place, out);
    }
}

impl History {
    /// Keeps the last `limit` messages.
    pub(super) fn new(limit: usize) -> History {
        History { limit, ..History::default() }
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Keeps a relay, if it is on: as it was `encoded`, with the `place` of what it has `extra`. One
    /// that is larger than all that may be kept leaves nothing: what is answered never has a hole.
    pub(super) fn keep(&mut self, sequence: u64, encoded: &[u8], place: usize, extra: &Extra<'_>) {
        if !self.is_on() {
            return;
        }
        let bytes = extra.encoded_len() + encoded.len();
        let mut relay = self.forget(bytes).unwrap_or_default();
        if bytes > HISTORY_BYTES {
            return;
        }
        match Arc::get_mut(&mut relay) {
            Some(buffer) => {
                buffer.clear();
                buffer.extend_from_slice(encoded);
            }
            // It is being told to somebody.
            None => relay = Arc::new(encoded.to_vec()),
        }
        let file_name = extra.file_name.cloned();
        let kept = Kept { sequence, time: extra.time, file_name, relay, place };
        self.bytes += bytes;
        self.kept.push_back(kept);
    }

    /// Makes room for one more message of so many bytes. Returns the buffer of one that is no longer
    /// kept, if it is small, to be used again: else every message would be freed by another thread
    /// than the one that has allocated it, for which an allocator takes locks.
    fn forget(&mut self, bytes: usize) -> Option<Arc<Vec<u8>>> {
        let mut spare = None;
        while self.bytes + bytes > HISTORY_BYTES || self.kept.len() >= self.limit {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.len();
            spare = Some(oldest.relay).filter(|relay| relay.capacity() <= SPARE_BYTES);
        }
        spare
    }

    /// The last `count` messages up to the one with the number `until`, without those up to `after`.
    pub(super) fn last(
        &self,
        count: u64,
        after: u64,
        until: u64,
    ) -> impl Iterator<Item = &Kept> + use<'_> {
        let index_behind = |sequence| self.kept.partition_point(|kept| kept.sequence <= sequence);
        let end = index_behind(until);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let start = end.saturating_sub(count).max(index_behind(after)).min(end);
        self.kept.range(start..end)
    }
}

/// The system's clock, that never goes back: where it is set back, this one stands still.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<Timestamp>,
}

impl Clock {
    pub(super) fn now(&mut self) -> Timestamp {
        self.tick(SystemTime::now().into())
    }

    fn tick(&mut self, now: Timestamp) -> Timestamp {
        let time = self.last.map_or(now, |last| last.max(now));
        self.last = Some(time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes the fields of the extended form have, with a `Sequence` of four digits.
    const EXTRA_BYTES: usize = "Sequence 1234\r\nTime 1970-01-01T00:00:00.000Z\r\n".len();

    fn keep(history: &mut History, sequence: u64, encoded: &[u8]) {
        let time = Timestamp::from_millis(0);
        history.keep(
            sequence,
            encoded,
            0,
            &Extra { file_name: None, sequence: Some(sequence), time },
        );
    }

    #[test]
    fn the_last_messages_are_kept_and_a_part_of_them_is_found() {
        // E3: the last N, said before the asker connected, with `after K` those above K.
        let mut history = History::new(4);
        (1..=6).for_each(|sequence| keep(&mut history, sequence, sequence.to_string().as_bytes()));
        let found = |count, after, until| {
            let kept = history.last(count, after, until);
            kept.map(|kept| String::from_utf8_lossy(&kept.relay).into_owned()).collect::<String>()
        };
        assert_eq!(found(100, 0, 6), "3456");
        assert_eq!(found(2, 0, 6), "56");
        assert_eq!(found(2, 0, 5), "45");
        assert_eq!(found(100, 4, 6), "56");
        assert_eq!(found(1, 4, 6), "6");
        assert_eq!(found(u64::MAX, 4, 5), "5");
        for (count, after, until) in [(9, 6, 6), (9, u64::MAX, 6), (9, 5, 4), (9, 0, 2), (9, 0, 0)]
        {
            assert_eq!(found(count, after, until), "", "{count} after {after} until {until}");
        }
    }

    #[test]
    fn no_more_bytes_are_kept_than_may_be() {
        // E3: at most 1 MiB together, as encoded in the extended form.
        let kib = [b'x'; 1024 - EXTRA_BYTES];
        let mut history = History::new(1000);
        (1000..2024).for_each(|sequence| keep(&mut history, sequence, &kib));
        assert_eq!(history.last(u64::MAX, 0, u64::MAX).count(), 1000);
        let mut history = History::new(2000);
        (1000..2025).for_each(|sequence| keep(&mut history, sequence, &kib));
        let kept: Vec<_> = history.last(u64::MAX, 0, u64::MAX).collect();
        let mut encoded = Vec::new();
        kept.iter().for_each(|kept| kept.encode(&mut encoded));
        assert_eq!((kept.len(), encoded.len()), (1024, HISTORY_BYTES));
        keep(&mut history, 2026, &[b'x'; 1025 - EXTRA_BYTES]);
        assert_eq!(history.last(u64::MAX, 0, u64::MAX).count(), 1023);
        // The last messages, and none of them: no older ones in its place.
        keep(&mut history, 2027, &vec![b'x'; HISTORY_BYTES + 1 - EXTRA_BYTES]);
        assert_eq!(history.last(u64::MAX, 0, u64::MAX).count(), 0);
        keep(&mut history, 2028, &vec![b'x'; HISTORY_BYTES - EXTRA_BYTES]);
        assert_eq!(history.last(u64::MAX, 0, u64::MAX).count(), 1);
    }

    #[test]
    fn a_history_that_is_off_keeps_nothing() {
        // E3: `--history 0` keeps nothing.
        let mut history = History::new(0);
        keep(&mut history, 1, b"text");
        assert!(!history.is_on() && history.kept.is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        // E2, `Time`.
        let mut clock = Clock::default();
        let ticks = [5, 7, 6, 0, 7, 8].map(|millis| clock.tick(Timestamp::from_millis(millis)));
        assert_eq!(ticks.map(Timestamp::millis), [5, 7, 7, 7, 7, 8]);
    }
}
