//! The room: who is active, under which nickname, how the others left, and the one order of all
//! that is said.
//!
//! Everything is behind one lock, held for additions to the [`Batch`] and for look-ups, never for a
//! system call and never while anything waits. A chat is added for all its receivers in one hold of
//! the lock: that is why every client sees the public messages in the same order.

pub(crate) mod batch;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

use self::batch::Batch;
use crate::delivery::outbox::Outbox;
use crate::ids::Uid;
use crate::reason::{Cause, RoomError};
use crate::sync::Mutex;
use crate::text::Nickname;
use crate::wire::{Content, Inherited, Relay};

/// How many clients that left are remembered with the cause; of older ones it is only said that
/// they have left.
pub const LEFT_LIMIT: usize = 65_536;

/// The active clients at one moment, ascending by UID.
pub(crate) type Roster = Arc<[Arc<Outbox>]>;

/// Who is here, and what was said.
#[derive(Debug, Default)]
pub struct Room {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    active: BTreeMap<Uid, Member>,
    /// The outboxes of `active`, as handed out last; `None` once somebody joined or left since.
    roster: Option<Roster>,
    last_uid: u64,
    left: HashMap<Uid, Cause>,
    /// The keys of `left`, the oldest first.
    left_order: VecDeque<Uid>,
    batch: Batch,
}

/// A chat that is to be added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatToAdd<'a> {
    /// The receiver of a private one.
    pub(crate) to: Option<Uid>,
    pub(crate) content: Content<'a>,
    pub(crate) inherited: Inherited,
}

/// Whether something was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was; so many bytes are to be flushed.
    Unflushed(usize),
    /// It was not, and is to be tried again.
    NotNow,
}

#[derive(Debug)]
struct Member {
    outbox: Arc<Outbox>,
    nickname: Option<Nickname>,
}

impl State {
    fn roster(&mut self) -> Roster {
        let active = &self.active;
        let fill = || active.values().map(|member| Arc::clone(&member.outbox)).collect();
        Arc::clone(self.roster.get_or_insert_with(fill))
    }

    fn receiver(&self, uid: Uid) -> Result<&Arc<Outbox>, RoomError> {
        if let Some(member) = self.active.get(&uid) {
            return Ok(&member.outbox);
        }
        if uid.0 == 0 || uid.0 > self.last_uid {
            return Err(RoomError::NeverConnected { uid });
        }
        Err(RoomError::HasLeft { uid, cause: self.left.get(&uid).copied() })
    }
}

impl Room {
    /// Makes a newcomer active, under the next UID (§2.3.1.2), with what `make` returns for that.
    pub(crate) fn join(&self, make: impl FnOnce(Uid) -> Outbox) -> Arc<Outbox> {
        let mut state = self.state.lock();
        state.last_uid += 1;
        let uid = Uid(state.last_uid);
        let outbox = Arc::new(make(uid));
        let member = Member { outbox: Arc::clone(&outbox), nickname: None };
        state.active.insert(uid, member);
        state.roster = None;
        state.batch.join(&outbox);
        outbox
    }

    /// Takes a client out of the room; what was queued for it before is still its own.
    ///
    /// Returns whether it was active: the first cause wins, and is the one that is told (§2.3.4).
    pub fn leave(&self, outbox: &Arc<Outbox>, cause: Cause) -> bool {
        let uid = outbox.uid();
        let mut state = self.state.lock();
        if state.active.remove(&uid).is_none() {
            return false;
        }
        outbox.set_left();
        state.roster = None;
        state.batch.leave(outbox);
        state.left.insert(uid, cause);
        state.left_order.push_back(uid);
        if state.left_order.len() > LEFT_LIMIT
            && let Some(oldest) = state.left_order.pop_front()
        {
            state.left.remove(&oldest);
        }
        true
    }

    /// Sets a client's nickname (§2.3.1.3).
    pub fn set_nickname(&self, uid: Uid, nickname: &Nickname) {
        if let Some(member) = self.state.lock().active.get_mut(&uid) {
            member.nickname = Some(nickname.clone());
        }
    }

