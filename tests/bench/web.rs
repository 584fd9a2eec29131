//! Members on WebSockets beside raw ones: what the frames cost.

use std::net::SocketAddr;
use std::time::Duration;

use super::dialect::{Dialect, Frame, Read};
use super::fanout::{Case, Party, Round};
use super::idle::Held;
use super::mcmp::{MULTICHATD, Mcmp};
use super::report::{Cell, Section, Wanted, median, ratio};
use super::subject::Subject;
use super::{Bench, Outcome, fail, idle};

/// The server as its members in browsers meet it.
const FRAMED: Subject =
    Subject { name: "WebSockets", dialect: || Box::new(Framed::default()), ..MULTICHATD };

const ROUND: Duration = Duration::from_millis(500);

const MEMBERS: usize = 100;

const IDLE: usize = 1000;

/// Measures all cases.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "web",
        "one member's 100-byte texts to 99 others, all raw or all on WebSockets; CPU is the server's, \
         µs a delivery",
        &["in flight"],
        &[("k deliveries/s", 0), ("CPU µs", 3), ("x raw", 2)],
    );
    for (window, limit) in [(1, 1.1), (64, 1.15)] {
        let case = Case { members: MEMBERS, senders: 1, window };
        bench.say(&format!("web: {case}"));
        let start = |subject| Party::start(subject, case);
        let results = bench.interleave(
            &[MULTICHATD, FRAMED],
            start,
            |party| party.round(ROUND),
            Party::end,
        )?;
        let raw = results[0].rounds.clone();
        for result in &results {
            let of = |figure: fn(&Round) -> f64| median(result.rounds.iter().map(figure));
            let cells = vec![
                Cell::new(of(|round| round.rate / 1e3)),
                Cell::new(of(|round| round.cpu)),
                Cell::new(ratio(&result.rounds, &raw, |round| round.cpu)),
            ];
            section.row(&[window.to_string()], result.name, cells, None);
        }
        let what = format!("web, {case}: CPU a delivery");
        bench.report.want(Wanted::at_most(what, section.last(FRAMED.name, 2), limit, "x raw"));
    }
    bench.report.add(section);
    hold(bench)
}

/// Holds idle members of both kinds.
fn hold(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "web, idle",
        "connected and answered once; kB (1,024 bytes) a client, then after one of them has talked to all",
        &["clients"],
        &[("resident kB", 1), ("talked to", 1)],
    );
    bench.say(&format!("web: {IDLE} idle"));
    for result in idle::hold(bench, &[MULTICHATD, FRAMED], IDLE)? {
        let of = |figure: fn(&Held) -> f64| Cell::new(median(result.rounds.iter().map(figure)));
        let cells = vec![of(|held| held.resident), of(|held| held.talked_to)];
        section.row(&[IDLE.to_string()], result.name, cells, None);
    }
    let of = |name, column| section.last(name, column);
    let more = of(FRAMED.name, 0).zip(of(MULTICHATD.name, 0)).map(|(framed, raw)| framed - raw);
    let what = "web, idle: resident beside a raw member".to_string();
    bench.report.want(Wanted::at_most(what, more, 1.0, "kB more"));
    bench.report.add(section);
    Ok(())
}

/// MCMP in frames (RFC 6455). Masks are zeros, so that masking costs the generator nothing.
#[derive(Default)]
struct Framed {
    mcmp: Mcmp,
    members: Vec<Reading>,
}

/// What is known of the frames to a member.
#[derive(Clone, Copy, Default)]
struct Reading {
    /// Whether the answer to its request has come.
    is_open: bool,
    /// How much of its frame is still to be read.
    left: usize,
}

const FIN_BINARY: u8 = 0x82;

/// Appends a frame around what `encode` appends.
fn frame(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    encode(&mut payload);
    out.push(FIN_BINARY);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.append(&mut payload);
}

/// The length of the header and of the payload of the server's next frame, once the header is there.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    Some(match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        len => (2, usize::from(len)),
    })
}

impl Dialect for Framed {
    fn hello(&mut self, member: usize, out: &mut Vec<u8>) {
        let host = SocketAddr::from(([127, 0, 0, 1], 80));
        out.extend_from_slice(
            format!(
                "GET /chat HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            .as_bytes(),
        );
        self.barrier(member, out);
    }

    fn barrier(&mut self, member: usize, out: &mut Vec<u8>) {
        frame(out, |out| self.mcmp.barrier(member, out));
    }

    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>) {
        frame(out, |out| self.mcmp.public(sender, number, out));
    }

    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>) {
        frame(out, |out| self.mcmp.private(sender, number, receiver, out));
    }

    fn answers(&self) -> bool {
        self.mcmp.answers()
    }

    fn read<'a>(&mut self, member: usize, bytes: &'a [u8]) -> Read<'a> {
        if self.members.len() <= member {
            self.members.resize(member + 1, Reading::default());
        }
        let reading = &mut self.members[member];
        if !reading.is_open {
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
                return Ok(None);
            };
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                return fail(format!("no upgrade: {}", bytes[..end].escape_ascii()));
            }
            reading.is_open = true;
            return Ok(Some((Frame::Other, end + 4)));
        }
        if reading.left == 0 {
            let Some((len, payload)) = header(bytes) else { return Ok(None) };
            if bytes[0] != FIN_BINARY {
                return fail(format!("another frame: {:#x}", bytes[0]));
            }
            reading.left = payload;
            return Ok(Some((Frame::Other, len)));
        }
        let payload = &bytes[..bytes.len().min(reading.left)];
        let read = self.mcmp.read(member, payload)?;
        match read {
            Some((_, len)) => reading.left -= len,
            None if payload.len() == reading.left => return fail("a message in several frames"),
            None => {}
        }
        Ok(read)
    }
}
