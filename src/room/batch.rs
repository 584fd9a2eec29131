//! What was said since the last flush, in the room's one order, and who gets which bytes of it.
//!
//! Public relays stand one behind the other in one buffer for each [`Form`], encoded once: a client
//! that said nothing and was there all the time gets that buffer as it is. What concerns one client
//! alone is an [`Entry`] with its [`Place`] in that order, so that a client's own view can be put
//! together: the public relays but its own, with its private relays and responses where they belong.
//!
//! [`Batch::deliver`] is the only traversal: what takes the bytes is a [`Sink`]. Which bytes a client
//! gets is in `view`. Pure bookkeeping: no lock, no socket, no thread.

mod view;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use self::view::Segment;
use super::Roster;
use crate::delivery::outbox::Outbox;
use crate::ids::{FileId, Uid};
use crate::stage::Fetch;
use crate::wire::{Extra, Inherited, Notice, Relay, Response, Status};

/// In which form a client gets relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the draft has them.
    Plain,
    /// With more fields, and notices in between (E2).
    Extended,
}

/// Relays and responses that have been accepted and not been offered to a socket yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Which one it is: a room's batches are numbered.
    number: u64,
    /// Public relays, encoded as the draft has them.
    plain: Vec<u8>,
    /// Public relays and notices in the extended form, of the time in which somebody gets it.
    extended: Vec<u8>,
    /// Private relays and responses, encoded; entries hold ranges of it.
    private: Vec<u8>,
    /// Responses to chats, encoded only once their relays were offered (§2.3.4).
    late: Vec<u8>,
    entries: Vec<Entry>,
    /// Empty; kept for its buffer.
    segments: Vec<Segment>,
}

/// A place in the order: how much stands before it, in bytes, in either form.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    plain: usize,
    extended: usize,
}

impl Place {
    fn offset(self, form: Form) -> usize {
        match form {
            Form::Plain => self.plain,
            Form::Extended => self.extended,
        }
    }
}

/// Something that concerns one client alone.
#[derive(Debug)]
struct Entry {
    outbox: Arc<Outbox>,
    /// The form that the client got before it.
    form: Form,
    place: Place,
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
    /// A control frame: a range of the private buffer.
    Control(Range<usize>),
    /// The response to a chat.
    ChatResponse {
        inherited: Inherited,
        file_id: Option<FileId>,
        /// The receiver of a private chat.
        to: Option<Uid>,
        /// Where the chat itself begins, up to here, if it was public: its sender does not get it.
        start: Place,
    },
    /// A notice about the client begins there and ends here: it does not get it.
    OwnNotice { start: Place },
    /// The client gets the extended form from here on.
    Extended,
    /// A staged file, behind its response's header.
    File { file: Arc<Fetch>, len: u64 },
}

/// What takes a batch.
pub(crate) trait Sink {
    /// Takes all that a client gets, in order.
    fn offer(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]);

    /// The others have been offered everything; so many are left, which have sent chats themselves.
    fn note_talkers(&mut self, count: usize, first: Option<Uid>);

    /// These are to be looked at, whether they are gone: they get something from others that are
    /// answered before it is offered to them.
    fn look_at(&mut self, outboxes: &[&Arc<Outbox>]);

    /// What became of a chat from `sender`: for `to`, or for all the others on the roster.
    fn outcome(&mut self, sender: Uid, to: Option<Uid>, roster: &Roster) -> Outcome;
}

