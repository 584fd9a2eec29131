//! Every reason and every cause in words, in one place.

use std::fmt;

use super::{
    AdmissionError, CLOSED, Cause, Fatal, REMOVED, Refusal, Removal, RoomError, StageError,
};
use crate::text::{
    EXTENSION_LIMIT, FILE_NAME_LIMIT, FileNameError, NICKNAME_LIMIT, NicknameError, TextError,
};
use crate::wire::error::{BodyKind, HeaderError, MessageError};
use crate::wire::field::{Extensions, Field, LINE_LIMIT, LINES_LIMIT};

const TYPES: &str = "chat, query, fetch, nickname or bye";
const EXAMPLE: &str = "header lines such as Message-Type chat, Message-ID 1 and Content-Length 5, \
                       then an empty line, then the 5 bytes hello";
const LENGTH_HINT: &str = "without it the end of the body is not known";

const COUNTS_BYTES: &str = "it counts bytes, not characters";

/// Says how many bytes the line still has behind the body, where that is known.
fn write_rest(f: &mut fmt::Formatter<'_>, rest: Option<usize>) -> fmt::Result {
    match rest {
        Some(1) => f.write_str("; the rest of the line has 1 byte"),
        Some(rest) => write!(f, "; the rest of the line has {rest} bytes"),
        None => Ok(()),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Message(error) => error.fmt(f),
            Refusal::Room(error) => error.fmt(f),
            Refusal::Stage(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Header(error) => write!(f, "{error}"),
            Fatal::EndedInHeader => f.write_str(
                "the connection ended inside a header: an empty line ends a header; \
                 nothing was relayed",
            ),
            Fatal::EndedInBody { missing, declared } => write!(
                f,
                "the connection ended {missing} bytes short of Content-Length {declared}; \
                 nothing was relayed"
            ),
            Fatal::Silent { waited } => write!(
                f,
                "nothing came for {} seconds inside a message; nothing was relayed",
                waited.as_secs()
            ),
            Fatal::Stopping => {
                f.write_str("the server is stopping; the message was not whole and was not relayed")
            }
            Fatal::Admission(error) => write!(f, "{error}"),
        }?;
        f.write_str(CLOSED)
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::LineTooLong => {
                write!(f, "a header line is over the limit of {LINE_LIMIT} bytes")
            }
            HeaderError::TooManyLines => {
                write!(
                    f,
                    "the header is over the limit of {LINES_LIMIT} lines; an empty line ends it"
                )
            }
            HeaderError::Colon { line, field, value } => {
                let name = field.name();
                write!(f, "\"{line}\": no colon in this protocol, write \"{name} {value}\"")
            }
            HeaderError::UnknownFirstField { line } => write!(
                f,
                "\"{line}\" does not begin a message: expected {EXAMPLE}; \
                 if these are stray bytes after a body, the last Content-Length was too small"
            ),
            HeaderError::BadFieldName { name } => write!(
                f,
                "\"{name}\" is not a field name: expected letters, digits and - \
                 (an empty line goes between header and body)"
            ),
            HeaderError::NoValue { name } => {
                write!(f, "{name} has no value: write the name, a space and the value")
            }
            // How a connection begins after `https://`.
            HeaderError::Control { byte: 0x16 } => f.write_str(
                "control character 0x16 in the header: only printable ASCII is allowed \
                 (TLS begins like that, and is not spoken here: use http://, not https://)",
            ),
            HeaderError::Control { byte } => {
                write!(
                    f,
                    "control character 0x{byte:02x} in the header: only printable ASCII is allowed"
                )
            }
            HeaderError::NotAscii { name } => {
                write!(f, "the value of {name} is not ASCII: only ASCII is allowed in a header")
            }
            HeaderError::RepeatedLength => {
                write!(f, "Content-Length is repeated: {LENGTH_HINT}, so give it once")
            }
            HeaderError::BadLength { value } => write!(
                f,
                "Content-Length \"{value}\" is not a number of bytes: expected decimal digits, \
                 at most {}",
                u64::MAX
            ),
            HeaderError::NoLength { message_type } => {
                write!(f, "{} needs Content-Length: {LENGTH_HINT}", message_type.name())
            }
            HeaderError::UnknownTypeNoLength { value } => write!(
                f,
                "Message-Type \"{value}\" is unknown: expected {TYPES}; \
                 and Content-Length is missing: {LENGTH_HINT}"
            ),
            HeaderError::NoTypeNoLength => write!(
                f,
                "Message-Type is missing: expected {TYPES}; \
                 and Content-Length is missing: {LENGTH_HINT}"
            ),
            HeaderError::BadServerMessage(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::Missing { field: Field::MessageType } => {
                write!(f, "Message-Type is missing: expected {TYPES}")
            }
            MessageError::Missing { field } => {
                write!(f, "{} is missing: it is mandatory", field.name())
            }
            MessageError::Repeated { field } => {
                write!(f, "{} is repeated: give it once", field.name())
            }
            MessageError::UnknownType { value } => {
                write!(f, "Message-Type \"{value}\" is unknown: expected {TYPES}")
            }
            MessageError::BadNumber { field, value } => write!(
                f,
                "{} \"{value}\" is not a number: expected decimal digits, at most {}",
                field.name(),
                u64::MAX
            ),
            MessageError::BadContentType { value } => write!(
                f,
                "Content-Type \"{value}\" is neither text nor a filename extension: expected \
                 letters, digits, _ + - and single dots within, at most {EXTENSION_LIMIT} bytes"
            ),
            MessageError::BodyTooLong { declared, limit, kind } => {
                write!(f, "Content-Length {declared} is over the limit of {limit} bytes for a ")?;
                match kind {
                    BodyKind::Text => f.write_str("text"),
                    BodyKind::File => f.write_str("file"),
                    BodyKind::Short(message_type) => write!(f, "{} body", message_type.name()),
                }
            }
            MessageError::UnknownQuery { body, extensions } => {
                let known = match extensions {
                    Extensions::Off => "self, names or files",
                    Extensions::On => {
                        "self, names, files, features, extended, history N or history N after K"
                    }
                };
                write!(f, "query \"{body}\" is unknown: expected no body (UIDs), {known}")
            }
            MessageError::BadHistory { body } => write!(
                f,
                "query \"{body}\" does not say which part of the history: expected history N or \
                 history N after K, decimal digits for both, N at least 1"
            ),
            MessageError::BadFileId { value } => {
                write!(
                    f,
                    "\"{value}\" is not a File-ID: expected decimal digits in the body of a fetch"
                )
            }
            MessageError::Nickname(error) => error.fmt(f),
            MessageError::Text(error) => error.fmt(f),
            MessageError::FileName(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for NicknameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NicknameError::Empty => write!(
                f,
                "the nickname shows nothing: expected 1 to {NICKNAME_LIMIT} bytes of text, at \
                 least one visible character"
            ),
            NicknameError::TooLong { len } => {
                write!(f, "a nickname of {len} bytes is over the limit of {NICKNAME_LIMIT} bytes")
            }
            NicknameError::NotUtf8 => f.write_str("the nickname is not UTF-8 text"),
            NicknameError::CutsCharacter { len, rest } => {
                write!(f, "Content-Length {len} ends inside a character: {COUNTS_BYTES}")?;
                write_rest(f, *rest)
            }
            NicknameError::NotAscii => {
                f.write_str("the nickname is not ASCII, and this server takes ASCII alone")
            }
            NicknameError::Character { character } => write!(
                f,
                "U+{:04X} may not stand in a nickname: one line, no control characters, \
                 nothing that turns the direction of text",
                u32::from(*character)
            ),
            NicknameError::Invisible { character } => write!(
                f,
                "U+{:04X} shows nothing where it stands in the nickname: joiners may stand between \
                 letters that they change and inside an emoji, variation selectors behind an emoji \
                 or an ideograph, and nothing else that is invisible",
                u32::from(*character)
            ),
        }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::NotUtf8 { at } => {
                write!(f, "the text is not UTF-8 at byte {at}; share a file to send other bytes")
            }
            TextError::NotAscii { at } => {
                write!(f, "the text is not ASCII at byte {at}, and this server takes ASCII alone")
            }
            TextError::CutsCharacter { at, len, rest } => {
                write!(
                    f,
                    "Content-Length {len} ends inside a character, at byte {at} of the text: \
                     {COUNTS_BYTES}"
                )?;
                write_rest(f, *rest)
            }
            TextError::CutsLineEnding { len } => write!(
                f,
                "Content-Length {len} ends inside a line ending, between carriage return and \
                 linefeed: it counts both, so give {} with the linefeed or {} without the two",
                len + 1,
                len - 1
            ),
            TextError::Character { at, character: '\r' } => {
                write!(f, "a carriage return without a linefeed after it at byte {at} of the text")
            }
            TextError::Character { at, character } => write!(
                f,
                "control character U+{:04X} at byte {at} of the text: \
                 only tab and line endings are allowed",
                u32::from(*character)
            ),
        }
    }
}

