//! The primitives of everything that runs at the same time: locks, atomics, threads, channels and
//! the clock.
//!
//! The server imports them from here alone. So the delivery core itself, and not a copy of it, runs
//! under a model checker (`make model`), which replaces them by its own (`model`): there every lock,
//! atomic and channel is a point at which another thread may go on.

#[cfg(shuttle)]
mod model;

#[cfg(shuttle)]
pub(crate) use self::model::*;

#[cfg(not(shuttle))]
pub(crate) use self::system::*;

/// The primitives of the system.
#[cfg(not(shuttle))]
mod system {
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;
    pub(crate) use std::time::Instant;

    pub(crate) use crossbeam_channel as channel;
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    use std::time::Duration;

    /// Lets other threads run before this one until `is_done`, or for so long.
    pub(crate) fn give_way(length: Duration, is_done: impl Fn() -> bool) {
        let until = Instant::now() + length;
        while !is_done() && Instant::now() < until {
            thread::yield_now();
        }
    }
}
