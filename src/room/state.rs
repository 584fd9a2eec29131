//! What the room's lock is around: who is active and how the others left, the batch, and the one order
//! of all that is said. Pure bookkeeping: what may be done in one hold of the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::batch::Batch;
use super::history::{Clock, History, Kept};
use super::{LEFT_LIMIT, Roster, Said};
use crate::delivery::outbox::Outbox;
use crate::ids::Uid;
use crate::reason::{Cause, RoomError};
use crate::text::{FileName, Nickname};
use crate::wire::{Extra, News, Notice, Relay};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) active: BTreeMap<Uid, Member>,
    /// The outboxes of `active`, as handed out last; `None` once somebody joined or left since.
    pub(super) roster: Option<Roster>,
    pub(super) last_uid: u64,
    /// How many of them turned out to be requests for a page.
    pub(super) withdrawn: u64,
    pub(super) left: HashMap<Uid, Cause>,
    /// The keys of `left`, the oldest first.
    pub(super) left_order: VecDeque<Uid>,
    /// UIDs of requests for a page, which were never anybody: the newest ones.
    pub(super) never_there: BTreeSet<Uid>,
    /// Those who left and whose sessions still carry out what had come before.
    pub(super) leaving: HashMap<Uid, Leaving>,
    /// How many active clients get the extended form.
    pub(super) extended: usize,
    /// How many public messages there were: the number of the last one.
    pub(super) sequence: u64,
    pub(super) history: History,
    pub(super) clock: Clock,
    /// In a box: flushes exchange it.
    pub(super) batch: Box<Batch>,
    /// Whether the operator alone speaks to all.
    pub(super) hushed: bool,
    pub(super) said: Said,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) outbox: Arc<Outbox>,
    pub(super) nickname: Option<Nickname>,
    /// The number of the last public message before it became active.
    pub(super) sequence_before: u64,
}

#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) nickname: Option<Nickname>,
    pub(super) cause: Cause,
}

impl State {
    pub(super) fn roster(&mut self) -> Roster {
        let active = &self.active;
        let fill = || active.values().map(|member| Arc::clone(&member.outbox)).collect();
        Arc::clone(self.roster.get_or_insert_with(fill))
    }

    pub(super) fn receiver(&self, uid: Uid) -> Result<&Arc<Outbox>, RoomError> {
        if let Some(member) = self.active.get(&uid) {
            return Ok(&member.outbox);
        }
        if uid.0 == 0 || uid.0 > self.last_uid || self.never_there.contains(&uid) {
            return Err(RoomError::NeverConnected { uid });
        }
        Err(RoomError::HasLeft { uid, cause: self.left.get(&uid).copied() })
    }

    /// Adds a public chat: as the draft has it, in the extended form where somebody gets that, and to
    /// the history.
    pub(super) fn add_public(&mut self, relay: &Relay<'_>, file_name: Option<&FileName>) {
        self.sequence += 1;
        let (encoded, place) = self.batch.add_public(relay);
        if self.extended == 0 && !self.history.is_on() {
            return;
        }
        let extra = Extra { file_name, sequence: Some(self.sequence), time: self.clock.now() };
        self.history.keep(self.sequence, encoded, place, &extra);
        if self.extended > 0 {
            self.batch.add_extended(relay, &extra);
        }
    }

    pub(super) fn add_private(
        &mut self,
        receiver: &Arc<Outbox>,
        relay: &Relay<'_>,
        file_name: Option<&FileName>,
    ) {
        if receiver.is_extended() {
            let extra = Extra { file_name, sequence: None, time: self.clock.now() };
            self.batch.add(receiver, |out| relay.encode_extended(&extra, out));
        } else {
            self.batch.add(receiver, |out| {
                relay.encode(out);
            });
        }
    }

    /// Whether a notice about this client would reach anybody.
    pub(super) fn has_listeners(&self, about: &Outbox) -> bool {
        // One that has left is no longer among those who get the extended form.
        let is_among_them = about.is_extended() && !about.has_left();
        self.extended > usize::from(is_among_them)
    }

    /// Tells all that get the extended form, but the client itself, what is new of it.
    pub(super) fn tell(&mut self, about: &Arc<Outbox>, nickname: &Nickname, news: News<'_>) {
        if self.has_listeners(about) {
            let notice = Notice { from: about.uid(), nickname, time: self.clock.now(), news };
            self.batch.add_notice(about, &notice);
        }
    }

    /// Where the nickname of a client stands whose session has not ended.
    pub(super) fn nickname(&mut self, uid: Uid) -> Option<&mut Option<Nickname>> {
        match self.active.get_mut(&uid) {
            Some(member) => Some(&mut member.nickname),
            None => self.leaving.get_mut(&uid).map(|leaving| &mut leaving.nickname),
        }
    }

    /// What is kept of what was said before a client became active.
    pub(super) fn history_for(
        &self,
        uid: Uid,
        count: u64,
        after: u64,
    ) -> Result<impl Iterator<Item = &Kept>, RoomError> {
        if !self.history.is_on() {
            return Err(RoomError::HistoryOff);
        }
        // One that has left can read no answer.
        let until = self.active.get(&uid).map_or(0, |member| member.sequence_before);
        Ok(self.history.last(count, after, until))
    }

    /// Whether the operator lets `sender` say something: to one, or to all.
    pub(super) fn check_may_say(&self, sender: &Outbox, to: Option<Uid>) -> Result<(), RoomError> {
        if sender.is_muted() {
            return Err(RoomError::Muted);
        }
        if self.hushed && to.is_none() { Err(RoomError::Hushed) } else { Ok(()) }
    }

    pub(super) fn count(&mut self, sender: Option<&Outbox>, to: Option<Uid>) {
        let Said { public, private, deliveries } = &mut self.said;
        if to.is_some() {
            *private += 1;
            *deliveries += 1;
        } else {
            let is_here = sender.is_some_and(|sender| !sender.has_left());
            *public += 1;
            *deliveries += (self.active.len() - usize::from(is_here)) as u64;
        }
    }

    /// Takes a client out; returns whether it was active.
    pub(super) fn take_out(&mut self, outbox: &Arc<Outbox>, cause: Cause) -> bool {
        let uid = outbox.uid();
        let Some(member) = self.active.remove(&uid) else { return false };
        outbox.set_left();
        self.extended -= usize::from(outbox.is_extended());
        self.leaving.insert(uid, Leaving { nickname: member.nickname, cause });
        self.roster = None;
        self.batch.leave(outbox);
        self.left.insert(uid, cause);
        self.left_order.push_back(uid);
        if self.left_order.len() > LEFT_LIMIT
            && let Some(oldest) = self.left_order.pop_front()
        {
            self.left.remove(&oldest);
        }
        true
    }
}
