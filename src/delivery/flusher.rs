//! The flusher: offers a batch to everybody's sockets, and leaves to the queues what they do not
//! take. The rules it keeps stand over [`super`]; one thread at a time has it.
//!
//! What belongs to one flush is in a value made for it ([`Offering`]); from flush to flush it keeps
//! empty buffers alone, and who has talked.

use std::io::IoSlice;
use std::sync::Arc;

use super::membership::Membership;
use super::outbox::{Chunk, Outbox};
use super::socket::{self, SLICES_LIMIT, Wait};
use super::stall::StallWatch;
use super::writer::Writers;
use crate::ids::Uid;
use crate::reason::{Cause, RoomError};
use crate::room::Roster;
use crate::room::batch::{Batch, Form, Outcome, Segment, Sink};

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
    /// Empty, with its buffers.
    spare: Batch,
    /// Who has talked to all in the last batch; the first of them, where there were several.
    talker: Option<Uid>,
    /// Whether somebody else did so in it or in the one before.
    is_crowded: bool,
}

impl Flusher {
    /// Flushes what was added up to now; `false` where there was nothing. Keeps buffers of `keep`
    /// bytes.
    pub(super) fn flush_batch(&mut self, tools: &Tools, keep: usize) -> bool {
        let empty = || std::mem::take(&mut self.spare);
        let Some((mut batch, roster)) = tools.membership.room.take_batch(empty) else {
            return false;
        };
        let mut offering = Offering::new(tools);
        batch.deliver(&roster, &mut offering);
        offering.count();
        if batch.public(Form::Plain).is_empty() {
            self.is_crowded = false;
        } else {
            self.is_crowded = offering.talkers > 1 || offering.first_talker != self.talker;
            self.talker = offering.first_talker;
        }
        self.spare = batch.emptied(keep);
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

/// Public bytes that queues share.
#[derive(Default)]
struct Shared {
    plain: Option<Arc<[u8]>>,
    extended: Option<Arc<[u8]>>,
}

impl Shared {
    fn get(&mut self, batch: &Batch, form: Form) -> Arc<[u8]> {
        let shared = match form {
            Form::Plain => &mut self.plain,
            Form::Extended => &mut self.extended,
        };
        Arc::clone(shared.get_or_insert_with(|| batch.public(form).into()))
    }
}

impl Sink for Offering<'_> {
    /// Offers a client its segments: first to the socket, and what that does not take to the queue.
    fn offer(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]) {
        if outbox.is_lost() {
            self.note_gone(outbox);
            return;
        }
        let mut skip = 0;
        let mut rest = segments;
        if outbox.waiting() == 0 {
            match send_now(batch, outbox, segments) {
                Ok((taken, taken_of_next)) => {
                    (rest, skip) = (&segments[taken..], taken_of_next);
                    self.bytes_out += batch.bytes_of(&segments[..taken]) + taken_of_next as u64;
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
            self.enqueue(outbox, chunks);
            if outbox.is_lost() {
                self.note_gone(outbox);
                return;
            }
        }
        self.tools.stall_watch.note(outbox);
    }

    fn look_at_talkers(&mut self, talkers: &[&Arc<Outbox>], get: &[&Arc<Outbox>]) {
        self.talkers = talkers.len();
        self.first_talker = talkers.first().map(|outbox| outbox.uid());
        let sockets: Vec<_> = get.iter().map(|outbox| outbox.socket()).collect();
        for (index, cause) in socket::find_losses(&sockets) {
            self.note_gone(get[index]);
            self.tools.membership.mark_lost(get[index], cause);
        }
    }

    fn outcome(&mut self, sender: Uid, to: Option<Uid>, roster: &Roster) -> Outcome {
        if self.gone.is_empty() {
            return Outcome::Reached;
        }
        let outcome = self.outcome_beside_gone(sender, to, roster);
        self.refusals += u64::from(matches!(outcome, Outcome::Nobody(_)));
        outcome
    }
}

impl<'a> Offering<'a> {
    fn new(tools: &'a Tools) -> Offering<'a> {
        Offering {
            tools,
            gone: Vec::new(),
            shared: Shared::default(),
            talkers: 0,
            first_talker: None,
            bytes_out: 0,
            refusals: 0,
        }
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
        // One that talks is found twice: when it is looked at, and when it is offered its own.
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
            None => roster.iter().filter(|outbox| outbox.uid() != sender).count(),
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
                let shared = self.shared.get(batch, *form);
                chunks.push(Chunk::Bytes(shared, range.start + skip..range.end));
            } else if let Some(bytes) = batch.bytes(segment) {
                copied.extend_from_slice(&bytes[skip..]);
            }
            skip = 0;
        }
        push_copied(&mut chunks, &mut copied);
        chunks
    }

    /// Queues what the socket has not taken. A client for which more would wait than ever may is
    /// disconnected.
    fn enqueue(&self, outbox: &Arc<Outbox>, chunks: Vec<Chunk>) {
        let membership = &self.tools.membership;
        let backpressure = &membership.backpressure;
        // Senders that are held keep to their shares: for a client that reads, no more than this waits.
        if backpressure.is_exceeded(outbox, membership.largest) {
            membership.disconnect(outbox, Cause::ReadTooSlowly);
            return;
        }
        let unserved = outbox.enqueue(chunks, |waiting| {
            if waiting > backpressure.limit() {
                backpressure.raise(outbox, || membership.room.uids());
            }
        });
        if let Some(queue) = unserved {
            self.tools.writers.serve(outbox, queue);
        }
        membership.limit_backlog();
    }
}

fn push_copied(chunks: &mut Vec<Chunk>, copied: &mut Vec<u8>) {
    if !copied.is_empty() {
        let len = copied.len();
        chunks.push(Chunk::Bytes(std::mem::take(copied).into(), 0..len));
    }
}

/// Sends until the socket takes no more, or a file comes. Returns how many segments it took whole,
/// and how many bytes of the next.
fn send_now(batch: &Batch, outbox: &Outbox, segments: &[Segment]) -> Result<(usize, usize), Cause> {
    if let [segment] = segments
        && let Some(bytes) = batch.bytes(segment)
    {
        // Most clients, most of the time: no array of slices to be filled.
        let sent = outbox.socket().send(&[IoSlice::new(bytes)], Wait::No, false)?;
        return Ok(if sent == bytes.len() { (1, 0) } else { (0, sent) });
    }
    send_slices(batch, outbox, segments)
}

/// As [`send_now`], several segments at a time. Not inlined: its array would take up stack of every
/// session that flushes, and most never come here.
#[inline(never)]
fn send_slices(
    batch: &Batch,
    outbox: &Outbox,
    segments: &[Segment],
) -> Result<(usize, usize), Cause> {
    let mut taken = 0;
    while taken < segments.len() {
        let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
        let mut count = 0;
        let mut offered = 0;
        for segment in segments[taken..].iter().take(SLICES_LIMIT) {
            let Some(bytes) = batch.bytes(segment) else { break };
            slices[count] = IoSlice::new(bytes);
            count += 1;
            offered += bytes.len();
        }
        if count == 0 {
            break;
        }
        let sent = outbox.socket().send(&slices[..count], Wait::No, false)?;
        if sent == offered {
            taken += count;
            continue;
        }
        let mut left = sent;
        for slice in &slices[..count] {
            if left < slice.len() {
                break;
            }
            left -= slice.len();
            taken += 1;
        }
        return Ok((taken, left));
    }
    Ok((taken, 0))
}
