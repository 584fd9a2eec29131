//! What the system allows: descriptors and threads, found out before a client has to suffer for it.

use std::fs;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sync::atomic::{AtomicUsize, Ordering};

/// The stack of a client's threads, in bytes. Address space alone: what is not touched costs
/// nothing, and nothing that these threads call comes near it.
pub(crate) const STACK_BYTES: usize = 128 * 1024;

/// The memory maps that a thread takes: its stack, the guard page below it, and the two of its
/// alternative signal stack.
const MAPS_PER_THREAD: usize = 4;

/// Memory maps left to the process itself and to the allocator.
const SPARE_MAPS: usize = 2_000;

/// Raises the limit on open files to what the system allows, and returns it.
pub fn raise_open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Fails only where nothing more is allowed, and then what is allowed is what counts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current;
    now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
}

/// How many of `open_files` descriptors are not for clients: they are for files that are shared and
/// fetched, for connections that are being refused, and for the server itself.
pub fn spare_open_files(open_files: usize) -> usize {
    (open_files / 8).clamp(16, 512)
}

/// How many clients the limit on open files allows, one descriptor each.
pub fn clients_by_open_files(open_files: usize) -> usize {
    open_files.saturating_sub(spare_open_files(open_files))
}

/// How many connections that are being refused are kept open for their peers' sake: the rest of what
/// is spare is for files.
pub fn refused_by_open_files(open_files: usize) -> usize {
    spare_open_files(open_files) / 4
}

/// Descriptors for the server itself: its standard streams, its listeners, what it watches signals and
/// sockets with, the stage's lock, the operator's connections.
const OWN_OPEN_FILES: usize = 12;

/// How many files may be open at a time that are shared and fetched: what is left beside so many
/// `clients`. Two, where nothing is.
pub fn files_by_open_files(open_files: usize, clients: usize) -> usize {
    let others = clients.saturating_add(refused_by_open_files(open_files) + OWN_OPEN_FILES);
    open_files.saturating_sub(others).max(2)
}

/// How many threads the process may have.
///
/// Past the limit on memory maps the standard library panics inside the new thread, and the whole
/// process ends; so it must never be reached.
pub fn threads_by_memory_maps() -> usize {
    let maps = fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok())
        .unwrap_or(65_530); // Linux' own default
    maps.saturating_sub(SPARE_MAPS) / MAPS_PER_THREAD
}

/// Counts the threads that serve clients, against a limit.
#[derive(Debug)]
pub struct Threads {
    limit: usize,
    in_use: AtomicUsize,
}

impl Threads {
    /// At most `limit` threads.
    pub fn new(limit: usize) -> Arc<Threads> {
        Arc::new(Threads { limit, in_use: AtomicUsize::new(0) })
    }

    /// How many of them may be sessions; the rest is kept for writer threads.
    pub fn sessions_limit(&self) -> usize {
        self.limit - self.limit / 16
    }

    /// A session's thread; `None` where there is no room.
    pub(crate) fn reserve_session(self: &Arc<Threads>) -> Option<Permit> {
        self.reserve(self.sessions_limit())
    }

    /// A writer thread; `None` where there is no room.
    pub(crate) fn reserve_writer(self: &Arc<Threads>) -> Option<Permit> {
        self.reserve(self.limit)
    }

    fn reserve(self: &Arc<Threads>, limit: usize) -> Option<Permit> {
        let one_more = |in_use| (in_use < limit).then_some(in_use + 1);
        self.in_use
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Permit(Arc::clone(self)))
    }
}

/// A thread that may run; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Threads>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_left_for_files() {
        assert_eq!(clients_by_open_files(40), 24);
        assert_eq!(clients_by_open_files(1024), 896);
        assert_eq!(clients_by_open_files(20_000), 19_488);
        assert_eq!(clients_by_open_files(10), 0);
        assert_eq!(refused_by_open_files(40), 4);
        assert_eq!(refused_by_open_files(20_000), 128);
        assert_eq!(files_by_open_files(40, 24), 2);
        assert_eq!(files_by_open_files(256, 224), 12);
        assert_eq!(files_by_open_files(1024, 896), 84);
        assert_eq!(files_by_open_files(20_000, 1000), 18_860);
    }

    #[test]
    fn threads_are_given_back() {
        let threads = Threads::new(32);
        let sessions: Vec<_> = (0..30).map_while(|_| threads.reserve_session()).collect();
        assert_eq!(sessions.len(), 30);
        assert!(threads.reserve_session().is_none());
        let writers: Vec<_> = (0..3).map_while(|_| threads.reserve_writer()).collect();
        assert_eq!(writers.len(), 2);
        drop(sessions);
        assert!(threads.reserve_session().is_some());
    }
}
