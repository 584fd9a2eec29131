//! What a session reads: the connection, with or without frames, and the bodies of messages.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::Duration;

use super::frames::Frames;
use super::{Ending, Session};
use crate::delivery::Delivery;
use crate::delivery::outbox::Outbox;
use crate::delivery::socket::cause_of;
use crate::reason::{Cause, Fatal};
use crate::sync::thread;
use crate::wire::Inherited;

/// How long a client may send nothing inside a message. People do type messages by hand.
pub(crate) const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// The read buffer of a client: a batch of short messages, or a quarter of the longest text.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A client's bytes: what was read before it was known what it speaks, and then what comes.
pub(super) struct Input<'a> {
    ahead: Option<Box<Ahead>>,
    source: Source<'a>,
}

enum Source<'a> {
    Raw(Connected<'a>),
    Framed(Box<Frames<'a>>),
}

/// What was read already.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) bytes: Vec<u8>,
    /// How much of it the session has taken.
    taken: usize,
    /// What reading came to behind it.
    pub(super) error: Option<io::Error>,
}

impl<'a> Input<'a> {
    /// The bytes as they come, behind those that were read ahead.
    pub(super) fn raw(connected: Connected<'a>, ahead: Ahead) -> Input<'a> {
        let is_used = !ahead.bytes.is_empty() || ahead.error.is_some();
        Input { ahead: is_used.then(|| Box::new(ahead)), source: Source::Raw(connected) }
    }

    pub(super) fn framed(frames: Frames<'a>) -> Input<'a> {
        Input { ahead: None, source: Source::Framed(Box::new(frames)) }
    }

    /// The frames of a WebSocket, where the client is on one.
    pub(super) fn frames(&self) -> Option<&Frames<'a>> {
        match &self.source {
            Source::Raw(_) => None,
            Source::Framed(frames) => Some(frames),
        }
    }

    /// The connection, and what is to be flushed before it is waited for.
    pub(super) fn connected(&mut self) -> &mut Connected<'a> {
        match &mut self.source {
            Source::Raw(connected) => connected,
            Source::Framed(frames) => frames.connected(),
        }
    }

    /// What has come behind that which was read.
    pub(super) fn buffered(&self) -> &[u8] {
        match (&self.ahead, &self.source) {
            (Some(ahead), _) => &ahead.bytes[ahead.taken..],
            (None, Source::Raw(connected)) => connected.reader.buffer(),
            (None, Source::Framed(frames)) => frames.buffered(),
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_some() {
            let count = self.fill_buf()?.read(buffer)?;
            self.consume(count);
            return Ok(count);
        }
        match &mut self.source {
            Source::Raw(connected) => connected.read(buffer),
            Source::Framed(frames) => frames.read(buffer),
        }
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.as_ref().is_some_and(|ahead| ahead.taken == ahead.bytes.len())
            && let Some(error) = self.ahead.take().and_then(|ahead| ahead.error)
        {
            return Err(error);
        }
        match (&self.ahead, &mut self.source) {
            (Some(ahead), _) => Ok(&ahead.bytes[ahead.taken..]),
            (None, Source::Raw(connected)) => connected.fill_buf(),
            (None, Source::Framed(frames)) => {
                if frames.buffered().is_empty() {
                    // Here already: the flush stands no deeper in the stack than without frames.
                    frames.connected().flush_before_waiting();
                }
                frames.fill_buf()
            }
        }
    }

    fn consume(&mut self, count: usize) {
        match (&mut self.ahead, &mut self.source) {
            (Some(ahead), _) => {
                ahead.taken += count;
                if ahead.taken == ahead.bytes.len() && ahead.error.is_none() {
                    self.ahead = None;
                }
            }
            (None, Source::Raw(connected)) => connected.consume(count),
            (None, Source::Framed(frames)) => frames.consume(count),
        }
    }
}

/// A client's connection as it is read: flushes before it waits.
///
/// Around the `BufReader` and not in it: what is in between would have to initialize the buffer,
/// and an idle client's buffer is not in memory as long as nothing touches it.
pub(super) struct Connected<'a> {
    reader: BufReader<&'a TcpStream>,
    delivery: &'a Delivery,
    outbox: &'a Outbox,
    /// Whether the session has added something since it flushed last.
    pub(super) unflushed: bool,
    /// Whether that was a public chat, among others.
    pub(super) said_to_all: bool,
}

impl<'a> Connected<'a> {
    pub(super) fn new(
        stream: &'a TcpStream,
        delivery: &'a Delivery,
        outbox: &'a Outbox,
    ) -> Connected<'a> {
        let reader = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
        Connected { reader, delivery, outbox, unflushed: false, said_to_all: false }
    }

    /// What has come behind that which was read.
    pub(super) fn buffered(&self) -> &[u8] {
        self.reader.buffer()
    }

    /// Whether nothing more is to be read: the input of a client that was removed has ended, though
    /// the client may go on to send.
    fn is_over(&self) -> bool {
        self.reader.buffer().is_empty() && self.outbox.is_removed()
    }

    /// Counts what has come: all of it where the buffer was empty `before`.
    fn count(&self, before: usize, given: usize) {
        let after = self.reader.buffer().len();
        if after + given > before {
            self.delivery.membership().stats.count_in(after + given - before);
        }
    }

    fn flush_before_waiting(&mut self) {
        if self.unflushed && self.reader.buffer().is_empty() {
            self.unflushed = false;
            self.delivery.flush_or_delegate();
            if !self.said_to_all {
                // The answer to a private message often comes within a time slice: the other thread
                // runs now, and then this one need not sleep and be woken.
                thread::yield_now();
            }
            self.said_to_all = false;
        }
    }
}

