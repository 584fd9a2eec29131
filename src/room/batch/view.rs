//! What one client gets of a batch: segments of its buffers, with frames around them where the client
//! gets frames.

use std::ops::Range;
use std::sync::Arc;

use super::{Batch, Entry, EntryKind, Form, Place};
use crate::stage::Fetch;
use crate::web::websocket::FrameHeader;

/// Which bytes go to a client, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A part of the public buffer of a form.
    Public(Form, Range<usize>),
    /// A part of the private buffer.
    Private(Range<usize>),
    /// A part of the buffer of responses that were encoded late.
    Late(Range<usize>),
    /// A control frame: a part of the private buffer that is in no frame.
    Control(Range<usize>),
    /// The header of a frame around the segments behind it, up to a control frame or the end.
    Frame(FrameHeader),
    /// The entry with this index is a file.
    File(usize),
}

impl Batch {
    /// The bytes of a segment; `None` for a file.
    pub(crate) fn bytes<'a>(&'a self, segment: &'a Segment) -> Option<&'a [u8]> {
        match segment {
            Segment::Public(form, range) => Some(&self.public(*form)[range.clone()]),
            Segment::Private(range) | Segment::Control(range) => Some(&self.private[range.clone()]),
            Segment::Frame(header) => Some(header.as_ref()),
            Segment::Late(range) => Some(&self.late[range.clone()]),
            Segment::File(_) => None,
        }
    }

    /// The file of a segment, and how long it is.
    pub(crate) fn file(&self, segment: &Segment) -> Option<(&Arc<Fetch>, u64)> {
        let Segment::File(index) = segment else { return None };
        match &self.entries[*index].kind {
            EntryKind::File { file, len } => Some((file, *len)),
            _ => None,
        }
    }

    /// Puts a header in front of all that goes out as data, in as few frames as possible.
    pub(crate) fn frame(&self, segments: &[Segment], framed: &mut Vec<Segment>) {
        framed.clear();
        let is_control = |segment: &Segment| matches!(segment, Segment::Control(_));
        for run in segments.chunk_by(|a, b| !is_control(a) && !is_control(b)) {
            let len_of = |segment| match self.file(segment) {
                Some((_, len)) => len,
                None => self.bytes(segment).map_or(0, |bytes| bytes.len() as u64),
            };
            if !run.iter().any(is_control) {
                framed.push(Segment::Frame(FrameHeader::binary(run.iter().map(len_of).sum())));
            }
            framed.extend_from_slice(run);
        }
    }

    /// What one client gets: the public buffer but its own chats, and its entries in between.
    ///
    /// `is_active`: whether the client is active behind the batch; one that is not, and has not left
    /// within it, gets its entries alone. `late` is given each response that is to be encoded now,
    /// and appends it to the late buffer, whose range it returns.
    pub(super) fn view(
        &self,
        group: Range<usize>,
        is_active: bool,
        segments: &mut Vec<Segment>,
        mut late: impl FnMut(&EntryKind) -> Range<usize>,
    ) {
        segments.clear();
        let entries = &self.entries[group.clone()];
        let left = entries.iter().find(|entry| matches!(entry.kind, EntryKind::Left));
        let all = if is_active { self.place() } else { Place::default() };
        let end = left.map_or(all, |entry| entry.place);
        let mut next = Place::default();
        for (index, entry) in group.zip(entries) {
            let until = |until: Place| {
                let offset = |place: Place| place.offset(entry.form).min(end.offset(entry.form));
                Segment::Public(entry.form, offset(next)..offset(until))
            };
            match &entry.kind {
                EntryKind::Joined => {}
                EntryKind::Left => continue,
                EntryKind::Extended => push(segments, until(entry.place)),
                EntryKind::OwnNotice { start } => push(segments, until(*start)),
                EntryKind::Bytes(range) => {
                    push(segments, until(entry.place));
                    push(segments, Segment::Private(range.clone()));
                }
                EntryKind::Control(range) => {
                    push(segments, until(entry.place));
                    segments.push(Segment::Control(range.clone()));
                }
                EntryKind::ChatResponse { start, .. } => {
                    push(segments, until(*start));
                    push(segments, Segment::Late(late(&entry.kind)));
                }
                EntryKind::File { .. } => {
                    push(segments, until(entry.place));
                    segments.push(Segment::File(index));
                }
            }
            next = entry.place;
        }
        let form = form_behind(entries);
        let end = end.offset(form);
        push(segments, Segment::Public(form, next.offset(form).min(end)..end));
    }
}

/// The form that a client gets behind its entries.
fn form_behind(entries: &[Entry]) -> Form {
    match entries.last() {
        Some(Entry { kind: EntryKind::Extended, .. }) => Form::Extended,
        Some(entry) => entry.form,
        None => Form::Plain,
    }
}

/// Appends a segment, joined with the one before it where they meet: fewer slices a system call.
fn push(segments: &mut Vec<Segment>, segment: Segment) {
    let (Segment::Public(_, new) | Segment::Private(new) | Segment::Late(new)) = &segment else {
        return segments.push(segment);
    };
    if new.is_empty() {
        return;
    }
    match (segments.last_mut(), &segment) {
        (Some(Segment::Public(form, last)), Segment::Public(same, _))
            if form == same && last.end == new.start =>
        {
            last.end = new.end;
        }
        (Some(Segment::Private(last)), Segment::Private(_))
        | (Some(Segment::Late(last)), Segment::Late(_))
            if last.end == new.start =>
        {
            last.end = new.end;
        }
        _ => segments.push(segment),
    }
}
