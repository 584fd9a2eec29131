//! mosquitto: a topic that everybody has subscribed to (MQTT 3.1.1, QoS 0).

use super::CLIENTS_LIMIT;
use crate::dialect::{Cursor, Dialect, Frame, Read, Stop, finish};
use crate::subject::{Running, Subject};
use crate::{Outcome, text};

pub(super) const MOSQUITTO: Subject =
    Subject { name: "mosquitto", is_peer: true, start, dialect: || Box::new(Mqtt) };

fn start(_: usize) -> Outcome<Running> {
    super::start("mosquitto", &["-c"], |_, port| {
        format!(
            "listener {port} 127.0.0.1\nmax_connections {CLIENTS_LIMIT}\nallow_anonymous true\n\
             persistence false\nset_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 0\n\
             log_type error\n"
        )
    })
}

/// The topic.
const ROOM: &str = "room";

struct Mqtt;

/// Appends a packet: its first byte, and strings and other bytes that follow.
fn packet(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(kind);
    let mut len: usize = parts.iter().map(|part| part.len()).sum();
    loop {
        let more = u8::from(len >= 128) << 7;
        // Below 128, so the cast keeps all of it.
        out.push((len % 128) as u8 | more);
        len /= 128;
        if len == 0 {
            break;
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// A string as it stands in a packet; ours are short.
fn string(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), text.as_bytes()].concat()
}

fn inbox(member: usize) -> String {
    format!("m/{member}")
}

fn publish(topic: &str, sender: usize, number: u32, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(text::LEN);
    text::write(sender, number, &mut text);
    packet(0x30, &[&string(topic), &text], out);
}

impl Dialect for Mqtt {
    fn hello(&mut self, member: usize, out: &mut Vec<u8>) {
        // A clean session, kept alive for ever.
        packet(0x10, &[&string("MQTT"), &[4, 2, 0, 0], &string(&format!("m{member}"))], out);
        packet(0x82, &[&[0, 1], &string(ROOM), &[0], &string(&inbox(member)), &[0]], out);
        self.barrier(member, out);
    }

    fn barrier(&mut self, _: usize, out: &mut Vec<u8>) {
        packet(0xc0, &[], out);
    }

    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>) {
        publish(ROOM, sender, number, out);
    }

    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>) {
        publish(&inbox(receiver), sender, number, out);
    }

    fn echoes(&self) -> bool {
        true
    }

    fn read<'a>(&mut self, _: usize, bytes: &'a [u8]) -> Read<'a> {
        finish(bytes, read_packet(bytes))
    }
}

fn read_packet(bytes: &[u8]) -> Result<(Frame<'_>, usize), Stop> {
    let mut cursor = Cursor::new(bytes);
    let kind = cursor.take(1)?[0];
    // Of two bytes at the most: no packet here is longer.
    let mut len = usize::from(cursor.take(1)?[0]);
    if len >= 128 {
        len = len - 128 + 128 * usize::from(cursor.take(1)?[0]);
    }
    let rest = cursor.take(len)?;
    let frame = match (kind, rest) {
        // PUBLISH: a topic, and the text.
        (0x30, [high, low, rest @ ..]) => {
            let topic_len = usize::from(u16::from_be_bytes([*high, *low]));
            Frame::Text(rest.get(topic_len..).ok_or(Stop::Unexpected)?)
        }
        // CONNACK, SUBACK: accepted.
        (0x20, [_, 0]) | (0x90, [_, _, 0, 0]) => Frame::Other,
        // PINGRESP.
        (0xd0, []) => Frame::Ready,
        _ => return Err(Stop::Unexpected),
    };
    Ok((frame, cursor.at()))
}
