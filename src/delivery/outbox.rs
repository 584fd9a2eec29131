//! One client's outgoing side: its socket, and the queue of what the socket did not take.
//!
//! Owns who may write to the socket, the count of waiting bytes and the channel of the client's
//! writer thread. Knows nothing of the room, and nothing of the meaning of what it holds.
//!
//! 1. The socket has one writer at a time. While nothing waits that is the flusher; from the moment
//!    it leaves something behind until the last byte of that is in the socket, it is the client's
//!    writer thread.
//! 2. The count of waiting bytes says whose turn it is: only the flusher raises it, only the writer
//!    thread lowers it, and it falls to 0 only behind the last byte. So nothing overtakes.
//! 3. Adding never blocks: what is too much is for [`super::backpressure`] to say.
//! 4. Once lost, an outbox takes nothing more and nobody waits for it.
//! 5. Its lock is held for bookkeeping alone: no thread is started and no socket is used under it.
//! 6. What is for a client that is held waits, and counts, and nobody writes: until it is released.

use std::sync::Arc;
use std::time::Duration;

use super::backlog::Backlog;
use super::chunk::Chunk;
use super::socket::Socket;
use super::way::{Way, WayCell};
use crate::ids::Uid;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::sync::{Condvar, Mutex};

/// The number of no batch.
const NEVER: u64 = u64::MAX;

/// One client's socket and queue.
#[derive(Debug)]
pub struct Outbox {
    uid: Uid,
    socket: Arc<dyn Socket>,
    /// What waits for all clients together.
    backlog: Arc<Backlog>,
    pub(super) way: WayCell,
    /// How many bytes wait, bookkeeping included; changed under the lock of `state` alone.
    waiting: AtomicUsize,
    /// Whether nothing can be written any more.
    lost: AtomicBool,
    /// Whether the server has ended the connection: nothing is read any more either.
    disconnected: AtomicBool,
    /// Whether the client has left the room: nobody adds to its queue any more.
    left: AtomicBool,
    /// In which of the room's batches the client began to get the extended form; `NEVER` while it
    /// gets the plain one. Written under the room's lock.
    extended_in: AtomicU64,
    /// Whether the operator has removed the client: its session is to end.
    removed: AtomicBool,
    /// Whether the operator has muted the client; changed under the room's lock alone.
    muted: AtomicBool,
    /// Which time the queue is over its limit; 0 while it is not.
    over: AtomicU64,
    /// Whether the stall watch knows that something was sent.
    watched: AtomicBool,
    /// How many writer threads are at work: two for the moment in which one takes over.
    writers: AtomicUsize,
    /// How many bytes the socket has taken from writer threads.
    taken: AtomicU64,
    state: Mutex<State>,
    /// Told when nothing waits any more, a file has been sent, or the outbox is lost.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The writer thread's queue, while there is a writer thread.
    queue: Option<Sender<Chunk>>,
    /// What waits while the client is held; `None` while it is not.
    held: Option<Vec<Chunk>>,
    /// Whether a file is on its way: one at a time to one client.
    file_under_way: bool,
}

impl Outbox {
    /// The outgoing side of client `uid`.
    pub(crate) fn new(uid: Uid, socket: Arc<dyn Socket>, backlog: Arc<Backlog>) -> Outbox {
        Outbox {
            uid,
            socket,
            backlog,
            way: WayCell::raw(),
            waiting: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            disconnected: AtomicBool::new(false),
            left: AtomicBool::new(false),
            extended_in: AtomicU64::new(NEVER),
            removed: AtomicBool::new(false),
            muted: AtomicBool::new(false),
            over: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            writers: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The same, held until it is released.
    pub(crate) fn held(mut self) -> Outbox {
        self.way = WayCell::held();
        self.state.lock().held = Some(Vec::new());
        self
    }

    /// The client that it belongs to.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// The way to the client; only the one whose turn it is writes to it.
    pub(crate) fn socket(&self) -> &dyn Socket {
        &*self.socket
    }

    /// How many bytes wait beside what the socket has taken, bookkeeping included.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether nothing can be written any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// How what is offered now goes out. For the flusher alone.
    pub(crate) fn begin_offer(&self) -> Way {
        self.way.begin_offer()
    }

    /// Whether it was a request for a page, which was never anybody in the room.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.way.get() == Way::Withdrawn
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_disconnected(&self) -> bool {
        self.disconnected.load(Ordering::Acquire)
    }

    /// Notes that the client is in the room no longer.
    pub(crate) fn set_left(&self) {
        self.left.store(true, Ordering::SeqCst);
    }

    /// Whether the client is in the room no longer.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// Whether the client gets the extended form of what is added from here on. To be asked under
    /// the room's lock where it matters in which order.
    pub(crate) fn is_extended(&self) -> bool {
        self.extended_in.load(Ordering::Relaxed) != NEVER
    }

    /// Whether the client had the extended form before the batch with this number began: without the
    /// room's lock, since what happens in later batches makes no difference.
    pub(crate) fn is_extended_before(&self, batch: u64) -> bool {
        self.extended_in.load(Ordering::Relaxed) < batch
    }

    /// Notes that the client gets the extended form from a place in this batch on. For the room
    /// alone, under its lock.
    pub(crate) fn set_extended(&self, batch: u64) {
        self.extended_in.store(batch, Ordering::Relaxed);
    }

    /// Notes that the operator has removed the client: nothing more is carried out for it. For the
    /// room alone, under its lock; then [`Outbox::wake`] is due.
    pub(crate) fn set_removed(&self) {
        self.removed.store(true, Ordering::SeqCst);
    }

    /// Whether the operator has removed the client.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
    }

    /// Whether the session of this client is to wait for nothing any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_disconnected() || self.is_removed()
    }

