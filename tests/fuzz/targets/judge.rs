//! The grammar a second time, written from the protocol alone: what the server has to make of the
//! bytes that a stranger has sent. It shares no code with the server's own reader, whose mistakes it
//! would repeat. It is given all bytes at once, so that it can be plain.

use multichat::text::{Charset, Nickname};

/// Whether the server under test offers `File-Name`.
const OFFERS_FILE_NAME: bool = true;

/// The fields of the draft.
const FIELDS: [&str; 9] = [
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

const TYPES: [&str; 5] = ["chat", "query", "fetch", "nickname", "bye"];

/// `Message-Type` and `Message-ID` of a response.
pub(super) type Answer = (String, u64);

/// What a header is.
pub(super) enum Verdict {
    /// Nothing more was sent, blank lines aside.
    Nothing,
    /// `bye`.
    Bye,
    /// A message to be carried out: chats and nicknames matter to others.
    Message { answer: Answer, request: Request, body_len: u64 },
    /// A message that is refused, with the length of its body.
    Refused { answer: Answer, body_len: u64 },
    /// The end of the message is not known; `is_refused`: not for want of bytes alone.
    Fatal { answer: Answer, is_refused: bool },
}

/// What a message is for.
pub(super) enum Request {
    Text { to: Option<u64> },
    File { to: Option<u64>, extension: String },
    Nickname,
    Other,
}

/// Whether the first line makes a connection HTTP: it ends in the version, whatever the method. A line
/// that does not begin with a known method is no longer than one of the protocol, and has no control
/// characters.
pub(super) fn speaks_http(sent: &[u8]) -> bool {
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
    let end = sent.iter().position(|&byte| byte == b'\n');
    let line = &sent[..end.unwrap_or(sent.len())];
    let has_control = line.iter().any(|&byte| is_control(byte) && byte != b'\r');
    if methods.iter().any(|method| line.starts_with(format!("{method} ").as_bytes())) {
        if line.len() >= 16 * 1024 {
            return true;
        }
    } else if has_control || line.strip_suffix(b"\r").unwrap_or(line).len() > 1024 {
        return false;
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    end.is_some() && (line.ends_with(b" HTTP/1.0") || line.ends_with(b" HTTP/1.1"))
}

/// Names and values of one header.
#[derive(Default)]
struct Header {
    fields: Vec<(String, Vec<u8>)>,
    is_repeated: bool,
    is_length_repeated: bool,
}

impl Header {
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        if self.value(name).is_some() {
            self.is_repeated = true;
            self.is_length_repeated |= name == "Content-Length";
        } else {
            self.fields.push((name.to_string(), value.to_vec()));
        }
    }

    fn message_type(&self) -> Option<&'static str> {
        let value = self.value("Message-Type")?;
        TYPES.into_iter().find(|known| value.eq_ignore_ascii_case(known.as_bytes()))
    }

    fn number(&self, name: &str) -> Option<u64> {
        number(self.value(name)?)
    }

    fn answer(&self) -> Answer {
        let message_type = self.message_type().unwrap_or("unknown");
        (message_type.to_string(), self.number("Message-ID").unwrap_or(0))
    }

    /// The length of the body; `None` where nobody can know it.
    fn body_len(&self) -> Option<u64> {
        match (self.value("Content-Length"), self.message_type()) {
            _ if self.is_length_repeated => None,
            (Some(value), _) => number(value),
            (None, Some("query" | "bye")) => Some(0),
            (None, _) => None,
        }
    }

    /// What is asked for; `None` where it is to be refused.
    fn request(&self) -> Option<Request> {
        let message_type = self.message_type()?;
        self.number("Message-ID")?;
        if self.is_repeated {
            return None;
        }
        match message_type {
            "chat" => self.chat(),
            "nickname" => Some(Request::Nickname),
            _ => Some(Request::Other),
        }
    }

    fn chat(&self) -> Option<Request> {
        let to = match self.value("To") {
            Some(value) => Some(number(value)?),
            None => None,
        };
        let content_type = self.value("Content-Type").unwrap_or(b"text");
        if content_type.eq_ignore_ascii_case(b"text") {
            return Some(Request::Text { to });
        }
        if self.value("File-Name").is_some_and(|name| !is_file_name(name)) {
            return None;
        }
        let extension = String::from_utf8(content_type.to_vec()).ok()?;
        is_extension(&extension).then_some(Request::File { to, extension })
    }
}

/// Takes a header off what is left of what was sent.
pub(super) fn take_header(rest: &mut &[u8]) -> Verdict {
    let mut header = Header::default();
    let mut lines = 0;
    let fatal = |header: &Header, is_refused| {
        let answer = header.answer();
        Verdict::Fatal { answer, is_refused }
    };
    loop {
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            let is_begun = lines > 0 || rest.iter().any(|byte| !b" \t\r".contains(byte));
            return match is_begun || is_over_limit(rest) {
                true => fatal(&header, !can_go_on(rest, lines)),
                false => Verdict::Nothing,
            };
        };
        let line = &rest[..end];
        *rest = &rest[end + 1..];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > 1024 {
            return fatal(&header, true);
        }
        let line = trim_end(line);
        if line.is_empty() && lines == 0 {
            continue;
        }
        if line.is_empty() {
            break;
        }
        lines += 1;
        if lines > 32 || !take_line(line, lines == 1, &mut header) {
            return fatal(&header, true);
        }
    }
    let Some(body_len) = header.body_len() else { return fatal(&header, true) };
    let answer = header.answer();
    match header.request() {
        _ if header.message_type() == Some("bye") => Verdict::Bye,
        Some(request) => Verdict::Message { answer, request, body_len },
        None => Verdict::Refused { answer, body_len },
    }
}

