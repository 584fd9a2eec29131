//! What was said since the last flush, in the room's one order, and who gets which bytes of it.
//!
//! Public relays stand one behind the other in one buffer, encoded once: a client that said nothing
//! and was there all the time gets that buffer as it is. What concerns one client alone is an
//! [`Entry`] with its place in that order, so that a client's own view can be put together: the
//! public relays but its own, with its private relays and responses where they belong.
//!
//! [`Batch::deliver`] is the only traversal: what takes the bytes is a [`Sink`]. Pure bookkeeping: no
//! lock, no socket, no thread.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::Roster;
use crate::delivery::outbox::Outbox;
use crate::ids::{FileId, Uid};
use crate::wire::{Inherited, Relay, Response, Status};

/// Relays and responses that have been accepted and not been offered to a socket yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Public relays, encoded.
    public: Vec<u8>,
    /// Private relays and responses, encoded; entries hold ranges of it.
    private: Vec<u8>,
    /// Responses to chats, encoded only once their relays were offered (§2.3.4).
    late: Vec<u8>,
    entries: Vec<Entry>,
}

/// Something that concerns one client alone.
#[derive(Debug)]
struct Entry {
    outbox: Arc<Outbox>,
    /// How much of the public buffer stood before it.
    public_offset: usize,
    /// Its number, since several entries can stand at the same place.
    order: usize,
    kind: EntryKind,
}

#[derive(Debug)]
enum EntryKind {
    /// The client became active here.
    Joined,
    /// The client left here; what was queued for it before is still its own.
    Left,
    /// A private relay or a response, encoded: a range of the private buffer.
    Bytes(Range<usize>),
    /// The response to a chat.
    ChatResponse {
        inherited: Inherited,
        file_id: Option<FileId>,
        /// The receiver of a private chat.
        to: Option<Uid>,
        /// The chat itself, where it was public: its sender does not get it.
        own: Range<usize>,
    },
    /// A staged file, behind its response's header.
    File { file: Arc<File>, len: u64 },
}

/// Which bytes go to a client, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A part of the public buffer.
    Public(Range<usize>),
    /// A part of the private buffer.
    Private(Range<usize>),
    /// A part of the buffer of responses that were encoded late.
    Late(Range<usize>),
    /// The entry with this index is a file.
    File(usize),
}

/// What takes a batch.
pub(crate) trait Sink {
    /// Takes all that a client gets, in order.
    fn offer(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]);

    /// The others have been offered everything; of these, which have sent chats themselves, those
    /// that `get` something from another one are to be looked at, whether they are gone.
    fn look_at_talkers(&mut self, talkers: &[&Arc<Outbox>], get: &[&Arc<Outbox>]);

    /// What became of a chat from `sender`: for `to`, or for all the others on the roster.
    fn outcome(&mut self, sender: Uid, to: Option<Uid>, roster: &Roster) -> Outcome;
}

