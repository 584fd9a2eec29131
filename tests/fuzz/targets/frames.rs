//! Any bytes as the frames of a client, in any split, with time-outs, into any buffer: the same as
//! a naive reader has that sees all of them at once.

use std::cell::RefCell;
use std::io::{self, Read};

use multichat::web::websocket::{ControlFrame, Unframed};

use super::naive_frames::{Told, unframe_naively};

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
