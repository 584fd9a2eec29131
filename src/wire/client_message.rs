//! What a client sends (§2.1), and what is wrong with it.
//!
//! A header that could be read whole tells where its message ends; then whatever else is wrong is
//! recoverable: the message is [`Parsed::Refused`] and the session goes on behind its body. A
//! header that leaves the end unknown is a [`Fault`], and the session ends.

use std::io::BufRead;

use super::error::{HeaderError, MessageError};
use super::field::{
    ContentType, Extensions, Field, MessageType, SentBy, parse_number, push_number,
};
use super::header::{self, ReadError, Rules};
use crate::ids::{FileId, MessageId, Uid};
use crate::text::{Charset, Excerpt, FileName};

/// What a response takes over from the message that it answers, where that could be read (§2.2.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The message's type; `None` is written as `unknown`.
    pub message_type: Option<MessageType>,
    /// The message's serial number; 0 where it could not be read.
    pub id: MessageId,
}

/// A client message as its header describes it; its body follows in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMessage {
    /// What is asked for.
    pub request: Request,
    /// What the response takes over.
    pub inherited: Inherited,
    /// The length of the body in bytes, as declared; nothing may be allocated by it.
    pub body_len: u64,
}

/// What a client message asks for, with the fields that matter for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Relay a text or a file (§2.3.2, §2.3.3.1).
    Chat(Chat),
    /// Answer a query; the body says which (§2.1.1.2).
    Query,
    /// Send a staged file; the body holds its File-ID (§2.3.3.2).
    Fetch,
    /// Set the nickname that the body holds (§2.3.1.3).
    Nickname,
    /// End the session (§2.3.4).
    Bye,
}

impl Request {
    /// Its `Message-Type`.
    pub fn message_type(&self) -> MessageType {
        match self {
            Request::Chat(_) => MessageType::Chat,
            Request::Query => MessageType::Query,
            Request::Fetch => MessageType::Fetch,
            Request::Nickname => MessageType::Nickname,
            Request::Bye => MessageType::Bye,
        }
    }
}

/// A chat message's own fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The one receiver of a private message; `None` is everybody else (§2.3.2).
    pub to: Option<Uid>,
    /// What the body is.
    pub content_type: ContentType,
    /// The name that the sharer gives to a file; never set for a text.
    pub file_name: Option<FileName>,
}

/// What a server takes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Whether it knows `File-Name`; to another server that is an unknown field.
    pub extensions: Extensions,
    /// Which characters a name may hold.
    pub charset: Charset,
}

/// A header that could be read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A message to be carried out.
    Message(ClientMessage),
    /// A message to be refused once its body has been read and dropped.
    Refused {
        /// Why.
        error: MessageError,
        /// What the response takes over.
        inherited: Inherited,
        /// The length of the body in bytes, as declared.
        body_len: u64,
    },
}

/// Why a message's end is not known, with what could be read of it.
#[derive(Debug)]
pub struct Fault {
    /// What happened.
    pub error: ReadError,
    /// What the error response takes over.
    pub inherited: Inherited,
}

/// A field's value: not there, well formed, or not.
#[derive(Default)]
enum Slot<T> {
    #[default]
    Absent,
    Good(T),
    Bad(Excerpt),
}

impl<T> Slot<T> {
    fn of(parsed: Option<T>, value: &[u8]) -> Slot<T> {
        parsed.map_or_else(|| Slot::Bad(Excerpt::of(value)), Slot::Good)
    }
}

#[derive(Default)]
struct Fields {
    message_type: Slot<MessageType>,
    id: Slot<MessageId>,
    to: Slot<Uid>,
    content_type: Slot<ContentType>,
    content_length: Slot<u64>,
    /// As it came: it matters only where a file is shared.
    file_name: Option<Vec<u8>>,
}

impl Fields {
    fn take(&mut self, field: Field, value: &[u8]) {
        if field.sent_by() == SentBy::Server {
            return;
        }
        match field {
            Field::MessageType => {
                self.message_type = Slot::of(MessageType::parse(value), value);
            }
            Field::MessageId => self.id = Slot::of(parse_number(value).map(MessageId), value),
            Field::To => self.to = Slot::of(parse_number(value).map(Uid), value),
            Field::ContentType => {
                self.content_type = Slot::of(ContentType::parse(value), value);
            }
            Field::ContentLength => self.content_length = Slot::of(parse_number(value), value),
            Field::FileName => self.file_name = Some(value.to_vec()),
            _ => {}
        }
    }

    fn inherited(&self) -> Inherited {
        Inherited {
            message_type: match self.message_type {
                Slot::Good(known) => Some(known),
                Slot::Absent | Slot::Bad(_) => None,
            },
            id: match self.id {
                Slot::Good(id) => id,
                Slot::Absent | Slot::Bad(_) => MessageId(0),
            },
        }
    }

    /// The body's length; an error where the end of the message is not known.
    fn body_len(&self, summary: &header::Summary) -> Result<u64, HeaderError> {
        if summary.repeated_length {
            return Err(HeaderError::RepeatedLength);
        }
        match (&self.content_length, &self.message_type) {
            (Slot::Good(len), _) => Ok(*len),
            (Slot::Bad(value), _) => Err(HeaderError::BadLength { value: value.clone() }),
            (Slot::Absent, Slot::Good(MessageType::Query | MessageType::Bye)) => Ok(0),
            (Slot::Absent, Slot::Good(known)) => {
                Err(HeaderError::NoLength { message_type: *known })
            }
            (Slot::Absent, Slot::Bad(value)) => {
                Err(HeaderError::UnknownTypeNoLength { value: value.clone() })
            }
            (Slot::Absent, Slot::Absent) => Err(HeaderError::NoTypeNoLength),
        }
    }

