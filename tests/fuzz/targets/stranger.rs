//! A stranger, who sends anything; and what has to come of it by the protocol, worked out from the
//! bytes alone: who hears what, and which messages are answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use multichat::client::{Content, Relay};
use multichat::ids::{FileId, Uid};
use multichat::text::{Charset, Nickname, check_text};
use multichat::wire::client_message::read_client_message;
use multichat::wire::server_message::read_server_message;
use multichat::wire::{
    Accepts, Chat, ClientMessage, ContentType, Extensions, Fault, Inherited, Parsed, ReadError,
    Request, ServerMessage,
};

use super::{DEADLINE, MAX_FILE, MAX_TEXT};

/// The longest body of a query, a fetch or a nickname message.
const SHORT_BODY_LIMIT: u64 = 1024;

const ACCEPTS: Accepts = Accepts { extensions: Extensions::Off, charset: Charset::Utf8 };

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
            Ok(_) => assert_eq!(answered(&self.got), due.answers),
            // The server does not wait for ever for those whom it reads no longer.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && due.is_closed => {}
            Err(error) => panic!("{error}"),
        }
        due
    }
}

/// Which messages were answered in what a client has got; it has to be whole.
fn answered(mut got: &[u8]) -> Vec<Inherited> {
    let mut answers = Vec::new();
    while let Some(message) = read_server_message(&mut got, &mut Vec::new()).expect("a message") {
        skip(&mut got, message.body_len()).expect("a whole body");
        if let ServerMessage::Response { inherited, .. } = message {
            answers.push(inherited);
        }
    }
    answers
}

/// What has to come of what a client has sent.
pub(super) struct Due {
    pub(super) uid: Uid,
    nickname: Option<String>,
    answers: Vec<Inherited>,
    relays: Vec<Relay>,
    /// Whether the server has to close the connection by itself.
    is_closed: bool,
}

impl Due {
    fn of(uid: Uid, sent: &[u8]) -> Due {
        let (nickname, answers, relays) = (None, Vec::new(), Vec::new());
        let mut due = Due { uid, nickname, answers, relays, is_closed: false };
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
        match read_client_message(rest, &mut Vec::new(), ACCEPTS) {
            Ok(None) => None,
            Ok(Some(Parsed::Message(ClientMessage { request: Request::Bye, .. }))) => {
                self.is_closed = true;
                None
            }
            Ok(Some(Parsed::Message(message))) => {
                self.answers.push(message.inherited);
                let body = take(rest, message.body_len)?;
                self.carry_out(message.request, body);
                Some(())
            }
            Ok(Some(Parsed::Refused { inherited, body_len, .. })) => {
                self.answers.push(inherited);
                skip(rest, body_len)
            }
            Err(Fault { error, inherited }) => {
                self.answers.push(inherited);
                self.is_closed = matches!(error, ReadError::Refused(_));
                None
            }
        }
    }

    fn carry_out(&mut self, request: Request, body: &[u8]) {
        let len = body.len() as u64;
        match request {
            Request::Nickname if len <= SHORT_BODY_LIMIT => {
                if let Ok(nickname) = Nickname::parse(body, Charset::Utf8) {
                    self.nickname = Some(nickname.as_str().to_string());
                }
            }
            Request::Chat(Chat { to, content_type, .. }) => {
                let content = match content_type {
                    ContentType::Text if len <= MAX_TEXT => match check_text(body, Charset::Utf8) {
                        Ok(()) => Content::Text(String::from_utf8_lossy(body).into_owned()),
                        Err(_) => return,
                    },
                    ContentType::File(_) if len <= MAX_FILE => Content::File(FileId(0)),
                    _ => return,
                };
                let (from, nickname) = (self.uid, self.nickname.clone());
                let content_type = content_type.as_str().to_string();
                self.relays.push(Relay { to, from, nickname, content_type, len, content });
            }
            _ => {}
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (body, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = behind;
    Some(body)
}

fn skip(rest: &mut &[u8], len: u64) -> Option<()> {
    take(rest, len).map(|_| ())
}
