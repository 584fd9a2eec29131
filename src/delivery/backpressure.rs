//! Back-pressure: whose queue is over the limit, and which senders wait for it (P5 in
//! [`crate`]'s promises).
//!
//! A queue is over from the moment more than the limit L waits in it until it has fallen to L/2 or
//! its client is gone. What may be added to it meanwhile is a reserve that fills it to 2 L, and every
//! client that was there has the same share of it. So a sender that floods is held once its share is
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

/// A renewed share is at least this part of the first: who types is not to be held however long a
/// flood lasts, and who then would have more than 2 L waiting does not read fast enough.
const RENEWED_PART: usize = 8;

/// The queues that are over the limit, and who waits for them.
#[derive(Debug)]
pub(crate) struct Backpressure {
    /// L: how many bytes may wait for a client before its queue is over.
    limit: usize,
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
    /// How many clients were active when it went over, and the last of them.
    members: usize,
    last_member: Uid,
    /// How many bytes each of them may add, and those who came later together.
    share: usize,
    shared_out: Instant,
    spent: HashMap<Uid, usize>,
    spent_by_newcomers: usize,
}

impl OverQueue {
    fn spent_by(&mut self, sender: Uid) -> &mut usize {
        if sender > self.last_member {
            &mut self.spent_by_newcomers
        } else {
            self.spent.entry(sender).or_default()
        }
    }

    /// Whether a chat from `sender` to one client, or to all others, is for this queue.
    fn concerns(&self, sender: Uid, to: Option<Uid>) -> bool {
        let uid = self.outbox.uid();
        to.map_or(uid != sender, |to| to == uid)
    }

    /// Lets shares begin anew where it is time.
    fn renew(&mut self, now: Instant, limit: usize, renewal: Duration) {
        if now.saturating_duration_since(self.shared_out) < renewal {
            return;
        }
        let part = limit / self.members.max(1) / RENEWED_PART;
        self.share = first_share(limit, self.outbox.waiting(), self.members).max(part);
        self.shared_out = now;
        self.spent.clear();
        self.spent_by_newcomers = 0;
    }
}

/// An equal share of what may be added to a queue in which `waiting` bytes wait already.
fn first_share(limit: usize, waiting: usize, members: usize) -> usize {
    let reserve = limit.saturating_mul(2).saturating_sub(waiting).min(limit);
    (reserve / members.max(1)).max(SMALLEST_SHARE)
}

/// A chat as it counts against queues that are over.
#[derive(Debug)]
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
            queue.renew(now, pressure.limit, pressure.renewal);
            let is_counted = chat.counted.contains(&queue.episode);
            if !is_counted && *queue.spent_by(chat.sender) + chat.bytes > queue.share {
                let renewed = queue.shared_out + pressure.renewal;
                again = Some(again.map_or(renewed, |first| first.min(renewed)));
            }
        }
        if let Some(again) = again {
            return Err(again);
        }
        for queue in self.over.iter_mut().filter(|queue| queue.concerns(sender, to)) {
            if !chat.counted.contains(&queue.episode) {
                *queue.spent_by(chat.sender) += chat.bytes;
                chat.counted.push(queue.episode);
            }
        }
        Ok(())
    }
}

impl Backpressure {
    /// `limit`: L, in bytes. `renewal`: the stall timeout.
    pub(crate) fn new(limit: usize, renewal: Duration) -> Backpressure {
        Backpressure {
            limit,
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

    /// The most that may ever wait for one client, beside one message more, where `members` are
    /// active.
    pub(crate) fn most(&self, members: usize) -> usize {
        self.limit + self.limit.max(members.saturating_mul(SMALLEST_SHARE))
    }

    /// Whether any queue is over the limit.
    pub(crate) fn is_on(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Notes that the queue of a client is over the limit. `members`: how many are active, and the
    /// last of them.
    pub(crate) fn raise(&self, outbox: &Arc<Outbox>, members: (usize, Uid)) {
        if outbox.over().is_some() {
            return;
        }
        let mut state = self.state.lock();
        if outbox.has_left() {
            // Nobody adds to it any more.
            return;
        }
        state.episodes += 1;
        let episode = state.episodes;
        let (members, last_member) = members;
        state.over.push(OverQueue {
            episode,
            members,
            last_member,
            share: first_share(self.limit, outbox.waiting(), members),
            shared_out: Instant::now(),
            spent: HashMap::new(),
            spent_by_newcomers: 0,
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
        if !is_due() {
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