    /// What is asked for; an error where the message is well formed but cannot be carried out.
    fn request(self, summary: &header::Summary, charset: Charset) -> Result<Request, MessageError> {
        let message_type = match self.message_type {
            // Honoured whatever else is wrong with it: its sender is going anyway (§2.3.4).
            Slot::Good(MessageType::Bye) => return Ok(Request::Bye),
            Slot::Good(known) => Ok(known),
            Slot::Bad(ref value) => Err(MessageError::UnknownType { value: value.clone() }),
            Slot::Absent => Err(MessageError::Missing { field: Field::MessageType }),
        };
        if let Some(field) = summary.repeated {
            return Err(MessageError::Repeated { field });
        }
        let message_type = message_type?;
        match &self.id {
            Slot::Good(_) => {}
            Slot::Bad(value) => {
                let value = value.clone();
                return Err(MessageError::BadNumber { field: Field::MessageId, value });
            }
            Slot::Absent => return Err(MessageError::Missing { field: Field::MessageId }),
        }
        Ok(match message_type {
            MessageType::Chat => Request::Chat(self.chat(charset)?),
            MessageType::Query => Request::Query,
            MessageType::Fetch => Request::Fetch,
            MessageType::Nickname => Request::Nickname,
            MessageType::Bye => Request::Bye,
        })
    }

    fn chat(self, charset: Charset) -> Result<Chat, MessageError> {
        let to = match self.to {
            Slot::Absent => None,
            Slot::Good(uid) => Some(uid),
            Slot::Bad(value) => return Err(MessageError::BadNumber { field: Field::To, value }),
        };
        let content_type = match self.content_type {
            Slot::Absent => ContentType::Text,
            Slot::Good(content_type) => content_type,
            Slot::Bad(value) => return Err(MessageError::BadContentType { value }),
        };
        let file_name = match content_type {
            ContentType::Text => None,
            ContentType::File(_) => self.file_name,
        };
        let file_name = file_name.map(|value| FileName::parse(&value, charset)).transpose()?;
        Ok(Chat { to, content_type, file_name })
    }
}

/// Reads the header of one client message (§2.1.1), of which the server `accepts` that much.
///
/// `Ok(None)`: the stream ended before a message began. `line` is the caller's buffer, kept from
/// call to call. Holds at most one line at a time.
///
/// # Errors
/// A [`Fault`] where the end of the message is not known; nothing behind it may be read as messages.
pub fn read_client_message<R: BufRead>(
    input: &mut R,
    line: &mut Vec<u8>,
    accepts: Accepts,
) -> Result<Option<Parsed>, Fault> {
    let mut fields = Fields::default();
    let read =
        header::read_header(input, line, Rules::Strict(accepts.extensions), |field, value| {
            fields.take(field, value);
        });
    let inherited = fields.inherited();
    let summary = match read {
        Ok(Some(summary)) => summary,
        Ok(None) => return Ok(None),
        Err(error) => return Err(Fault { error, inherited }),
    };
    let body_len = fields
        .body_len(&summary)
        .map_err(|error| Fault { error: ReadError::Refused(error), inherited })?;
    Ok(Some(match fields.request(&summary, accepts.charset) {
        Ok(request) => Parsed::Message(ClientMessage { request, inherited, body_len }),
        Err(error) => Parsed::Refused { error, inherited, body_len },
    }))
}

/// Writes the header of a client message in the order of the draft's examples (§3), for clients.
///
/// The body's `body_len` bytes are the caller's to send after it.
pub fn encode_client_message(message: &ClientMessage, out: &mut Vec<u8>) {
    let (to, file_name, content_type) = match &message.request {
        Request::Chat(Chat { to, content_type, file_name }) => {
            (*to, file_name.as_ref(), Some(content_type.as_str()))
        }
        Request::Fetch | Request::Nickname => (None, None, Some("text")),
        Request::Query | Request::Bye => (None, None, None),
    };
    out.extend_from_slice(b"Message-Type ");
    out.extend_from_slice(message.request.message_type().name().as_bytes());
    out.extend_from_slice(b"\r\nMessage-ID ");
    push_number(message.inherited.id.0, out);
    if let Some(to) = to {
        out.extend_from_slice(b"\r\nTo ");
        push_number(to.0, out);
    }
    if let Some(file_name) = file_name {
        out.extend_from_slice(b"\r\nFile-Name ");
        out.extend_from_slice(file_name.as_str().as_bytes());
    }
    if let Some(content_type) = content_type {
        out.extend_from_slice(b"\r\nContent-Type ");
        out.extend_from_slice(content_type.as_bytes());
    }
    if content_type.is_some() || message.body_len > 0 {
        out.extend_from_slice(b"\r\nContent-Length ");
        push_number(message.body_len, out);
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Reads the body of a fetch: the File-ID in decimal digits, white space around it dropped (§2.3.3.2).
pub fn parse_file_id(body: &[u8]) -> Result<FileId, MessageError> {
    let digits = body.trim_ascii();
    parse_number(digits)
        .map(FileId)
        .ok_or_else(|| MessageError::BadFileId { value: Excerpt::of(digits) })
}
