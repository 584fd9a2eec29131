//! The thread that reads a client's connection: responses to those who wait for them, and the rest
//! to the client's events.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::outcome::lossy;
use super::{Answer, BODY_LIMIT, Event, Failure, Incoming, Lost, Notice, Relay, Shared, Waiting};
use crate::wire::ReadError;
use crate::wire::server_message::read_server_message;
use crate::wire::{ServerMessage, Status};

const BUFFER_BYTES: usize = 64 * 1024;

/// The longest notice, in bytes: it is a line. A longer one tells nothing that is known.
const NOTICE_BYTES: u64 = 1024;

/// Reads until the connection ends, and tells everybody who waits.
pub(super) fn run(shared: &Shared, on_event: impl FnMut(Event)) {
    let input = BufReader::with_capacity(BUFFER_BYTES, &shared.stream);
    let now = Instant::now();
    let mut reader = Reader { shared, input, on_event, said: None, looked: now, answer_ended: now };
    let lost = reader.read_all();
    let lost = match (lost, reader.said.take()) {
        // It closed after an error: that is why.
        (Lost::Closed | Lost::Reset, Some(reason)) => Lost::Refused(reason),
        (lost, Some(reason)) => {
            (reader.on_event)(Event::Refusal(reason));
            lost
        }
        (lost, None) => lost,
    };
    let mut pending = shared.pending.lock();
    let lost = pending.lost.get_or_insert(lost).clone();
    let requests = std::mem::take(&mut pending.requests);
    drop(pending);
    for waiting in requests.into_values() {
        (waiting.on_answer)(Err(Failure::Lost(lost.clone())));
    }
    (reader.on_event)(Event::Lost(lost));
}

/// Why a body was not written to its end, and how much of it is left to be read, in bytes.
struct Unwritten {
    error: io::Error,
    left: u64,
}

struct Reader<'a, F> {
    shared: &'a Shared,
    input: BufReader<&'a TcpStream>,
    on_event: F,
    /// An error that answered no request and that nothing came after yet: perhaps the last word.
    said: Option<String>,
    /// When it was last looked whether an answer is overdue: something else may arrive all the time.
    looked: Instant,
    /// When the last long answer had come whole: the next one could not come before.
    answer_ended: Instant,
}

