//! Any bytes as the frames of a client, in any split, with time-outs, into any buffer: the same as
//! a naive reader has that sees all of them at once.

use std::cell::RefCell;
use std::io::{self, Read};

use multichat::web::websocket::{ControlFrame, Unframed};

/// Hands out its bytes in pieces of one size, and a time-out between two of them.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
    timed_out: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.timed_out = !self.timed_out;
        if self.timed_out {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.size.min(buffer.len()).min(self.bytes.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// What comes of frames: the data, the payloads of Pings, and the code of the Close in answer.
#[derive(Debug, Default, PartialEq)]
struct Told {
    data: Vec<u8>,
    pings: Vec<Vec<u8>>,
    answer: Option<u16>,
}

fn unframe(bytes: &[u8], size: usize, buffer_len: usize) -> Told {
    let pings = RefCell::new(Vec::new());
    let on_ping = |pong: ControlFrame| {
        let pong = pong.as_ref();
        assert!(pong[0] == 0x8A && usize::from(pong[1]) == pong.len() - 2);
        pings.borrow_mut().push(pong[2..].to_vec());
    };
    let mut unframed = Unframed::new(Pieces { bytes, size, timed_out: false }, on_ping);
    let mut data = Vec::new();
    let mut buffer = vec![0; buffer_len];
    loop {
        match unframed.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => data.extend_from_slice(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    let answer = unframed.ending().expect("an ending").answer().map(u16::from);
    Told { data, pings: pings.into_inner(), answer }
}

/// Reads frames as the RFC describes them, with all bytes in hand.
fn unframe_naively(mut bytes: &[u8]) -> Told {
    let mut told = Told::default();
    let mut in_message = false;
    // `None` where the bytes end inside a frame.
    let mut next = || -> Option<()> {
        loop {
            let first = *bytes.first()?;
            let (fin, opcode) = (first >= 0x80, first % 16);
            let is_control = opcode >= 8;
            let known = matches!(opcode, 0..=2 | 8..=10);
            let out_of_place = !is_control && (opcode == 0) != in_message;
            if first & 0x70 != 0 || !known || (is_control && !fin) || out_of_place {
                told.answer = Some(1002);
                return None;
            }
            let second = *bytes.get(1)?;
            let short = second % 128;
            if second < 0x80 || (is_control && short > 125) {
                told.answer = Some(1002);
                return None;
            }
            if opcode == 1 {
                told.answer = Some(1003);
                return None;
            }
            if short == 127 && *bytes.get(2)? >= 0x80 {
                told.answer = Some(1002);
                return None;
            }
            let length_bytes = [0, 2, 8][usize::from(short.saturating_sub(125))];
            let mut len = if length_bytes == 0 { u128::from(short) } else { 0 };
            for byte in bytes.get(2..2 + length_bytes)? {
                len = len * 256 + u128::from(*byte);
            }
            let mask = bytes.get(2 + length_bytes..6 + length_bytes)?;
            let rest = &bytes[6 + length_bytes..];
            let come = len.min(rest.len() as u128) as usize;
            let payload: Vec<u8> = (0..come).map(|at| rest[at] ^ mask[at % 4]).collect();
            let is_whole = come as u128 == len;
            if !is_control {
                in_message = !fin;
                told.data.extend_from_slice(&payload);
            } else if is_whole && opcode == 9 {
                told.pings.push(payload);
            } else if is_whole && opcode == 8 {
                told.answer = Some(answer(&payload));
                return None;
            }
            bytes = &rest[come..];
        }
    };
    next();
    told
}

/// What a Close is answered with.
fn answer(payload: &[u8]) -> u16 {
    if payload.is_empty() {
        return 1000;
    }
    if payload.len() == 1 {
        return 1002;
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    let is_reserved = [1004, 1005, 1006, 1015].contains(&code);
    if code < 1000 || is_reserved || (1016..3000).contains(&code) || code >= 5000 {
        1002
    } else if String::from_utf8(payload[2..].to_vec()).is_err() {
        1007
    } else {
        code
    }
}

/// The first byte is the size of the pieces, the second one of the buffer.
pub(crate) fn run(data: &[u8]) {
    let [size, buffer_len, bytes @ ..] = data else { return };
    let expected = unframe_naively(bytes);
    let told = unframe(bytes, usize::from(*size).max(1), usize::from(*buffer_len).max(1));
    assert_eq!((&told.data, told.answer), (&expected.data, expected.answer));
    // Of Pings that come at once the newest alone is answered.
    assert_eq!(told.pings.last(), expected.pings.last());
    let mut left = expected.pings.iter();
    assert!(told.pings.iter().all(|pong| left.any(|ping| ping == pong)));
    assert_eq!(unframe(bytes, 1, 1), expected);
}