/// A client that has sent chats, and what it gets: answered once the relays were offered.
struct Talker {
    group: Range<usize>,
    is_active: bool,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.public.is_empty() && self.entries.is_empty()
    }

    /// How many bytes it holds for those who get all of it.
    pub(crate) fn len(&self) -> usize {
        self.public.len() + self.private.len()
    }

    /// All public relays, encoded.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The bytes of a segment; `None` for a file.
    pub(crate) fn bytes(&self, segment: &Segment) -> Option<&[u8]> {
        match segment {
            Segment::Public(range) => Some(&self.public[range.clone()]),
            Segment::Private(range) => Some(&self.private[range.clone()]),
            Segment::Late(range) => Some(&self.late[range.clone()]),
            Segment::File(_) => None,
        }
    }

    /// The file of a segment, and how long it is.
    pub(crate) fn file(&self, segment: &Segment) -> Option<(&Arc<File>, u64)> {
        let Segment::File(index) = segment else { return None };
        match &self.entries[*index].kind {
            EntryKind::File { file, len } => Some((file, *len)),
            _ => None,
        }
    }

    /// Empties it and keeps the buffers, unless one message has made them larger than `keep`.
    pub(crate) fn emptied(mut self, keep: usize) -> Batch {
        for buffer in [&mut self.public, &mut self.private, &mut self.late] {
            buffer.clear();
            buffer.shrink_to(keep);
        }
        self.entries.clear();
        self.entries.shrink_to(keep / size_of::<Entry>());
        self
    }

    fn push(&mut self, outbox: &Arc<Outbox>, kind: EntryKind) {
        let (public_offset, order) = (self.public.len(), self.entries.len());
        self.entries.push(Entry { outbox: Arc::clone(outbox), public_offset, order, kind });
    }

    /// A client became active: it gets nothing of what stands here already.
    pub(crate) fn join(&mut self, outbox: &Arc<Outbox>) {
        if !self.public.is_empty() {
            self.push(outbox, EntryKind::Joined);
        }
    }

    /// A client left: it gets nothing of what comes from here on.
    pub(crate) fn leave(&mut self, outbox: &Arc<Outbox>) {
        if !self.public.is_empty() {
            self.push(outbox, EntryKind::Left);
        }
    }

    /// Adds a response, or whatever else `encode` appends, for one client.
    pub(crate) fn add(&mut self, outbox: &Arc<Outbox>, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.private.len();
        encode(&mut self.private);
        self.push(outbox, EntryKind::Bytes(start..self.private.len()));
    }

    /// Adds a file's bytes, behind its header that was added before.
    pub(crate) fn add_file(&mut self, outbox: &Arc<Outbox>, file: Arc<File>, len: u64) {
        self.push(outbox, EntryKind::File { file, len });
    }

    /// Adds a chat for `receiver`, or for everybody else, and then the response for its sender.
    pub(crate) fn add_chat(
        &mut self,
        sender: &Arc<Outbox>,
        receiver: Option<&Arc<Outbox>>,
        relay: &Relay<'_>,
        inherited: Inherited,
        file_id: Option<FileId>,
    ) {
        let start = self.public.len();
        match receiver {
            Some(receiver) => self.add(receiver, |out| relay.encode(out)),
            None => relay.encode(&mut self.public),
        }
        let own = start..self.public.len();
        self.push(sender, EntryKind::ChatResponse { inherited, file_id, to: relay.to, own });
    }

    /// Hands every client what is its own: those on the roster, and those that have entries. The ones
    /// that sent chats come last, so that their responses can tell of a receiver that turned out to be
    /// gone (§2.3.4).
    pub(crate) fn deliver(&mut self, roster: &Roster, sink: &mut impl Sink) {
        self.entries.sort_unstable_by_key(|entry| (entry.outbox.uid(), entry.order));
        let mut segments = Vec::new();
        let talkers = self.deliver_relays(roster, &mut segments, sink);
        let all: Vec<_> = talkers.iter().map(|talker| self.outbox(talker)).collect();
        sink.look_at_talkers(&all, &self.addressed(&talkers));
        for talker in &talkers {
            let sender = self.outbox(talker).uid();
            let mut late = std::mem::take(&mut self.late);
            self.view(talker.group.clone(), talker.is_active, &mut segments, |kind| {
                let start = late.len();
                if let EntryKind::ChatResponse { inherited, file_id, to, .. } = kind {
                    let outcome = sink.outcome(sender, *to, roster);
                    encode_chat_response(*inherited, *file_id, &outcome, &mut late);
                }
                start..late.len()
            });
            self.late = late;
            sink.offer(self, self.outbox(talker), &segments);
        }
    }

    /// Offers what there is to all that sent no chats; returns the others.
    fn deliver_relays(
        &self,
        roster: &Roster,
        segments: &mut Vec<Segment>,
        sink: &mut impl Sink,
    ) -> Vec<Talker> {
        let whole = [Segment::Public(0..self.public.len())];
        let mut talkers = Vec::new();
        let mut active = roster.iter().peekable();
        for group in self.groups() {
            let entries = &self.entries[group.clone()];
            let outbox = &entries[0].outbox;
            while let Some(silent) = active.next_if(|other| other.uid() < outbox.uid()) {
                sink.offer(self, silent, &whole);
            }
            let is_active = active.next_if(|other| other.uid() == outbox.uid()).is_some();
            if entries.iter().any(|entry| matches!(entry.kind, EntryKind::ChatResponse { .. })) {
                talkers.push(Talker { group, is_active });
            } else {
                self.view(group, is_active, segments, |_| 0..0);
                sink.offer(self, outbox, segments);
            }
        }
        for silent in active {
            sink.offer(self, silent, &whole);
        }
        talkers
    }

    fn outbox(&self, talker: &Talker) -> &Arc<Outbox> {
        &self.entries[talker.group.start].outbox
    }

    /// Those of the talkers that get something from another one.
    fn addressed(&self, talkers: &[Talker]) -> Vec<&Arc<Outbox>> {
        if talkers.len() < 2 {
            return Vec::new();
        }
        let mut is_addressed = vec![false; talkers.len()];
        let mut talk_to_all = Vec::new();
        for (index, talker) in talkers.iter().enumerate() {
            for entry in &self.entries[talker.group.clone()] {
                match entry.kind {
                    EntryKind::ChatResponse { to: Some(to), .. } => {
                        let uid_of = |talker: &Talker| self.outbox(talker).uid();
                        if let Ok(found) = talkers.binary_search_by_key(&to, uid_of) {
                            is_addressed[found] |= found != index;
                        }
                    }
                    EntryKind::ChatResponse { to: None, .. } => talk_to_all.push(index),
                    _ => {}
                }
            }
        }
        talk_to_all.dedup();
        let hears = |index| talk_to_all.iter().take(2).any(|&other| other != index);
        let get = |index: usize| is_addressed[index] || hears(index);
        let found = talkers.iter().enumerate().filter(|&(index, _)| get(index));
        found.map(|(_, talker)| self.outbox(talker)).collect()
    }

    /// Each client's entries, as ranges; of a sorted batch.
    fn groups(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut start = 0;
        self.entries.chunk_by(|a, b| a.outbox.uid() == b.outbox.uid()).map(move |group| {
            let range = start..start + group.len();
            start = range.end;
            range
        })
    }

    /// What one client gets: the public buffer but its own chats, and its entries in between.
    ///
    /// `is_active`: whether the client is active behind the batch; one that is not, and has not left
    /// within it, gets its entries alone. `late` is given each response that is to be encoded now,
    /// and appends it to the late buffer, whose range it returns.
    fn view(
        &self,
        group: Range<usize>,
        is_active: bool,
        segments: &mut Vec<Segment>,
        mut late: impl FnMut(&EntryKind) -> Range<usize>,
    ) {
        segments.clear();
        let entries = &self.entries[group.clone()];
        let left = entries.iter().find(|entry| matches!(entry.kind, EntryKind::Left));
        let all = if is_active { self.public.len() } else { 0 };
        let end = left.map_or(all, |entry| entry.public_offset);
        let mut next = 0;
        for (index, entry) in group.zip(entries) {
            let public_until = |until: usize| next.min(end)..until.min(end);
            let offset = entry.public_offset;
            match &entry.kind {
                EntryKind::Joined => next = offset,
                EntryKind::Left => {}
                EntryKind::Bytes(range) => {
                    push(segments, Segment::Public(public_until(offset)));
                    push(segments, Segment::Private(range.clone()));
                    next = offset.max(next);
                }
                EntryKind::ChatResponse { own, .. } => {
                    push(segments, Segment::Public(public_until(own.start)));
                    push(segments, Segment::Late(late(&entry.kind)));
                    next = own.end.max(next);
                }
                EntryKind::File { .. } => {
                    push(segments, Segment::Public(public_until(offset)));
                    segments.push(Segment::File(index));
                    next = offset.max(next);
                }
            }
        }
        push(segments, Segment::Public(next.min(end)..end));
    }
}

