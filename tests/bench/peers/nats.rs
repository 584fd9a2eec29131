//! nats-server: a subject that everybody has subscribed to.

use super::CLIENTS_LIMIT;
use crate::dialect::{Cursor, Dialect, Frame, Read, Stop, finish};
use crate::subject::{Running, Subject};
use crate::{Outcome, text};

pub(super) const NATS_SERVER: Subject =
    Subject { name: "nats-server", is_peer: true, start, dialect: || Box::new(Nats) };

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

struct Nats;

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
        let options = r#"{"verbose":false,"pedantic":false,"echo":false}"#;
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

    fn read<'a>(&mut self, _: usize, bytes: &'a [u8]) -> Read<'a> {
        let read = match bytes.first() {
            None => Err(Stop::Incomplete),
            Some(b'M') => read_text(bytes),
            Some(_) => read_line(bytes),
        };
        finish(bytes, read)
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
