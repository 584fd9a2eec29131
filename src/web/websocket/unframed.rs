//! From a client's frames to its bytes.

use std::fmt;
use std::io::{self, Read};

use super::*;

/// The longest header of a client's frame: two bytes, eight of length, four of mask.
const HEADER_LIMIT: usize = 14;

/// A client's bytes without the frames around them (RFC 6455, 5).
///
/// Payloads of binary frames are unmasked in the caller's buffer, whatever size that has; of a frame
/// only its header, or the payload of a control frame, is held. So an error of the reader below
/// loses nothing, a time-out above all, and no length that a client declares costs memory.
///
/// `on_ping` gets the Pong that answers a Ping, before the next read below: the newest one, where
/// several have come at once (RFC 6455, 5.5.3). Pongs of the client are dropped.
///
/// The stream ends (`Ok(0)`) at the client's Close, at the first violation, and where the reader
/// below ends; [`Unframed::ending`] tells which it was. Nothing is read below from then on.
#[derive(Debug)]
pub struct Unframed<R, P> {
    inner: R,
    on_ping: P,
    decoder: Decoder,
}

impl<R: Read, P: FnMut(ControlFrame)> Unframed<R, P> {
    /// Reads frames from `inner`, whose next byte is the first after the client's request.
    pub fn new(inner: R, on_ping: P) -> Unframed<R, P> {
        Unframed { inner, on_ping, decoder: Decoder::default() }
    }

    /// How the frames ended; `None` as long as they go on.
    pub fn ending(&self) -> Option<Ending> {
        self.decoder.ending
    }

    /// The reader below.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader below, to drain what comes after the frames have ended.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }
}

impl<R: Read, P: FnMut(ControlFrame)> Read for Unframed<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.ending.is_none() && !buffer.is_empty() {
            let count = self.inner.read(buffer)?;
            if count == 0 {
                self.decoder.ending = Some(Ending::Cut);
            }
            let len = self.decoder.unframe(&mut buffer[..count]);
            if let Some(pong) = self.decoder.pong.take() {
                (self.on_ping)(*pong);
            }
            if len > 0 {
                return Ok(len);
            }
        }
        Ok(0)
    }
}

/// How a client's frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client sent a Close.
    Closed {
        /// What it is answered with: its own code; 1000 where it gave none, 1002 where its Close is
        /// malformed, 1007 where the reason in it is no UTF-8.
        answer: CloseCode,
    },
    /// The client broke the rules of frames.
    Violated(Violation),
    /// The connection ended without a Close.
    Cut,
}

impl Ending {
    /// The code of the Close that the client is sent; `None` where it has ended the connection.
    pub fn answer(self) -> Option<CloseCode> {
        match self {
            Ending::Closed { answer } => Some(answer),
            Ending::Violated(Violation::Text) => Some(CloseCode::UNSUPPORTED_DATA),
            Ending::Violated(_) => Some(CloseCode::PROTOCOL_ERROR),
            Ending::Cut => None,
        }
    }
}

/// What a client may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set, and no extension was agreed upon (RFC 6455, 5.2).
    ReservedBits,
    /// An opcode that the RFC has not defined.
    UnknownOpcode(u8),
    /// A control frame in fragments (RFC 6455, 5.5).
    FragmentedControl,
    /// A control frame whose length is over [`CONTROL_PAYLOAD_LIMIT`], or written in a long form.
    LongControl,
    /// A continuation where no message goes on (RFC 6455, 5.4).
    NothingToContinue,
    /// A new message inside another one (RFC 6455, 5.4).
    MessageInMessage,
    /// A frame without a mask (RFC 6455, 5.1).
    Unmasked,
    /// A length of 2^63 or more (RFC 6455, 5.2).
    TooLong,
    /// A text frame, well formed: MCMP goes in binary ones.
    Text,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Violation::ReservedBits => "a frame with reserved bits",
            Violation::UnknownOpcode(opcode) => return write!(f, "a frame of opcode {opcode}"),
            Violation::FragmentedControl => "a control frame in fragments",
            Violation::LongControl => "a control frame of over 125 bytes",
            Violation::NothingToContinue => "a continuation of no message",
            Violation::MessageInMessage => "a new message inside another one",
            Violation::Unmasked => "a frame without a mask",
            Violation::TooLong => "a frame of 2^63 bytes or more",
            Violation::Text => "a text frame where binary ones are expected",
        };
        f.write_str(words)
    }
}

/// Where in a frame the next byte stands.
#[derive(Debug)]
enum Place {
    Header,
    Data,
    /// What has come of a control frame. In a box: few clients ever send one.
    Control(Box<ControlFrame>),
}

/// What is known between two reads.
#[derive(Debug)]
struct Decoder {
    place: Place,
    /// What has come of the header, and how much that is.
    header: [u8; HEADER_LIMIT],
    header_len: usize,
    /// How much of the payload is still to come.
    missing: u64,
    /// Turned so that its first byte is for the next one of the payload.
    mask: [u8; 4],
    /// Whether the next data frame must be a continuation.
    in_message: bool,
    /// The answer to the newest Ping, until it is taken.
    pong: Option<Box<ControlFrame>>,
    ending: Option<Ending>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            place: Place::Header,
            header: [0; HEADER_LIMIT],
            header_len: 0,
            missing: 0,
            mask: [0; 4],
            in_message: false,
            pong: None,
            ending: None,
        }
    }
}

