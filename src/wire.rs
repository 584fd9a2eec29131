//! The protocol's grammar: what a message is, byte for byte, in both directions (§2, §3).
//!
//! A message is header lines, one empty line, and a body of exactly `Content-Length` bytes. This
//! module reads and writes headers, and the bodies of queries and their answers; other bodies are
//! the caller's, who knows where their bytes go. It does no I/O of its own: a `&[u8]` is enough to
//! test it, and it knows no socket, no thread, no clock, no file and no state of the room.
//!
//! Each file knows those above it in this list alone:
//!
//! - [`field`]: the one table of fields, and the values that stand in them.
//! - [`error`]: what can be wrong with a header and with a message. The words are in
//!   [`crate::reason`].
//! - [`header`]: lines and fields, read; the same in both directions.
//! - [`client_message`]: what a client sends.
//! - [`timestamp`]: moments, written and read.
//! - [`server_message`]: relays and responses, written and read.
//! - [`query`]: what a query asks for, and the answers, written and read.

pub mod client_message;
pub mod error;
pub mod field;
pub mod header;
pub mod query;
pub mod server_message;
pub mod timestamp;

#[cfg(test)]
mod tests;

pub use client_message::{Accepts, Chat, ClientMessage, Fault, Inherited, Parsed, Request};
pub use error::{BodyKind, HeaderError, MessageError};
pub use field::{ContentType, Extensions, Field, MessageType, Status, parse_number, push_number};
pub use header::ReadError;
pub use query::Query;
pub use server_message::{Content, Extra, News, Notice, Relay, Response, ServerMessage};
pub use timestamp::Timestamp;