impl<F: FnMut(Event)> Reader<'_, F> {
    fn read_all(&mut self) -> Lost {
        let mut line = Vec::new();
        loop {
            let read = match read_server_message(&mut self.input, &mut line) {
                Ok(Some(message)) => self.take_timed(message),
                Ok(None) => return Lost::Closed,
                Err(ReadError::TimedOut { inside: false }) if !self.is_answer_overdue() => {
                    continue;
                }
                Err(error) => Err(lost_by(error)),
            };
            if let Err(lost) = read {
                return lost;
            }
            if self.looked.elapsed() >= self.shared.answer_timeout / 8 {
                self.looked = Instant::now();
                if self.is_answer_overdue() {
                    return Lost::TimedOut;
                }
            }
        }
    }

    fn is_answer_overdue(&self) -> bool {
        self.shared.is_answer_overdue(self.answer_ended)
    }

    /// Takes a message, and notes when the body of a response has taken long.
    fn take_timed(&mut self, message: ServerMessage) -> Result<(), Lost> {
        let is_response = matches!(message, ServerMessage::Response { .. });
        let begun = Instant::now();
        self.take(message)?;
        if is_response && begun.elapsed() >= self.shared.answer_timeout / 8 {
            self.answer_ended = Instant::now();
        }
        Ok(())
    }

    fn take(&mut self, message: ServerMessage) -> Result<(), Lost> {
        let body_len = message.body_len();
        if let Some(reason) = self.said.take() {
            (self.on_event)(Event::Refusal(reason));
        }
        match message {
            ServerMessage::Unknown { .. } => self.skip(body_len),
            ServerMessage::Notice { len, .. } if len > NOTICE_BYTES => self.skip(len),
            ServerMessage::Notice { from, nickname, time, .. } => {
                let body = self.read_body(body_len)?;
                if let Some(notice) = Notice::of(from, nickname, time, body) {
                    (self.on_event)(Event::Notice(notice));
                }
                Ok(())
            }
            message @ ServerMessage::Relay { .. } => {
                let body = self.read_body(body_len)?;
                if let Some(relay) = Relay::of(message, body) {
                    self.shared.place.lock().note(&relay);
                    (self.on_event)(Event::Relay(relay));
                }
                Ok(())
            }
            ServerMessage::Response {
                status,
                inherited,
                file_id,
                file_name,
                content_type,
                len,
            } => {
                let waiting = self.shared.pending.lock().requests.remove(&inherited.id);
                if status == Status::Ok {
                    self.shared.has_answered.store(true, Ordering::Release);
                }
                match (waiting, status) {
                    (Some(waiting), Status::Ok)
                        if inherited.message_type != Some(waiting.message_type) =>
                    {
                        let what = "the server has answered as if something else had been asked";
                        (waiting.on_answer)(Err(Failure::NoAnswer(what)));
                        self.skip(len)
                    }
                    (Some(waiting), Status::Ok) => {
                        if waiting.is_public {
                            self.shared.place.lock().count();
                        }
                        let body = Vec::new();
                        self.answer(waiting, Answer { file_id, file_name, content_type, len, body })
                    }
                    (Some(waiting), Status::Error) => {
                        // The asker is told in any case, and then the others.
                        let reason = self.read_body(len).map(reason);
                        let lost = reason.as_ref().err().cloned();
                        let failure = reason.map_or_else(Failure::Lost, Failure::Refused);
                        (waiting.on_answer)(Err(failure));
                        lost.map_or(Ok(()), Err)
                    }
                    (None, Status::Error) => {
                        self.said = Some(reason(self.read_body(len)?));
                        Ok(())
                    }
                    // To nothing that was asked: dropped.
                    (None, Status::Ok) => self.skip(len),
                }
            }
        }
    }

    /// Hands on an answer whose body is still to be read.
    fn answer(&mut self, waiting: Waiting, answer: Answer) -> Result<(), Lost> {
        let Waiting { on_answer, open, .. } = waiting;
        let len = answer.len;
        let (result, lost) = match open {
            None => match self.read_body(len) {
                Ok(body) => (Ok(Answer { body, ..answer }), None),
                Err(lost) => (Err(Failure::Lost(lost.clone())), Some(lost)),
            },
            Some(open) => match self.copy_to_opened(len, open(Incoming::of(&answer))) {
                Ok(Ok(())) => (Ok(answer), None),
                Ok(Err(Unwritten { error, left })) => {
                    // The asker need not wait for a rest that is dropped.
                    on_answer(Err(Failure::Local(error)));
                    return self.skip(left);
                }
                Err(lost) => (Err(Failure::Lost(lost.clone())), Some(lost)),
            },
        };
        on_answer(result);
        lost.map_or(Ok(()), Err)
    }

    fn copy_to_opened(
        &mut self,
        len: u64,
        opened: io::Result<Box<dyn Write + Send>>,
    ) -> Result<Result<(), Unwritten>, Lost> {
        let mut sink = match opened {
            Ok(sink) => sink,
            Err(error) => return Ok(Err(Unwritten { error, left: len })),
        };
        let copied = self.copy(len, &mut sink)?;
        Ok(copied.and_then(|()| sink.flush().map_err(|error| Unwritten { error, left: 0 })))
    }

    /// Reads a body that is held in memory; grows with what comes, not with what is declared.
    fn read_body(&mut self, len: u64) -> Result<Vec<u8>, Lost> {
        if len > BODY_LIMIT {
            return Err(Lost::TooLong(len));
        }
        let mut body = Vec::new();
        let read = (&mut self.input).take(len).read_to_end(&mut body);
        match read {
            Ok(count) if count as u64 == len => Ok(body),
            Ok(_) => Err(Lost::CutShort),
            Err(error) => Err(lost_by_io(&error)),
        }
    }

    /// Writes the next `len` bytes to `sink`, as far as it takes them.
    fn copy(&mut self, len: u64, sink: &mut dyn Write) -> Result<Result<(), Unwritten>, Lost> {
        let mut left = len;
        while left > 0 {
            let chunk = match self.input.fill_buf() {
                Ok([]) => return Err(Lost::CutShort),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost_by_io(&error)),
            };
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            if let Err(error) = sink.write_all(&chunk[..count]) {
                return Ok(Err(Unwritten { error, left }));
            }
            self.input.consume(count);
            left -= count as u64;
        }
        Ok(Ok(()))
    }

    /// Reads the next `len` bytes, and drops them.
    fn skip(&mut self, len: u64) -> Result<(), Lost> {
        self.copy(len, &mut io::sink()).map(|_| ())
    }
}

/// The reason in the body of an error: one line, without its end.
fn reason(body: Vec<u8>) -> String {
    let text = lossy(body);
    let text = text.trim();
    if text.is_empty() { "the server gave no reason".to_string() } else { text.to_string() }
}

fn lost_by(error: ReadError) -> Lost {
    match error {
        ReadError::Refused(reason) => Lost::Malformed(reason),
        ReadError::Ended => Lost::CutShort,
        ReadError::TimedOut { .. } => Lost::TimedOut,
        ReadError::Failed(error) => lost_by_io(&error),
    }
}

fn lost_by_io(error: &io::Error) -> Lost {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Lost::Reset,
        io::ErrorKind::TimedOut
        | io::ErrorKind::WouldBlock
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Lost::TimedOut,
        kind => Lost::Failed(kind),
    }
}
