//! The flusher: offers a batch to everybody's sockets, and leaves to the queues what they do not
//! take. The rules it keeps stand over [`super`]; one thread at a time has it.
//!
//! What belongs to one flush is in a value made for it ([`Offering`]); from flush to flush it keeps
//! empty buffers alone, and who has talked.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::chunk::Chunk;
use super::membership::Membership;
use super::outbox::Outbox;
use super::socket::{self, SLICES_LIMIT, Wait};
use super::stall::StallWatch;
use super::way::Way;
use super::writer::Writers;
use crate::ids::Uid;
use crate::reason::{Cause, RoomError};
use crate::room::Roster;
use crate::room::batch::{Batch, Form, Outcome, Segment, Sink};

/// The largest piece that a queue holds, in bytes. A piece is in memory until its last byte is in the
/// socket, and what is in the socket no longer counts.
const PIECE_BYTES: usize = 64 * 1024;

/// What a flush works with.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) membership: Arc<Membership>,
    pub(super) writers: Writers,
    pub(super) stall_watch: StallWatch,
}

/// What is kept from flush to flush.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    /// Empty, with its buffers. `None` while it is used, and after a panic.
    spare: Option<Box<Batch>>,
    /// For its buffer; empty.
    framed: Vec<Segment>,
    /// Who has talked to all in the last batch; the first of them, where there were several.
    talker: Option<Uid>,
    /// Whether somebody else did so in it or in the one before.
    is_crowded: bool,
}

impl Flusher {
    /// Flushes what was added up to now; `false` where there was nothing. Keeps buffers of `keep`
    /// bytes.
    pub(super) fn flush_batch(&mut self, tools: &Tools, keep: usize) -> bool {
        let empty = || self.spare.take().unwrap_or_default();
        let Some((mut batch, roster)) = tools.membership.room.take_batch(empty) else {
            return false;
        };
        let mut offering = Offering::new(tools, std::mem::take(&mut self.framed));
        batch.deliver(&roster, &mut offering);
        offering.count();
        if batch.public(Form::Plain).is_empty() {
            self.is_crowded = false;
        } else {
            self.is_crowded = offering.talkers > 1 || offering.first_talker != self.talker;
            self.talker = offering.first_talker;
        }
        offering.framed.clear();
        offering.framed.shrink_to(keep / size_of::<Segment>());
        self.framed = offering.framed;
        batch.empty(keep);
        self.spare = Some(batch);
        true
    }

    /// Whether several members talk to all at the same time.
    pub(super) fn is_crowded(&self) -> bool {
        self.is_crowded
    }
}

/// One flush.
struct Offering<'a> {
    tools: &'a Tools,
    /// Who turned out to be gone in this batch.
    gone: Vec<Uid>,
    /// What turned out to be a request for a page, and was never anybody.
    never_there: Vec<Uid>,
    /// Segments with frames around them; kept for its buffer.
    framed: Vec<Segment>,
    /// The batch's public bytes for all the queues that take them, in either form; made where one
    /// does.
    shared: Shared,
    talkers: usize,
    first_talker: Option<Uid>,
    /// How many bytes sockets have taken.
    bytes_out: u64,
    /// How many chats have reached nobody.
    refusals: u64,
}

/// Public bytes that queues share, in pieces.
#[derive(Default)]
struct Shared {
    plain: Vec<Arc<[u8]>>,
    extended: Vec<Arc<[u8]>>,
}

impl Shared {
    /// Appends a part of a batch's public bytes to what a queue is to hold.
    fn push(&mut self, batch: &Batch, form: Form, range: Range<usize>, chunks: &mut Vec<Chunk>) {
        let pieces = match form {
            Form::Plain => &mut self.plain,
            Form::Extended => &mut self.extended,
        };
        if pieces.is_empty() {
            pieces.extend(batch.public(form).chunks(PIECE_BYTES).map(Arc::from));
        }
        let mut start = range.start;
        while start < range.end {
            let (index, skip) = (start / PIECE_BYTES, start % PIECE_BYTES);
            let end = pieces[index].len().min(skip + range.end - start);
            chunks.push(Chunk::Bytes(Arc::clone(&pieces[index]), skip..end));
            start += end - skip;
        }
    }
}

