//! How many files are open at a time, so that those who share and fetch leave descriptors to clients.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Instant, Mutex};

/// Places for files that are open at the same time.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    taken: Mutex<usize>,
    /// Told when one becomes free.
    freed: Condvar,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

/// An open file in its place: one that arrives, or one that is fetched, by several maybe.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Dropped first: a place is free once the file is closed.
    pub(super) file: File,
    pub(super) _place: Place,
}

impl Places {
    pub(super) fn new(limit: usize) -> Arc<Places> {
        Arc::new(Places { limit, taken: Mutex::default(), freed: Condvar::new() })
    }

    /// A place; waits `patience` for one, after `before_waiting`. Where there is something `instead`,
    /// it is that.
    ///
    /// # Errors
    /// What there is instead; `None` where there is neither.
    pub(super) fn take<T>(
        self: &Arc<Places>,
        patience: Duration,
        before_waiting: impl FnOnce(),
        instead: impl Fn() -> Option<T>,
    ) -> Result<Place, Option<T>> {
        let until = Instant::now() + patience;
        let mut before_waiting = Some(before_waiting);
        let mut taken = self.taken.lock();
        loop {
            if let Some(other) = instead() {
                return Err(Some(other));
            }
            if *taken < self.limit {
                *taken += 1;
                return Ok(Place(Arc::clone(self)));
            }
            if let Some(act) = before_waiting.take() {
                drop(taken);
                act();
                taken = self.taken.lock();
            } else if self.freed.wait_until(&mut taken, until).timed_out() {
                return Err(instead());
            }
        }
    }

    /// Lets those who wait look whether there is something instead.
    pub(super) fn look_again(&self) {
        drop(self.taken.lock());
        self.freed.notify_all();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock() -= 1;
        self.0.freed.notify_all();
    }
}
