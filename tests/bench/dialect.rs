//! What goes over the wire: how a subject is told a text, and how it delivers one.

use super::{Outcome, fail};

/// Something that a subject has sent to a member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    /// A text of some member's.
    Text(&'a [u8]),
    /// The answer to the member's own text with this number.
    Answer(u32),
    /// The answer to the member's barrier: all that was sent to it before has come.
    Ready,
    /// Wants these bytes for an answer.
    Reply(&'static [u8]),
    /// Means nothing here.
    Other,
}

/// A frame and its length, once it has come whole.
pub(crate) type Read<'a> = Outcome<Option<(Frame<'a>, usize)>>;

/// How clients and a subject talk. Members are counted from 0, in the order of connecting.
pub(crate) trait Dialect {
    /// Appends what a member sends on connecting; its last part is a barrier.
    fn hello(&mut self, member: usize, out: &mut Vec<u8>) {
        self.barrier(member, out);
    }

    /// Appends a request that is answered with [`Frame::Ready`] behind everything before it.
    fn barrier(&mut self, member: usize, out: &mut Vec<u8>);

    /// Appends a text for everybody.
    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>);

    /// Appends a text for one member.
    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>);

    /// Whether a sender gets its own texts too.
    fn echoes(&self) -> bool {
        false
    }

    /// Whether each text is answered.
    fn answers(&self) -> bool {
        false
    }

    /// How many members may connect at once, where that is not what is measured.
    fn at_once(&self) -> usize {
        100
    }

    /// Whether everybody is told of each newcomer, which makes a full room a matter of minutes.
    fn announces(&self) -> bool {
        false
    }

    /// Reads the first frame of what has come for a member.
    fn read<'a>(&mut self, member: usize, bytes: &'a [u8]) -> Read<'a>;
}

/// Why a frame could not be read.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The rest has not come yet.
    Incomplete,
    /// It is not what was expected.
    Unexpected,
}

/// Reads what is known in advance, byte for byte.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// How much was read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn literal(&mut self, literal: &[u8]) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(if literal.starts_with(rest) { Stop::Incomplete } else { Stop::Unexpected })
    }

    pub(crate) fn number(&mut self) -> Result<u64, Stop> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|byte| !byte.is_ascii_digit()).ok_or(Stop::Incomplete)?;
        self.at += len;
        multichat::wire::parse_number(&rest[..len]).ok_or(Stop::Unexpected)
    }

    /// Reads up to `end`, which is not part of what it returns.
    pub(crate) fn until(&mut self, end: u8) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == end).ok_or(Stop::Incomplete)?;
        self.at += len + 1;
        Ok(&rest[..len])
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let taken = self.bytes[self.at..].get(..len).ok_or(Stop::Incomplete)?;
        self.at += len;
        Ok(taken)
    }
}

/// A frame that was read, or not, as [`Dialect::read`] wants it.
pub(crate) fn finish<'a>(bytes: &[u8], read: Result<(Frame<'a>, usize), Stop>) -> Read<'a> {
    match read {
        Ok(frame) => Ok(Some(frame)),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Unexpected) => {
            fail(format!("not expected: {}", bytes[..bytes.len().min(300)].escape_ascii()))
        }
    }
}
