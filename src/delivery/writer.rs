//! The threads that write what sockets did not take at once.
//!
//! A client's writer thread is started by the first leftover, is the socket's only writer until all
//! is sent, and ends after a second without work; so an idle client has none. It waits for its own
//! queue and its own socket alone, for as long as the stall watch lets the client keep it waiting.
//! Where the system has no threads left, one spare thread writes for all in turn, and waits for none.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Weak};
use std::time::Duration;

use log::error;

use super::chunk::Chunk;
use super::membership::Membership;
use super::outbox::Outbox;
use super::socket::{self, SLICES_LIMIT, Wait};
use crate::limits::{STACK_BYTES, Threads};
use crate::logging::LogThrottle;
use crate::reason::Cause;
use crate::supervisor;
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use crate::sync::thread;

/// How long an idle writer thread is kept for the next leftover.
const IDLE: Duration = Duration::from_secs(1);

/// How long the spare thread waits for a socket before it looks for new queues.
const SPARE_TICK: Duration = Duration::from_millis(20);

/// The most bytes of one `sendfile`, so that a client that was disconnected is noticed in between,
/// and that one reads, however slowly: the kernel may wait for a tick before each 64 kB or so, and a
/// tick is a sixteenth of the stall timeout.
const FILE_STEP: u64 = 256 * 1024;

/// Starts a writer for each client that needs one.
#[derive(Debug)]
pub(crate) struct Writers {
    /// Writer threads are taken from here.
    threads: Arc<Threads>,
    membership: Arc<Membership>,
    /// To the spare thread.
    spare: Sender<Writer>,
    no_thread_said: LogThrottle,
}

impl Writers {
    /// # Errors
    /// Where the spare thread cannot be started.
    pub(crate) fn start(
        threads: Arc<Threads>,
        membership: &Arc<Membership>,
    ) -> io::Result<Writers> {
        let (spare, queues) = unbounded();
        let served = Arc::downgrade(membership);
        supervisor::spawn("writer", STACK_BYTES, move || write_in_turn(&queues, &served))?;
        Ok(Writers {
            threads,
            membership: Arc::clone(membership),
            spare,
            no_thread_said: LogThrottle::default(),
        })
    }

    /// Starts the writer thread of a client, or leaves its queue to the spare one. Not inlined: most
    /// clients never need its stack.
    #[inline(never)]
    pub(crate) fn serve(&self, outbox: &Arc<Outbox>, queue: Receiver<Chunk>) {
        let writer = Writer::new(Arc::clone(outbox), queue);
        if let Some(spared) = self.start_thread(writer) {
            if self.no_thread_said.is_due() {
                error!("no thread left to write to client {}: it waits its turn", outbox.uid());
            }
            // The spare thread ends only together with what it is the spare of.
            let _ = self.spare.send(spared);
        }
    }

    /// Returns the writer where no thread can be started for it.
    fn start_thread(&self, writer: Writer) -> Option<Writer> {
        let Some(permit) = self.threads.reserve_writer() else { return Some(writer) };
        let membership = Arc::clone(&self.membership);
        let name = format!("writer-{}", writer.outbox.uid());
        let spared = writer.again();
        let builder = thread::Builder::new().name(name).stack_size(STACK_BYTES);
        let started = builder.spawn(move || {
            writer.run(&membership);
            drop(permit);
        });
        started.is_err().then_some(spared)
    }
}

/// Writes for the clients that no thread could be started for: a turn for each, so that one that
/// reads slowly holds up nobody else.
fn write_in_turn(queues: &Receiver<Writer>, membership: &Weak<Membership>) {
    let mut writers: Vec<Writer> = Vec::new();
    loop {
        if writers.is_empty() {
            let Ok(first) = queues.recv() else { return };
            writers.push(first);
        }
        writers.extend(queues.try_iter());
        let Some(membership) = membership.upgrade() else { return };
        let mut has_moved = false;
        writers.retain_mut(|writer| match writer.take_turn(&membership) {
            Turn::Moved => {
                has_moved = true;
                true
            }
            Turn::Waits => true,
            Turn::Ended => false,
        });
        if !has_moved && !writers.is_empty() {
            socket::wait_writable(writers.iter().map(|writer| writer.outbox.socket()), SPARE_TICK);
            thread::yield_now();
        }
    }
}

/// What came of a turn of the spare thread.
enum Turn {
    Moved,
    Waits,
    Ended,
}

/// What writes for one client.
#[derive(Debug)]
pub(crate) struct Writer {
    outbox: Arc<Outbox>,
    queue: Receiver<Chunk>,
    /// What was taken from the queue and is not in the socket yet.
    in_flight: VecDeque<Chunk>,
}

impl Writer {
    pub(crate) fn new(outbox: Arc<Outbox>, queue: Receiver<Chunk>) -> Writer {
        Writer { outbox, queue, in_flight: VecDeque::new() }
    }

    /// The same before it has taken anything.
    fn again(&self) -> Writer {
        Writer::new(Arc::clone(&self.outbox), self.queue.clone())
    }