    /// Mutes the client, or lets it speak again. For the room alone, under its lock.
    pub(crate) fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// Whether the operator has muted the client.
    pub(crate) fn is_muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    /// Wakes what waits here, to look again whether the client was removed.
    pub(crate) fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Which time the queue is over its limit; `None` while it is not.
    pub(crate) fn over(&self) -> Option<u64> {
        Some(self.over.load(Ordering::SeqCst)).filter(|&episode| episode > 0)
    }

    /// Notes that the queue is over its limit for the time `episode`, or no longer. For
    /// [`super::backpressure`] alone, under its lock.
    pub(crate) fn set_over(&self, episode: Option<u64>) {
        self.over.store(episode.unwrap_or(0), Ordering::SeqCst);
    }

    /// Whether the stall watch is to be told of this outbox: it does not know it yet. Once it was
    /// asked, that is noted.
    pub(crate) fn begin_watch(&self) -> bool {
        !self.watched.load(Ordering::SeqCst) && !self.watched.swap(true, Ordering::SeqCst)
    }

    /// Notes that the stall watch is to be told of what is sent from now on.
    pub(crate) fn end_watch(&self) {
        self.watched.store(false, Ordering::SeqCst);
    }

    /// Counts a thread that writes for this client, until dropped.
    pub(crate) fn begin_writing(&self) -> Writing<'_> {
        self.writers.fetch_add(1, Ordering::AcqRel);
        Writing(self)
    }

    /// Whether a thread writes for this client.
    pub(crate) fn has_writer(&self) -> bool {
        self.writers.load(Ordering::Acquire) > 0
    }

    /// Notes that the socket has taken so many bytes. For the writer thread alone.
    pub(crate) fn count_taken(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes the socket has taken from writer threads.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes what the socket did not take. For the flusher alone.
    ///
    /// `before_writing` is told how many bytes wait now before a writer thread can lower that. The
    /// result is the queue where nobody writes from one yet: the caller starts a writer thread.
    ///
    /// Not inlined: making a channel takes stack, and most clients never need one.
    #[inline(never)]
    pub(crate) fn enqueue(
        self: &Arc<Outbox>,
        chunks: Vec<Chunk>,
        before_writing: impl FnOnce(usize),
    ) -> Option<Receiver<Chunk>> {
        let mut state = self.state.lock();
        if self.is_lost() {
            return None;
        }
        self.add(&mut state, chunks, before_writing)
    }

    /// The same for a client that was held when that was looked at: it may have been released since.
    pub(crate) fn enqueue_held(
        self: &Arc<Outbox>,
        mut chunks: Vec<Chunk>,
        before_writing: impl FnOnce(usize),
    ) -> Option<Receiver<Chunk>> {
        let mut state = self.state.lock();
        if self.is_lost() || chunks.is_empty() {
            return None;
        }
        if state.held.is_none() {
            match self.way.begin_offer() {
                Way::Framed => chunks.insert(0, Chunk::header_of(&chunks)),
                Way::Held | Way::Raw | Way::Withdrawn => {}
            }
            return self.add(&mut state, chunks, before_writing);
        }
        self.count(&chunks, before_writing);
        state.held.get_or_insert_default().extend(chunks);
        None
    }

    /// Ends the hold: what waits goes out as it is, or in a frame. The result is as with
    /// [`Outbox::enqueue`], and it is not inlined for the same reason. For the session alone.
    #[inline(never)]
    pub(crate) fn release(self: &Arc<Outbox>, framed: bool) -> Option<Receiver<Chunk>> {
        let mut state = self.state.lock();
        let mut held = state.held.take()?;
        if framed {
            self.way.set_framed();
        } else {
            self.way.set_raw(held.is_empty());
        }
        if self.is_lost() || held.is_empty() {
            return None;
        }
        if framed {
            let header = Chunk::header_of(&held);
            self.count(std::slice::from_ref(&header), |_| {});
            held.insert(0, header);
        }
        let (queue, unserved) = unbounded();
        for chunk in held {
            // The other end is here.
            let _ = queue.send(chunk);
        }
        state.queue = Some(queue);
        Some(unserved)
    }

    /// Holds again what comes from here on; `false` where something was written already. For the
    /// session alone.
    pub(crate) fn hold_again(&self) -> bool {
        let mut state = self.state.lock();
        let is_held = !self.is_lost() && self.way.hold_again();
        if is_held {
            state.held = Some(Vec::new());
        }
        is_held
    }

    /// Notes that it was a request for a page; then it is lost.
    pub(crate) fn set_withdrawn(&self) {
        let state = self.state.lock();
        self.way.set_withdrawn();
        drop(state);
        self.set_lost();
    }

    /// Counts what is about to wait.
    fn count(self: &Arc<Outbox>, chunks: &[Chunk], before_writing: impl FnOnce(usize)) {
        let cost: usize = chunks.iter().map(Chunk::cost).sum();
        let waiting = self.waiting.load(Ordering::Acquire) + cost;
        self.waiting.store(waiting, Ordering::Release);
        self.backlog.add(self, waiting == cost, cost);
        before_writing(waiting);
    }

    fn add(
        self: &Arc<Outbox>,
        state: &mut State,
        chunks: Vec<Chunk>,
        before_writing: impl FnOnce(usize),
    ) -> Option<Receiver<Chunk>> {
        let mut unserved = None;
        let queue = state.queue.get_or_insert_with(|| {
            let (sender, receiver) = unbounded();
            unserved = Some(receiver);
            sender
        });
        self.count(&chunks, before_writing);
        for chunk in chunks {
            // The writer thread drops its end only after taking the queue out of `state`.
            let _ = queue.send(chunk);
        }
        unserved
    }

    /// Notes that `cost` of what waited is in the socket; returns what is left. For the writer
    /// thread alone.
    pub(crate) fn lower(&self, cost: usize) -> usize {
        let state = self.state.lock();
        if self.is_lost() {
            return 0;
        }
        let left = self.waiting.load(Ordering::Acquire) - cost;
        self.waiting.store(left, Ordering::Release);
        self.backlog.remove(self.uid, left == 0, cost);
        drop(state);
        if left == 0 {
            self.changed.notify_all();
        }
        left
    }

    /// Whether the idle writer thread may end: nothing has been queued meanwhile.
    pub(crate) fn retire(&self, queue: &Receiver<Chunk>) -> bool {
        let mut state = self.state.lock();
        let is_idle = queue.is_empty();
        if is_idle {
            state.queue = None;
        }
        is_idle
    }

    /// Ends the queue behind what is in it: the writer thread ends once that is sent.
    pub(crate) fn close_queue(&self) {
        self.state.lock().queue = None;
    }

    /// Gives up writing: what waits is dropped, and nobody waits for it any more.
    pub(crate) fn set_lost(&self) {
        let mut state = self.state.lock();
        self.lost.store(true, Ordering::Release);
        state.queue = None;
        state.held = None;
        let dropped = self.waiting.swap(0, Ordering::AcqRel);
        if dropped > 0 {
            self.backlog.remove(self.uid, true, dropped);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the connection both ways; it is reset when nobody uses it any more.
    pub(crate) fn disconnect(&self) {
        self.disconnected.store(true, Ordering::Release);
        self.socket.reset();
    }

    /// Waits until nothing waits any more, or the outbox is lost.
    ///
    /// The stall watch bounds it: a client that takes nothing is disconnected.
    pub(crate) fn wait_drained(&self) {
        let mut state = self.state.lock();
        while !self.is_drained() {
            self.changed.wait(&mut state);
        }
    }

    /// The same, for so long at the most.
    pub(crate) fn wait_drained_for(&self, limit: Duration) {
        let mut state = self.state.lock();
        if !self.is_drained() {
            self.changed.wait_for(&mut state, limit);
        }
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting() == 0 || self.is_lost()
    }

    /// Waits until no other file is on its way to this client, and announces one.
    pub(crate) fn begin_file(&self) {
        let mut state = self.state.lock();
        while state.file_under_way && !self.is_lost() && !self.is_removed() {
            self.changed.wait(&mut state);
        }
        state.file_under_way = true;
    }

    /// Whether a file is on its way, or about to be.
    pub(crate) fn has_file_under_way(&self) -> bool {
        self.state.lock().file_under_way
    }

    /// Notes that the file has been sent.
    pub(crate) fn end_file(&self) {
        self.state.lock().file_under_way = false;
        self.changed.notify_all();
    }
}

/// A thread that writes for a client.
pub(crate) struct Writing<'a>(&'a Outbox);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writers.fetch_sub(1, Ordering::AcqRel);
    }
}