impl Sink for Offering<'_> {
    /// Offers a client its segments: first to the socket, and what that does not take to the queue.
    fn offer(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]) {
        if outbox.is_lost() {
            self.note_gone(outbox);
            return;
        }
        match outbox.begin_offer() {
            Way::Raw => self.offer_bytes(batch, outbox, segments),
            Way::Framed => {
                let mut framed = std::mem::take(&mut self.framed);
                batch.frame(segments, &mut framed);
                self.offer_bytes(batch, outbox, &framed);
                self.framed = framed;
            }
            Way::Held => {
                let chunks = self.keep(batch, segments, 0);
                self.enqueue(outbox, chunks, true);
                if outbox.is_lost() {
                    self.note_gone(outbox);
                }
            }
            // It is about to be lost.
            Way::Withdrawn => self.note_gone(outbox),
        }
    }

    fn note_talkers(&mut self, count: usize, first: Option<Uid>) {
        self.talkers = count;
        self.first_talker = first;
    }

    fn look_at(&mut self, outboxes: &[&Arc<Outbox>]) {
        let sockets = outboxes.iter().map(|outbox| outbox.socket());
        for (index, cause) in socket::find_losses(sockets) {
            self.note_gone(outboxes[index]);
            self.tools.membership.mark_lost(outboxes[index], cause);
        }
    }

    fn outcome(&mut self, sender: Uid, to: Option<Uid>, roster: &Roster) -> Outcome {
        if let Some(uid) = to.filter(|uid| self.never_there.contains(uid)) {
            self.refusals += 1;
            return Outcome::Nobody(format!("{}\n", RoomError::NeverConnected { uid }));
        }
        if self.gone.is_empty() {
            return Outcome::Reached;
        }
        let outcome = self.outcome_beside_gone(sender, to, roster);
        self.refusals += u64::from(matches!(outcome, Outcome::Nobody(_)));
        outcome
    }
}

impl<'a> Offering<'a> {
    fn new(tools: &'a Tools, framed: Vec<Segment>) -> Offering<'a> {
        Offering {
            tools,
            gone: Vec::new(),
            never_there: Vec::new(),
            framed,
            shared: Shared::default(),
            talkers: 0,
            first_talker: None,
            bytes_out: 0,
            refusals: 0,
        }
    }

    /// Offers a client its segments as they are.
    fn offer_bytes(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]) {
        let mut skip = 0;
        let mut rest = segments;
        if outbox.waiting() == 0 {
            match send_now(batch, outbox, segments) {
                Ok(sent) => {
                    (rest, skip) = (&segments[sent.whole..], sent.of_next);
                    self.bytes_out += sent.bytes as u64;
                }
                Err(cause) => {
                    self.note_gone(outbox);
                    self.tools.membership.mark_lost(outbox, cause);
                    return;
                }
            }
        }
        if !rest.is_empty() {
            let chunks = self.keep(batch, rest, skip);
            self.enqueue(outbox, chunks, false);
            if outbox.is_lost() {
                self.note_gone(outbox);
                return;
            }
        }
        self.tools.stall_watch.note(outbox);
    }

    /// Once a flush, not once a receiver.
    fn count(&self) {
        let stats = &self.tools.membership.stats;
        stats.count_out(self.bytes_out);
        if self.refusals > 0 {
            stats.count_refusals(self.refusals);
        }
    }

    fn note_gone(&mut self, outbox: &Outbox) {
        if outbox.is_withdrawn() {
            self.never_there.push(outbox.uid());
            return;
        }
        // One that talks may be found twice: when it is looked at, and when it is offered its own.
        if !self.gone.contains(&outbox.uid()) {
            self.gone.push(outbox.uid());
        }
    }

    /// What became of a chat in a batch in which clients turned out to be gone.
    fn outcome_beside_gone(&self, sender: Uid, to: Option<Uid>, roster: &Roster) -> Outcome {
        let was_for = |uid: Uid| match to {
            Some(to) => uid == to,
            None => {
                uid != sender && roster.binary_search_by_key(&uid, |outbox| outbox.uid()).is_ok()
            }
        };
        let mut missed = self.gone.iter().copied().filter(|&uid| was_for(uid));
        let Some(uid) = missed.next() else { return Outcome::Reached };
        let cause = self.tools.membership.room.cause_of(uid);
        let others = match to {
            Some(_) => 1,
            None => {
                let is_other =
                    |other: &&Arc<Outbox>| other.uid() != sender && !other.is_withdrawn();
                roster.iter().filter(is_other).count()
            }
        };
        let reached = others - 1 - missed.count();
        match cause {
            Some(cause) if to.is_none() && reached == 0 => {
                Outcome::Nobody(format!("{}\n", RoomError::ReachedNobody { uid, cause }))
            }
            _ if reached == 0 => {
                Outcome::Nobody(format!("{}\n", RoomError::HasLeft { uid, cause }))
            }
            _ => Outcome::Partly(format!("{}\n", RoomError::HasLeft { uid, cause })),
        }
    }

