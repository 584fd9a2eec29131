//! What can be wrong with a client message: the facts. Their words are in [`crate::reason`].
//!
//! Which type an error has says what becomes of the session (P2): it ends with a [`HeaderError`],
//! and goes on after a [`MessageError`].

use super::field::{Extensions, Field, MessageType};
use crate::text::{Excerpt, FileNameError, NicknameError, TextError};

/// Why a header cannot be read, or leaves the end of its message unknown: fatal (P2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// A line is longer than [`LINE_LIMIT`](super::field::LINE_LIMIT).
    LineTooLong,
    /// A header has more than [`LINES_LIMIT`](super::field::LINES_LIMIT) lines.
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
    Control {
        /// The character.
        byte: u8,
    },
    /// A value that is not ASCII, in a field that holds nothing else.
    NotAscii {
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
    /// A server's header lacks a field, repeats one, or holds a bad number. A client cannot tell the
    /// server, nor know what else is wrong: it reads no further.
    BadServerMessage(MessageError),
}

/// What is wrong with a message whose end is known: the session goes on behind it (P2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
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
        kind: BodyKind,
    },
    /// A query asks for something unknown.
    UnknownQuery {
        /// The body as it came.
        body: Excerpt,
        /// What the server offers, and so what it could have been.
        extensions: Extensions,
    },
    /// A query for the history with something else than one or two numbers.
    BadHistory {
        /// The body as it came.
        body: Excerpt,
    },
    /// The body of a fetch is no File-ID.
    BadFileId {
        /// The body as it came.
        value: Excerpt,
    },
    /// The body of a nickname message is no nickname.
    Nickname(NicknameError),
    /// The body of a text is none.
    Text(TextError),
    /// The value of `File-Name` is no name of a file.
    FileName(FileNameError),
}

impl From<NicknameError> for MessageError {
    fn from(error: NicknameError) -> MessageError {
        MessageError::Nickname(error)
    }
}

impl From<FileNameError> for MessageError {
    fn from(error: FileNameError) -> MessageError {
        MessageError::FileName(error)
    }
}

impl From<TextError> for MessageError {
    fn from(error: TextError) -> MessageError {
        MessageError::Text(error)
    }
}

/// What a body would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The text of a chat.
    Text,
    /// A shared file.
    File,
    /// The body of a query, a fetch or a nickname message.
    Short(MessageType),
}
