//! The flusher: offers a batch to everybody's sockets, and leaves to the queues what they do not
//! take. The rules it keeps stand over [`super`]; one thread at a time has it.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use rustix::net::SendFlags;

use super::{BATCH_LIMIT, Delivery};
use crate::batch::{self, Batch, Outcome, Segment, What};
use crate::ids::Uid;
use crate::outbox::{Chunk, Outbox};
use crate::reason::{Cause, RoomError};
use crate::room::Roster;
use crate::writer::{self, SLICES_LIMIT};

/// What the thread that flushes works with; kept from flush to flush.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    batch: Batch,
    segments: Vec<Segment>,
    /// Responses to chats, encoded once their relays were offered.
    late: Vec<u8>,
    /// Groups of pieces with such responses, and whether their client is active.
    held: Vec<(Range<usize>, bool)>,
    /// Who turned out to be gone in this batch.
    gone: Vec<Uid>,
    /// The batch's public bytes for all the queues that take them; made where one does.
    shared: Option<Arc<[u8]>>,
    /// Who has talked to all in the last batch; the first of them, where there were several.
    talker: Option<Uid>,
    /// Whether somebody else did so in it or in the one before.
    is_crowded: bool,
}

impl Flusher {
    /// Flushes what was added up to now; `false` where there was nothing.
    pub(super) fn flush_batch(&mut self, delivery: &Arc<Delivery>) -> bool {
        let Some(roster) = delivery.room.take_batch(&mut self.batch) else {
            return false;
        };
        self.batch.sort();
        let batch = std::mem::take(&mut self.batch);
        self.offer_relays(&batch, &roster, delivery);
        self.offer_responses(&batch, &roster, delivery);
        if batch.public().is_empty() {
            self.is_crowded = false;
        } else {
            let mut talkers =
                self.held.iter().map(|(group, _)| batch.pieces(group.clone())[0].outbox.uid());
            let first = talkers.next();
            self.is_crowded = talkers.next().is_some() || first != self.talker;
            self.talker = first;
        }
        self.batch = batch;
        self.batch.clear(BATCH_LIMIT);
        self.gone.clear();
        self.shared = None;
        true
    }

    /// Whether several members talk to all at the same time.
    pub(super) fn is_crowded(&self) -> bool {
        self.is_crowded
    }

    /// Offers everybody what is theirs, but for those who wait for the response to a chat.
    fn offer_relays(&mut self, batch: &Batch, roster: &Roster, delivery: &Arc<Delivery>) {
        self.held.clear();
        let mut active = roster.iter().peekable();
        for group in batch.groups() {
            let pieces = batch.pieces(group.clone());
            let uid = pieces[0].outbox.uid();
            while let Some(outbox) = active.next_if(|outbox| outbox.uid() < uid) {
                self.offer_public(batch, outbox, delivery);
            }
            let is_active = active.next_if(|outbox| outbox.uid() == uid).is_some();
            if pieces.iter().any(|piece| matches!(piece.what, What::ChatResponse { .. })) {
                self.held.push((group, is_active));
            } else {
                let mut segments = std::mem::take(&mut self.segments);
                batch.view(group, is_active, &mut segments, |_| 0..0);
                self.offer(batch, &pieces[0].outbox, &segments, delivery);
                self.segments = segments;
            }
        }
        for outbox in active {
            self.offer_public(batch, outbox, delivery);
        }
    }

    /// Offers those who sent chats what is theirs, responses included.
    ///
    /// They were heard a moment ago: if one of them is gone as well, those before it in this loop
    /// are not told any more.
    fn offer_responses(&mut self, batch: &Batch, roster: &Roster, delivery: &Arc<Delivery>) {
        let held = std::mem::take(&mut self.held);
        for (group, is_active) in &held {
            let outbox = &batch.pieces(group.clone())[0].outbox;
            let mut segments = std::mem::take(&mut self.segments);
            let mut late = std::mem::take(&mut self.late);
            late.clear();
            batch.view(group.clone(), *is_active, &mut segments, |what| {
                let start = late.len();
                if let What::ChatResponse { inherited, file_id, to, .. } = what {
                    let outcome = self.outcome(*to, outbox.uid(), roster, delivery);
                    batch::encode_chat_response(*inherited, *file_id, &outcome, &mut late);
                }
                start..late.len()
            });
            self.late = late;
            self.offer(batch, outbox, &segments, delivery);
            self.segments = segments;
        }
        self.held = held;
    }

