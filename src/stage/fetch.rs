//! A staged file that is on its way to a client.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use super::open_files::OpenFile;
use super::{Pace, Shared};
use crate::ids::FileId;
use crate::sync::Instant;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A staged file that was opened to be sent. As long as it lives its bytes are counted against the
/// disk, though the file be removed meanwhile (P5).
#[derive(Debug)]
pub struct Fetch {
    /// Dropped first: what is counted is never less than what is on disk.
    open: Arc<OpenFile>,
    counted: Counted,
}

impl Fetch {
    pub(super) fn new(open: Arc<OpenFile>, counted: Counted) -> Fetch {
        Fetch { open, counted }
    }

    /// The file, to be read at any offset.
    pub fn file(&self) -> &File {
        &self.open.file
    }

    /// Notes that so many bytes more were sent: the slowest fetch is ended where room lacks.
    pub fn count_sent(&self, bytes: u64) {
        self.counted.progress.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Counts a file as being fetched, until dropped.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) shared: Arc<Shared>,
    pub(super) id: FileId,
    pub(super) progress: Arc<Progress>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.ledger.lock().end_fetch(self.id, &self.progress);
        self.shared.freed.notify_all();
    }
}

/// How far a fetch is, and how it is ended.
pub(super) struct Progress {
    began: Instant,
    sent: AtomicU64,
    is_ended: AtomicBool,
    end: Box<dyn Fn() + Send + Sync>,
}

impl Progress {
    pub(super) fn new(began: Instant, end: Box<dyn Fn() + Send + Sync>) -> Arc<Progress> {
        let (sent, is_ended) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Progress { began, sent, is_ended, end })
    }

    /// How fast it is, in bytes a second. One that has just begun counts as twice as fast as it has
    /// to be: it is not the slowest because it has had no time yet.
    pub(super) fn rate(&self, now: Instant, pace: Pace) -> f64 {
        let credit = pace.bytes as f64 * 2.0;
        let time = now.saturating_duration_since(self.began) + pace.time;
        (self.sent.load(Ordering::Relaxed) as f64 + credit) / time.as_secs_f64()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// Notes that it is to end; whether it was not before.
    pub(super) fn mark_ended(&self) -> bool {
        !self.is_ended.swap(true, Ordering::Relaxed)
    }

    /// Disconnects the client. To be called without a lock.
    pub(super) fn end(&self) {
        (self.end)();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("sent", &self.sent)
            .field("is_ended", &self.is_ended)
            .finish_non_exhaustive()
    }
}
