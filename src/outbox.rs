//! One client's outgoing side: its socket, and the queue of what the socket did not take.
//!
//! Owns who may write to the socket, the count of waiting bytes and the client's writer thread's
//! channel. It knows nothing of the room, and nothing of the meaning of what it holds.
//!
//! 1. The socket has one writer at a time. While nothing is waiting that is the flusher (see
//!    [`crate::delivery`]); from the moment it leaves something behind until the last byte of
//!    that is in the socket, it is the client's writer thread (see [`crate::writer`]).
//! 2. The count of waiting bytes says whose turn it is: only the flusher raises it, only the
//!    writer thread lowers it, and it falls to 0 only behind the last byte. So nothing overtakes.
//! 3. Adding never blocks: what is too much is told to the senders by [`Pressure`].
//! 4. Once broken, an outbox takes nothing more and nobody waits for it.

use std::fs::File;
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use crate::ids::Uid;

/// Something that waits for one client.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Whole or partial messages; the bytes may be shared with other clients' queues.
    Bytes(Arc<[u8]>, Range<usize>),
    /// A staged file's bytes from `offset` to `end`, streamed from disk.
    File { file: Arc<File>, offset: u64, end: u64 },
}

impl Chunk {
    /// What it counts as waiting: a file's bytes are on disk, not in the queue. Never 0, so that
    /// the socket is the writer thread's while a file is under way.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Chunk::Bytes(_, range) => range.len(),
            Chunk::File { .. } => 1,
        }
    }
}

/// One client's socket and queue.
#[derive(Debug)]
pub struct Outbox {
    uid: Uid,
    stream: TcpStream,
    waiting: AtomicUsize,
    broken: AtomicBool,
    /// Whether the stall watch knows that something was sent.
    watched: AtomicBool,
    /// Whether a writer thread is at work, and not still to come.
    served: AtomicBool,
    /// How many bytes the socket has taken from writer threads.
    taken: AtomicU64,
    state: Mutex<State>,
    /// Told when nothing waits any more, a file has been sent, or the outbox is broken.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The writer thread's queue, while there is a writer thread.
    queue: Option<Sender<Chunk>>,
    /// Whether a file is on its way: one at a time to one client.
    file_under_way: bool,
}

