//! One connection of a rule: it sends any bytes, reads strictly, and never waits for ever.

mod asking;
mod judging;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::case::{Check, Dialect};
use super::finding::{Record, visible};
use super::message::{Message, Parsed};
use super::request::Request;

pub use self::judging::Needs;

/// More than this on one connection is a flood, in bytes: no rule asks for so much.
const FLOOD_BYTES: usize = 4 << 20;

/// More than this on one connection is a flood, in messages.
const FLOOD_MESSAGES: usize = 5000;

/// How long a server may take to close behind the end of a rule before the next one begins anyway.
const FAREWELL: Duration = Duration::from_millis(500);

/// How nothing more came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing came within the deadline.
    Hung,
    /// The server closed the connection in order.
    Closed,
    /// The server reset the connection.
    Reset,
    /// More came than any rule asks for.
    Flood,
}

/// What all connections of a rule have in common.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What they send is noted here.
    pub record: Rc<RefCell<Record>>,
    /// How the server speaks.
    pub dialect: Dialect,
    /// How long one step may take.
    pub timeout: Duration,
    /// When the whole rule must have ended.
    pub rule_end: Instant,
    /// Whether the server has closed behind every bye so far: only then it is waited for.
    pub is_patient: Rc<Cell<bool>>,
}

/// One connection to the server under test.
#[derive(Debug)]
pub struct Peer {
    name: char,
    stream: TcpStream,
    terms: Terms,
    /// Whether what was sent last was a whole message.
    is_between: bool,
    /// Whether it is a relay that is waited for: a server that owes no response does not hang.
    awaits_relay: bool,
    /// Whether the connection has ended.
    is_over: bool,
    /// Its UID, where it was asked for; otherwise empty.
    pub uid: String,
    /// What has come and was not read as a message yet.
    buffer: Vec<u8>,
    bytes: usize,
    messages: usize,
    relays: VecDeque<Message>,
    responses: VecDeque<Message>,
    last_id: u64,
}

