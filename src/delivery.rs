//! Delivery: from the room's batch to the clients' sockets.
//!
//! Waking a thread for each delivery is what would cost. So the thread that has read a chat sends
//! it to everybody itself, with sockets that are not waited for, and does so for what others have
//! said meanwhile as well. What a socket does not take goes to that client's own queue ([`outbox`])
//! and writer thread ([`writer`]).
//!
//! 1. A session flushes before it waits for anything: its next byte, a full queue, a file.
//! 2. One thread at a time flushes, for everybody. A session that finds a flusher at work leaves its
//!    additions to it and goes on reading. So the order of the batch is the order in every socket.
//! 3. The flusher never waits: not for a socket, not for a queue, not for the room. It gives way
//!    for moments, to carry more at a time.
//! 4. A relay is offered to its receivers before the response goes to its sender, which can so be
//!    told of a receiver that turned out to be gone (§2.3.4). A receiver that has sent a chat in the
//!    same batch is looked at before any response is written, and offered its relays with its own.
//! 5. When a flush returns to a session that waited for it ([`Delivery::flush_blocking`]), everything
//!    that it had added is in the sockets or in the queues.

pub(crate) mod backlog;
pub(crate) mod backpressure;
pub(crate) mod chunk;
mod flusher;
pub(crate) mod membership;
pub mod outbox;
pub(crate) mod socket;
pub(crate) mod stall;
pub(crate) mod tcp_info;
pub(crate) mod way;
pub(crate) mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use self::backlog::Backlog;
use self::backpressure::Backpressure;
use self::flusher::{Flusher, Tools};
use self::membership::Membership;
use self::outbox::Outbox;
use self::stall::StallWatch;
use self::writer::Writers;
use crate::limits::Threads;
use crate::room::{Added, Room};
use crate::stats::Stats;
use crate::supervisor;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Instant, Mutex, MutexGuard, give_way};

/// The most bytes that are added before a session flushes instead of leaving it to others: it
/// bounds what is held beside the queues, and is far above what makes a system call worth it.
const BATCH_LIMIT: usize = 256 * 1024;

/// More than the header of any message, in bytes.
const MESSAGE_HEADER_BYTES: usize = 1024;

/// How many batches in a row one session flushes before another one is asked to take over.
const ROUNDS_LIMIT: u32 = 16;

/// Where several members talk at the same time, a flush is followed by a pause in which their
/// sessions can read what they say next: this part of the time that the flush took. So the next one
/// carries more of it to everybody, at the price of one system call each.
const CROWD_SHARE: u32 = 8;

/// What delivery is bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that wait for one client before those who flood it are slowed down.
    pub queue: usize,
    /// The most bytes that wait for all clients together.
    pub queue_total: usize,
    /// The most bytes of a text.
    pub text: usize,
    /// How long a client may take nothing, or stay over the queue limit.
    pub stall_timeout: Duration,
    /// How many public messages are kept for those who come later; 0 for none.
    pub history: usize,
}

impl Limits {
    /// How many bytes are to be added at the most before a session flushes: where queues are short,
    /// what stands before them must be shorter.
    fn batch(&self) -> usize {
        BATCH_LIMIT.min(self.queue / 8)
    }
}

/// The way out of the room.
#[derive(Debug)]
pub struct Delivery {
    limits: Limits,
    tools: Tools,
    flusher: Mutex<Flusher>,
    /// Whether the flusher has worked for others long enough: its own client waits meanwhile.
    handoff_requested: AtomicBool,
}

impl Delivery {
    /// An empty room. Writer threads are taken from `threads`.
    ///
    /// # Errors
    /// Where the two threads cannot be started that all clients share: the stall watch, and the one
    /// that writes where there are no others.
    pub fn start(limits: Limits, threads: Arc<Threads>) -> io::Result<Arc<Delivery>> {
        let membership = Delivery::new_membership(limits);
        let tools = Tools {
            writers: Writers::start(threads, &membership)?,
            stall_watch: StallWatch::start(limits.stall_timeout, Arc::downgrade(&membership))?,
            membership,
        };
        Ok(Delivery::with(limits, tools))
    }

    fn new_membership(limits: Limits) -> Arc<Membership> {
        Arc::new(Membership {
            room: Room::new(limits.history),
            backpressure: Backpressure::new(limits.queue, limits.batch(), limits.stall_timeout),
            largest: limits.text.saturating_add(MESSAGE_HEADER_BYTES),
            backlog: Backlog::new(limits.queue_total),
            stats: Stats::default(),
        })
    }

