//! What the server sends, as a client reads it (§2.2): the headers; bodies are left in the stream.

use std::io::BufRead;

use super::NOTICE;
use crate::ids::{FileId, MessageId, Uid};
use crate::text::Excerpt;
use crate::wire::client_message::Inherited;
use crate::wire::error::{HeaderError, MessageError};
use crate::wire::field::{Field, MessageType, Status, parse_number};
use crate::wire::header::{self, ReadError, Rules};
use crate::wire::timestamp::Timestamp;

/// The header of a server message as a client reads it; a body may follow in the stream.
///
/// A client need not trust the server: what is text in here may hold any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A text or a file from a client of the room (§2.2.1.1).
    Relay {
        /// The receiver of a private message.
        to: Option<Uid>,
        /// The sender.
        from: Uid,
        /// The sender's nickname, as the server sent it.
        nickname: Option<String>,
        /// Set where a file was shared: no body follows, and `len` is the file's size.
        file_id: Option<FileId>,
        /// The name that its sharer gave to a file, as the server sent it; extended form.
        file_name: Option<String>,
        /// The place of a public message in the one order of them; extended form.
        sequence: Option<u64>,
        /// When the server accepted it; extended form.
        time: Option<Timestamp>,
        /// What the text or the file is, as the server sent it.
        content_type: String,
        /// `Content-Length`.
        len: u64,
    },
    /// Something about another client; the body says what ([`News`](super::News)).
    Notice {
        /// The client that it is about.
        from: Uid,
        /// That client's nickname, as the server sent it.
        nickname: Option<String>,
        /// When it happened.
        time: Option<Timestamp>,
        /// The length of the body in bytes, as declared.
        len: u64,
    },
    /// A message of a type that is not known, to be skipped with its body.
    Unknown {
        /// The length of the body in bytes, as declared; 0 where nothing is.
        len: u64,
    },
    /// The answer to a request (§2.2.1.2).
    Response {
        /// How it went.
        status: Status,
        /// Which request it answers.
        inherited: Inherited,
        /// The File-ID of a file just shared.
        file_id: Option<FileId>,
        /// The name of a file that is fetched, as the server sent it; extended form.
        file_name: Option<String>,
        /// What the body is, as the server sent it.
        content_type: String,
        /// The length of the body, in bytes, as declared.
        len: u64,
    },
}

impl ServerMessage {
    /// How many bytes of body follow the header: a relayed file has none (§3.2.2).
    pub fn body_len(&self) -> u64 {
        match self {
            ServerMessage::Relay { file_id: Some(_), .. } => 0,
            ServerMessage::Relay { len, .. }
            | ServerMessage::Response { len, .. }
            | ServerMessage::Notice { len, .. }
            | ServerMessage::Unknown { len } => *len,
        }
    }
}

/// The type of a message that is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Known(MessageType),
    Notice,
    Unknown,
}

impl Kind {
    fn parse(value: &[u8]) -> Kind {
        match MessageType::parse(value) {
            Some(message_type) => Kind::Known(message_type),
            None if value.eq_ignore_ascii_case(NOTICE.as_bytes()) => Kind::Notice,
            None => Kind::Unknown,
        }
    }
}

#[derive(Default)]
struct Fields {
    status: Option<Status>,
    kind: Option<Kind>,
    id: Option<u64>,
    to: Option<u64>,
    from: Option<u64>,
    nickname: Option<String>,
    file_id: Option<u64>,
    file_name: Option<String>,
    sequence: Option<u64>,
    time: Option<Timestamp>,
    content_type: Option<String>,
    len: Option<u64>,
    bad: Option<MessageError>,
}

impl Fields {
    fn take(&mut self, field: Field, value: &[u8]) {
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        match field {
            Field::Status => self.status = Status::parse(value),
            Field::MessageType => self.kind = Some(Kind::parse(value)),
            Field::MessageId => self.id = self.number(field, value),
            Field::To => self.to = self.number(field, value),
            Field::From => self.from = self.number(field, value),
            Field::SenderNickname => self.nickname = text(),
            Field::FileId => self.file_id = self.number(field, value),
            Field::FileName => self.file_name = text(),
            // Another server may mean something else by a field that the draft does not have.
            Field::Sequence => self.sequence = parse_number(value),
            Field::Time => self.time = Timestamp::parse(value),
            Field::ContentType => self.content_type = text(),
            Field::ContentLength => self.len = self.number(field, value),
        }
    }

    fn number(&mut self, field: Field, value: &[u8]) -> Option<u64> {
        let number = parse_number(value);
        if number.is_none() {
            let value = Excerpt::of(value);
            self.bad.get_or_insert(MessageError::BadNumber { field, value });
        }
        number
    }

    fn finish(self, repeated: Option<Field>) -> Result<ServerMessage, MessageError> {
        if let Some(field) = repeated {
            return Err(MessageError::Repeated { field });
        }
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        if let Some(status) = self.status {
            return self.response(status);
        }
        match self.kind {
            Some(Kind::Known(MessageType::Chat)) => self.relay(),
            Some(Kind::Notice) => Ok(ServerMessage::Notice {
                from: Uid(required(self.from, Field::From)?),
                nickname: self.nickname,
                time: self.time,
                len: required(self.len, Field::ContentLength)?,
            }),
            Some(Kind::Unknown) => Ok(ServerMessage::Unknown { len: self.len.unwrap_or(0) }),
            Some(Kind::Known(_)) | None => Err(MessageError::Missing { field: Field::Status }),
        }
    }

    fn response(self, status: Status) -> Result<ServerMessage, MessageError> {
        let id = MessageId(required(self.id, Field::MessageId)?);
        let message_type = match self.kind {
            Some(Kind::Known(message_type)) => Some(message_type),
            Some(Kind::Notice | Kind::Unknown) | None => None,
        };
        Ok(ServerMessage::Response {
            status,
            inherited: Inherited { message_type, id },
            file_id: self.file_id.map(FileId),
            file_name: self.file_name,
            content_type: self.content_type.unwrap_or_else(|| "text".to_string()),
            len: self.len.unwrap_or(0),
        })
    }

    fn relay(self) -> Result<ServerMessage, MessageError> {
        Ok(ServerMessage::Relay {
            to: self.to.map(Uid),
            from: Uid(required(self.from, Field::From)?),
            nickname: self.nickname,
            file_id: self.file_id.map(FileId),
            file_name: self.file_name,
            sequence: self.sequence,
            time: self.time,
            content_type: self.content_type.unwrap_or_else(|| "text".to_string()),
            len: required(self.len, Field::ContentLength)?,
        })
    }
}

fn required(value: Option<u64>, field: Field) -> Result<u64, MessageError> {
    value.ok_or(MessageError::Missing { field })
}

/// Reads the header of one server message (§2.2.1), for clients.
///
/// `Ok(None)`: the stream ended before a message began. `line` is the caller's buffer.
///
/// # Errors
/// A server has no other way to go on either: whatever is malformed is fatal to the client.
pub fn read_server_message<R: BufRead>(
    input: &mut R,
    line: &mut Vec<u8>,
) -> Result<Option<ServerMessage>, ReadError> {
    let mut fields = Fields::default();
    let read =
        header::read_header(input, line, Rules::Lenient, |field, value| fields.take(field, value))?;
    let Some(summary) = read else { return Ok(None) };
    fields
        .finish(summary.repeated)
        .map(Some)
        .map_err(|error| ReadError::Refused(HeaderError::BadServerMessage(error)))
}
