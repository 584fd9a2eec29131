//! Server messages as the checker reads them: by the draft alone, and with nothing of the server's
//! own reader.
//!
//! The reader takes every way to end a line that the draft shows (a linefeed, §1.3.5; a space, CR
//! and LF, §3), since a draft's server may choose. What the rules ask for beyond that they ask of
//! the message's raw bytes.

use std::borrow::Cow;

/// The nine fields that the draft has (§2.1.1.1, §2.2.1).
pub const FIELDS: [&str; 9] = [
    "Status",
    "Message-Type",
    "Message-ID",
    "To",
    "From",
    "Sender-Nickname",
    "File-ID",
    "Content-Type",
    "Content-Length",
];

/// The longest header line that is still read as one, in bytes.
const LINE_LIMIT: usize = 2048;

/// The largest number of lines in a header.
const LINES_LIMIT: usize = 64;

/// The longest body that is read, in bytes: no rule asks for a longer one.
const BODY_LIMIT: usize = 2 << 20;

/// A relay, a response or a notice, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Names and values in the order of the header; bytes that are not UTF-8 are replaced.
    pub fields: Vec<(String, String)>,
    /// The header as it came, with its empty line.
    pub header: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// What the bytes that have come so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// One message, and how many bytes it took.
    Whole(Message, usize),
    /// The beginning of a message; the text says what is missing.
    Partial(String),
    /// No message: why.
    Noise(String),
}

impl Message {
    /// Reads one message from the start of `bytes`.
    ///
    /// `is_ok_bare`: the server writes the `Content-Length` of §3.1.3 into the response to a chat,
    /// and no body behind it.
    pub fn parse(bytes: &[u8], is_ok_bare: bool) -> Parsed {
        let mut message = Message::default();
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                return unfinished_line(rest, message.fields.len());
            };
            let line = trim_end(&rest[..end]);
            at += end + 1;
            if line.is_empty() {
                break;
            }
            if let Err(why) = message.take_line(line) {
                return Parsed::Noise(why);
            }
        }
        if message.fields.is_empty() {
            let why = "an empty line where a message should begin; is a Content-Length too small?";
            return Parsed::Noise(why.to_owned());
        }
        message.header = bytes[..at].to_vec();
        message.take_body(&bytes[at..], is_ok_bare)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.len() > LINE_LIMIT {
            return Err(format!("a header line of {} bytes", line.len()));
        }
        if self.fields.len() == LINES_LIMIT {
            return Err(format!("a header of more than {LINES_LIMIT} lines"));
        }
        let is_first = self.fields.is_empty();
        let line = String::from_utf8_lossy(line);
        let Some((name, value)) = line.split_once([' ', '\t']) else {
            return Err(not_a_field(&line, is_first));
        };
        if is_first && !FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)) {
            return Err(not_a_field(&line, true));
        }
        self.fields.push((name.to_owned(), value.trim().to_owned()));
        Ok(())
    }

    fn take_body(mut self, rest: &[u8], is_ok_bare: bool) -> Parsed {
        let declared = match self.field("Content-Length").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(len)) => len,
            Some(Err(_)) => {
                return Parsed::Noise("a Content-Length that is not a number".to_owned());
            }
        };
        let is_bare = self.is_file_relay() || (is_ok_bare && self.is("chat") && self.is_ok());
        let len = if is_bare { 0 } else { declared };
        if len > BODY_LIMIT {
            return Parsed::Noise(format!("Content-Length {len}: nothing so long was asked for"));
        }
        if rest.len() < len {
            let missing = len - rest.len();
            let bytes = if missing == 1 { "byte" } else { "bytes" };
            let partial = format!("the body is {missing} {bytes} short of Content-Length {len}");
            return Parsed::Partial(partial);
        }
        self.body = rest[..len].to_vec();
        let used = self.header.len() + len;
        Parsed::Whole(self, used)
    }

    /// A field's first value; names are compared in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// A field's value, where it is a number in decimal digits.
    pub fn number(&self, name: &str) -> Option<u64> {
        let value = self.field(name)?;
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { value.parse().ok() } else { None }
    }

    /// Whether this is a response (§2.2.1.2).
    pub fn is_response(&self) -> bool {
        self.has("Status")
    }

    /// Whether its `Message-Type` is this one.
    pub fn is(&self, message_type: &str) -> bool {
        self.field("Message-Type").is_some_and(|value| value.eq_ignore_ascii_case(message_type))
    }

    /// Whether this is a response with `Status Ok`.
    pub fn is_ok(&self) -> bool {
        self.field("Status").is_some_and(|value| value.eq_ignore_ascii_case("ok"))
    }

    /// Whether this is the relay of a file: its `Content-Length` is the file's, and no body follows.
    pub fn is_file_relay(&self) -> bool {
        !self.is_response() && self.has("File-ID")
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// All bytes, as they came.
    pub fn bytes(&self) -> Vec<u8> {
        [self.header.as_slice(), &self.body].concat()
    }

    /// The names of its fields, in order.
    pub fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn unfinished_line(rest: &[u8], lines: usize) -> Parsed {
    if rest.len() > LINE_LIMIT {
        return Parsed::Noise(format!("{} bytes without a linefeed", rest.len()));
    }
    // A server that speaks something else is told apart as soon as it can be.
    if lines == 0 && !rest.is_empty() && !begins_a_field(rest) {
        return Parsed::Noise("no field of the draft begins like this".to_owned());
    }
    match rest.is_empty() && lines == 0 {
        true => Parsed::Partial("nothing".to_owned()),
        false => Parsed::Partial("a header without the empty line that ends it".to_owned()),
    }
}

fn begins_a_field(rest: &[u8]) -> bool {
    FIELDS.iter().any(|field| {
        let len = rest.len().min(field.len());
        rest[..len].eq_ignore_ascii_case(&field.as_bytes()[..len])
    }) || matches!(rest, b"\r" | b" " | b" \r")
}

fn not_a_field(line: &str, is_first: bool) -> String {
    let start: String = line.chars().take(40).collect();
    let is_name = |name: &str| FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name.trim()));
    match (line.split_once(':').is_some_and(|(name, _)| is_name(name)), is_first) {
        (true, _) => {
            format!(
                "{start:?} is not a field: name and value are separated by a blank, not a colon"
            )
        }
        (_, true) => format!("{start:?} where a message should begin with a field of the draft"),
        (_, false) => format!("{start:?} is not a field: a name, a blank and a value"),
    }
}