    /// Writes until nothing has been queued for a while, or the client is gone.
    pub(super) fn run(mut self, membership: &Membership) {
        let outbox = Arc::clone(&self.outbox);
        let panicked = DisconnectOnPanic { outbox: &outbox, membership };
        let counted = outbox.begin_writing();
        while self.take_or_wait() {
            if self.send(membership, Wait::Tick).is_none() {
                break;
            }
        }
        drop(counted);
        drop(panicked);
    }

    /// Sends once without waiting.
    fn take_turn(&mut self, membership: &Membership) -> Turn {
        let outbox = Arc::clone(&self.outbox);
        let _counted = outbox.begin_writing();
        self.take();
        if outbox.is_lost() || (self.in_flight.is_empty() && outbox.retire(&self.queue)) {
            return Turn::Ended;
        }
        match self.send(membership, Wait::No) {
            Some(0) => Turn::Waits,
            Some(_) => Turn::Moved,
            None => Turn::Ended,
        }
    }

    /// Takes what is queued, waiting if there is nothing; `false` where the thread is to end.
    fn take_or_wait(&mut self) -> bool {
        while self.in_flight.is_empty() {
            match self.queue.recv_timeout(IDLE) {
                Ok(chunk) => self.in_flight.push_back(chunk),
                Err(RecvTimeoutError::Timeout) if self.outbox.retire(&self.queue) => return false,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.take();
        !self.outbox.is_lost()
    }

    fn take(&mut self) {
        let room = SLICES_LIMIT.saturating_sub(self.in_flight.len());
        self.in_flight.extend(self.queue.try_iter().take(room));
    }

    /// Sends once; returns how many bytes were taken, or `None` where the client is gone.
    fn send(&mut self, membership: &Membership, wait: Wait) -> Option<u64> {
        let sent = match self.in_flight.front() {
            Some(Chunk::File { .. }) => self.send_file(membership, wait),
            _ => self.send_bytes(membership, wait),
        };
        match sent {
            Ok(sent) => {
                self.outbox.count_taken(sent);
                membership.stats.count_out(sent);
                return Some(sent);
            }
            Err(cause @ (Cause::Closed | Cause::Reset | Cause::Vanished)) => {
                membership.mark_lost(&self.outbox, cause);
            }
            Err(cause) => membership.disconnect(&self.outbox, cause),
        }
        None
    }

    /// Sends the bytes at the front of what is in flight, up to the next file.
    fn send_bytes(&mut self, membership: &Membership, wait: Wait) -> Result<u64, Cause> {
        let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
        let mut count = 0;
        let mut has_file = false;
        for chunk in self.in_flight.iter().take(SLICES_LIMIT) {
            match chunk {
                Chunk::Bytes(bytes, range) => {
                    slices[count] = IoSlice::new(&bytes[range.clone()]);
                    count += 1;
                }
                Chunk::File { .. } => {
                    has_file = true;
                    break;
                }
            }
        }
        // A response's header leaves together with the first bytes of its file.
        let sent = self.outbox.socket().send(&slices[..count], wait, has_file)?;
        self.advance(sent, membership);
        Ok(sent as u64)
    }

    /// Drops `sent` bytes from the front of what is in flight.
    fn advance(&mut self, sent: usize, membership: &Membership) {
        let mut missing = sent;
        let mut cost = sent;
        while let Some(Chunk::Bytes(_, range)) = self.in_flight.front_mut() {
            let part = range.len().min(missing);
            range.start += part;
            missing -= part;
            if range.start < range.end {
                break;
            }
            // Of its bytes nothing is left, so what is left is what it cost beside them.
            cost += self.in_flight.pop_front().map_or(0, |chunk| chunk.cost());
        }
        self.lower(cost, membership);
    }

    /// Sends a part of the file at the front of what is in flight.
    fn send_file(&mut self, membership: &Membership, wait: Wait) -> Result<u64, Cause> {
        let Some(Chunk::File { file, offset, end }) = self.in_flight.front_mut() else {
            return Ok(0);
        };
        let start = *offset;
        let step = (*end - start).min(FILE_STEP);
        if step > 0 {
            // The step is at most a mebibyte, so the cast keeps all of it.
            self.outbox.socket().send_file(file.file(), offset, step as usize, wait)?;
        }
        let sent = *offset - start;
        file.count_sent(sent);
        if *offset == *end {
            let cost = self.in_flight.pop_front().map_or(0, |chunk| chunk.cost());
            self.outbox.end_file();
            self.lower(cost, membership);
        }
        Ok(sent)
    }

    fn lower(&self, cost: usize, membership: &Membership) {
        if cost > 0 && self.outbox.lower(cost) <= membership.backpressure.limit() / 2 {
            membership.backpressure.fall(&self.outbox);
        }
    }
}

/// A writer thread that panics serves its client no longer, and nobody waits for it.
struct DisconnectOnPanic<'a> {
    outbox: &'a Arc<Outbox>,
    membership: &'a Membership,
}

impl Drop for DisconnectOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.membership.disconnect(self.outbox, Cause::ServerFailed);
        }
    }
}
