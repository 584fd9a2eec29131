//! A stranger, who sends anything; and what has to come of it by the protocol, worked out from the
//! bytes alone: who hears what, and which messages are answered.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use multichat::client::{Content, Extra, Relay};
use multichat::ids::{FileId, Uid};

use super::super::naive_frames::{Told, unframe_naively};
use super::framing::{self, Got, HANDSHAKE};
use super::judge::{self, Answer, Request, Verdict};
use super::{DEADLINE, MAX_FILE, MAX_TEXT};

/// The longest body of a query, a fetch or a nickname message.
const SHORT_BODY_LIMIT: u64 = 1024;

/// A request that has come within so long finds that nothing was written yet.
const HELD: Duration = Duration::from_millis(300);

pub(super) struct Stranger {
    uid: Uid,
    stream: TcpStream,
    came: Instant,
    /// Whether its request was sent whole before anything could be written to it.
    must_be_let_in: bool,
    /// Whether what it sends goes into frames.
    is_framing: bool,
    /// Whether the next piece does not, all the same.
    is_next_bare: bool,
    /// What the server's host has taken.
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Stranger {
    pub(super) fn come(address: SocketAddr, uid: Uid) -> Stranger {
        let came = Instant::now();
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nodelay(true).expect("set an option");
        stream.set_nonblocking(true).expect("set an option");
        Stranger {
            uid,
            stream,
            came,
            must_be_let_in: false,
            is_framing: false,
            is_next_bare: false,
            sent: Vec::new(),
            got: Vec::new(),
        }
    }

    /// Asks for a WebSocket, with the request cut at so many eighths, and does not wait for the answer:
    /// from here on what it sends goes into frames.
    pub(super) fn begin_framing(&mut self, eighths: usize) {
        let (first, second) = HANDSHAKE.split_at(HANDSHAKE.len() * eighths / 8);
        self.send_bare(first);
        self.send_bare(second);
        self.must_be_let_in = self.sent == HANDSHAKE && self.came.elapsed() < HELD;
        self.is_framing = true;
    }

    /// Sends what the connection takes now, in frames where it has begun to.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.is_framing && !mem::take(&mut self.is_next_bare) {
            let (framed, cut) = framing::frame(bytes);
            self.send_bare(&framed[..cut]);
            self.send_bare(&framed[cut..]);
        } else {
            self.send_bare(bytes);
        }
    }

    /// What is sent next is sent as it is.
    pub(super) fn go_bare(&mut self) {
        self.is_next_bare = true;
    }

    fn send_bare(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(count @ 1..) = self.stream.write(rest) {
            self.sent.extend_from_slice(&rest[..count]);
            rest = &rest[count..];
        }
    }

    pub(super) fn end_input(&self) {
        // Fails where the server has closed the connection already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(super) fn read_some(&mut self) {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).unwrap_or(0);
        self.got.extend_from_slice(&buffer[..count]);
    }

    /// Closes the connection, with what it has not read.
    pub(super) fn close(mut self) -> Due {
        if judge::speaks_http(&self.sent) {
            self.read_answer();
        }
        self.due()
    }

    /// Closes the connection with a reset.
    pub(super) fn reset(self) -> Due {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("set an option");
        self.close()
    }

    /// Reads to the end: every message has to be answered once, in order.
    pub(super) fn leave(mut self) -> Due {
        self.end_input();
        self.wait_to_read();
        let read = self.stream.read_to_end(&mut self.got);
        let due = self.due();
        match (read, &due.told) {
            (Ok(_), Some(told)) => {
                let got = Got::read(framing::behind_upgrade(&self.got).expect("an upgrade"));
                assert_eq!(answered(&got.data), due.answers);
                got.expect_due(told, due.is_ended_by_message);
            }
            // Where a relay was written before it was known, there is no answer.
            (Ok(_), None) if due.is_http => assert!(
                self.got.starts_with(b"HTTP/1.1 ") || answered(&self.got).is_empty(),
                "{}",
                self.got.escape_ascii()
            ),
            (Ok(_), None) => assert_eq!(answered(&self.got), due.answers),
            // The server does not wait for ever for a client that it reads no longer.
            (Err(error), _) if error.kind() == ErrorKind::ConnectionReset && due.is_closed() => {}
            (Err(error), _) => panic!("{error}"),
        }
        due
    }

    fn wait_to_read(&self) {
        self.stream.set_nonblocking(false).expect("set an option");
        self.stream.set_read_timeout(Some(DEADLINE)).expect("set an option");
    }

    /// Reads until it is known whether its request was one for a WebSocket.
    fn read_answer(&mut self) {
        if framing::behind_head(&self.sent).is_none() {
            return;
        }
        self.wait_to_read();
        let mut buffer = [0; 4096];
        while framing::behind_head(&self.got).is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => self.got.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What has to come of what it has sent.
    fn due(&self) -> Due {
        let is_upgraded = framing::behind_upgrade(&self.got).is_some();
        assert!(is_upgraded || !self.must_be_let_in, "{}", self.got.escape_ascii());
        Due::of(self.uid, &self.sent, is_upgraded)
    }
}

