//! The protocol's grammar: what a message is, byte for byte, in both directions (§2, §3).
//!
//! A message is header lines, one empty line, and a body of exactly `Content-Length` bytes. This
//! module reads and writes headers; bodies are the caller's, who knows where their bytes go.
//! It does no I/O of its own: a `&[u8]` is enough to test it, and it knows no socket, no thread,
//! no clock, no file and no state of the room.
//!
//! - [`header`]: lines and fields, and their limits; the same in both directions.
//! - [`client_message`]: what a client sends, and what is wrong with it.
//! - [`server_message`]: relays and responses, written and read.

pub mod client_message;
pub mod header;
pub mod server_message;

#[cfg(test)]
mod tests;

pub use client_message::{Chat, ClientMessage, Fault, Inherited, Parsed, Request};
pub use header::{Field, ReadError};
pub use server_message::{Content, Relay, Response, ServerMessage, Status};

use crate::text::Extension;

/// What a client message asks for (§2.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// A text or a file, relayed to one client or to all others (§2.3.2, §2.3.3.1).
    Chat,
    /// Asks who is active, and a little more (§2.1.1.2).
    Query,
    /// Asks for a staged file (§2.3.3.2).
    Fetch,
    /// Sets the sender's nickname (§2.3.1.3).
    Nickname,
    /// Ends the session (§2.3.4).
    Bye,
}

impl MessageType {
    /// The value of `Message-Type` as the draft spells it.
    pub fn name(self) -> &'static str {
        match self {
            MessageType::Chat => "chat",
            MessageType::Query => "query",
            MessageType::Fetch => "fetch",
            MessageType::Nickname => "nickname",
            MessageType::Bye => "bye",
        }
    }

    /// Reads a value of `Message-Type`, in any case.
    pub fn parse(value: &[u8]) -> Option<MessageType> {
        use MessageType::{Bye, Chat, Fetch, Nickname, Query};
        [Chat, Query, Fetch, Nickname, Bye]
            .into_iter()
            .find(|known| value.eq_ignore_ascii_case(known.name().as_bytes()))
    }
}

/// What a body holds: `text`, or a file of the kind that its filename extension says (§2.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `text`, in any case; also what a chat without `Content-Type` is.
    Text,
    /// Anything else: a filename extension.
    File(Extension),
}

impl ContentType {
    /// Reads a value of `Content-Type`; `None` where it is neither `text` nor an extension.
    pub fn parse(value: &[u8]) -> Option<ContentType> {
        if value.eq_ignore_ascii_case(b"text") {
            return Some(ContentType::Text);
        }
        Extension::parse(value).map(ContentType::File)
    }

    /// The value as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            ContentType::Text => "text",
            ContentType::File(extension) => extension.as_str(),
        }
    }
}

/// Reads a number of the protocol: decimal digits only, at most 2^64-1, leading zeros allowed.
pub fn parse_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// Writes a number of the protocol: decimal, without leading zeros.
///
/// Stands in the path of every delivery, where `write!` would cost as much as the rest of a header.
pub fn push_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = number;
    loop {
        first -= 1;
        // The remainder is below 10, so the cast keeps all of it.
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}
