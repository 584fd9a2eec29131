//! A stranger's side of a WebSocket: its request, its frames, and what the server's have to be.

use super::super::naive_frames::Told;

/// A request that every server lets in.
pub(super) const HANDSHAKE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: localhost\r\n\
    Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcmp\r\n\r\n";

const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const PING: u8 = 9;

/// What stands behind the head of a request, where all of the head is there.
pub(super) fn behind_head(request: &[u8]) -> Option<&[u8]> {
    let ends = [b"\n\r\n".as_slice(), b"\n\n"];
    let end_of = |end: &[u8]| {
        let at = request.windows(end.len()).position(|bytes| bytes == end)?;
        Some(at + end.len())
    };
    ends.into_iter().filter_map(end_of).min().map(|len| &request[len..])
}

/// What stands behind an answer that makes the connection a WebSocket.
pub(super) fn behind_upgrade(answer: &[u8]) -> Option<&[u8]> {
    answer.starts_with(b"HTTP/1.1 101 ").then(|| behind_head(answer))?
}

/// Puts bytes into frames: into one, into two, or into two with a Ping between, as their number has
/// it; and tells where it is to be cut on its way.
pub(super) fn frame(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let mut framed = Vec::new();
    match bytes.len() % 4 {
        0 | 1 => put(&mut framed, true, BINARY, bytes),
        parts => {
            put(&mut framed, false, BINARY, first);
            if parts == 3 {
                put(&mut framed, true, PING, &first[..first.len().min(125)]);
            }
            put(&mut framed, true, CONTINUATION, second);
        }
    }
    // In a header, a mask or a payload.
    let cut = bytes.len() * 7 % framed.len();
    (framed, cut)
}

fn put(framed: &mut Vec<u8>, is_last: bool, opcode: u8, payload: &[u8]) {
    let mask = (payload.len() as u32).wrapping_mul(0x9E37_79B9).to_be_bytes();
    framed.push(opcode | if is_last { 0x80 } else { 0 });
    match u16::try_from(payload.len()) {
        Ok(len @ ..126) => framed.push(0x80 | len as u8),
        Ok(len) => {
            framed.push(0x80 | 126);
            framed.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            framed.push(0x80 | 127);
            framed.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    framed.extend_from_slice(&mask);
    framed.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// What a server has sent in frames.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) data: Vec<u8>,
    pongs: Vec<Vec<u8>>,
    close: Option<u16>,
}

impl Got {
    /// Reads all that a server has sent behind its answer: whole frames, as strictly as it should
    /// write them, and nothing behind a Close.
    pub(super) fn read(mut rest: &[u8]) -> Got {
        let mut got = Got::default();
        while let [first, second, behind @ ..] = rest {
            assert_eq!(got.close, None, "{} behind a Close", rest.escape_ascii());
            let number =
                |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
            let long = [0, 2, 8][usize::from(second.saturating_sub(125))];
            let (long, behind) = behind.split_at(long);
            let len = if long.is_empty() { u64::from(*second) } else { number(long) };
            assert!(matches!((long.len(), len), (0, _) | (2, 126..) | (8, 0x1_0000..)), "{len}");
            let (payload, behind) = behind.split_at(len as usize);
            match first {
                0x82 => got.data.extend_from_slice(payload),
                0x8A => got.pongs.push(payload.to_vec()),
                0x88 if payload.len() == 2 => got.close = Some(number(payload) as u16),
                _ => panic!("a frame that begins with {first:#x}: {}", payload.escape_ascii()),
            }
            rest = behind;
        }
        assert!(rest.is_empty(), "half a header: {rest:?}");
        got
    }

    /// Compares the control frames with what is due; `has_ended`: by what stands in the frames, so
    /// that what is behind need not be read.
    pub(super) fn expect_due(&self, told: &Told, has_ended: bool) {
        let code = told.answer.unwrap_or(1000);
        let is_due = self.close == Some(code) || (has_ended && self.close == Some(1000));
        assert!(is_due, "closed with {:?}, not {code}", self.close);
        // Of Pings that come at once the newest alone is answered.
        let mut left = told.pings.iter();
        assert!(self.pongs.iter().all(|pong| left.any(|ping| ping == pong)), "{:?}", self.pongs);
        assert!(has_ended || self.pongs.last() == told.pings.last(), "{:?}", self.pongs);
    }
}
