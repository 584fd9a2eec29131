//! What the server sends: relays and responses, written for the server and read for clients (§2.2).
//!
//! Fields stand in the order of the draft's examples (§3), each as `Name value` and CR LF.

use std::io::BufRead;

use super::client_message::Inherited;
use super::header::{self, Field, ReadError, Rules};
use super::{MessageType, parse_number, push_number};
use crate::ids::{FileId, MessageId, Uid};
use crate::reason::{Excerpt, Reason};
use crate::text::{Extension, Nickname};

/// How a request went (§2.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was carried out.
    Ok,
    /// It was not; the body says why.
    Error,
}

/// A chat as it is relayed to its receivers (§2.2.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Relay<'a> {
    /// The receiver of a private message.
    pub to: Option<Uid>,
    /// The sender.
    pub from: Uid,
    /// The sender's nickname, if there is one.
    pub nickname: Option<&'a Nickname>,
    /// What is relayed.
    pub content: Content<'a>,
}

/// What a relay carries: a text with its bytes, or a file without (§2.3.3.1).
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A text: the body follows the header.
    Text(&'a [u8]),
    /// A staged file: the header alone is relayed, and its `Content-Length` is the file's.
    File {
        /// What to fetch it by.
        id: FileId,
        /// What kind of file it is.
        extension: &'a Extension,
        /// Its size in bytes.
        len: u64,
    },
}

impl Relay<'_> {
    /// Appends the relay to `out`, the body of a text included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Message-Type chat\r\n");
        if let Some(to) = self.to {
            push_field(Field::To, to.0, out);
        }
        push_field(Field::From, self.from.0, out);
        if let Some(nickname) = self.nickname {
            out.extend_from_slice(b"Sender-Nickname ");
            out.extend_from_slice(nickname.as_str().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        match self.content {
            Content::Text(body) => {
                push_content("text", body.len() as u64, out);
                out.extend_from_slice(body);
            }
            Content::File { id, extension, len } => {
                push_field(Field::FileId, id.0, out);
                push_content(extension.as_str(), len, out);
            }
        }
    }
}

/// The header of the server's answer to one client message (§2.2.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// How the request went.
    pub status: Status,
    /// What is taken over from the request.
    pub inherited: Inherited,
    /// The File-ID of a file just staged: the draft does not list it here, and without it the
    /// sharer would never learn it.
    pub file_id: Option<FileId>,
    /// What the body is: `text`, or a fetched file's extension.
    pub content_type: &'a str,
}

impl<'a> Response<'a> {
    /// An answer in text.
    pub fn text(status: Status, inherited: Inherited) -> Response<'a> {
        Response { status, inherited, file_id: None, content_type: "text" }
    }

    /// Appends the header to `out`, for a body of `body_len` bytes to follow.
    pub fn encode_header(&self, body_len: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.status {
            Status::Ok => b"Status Ok\r\nMessage-Type ",
            Status::Error => b"Status Error\r\nMessage-Type ",
        });
        let message_type = self.inherited.message_type.map_or("unknown", MessageType::name);
        out.extend_from_slice(message_type.as_bytes());
        out.extend_from_slice(b"\r\n");
        push_field(Field::MessageId, self.inherited.id.0, out);
        if let Some(id) = self.file_id {
            push_field(Field::FileId, id.0, out);
        }
        push_content(self.content_type, body_len, out);
    }

    /// Appends the whole response to `out`.
    pub fn encode(&self, body: &[u8], out: &mut Vec<u8>) {
        self.encode_header(body.len() as u64, out);
        out.extend_from_slice(body);
    }
}

/// Appends a refusal: `Status Error` with the reason as a line of text (§2.2.1.3).
pub fn encode_refusal(inherited: Inherited, reason: &Reason, out: &mut Vec<u8>) {
    let body = format!("{reason}\n");
    Response::text(Status::Error, inherited).encode(body.as_bytes(), out);
}

fn push_field(field: Field, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(field.name().as_bytes());
    out.push(b' ');
    push_number(number, out);
    out.extend_from_slice(b"\r\n");
}

