//! Every reason and every cause in words, in one place.

use std::fmt;

use super::{BodyKind, Cause, Reason};
use crate::text::{EXTENSION_LIMIT, NICKNAME_LIMIT};
use crate::wire::header::{Field, LINE_LIMIT, LINES_LIMIT};

const TYPES: &str = "chat, query, fetch, nickname or bye";
const LENGTH_HINT: &str = "without it the end of the body is not known";

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::LineTooLong => {
                write!(f, "a header line is over the limit of {LINE_LIMIT} bytes")
            }
            Reason::TooManyLines => {
                write!(
                    f,
                    "the header is over the limit of {LINES_LIMIT} lines; an empty line ends it"
                )
            }
            Reason::Colon { line, field, value } => {
                let name = field.name();
                write!(f, "\"{line}\": no colon in this protocol, write \"{name} {value}\"")
            }
            Reason::UnknownFirstField { line } => write!(
                f,
                "\"{line}\" does not begin a message: expected a field such as Message-Type; \
                 if these are stray bytes after a body, the last Content-Length was too small"
            ),
            Reason::BadFieldName { name } => write!(
                f,
                "\"{name}\" is not a field name: expected letters, digits and - \
                 (an empty line goes between header and body)"
            ),
            Reason::NoValue { name } => {
                write!(f, "{name} has no value: write the name, a space and the value")
            }
            Reason::ControlInHeader { byte } => {
                write!(
                    f,
                    "control character 0x{byte:02x} in the header: only printable ASCII is allowed"
                )
            }
            Reason::NotAsciiInHeader { name } => {
                write!(f, "the value of {name} is not ASCII: only ASCII is allowed in a header")
            }
            Reason::RepeatedLength => {
                write!(f, "Content-Length is repeated: {LENGTH_HINT}, so give it once")
            }
            Reason::BadLength { value } => write!(
                f,
                "Content-Length \"{value}\" is not a number of bytes: expected decimal digits, \
                 at most {}",
                u64::MAX
            ),
            Reason::NoLength { message_type } => {
                write!(f, "{} needs Content-Length: {LENGTH_HINT}", message_type.name())
            }
            Reason::UnknownTypeNoLength { value } => write!(
                f,
                "Message-Type \"{value}\" is unknown: expected {TYPES}; \
                 and Content-Length is missing: {LENGTH_HINT}"
            ),
            Reason::NoTypeNoLength => write!(
                f,
                "Message-Type is missing: expected {TYPES}; \
                 and Content-Length is missing: {LENGTH_HINT}"
            ),
            Reason::EndedInHeader => f.write_str(
                "the connection ended inside a header: an empty line ends a header; \
                 nothing was relayed",
            ),
            Reason::EndedInBody { missing, declared } => write!(
                f,
                "the connection ended {missing} bytes short of Content-Length {declared}; \
                 nothing was relayed"
            ),
            Reason::Silent { waited } => write!(
                f,
                "nothing came for {} seconds inside a message; nothing was relayed",
                waited.as_secs()
            ),
            Reason::Stopping => {
                f.write_str("the server is stopping; the message was not whole and was not relayed")
            }
            Reason::Missing { field: Field::MessageType } => {
                write!(f, "Message-Type is missing: expected {TYPES}")
            }
            Reason::Missing { field } => {
                write!(f, "{} is missing: it is mandatory", field.name())
            }
            Reason::Repeated { field } => {
                write!(f, "{} is repeated: give it once", field.name())
            }
            Reason::UnknownType { value } => {
                write!(f, "Message-Type \"{value}\" is unknown: expected {TYPES}")
            }
            Reason::BadNumber { field, value } => write!(
                f,
                "{} \"{value}\" is not a number: expected decimal digits, at most {}",
                field.name(),
                u64::MAX
            ),
            Reason::BadContentType { value } => write!(
                f,
                "Content-Type \"{value}\" is neither text nor a filename extension: expected \
                 letters, digits, _ + - and single dots within, at most {EXTENSION_LIMIT} bytes"
            ),
            Reason::BodyTooLong { declared, limit, what } => {
                write!(f, "Content-Length {declared} is over the limit of {limit} bytes for a ")?;
                match what {
                    BodyKind::Text => f.write_str("text"),
                    BodyKind::File => f.write_str("file"),
                    BodyKind::Short(message_type) => write!(f, "{} body", message_type.name()),
                }
            }
            Reason::UnknownQuery { body } => write!(
                f,
                "query \"{body}\" is unknown: expected no body (UIDs), self, names or files"
            ),
            Reason::BadFileId { value } => {
                write!(
                    f,
                    "\"{value}\" is not a File-ID: expected decimal digits in the body of a fetch"
                )
            }
            Reason::NoSuchFile { id } => {
                write!(f, "no file {id} is staged for you; query with the body files lists yours")
            }
            Reason::NeverConnected { uid } => {
                write!(f, "no client {uid} has connected; query lists the active UIDs")
            }
            Reason::HasLeft { uid, cause: Some(cause) } => {
                write!(f, "client {uid} has left: {cause}")
            }
            Reason::HasLeft { uid, cause: None } => write!(f, "client {uid} has left"),
            Reason::ReachedNobody { uid, cause } => {
                write!(f, "the message reached nobody: client {uid} has left: {cause}")
            }
            Reason::NicknameEmpty => {
                write!(f, "the nickname is empty: expected 1 to {NICKNAME_LIMIT} bytes of text")
            }
            Reason::NicknameTooLong { len } => {
                write!(f, "a nickname of {len} bytes is over the limit of {NICKNAME_LIMIT} bytes")
            }
            Reason::NicknameNotUtf8 => f.write_str("the nickname is not UTF-8 text"),
            Reason::NicknameNotAscii => {
                f.write_str("the nickname is not ASCII, and this server takes ASCII alone")
            }
            Reason::NicknameCharacter { character } => write!(
                f,
                "U+{:04X} may not stand in a nickname: one line, no control characters, \
                 nothing that turns the direction of text",
                u32::from(*character)
            ),
            Reason::TextNotUtf8 { at } => {
                write!(f, "the text is not UTF-8 at byte {at}; share a file to send other bytes")
            }
            Reason::TextNotAscii { at } => {
                write!(f, "the text is not ASCII at byte {at}, and this server takes ASCII alone")
            }
            Reason::TextCharacter { at, character: '\r' } => {
                write!(f, "a carriage return without a linefeed after it at byte {at} of the text")
            }
            Reason::TextCharacter { at, character } => write!(
                f,
                "control character U+{:04X} at byte {at} of the text: \
                 only tab and line endings are allowed",
                u32::from(*character)
            ),
            Reason::LargerThanStage { declared, limit } => write!(
                f,
                "Content-Length {declared} is over the limit of {limit} bytes for all staged files"
            ),
            Reason::StageBusy => f.write_str(
                "too much is being shared at the moment for the stage's limit; try again later",
            ),
            Reason::StageFailed => {
                f.write_str("the server could not store the file; nothing was relayed")
            }
            Reason::FetchFailed => {
                f.write_str("the server could not read the file; try again later")
            }
            Reason::RoomFull { limit } => {
                write!(f, "the room is full: {limit} clients are connected; try again later")
            }
            Reason::HostFull { limit } => write!(
                f,
                "{limit} clients are connected from your address, which is the limit; try again later"
            ),
            Reason::NoResources => f.write_str(
                "the server has no room for another client at the moment; try again later",
            ),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::SaidBye => "it said bye",
            Cause::Closed => "it closed the connection",
            Cause::Reset => "the connection was reset",
            Cause::Vanished => "the connection timed out",
            Cause::StoppedReading => "it stopped reading",
            Cause::ReadTooSlowly => "it read too slowly",
            Cause::Malformed => "it sent something that is not a message",
            Cause::Silent => "it fell silent inside a message",
            Cause::ServerFailed => "the server failed to serve it",
            Cause::ServerStopped => "the server stopped",
        })
    }
}