impl Outbox {
    /// The outgoing side of the connection of client `uid`.
    pub fn new(uid: Uid, stream: TcpStream) -> Outbox {
        Outbox {
            uid,
            stream,
            waiting: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            served: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Whose it is.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// The connection, to be read by its session and written by whoever's turn it is.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// How many bytes wait beside what the socket has taken.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether nothing can be written any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
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

    /// Notes that a writer thread has begun or ended.
    pub(crate) fn set_served(&self, served: bool) {
        self.served.store(served, Ordering::Release);
    }

    /// Whether something waits that a writer thread is sending now.
    pub(crate) fn is_being_sent(&self) -> bool {
        self.waiting() > 0 && self.served.load(Ordering::Acquire)
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
    /// Under the lock, `start` is given the queue where nobody writes from one yet, and `before` the
    /// number of bytes that wait now, before the writer thread can lower it.
    ///
    /// Not inlined: making a channel takes stack, and most clients never need one.
    #[inline(never)]
    pub(crate) fn enqueue(
        &self,
        chunks: Vec<Chunk>,
        start: impl FnOnce(Receiver<Chunk>),
        before: impl FnOnce(usize),
    ) {
        let mut state = self.state.lock();
        if self.is_broken() {
            return;
        }
        let queue = state.queue.get_or_insert_with(|| {
            let (sender, receiver) = unbounded();
            start(receiver);
            sender
        });
        let cost: usize = chunks.iter().map(Chunk::cost).sum();
        before(self.waiting.fetch_add(cost, Ordering::AcqRel) + cost);
        for chunk in chunks {
            // The writer thread drops its end only after taking the queue out of `state`.
            let _ = queue.send(chunk);
        }
    }

    /// Notes that `cost` of what waited is in the socket; returns what is left. For the writer
    /// thread alone.
    pub(crate) fn lower(&self, cost: usize) -> usize {
        let left = self.waiting.fetch_sub(cost, Ordering::AcqRel) - cost;
        if left == 0 {
            drop(self.state.lock());
            self.changed.notify_all();
        }
        left
    }

    /// Whether the idle writer thread may end: nothing has been queued meanwhile.
    pub(crate) fn retire(&self, queue: &Receiver<Chunk>) -> bool {
        let mut state = self.state.lock();
        let idle = queue.is_empty();
        if idle {
            state.queue = None;
        }
        idle
    }

    /// Gives up writing: what waits is dropped, and whoever waits for it goes on.
    pub(crate) fn break_off(&self) {
        let mut state = self.state.lock();
        self.broken.store(true, Ordering::Release);
        state.queue = None;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until nothing waits any more, or the outbox is broken.
    ///
    /// The stall watch bounds it: a client that takes nothing is cut off.
    pub(crate) fn wait_drained(&self) {
        let mut state = self.state.lock();
        while !self.is_drained() {
            self.changed.wait(&mut state);
        }
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting() == 0 || self.is_broken()
    }

    /// Waits until no other file is on its way to this client, and announces one.
    pub(crate) fn begin_file(&self) {
        let mut state = self.state.lock();
        while state.file_under_way && !self.is_broken() {
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

/// Whose queue is over the limit; those who fill it wait here until it has fallen to half.
///
/// A client that filled a queue is not read meanwhile, so it slows down to its reader's pace.
#[derive(Debug, Default)]
pub struct Pressure {
    /// With the time since when; for a client that is fetching a file, since it moved last.
    over: Mutex<Vec<(Uid, Instant)>>,
    /// The length of `over`, to be looked at once a message without taking the lock.
    count: AtomicUsize,
    fell: Condvar,
}

impl Pressure {
    /// Notes that the queue of `uid` is over the limit.
    pub(crate) fn rise(&self, uid: Uid) {
        let mut over = self.over.lock();
        if !over.iter().any(|&(other, _)| other == uid) {
            over.push((uid, Instant::now()));
            self.count.store(over.len(), Ordering::Release);
        }
    }

    /// Notes that the queue of `uid` has fallen to half, or is gone.
    pub(crate) fn fall(&self, uid: Uid) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut over = self.over.lock();
        over.retain(|&(other, _)| other != uid);
        self.count.store(over.len(), Ordering::Release);
        drop(over);
        self.fell.notify_all();
    }

    /// Notes that the queue of `uid` cannot fall yet, for no fault of its reader's.
    pub(crate) fn excuse(&self, uid: Uid) {
        if self.is_on()
            && let Some((_, since)) = self.over.lock().iter_mut().find(|(other, _)| *other == uid)
        {
            *since = Instant::now();
        }
    }

    /// Since when the queue of `uid` has been over the limit without falling to half.
    pub(crate) fn over_since(&self, uid: Uid) -> Option<Instant> {
        if !self.is_on() {
            return None;
        }
        self.over.lock().iter().find(|(other, _)| *other == uid).map(|&(_, since)| since)
    }

    /// Whether anybody's queue is over the limit.
    pub(crate) fn is_on(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Waits while a queue that `concerns` the caller is over the limit, unless `gone`.
    ///
    /// Each queue that is over falls to half or is dropped within the stall timeout.
    pub(crate) fn wait(&self, concerns: impl Fn(Uid) -> bool, gone: impl Fn() -> bool) {
        let mut over = self.over.lock();
        while over.iter().any(|&(uid, _)| concerns(uid)) && !gone() {
            self.fell.wait(&mut over);
        }
    }

    /// Wakes those who wait, to look again whether they are gone.
    pub(crate) fn wake(&self) {
        drop(self.over.lock());
        self.fell.notify_all();
    }
}