impl Read for Connected<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush_before_waiting();
        if self.is_over() {
            return Ok(0);
        }
        let before = self.buffered().len();
        let given = self.reader.read(buffer)?;
        self.count(before, given);
        Ok(given)
    }
}

impl BufRead for Connected<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.reader.buffer().is_empty() {
            self.flush_before_waiting();
            if self.is_over() {
                return Ok(&[]);
            }
            self.reader.fill_buf()?;
            self.count(0, 0);
        }
        Ok(self.reader.buffer())
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}

impl Session<'_> {
    /// Reads the whole of a body, which is known to be short enough to be held.
    pub(super) fn read_body(&mut self, body_len: u64, inherited: Inherited) -> Result<(), Ending> {
        self.body.clear();
        if let Some(body) =
            usize::try_from(body_len).ok().and_then(|len| self.input.buffered().get(..len))
        {
            self.body.extend_from_slice(body);
            self.input.consume(self.body.len());
            return Ok(());
        }
        // Grows with what comes, never by what is declared.
        let read = (&mut self.input).take(body_len).read_to_end(&mut self.body);
        match read {
            Ok(count) if count as u64 == body_len => Ok(()),
            Ok(count) => {
                let missing = body_len - count as u64;
                Err(self.ended(Fatal::EndedInBody { missing, declared: body_len }, inherited))
            }
            Err(error) => Err(interrupted(&error, inherited).unwrap_or(Ending::Closed)),
        }
    }

    /// Reads the next bytes of a body of which `missing` are still to come; at least one.
    pub(super) fn read_some(
        &mut self,
        buffer: &mut [u8],
        missing: u64,
        declared: u64,
        inherited: Inherited,
    ) -> Result<usize, Ending> {
        loop {
            match self.input.read(buffer) {
                Ok(0) => {
                    return Err(self.ended(Fatal::EndedInBody { missing, declared }, inherited));
                }
                Ok(count) => return Ok(count),
                Err(error) => {
                    if let Some(ending) = interrupted(&error, inherited) {
                        return Err(ending);
                    }
                }
            }
        }
    }

    /// Reads and drops a body whose message is refused behind it.
    pub(super) fn skip_body(&mut self, body_len: u64, inherited: Inherited) -> Result<(), Ending> {
        let mut missing = body_len;
        while missing > 0 {
            let available = match self.input.fill_buf() {
                Ok([]) => {
                    let reason = Fatal::EndedInBody { missing, declared: body_len };
                    return Err(self.ended(reason, inherited));
                }
                Ok(chunk) => chunk.len(),
                Err(error) => interrupted(&error, inherited).map_or(Ok(0), Err)?,
            };
            let part = usize::try_from(missing).unwrap_or(usize::MAX).min(available);
            self.input.consume(part);
            missing -= part as u64;
        }
        Ok(())
    }

    /// Reads and drops a body that was refused before it came: there is no second error for it.
    pub(super) fn skip_refused_body(&mut self, body_len: u64) -> Result<(), Ending> {
        self.skip_body(body_len, Inherited::default()).map_err(|ending| match ending {
            Ending::Fatal { cause: Cause::Closed, .. } => Ending::Closed,
            Ending::Fatal { cause: Cause::ServerStopped, .. } => Ending::Stopping,
            Ending::Fatal { cause, .. } => Ending::Lost(cause),
            other => other,
        })
    }

    /// The input ended inside a message: by the client, or because the server stops.
    pub(super) fn ended(&self, reason: Fatal, inherited: Inherited) -> Ending {
        if self.service.is_stopping() {
            let (reason, cause) = (Fatal::Stopping, Cause::ServerStopped);
            return Ending::Fatal { reason, inherited, cause };
        }
        Ending::Fatal { reason, inherited, cause: Cause::Closed }
    }
}

pub(super) fn silent(inherited: Inherited) -> Ending {
    let reason = Fatal::Silent { waited: SILENCE_LIMIT };
    Ending::Fatal { reason, inherited, cause: Cause::Silent }
}

/// How a session ends whose read has failed inside a message; `None`: it does not, read again.
fn interrupted(error: &io::Error, inherited: Inherited) -> Option<Ending> {
    match error.kind() {
        io::ErrorKind::Interrupted => None,
        io::ErrorKind::WouldBlock => Some(silent(inherited)),
        _ => Some(Ending::Lost(cause_of(error))),
    }
}
