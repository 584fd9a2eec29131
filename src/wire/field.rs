//! The one table of fields, and the values that stand in them (§2.1.1.1, §2.2.1).
//!
//! Knows nothing of lines and messages: what is read and written is up to the files beside it.

use crate::text::{EXTENSION_LIMIT, Extension, FILE_NAME_LIMIT, NICKNAME_LIMIT};

/// The longest header line, in bytes, without its line ending.
///
/// Every value that the draft knows fits several times over; a peer that sends no linefeed is told
/// so after a kilobyte instead of being buffered.
pub const LINE_LIMIT: usize = 1024;

/// The largest number of lines in a header, without the empty one that ends it.
///
/// The draft knows nine fields; the rest is room for fields of others, which are ignored.
pub const LINES_LIMIT: usize = 32;

/// The fields: the nine that the draft has, in both directions (§2.1.1.1, §2.2.1), and those beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `Status`: a response, and how it went.
    Status,
    /// `Message-Type`.
    MessageType,
    /// `Message-ID`.
    MessageId,
    /// `To`: the receiver of a private message.
    To,
    /// `From`: the sender of a relayed message.
    From,
    /// `Sender-Nickname`.
    SenderNickname,
    /// `File-ID`.
    FileId,
    /// `Content-Type`.
    ContentType,
    /// `Content-Length`.
    ContentLength,
    /// `File-Name`: the name that its sharer gave to a file.
    FileName,
    /// `Sequence`: a message's place in the one order of public messages.
    Sequence,
    /// `Time`: when the server accepted a message.
    Time,
}

/// Whether the draft has a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It has. Repeated, such a field is an error (P1).
    Draft,
    /// It has not: a message never begins with such a field.
    Beyond,
}

/// Whether a server offers what goes beyond the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extensions {
    /// Nothing but the draft, and the queries for `self`, `names` and `files`.
    Off,
    /// The queries for `features`, `extended` and `history`, and `File-Name` in a chat.
    On,
}

/// Who may send a field. What the other side sends of it is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentBy {
    /// The server alone.
    Server,
    /// Clients and the server.
    Both,
}

/// Which bytes a field's value may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// ASCII (§1.3.5).
    Ascii,
    /// UTF-8, of which ASCII is a part (P1).
    Utf8,
    /// Any bytes but a linefeed: the header goes on, and what is wrong is found when the value
    /// matters.
    Any,
}

/// A row of the table.
struct Row {
    field: Field,
    name: &'static str,
    origin: Origin,
    sent_by: SentBy,
    holds: Holds,
    /// The longest value in bytes, where it is shorter than a line.
    limit: Option<usize>,
}

/// Every field, in the order of [`Field`]. A number may have leading zeros, so only its line limits it.
#[rustfmt::skip]
static TABLE: [Row; 12] = {
    use {Field as F, Holds::*, Origin::*, SentBy::*};
    const fn row(field: F, name: &'static str, origin: Origin, sent_by: SentBy, holds: Holds, limit: Option<usize>) -> Row {
        Row { field, name, origin, sent_by, holds, limit }
    }
    [
        row(F::Status,         "Status",          Draft,  Server, Ascii, None),
        row(F::MessageType,    "Message-Type",    Draft,  Both,   Ascii, None),
        row(F::MessageId,      "Message-ID",      Draft,  Both,   Ascii, None),
        row(F::To,             "To",              Draft,  Both,   Ascii, None),
        row(F::From,           "From",            Draft,  Server, Ascii, None),
        row(F::SenderNickname, "Sender-Nickname", Draft,  Server, Utf8,  Some(NICKNAME_LIMIT)),
        row(F::FileId,         "File-ID",         Draft,  Server, Ascii, None),
        row(F::ContentType,    "Content-Type",    Draft,  Both,   Ascii, Some(EXTENSION_LIMIT)),
        row(F::ContentLength,  "Content-Length",  Draft,  Both,   Ascii, None),
        row(F::FileName,       "File-Name",       Beyond, Both,   Any,   Some(FILE_NAME_LIMIT)),
        row(F::Sequence,       "Sequence",        Beyond, Server, Ascii, None),
        row(F::Time,           "Time",            Beyond, Server, Ascii, Some(TIMESTAMP_LEN)),
    ]
};

/// The length of a moment as it is written, in bytes.
pub(super) const TIMESTAMP_LEN: usize = 24;

impl Field {
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The name as the draft spells it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether the draft has it.
    pub fn origin(self) -> Origin {
        self.row().origin
    }

    /// Who may send it.
    pub fn sent_by(self) -> SentBy {
        self.row().sent_by
    }

    /// Which bytes its value may hold.
    pub fn holds(self) -> Holds {
        self.row().holds
    }

    /// The longest value in bytes; `None` where only its line limits it.
    pub fn limit(self) -> Option<usize> {
        self.row().limit
    }

