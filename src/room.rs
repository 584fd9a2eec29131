//! The room: who is active, under which nickname, how the others left, and the one order of all
//! that is said.
//!
//! Everything is behind one lock, held for additions to the [`Batch`] and for look-ups, never for a
//! system call and never while anything waits. A chat is added for all its receivers in one hold of
//! the lock: that is why every client sees the public messages in the same order.

pub(crate) mod batch;
mod history;
mod state;

use std::sync::Arc;

use self::batch::Batch;
use self::history::History;
use self::state::{Leaving, Member, State};
use crate::delivery::outbox::Outbox;
use crate::ids::Uid;
use crate::reason::{Cause, RoomError};
use crate::stage::Fetch;
use crate::sync::Mutex;
use crate::text::{FileName, Nickname};
use crate::wire::{Content, Inherited, News, Relay};

pub use self::history::HISTORY_BYTES;
pub(crate) use self::history::Kept;

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

/// How much was said since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Public messages, texts and files, the operator's among them.
    pub(crate) public: u64,
    /// Private messages.
    pub(crate) private: u64,
    /// Messages times the clients that were here to receive them.
    pub(crate) deliveries: u64,
}

/// A chat that is to be added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatToAdd<'a> {
    /// The receiver of a private one.
    pub(crate) to: Option<Uid>,
    pub(crate) content: Content<'a>,
    /// The name that its sharer gave to a file.
    pub(crate) file_name: Option<&'a FileName>,
    pub(crate) inherited: Inherited,
}

/// Whether something was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was; so many bytes are to be flushed.
    Unflushed(usize),
    /// It was not, and is to be tried again.
    NotNow,
    /// It was not, and never is: the operator has removed the client.
    Never,
}

impl Room {
    /// An empty room that keeps the last `history` public messages.
    pub(crate) fn new(history: usize) -> Room {
        let state = State { history: History::new(history), ..State::default() };
        Room { state: Mutex::new(state) }
    }

    /// Makes a newcomer active, under the next UID (§2.3.1.2), with what `make` returns for that.
    pub(crate) fn join(&self, make: impl FnOnce(Uid) -> Outbox) -> Arc<Outbox> {
        let mut state = self.state.lock();
        state.last_uid += 1;
        let uid = Uid(state.last_uid);
        let outbox = Arc::new(make(uid));
        let sequence_before = state.sequence;
        let member = Member { outbox: Arc::clone(&outbox), nickname: None, sequence_before };
        state.active.insert(uid, member);
        state.roster = None;
        state.batch.join(&outbox);
        outbox
    }

    /// Takes a client out of the room; what was queued for it before is still its own. Its session
    /// may still carry out what had come before, until [`Room::end`].
    ///
    /// Returns whether it was active: the first cause wins, and is the one that is told (§2.3.4).
    pub fn leave(&self, outbox: &Arc<Outbox>, cause: Cause) -> bool {
        self.state.lock().take_out(outbox, cause)
    }

