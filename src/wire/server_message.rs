//! What the server sends: relays, responses and notices, written for the server and read for clients (§2.2).
//!
//! Fields stand in the order of the draft's examples (§3), each as `Name value` and CR LF.

use std::fmt::Display;
use std::io::BufRead;

use super::client_message::Inherited;
use super::error::{HeaderError, MessageError};
use super::field::{Field, MessageType, Status, TIMESTAMP_LEN, parse_number, push_number};
use super::header::{self, ReadError, Rules};
use super::timestamp::Timestamp;
use crate::ids::{FileId, MessageId, Uid};
use crate::text::{Excerpt, Extension, FileName, Nickname};

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

/// What a relay has more of in the extended form.
#[derive(Clone, Copy, Debug)]
pub struct Extra<'a> {
    /// The name that its sharer gave to a file.
    pub file_name: Option<&'a FileName>,
    /// The place of a public message in the one order of them; `None` for a private one.
    pub sequence: Option<u64>,
    /// When the server accepted it.
    pub time: Timestamp,
}

impl Relay<'_> {
    /// Appends the relay to `out`, the body of a text included, as the draft has it. Returns where in
    /// it the fields of the extended form would stand, for [`Extra::insert`].
    pub fn encode(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        self.encode_head(out);
        let place = out.len() - start;
        self.encode_rest(out);
        place
    }

    /// Appends the relay to `out` in the extended form, the body of a text included.
    pub fn encode_extended(&self, extra: &Extra<'_>, out: &mut Vec<u8>) {
        self.encode_head(out);
        extra.encode(out);
        self.encode_rest(out);
    }

    /// The fields in front of those that the extended form has more.
    fn encode_head(&self, out: &mut Vec<u8>) {
        push_text(Field::MessageType, MessageType::Chat.name(), out);
        if let Some(to) = self.to {
            push_field(Field::To, to.0, out);
        }
        push_field(Field::From, self.from.0, out);
        if let Some(nickname) = self.nickname {
            push_text(Field::SenderNickname, nickname.as_str(), out);
        }
        if let Content::File { id, .. } = self.content {
            push_field(Field::FileId, id.0, out);
        }
    }

    /// The fields behind them, and the body.
    fn encode_rest(&self, out: &mut Vec<u8>) {
        match self.content {
            Content::Text(body) => {
                push_content("text", body.len() as u64, out);
                out.extend_from_slice(body);
            }
            Content::File { extension, len, .. } => push_content(extension.as_str(), len, out),
        }
    }
}

impl Extra<'_> {
    /// Appends a relay in the extended form to `out`, of the one that was encoded as the draft has it,
    /// with these fields at `place`, as [`Relay::encode`] returned it.
    pub fn insert(&self, encoded: &[u8], place: usize, out: &mut Vec<u8>) {
        let (head, rest) = encoded.split_at(place);
        out.extend_from_slice(head);
        self.encode(out);
        out.extend_from_slice(rest);
    }

    /// How many bytes these fields have.
    pub fn encoded_len(&self) -> usize {
        let line = |field: Field, value_len: usize| field.name().len() + 1 + value_len + 2;
        let file_name = self.file_name.map(|name| line(Field::FileName, name.as_str().len()));
        let sequence = self.sequence.map(|number| line(Field::Sequence, digits(number)));
        file_name.unwrap_or(0) + sequence.unwrap_or(0) + line(Field::Time, TIMESTAMP_LEN)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(file_name) = self.file_name {
            push_text(Field::FileName, file_name.as_str(), out);
        }
        if let Some(sequence) = self.sequence {
            push_field(Field::Sequence, sequence, out);
        }
        push_time(self.time, out);
    }
}

/// The `Message-Type` of a notice: the draft knows nothing of it, and no client sends it.
const NOTICE: &str = "notice";

/// Who has come, who has gone, and who has another nickname: told to extended clients alone.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The client that it is about.
    pub from: Uid,
    /// That client's nickname; the old one, where it has set another.
    pub nickname: &'a Nickname,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub news: News<'a>,
}

impl Notice<'_> {
    /// Appends the notice to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let body = self.news.body();
        push_text(Field::MessageType, NOTICE, out);
        push_field(Field::From, self.from.0, out);
        push_text(Field::SenderNickname, self.nickname.as_str(), out);
        push_time(self.time, out);
        push_content("text", body.len() as u64, out);
        out.extend_from_slice(body.as_bytes());
    }
}

/// What a notice tells; its body is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// The client has set its first nickname.
    Joined,
    /// The client has set this other nickname.
    Nickname(&'a str),
    /// The client has left, and how: a cause in the words of P4.
    Left(&'a str),
}

impl<'a> News<'a> {
    /// The body of the notice.
    pub fn body(&self) -> String {
        match self {
            News::Joined => "joined\n".to_string(),
            News::Nickname(nickname) => format!("nickname {nickname}\n"),
            News::Left(cause) => format!("left: {cause}\n"),
        }
    }

    /// Reads the body of a notice; `None` for one that is not known.
    pub fn parse(body: &'a str) -> Option<News<'a>> {
        let line = body.trim_end_matches(['\r', '\n']);
        if line == "joined" {
            return Some(News::Joined);
        }
        let nickname = line.strip_prefix("nickname ").map(News::Nickname);
        nickname.or_else(|| line.strip_prefix("left: ").map(News::Left))
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
    /// The name of a file that is fetched, for an extended client.
    pub file_name: Option<&'a FileName>,
    /// What the body is: `text`, or a fetched file's extension.
    pub content_type: &'a str,
}

impl<'a> Response<'a> {
    /// An answer in text.
    pub fn text(status: Status, inherited: Inherited) -> Response<'a> {
        Response { status, inherited, file_id: None, file_name: None, content_type: "text" }
    }

    /// Appends the header to `out`, for a body of `body_len` bytes to follow.
    pub fn encode_header(&self, body_len: u64, out: &mut Vec<u8>) {
        push_text(Field::Status, self.status.name(), out);
        let message_type = self.inherited.message_type.map_or("unknown", MessageType::name);
        push_text(Field::MessageType, message_type, out);
        push_field(Field::MessageId, self.inherited.id.0, out);
        if let Some(id) = self.file_id {
            push_field(Field::FileId, id.0, out);
        }
        if let Some(file_name) = self.file_name {
            push_text(Field::FileName, file_name.as_str(), out);
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
pub fn encode_refusal(inherited: Inherited, reason: &impl Display, out: &mut Vec<u8>) {
    let body = format!("{reason}\n");
    Response::text(Status::Error, inherited).encode(body.as_bytes(), out);
}

fn push_field(field: Field, number: u64, out: &mut Vec<u8>) {
    push_name(field, out);
    push_number(number, out);
    out.extend_from_slice(b"\r\n");
}

fn push_text(field: Field, value: &str, out: &mut Vec<u8>) {
    push_name(field, out);
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_time(time: Timestamp, out: &mut Vec<u8>) {
    push_name(Field::Time, out);
    out.extend_from_slice(&time.digits());
    out.extend_from_slice(b"\r\n");
}

fn push_name(field: Field, out: &mut Vec<u8>) {
    out.extend_from_slice(field.name().as_bytes());
    out.push(b' ');
}

/// How many digits a number is written with.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// The two fields that end every header of the server, and its empty line.
fn push_content(content_type: &str, len: u64, out: &mut Vec<u8>) {
    push_text(Field::ContentType, content_type, out);
    push_field(Field::ContentLength, len, out);
    out.extend_from_slice(b"\r\n");
}

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
    /// Something about another client; the body says what ([`News`]).
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
