//! Delivery: from the room's batch to the clients' sockets.
//!
//! Waking a thread for each delivery is what would cost. So the thread that has read a chat sends
//! it to everybody itself, with sockets that are not waited for, and does so for whatever others
//! have said meanwhile as well. What a socket does not take goes to that client's own queue and
//! writer thread ([`crate::outbox`], [`crate::writer`]).
//!
//! 1. A session flushes before it waits for anything: its next byte, a full queue, a file.
//! 2. One thread at a time flushes, for everybody; whoever finds one at work leaves its additions to
//!    it and goes on reading. So the order of the batch is the order in every socket.
//! 3. The flusher never waits: not for a socket, not for a queue, not for the room. It gives way
//!    for moments, to carry more at a time.
//! 4. A relay is offered to its receivers before the response goes to its sender, which can so be
//!    told of a receiver that turned out to be gone (§2.3.4).
//! 5. When a flush returns to a session that waited for it ([`Delivery::flush_all`]), everything
//!    that it had added is in the sockets or in the queues.

mod flusher;

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use log::{error, info, warn};
use parking_lot::{Mutex, MutexGuard};
use socket2::SockRef;

use self::flusher::Flusher;
use crate::ids::Uid;
use crate::limits::{STACK_BYTES, Threads};
use crate::logging::Rarely;
use crate::outbox::{Chunk, Outbox, Pressure};
use crate::reason::Cause;
use crate::room::Room;
use crate::stall::{self, StallWatch};
use crate::writer;

/// The most bytes that are added before a session flushes instead of leaving it to others: it
/// bounds what is held beside the queues, and is far above what makes a system call worth it.
const BATCH_LIMIT: usize = 256 * 1024;

/// How many batches in a row one session flushes before another one is asked to take over.
const ROUNDS_LIMIT: u32 = 16;

/// Where several members talk at the same time, a flush is followed by a pause in which their
/// sessions can read what they say next: this part of the time that the flush took. So the next one
/// carries more of it to everybody, at the price of one system call each.
const CROWD_SHARE: u32 = 8;

/// How long the thread that reads a client waits for one that writes to say why the connection is
/// gone: that one has its error already, and has at the most lost its processor since.
const CAUSE_WAIT: Duration = Duration::from_millis(20);

/// What delivery is bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that wait for one client before whoever adds to them is slowed down.
    pub queue: usize,
    /// How long a client may take nothing, or stay over the queue limit.
    pub stall_timeout: Duration,
}

/// The room, and the way out of it.
#[derive(Debug)]
pub struct Delivery {
    room: Room,
    limits: Limits,
    flusher: Mutex<Flusher>,
    /// Whether the flusher has worked for others long enough: its own client waits meanwhile.
    wants_relief: AtomicBool,
    pressure: Pressure,
    stall_watch: StallWatch,
    threads: Arc<Threads>,
    /// Queues for the spare writer thread.
    spare: Sender<(Arc<Outbox>, Receiver<Chunk>)>,
    no_thread_said: Rarely,
}

impl Delivery {
    /// An empty room. Writer threads are taken from `threads`.
    ///
    /// # Errors
    /// Where the two threads cannot be started that all clients share: the stall watch, and the one
    /// that writes where there are no others.
    pub fn start(limits: Limits, threads: Arc<Threads>) -> io::Result<Arc<Delivery>> {
        let (spare, queues) = crossbeam_channel::unbounded();
        let (stall_watch, told) = StallWatch::new();
        let delivery = Arc::new(Delivery {
            room: Room::default(),
            limits,
            flusher: Mutex::default(),
            wants_relief: AtomicBool::new(false),
            pressure: Pressure::default(),
            stall_watch,
            threads,
            spare,
            no_thread_said: Rarely::default(),
        });
        let served = Arc::downgrade(&delivery);
        thread::Builder::new()
            .name("writer".to_string())
            .stack_size(STACK_BYTES)
            .spawn(move || write_in_turn(&queues, &served))?;
        stall::start(told, Arc::downgrade(&delivery))?;
        Ok(delivery)
    }

    /// Who is here, and what was said.
    pub fn room(&self) -> &Room {
        &self.room
    }

    pub(crate) fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    pub(crate) fn queue_limit(&self) -> usize {
        self.limits.queue
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.limits.stall_timeout
    }

    /// How many bytes are to be added at the most before [`Delivery::flush_all`]: where queues are
    /// short, what stands before them must be shorter.
    pub(crate) fn batch_limit(&self) -> usize {
        BATCH_LIMIT.min(self.limits.queue / 2)
    }

    /// Sends what was added, or leaves it to the thread that is at it.
    ///
    /// Waits only to relieve a thread that has flushed for others for long.
    pub(crate) fn flush(self: &Arc<Delivery>) {
        match self.flusher.try_lock() {
            Some(flusher) => self.flush_with(flusher),
            None if self.wants_relief.swap(false, Ordering::Relaxed) => self.flush_all(),
            None => {}
        }
    }

    /// Sends what was added, waiting for the thread that is at it.
    pub(crate) fn flush_all(self: &Arc<Delivery>) {
        self.flush_with(self.flusher.lock());
    }

