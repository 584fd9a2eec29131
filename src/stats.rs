//! What is counted for the operator, beside what the room counts itself.
//!
//! Once for each system call or less, and with nothing that waits: no two of these numbers belong to
//! the same moment.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Instant;

/// Counters since the server started.
#[derive(Debug)]
pub(crate) struct Stats {
    started: Instant,
    // Of the standard library: the model checker need not look at what a counter changes.
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    refusals: AtomicU64,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            started: Instant::now(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }
}

impl Stats {
    /// Counts bytes that were read from a client.
    pub(crate) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that sockets have taken.
    pub(crate) fn count_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts responses with `Status Error`.
    pub(crate) fn count_refusals(&self, count: u64) {
        self.refusals.fetch_add(count, Ordering::Relaxed);
    }

    /// How long the server has run, in whole seconds.
    pub(crate) fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// The bytes that were read from clients.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// The bytes that clients' sockets have taken.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// The responses with `Status Error`.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }
}