/// A line without the blanks and the CR before its linefeed.
fn trim_end(line: &[u8]) -> &[u8] {
    let last = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    &line[..last.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"Status Ok\r\nMessage-Type query\r\nMessage-ID 1\r\nContent-Type text\r\n\
        Content-Length 4\r\n\r\n1\n2\n";

    #[test]
    fn every_line_ending_of_the_draft_is_read() {
        for ending in ["\n", "\r\n", " \r\n"] {
            let text = String::from_utf8_lossy(OK).replace("\r\n", ending);
            let Parsed::Whole(message, used) = Message::parse(text.as_bytes(), false) else {
                panic!("{ending:?}");
            };
            assert_eq!((used, message.text().as_ref()), (text.len(), "1\n2\n"));
            assert_eq!(message.number("message-id"), Some(1));
        }
    }

    #[test]
    fn every_beginning_of_a_message_is_no_noise() {
        for len in 0..OK.len() {
            let parsed = Message::parse(&OK[..len], false);
            assert!(matches!(parsed, Parsed::Partial(_)), "{len}: {parsed:?}");
        }
    }

    #[test]
    fn a_relayed_file_has_no_body_and_the_bare_ok_of_the_example_none_either() {
        let relay = b"Message-Type chat\nFrom 1\nFile-ID 1\nContent-Type jpg\nContent-Length 9\n\n";
        assert!(
            matches!(Message::parse(relay, false), Parsed::Whole(_, used) if used == relay.len())
        );
        let bare = b"Status Ok\nMessage-Type chat\nMessage-ID 1\nContent-Length 12\n\n";
        assert!(matches!(Message::parse(bare, false), Parsed::Partial(_)));
        assert!(matches!(Message::parse(bare, true), Parsed::Whole(_, used) if used == bare.len()));
    }

    #[test]
    fn what_is_no_message_is_noise_and_says_why() {
        let check = |bytes: &[u8], part: &str| match Message::parse(bytes, false) {
            Parsed::Noise(why) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        };
        check(b"HTTP/1.1 400 Bad Request\r\n", "should begin with a field");
        check(b"\x16\x03\x01", "no field of the draft");
        check(b"\nStatus Ok\n", "an empty line");
        check(b"Status: Ok\n\n", "not a colon");
        check(b"Status Ok\nnonsense\n\n", "a name, a blank and a value");
        check(b"Status Ok\nContent-Length x\n\n", "not a number");
        check(b"Status Ok\nContent-Length 99999999999\n\n", "nothing so long");
        check(&[b'S'; 5000], "without a linefeed");
        check(b"SSSSSSSSSSSSSSSS", "no field of the draft");
        check(&[b"Status ".as_slice(), &[b'x'; 5000]].concat(), "without a linefeed");
    }
}