    /// Flushes until nothing is left, or until another thread is at it.
    ///
    /// A flusher looks for more only after letting go of its lock. So whoever finds it locked has
    /// added before that look: rule 2 loses nothing.
    fn flush_with(self: &Arc<Delivery>, flusher: MutexGuard<'_, Flusher>) {
        let mut held = Some(flusher);
        while let Some(flusher) = held {
            if self.flush_rounds(flusher) {
                return;
            }
            // In a lively room there is always more, and this thread has a client of its own.
            held = self.flusher.try_lock();
        }
    }

    /// Flushes until nothing is left, or until somebody should take over: the wish stands until
    /// somebody who has added something meanwhile finds it. Returns whether nothing is left.
    fn flush_rounds(self: &Arc<Delivery>, mut flusher: MutexGuard<'_, Flusher>) -> bool {
        let mut rounds = 0;
        let mut start = Instant::now();
        while rounds < ROUNDS_LIMIT && flusher.flush_batch(self) {
            rounds += 1;
            if flusher.is_crowded() {
                give_way(start.elapsed() / CROWD_SHARE);
            }
            start = Instant::now();
        }
        self.wants_relief.store(rounds == ROUNDS_LIMIT, Ordering::Relaxed);
        // Fair: whoever waits gets the lock now, not after the next rounds of this thread.
        MutexGuard::unlock_fair(flusher);
        !self.room.has_unflushed()
    }

    /// Takes a client out of the room, with the cause that later senders are told.
    pub fn leave(&self, outbox: &Arc<Outbox>, cause: Cause) {
        if cause == Cause::Closed && outbox.stream().peer_addr().is_err() {
            // More than closed. Only the client's own session comes here, holding nothing.
            self.wait_for_cause(outbox.uid());
        }
        if !self.room.leave(outbox, cause) {
            return;
        }
        let uid = outbox.uid();
        if cause.is_cut() {
            warn!("client {uid}: disconnected: {cause}");
        } else {
            info!("client {uid}: left: {cause}");
        }
        self.pressure.fall(uid);
        self.pressure.wake();
    }

    /// Lets another thread say why a connection is gone, if it is about to.
    ///
    /// The kernel tells of a reset once, to whichever of reader and writer asks first; to the other
    /// one the connection looks closed.
    fn wait_for_cause(&self, uid: Uid) {
        let until = Instant::now() + CAUSE_WAIT;
        while self.room.cause_of(uid).is_none() && Instant::now() < until {
            thread::yield_now();
        }
    }

    /// A write has failed: the client is gone. Its session goes on to read what came before.
    pub(crate) fn lose(&self, outbox: &Arc<Outbox>, cause: Cause) {
        // Of a close the session has said so before a write could fail, nearly always. Where it has
        // not, the kernel has told the session of a reset, or a `sendfile` that had sent a part has
        // kept it to itself. The flusher waits for nobody to find out.
        let cause = if cause == Cause::Closed { Cause::Reset } else { cause };
        // In this order: whoever is woken finds the cause recorded.
        self.leave(outbox, cause);
        outbox.break_off();
        self.pressure.fall(outbox.uid());
        self.pressure.wake();
    }

    /// Disconnects a client: wakes whatever reads from it or writes to it, and resets the
    /// connection when they have let go of it.
    pub(crate) fn cut(&self, outbox: &Arc<Outbox>, cause: Cause) {
        self.lose(outbox, cause);
        // Both fail on a connection that is gone already, which is as good.
        let _ = SockRef::from(outbox.stream()).set_linger(Some(Duration::ZERO));
        let _ = outbox.stream().shutdown(Shutdown::Both);
    }

    /// Starts the writer thread of a client, or leaves its queue to the spare one.
    fn start_writer(self: &Arc<Delivery>, outbox: &Arc<Outbox>, queue: Receiver<Chunk>) {
        let started = self.threads.reserve_writer().is_some_and(|permit| {
            let (outbox, queue, delivery) = (Arc::clone(outbox), queue.clone(), Arc::clone(self));
            let builder = thread::Builder::new()
                .name(format!("writer-{}", outbox.uid()))
                .stack_size(STACK_BYTES);
            let started = builder.spawn(move || {
                writer::run(&outbox, &queue, &delivery, writer::IDLE);
                drop(permit);
            });
            started.is_ok()
        });
        if !started {
            if self.no_thread_said.is_due() {
                error!("no thread left to write to client {}: it waits its turn", outbox.uid());
            }
            // The spare thread ends only together with what it is the spare of.
            let _ = self.spare.send((Arc::clone(outbox), queue));
        }
    }
}

/// Lets other threads run before this one for so long.
fn give_way(length: Duration) {
    let until = Instant::now() + length;
    while Instant::now() < until {
        thread::yield_now();
    }
}

/// Writes for the clients that no thread could be started for, one after the other: where the
/// system has no threads left, whoever is there already is served all the same.
fn write_in_turn(queues: &Receiver<(Arc<Outbox>, Receiver<Chunk>)>, delivery: &Weak<Delivery>) {
    for (outbox, queue) in queues {
        let Some(delivery) = delivery.upgrade() else { return };
        writer::run(&outbox, &queue, &delivery, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests;
