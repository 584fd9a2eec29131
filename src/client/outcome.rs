//! What comes of a connection: what arrives, answers, failures, and how it ends.

use std::fmt;
use std::io;

use super::BODY_LIMIT;
use crate::ids::{FileId, Uid};
use crate::reason::{CLOSED, REMOVED};
use crate::wire::{HeaderError, News, ServerMessage, Timestamp};

/// What arrives without having been asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another client has said or shared something.
    Relay(Relay),
    /// Another client has come, has gone, or has another nickname; in the extended form alone.
    Notice(Notice),
    /// The server refused something, and not in answer to a request of this connection.
    Refusal(String),
    /// The connection has ended; nothing comes after it.
    Lost(Lost),
}

/// A text or a file from another client (§2.2.1.1), as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The receiver of a private message: this client.
    pub to: Option<Uid>,
    /// The sender.
    pub from: Uid,
    /// The sender's nickname, if there is one.
    pub nickname: Option<String>,
    /// `Content-Type`: `text`, or a file's extension.
    pub content_type: String,
    /// The length of the text or of the file, in bytes.
    pub len: u64,
    /// What it is.
    pub content: Content,
    /// What the server tells of it in the extended form.
    pub extra: Extra,
}

/// What a relay has more of in the extended form (E2); nothing in the draft's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The name of a file, as the server sent it: it may hold anything but a linefeed.
    pub file_name: Option<String>,
    /// The place of a public message in the one order of them.
    pub sequence: Option<u64>,
    /// When the server accepted it.
    pub time: Option<Timestamp>,
}

impl Relay {
    /// How much text it holds, in bytes: what is kept of it costs as much, and a little more.
    pub fn text_len(&self) -> usize {
        let content_len = match &self.content {
            Content::Text(text) => text.len(),
            Content::File(_) => 0,
        };
        let names = [&self.nickname, &self.extra.file_name];
        let names_len: usize = names.into_iter().flatten().map(String::len).sum();
        content_len + names_len + self.content_type.len()
    }

    /// A relay as it was read, with the body behind it; `None` where it is no relay.
    pub(super) fn of(message: ServerMessage, body: Vec<u8>) -> Option<Relay> {
        let ServerMessage::Relay {
            to,
            from,
            nickname,
            file_id,
            file_name,
            sequence,
            time,
            content_type,
            len,
        } = message
        else {
            return None;
        };
        let content = file_id.map_or_else(|| Content::Text(lossy(body)), Content::File);
        let extra = Extra { file_name, sequence, time };
        Some(Relay { to, from, nickname, content_type, len, content, extra })
    }
}

/// News of another client, in the extended form alone (E2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The client that it is about.
    pub from: Uid,
    /// That client's nickname, as the server sent it; the old one, where it has set another.
    pub nickname: Option<String>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// The line that says what has happened.
    line: String,
}

impl Notice {
    /// A notice with the body behind it; `None` where it tells nothing that is known.
    pub(super) fn of(
        from: Uid,
        nickname: Option<String>,
        time: Option<Timestamp>,
        body: Vec<u8>,
    ) -> Option<Notice> {
        let line = lossy(body);
        News::parse(&line)?;
        Some(Notice { from, nickname, time, line })
    }

    /// How much text it holds, in bytes.
    pub fn text_len(&self) -> usize {
        self.nickname.as_ref().map_or(0, String::len) + self.line.len()
    }

    /// What has happened. What is text in it may hold any characters.
    pub fn news(&self) -> News<'_> {
        // It was looked at when it came.
        News::parse(&self.line).unwrap_or(News::Joined)
    }
}

/// Bytes as text; what is not UTF-8 in them is replaced.
pub(super) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// What a relay holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text; what is not UTF-8 in it is replaced.
    Text(String),
    /// A staged file, to be fetched by its ID.
    File(FileId),
}

/// A response with `Status Ok` (§2.2.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The File-ID of a file just shared.
    pub file_id: Option<FileId>,
    /// The name of a file that was fetched, as the server sent it; in the extended form alone.
    pub file_name: Option<String>,
    /// What the body is.
    pub content_type: String,
    /// The length of the body in bytes.
    pub len: u64,
    /// The body; empty where it went to a file.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text; what is not UTF-8 in it is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum Failure {
    /// The server said no: its reason, one line.
    Refused(String),
    /// The connection has ended; whether the request was carried out is not known.
    Lost(Lost),
    /// It could not be sent in time: something else is being sent, or the server does not read.
    Busy,
    /// The server's answer is not one.
    NoAnswer(&'static str),
    /// A file of one's own could not be read or written.
    Local(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(reason) => reason.fmt(f),
            Failure::Lost(lost) => lost.fmt(f),
            Failure::Busy => f.write_str("the connection is busy sending something else"),
            Failure::NoAnswer(what) => what.fmt(f),
            Failure::Local(error) => error.fmt(f),
        }
    }
}

/// How a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server closed it.
    Closed,
    /// The server closed it, and has said why.
    Refused(String),
    /// The server or something in between reset it.
    Reset,
    /// The server's host no longer answers.
    TimedOut,
    /// Reading failed otherwise.
    Failed(io::ErrorKind),
    /// What came is not what a server sends.
    Malformed(HeaderError),
    /// A body to be held in memory was declared longer than [`BODY_LIMIT`].
    TooLong(u64),
    /// It ended inside a message.
    CutShort,
    /// It was given up on this side: a file that was being shared could not be sent to its end.
    Abandoned,
    /// This side has said bye.
    Left,
}

impl Lost {
    /// Whether the operator has removed this client: to come back at once would undo that.
    pub fn is_removal(&self) -> bool {
        matches!(self, Lost::Refused(reason) if reason.starts_with(REMOVED))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Closed => f.write_str("the server closed the connection"),
            Lost::Refused(reason) => {
                let reason = reason.strip_suffix(CLOSED).unwrap_or(reason);
                write!(f, "the server closed the connection: {reason}")
            }
            Lost::Reset => f.write_str("the connection was reset"),
            Lost::TimedOut => f.write_str("the server no longer answers"),
            Lost::Failed(kind) => write!(f, "the connection failed: {kind}"),
            Lost::Malformed(reason) => {
                write!(f, "what the server sent is not of this protocol: {reason}")
            }
            Lost::TooLong(len) => {
                write!(
                    f,
                    "the server sent a message of {len} bytes, over the limit of {BODY_LIMIT}"
                )
            }
            Lost::CutShort => f.write_str("the connection ended inside a message"),
            Lost::Abandoned => f.write_str("the connection was given up inside a file"),
            Lost::Left => f.write_str("this client has left"),
        }
    }
}
