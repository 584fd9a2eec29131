//! A stranger, who sends anything; and what has to come of it by the protocol, worked out from the
//! bytes alone: who hears what, and which messages are answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use multichat::client::{Content, Extra, Relay};
use multichat::ids::{FileId, Uid};

use super::judge::{self, Answer, Request, Verdict};
use super::{DEADLINE, MAX_FILE, MAX_TEXT};

/// The longest body of a query, a fetch or a nickname message.
const SHORT_BODY_LIMIT: u64 = 1024;

pub(super) struct Stranger {
    uid: Uid,
    stream: TcpStream,
    /// What the server's host has taken.
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Stranger {
    pub(super) fn come(address: SocketAddr, uid: Uid) -> Stranger {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nodelay(true).expect("set an option");
        stream.set_nonblocking(true).expect("set an option");
        Stranger { uid, stream, sent: Vec::new(), got: Vec::new() }
    }

    /// Sends what the connection takes now.
    pub(super) fn send(&mut self, bytes: &[u8]) {
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
    pub(super) fn close(self) -> Due {
        Due::of(self.uid, &self.sent)
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
        let due = Due::of(self.uid, &self.sent);
        self.stream.set_nonblocking(false).expect("set an option");
        self.stream.set_read_timeout(Some(DEADLINE)).expect("set an option");
        match self.stream.read_to_end(&mut self.got) {
            // Where a relay was written before it was known, there is no answer.
            Ok(_) if due.is_http => assert!(
                self.got.starts_with(b"HTTP/1.1 ") || answered(&self.got).is_empty(),
                "{}",
                self.got.escape_ascii()
            ),
            Ok(_) => assert_eq!(answered(&self.got), due.answers),
            // The server does not wait for ever for a client that it reads no longer.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && due.is_closed => {}
            Err(error) => panic!("{error}"),
        }
        due
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
    /// Whether the server has to close the connection by itself.
    is_closed: bool,
    /// Whether it is a request of HTTP: it gets an answer of HTTP, and is nobody in the room.
    is_http: bool,
}

impl Due {
    fn of(uid: Uid, sent: &[u8]) -> Due {
        let (nickname, answers, relays) = (None, Vec::new(), Vec::new());
        let is_http = judge::speaks_http(sent);
        let mut due = Due { uid, nickname, answers, relays, is_closed: is_http, is_http };
        if is_http {
            return due;
        }
        let mut rest = sent;
        while due.read(&mut rest).is_some() {}
        due
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
                self.is_closed = true;
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
                self.is_closed = is_refused;
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