impl fmt::Display for FileNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileNameError::Empty => {
                write!(f, "File-Name is empty: expected 1 to {FILE_NAME_LIMIT} bytes of text")
            }
            FileNameError::TooLong { len } => {
                write!(f, "File-Name of {len} bytes is over the limit of {FILE_NAME_LIMIT} bytes")
            }
            FileNameError::NotUtf8 => f.write_str("File-Name is not UTF-8 text"),
            FileNameError::NotAscii => {
                f.write_str("File-Name is not ASCII, and this server takes ASCII alone")
            }
            FileNameError::Dots => {
                f.write_str("File-Name names a directory: expected the name of a file, not . or ..")
            }
            FileNameError::Character { character: character @ ('/' | '\\') } => write!(
                f,
                "File-Name holds {character}: expected the name alone, without its directories"
            ),
            FileNameError::Character { character } => write!(
                f,
                "U+{:04X} may not stand in File-Name: one line, no control characters, nothing \
                 that turns the direction of text",
                u32::from(*character)
            ),
        }
    }
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoomError::NeverConnected { uid } => {
                write!(f, "no client {uid} has connected; query lists the active UIDs")
            }
            RoomError::HasLeft { uid, cause: Some(cause) } => {
                write!(f, "client {uid} has left: {cause}")
            }
            RoomError::HasLeft { uid, cause: None } => write!(f, "client {uid} has left"),
            RoomError::HistoryOff => f.write_str("this server keeps no history (--history 0)"),
            RoomError::Muted => f.write_str("the operator has muted you"),
            RoomError::Hushed => f.write_str("the operator has the floor"),
            RoomError::ReachedNobody { uid, cause } => {
                write!(f, "the message reached nobody: client {uid} has left: {cause}")
            }
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::NoSuchFile { id } => {
                write!(f, "no file {id} is staged for you; query with the body files lists yours")
            }
            StageError::LargerThanStage { declared, limit } => write!(
                f,
                "Content-Length {declared} is over the limit of {limit} bytes for all staged files"
            ),
            StageError::Busy => f.write_str(
                "too much is being shared at the moment for the stage's limit; try again later",
            ),
            StageError::ShareTooSlow => f.write_str(
                "the file came too slowly, and made room for others that were shared at the same \
                 time; share it again",
            ),
            StageError::TooManyOpen => f.write_str(
                "too many files are being shared and fetched at the moment; try again later",
            ),
            StageError::StoreFailed => {
                f.write_str("the server could not store the file; nothing was relayed")
            }
            StageError::FetchFailed => {
                f.write_str("the server could not read the file; try again later")
            }
        }
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REMOVED)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdmissionError::RoomFull { limit } => {
                write!(f, "the room is full: {limit} clients are connected; try again later")
            }
            AdmissionError::HostFull { limit } => write!(
                f,
                "{limit} clients are connected from your address, which is the limit; try again later"
            ),
            AdmissionError::NoResources => f.write_str(
                "the server has no room for another client at the moment; try again later",
            ),
        }
    }
}

impl Cause {
    /// The words of the protocol (P4, chat).
    pub fn words(self) -> &'static str {
        match self {
            Cause::SaidBye => "it said bye",
            Cause::Closed => "it closed the connection",
            Cause::Reset => "the connection was reset",
            Cause::Vanished => "the connection timed out",
            Cause::StoppedReading => "it stopped reading",
            Cause::ReadTooSlowly => "it read too slowly",
            Cause::Malformed => "it sent something that is not a message",
            Cause::Silent => "it fell silent inside a message",
            Cause::Removed => "the operator removed it",
            Cause::ServerFailed => "the server failed to serve it",
            Cause::ServerStopped => "the server stopped",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
