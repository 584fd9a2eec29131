//! What was said since the last flush, in the room's one order, and who gets which bytes of it.
//!
//! Public relays stand one behind the other in one buffer, encoded once: whoever said nothing and
//! was there all the time gets that buffer as it is. Whatever concerns one client alone is a
//! [`Piece`] with its place in that order, so that a client's own view can be put together: the
//! public relays but its own, with its private relays and responses where they belong.
//!
//! Pure bookkeeping: no lock, no socket, no thread.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use crate::ids::{FileId, Uid};
use crate::outbox::Outbox;
use crate::wire::{Inherited, Relay, Response, Status};

/// Relays and responses that have been accepted and not been offered to a socket yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Public relays, encoded.
    public: Vec<u8>,
    /// Everything else, encoded; pieces hold ranges of it.
    private: Vec<u8>,
    pieces: Vec<Piece>,
}

/// Something that concerns one client alone.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) outbox: Arc<Outbox>,
    /// How much of the public buffer stood before it.
    pub(crate) at: usize,
    /// Its number, since several pieces can stand at the same place.
    order: usize,
    pub(crate) what: What,
}

/// What a piece is.
#[derive(Debug)]
pub(crate) enum What {
    /// The client became active here.
    Joined,
    /// The client left here; what was queued for it before is still its own.
    Left,
    /// A private relay or a response, encoded: a range of the private buffer.
    Bytes(Range<usize>),
    /// The response to a chat, encoded only once the relay was tried (§2.3.4).
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
    /// The piece with this index is a file.
    File(usize),
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.public.is_empty() && self.pieces.is_empty()
    }

    /// How many bytes it holds for those who get all of it.
    pub(crate) fn len(&self) -> usize {
        self.public.len() + self.private.len()
    }

    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    pub(crate) fn private(&self) -> &[u8] {
        &self.private
    }

    /// Empties it and keeps the buffers, unless one message has made them unusually large.
    pub(crate) fn clear(&mut self, keep: usize) {
        for buffer in [&mut self.public, &mut self.private] {
            buffer.clear();
            buffer.shrink_to(keep);
        }
        self.pieces.clear();
        self.pieces.shrink_to(keep / size_of::<Piece>());
    }

    fn push(&mut self, outbox: &Arc<Outbox>, what: What) {
        let (at, order) = (self.public.len(), self.pieces.len());
        self.pieces.push(Piece { outbox: Arc::clone(outbox), at, order, what });
    }

    /// A client became active: it gets nothing of what stands here already.
    pub(crate) fn join(&mut self, outbox: &Arc<Outbox>) {
        if !self.public.is_empty() {
            self.push(outbox, What::Joined);
        }
    }

    /// A client left: it gets nothing of what comes from here on.
    pub(crate) fn leave(&mut self, outbox: &Arc<Outbox>) {
        if !self.public.is_empty() {
            self.push(outbox, What::Left);
        }
    }

    /// Adds a response, or whatever else `encode` appends, for one client.
    pub(crate) fn add(&mut self, outbox: &Arc<Outbox>, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.private.len();
        encode(&mut self.private);
        self.push(outbox, What::Bytes(start..self.private.len()));
    }

    /// Adds a file's bytes, behind its header that was added before.
    pub(crate) fn add_file(&mut self, outbox: &Arc<Outbox>, file: Arc<File>, len: u64) {
        self.push(outbox, What::File { file, len });
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
        self.push(sender, What::ChatResponse { inherited, file_id, to: relay.to, own });
    }

    /// Puts each client's pieces together, clients ascending by UID.
    pub(crate) fn sort(&mut self) {
        self.pieces.sort_unstable_by_key(|piece| (piece.outbox.uid(), piece.order));
    }

    /// Each client's pieces, as ranges; to be called on a sorted batch.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut start = 0;
        self.pieces.chunk_by(|a, b| a.outbox.uid() == b.outbox.uid()).map(move |group| {
            let range = start..start + group.len();
            start = range.end;
            range
        })
    }

    pub(crate) fn pieces(&self, group: Range<usize>) -> &[Piece] {
        &self.pieces[group]
    }

    /// What one client gets: the public buffer but its own chats, and its pieces in between.
    ///
    /// `active`: whether the client is active behind the batch; one that is not, and has not left
    /// within it, gets its pieces alone. `late` is given each response that is to be encoded now,
    /// and appends it to the late buffer, whose length it returns.
    pub(crate) fn view(
        &self,
        group: Range<usize>,
        active: bool,
        segments: &mut Vec<Segment>,
        mut late: impl FnMut(&What) -> Range<usize>,
    ) {
        segments.clear();
        let pieces = &self.pieces[group.clone()];
        let left = pieces.iter().find(|piece| matches!(piece.what, What::Left));
        let end = left.map_or(if active { self.public.len() } else { 0 }, |piece| piece.at);
        let mut next = 0;
        for (index, piece) in group.zip(pieces) {
            let public_until = |until: usize| next.min(end)..until.min(end);
            match &piece.what {
                What::Joined => next = piece.at,
                What::Left => {}
                What::Bytes(range) => {
                    push(segments, Segment::Public(public_until(piece.at)));
                    push(segments, Segment::Private(range.clone()));
                    next = piece.at.max(next);
                }
                What::ChatResponse { own, .. } => {
                    push(segments, Segment::Public(public_until(own.start)));
                    push(segments, Segment::Late(late(&piece.what)));
                    next = own.end.max(next);
                }
                What::File { .. } => {
                    push(segments, Segment::Public(public_until(piece.at)));
                    segments.push(Segment::File(index));
                    next = piece.at.max(next);
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

/// Encodes the response to a chat, once it is known whom the relay did not reach any more (§2.3.4).
pub(crate) fn encode_chat_response(
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
