//! Back-pressure: whose queue is over the limit, and which senders wait for it (P5 in
//! [`crate`]'s promises).
//!
//! A queue is over from the moment more than the limit L waits in it until it has fallen to L/2 or
//! its client is gone. What may be added to it meanwhile is a reserve that fills it to 2 L (less what
//! stands unflushed in front of it already), and every client that was there has the same share of it. So a sender that floods is held once its share is
//! used up, and everybody else goes on as if nothing were.
//!
//! 1. A sender is held before the body of its message is read, holding no lock, having flushed what
//!    it had added.
//! 2. A share is spent under this lock, and a queue is raised and cleared under it: nobody is held by
//!    a queue that has just been cleared, and nobody sleeps through its end.
//! 3. While no queue is over, all of this costs a message the look at one counter.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::outbox::Outbox;
use crate::ids::Uid;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Instant, Mutex};

/// The smallest share of a reserve, in bytes: some lines of text in each stall timeout.
const SMALLEST_SHARE: usize = 1024;

/// A renewed share is at least as large as this, or as an equal share of L: a person who types is not
/// held however long a flood lasts, and a client for which more than 2 L would wait then does not read
/// fast enough.
const RENEWED_SHARE: usize = 8 * 1024;

/// What a relay has beside in the extended form: `Sequence` and `Time`.
const EXTENDED_BYTES: usize = 56;

/// The queues that are over the limit, and who waits for them.
#[derive(Debug)]
pub(crate) struct Backpressure {
    /// L: how many bytes may wait for a client before its queue is over.
    limit: usize,
    /// How many bytes may stand unflushed in front of every queue.
    batch_limit: usize,
    /// After how long shares begin anew: the stall timeout.
    renewal: Duration,
    pub(super) state: Mutex<State>,
    /// How many queues are over, to be looked at once a message without taking the lock.
    count: AtomicUsize,
    /// Told when a queue is no longer over, and when a held session may be gone.
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    over: Vec<OverQueue>,
    episodes: u64,
}

/// A queue that is over the limit.
#[derive(Debug)]
struct OverQueue {
    outbox: Arc<Outbox>,
    /// Which of all such times it is.
    episode: u64,
    /// How many bytes waited when it went over: a long answer may be more than 2 L.
    waited: usize,
    /// The clients that were active when it went over, ascending.
    members: Vec<Uid>,
    /// How many bytes each of them may add, and all others together: those who came later, and those
    /// who had left and whose last messages are still being read.
    share: usize,
    shared_out: Instant,
    spent: HashMap<Uid, usize>,
    spent_by_others: usize,
}

impl OverQueue {
    fn spent_by(&mut self, sender: Uid) -> &mut usize {
        match self.members.binary_search(&sender) {
            Ok(_) => self.spent.entry(sender).or_default(),
            Err(_) => &mut self.spent_by_others,
        }
    }

    /// How many bytes a chat takes in this queue.
    fn bytes_of(&self, chat: &ChatCost) -> usize {
        let extended = if self.outbox.is_extended() { EXTENDED_BYTES } else { 0 };
        chat.bytes.saturating_add(extended)
    }

    /// Whether a chat from `sender` to one client, or to all others, is for this queue.
    fn concerns(&self, sender: Uid, to: Option<Uid>) -> bool {
        let uid = self.outbox.uid();
        to.map_or(uid != sender, |to| to == uid)
    }

    /// Lets shares begin anew where it is time.
    fn renew(&mut self, now: Instant, pressure: &Backpressure) {
        if now.saturating_duration_since(self.shared_out) < pressure.renewal {
            return;
        }
        let least = (pressure.limit / self.members.len().max(1)).min(RENEWED_SHARE);
        self.share = pressure.share(self.outbox.waiting(), self.members.len()).max(least);
        self.shared_out = now;
        self.spent.clear();
        self.spent_by_others = 0;
    }
}

/// A chat as it counts against queues that are over.
#[derive(Clone, Debug)]
pub(crate) struct ChatCost {
    pub(crate) sender: Uid,
    /// The receiver of a private chat.
    pub(crate) to: Option<Uid>,
    /// How long its relay is, in bytes.
    pub(crate) bytes: usize,
    /// The times for which it has been counted already.
    counted: Vec<u64>,
}

impl ChatCost {
    pub(crate) fn new(sender: Uid, to: Option<Uid>, bytes: usize) -> ChatCost {
        ChatCost { sender, to, bytes, counted: Vec::new() }
    }
}

impl State {
    /// Counts a chat against all the queues that it is for, if it fits into its sender's share of
    /// each. Where it does not: when to look again at the latest.
    fn admit(&mut self, chat: &mut ChatCost, pressure: &Backpressure) -> Result<(), Instant> {
        let now = Instant::now();
        let mut again: Option<Instant> = None;
        let (sender, to) = (chat.sender, chat.to);
        for queue in self.over.iter_mut().filter(|queue| queue.concerns(sender, to)) {
            queue.renew(now, pressure);
            let is_counted = chat.counted.contains(&queue.episode);
            let bytes = queue.bytes_of(chat);
            if !is_counted && queue.spent_by(chat.sender).saturating_add(bytes) > queue.share {
                let renewed = queue.shared_out + pressure.renewal;
                again = Some(again.map_or(renewed, |first| first.min(renewed)));
            }
        }
        if let Some(again) = again {
            return Err(again);
        }
        for queue in self.over.iter_mut().filter(|queue| queue.concerns(sender, to)) {
            if !chat.counted.contains(&queue.episode) {
                let bytes = queue.bytes_of(chat);
                *queue.spent_by(chat.sender) += bytes;
                chat.counted.push(queue.episode);
            }
        }
        Ok(())
    }
}