    /// The UIDs of all active clients, ascending (§2.1.1.2).
    pub fn uids(&self) -> Vec<Uid> {
        self.state.lock().active.keys().copied().collect()
    }

    /// All active clients with their nicknames, ascending by UID.
    pub fn names(&self) -> Vec<(Uid, Option<Nickname>)> {
        let state = self.state.lock();
        state.active.iter().map(|(&uid, member)| (uid, member.nickname.clone())).collect()
    }

    /// How many clients are active.
    pub fn len(&self) -> usize {
        self.state.lock().active.len()
    }

    /// Whether nobody is active.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a private message for `uid` could be relayed now.
    ///
    /// # Errors
    /// Why not: nobody of that UID has connected, or how that client left (§2.3.2.1).
    pub fn check_receiver(&self, uid: Uid) -> Result<(), RoomError> {
        self.state.lock().receiver(uid).map(|_| ())
    }

    /// Adds a chat for everybody it is for, and then its response (§2.3.2): one hold of the lock,
    /// under which `may_add` is asked first; it is given how many bytes are to be flushed already.
    ///
    /// # Errors
    /// As [`Room::check_receiver`]; then nothing is added, the response neither.
    pub(crate) fn chat(
        &self,
        sender: &Arc<Outbox>,
        nickname: Option<&Nickname>,
        chat: ChatToAdd<'_>,
        may_add: impl FnOnce(usize) -> bool,
    ) -> Result<Added, RoomError> {
        let ChatToAdd { to, content, inherited } = chat;
        let relay = Relay { to, from: sender.uid(), nickname, content };
        let file_id = match content {
            Content::File { id, .. } => Some(id),
            Content::Text(_) => None,
        };
        let mut state = self.state.lock();
        let receiver = to.map(|uid| state.receiver(uid).cloned()).transpose()?;
        if !may_add(state.batch.len()) {
            return Ok(Added::NotNow);
        }
        state.batch.add_chat(sender, receiver.as_ref(), &relay, inherited, file_id);
        Ok(Added::Unflushed(state.batch.len()))
    }

    /// Adds a response for one client, which `encode` appends to what it is given; and behind it the
    /// bytes of a staged file, if there is one. `may_add` is asked first, as in [`Room::chat`].
    pub(crate) fn respond(
        &self,
        outbox: &Arc<Outbox>,
        file: Option<(&Arc<File>, u64)>,
        encode: impl FnOnce(&mut Vec<u8>),
        may_add: impl FnOnce(usize) -> bool,
    ) -> Added {
        let mut state = self.state.lock();
        if !may_add(state.batch.len()) {
            return Added::NotNow;
        }
        state.batch.add(outbox, encode);
        if let Some((file, len)) = file {
            state.batch.add_file(outbox, Arc::clone(file), len);
        }
        Added::Unflushed(state.batch.len())
    }

    /// Whether something is to be flushed.
    pub(crate) fn has_unflushed(&self) -> bool {
        !self.state.lock().batch.is_empty()
    }

    /// Exchanges the batch for an empty one, and returns it with those that its public part is for;
    /// `None` where there is nothing to be flushed.
    pub(crate) fn take_batch(&self, empty: impl FnOnce() -> Batch) -> Option<(Batch, Roster)> {
        let mut state = self.state.lock();
        if state.batch.is_empty() {
            return None;
        }
        let batch = std::mem::replace(&mut state.batch, empty());
        let roster = if batch.public().is_empty() { Roster::default() } else { state.roster() };
        Some((batch, roster))
    }

    /// How many clients are active, and the UID of the last one that joined, active or not.
    pub(crate) fn population(&self) -> (usize, Uid) {
        let state = self.state.lock();
        (state.active.len(), Uid(state.last_uid))
    }

    /// The active clients at this moment.
    pub(crate) fn roster(&self) -> Roster {
        self.state.lock().roster()
    }

    /// How a client left, where that is remembered.
    pub(crate) fn cause_of(&self, uid: Uid) -> Option<Cause> {
        self.state.lock().left.get(&uid).copied()
    }
}

#[cfg(test)]
mod tests;
