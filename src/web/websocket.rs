//! The frames of a WebSocket (RFC 6455), as a server reads and writes them, without extensions.
//!
//! Data goes in binary frames, and its boundaries mean nothing: [`Unframed`] is the client's bytes
//! as one stream, and [`FrameHeader`] goes in front of as many bytes to the client as there are.

mod unframed;

#[cfg(test)]
mod tests;

use std::fmt;

pub use unframed::{Ending, Unframed, Violation};

/// The longest payload of a control frame, in bytes (RFC 6455, 5.5).
pub const CONTROL_PAYLOAD_LIMIT: usize = 125;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// What the seven bits of a length say where two bytes, or eight, follow with it.
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;

/// `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key`, as it came (RFC 6455, 4.2.2).
pub fn accept_key(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(GUID.as_bytes());
    data_encoding::BASE64.encode(&hash.digest().bytes())
}

/// Why a WebSocket is closed, as a number on the wire (RFC 6455, 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: all is said.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server stops.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke the rules of frames.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: the peer sent text, and only binary frames are taken.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: the reason of the peer's Close is no UTF-8.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);

    /// A code that a peer may send (RFC 6455, 7.4, and the registry that it founds).
    ///
    /// `None` for the others: below 1000, those that stand for something that never is on the wire
    /// (1004 to 1006, 1015), and those that nobody has defined.
    pub fn from_wire(code: u16) -> Option<CloseCode> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(CloseCode(code))
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The header of one whole binary message to a client: it is not masked, and at most 10 bytes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    bytes: [u8; 10],
    len: u8,
}

impl FrameHeader {
    /// The header of a frame that carries `payload_len` bytes.
    ///
    /// The RFC has room for lengths below 2^63; nothing in memory or in a file is longer.
    pub fn binary(payload_len: u64) -> FrameHeader {
        let mut bytes = [0; 10];
        bytes[0] = FIN | BINARY;
        let len = match payload_len {
            // The shortest form is the only one allowed (RFC 6455, 5.2).
            0..=125 => {
                bytes[1] = payload_len as u8;
                2
            }
            126..=0xFFFF => {
                bytes[1] = LENGTH_IN_2;
                bytes[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = LENGTH_IN_8;
                bytes[2..].copy_from_slice(&payload_len.to_be_bytes());
                10
            }
        };
        FrameHeader { bytes, len }
    }
}

impl AsRef<[u8]> for FrameHeader {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A whole Pong or Close frame to a client, at most 127 bytes, to be queued behind what is queued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ControlFrame {
    /// The header's two bytes, then the payload.
    bytes: [u8; 2 + CONTROL_PAYLOAD_LIMIT],
}

impl ControlFrame {
    /// A Close frame with a code and without a reason (RFC 6455, 5.5.1).
    pub fn close(code: CloseCode) -> ControlFrame {
        let mut frame = ControlFrame::empty(CLOSE);
        for byte in code.0.to_be_bytes() {
            frame.push(byte);
        }
        frame
    }

    /// A frame without a payload.
    fn empty(opcode: u8) -> ControlFrame {
        let mut bytes = [0; 2 + CONTROL_PAYLOAD_LIMIT];
        bytes[0] = FIN | opcode;
        ControlFrame { bytes }
    }

    /// Adds a byte to the payload, which must have room for it.
    fn push(&mut self, byte: u8) {
        self.bytes[2 + usize::from(self.bytes[1])] = byte;
        self.bytes[1] += 1;
    }

    /// Makes it another frame with the same payload.
    fn set_opcode(&mut self, opcode: u8) {
        self.bytes[0] = FIN | opcode;
    }

    fn opcode(&self) -> u8 {
        self.bytes[0] & !FIN
    }

    fn payload(&self) -> &[u8] {
        &self.as_ref()[2..]
    }
}

impl AsRef<[u8]> for ControlFrame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..2 + usize::from(self.bytes[1])]
    }
}

impl fmt::Debug for ControlFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlFrame({})", self.as_ref().escape_ascii())
    }
}
