//! multichatd as a subject, and the protocol that it speaks.

use std::io::{BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::{env, mem};

use socket2::{Domain, Socket, Type};

use multichat::ids::{MessageId, Uid};
use multichat::text::Extension;
use multichat::wire::client_message::encode_client_message;
use multichat::wire::query::EXTENDED_ANSWER;
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

/// Another build of it, to be compared with in the same minutes: what `BENCH_BEFORE` names.
pub(crate) const BEFORE: Subject = Subject { name: "before", start: start_before, ..MULTICHATD };

/// The same, keeping no history.
pub(crate) const NO_HISTORY: Subject =
    Subject { name: "--history 0", start: start_without_history, ..MULTICHATD };

/// The same, all members in the extended form.
pub(crate) const EXTENDED: Subject =
    Subject { name: "extended", dialect: || Box::new(Mcmp::extended(|_| true)), ..MULTICHATD };

/// The same, every other member in the extended form; the first one, which talks, in the plain one.
pub(crate) const HALF_EXTENDED: Subject = Subject {
    name: "every other extended",
    dialect: || Box::new(Mcmp::extended(|member| member % 2 == 1)),
    ..MULTICHATD
};

/// The same with one client whose queue is over its limit all the time.
pub(crate) const ONE_OVER: Subject =
    Subject { name: "one over", start: start_one_over, ..MULTICHATD };

/// Whether there is a build to be compared with.
pub(crate) fn is_compared() -> bool {
    program_before().is_ok()
}

/// The build to be compared with.
pub(crate) fn program_before() -> Outcome<PathBuf> {
    let path = env::var_os("BENCH_BEFORE").filter(|path| !path.is_empty());
    Ok(path.ok_or("BENCH_BEFORE is not set")?.into())
}

/// The built server.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_multichatd").into()
}

fn start(members: usize) -> Outcome<Running> {
    start_program(program(), members, &[])
}

fn start_without_history(members: usize) -> Outcome<Running> {
    start_program(program(), members, &["--history", "0"])
}

fn start_before(members: usize) -> Outcome<Running> {
    start_program(program_before()?, members, &[])
}

fn start_program(program: PathBuf, members: usize, options: &[&str]) -> Outcome<Running> {
    let mut command = Command::new(program);
    let max_clients = (members + 3).to_string();
    command
        .args(["--quiet", "--listen", "127.0.0.1:0", "--max-clients", &max_clients])
        .args(options)
        .env_remove("RUST_LOG");
    Running::announced(command)
}

/// Two more clients: one talks to the other, which does not read, until it is held.
fn start_one_over(members: usize) -> Outcome<Running> {
    let patient = ["--stall-timeout", "3600"];
    let running = start_program(program(), members, &patient)?;
    let (stalled, uid) = join(running.address)?;
    let (mut talker, _) = join(running.address)?;
    talker.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
    let mut text = Vec::new();
    let request = Request::Chat(Chat {
        to: Some(Uid(uid)),
        content_type: ContentType::Text,
        file_name: None,
    });
    encode(request, 1, 60_000, &mut text);
    text.resize(text.len() + 60_000, b'x');
    // The server reads no more of it once the queue is over and the share is used up.
    while talker.write_all(&text).is_ok() {}
    // For as long as the server runs.
    mem::forget((stalled, talker));
    Ok(running)
}

/// A client that takes little, and its UID.
fn join(address: SocketAddr) -> Outcome<(TcpStream, u64)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_recv_buffer_size(16 * 1024)?;
    socket.connect(&address.into())?;
    let mut stream = TcpStream::from(socket);
    let mut asked = Vec::new();
    query(b"self", &mut asked);
    stream.write_all(&asked)?;
    let mut reader = BufReader::new(&stream);
    let read = read_server_message(&mut reader, &mut Vec::new());
    let len = match read.map_err(|error| format!("{error:?}"))? {
        Some(ServerMessage::Response { len, .. }) => usize::try_from(len)?,
        _ => return fail("no answer to a query"),
    };
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let uid = multichat::wire::parse_number(body.trim_ascii()).ok_or("not a UID")?;
    Ok((stream, uid))
}

pub(crate) struct Mcmp {
    /// Each member's UID, once its first barrier is answered.
    uids: Vec<u64>,
    /// Which members ask for the extended form.
    is_extended: fn(member: usize) -> bool,
}

impl Default for Mcmp {
    fn default() -> Mcmp {
        Mcmp::extended(|_| false)
    }
}

/// Appends the header of a client message.
pub(crate) fn encode(request: Request, id: u64, body_len: usize, out: &mut Vec<u8>) {
    let message_type = Some(request.message_type());
    let inherited = Inherited { message_type, id: MessageId(id) };
    encode_client_message(&ClientMessage { request, inherited, body_len: body_len as u64 }, out);
}

/// Appends a query.
pub(crate) fn query(body: &[u8], out: &mut Vec<u8>) {
    encode(Request::Query, 0, body.len(), out);
    out.extend_from_slice(body);
}

/// Appends a text for everybody, whatever it says.
pub(crate) fn say_to_all(said: &[u8], out: &mut Vec<u8>) {
    let request =
        Request::Chat(Chat { to: None, content_type: ContentType::Text, file_name: None });
    encode(request, 0, said.len(), out);
    out.extend_from_slice(said);
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
    fn hello(&mut self, member: usize, out: &mut Vec<u8>) {
        if (self.is_extended)(member) {
            query(EXTENDED_ANSWER.trim_ascii(), out);
        }
        self.barrier(member, out);
    }

    fn barrier(&mut self, _: usize, out: &mut Vec<u8>) {
        query(b"self", out);
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
    /// With these members in the extended form.
    fn extended(is_extended: fn(member: usize) -> bool) -> Mcmp {
        Mcmp { uids: Vec::new(), is_extended }
    }

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
        if (self.is_extended)(member) {
            if bytes.get(cursor.at() + 2) == Some(&b'S') {
                cursor.literal(b"\r\nSequence ")?;
                cursor.number()?;
            }
            cursor.literal(b"\r\nTime ")?;
            cursor.take("2026-11-26T09:41:00.123Z".len())?;
        }
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
        let len = bytes.len() - rest.len() + body.len();
        if body == EXTENDED_ANSWER {
            return Ok(Some((Frame::Other, len)));
        }
        let uid = multichat::wire::parse_number(body.trim_ascii()).ok_or("not a UID")?;
        if self.uids.len() <= member {
            self.uids.resize(member + 1, 0);
        }
        self.uids[member] = uid;
        Ok(Some((Frame::Ready, len)))
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