    /// What became of a chat from `sender`: for `to`, or for all the others on the roster.
    fn outcome(
        &self,
        to: Option<Uid>,
        sender: Uid,
        roster: &Roster,
        delivery: &Delivery,
    ) -> Outcome {
        if self.gone.is_empty() {
            return Outcome::Reached;
        }
        let was_for = |uid: Uid| match to {
            Some(to) => uid == to,
            None => {
                uid != sender && roster.binary_search_by_key(&uid, |outbox| outbox.uid()).is_ok()
            }
        };
        let mut missed = self.gone.iter().copied().filter(|&uid| was_for(uid));
        let Some(uid) = missed.next() else { return Outcome::Reached };
        let cause = delivery.room.cause_of(uid);
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

    /// Offers a client all of the public part: most clients, most of the time.
    fn offer_public(&mut self, batch: &Batch, outbox: &Arc<Outbox>, delivery: &Arc<Delivery>) {
        let whole = Segment::Public(0..batch.public().len());
        self.offer(batch, outbox, std::slice::from_ref(&whole), delivery);
    }

    /// Offers a client its segments: first to the socket, and what that does not take to the queue.
    fn offer(
        &mut self,
        batch: &Batch,
        outbox: &Arc<Outbox>,
        segments: &[Segment],
        delivery: &Arc<Delivery>,
    ) {
        if outbox.is_broken() {
            self.gone.push(outbox.uid());
            return;
        }
        let mut skip = 0;
        let mut rest = segments;
        if outbox.waiting() == 0 {
            match self.send_now(batch, outbox, segments) {
                Ok((taken, taken_of_next)) => (rest, skip) = (&segments[taken..], taken_of_next),
                Err(cause) => {
                    self.gone.push(outbox.uid());
                    delivery.lose(outbox, cause);
                    return;
                }
            }
        }
        if !rest.is_empty() {
            let chunks = self.keep(batch, rest, skip);
            Flusher::enqueue(outbox, chunks, delivery);
        }
        delivery.stall_watch.note(outbox);
    }

    /// Sends until the socket takes no more, or a file comes. Returns how many segments it took
    /// whole, and how many bytes of the next.
    fn send_now(
        &self,
        batch: &Batch,
        outbox: &Outbox,
        segments: &[Segment],
    ) -> Result<(usize, usize), Cause> {
        if let [segment] = segments
            && let Some(bytes) = self.bytes(batch, segment)
        {
            // Most clients, most of the time: no array of slices to be filled.
            let sent = writer::send(outbox.stream(), &[IoSlice::new(bytes)], SendFlags::DONTWAIT)?;
            let sent = sent.unwrap_or(0);
            return Ok(if sent == bytes.len() { (1, 0) } else { (0, sent) });
        }
        self.send_slices(batch, outbox, segments)
    }

    /// As [`Flusher::send_now`], several segments at a time. Not inlined: its array would take up
    /// stack of every session that flushes, and most never come here.
    #[inline(never)]
    fn send_slices(
        &self,
        batch: &Batch,
        outbox: &Outbox,
        segments: &[Segment],
    ) -> Result<(usize, usize), Cause> {
        let mut taken = 0;
        while taken < segments.len() {
            let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
            let mut count = 0;
            let mut offered = 0;
            for segment in &segments[taken..] {
                let Some(bytes) = self.bytes(batch, segment) else { break };
                if count == SLICES_LIMIT {
                    break;
                }
                slices[count] = IoSlice::new(bytes);
                count += 1;
                offered += bytes.len();
            }
            if count == 0 {
                break;
            }
            let sent = writer::send(outbox.stream(), &slices[..count], SendFlags::DONTWAIT)?;
            let sent = sent.unwrap_or(0);
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

    fn bytes<'a>(&'a self, batch: &'a Batch, segment: &Segment) -> Option<&'a [u8]> {
        match segment {
            Segment::Public(range) => Some(&batch.public()[range.clone()]),
            Segment::Private(range) => Some(&batch.private()[range.clone()]),
            Segment::Late(range) => Some(&self.late[range.clone()]),
            Segment::File(_) => None,
        }
    }

    /// Copies what a queue is to hold, without its first `skip` bytes.
    ///
    /// Public bytes are copied once for all the queues that take the most part of them; a small
    /// part is copied for itself, so that it does not keep all the others in memory.
    fn keep(&mut self, batch: &Batch, segments: &[Segment], skip: usize) -> Vec<Chunk> {
        let mut skip = skip;
        let mut chunks = Vec::with_capacity(segments.len());
        for segment in segments {
            if let Segment::File(index) = segment {
                let What::File { file, len } = &batch.pieces(*index..*index + 1)[0].what else {
                    continue;
                };
                chunks.push(Chunk::File { file: Arc::clone(file), offset: 0, end: *len });
                continue;
            }
            if let Segment::Public(range) = segment
                && (range.len() - skip) * 2 > batch.public().len()
            {
                let shared = self.shared.get_or_insert_with(|| batch.public().into());
                chunks.push(Chunk::Bytes(Arc::clone(shared), range.start + skip..range.end));
            } else if let Some(bytes) = self.bytes(batch, segment) {
                let bytes = &bytes[skip..];
                chunks.push(Chunk::Bytes(bytes.into(), 0..bytes.len()));
            }
            skip = 0;
        }
        chunks
    }

    fn enqueue(outbox: &Arc<Outbox>, chunks: Vec<Chunk>, delivery: &Arc<Delivery>) {
        let limit = delivery.limits.queue;
        outbox.enqueue(
            chunks,
            |queue| delivery.start_writer(outbox, queue),
            |waiting| {
                if waiting > limit {
                    delivery.pressure.rise(outbox.uid());
                }
            },
        );
    }
}
