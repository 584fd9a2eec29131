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
//!
//! # What the draft leaves open
//!
//! The draft is silent in places and contradicts itself in others. This is how it is settled here,
//! in these files and in what stands on them; `§` is the draft's section.
//!
//! | question | the draft | here |
//! |---|---|---|
//! | line ending | a linefeed (§1.3.5); a space, CR and LF in the examples (§3) | reads LF, with or without a CR before it, and drops blanks at the end of a line; writes CR LF |
//! | name and value | "separated by a whitespace character" (§2.1.1) | reads one or more spaces or tabs, writes one space; the value is the rest of the line |
//! | upper and lower case | – | field names, `Message-Type` and `text` are read in any case |
//! | order of fields | – | read in any order; written as in the examples |
//! | unknown fields | – | ignored, but a message must begin with a field of the draft: so stray bytes and HTTP requests are noticed |
//! | a field twice | – | refused; `Content-Length` twice ends the session |
//! | empty lines between messages | – | skipped: a shell's `echo` leaves one |
//! | numbers | "integer" | decimal digits, up to 2^64-1 |
//! | no `Content-Length` | optional (§2.1.1.1) | `query` and `bye` then have no body; `chat`, `fetch` and `nickname` need it, or the session ends |
//! | limits | – | 1,024 bytes a line, 32 lines a header, 1,024 bytes for the body of a query, fetch or nickname |
//! | the body of `Status Ok` for a chat | always a body (§2.2), none beside `Content-Length 12` (§3.1.3) | `Content-Length 0` |
//! | the sharer's File-ID | not in a response (§2.2.1.2) | in the response: the sharer would never learn it otherwise |
//! | one's own UID, nicknames, staged files | no way to learn them (§2.3.1.2) | `query` with the body `self`, `names` or `files` |
//! | character set | ASCII (§2.1.2) | UTF-8 in texts and nicknames, or ASCII with `--ascii`; no control characters but tab and line endings |
//! | nicknames | – | 1 to 64 bytes, one line, nothing that controls a terminal or turns the text's direction; duplicates are allowed (§2.3.1.3) |
//! | a chat without `Content-Type` | – | a text |
//! | `To` oneself | – | a UID like any other |
//! | `To` one who has left | an error with the reason (§2.3.2.1) | how it left: it said bye, it closed the connection, the connection was reset, it stopped reading, … |
//! | a private file | – | only its receiver and its sender can fetch it; to all others it does not exist |
//! | extensions | – | letters, digits, `_`, `+`, `-` and single dots within, at most 32 bytes: never a path |
//! | a closed connection | noticed when a relay fails (§2.3.4) | noticed at once, since it is being read; a relay that finds out first tells the sender |
//! | a sending side closed early (`printf … \| nc`) | – | the client has left, and still gets all that was queued for it |
//! | a connection that ends inside a message | – | nothing is relayed; the error says how many bytes were missing |

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
