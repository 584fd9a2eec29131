//! Why a message is refused, and how a client left: the facts. Their words are in `wording`.
//!
//! A reason is one line for the person who must correct the message: what was got, what was
//! expected, what to do. It echoes at most 32 bytes of input, escaped, and never holds an address,
//! a path or an error of the system (R4, §1.2); so nothing in here knows `io::Error`.

mod wording;

use std::fmt;
use std::time::Duration;

use crate::ids::{FileId, Uid};
use crate::wire::MessageType;
use crate::wire::header::Field;

/// What a reason quotes of the input: at most 32 bytes, in printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    const LIMIT: usize = 32;

    /// Quotes the beginning of `input`.
    pub fn of(input: &[u8]) -> Excerpt {
        let mut text = input[..input.len().min(Excerpt::LIMIT)].escape_ascii().to_string();
        if input.len() > Excerpt::LIMIT {
            text.push_str("...");
        }
        Excerpt(text.into())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a message is refused; [`Reason::is_fatal`] tells whether the session goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    // The header cannot be read, or leaves the end of the message unknown: fatal.
    /// A line is longer than [`LINE_LIMIT`](crate::wire::header::LINE_LIMIT).
    LineTooLong,
    /// A header has more than [`LINES_LIMIT`](crate::wire::header::LINES_LIMIT) lines.
    TooManyLines,
    /// `Message-Type: chat`, as in HTTP.
    Colon {
        /// The line as it came.
        line: Excerpt,
        /// The field that was meant.
        field: Field,
        /// What stood behind the colon.
        value: Excerpt,
    },
    /// A message begins with something else than a field of the draft.
    UnknownFirstField {
        /// The line as it came.
        line: Excerpt,
    },
    /// A name holds more than letters, digits and `-`.
    BadFieldName {
        /// The name as it came.
        name: Excerpt,
    },
    /// A name stands alone on its line.
    NoValue {
        /// The name as it came.
        name: Excerpt,
    },
    /// A control character in a header line.
    ControlInHeader {
        /// The character.
        byte: u8,
    },
    /// A value that is not ASCII, in a field that is no nickname.
    NotAsciiInHeader {
        /// The field's name as it came.
        name: Excerpt,
    },
    /// `Content-Length` stands there twice.
    RepeatedLength,
    /// `Content-Length` is no number.
    BadLength {
        /// Its value as it came.
        value: Excerpt,
    },
    /// A message that has a body, without `Content-Length`.
    NoLength {
        /// What message it is.
        message_type: MessageType,
    },
    /// An unknown `Message-Type`, without `Content-Length`.
    UnknownTypeNoLength {
        /// The type as it came.
        value: Excerpt,
    },
    /// Neither `Message-Type` nor `Content-Length`.
    NoTypeNoLength,
    /// The connection ended inside a header.
    EndedInHeader,
    /// The connection ended inside a body.
    EndedInBody {
        /// How many bytes were missing.
        missing: u64,
        /// How many were declared.
        declared: u64,
    },
    /// Nothing more of a message came for this long.
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// The server stops.
    Stopping,

    // The message is well formed, and cannot be carried out: the session goes on.
    /// A mandatory field is not there.
    Missing {
        /// Which.
        field: Field,
    },
    /// A field of the draft stands there twice.
    Repeated {
        /// Which.
        field: Field,
    },
    /// `Message-Type` is none that the draft has.
    UnknownType {
        /// Its value as it came.
        value: Excerpt,
    },
    /// A field that takes a number holds something else.
    BadNumber {
        /// Which field.
        field: Field,
        /// Its value as it came.
        value: Excerpt,
    },
    /// `Content-Type` is neither `text` nor a filename extension.
    BadContentType {
        /// Its value as it came.
        value: Excerpt,
    },
    /// The body is declared longer than its message may have.
    BodyTooLong {
        /// The declared length.
        declared: u64,
        /// The largest length allowed.
        limit: u64,
        /// What the body would have been.
        what: BodyKind,
    },
    /// A query asks for something unknown.
    UnknownQuery {
        /// The body as it came.
        body: Excerpt,
    },
    /// The body of a fetch is no File-ID.
    BadFileId {
        /// The body as it came.
        value: Excerpt,
    },
    /// There is no such file for the asker: in these words whether it never was, is no longer
    /// staged, or is not for the asker.
    NoSuchFile {
        /// What was asked for.
        id: FileId,
    },
    /// Nobody was ever assigned this UID.
    NeverConnected {
        /// Whom the message was for.
        uid: Uid,
    },
    /// The receiver is no longer active (§2.3.2.1, §2.3.4).
    HasLeft {
        /// Whom the message was for.
        uid: Uid,
        /// How that client left; `None` where it is too long ago to be remembered.
        cause: Option<Cause>,
    },
    /// The relay of a public message found out that all its receivers had gone (§2.3.4).
    ReachedNobody {
        /// One of them, and how it left.
        uid: Uid,
        /// How it left.
        cause: Cause,
    },
    /// A nickname of nothing but white space.
    NicknameEmpty,
    /// A nickname longer than [`NICKNAME_LIMIT`](crate::text::NICKNAME_LIMIT).
    NicknameTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A nickname that is not UTF-8.
    NicknameNotUtf8,
    /// A nickname that is not ASCII, where only ASCII is allowed.
    NicknameNotAscii,
    /// A nickname with a character that may not stand in one.
    NicknameCharacter {
        /// The character.
        character: char,
    },
    /// A text that is not UTF-8.
    TextNotUtf8 {
        /// Where, in bytes from the body's start.
        at: usize,
    },
    /// A text that is not ASCII, where only ASCII is allowed.
    TextNotAscii {
        /// Where, in bytes from the body's start.
        at: usize,
    },
    /// A text with a control character.
    TextCharacter {
        /// Where, in bytes from the body's start.
        at: usize,
        /// The character.
        character: char,
    },
    /// A file larger than the whole stage.
    LargerThanStage {
        /// Its size in bytes.
        declared: u64,
        /// The stage's limit in bytes.
        limit: u64,
    },
    /// The files that are arriving at the same time leave no room for this one.
    StageBusy,
    /// The server could not write the file.
    StageFailed,
    /// The server could not read the file.
    FetchFailed,

    // A newcomer is refused: no message was read.
    /// As many clients as are allowed are there.
    RoomFull {
        /// How many that is.
        limit: usize,
    },
    /// As many clients from the newcomer's address as are allowed are there.
    HostFull {
        /// How many that is.
        limit: usize,
    },
    /// The server's system has no room for another client.
    NoResources,
}