/// A client that has sent chats, and what it gets: answered once the relays were offered.
struct Talker {
    group: Range<usize>,
    is_active: bool,
    talks_to_all: bool,
    /// Whether it talks to one.
    whispers: bool,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_public() && self.entries.is_empty()
    }

    /// Whether there is something that several clients may get.
    pub(crate) fn has_public(&self) -> bool {
        !self.plain.is_empty() || !self.extended.is_empty()
    }

    /// How many bytes it holds for those who get all of it.
    pub(crate) fn len(&self) -> usize {
        self.plain.len().max(self.extended.len()) + self.private.len()
    }

    /// All public relays, and with the extended form notices, encoded.
    pub(crate) fn public(&self, form: Form) -> &[u8] {
        match form {
            Form::Plain => &self.plain,
            Form::Extended => &self.extended,
        }
    }

    /// Its number in the room; set once, while it is empty.
    pub(crate) fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    /// Its number in the room.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Empties it and keeps the buffers, unless one message has made them larger than `keep`.
    pub(crate) fn empty(&mut self, keep: usize) {
        for buffer in [&mut self.plain, &mut self.extended, &mut self.private, &mut self.late] {
            buffer.clear();
            buffer.shrink_to(keep);
        }
        self.entries.clear();
        self.entries.shrink_to(keep / size_of::<Entry>());
        self.segments.shrink_to(keep / size_of::<Segment>());
    }

    /// The place of what comes next.
    pub(crate) fn place(&self) -> Place {
        Place { plain: self.plain.len(), extended: self.extended.len() }
    }

    fn push(&mut self, outbox: &Arc<Outbox>, kind: EntryKind) {
        let form = if outbox.is_extended() { Form::Extended } else { Form::Plain };
        let (place, order) = (self.place(), self.entries.len());
        self.entries.push(Entry { outbox: Arc::clone(outbox), form, place, order, kind });
    }

    /// A client became active: it gets nothing of what stands here already.
    pub(crate) fn join(&mut self, outbox: &Arc<Outbox>) {
        if self.has_public() {
            self.push(outbox, EntryKind::Joined);
        }
    }

    /// A client left: it gets nothing of what comes from here on.
    pub(crate) fn leave(&mut self, outbox: &Arc<Outbox>) {
        if self.has_public() {
            self.push(outbox, EntryKind::Left);
        }
    }

    /// A client gets the extended form from here on.
    pub(crate) fn extend(&mut self, outbox: &Arc<Outbox>) {
        self.push(outbox, EntryKind::Extended);
        outbox.set_extended(self.number);
    }

    /// Adds a notice for all that get the extended form, but the client that it is about.
    pub(crate) fn add_notice(&mut self, about: &Arc<Outbox>, notice: &Notice<'_>) {
        let start = self.place();
        notice.encode(&mut self.extended);
        if about.is_extended() && !about.has_left() {
            self.push(about, EntryKind::OwnNotice { start });
        }
    }

    /// Adds a response, or whatever else `encode` appends, for one client.
    pub(crate) fn add(&mut self, outbox: &Arc<Outbox>, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.private.len();
        encode(&mut self.private);
        self.push(outbox, EntryKind::Bytes(start..self.private.len()));
    }

    /// Adds a control frame for one client that gets frames.
    pub(crate) fn add_control(&mut self, outbox: &Arc<Outbox>, frame: &[u8]) {
        let start = self.private.len();
        self.private.extend_from_slice(frame);
        self.push(outbox, EntryKind::Control(start..self.private.len()));
    }

    /// Adds a file's bytes, behind its header that was added before.
    pub(crate) fn add_file(&mut self, outbox: &Arc<Outbox>, file: Arc<Fetch>, len: u64) {
        self.push(outbox, EntryKind::File { file, len });
    }

    /// Adds a public relay as the draft has it. Returns its bytes, and where in them the fields of the
    /// extended form would stand.
    pub(crate) fn add_public(&mut self, relay: &Relay<'_>) -> (&[u8], usize) {
        let start = self.plain.len();
        let place = relay.encode(&mut self.plain);
        (&self.plain[start..], place)
    }

    /// Adds the same relay for those who get the extended form.
    pub(crate) fn add_extended(&mut self, relay: &Relay<'_>, extra: &Extra<'_>) {
        relay.encode_extended(extra, &mut self.extended);
    }

    /// Adds the response to a chat that begins at `start`, for its sender.
    pub(crate) fn answer_chat(
        &mut self,
        sender: &Arc<Outbox>,
        start: Place,
        to: Option<Uid>,
        inherited: Inherited,
        file_id: Option<FileId>,
    ) {
        self.push(sender, EntryKind::ChatResponse { inherited, file_id, to, start });
    }

    /// Hands every client what is its own: those on the roster, and those that have entries. The ones
    /// that sent chats come last, so that their responses can tell of a receiver that turned out to be
    /// gone (§2.3.4).
    pub(crate) fn deliver(&mut self, roster: &Roster, sink: &mut impl Sink) {
        self.entries.sort_unstable_by_key(|entry| (entry.outbox.uid(), entry.order));
        let mut segments = std::mem::take(&mut self.segments);
        let talkers = self.deliver_relays(roster, &mut segments, sink);
        let first = talkers.first().map(|talker| self.outbox(talker).uid());
        sink.note_talkers(talkers.len(), first);
        if talkers.len() > 1 {
            sink.look_at(&self.answered_to_early(&talkers));
        }
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
        segments.clear();
        self.segments = segments;
    }

    /// Offers what there is to all that sent no chats; returns the others.
    fn deliver_relays(
        &self,
        roster: &Roster,
        segments: &mut Vec<Segment>,
        sink: &mut impl Sink,
    ) -> Vec<Talker> {
        let mut talkers = Vec::new();
        let mut active = roster.iter().peekable();
        for group in self.groups() {
            let entries = &self.entries[group.clone()];
            let outbox = &entries[0].outbox;
            while let Some(silent) = active.next_if(|other| other.uid() < outbox.uid()) {
                self.offer_whole(silent, sink);
            }
            let is_active = active.next_if(|other| other.uid() == outbox.uid()).is_some();
            let (mut talks_to_all, mut whispers) = (false, false);
            for entry in entries {
                if let EntryKind::ChatResponse { to, .. } = entry.kind {
                    talks_to_all |= to.is_none();
                    whispers |= to.is_some();
                }
            }
            if talks_to_all || whispers {
                talkers.push(Talker { group, is_active, talks_to_all, whispers });
            } else {
                self.view(group, is_active, segments, |_| 0..0);
                sink.offer(self, outbox, segments);
            }
        }
        for silent in active {
            self.offer_whole(silent, sink);
        }
        talkers
    }

    /// Offers a client all that is public: it has no entries, so it gets one form all the time.
    fn offer_whole(&self, silent: &Arc<Outbox>, sink: &mut impl Sink) {
        let is_extended = silent.is_extended_before(self.number);
        let form = if is_extended { Form::Extended } else { Form::Plain };
        let len = self.public(form).len();
        // Where nothing was said, those who get the plain form are told nothing of notices.
        if len > 0 {
            sink.offer(self, silent, &[Segment::Public(form, 0..len)]);
        }
    }

    fn outbox(&self, talker: &Talker) -> &Arc<Outbox> {
        &self.entries[talker.group.start].outbox
    }

    /// Those of the talkers that get something from another one, but the first of them: it is offered
    /// all that it gets before any other is answered. (Where it has a queue, that is for its writer to
    /// find out, as with those who do not talk.)
    fn answered_to_early(&self, talkers: &[Talker]) -> Vec<&Arc<Outbox>> {
        let to_all = talkers.iter().filter(|talker| talker.talks_to_all).count();
        let mut found = Vec::with_capacity(talkers.len());
        let whispered_to = self.whispered_to(talkers);
        for (index, talker) in talkers.iter().enumerate().skip(1) {
            let hears = to_all > usize::from(talker.talks_to_all);
            if hears || whispered_to.get(index) == Some(&true) {
                found.push(self.outbox(talker));
            }
        }
        found
    }

    /// Which of the talkers another one talks to alone; empty where none does so.
    fn whispered_to(&self, talkers: &[Talker]) -> Vec<bool> {
        let mut found = Vec::new();
        let whisperers = talkers.iter().enumerate().filter(|(_, talker)| talker.whispers);
        for (index, talker) in whisperers {
            found.resize(talkers.len(), false);
            for entry in &self.entries[talker.group.clone()] {
                if let EntryKind::ChatResponse { to: Some(to), .. } = entry.kind
                    && let Ok(other) =
                        talkers.binary_search_by_key(&to, |talker| self.outbox(talker).uid())
                {
                    found[other] |= other != index;
                }
            }
        }
        found
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