    /// Takes a client out for the operator, behind the last words that `encode` appends: nothing
    /// that it says or asks is carried out from here on.
    ///
    /// # Errors
    /// As [`Room::check_receiver`].
    pub(crate) fn remove(
        &self,
        uid: Uid,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Arc<Outbox>, RoomError> {
        let mut state = self.state.lock();
        let outbox = Arc::clone(state.receiver(uid)?);
        state.batch.add(&outbox, encode);
        outbox.set_removed();
        state.take_out(&outbox, Cause::Removed);
        Ok(outbox)
    }

    /// Takes out of the room what turned out to be a request for a page: to others it is a UID that
    /// has never connected. [`LEFT_LIMIT`] of them are remembered.
    ///
    /// Returns whether it was active.
    pub(crate) fn withdraw(&self, outbox: &Arc<Outbox>) -> bool {
        let uid = outbox.uid();
        let mut state = self.state.lock();
        if state.active.remove(&uid).is_none() {
            return false;
        }
        outbox.set_left();
        state.roster = None;
        state.withdrawn += 1;
        state.never_there.insert(uid);
        if state.never_there.len() > LEFT_LIMIT {
            state.never_there.pop_first();
        }
        true
    }

    /// The session of a client that has left has ended: those who get notices are told, behind all
    /// that it said.
    pub(crate) fn end(&self, outbox: &Arc<Outbox>) {
        let mut state = self.state.lock();
        let ended = state.leaving.remove(&outbox.uid());
        if let Some(Leaving { nickname: Some(nickname), cause }) = ended {
            state.tell(outbox, &nickname, News::Left(&cause.to_string()));
        }
    }

    /// Sets a client's nickname (§2.3.1.3), tells those who get notices, and adds the response, which
    /// `respond` appends to what it is given. `may_add` is asked first, as in [`Room::chat`], and is
    /// told as well whether there is news for others.
    pub(crate) fn set_nickname(
        &self,
        outbox: &Arc<Outbox>,
        nickname: &Nickname,
        respond: impl FnOnce(&mut Vec<u8>),
        may_add: impl FnOnce(usize, bool) -> bool,
    ) -> Added {
        let mut state = self.state.lock();
        if outbox.is_removed() {
            return Added::Never;
        }
        let old = state.nickname(outbox.uid()).map(|old| old.clone());
        let is_new = old.as_ref().is_some_and(|old| old.as_ref() != Some(nickname));
        let is_news = is_new && state.has_listeners(outbox);
        if !may_add(state.batch.len(), is_news) {
            return Added::NotNow;
        }
        match old.flatten() {
            _ if !is_news => {}
            None => state.tell(outbox, nickname, News::Joined),
            Some(old) => state.tell(outbox, &old, News::Nickname(nickname.as_str())),
        }
        if let Some(slot) = state.nickname(outbox.uid()) {
            *slot = Some(nickname.clone());
        }
        state.batch.add(outbox, respond);
        Added::Unflushed(state.batch.len())
    }

    /// Answers a client that asks for the extended form, which it gets behind the answer (E2).
    /// `respond` and `may_add` are as in [`Room::respond`].
    pub(crate) fn extend(
        &self,
        outbox: &Arc<Outbox>,
        respond: impl FnOnce(&mut Vec<u8>),
        may_add: impl FnOnce(usize) -> bool,
    ) -> Added {
        self.add_for(outbox, may_add, |state| {
            state.batch.add(outbox, respond);
            if !outbox.is_extended() && !outbox.has_left() {
                state.batch.extend(outbox);
                state.extended += 1;
            }
        })
    }

    /// The last `count` public messages from before a client became active, the oldest first; of these
    /// only the ones whose `Sequence` is above `after` (E3).
    ///
    /// # Errors
    /// [`RoomError::HistoryOff`] where none are kept.
    pub(crate) fn history(&self, uid: Uid, count: u64, after: u64) -> Result<Vec<Kept>, RoomError> {
        let state = self.state.lock();
        let kept = state.history_for(uid, count, after)?;
        Ok(kept.cloned().collect())
    }

    /// How many bytes these messages have in the extended form.
    ///
    /// # Errors
    /// As [`Room::history`].
    pub(crate) fn history_len(&self, uid: Uid, count: u64, after: u64) -> Result<usize, RoomError> {
        let state = self.state.lock();
        Ok(state.history_for(uid, count, after)?.map(Kept::len).sum())
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

    /// Whether the operator lets `sender` say something: to one, or to all.
    ///
    /// # Errors
    /// [`RoomError::Muted`] or [`RoomError::Hushed`].
    pub(crate) fn check_may_say(&self, sender: &Outbox, to: Option<Uid>) -> Result<(), RoomError> {
        self.state.lock().check_may_say(sender, to)
    }

    /// Mutes a client, or lets it speak again: of what is added behind this.
    ///
    /// # Errors
    /// As [`Room::check_receiver`].
    pub(crate) fn set_muted(&self, uid: Uid, muted: bool) -> Result<(), RoomError> {
        let state = self.state.lock();
        state.receiver(uid).map(|outbox| outbox.set_muted(muted))
    }

    /// Lets the operator alone speak to all, or everybody again: of what is added behind this.
    pub(crate) fn set_hushed(&self, hushed: bool) {
        self.state.lock().hushed = hushed;
    }

    /// Adds a public text of the operator, from UID 0. `may_add` is asked first, as in [`Room::chat`].
    pub(crate) fn announce(
        &self,
        nickname: Option<&Nickname>,
        text: &[u8],
        may_add: impl FnOnce(usize) -> bool,
    ) -> Added {
        let content = Content::Text(text);
        let relay = Relay { to: None, from: Uid(0), nickname, content };
        let mut state = self.state.lock();
        if !may_add(state.batch.len()) {
            return Added::NotNow;
        }
        state.add_public(&relay, None);
        state.count(None, None);
        Added::Unflushed(state.batch.len())
    }

    /// Adds a chat for everybody it is for, and then its response (§2.3.2): one hold of the lock,
    /// under which `may_add` is asked first; it is given how many bytes are to be flushed already.
    ///
    /// # Errors
    /// As [`Room::check_receiver`] and [`Room::check_may_say`]; then nothing is added, the response
    /// neither.
    pub(crate) fn chat(
        &self,
        sender: &Arc<Outbox>,
        nickname: Option<&Nickname>,
        chat: ChatToAdd<'_>,
        may_add: impl FnOnce(usize) -> bool,
    ) -> Result<Added, RoomError> {
        let ChatToAdd { to, content, file_name, inherited } = chat;
        let relay = Relay { to, from: sender.uid(), nickname, content };
        let file_id = match content {
            Content::File { id, .. } => Some(id),
            Content::Text(_) => None,
        };
        let mut state = self.state.lock();
        if sender.is_removed() {
            return Ok(Added::Never);
        }
        state.check_may_say(sender, to)?;
        let receiver = to.map(|uid| state.receiver(uid).cloned()).transpose()?;
        if !may_add(state.batch.len()) {
            return Ok(Added::NotNow);
        }
        let start = state.batch.place();
        match &receiver {
            Some(receiver) => state.add_private(receiver, &relay, file_name),
            None => state.add_public(&relay, file_name),
        }
        state.batch.answer_chat(sender, start, to, inherited, file_id);
        state.count(Some(sender), to);
        Ok(Added::Unflushed(state.batch.len()))
    }

    /// Adds a response for one client, which `encode` appends to what it is given; and behind it the
    /// bytes of a staged file, if there is one. `may_add` is asked first, as in [`Room::chat`].
    pub(crate) fn respond(
        &self,
        outbox: &Arc<Outbox>,
        file: Option<(&Arc<Fetch>, u64)>,
        encode: impl FnOnce(&mut Vec<u8>),
        may_add: impl FnOnce(usize) -> bool,
    ) -> Added {
        self.add_for(outbox, may_add, |state| {
            state.batch.add(outbox, encode);
            if let Some((file, len)) = file {
                state.batch.add_file(outbox, Arc::clone(file), len);
            }
        })
    }

    /// Has `add` add what is for one client, unless the operator has removed it, or `may_add` says not
    /// now.
    fn add_for(
        &self,
        outbox: &Outbox,
        may_add: impl FnOnce(usize) -> bool,
        add: impl FnOnce(&mut State),
    ) -> Added {
        let mut state = self.state.lock();
        if outbox.is_removed() {
            return Added::Never;
        }
        if !may_add(state.batch.len()) {
            return Added::NotNow;
        }
        add(&mut state);
        Added::Unflushed(state.batch.len())
    }

    /// Adds a control frame for one client that gets frames.
    pub(crate) fn add_control(&self, outbox: &Arc<Outbox>, frame: &[u8]) {
        self.state.lock().batch.add_control(outbox, frame);
    }

    /// Whether something is to be flushed.
    pub(crate) fn has_unflushed(&self) -> bool {
        !self.state.lock().batch.is_empty()
    }

    /// Exchanges the batch for an empty one, and returns it with those that its public part is for;
    /// `None` where there is nothing to be flushed.
    pub(crate) fn take_batch(
        &self,
        empty: impl FnOnce() -> Box<Batch>,
    ) -> Option<(Box<Batch>, Roster)> {
        let mut state = self.state.lock();
        if state.batch.is_empty() {
            return None;
        }
        let mut next = empty();
        next.set_number(state.batch.number() + 1);
        let batch = std::mem::replace(&mut state.batch, next);
        let roster = if batch.has_public() { state.roster() } else { Roster::default() };
        Some((batch, roster))
    }

    /// How many clients are active, and how many have been in all: requests for a page are none.
    pub(crate) fn population(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.active.len(), state.last_uid - state.withdrawn)
    }

    /// How much was said since the server started.
    pub(crate) fn said(&self) -> Said {
        self.state.lock().said
    }

    /// The outgoing sides of all active clients with their nicknames, ascending by UID.
    pub(crate) fn members(&self) -> Vec<(Arc<Outbox>, Option<Nickname>)> {
        let state = self.state.lock();
        let of = |member: &Member| (Arc::clone(&member.outbox), member.nickname.clone());
        state.active.values().map(of).collect()
    }

    /// An active client.
    ///
    /// # Errors
    /// As [`Room::check_receiver`].
    pub(crate) fn find(&self, uid: Uid) -> Result<Arc<Outbox>, RoomError> {
        self.state.lock().receiver(uid).cloned()
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
