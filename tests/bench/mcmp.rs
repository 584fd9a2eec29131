//! multichatd as a subject, and the protocol that it speaks.

use std::process::Command;

use multichat::ids::{MessageId, Uid};
use multichat::text::Extension;
use multichat::wire::client_message::encode_client_message;
use multichat::wire::server_message::read_server_message;
use multichat::wire::{
    Chat, ClientMessage, ContentType, Inherited, MessageType, Request, ServerMessage, Status,
};

use super::dialect::{Cursor, Dialect, Frame, Read, Stop, finish};
use super::subject::{Running, Subject};
use super::{Outcome, fail, text};

/// What the benchmark is about.
pub(crate) const MULTICHATD: Subject =
    Subject { name: "multichatd", is_peer: false, start, dialect: || Box::new(Mcmp::default()) };

fn start(members: usize) -> Outcome<Running> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multichatd"));
    let max_clients = (members + 1).to_string();
    command
        .args(["--quiet", "--listen", "127.0.0.1:0", "--max-clients", &max_clients])
        .env_remove("RUST_LOG");
    Running::announced(command)
}

#[derive(Default)]
struct Mcmp {
    /// Each member's UID, once its first barrier is answered.
    uids: Vec<u64>,
}

/// Appends the header of a client message.
pub(crate) fn encode(request: Request, id: u64, body_len: usize, out: &mut Vec<u8>) {
    let message_type = Some(request.message_type());
    let inherited = Inherited { message_type, id: MessageId(id) };
    encode_client_message(&ClientMessage { request, inherited, body_len: body_len as u64 }, out);
}

/// Asks to share a file with everybody.
pub(crate) fn share(extension: &str) -> Request {
    let extension = Extension::parse(extension.as_bytes()).expect("an extension of ours");
    Request::Chat(Chat { to: None, content_type: ContentType::File(extension), file_name: None })
}

fn chat(to: Option<Uid>, sender: usize, number: u32, out: &mut Vec<u8>) {
    let request = Request::Chat(Chat { to, content_type: ContentType::Text, file_name: None });
    encode(request, number.into(), text::LEN, out);
    text::write(sender, number, out);
}

impl Dialect for Mcmp {
    fn barrier(&mut self, _: usize, out: &mut Vec<u8>) {
        encode(Request::Query, 0, b"self".len(), out);
        out.extend_from_slice(b"self");
    }

    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>) {
        chat(None, sender, number, out);
    }

    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>) {
        chat(Some(Uid(self.uids[receiver])), sender, number, out);
    }

    fn answers(&self) -> bool {
        true
    }

    fn read<'a>(&mut self, member: usize, bytes: &'a [u8]) -> Read<'a> {
        let read = match bytes.first() {
            None => Err(Stop::Incomplete),
            Some(b'M') => self.read_relay(member, bytes),
            Some(_) => match read_answer(bytes) {
                Err(Stop::Unexpected) => return self.read_response(member, bytes),
                read => read,
            },
        };
        finish(bytes, read)
    }
}

impl Mcmp {
    fn read_relay<'a>(&self, member: usize, bytes: &'a [u8]) -> Result<(Frame<'a>, usize), Stop> {
        let mut cursor = Cursor::new(bytes);
        cursor.literal(b"Message-Type chat\r\n")?;
        if bytes.get(cursor.at()) == Some(&b'T') {
            cursor.literal(b"To ")?;
            self.check(cursor.number()?, member)?;
            cursor.literal(b"\r\n")?;
        }
        cursor.literal(b"From ")?;
        let from = cursor.number()?;
        cursor.literal(b"\r\nContent-Type text\r\nContent-Length 100\r\n\r\n")?;
        let text = cursor.take(text::LEN)?;
        let (sender, _) = text::read(text).map_err(|_| Stop::Unexpected)?;
        self.check(from, sender)?;
        Ok((Frame::Text(text), cursor.at()))
    }

    fn check(&self, uid: u64, member: usize) -> Result<(), Stop> {
        if self.uids.get(member) == Some(&uid) { Ok(()) } else { Err(Stop::Unexpected) }
    }

    /// Reads the response to a barrier; any other one is not welcome.
    fn read_response<'a>(&mut self, member: usize, bytes: &'a [u8]) -> Read<'a> {
        if !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(None);
        }
        let mut rest = bytes;
        let message = read_server_message(&mut rest, &mut Vec::new())
            .map_err(|error| format!("{error:?}: {}", bytes.escape_ascii()))?;
        let Some(ServerMessage::Response { status, inherited, len, .. }) = message else {
            return fail(format!("not a response: {}", bytes.escape_ascii()));
        };
        let Some(body) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            return Ok(None);
        };
        if (status, inherited.message_type) != (Status::Ok, Some(MessageType::Query)) {
            return fail(format!("refused: {}", body.escape_ascii()));
        }
        let uid = multichat::wire::parse_number(body.trim_ascii()).ok_or("not a UID")?;
        if self.uids.len() <= member {
            self.uids.resize(member + 1, 0);
        }
        self.uids[member] = uid;
        Ok(Some((Frame::Ready, bytes.len() - rest.len() + body.len())))
    }
}

/// Reads the response to a chat that has reached everybody.
fn read_answer(bytes: &[u8]) -> Result<(Frame<'_>, usize), Stop> {
    let mut cursor = Cursor::new(bytes);
    cursor.literal(b"Status Ok\r\nMessage-Type chat\r\nMessage-ID ")?;
    let number = cursor.number()?;
    cursor.literal(b"\r\nContent-Type text\r\nContent-Length 0\r\n\r\n")?;
    let number = u32::try_from(number).map_err(|_| Stop::Unexpected)?;
    Ok((Frame::Answer(number), cursor.at()))
}