    /// Copies what a queue is to hold, without its first `skip` bytes, in as few chunks as possible.
    ///
    /// Public bytes are copied once for all the queues that take the most part of them; a small
    /// part is copied for itself, so that it does not keep all the others in memory.
    fn keep(&mut self, batch: &Batch, segments: &[Segment], skip: usize) -> Vec<Chunk> {
        let mut skip = skip;
        let mut chunks = Vec::new();
        let mut copied = Vec::new();
        for segment in segments {
            if let Some((file, len)) = batch.file(segment) {
                push_copied(&mut chunks, &mut copied);
                chunks.push(Chunk::File { file: Arc::clone(file), offset: 0, end: len });
                continue;
            }
            if let Segment::Public(form, range) = segment
                && (range.len() - skip) * 4 > batch.public(*form).len() * 3
            {
                push_copied(&mut chunks, &mut copied);
                self.shared.push(batch, *form, range.start + skip..range.end, &mut chunks);
            } else if let Some(bytes) = batch.bytes(segment) {
                copy(&bytes[skip..], &mut chunks, &mut copied);
            }
            skip = 0;
        }
        push_copied(&mut chunks, &mut copied);
        chunks
    }

    /// Queues what the socket has not taken. A client for which more would wait than ever may is
    /// disconnected.
    ///
    /// `held`: nobody is to write it now.
    fn enqueue(&self, outbox: &Arc<Outbox>, chunks: Vec<Chunk>, held: bool) {
        let membership = &self.tools.membership;
        let backpressure = &membership.backpressure;
        // Senders that are held keep to their shares: for a client that reads, no more than this waits.
        if backpressure.is_exceeded(outbox, membership.largest) {
            membership.disconnect(outbox, Cause::ReadTooSlowly);
            return;
        }
        let raise = |waiting| {
            if waiting > backpressure.limit() {
                backpressure.raise(outbox, || membership.room.uids());
            }
        };
        let unserved =
            if held { outbox.enqueue_held(chunks, raise) } else { outbox.enqueue(chunks, raise) };
        if let Some(queue) = unserved {
            self.tools.writers.serve(outbox, queue);
        }
        membership.limit_backlog();
    }
}

/// Copies bytes behind those that were copied last, a piece at a time.
fn copy(bytes: &[u8], chunks: &mut Vec<Chunk>, copied: &mut Vec<u8>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        if copied.len() == PIECE_BYTES {
            push_copied(chunks, copied);
        }
        let (part, behind) = rest.split_at(rest.len().min(PIECE_BYTES - copied.len()));
        copied.extend_from_slice(part);
        rest = behind;
    }
}

fn push_copied(chunks: &mut Vec<Chunk>, copied: &mut Vec<u8>) {
    if !copied.is_empty() {
        chunks.push(Chunk::Bytes(Arc::from(copied.as_slice()), 0..copied.len()));
        copied.clear();
    }
}

/// What a socket has taken.
#[derive(Default)]
struct Sent {
    /// How many segments, whole.
    whole: usize,
    /// How many bytes of the next one.
    of_next: usize,
    /// How many bytes together.
    bytes: usize,
}

/// Sends until the socket takes no more, or a file comes.
fn send_now(batch: &Batch, outbox: &Outbox, segments: &[Segment]) -> Result<Sent, Cause> {
    if let [segment] = segments
        && let Some(bytes) = batch.bytes(segment)
    {
        // Most clients, most of the time: no array of slices to be filled.
        let sent = outbox.socket().send(&[IoSlice::new(bytes)], Wait::No, false)?;
        return Ok(match sent {
            all if all == bytes.len() => Sent { whole: 1, of_next: 0, bytes: all },
            part => Sent { whole: 0, of_next: part, bytes: part },
        });
    }
    if let [frame, segment] = segments
        && let (Some(header), Some(bytes)) = (batch.bytes(frame), batch.bytes(segment))
    {
        let slices = [IoSlice::new(header), IoSlice::new(bytes)];
        let sent = outbox.socket().send(&slices, Wait::No, false)?;
        return Ok(match sent.checked_sub(header.len()) {
            None => Sent { whole: 0, of_next: sent, bytes: sent },
            Some(part) if part < bytes.len() => Sent { whole: 1, of_next: part, bytes: sent },
            Some(_) => Sent { whole: 2, of_next: 0, bytes: sent },
        });
    }
    send_slices(batch, outbox, segments)
}

/// As [`send_now`], several segments at a time. Not inlined: its array would take up stack of every
/// session that flushes, and most never come here.
#[inline(never)]
fn send_slices(batch: &Batch, outbox: &Outbox, segments: &[Segment]) -> Result<Sent, Cause> {
    let mut all = Sent::default();
    while all.whole < segments.len() {
        let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
        let mut count = 0;
        let mut offered = 0;
        for segment in segments[all.whole..].iter().take(SLICES_LIMIT) {
            let Some(bytes) = batch.bytes(segment) else { break };
            slices[count] = IoSlice::new(bytes);
            count += 1;
            offered += bytes.len();
        }
        if count == 0 {
            break;
        }
        let sent = outbox.socket().send(&slices[..count], Wait::No, false)?;
        all.bytes += sent;
        if sent == offered {
            all.whole += count;
            continue;
        }
        let mut left = sent;
        for slice in &slices[..count] {
            if left < slice.len() {
                break;
            }
            left -= slice.len();
            all.whole += 1;
        }
        all.of_next = left;
        break;
    }
    Ok(all)
}
