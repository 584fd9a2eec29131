//! What the server sends: relays, responses and notices, as the server writes them (§2.2). How a client
//! reads them is in `reading`.
//!
//! Fields stand in the order of the draft's examples (§3), each as `Name value` and CR LF.

mod reading;

use std::fmt::Display;

use super::client_message::Inherited;
use super::field::{Field, MessageType, Status, TIMESTAMP_LEN, push_number};
use super::timestamp::Timestamp;
use crate::ids::{FileId, Uid};
use crate::text::{Extension, FileName, Nickname};

pub use self::reading::{ServerMessage, read_server_message};

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
    /// Appends the relay to `out`, the body of a text included, as the draft has it (§2.2.1.1). Returns
    /// where the fields of the extended form would stand, in bytes from its start, for
    /// [`Extra::insert`].
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
    /// Appends a relay in the extended form to `out` (E2): the one that was `encoded` as the draft has
    /// it, with these fields at `place`, which is what [`Relay::encode`] returned for it, in bytes from
    /// its start.
    ///
    /// # Panics
    /// Where `place` is behind the end of `encoded`.
    pub fn insert(&self, encoded: &[u8], place: usize, out: &mut Vec<u8>) {
        let (head, rest) = encoded.split_at(place);
        out.extend_from_slice(head);
        self.encode(out);
        out.extend_from_slice(rest);
    }

    /// How many bytes these fields have, their line endings included.
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