/// The two fields that end every header of the server, and its empty line.
fn push_content(content_type: &str, len: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Type ");
    out.extend_from_slice(content_type.as_bytes());
    out.extend_from_slice(b"\r\nContent-Length ");
    push_number(len, out);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The header of a server message as a client reads it; a body may follow in the stream.
///
/// A client need not trust the server: what is text in here may hold any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A text or a file from a client of the room (§2.2.1.1).
    Relay {
        /// Whom a private message is for.
        to: Option<Uid>,
        /// The sender.
        from: Uid,
        /// The sender's nickname, as the server sent it.
        nickname: Option<String>,
        /// Set where a file was shared: no body follows, and `len` is the file's size.
        file_id: Option<FileId>,
        /// What the text or the file is, as the server sent it.
        content_type: String,
        /// `Content-Length`.
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
        /// What the body is, as the server sent it.
        content_type: String,
        /// The length of the body, in bytes, as declared.
        len: u64,
    },
    /// A message of a type that the draft does not have: to be skipped, with its body.
    Unknown {
        /// `Content-Length`; 0 where there is none.
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
            | ServerMessage::Unknown { len } => *len,
        }
    }
}

#[derive(Default)]
struct Fields {
    status: Option<Status>,
    message_type: Option<MessageType>,
    /// There is a `Message-Type`, and the draft does not have it.
    has_unknown_type: bool,
    id: Option<u64>,
    to: Option<u64>,
    from: Option<u64>,
    nickname: Option<String>,
    file_id: Option<u64>,
    content_type: Option<String>,
    len: Option<u64>,
    bad: Option<Reason>,
}

impl Fields {
    fn take(&mut self, field: Field, value: &[u8]) {
        let number = match field {
            Field::MessageId => &mut self.id,
            Field::To => &mut self.to,
            Field::From => &mut self.from,
            Field::FileId => &mut self.file_id,
            Field::ContentLength => &mut self.len,
            Field::Status => {
                self.status = match value {
                    _ if value.eq_ignore_ascii_case(b"ok") => Some(Status::Ok),
                    _ if value.eq_ignore_ascii_case(b"error") => Some(Status::Error),
                    _ => None,
                };
                return;
            }
            Field::MessageType => {
                self.message_type = MessageType::parse(value);
                self.has_unknown_type = self.message_type.is_none();
                return;
            }
            Field::SenderNickname => {
                self.nickname = Some(String::from_utf8_lossy(value).into_owned());
                return;
            }
            Field::ContentType => {
                self.content_type = Some(String::from_utf8_lossy(value).into_owned());
                return;
            }
        };
        *number = parse_number(value);
        if number.is_none() {
            let value = Excerpt::of(value);
            self.bad.get_or_insert(Reason::BadNumber { field, value });
        }
    }

    fn finish(self, repeated: Option<Field>) -> Result<ServerMessage, Reason> {
        if let Some(field) = repeated {
            return Err(Reason::Repeated { field });
        }
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        let missing = |field| Reason::Missing { field };
        let content_type = self.content_type.unwrap_or_else(|| "text".to_string());
        let file_id = self.file_id.map(FileId);
        if let Some(status) = self.status {
            let id = MessageId(self.id.ok_or(missing(Field::MessageId))?);
            let inherited = Inherited { message_type: self.message_type, id };
            let len = self.len.unwrap_or(0);
            return Ok(ServerMessage::Response { status, inherited, file_id, content_type, len });
        }
        if self.has_unknown_type {
            return Ok(ServerMessage::Unknown { len: self.len.unwrap_or(0) });
        }
        if self.message_type != Some(MessageType::Chat) {
            return Err(missing(Field::Status));
        }
        Ok(ServerMessage::Relay {
            to: self.to.map(Uid),
            from: Uid(self.from.ok_or(missing(Field::From))?),
            nickname: self.nickname,
            file_id,
            content_type,
            len: self.len.ok_or(missing(Field::ContentLength))?,
        })
    }
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
    fields.finish(summary.repeated).map(Some).map_err(ReadError::Refused)
}