    /// Reads a field's name, in any case; `None` for one that is not in the table.
    pub fn parse(name: &[u8]) -> Option<Field> {
        // Mostly as the draft spells it.
        let is_it = |row: &&Row| {
            let known = row.name.as_bytes();
            known.len() == name.len() && (known == name || known.eq_ignore_ascii_case(name))
        };
        TABLE.iter().find(is_it).map(|row| row.field)
    }

    /// A bit of its own in a set of fields.
    pub(super) fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What a client message asks for (§2.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// A text or a file, relayed to one client or to all others (§2.3.2, §2.3.3.1).
    Chat,
    /// Asks who is active, and a little more (§2.1.1.2).
    Query,
    /// Asks for a staged file (§2.3.3.2).
    Fetch,
    /// Sets the sender's nickname (§2.3.1.3).
    Nickname,
    /// Ends the session (§2.3.4).
    Bye,
}

impl MessageType {
    /// The value of `Message-Type` as the draft spells it.
    pub fn name(self) -> &'static str {
        match self {
            MessageType::Chat => "chat",
            MessageType::Query => "query",
            MessageType::Fetch => "fetch",
            MessageType::Nickname => "nickname",
            MessageType::Bye => "bye",
        }
    }

    /// Reads a value of `Message-Type`, in any case.
    pub fn parse(value: &[u8]) -> Option<MessageType> {
        use MessageType::{Bye, Chat, Fetch, Nickname, Query};
        [Chat, Query, Fetch, Nickname, Bye]
            .into_iter()
            .find(|known| value.eq_ignore_ascii_case(known.name().as_bytes()))
    }
}

/// How a request went (§2.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was carried out.
    Ok,
    /// It was not; the body says why.
    Error,
}

impl Status {
    /// The value of `Status` as the draft spells it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "Ok",
            Status::Error => "Error",
        }
    }

    /// Reads a value of `Status`, in any case.
    pub fn parse(value: &[u8]) -> Option<Status> {
        let is = |status: &Status| value.eq_ignore_ascii_case(status.name().as_bytes());
        [Status::Ok, Status::Error].into_iter().find(is)
    }
}

/// What a body holds: `text`, or a file of the kind that its filename extension says (§2.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `text`, in any case; also what a chat without `Content-Type` is.
    Text,
    /// Anything else: a filename extension.
    File(Extension),
}

impl ContentType {
    /// Reads a value of `Content-Type`; `None` where it is neither `text` nor an extension.
    pub fn parse(value: &[u8]) -> Option<ContentType> {
        if value.eq_ignore_ascii_case(b"text") {
            return Some(ContentType::Text);
        }
        Extension::parse(value).map(ContentType::File)
    }

    /// The value as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            ContentType::Text => "text",
            ContentType::File(extension) => extension.as_str(),
        }
    }
}

/// Reads a number of the protocol: decimal digits only, at most 2^64-1, leading zeros allowed.
pub fn parse_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// Writes a number of the protocol: decimal, without leading zeros.
///
/// Every delivery writes some: `write!` would cost as much as the rest of a header.
pub fn push_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = number;
    loop {
        first -= 1;
        // The remainder is below 10, so the cast keeps all of it.
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_fields() {
        // §2.1.1.1, §2.2.1: each field has one row, which is found by its name in any case.
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.field as usize, index, "{}", row.name);
            assert_eq!(Field::parse(row.name.to_lowercase().as_bytes()), Some(row.field));
            assert_eq!(Field::parse(row.name.to_uppercase().as_bytes()), Some(row.field));
            assert!(row.limit.is_none_or(|limit| row.name.len() + 1 + limit <= LINE_LIMIT));
        }
    }

    #[test]
    fn numbers_are_decimal_digits_up_to_the_largest_u64() {
        // P1, numbers: no sign, no spaces within, up to 2^64-1.
        let check = |input: &str, expected: Option<u64>| {
            assert_eq!(parse_number(input.as_bytes()), expected, "{input:?}");
        };
        check("0", Some(0));
        check("22", Some(22));
        check("007", Some(7));
        check("18446744073709551615", Some(u64::MAX));
        check("00000000000000000000000018446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("99999999999999999999999", None);
        check("", None);
        check("+1", None);
        check("-1", None);
        check("1 2", None);
        check("0x10", None);
        check("1.0", None);
    }

    #[test]
    fn a_written_number_has_no_leading_zeros() {
        // P1, numbers: written back as a number.
        for number in [0, 7, 10, 99, 100, 9527, u64::MAX] {
            let mut out = Vec::new();
            push_number(number, &mut out);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn message_types_are_read_in_any_case() {
        // P1: field names, `Message-Type` and `text` are read in any case.
        assert_eq!(MessageType::parse(b"cHaT"), Some(MessageType::Chat));
        assert_eq!(MessageType::parse(b"BYE"), Some(MessageType::Bye));
        assert_eq!(MessageType::parse(b"chat "), None);
        assert_eq!(MessageType::parse(b"unknown"), None);
    }
}