impl Backpressure {
    /// `limit`: L, in bytes. `batch_limit`: how many bytes may stand unflushed in front of every
    /// queue. `renewal`: the stall timeout.
    pub(crate) fn new(limit: usize, batch_limit: usize, renewal: Duration) -> Backpressure {
        Backpressure {
            limit,
            batch_limit,
            renewal,
            state: Mutex::default(),
            count: AtomicUsize::new(0),
            changed: Condvar::new(),
        }
    }

    /// L: how many bytes may wait for a client before its queue is over.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether more waits for a client, beside one message, than ever may: 2 L, or L and the smallest
    /// share of each client that was there when its queue went over. Where what made it go over was a
    /// longer message, an answer, it is that message and these smallest shares.
    pub(crate) fn is_exceeded(&self, outbox: &Outbox, one_message: usize) -> bool {
        let Some(episode) = outbox.over() else { return false };
        let state = self.state.lock();
        let queue = state.over.iter().find(|queue| queue.episode == episode);
        let members = queue.map_or(0, |queue| queue.members.len());
        let waited = queue.map_or(0, |queue| queue.waited);
        let smallest = members.saturating_mul(SMALLEST_SHARE);
        let usual = self.limit.saturating_add(self.limit.max(smallest));
        let most = usual.max(waited.saturating_add(smallest));
        outbox.waiting() > most.saturating_add(one_message)
    }

    /// An equal share, in bytes, of what may be added to a queue in which `waiting` wait already.
    fn share(&self, waiting: usize, members: usize) -> usize {
        let ahead = waiting.saturating_add(self.batch_limit);
        let reserve = self.limit.saturating_mul(2).saturating_sub(ahead).min(self.limit);
        (reserve / members.max(1)).max(SMALLEST_SHARE)
    }

    /// Whether any queue is over the limit.
    pub(crate) fn is_on(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Notes that the queue of a client is over the limit. `members`: the active clients, ascending.
    pub(crate) fn raise(&self, outbox: &Arc<Outbox>, members: impl FnOnce() -> Vec<Uid>) {
        if outbox.over().is_some() {
            return;
        }
        let members = members();
        let mut state = self.state.lock();
        if outbox.has_left() {
            // Nobody adds to it any more.
            return;
        }
        state.episodes += 1;
        let episode = state.episodes;
        state.over.push(OverQueue {
            episode,
            waited: outbox.waiting(),
            share: self.share(outbox.waiting(), members.len()),
            members,
            shared_out: Instant::now(),
            spent: HashMap::new(),
            spent_by_others: 0,
            outbox: Arc::clone(outbox),
        });
        outbox.set_over(Some(episode));
        self.count.store(state.over.len(), Ordering::SeqCst);
    }

    /// Notes that the queue of a client has fallen, where it was over and has fallen to half of the
    /// limit.
    pub(crate) fn fall(&self, outbox: &Outbox) {
        if outbox.over().is_some() {
            self.clear_if(outbox, || outbox.waiting() <= self.limit / 2);
        }
    }

    /// Notes that nothing is added to the queue of a client any more: it has left, or is lost.
    pub(crate) fn clear(&self, outbox: &Outbox) {
        self.clear_if(outbox, || true);
    }

    /// Under the lock, since more may have been added meanwhile, and a queue may be about to be
    /// raised.
    fn clear_if(&self, outbox: &Outbox, is_due: impl FnOnce() -> bool) {
        let mut state = self.state.lock();
        if outbox.over().is_none() || !is_due() {
            return;
        }
        state.over.retain(|queue| queue.outbox.uid() != outbox.uid());
        outbox.set_over(None);
        self.count.store(state.over.len(), Ordering::SeqCst);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether a chat may be added now; if so, it is counted.
    pub(crate) fn admit(&self, chat: &mut ChatCost) -> bool {
        !self.is_on() || self.state.lock().admit(chat, self).is_ok()
    }

    /// Waits until a chat may be added, and counts it; or until its sender `is_gone`.
    pub(crate) fn wait_to_add(&self, chat: &mut ChatCost, is_gone: impl Fn() -> bool) {
        let mut state = self.state.lock();
        while let Err(again) = state.admit(chat, self) {
            if is_gone() {
                return;
            }
            self.changed.wait_until(&mut state, again);
        }
    }

    /// Waits until the queue of a client is no longer over the limit, or until it `is_gone`.
    pub(crate) fn wait_until_clear(&self, outbox: &Outbox, is_gone: impl Fn() -> bool) {
        let mut state = self.state.lock();
        while outbox.over().is_some() && !is_gone() {
            self.changed.wait(&mut state);
        }
    }

    /// Wakes those who wait, to look again whether they are gone.
    pub(crate) fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }
}