/// Appends a segment, joined with the one before it where they meet: fewer slices a system call.
fn push(segments: &mut Vec<Segment>, segment: Segment) {
    let (Segment::Public(new) | Segment::Private(new) | Segment::Late(new)) = &segment else {
        return segments.push(segment);
    };
    if new.is_empty() {
        return;
    }
    match (segments.last_mut(), &segment) {
        (Some(Segment::Public(last)), Segment::Public(_))
        | (Some(Segment::Private(last)), Segment::Private(_))
        | (Some(Segment::Late(last)), Segment::Late(_))
            if last.end == new.start =>
        {
            last.end = new.end;
        }
        _ => segments.push(segment),
    }
}

/// Encodes the response to a chat, once it is known what became of the relay (§2.3.4).
fn encode_chat_response(
    inherited: Inherited,
    file_id: Option<FileId>,
    outcome: &Outcome,
    out: &mut Vec<u8>,
) {
    let status = match outcome {
        Outcome::Reached | Outcome::Partly(_) => Status::Ok,
        Outcome::Nobody(_) => Status::Error,
    };
    // A file that nobody heard of has no ID to tell.
    let file_id = file_id.filter(|_| status == Status::Ok);
    let response = Response { file_id, ..Response::text(status, inherited) };
    match outcome {
        Outcome::Reached => response.encode(b"", out),
        Outcome::Partly(body) | Outcome::Nobody(body) => response.encode(body.as_bytes(), out),
    }
}

/// What became of a chat (§2.2.1.3, §2.3.4).
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is queued for everybody it was for.
    Reached,
    /// It is queued for some; the body names one that had gone, and the cause.
    Partly(String),
    /// It is queued for nobody; the body says why.
    Nobody(String),
}