/// What a body would have been, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The text of a chat.
    Text,
    /// A shared file.
    File,
    /// The body of a query, a fetch or a nickname message.
    Short(MessageType),
}

impl Reason {
    /// Whether the session ends with it: the end of the message is not known, or is never to come.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Reason::LineTooLong
                | Reason::TooManyLines
                | Reason::Colon { .. }
                | Reason::UnknownFirstField { .. }
                | Reason::BadFieldName { .. }
                | Reason::NoValue { .. }
                | Reason::ControlInHeader { .. }
                | Reason::NotAsciiInHeader { .. }
                | Reason::RepeatedLength
                | Reason::BadLength { .. }
                | Reason::NoLength { .. }
                | Reason::UnknownTypeNoLength { .. }
                | Reason::NoTypeNoLength
                | Reason::EndedInHeader
                | Reason::EndedInBody { .. }
                | Reason::Silent { .. }
                | Reason::Stopping
                | Reason::RoomFull { .. }
                | Reason::HostFull { .. }
                | Reason::NoResources
        )
    }
}

/// How a client left (§2.3.4), as told to whoever sends it a private message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It sent `bye`.
    SaidBye,
    /// It closed the connection, or its sending side, without `bye`.
    Closed,
    /// The connection was reset.
    Reset,
    /// Its host no longer answered, or did not take what was sent for two minutes.
    Vanished,
    /// It took nothing for the stall timeout.
    StoppedReading,
    /// It was too slow to bring its queue down again.
    ReadTooSlowly,
    /// It sent what is not a message, or not all of one.
    Malformed,
    /// Inside a message, it sent nothing for two minutes.
    Silent,
    /// The server's system failed to serve it.
    ServerFailed,
    /// The server stopped.
    ServerStopped,
}

impl Cause {
    /// Whether the server cut the connection off, which the log warns of.
    pub fn is_cut(self) -> bool {
        matches!(
            self,
            Cause::StoppedReading
                | Cause::ReadTooSlowly
                | Cause::Malformed
                | Cause::Silent
                | Cause::ServerFailed
        )
    }
}