impl Peer {
    /// Takes a connection that was just made.
    ///
    /// # Errors
    /// Where the system does not let its timeouts be set.
    pub fn new(stream: TcpStream, terms: Terms) -> io::Result<Peer> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(terms.timeout))?;
        let name = terms.record.borrow_mut().add_peer();
        Ok(Peer {
            name,
            stream,
            terms,
            is_between: true,
            awaits_relay: false,
            is_over: false,
            uid: String::new(),
            buffer: Vec::new(),
            bytes: 0,
            messages: 0,
            relays: VecDeque::new(),
            responses: VecDeque::new(),
            last_id: 0,
        })
    }

    // Writing

    /// Sends bytes. Whether they have arrived shows in what comes: a server that has closed the
    /// connection may have had its reasons.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.is_between = false;
        self.terms.record.borrow_mut().sent(self.name, bytes);
        let _ = self.stream.write_all(bytes);
    }

    /// The bytes of a request, with the next Message-ID.
    pub fn encode(&mut self, request: &Request) -> Vec<u8> {
        self.last_id += 1;
        request.encode(self.last_id, self.terms.dialect.ending)
    }

    /// Sends a request; its Message-ID.
    pub fn post(&mut self, request: &Request) -> u64 {
        let bytes = self.encode(request);
        self.send(bytes);
        self.is_between = true;
        self.last_id
    }

    /// Ends the sending side, as `printf … | nc` does.
    pub fn end_input(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes without bye, in order: with unread bytes a close would be a reset.
    pub fn close(mut self) {
        self.is_over = true;
        let mut chunk = [0; 16 * 1024];
        if self.stream.set_nonblocking(true).is_ok() {
            while let Ok(1..) = self.stream.read(&mut chunk) {}
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(mut self) {
        self.is_over = true;
        let _ = rustix::net::connect_unspec(&self.stream);
    }

    /// The port of this side: no other client may learn it (R4, §1.2).
    pub fn port(&self) -> u16 {
        self.stream.local_addr().map_or(0, |address| address.port())
    }

    /// The address of this side, without the port.
    pub fn host(&self) -> String {
        self.stream.local_addr().map_or_else(|_| String::new(), |address| address.ip().to_string())
    }

    // Reading

    /// Reads what has come, waiting for it.
    fn fill(&mut self, until: Instant) -> Result<(), Silence> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Silence::Hung);
            }
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(Silence::Reset);
            }
            let read = self.stream.read(&mut chunk);
            return match read {
                Ok(0) => {
                    self.is_over = true;
                    Err(Silence::Closed)
                }
                Ok(len) => {
                    self.bytes += len;
                    self.buffer.extend_from_slice(&chunk[..len]);
                    if self.bytes > FLOOD_BYTES { Err(Silence::Flood) } else { Ok(()) }
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Silence::Hung),
                    _ => {
                        self.is_over = true;
                        Err(Silence::Reset)
                    }
                },
            };
        }
    }

    /// Waits for more bytes, and gives all that were not read as messages.
    ///
    /// # Errors
    /// Where no more come.
    pub fn more(&mut self) -> Result<&[u8], Silence> {
        let until = self.step_end();
        self.fill(until)?;
        Ok(&self.buffer)
    }

    fn step_end(&self) -> Instant {
        (Instant::now() + self.terms.timeout).min(self.terms.rule_end)
    }

    /// What has come of a message that did not come whole, in words.
    fn silence(&self, silence: &Silence, partial: &str) -> String {
        let seconds = self.terms.timeout.as_secs_f64();
        let what = match silence {
            Silence::Hung if Instant::now() >= self.terms.rule_end => {
                "more steps than a rule may take, each of them slow".to_owned()
            }
            Silence::Hung if self.awaits_relay => format!("nothing more for {seconds} s"),
            Silence::Hung => format!("nothing more for {seconds} s: the server hangs"),
            Silence::Closed => "the end: the server closed the connection".to_owned(),
            Silence::Reset => "a reset of the connection".to_owned(),
            Silence::Flood => format!("a flood: {} bytes in all", self.bytes),
        };
        match self.buffer.is_empty() {
            true => what,
            false => format!("{} … then {what} ({partial})", visible(&self.buffer)),
        }
    }

    /// Reads the next message, of whichever kind.
    ///
    /// # Errors
    /// Where something else came, or nothing: a finding that says what was wanted.
    pub fn next(&mut self, want: &str) -> Check<Message> {
        let until = self.step_end();
        loop {
            let partial = match Message::parse(&self.buffer, self.terms.dialect.is_ok_bare) {
                Parsed::Whole(message, used) => {
                    self.buffer.drain(..used);
                    self.messages += 1;
                    if self.messages > FLOOD_MESSAGES {
                        let got = format!("a flood: {} messages in all", self.messages);
                        return Err(self.broken(&got, want));
                    }
                    return Ok(message);
                }
                Parsed::Noise(why) => {
                    let got = format!("{} ({why})", visible(&self.buffer));
                    return Err(self.broken(&got, want));
                }
                Parsed::Partial(partial) => partial,
            };
            if let Err(silence) = self.fill(until) {
                let got = self.silence(&silence, &partial);
                return Err(self.broken(&got, want));
            }
        }
    }

    /// Reads up to the next response; what else arrives is kept for [`Peer::relay`].
    ///
    /// # Errors
    /// Where none comes.
    pub fn response(&mut self, want: &str) -> Check<Message> {
        if let Some(response) = self.responses.pop_front() {
            return Ok(response);
        }
        loop {
            let message = self.next(want)?;
            if message.is_response() {
                return Ok(message);
            }
            self.relays.push_back(message);
        }
    }

    /// Reads up to the end of the connection, before which nothing more is to come but relays.
    ///
    /// # Errors
    /// Where a response comes, or the end does not; a reset is not an end.
    pub fn end(&mut self, want: &str) -> Check {
        let until = self.step_end();
        loop {
            match Message::parse(&self.buffer, self.terms.dialect.is_ok_bare) {
                Parsed::Whole(message, used) => {
                    self.buffer.drain(..used);
                    self.must(!message.is_response(), &message, want)?;
                    continue;
                }
                Parsed::Noise(_) => return Err(self.broken(&visible(&self.buffer), want)),
                Parsed::Partial(partial) => match self.fill(until) {
                    Ok(()) => {}
                    Err(Silence::Closed) if self.buffer.is_empty() => return Ok(()),
                    Err(silence) => {
                        return Err(self.broken(&self.silence(&silence, &partial), want));
                    }
                },
            }
        }
    }

    /// Reads up to the end of the connection, whatever comes and however it ends.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn drain(&mut self, want: &str) -> Check<Vec<u8>> {
        let until = self.step_end();
        loop {
            match self.fill(until) {
                Ok(()) => {}
                Err(Silence::Closed | Silence::Reset) => {
                    return Ok(std::mem::take(&mut self.buffer));
                }
                Err(silence) => return Err(self.broken(&self.silence(&silence, "no end"), want)),
            }
        }
    }
}

impl Drop for Peer {
    /// Leaves, and waits a moment until the server has seen it: the next rule is to find the room as
    /// it was.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if self.is_between {
            self.post(&Request::bye());
        }
        self.end_input();
        if self.terms.is_patient.get() {
            self.buffer.clear();
            let until = Instant::now() + FAREWELL;
            while self.fill(until).is_ok() {
                self.buffer.clear();
            }
            self.terms.is_patient.set(self.is_over);
        }
    }
}
