//! A client in memory, for tests: it takes as much as its peer lets it, and can be gone.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use super::super::tcp_info::{SocketStats, TcpInfo};
use super::{Socket, Wait};
use crate::reason::Cause;
use crate::sync::{Condvar, Mutex};

/// The server's end; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemorySocket(Arc<Pipe>);

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    /// Told when the peer has read, or is gone.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// All that was taken.
    sent: Vec<u8>,
    /// How many bytes of it the peer has read.
    read: usize,
    /// How many bytes fit beside what was read; without it, everything.
    capacity: Option<usize>,
    gone: Option<Cause>,
    /// Whether the next send panics.
    panics: bool,
    /// Whether the next look at what was sent panics.
    look_panics: bool,
}

impl MemorySocket {
    /// Takes no more than `capacity` bytes beyond what its peer has read.
    pub(crate) fn with_capacity(capacity: usize) -> MemorySocket {
        let socket = MemorySocket::default();
        socket.0.state.lock().capacity = Some(capacity);
        socket
    }

    /// The peer reads all that is there, and as much again fits.
    pub(crate) fn read(&self) -> Vec<u8> {
        let mut state = self.0.state.lock();
        let new = state.sent[state.read..].to_vec();
        state.read = state.sent.len();
        drop(state);
        self.0.changed.notify_all();
        new
    }

    /// All that was ever taken.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.0.state.lock().sent.clone()
    }

    /// Whether there is something that the peer has not read.
    #[cfg(shuttle)]
    pub(crate) fn has_unread(&self) -> bool {
        let state = self.0.state.lock();
        state.read < state.sent.len()
    }

    /// Nothing more can be sent.
    pub(crate) fn break_with(&self, cause: Cause) {
        self.0.state.lock().gone.get_or_insert(cause);
        self.0.changed.notify_all();
    }

    /// The next send panics.
    #[cfg(not(shuttle))]
    pub(crate) fn panic_next(&self) {
        self.0.state.lock().panics = true;
    }

    /// The next look at what was sent panics.
    #[cfg(not(shuttle))]
    pub(crate) fn panic_when_looked_at(&self) {
        self.0.state.lock().look_panics = true;
    }
}

impl State {
    /// Takes what fits of these slices; under the model checker, sometimes less.
    fn take(&mut self, slices: &[IoSlice<'_>]) -> Result<(), Cause> {
        assert!(!self.panics, "injected by a test");
        if let Some(cause) = self.gone {
            return Err(cause);
        }
        let unread = self.sent.len() - self.read;
        let free = self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(unread));
        let mut missing = part_of(free);
        for slice in slices {
            let part = slice.len().min(missing);
            self.sent.extend_from_slice(&slice[..part]);
            missing -= part;
        }
        Ok(())
    }
}

#[cfg(not(shuttle))]
fn part_of(free: usize) -> usize {
    free
}

#[cfg(shuttle)]
fn part_of(free: usize) -> usize {
    use shuttle::rand::Rng;
    let mut dice = shuttle::rand::thread_rng();
    if dice.gen_bool(0.5) { free } else { dice.gen_range(0..=free) }
}

impl Socket for MemorySocket {
    fn send(&self, slices: &[IoSlice<'_>], wait: Wait, _more: bool) -> Result<usize, Cause> {
        let mut state = self.0.state.lock();
        let before = state.sent.len();
        state.take(slices)?;
        if state.sent.len() == before && wait == Wait::Tick {
            self.0.changed.wait_for(&mut state, Duration::from_millis(5));
            state.take(slices)?;
        }
        Ok(state.sent.len() - before)
    }

    fn send_file(
        &self,
        file: &File,
        offset: &mut u64,
        len: usize,
        wait: Wait,
    ) -> Result<(), Cause> {
        let mut part = vec![0; len];
        file.read_exact_at(&mut part, *offset).map_err(|_| Cause::ServerFailed)?;
        *offset += self.send(&[IoSlice::new(&part)], wait, false)? as u64;
        Ok(())
    }

    fn stats(&self, _tcp_info: &TcpInfo) -> Option<SocketStats> {
        let state = self.0.state.lock();
        assert!(!state.look_panics, "injected by a test");
        let (sent, read) = (state.sent.len() as u64, state.read as u64);
        let unsent_bytes = if state.capacity.is_some() { sent - read } else { 0 };
        Some(SocketStats {
            sent_bytes: sent - unsent_bytes,
            unsent_bytes,
            ..SocketStats::default()
        })
    }

    fn find_loss(&self) -> Option<Cause> {
        self.0.state.lock().gone
    }

    fn end_input(&self) {}

    fn reset(&self) {
        self.break_with(Cause::Reset);
    }

    fn writable(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