/// Which messages were answered in what a client has got; it has to be whole.
fn answered(mut got: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !got.is_empty() {
        answers.extend(judge::take_answer(&mut got).expect("a message"));
    }
    answers
}

/// What has to come of what a client has sent.
pub(super) struct Due {
    pub(super) uid: Uid,
    nickname: Option<String>,
    answers: Vec<Answer>,
    relays: Vec<Relay>,
    /// Whether a message has ended the session: what is behind is not read.
    is_ended_by_message: bool,
    /// Whether it is a request of HTTP; then it is nobody in the room, unless it has become a
    /// WebSocket.
    is_http: bool,
    /// What stands in its frames, where it is on a WebSocket.
    told: Option<Told>,
}

impl Due {
    fn of(uid: Uid, sent: &[u8], is_upgraded: bool) -> Due {
        let is_http = judge::speaks_http(sent);
        assert!(is_http || !is_upgraded, "{}", sent.escape_ascii());
        let mut due = Due {
            uid,
            nickname: None,
            answers: Vec::new(),
            relays: Vec::new(),
            is_ended_by_message: false,
            is_http,
            told: None,
        };
        if is_upgraded {
            let told = unframe_naively(framing::behind_head(sent).expect("a whole head"));
            due.read_all(&told.data);
            due.told = Some(told);
        } else if !is_http {
            due.read_all(sent);
        }
        due
    }

    /// Whether the server has to close the connection by itself.
    fn is_closed(&self) -> bool {
        match &self.told {
            Some(told) => self.is_ended_by_message || told.answer.is_some(),
            None => self.is_ended_by_message || self.is_http,
        }
    }

    fn read_all(&mut self, mut sent: &[u8]) {
        while self.read(&mut sent).is_some() {}
    }

    /// The messages for client `uid`, but for their File-IDs.
    pub(super) fn relays_for(&self, uid: Uid) -> impl Iterator<Item = &Relay> {
        self.relays.iter().filter(move |relay| relay.to.is_none_or(|to| to == uid))
    }

    /// Reads a message; `None` where nothing behind it counts.
    fn read(&mut self, rest: &mut &[u8]) -> Option<()> {
        match judge::take_header(rest) {
            Verdict::Nothing => None,
            Verdict::Bye => {
                self.is_ended_by_message = true;
                None
            }
            Verdict::Message { answer, request, body_len } => {
                self.answers.push(answer);
                let body = take(rest, body_len)?;
                self.carry_out(request, body);
                Some(())
            }
            Verdict::Refused { answer, body_len } => {
                self.answers.push(answer);
                take(rest, body_len).map(|_| ())
            }
            Verdict::Fatal { answer, is_refused } => {
                self.answers.push(answer);
                self.is_ended_by_message = is_refused;
                None
            }
        }
    }

    fn carry_out(&mut self, request: Request, body: &[u8]) {
        let len = body.len() as u64;
        match request {
            Request::Nickname if len <= SHORT_BODY_LIMIT => {
                self.nickname = judge::nickname(body).or(self.nickname.take());
            }
            Request::Text { to } if len <= MAX_TEXT && judge::is_text(body) => {
                let text = String::from_utf8_lossy(body).into_owned();
                self.relay(to, "text".to_string(), len, Content::Text(text));
            }
            Request::File { to, extension } if len <= MAX_FILE => {
                self.relay(to, extension, len, Content::File(FileId(0)));
            }
            _ => {}
        }
    }

    fn relay(&mut self, to: Option<u64>, content_type: String, len: u64, content: Content) {
        let (to, from, nickname) = (to.map(Uid), self.uid, self.nickname.clone());
        let extra = Extra::default();
        self.relays.push(Relay { to, from, nickname, content_type, len, content, extra });
    }
}

fn take<'a>(rest: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (body, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = behind;
    Some(body)
}
