//! What waits for all clients together, and which of them has taken nothing for longest.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::outbox::Outbox;
use crate::ids::Uid;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Instant, Mutex};

/// Who takes something is looked at once a tick of the stall watch, half a second at the most: within
/// two of them nobody is idle.
const LATELY: Duration = Duration::from_secs(1);

/// The bytes that wait in all queues. Its lock is taken behind that of an outbox, never before.
#[derive(Debug)]
pub(crate) struct Backlog {
    limit: usize,
    waiting: AtomicUsize,
    /// The clients for which something waits, and since when each has taken nothing.
    queues: Mutex<BTreeMap<Uid, (Weak<Outbox>, Instant)>>,
}

impl Backlog {
    /// At most `limit` bytes are to wait.
    pub(crate) fn new(limit: usize) -> Arc<Backlog> {
        Arc::new(Backlog { limit, waiting: AtomicUsize::new(0), queues: Mutex::default() })
    }

    /// Notes that `cost` more waits for a client; `first`: nothing did before.
    pub(crate) fn add(&self, outbox: &Arc<Outbox>, first: bool, cost: usize) {
        self.waiting.fetch_add(cost, Ordering::AcqRel);
        if first {
            let entry = (Arc::downgrade(outbox), Instant::now());
            self.queues.lock().insert(outbox.uid(), entry);
        }
    }

    /// Notes that `cost` less waits for a client; `last`: nothing does any more.
    pub(crate) fn remove(&self, uid: Uid, last: bool, cost: usize) {
        self.waiting.fetch_sub(cost, Ordering::AcqRel);
        if last {
            self.queues.lock().remove(&uid);
        }
    }

    /// Notes that a client has taken something now.
    pub(crate) fn note_taken(&self, uid: Uid) {
        if let Some((_, since)) = self.queues.lock().get_mut(&uid) {
            *since = Instant::now();
        }
    }

    /// How many bytes wait in all queues, bookkeeping included.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Where more waits than may: the client that has taken nothing for longest; of those that have
    /// taken something lately, the one for which most waits.
    pub(crate) fn worst(&self) -> Option<Arc<Outbox>> {
        if self.waiting() <= self.limit {
            return None;
        }
        let now = Instant::now();
        let queues = self.queues.lock();
        let there = queues.values().filter_map(|(outbox, since)| Some((outbox.upgrade()?, since)));
        let worst = there.max_by_key(|(outbox, since)| {
            let idle = now.saturating_duration_since(**since);
            let counted = if idle < LATELY { Duration::ZERO } else { idle };
            (counted, outbox.waiting(), idle)
        });
        worst.map(|(outbox, _)| outbox)
    }
}