impl Decoder {
    /// Moves the data in `bytes`, unmasked, to their beginning, and returns how much it is.
    fn unframe(&mut self, bytes: &mut [u8]) -> usize {
        let mut taken = 0;
        let mut kept = 0;
        while taken < bytes.len() && self.ending.is_none() {
            taken += match &mut self.place {
                Place::Header => self.take_header(&bytes[taken..]),
                Place::Data => {
                    let len = present(self.missing, bytes.len() - taken);
                    bytes.copy_within(taken..taken + len, kept);
                    unmask(&mut self.mask, &mut bytes[kept..kept + len]);
                    kept += len;
                    self.advance(len)
                }
                Place::Control(frame) => {
                    let len = present(self.missing, bytes.len() - taken);
                    let payload = &mut bytes[taken..taken + len];
                    unmask(&mut self.mask, payload);
                    payload.iter().for_each(|&byte| frame.push(byte));
                    self.advance(len)
                }
            };
        }
        kept
    }

    /// Counts `len` bytes of the payload, which may be its last ones.
    fn advance(&mut self, len: usize) -> usize {
        self.missing -= len as u64;
        if self.missing == 0
            && let Place::Control(frame) = std::mem::replace(&mut self.place, Place::Header)
        {
            self.end_control(frame);
        }
        len
    }

    /// Takes bytes of a header up to its end, and returns how many.
    fn take_header(&mut self, bytes: &[u8]) -> usize {
        for (taken, &byte) in bytes.iter().enumerate() {
            self.header[self.header_len] = byte;
            self.header_len += 1;
            if let Err(violation) = self.check_header() {
                self.ending = Some(Ending::Violated(violation));
                return taken + 1;
            }
            if self.header_len >= 2 && self.header_len == 2 + self.length_bytes() + 4 {
                self.begin_payload();
                return taken + 1;
            }
        }
        bytes.len()
    }

    /// How many bytes of length follow the header's first two.
    fn length_bytes(&self) -> usize {
        match self.header[1] & !MASKED {
            LENGTH_IN_2 => 2,
            LENGTH_IN_8 => 8,
            _ => 0,
        }
    }

    /// Checks what the newest byte of the header has made known.
    fn check_header(&self) -> Result<(), Violation> {
        match self.header_len {
            1 => self.check_first(),
            2 => self.check_second(),
            3 if self.length_bytes() == 8 && self.header[2] & 0x80 != 0 => Err(Violation::TooLong),
            _ => Ok(()),
        }
    }

    fn check_first(&self) -> Result<(), Violation> {
        let first = self.header[0];
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        match first & 0x0F {
            CONTINUATION if !self.in_message => Err(Violation::NothingToContinue),
            TEXT | BINARY if self.in_message => Err(Violation::MessageInMessage),
            CLOSE | PING | PONG if first & FIN == 0 => Err(Violation::FragmentedControl),
            CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG => Ok(()),
            opcode => Err(Violation::UnknownOpcode(opcode)),
        }
    }

    fn check_second(&self) -> Result<(), Violation> {
        let opcode = self.header[0] & 0x0F;
        if self.header[1] & MASKED == 0 {
            Err(Violation::Unmasked)
        } else if opcode >= CLOSE && self.length_bytes() > 0 {
            Err(Violation::LongControl)
        } else if opcode == TEXT {
            Err(Violation::Text)
        } else {
            Ok(())
        }
    }

    /// Goes on to the payload of a header that is whole and checked.
    fn begin_payload(&mut self) {
        let (header, mask) = self.header[..self.header_len].split_at(self.header_len - 4);
        self.mask.copy_from_slice(mask);
        self.missing = match &header[2..] {
            [] => u64::from(header[1] & !MASKED),
            length => length.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        };
        let opcode = header[0] & 0x0F;
        if opcode >= CLOSE {
            self.place = Place::Control(Box::new(ControlFrame::empty(opcode)));
        } else {
            self.in_message = header[0] & FIN == 0;
            self.place = Place::Data;
        }
        self.header_len = 0;
        self.advance(0);
    }

    /// Does what a whole control frame says.
    fn end_control(&mut self, mut frame: Box<ControlFrame>) {
        match frame.opcode() {
            PING => {
                frame.set_opcode(PONG);
                self.pong = Some(frame);
            }
            CLOSE => self.ending = Some(Ending::Closed { answer: answer(frame.payload()) }),
            _ => {}
        }
    }
}

/// How much of a payload, of which `missing` is still to come, stands in the next `len` bytes.
fn present(missing: u64, len: usize) -> usize {
    usize::try_from(missing).map_or(len, |missing| missing.min(len))
}

/// Unmasks what comes next of a payload, and turns the mask.
fn unmask(mask: &mut [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = *mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    let turned = rest.len() % 4;
    mask.rotate_left(turned);
}

/// What a Close with this payload is answered with.
fn answer(payload: &[u8]) -> CloseCode {
    match payload {
        [] => CloseCode::NORMAL,
        &[high, low, ref reason @ ..] => {
            match CloseCode::from_wire(u16::from_be_bytes([high, low])) {
                Some(_) if str::from_utf8(reason).is_err() => CloseCode::INVALID_DATA,
                Some(code) => code,
                None => CloseCode::PROTOCOL_ERROR,
            }
        }
        _ => CloseCode::PROTOCOL_ERROR,
    }
}