/// Takes a line of a header; whether it is one.
fn take_line(line: &[u8], is_first: bool, header: &mut Header) -> bool {
    let blank = line.iter().position(|byte| b" \t".contains(byte)).unwrap_or(line.len());
    let (name, value) = line.split_at(blank);
    let start = value.iter().position(|byte| !b" \t".contains(byte)).unwrap_or(value.len());
    let value = &value[start..];
    let known = FIELDS.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if name.is_empty() || !name.iter().all(is_name) || value.is_empty() {
        return false;
    }
    if known.is_none() && is_first {
        return false;
    }
    if known.is_none() && is_file_name_field(name) {
        header.add("File-Name", value);
        return true;
    }
    if has_control(line) {
        return false;
    }
    let is_fit = match known {
        Some("Sender-Nickname") => std::str::from_utf8(value).is_ok(),
        _ => value.is_ascii(),
    };
    if let (Some(name), true) = (known, is_fit) {
        header.add(name, value);
    }
    is_fit
}

fn is_file_name_field(name: &[u8]) -> bool {
    OFFERS_FILE_NAME && name.eq_ignore_ascii_case(b"File-Name")
}

/// Whether a line that has not ended may still become one.
fn can_go_on(line: &[u8], lines: usize) -> bool {
    let name = line.split(|byte| b" \t".contains(byte)).next().unwrap_or_default();
    let takes_controls = lines > 0 && name.len() < line.len() && is_file_name_field(name);
    // A carriage return may be half of the line's end.
    let has_control = line.iter().any(|&byte| byte != b'\r' && is_control(byte));
    !is_over_limit(line) && (takes_controls || !has_control)
}

/// Whether a line that has not ended is longer than one may be.
fn is_over_limit(line: &[u8]) -> bool {
    line.len() > 1025 || (line.len() == 1025 && line[1024] != b'\r')
}

fn has_control(line: &[u8]) -> bool {
    line.iter().any(|&byte| is_control(byte))
}

fn is_control(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !b" \t".contains(byte));
    &line[..end.map_or(0, |end| end + 1)]
}

/// Decimal digits alone, up to 2^64-1.
fn number(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Letters, digits, `_`, `+`, `-` and single dots within; at most 32 bytes.
fn is_extension(value: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    value.len() <= 32 && value.split('.').all(is_part)
}

fn is_file_name(value: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(value) else { return false };
    let name = name.trim();
    let turns = |c| "\u{61c}\u{200e}\u{200f}".contains(c) || ('\u{202a}'..='\u{202e}').contains(&c);
    let is_bad = |c: char| {
        c.is_control()
            || "/\\\u{2028}\u{2029}".contains(c)
            || turns(c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    !name.contains(is_bad) && (1..=200).contains(&name.len()) && name != "." && name != ".."
}

/// UTF-8 without control characters but tab, linefeed and the carriage return of CR LF.
pub(super) fn is_text(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    !text.replace("\r\n", "").contains(|c: char| c.is_control() && !"\t\n".contains(c))
}

/// The nickname in a body; `None` where it is refused.
///
/// What is beyond ASCII is not grammar, but a matter of Unicode's tables: the server's own are asked.
pub(super) fn nickname(body: &[u8]) -> Option<String> {
    if !body.is_ascii() {
        let nickname = Nickname::parse(body, Charset::Utf8).ok()?;
        return Some(nickname.as_str().to_string());
    }
    let name = std::str::from_utf8(body).ok()?.trim_matches([' ', '\t', '\r', '\n']);
    let is_good = (1..=64).contains(&name.len()) && !name.contains(|c: char| c.is_control());
    is_good.then(|| name.to_string())
}

/// Takes a server message off what was got: which message it answers, if any. `Err`: it is none, as
/// strictly as the server should write it.
pub(super) fn take_answer(got: &mut &[u8]) -> Result<Option<Answer>, String> {
    let mut fields: Vec<(&str, &str)> = Vec::new();
    loop {
        let end = got.windows(2).position(|two| two == b"\r\n").ok_or("a header without an end")?;
        let line = std::str::from_utf8(&got[..end]).map_err(|error| error.to_string())?;
        *got = &got[end + 2..];
        if line.is_empty() {
            break;
        }
        fields.push(line.split_once(' ').ok_or_else(|| format!("{line:?} has no value"))?);
    }
    let value = |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let len = value("Content-Length").and_then(|value| value.parse().ok());
    let len: usize = len.ok_or_else(|| format!("no Content-Length in {fields:?}"))?;
    let is_response = value("Status").is_some();
    let len = if value("File-ID").is_some() && !is_response { 0 } else { len };
    *got = got.get(len..).ok_or_else(|| format!("the body of {fields:?} is not whole"))?;
    if !is_response {
        return Ok(None);
    }
    let id = value("Message-ID").and_then(|value| value.parse().ok());
    match (value("Message-Type"), id) {
        (Some(message_type), Some(id)) => Ok(Some((message_type.to_string(), id))),
        _ => Err(format!("no response: {fields:?}")),
    }
}
