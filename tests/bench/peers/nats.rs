//! nats-server: a subject that everybody has subscribed to.

use super::CLIENTS_LIMIT;
use crate::dialect::{Cursor, Dialect, Frame, Read, Stop, finish};
use crate::subject::{Running, Subject};
use crate::{Outcome, text};

pub(super) const NATS_SERVER: Subject =
    Subject { name: "nats-server", is_peer: true, start, dialect: || Box::new(Nats::default()) };

/// In its verbose mode it acknowledges each message, as multichatd does.
pub(super) const ACKNOWLEDGING: Subject = Subject {
    name: "nats-server, verbose",
    dialect: || Box::new(Nats { is_verbose: true, ..Nats::default() }),
    ..NATS_SERVER
};

/// How many lines of a member's hello are acknowledged.
const HELLO_LINES: u32 = 3;

fn start(_: usize) -> Outcome<Running> {
    super::start("nats-server", &["--config"], |_, port| {
        format!(
            "listen: 127.0.0.1:{port}\nmax_connections: {CLIENTS_LIMIT}\nmax_pending: 1GB\n\
             write_deadline: \"60s\"\nping_interval: \"1h\"\n"
        )
    })
}

/// The subject.
const ROOM: &str = "room";

#[derive(Default)]
struct Nats {
    is_verbose: bool,
    /// How often each member was acknowledged something.
    acknowledged: Vec<u32>,
}

fn inbox(member: usize) -> String {
    format!("m.{member}")
}

fn publish(subject: &str, sender: usize, number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PUB {subject} {}\r\n", text::LEN).as_bytes());
    text::write(sender, number, out);
    out.extend_from_slice(b"\r\n");
}

impl Dialect for Nats {
    fn hello(&mut self, member: usize, out: &mut Vec<u8>) {
        let inbox = inbox(member);
        let verbose = self.is_verbose;
        let options = format!(r#"{{"verbose":{verbose},"pedantic":false,"echo":false}}"#);
        let hello = format!("CONNECT {options}\r\nSUB {ROOM} 1\r\nSUB {inbox} 2\r\n");
        out.extend_from_slice(hello.as_bytes());
        self.barrier(member, out);
    }

    fn barrier(&mut self, _: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PING\r\n");
    }

    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>) {
        publish(ROOM, sender, number, out);
    }

    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>) {
        publish(&inbox(receiver), sender, number, out);
    }

    fn answers(&self) -> bool {
        self.is_verbose
    }

    fn read<'a>(&mut self, member: usize, bytes: &'a [u8]) -> Read<'a> {
        let read = match bytes.first() {
            None => Err(Stop::Incomplete),
            Some(b'M') => read_text(bytes),
            Some(b'+') if self.is_verbose => self.read_acknowledgement(member, bytes),
            Some(_) => read_line(bytes),
        };
        finish(bytes, read)
    }
}

impl Nats {
    fn read_acknowledgement<'a>(
        &mut self,
        member: usize,
        bytes: &'a [u8],
    ) -> Result<(Frame<'a>, usize), Stop> {
        let mut cursor = Cursor::new(bytes);
        cursor.literal(b"+OK\r\n")?;
        if self.acknowledged.len() <= member {
            self.acknowledged.resize(member + 1, 0);
        }
        self.acknowledged[member] += 1;
        let number =
            self.acknowledged[member].checked_sub(HELLO_LINES).filter(|&number| number > 0);
        Ok((number.map_or(Frame::Other, Frame::Answer), cursor.at()))
    }
}

/// Reads `MSG room 1 100` and the text on the next line.
fn read_text(bytes: &[u8]) -> Result<(Frame<'_>, usize), Stop> {
    let mut cursor = Cursor::new(bytes);
    cursor.literal(b"MSG ")?;
    cursor.until(b' ')?;
    cursor.until(b' ')?;
    cursor.literal(b"100\r\n")?;
    let text = cursor.take(text::LEN)?;
    cursor.literal(b"\r\n")?;
    Ok((Frame::Text(text), cursor.at()))
}

fn read_line(bytes: &[u8]) -> Result<(Frame<'_>, usize), Stop> {
    let mut cursor = Cursor::new(bytes);
    let line = cursor.until(b'\n')?.trim_ascii_end();
    let frame = match line {
        b"PONG" => Frame::Ready,
        b"PING" => Frame::Reply(b"PONG\r\n"),
        _ if line.starts_with(b"INFO ") => Frame::Other,
        _ => return Err(Stop::Unexpected),
    };
    Ok((frame, cursor.at()))
}