    fn with(limits: Limits, tools: Tools) -> Arc<Delivery> {
        let flusher = Mutex::default();
        Arc::new(Delivery { limits, tools, flusher, handoff_requested: AtomicBool::new(false) })
    }

    /// Who is here, and what was said.
    pub fn room(&self) -> &Room {
        &self.tools.membership.room
    }

    /// How clients come and go.
    pub(crate) fn membership(&self) -> &Membership {
        &self.tools.membership
    }

    pub(crate) fn backpressure(&self) -> &Backpressure {
        &self.tools.membership.backpressure
    }

    /// How many bytes are to be added at the most before [`Delivery::flush_blocking`].
    pub(crate) fn batch_limit(&self) -> usize {
        self.limits.batch()
    }

    /// Whether `more` bytes may be added where `unflushed` are to be flushed: what is held beside
    /// the queues is never more than one message over the limit, however many add to it.
    pub(crate) fn has_room_for(&self, unflushed: usize, more: usize) -> bool {
        unflushed == 0 || unflushed + more <= self.batch_limit()
    }

    /// Adds what `add` does, which is called again after a flush where it is not to be added yet: it
    /// passes to the room what says so. Returns how many bytes are to be flushed; `None` where
    /// nothing was added, since the operator has removed the client.
    pub(crate) fn add(
        &self,
        add: impl Fn(&Room, &dyn Fn(usize) -> bool) -> Added,
    ) -> Option<usize> {
        let may_add = |unflushed| self.has_room_for(unflushed, 0);
        loop {
            match add(self.room(), &may_add) {
                Added::Unflushed(unflushed) => return Some(unflushed),
                Added::NotNow => self.flush_blocking(),
                Added::Never => return None,
            }
        }
    }

    /// Ends the hold of a newcomer, which is known to be a member: what has waited goes out, in a
    /// frame where everything does. Nothing changes for one that is not held.
    pub(crate) fn release(&self, outbox: &Arc<Outbox>, framed: bool) {
        if let Some(queue) = outbox.release(framed) {
            self.tools.writers.serve(outbox, queue);
            self.tools.stall_watch.note(outbox);
        }
    }

    /// Sends what was added, or leaves it to the thread that is at it.
    ///
    /// Waits only to relieve a thread that has flushed for others for long.
    pub(crate) fn flush_or_delegate(&self) {
        match self.flusher.try_lock() {
            Some(flusher) => self.flush_with(flusher),
            None if self.handoff_requested.swap(false, Ordering::Relaxed) => self.flush_blocking(),
            None => {}
        }
    }

    /// Sends what was added, waiting for the thread that is at it.
    pub(crate) fn flush_blocking(&self) {
        self.flush_with(self.flusher.lock());
    }

    /// Flushes until nothing is left, or until another thread is at it.
    ///
    /// A flusher looks for more only after letting go of its lock. So a session that finds it locked
    /// has added before that look: rule 2 loses nothing.
    fn flush_with(&self, flusher: MutexGuard<'_, Flusher>) {
        let mut held = Some(flusher);
        while let Some(flusher) = held {
            if supervisor::guard("the flusher", || self.flush_rounds(flusher)) {
                return;
            }
            // In a lively room there is always more, and this thread has a client of its own.
            held = self.flusher.try_lock();
        }
    }

    /// Flushes until nothing is left, or until somebody should take over: the request stands until a
    /// session finds it that has added something meanwhile. Returns whether nothing is left.
    fn flush_rounds(&self, mut flusher: MutexGuard<'_, Flusher>) -> bool {
        let mut rounds = 0;
        let mut start = Instant::now();
        while rounds < ROUNDS_LIMIT && flusher.flush_batch(&self.tools, BATCH_LIMIT) {
            rounds += 1;
            if flusher.is_crowded() {
                give_way(start.elapsed() / CROWD_SHARE, || false);
            }
            start = Instant::now();
        }
        self.handoff_requested.store(rounds == ROUNDS_LIMIT, Ordering::Relaxed);
        // Fair: a thread that waits gets the lock now, not after the next rounds of this one.
        MutexGuard::unlock_fair(flusher);
        !self.room().has_unflushed()
    }
}

#[cfg(all(test, shuttle))]
#[path = "../tests/model/mod.rs"]
mod model;
#[cfg(test)]
mod tests;
