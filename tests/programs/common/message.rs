//! Client messages to send, and what a server message holds.

use std::fmt;

use super::show;

/// A client message of these header lines, a `Content-Length` and the body.
pub(crate) fn message(header: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut message = format!("{header}\nContent-Length {}\n\n", body.len()).into_bytes();
    message.extend_from_slice(body);
    message
}

/// A public text.
pub(crate) fn chat(message_id: u64, text: impl AsRef<[u8]>) -> Vec<u8> {
    message(&format!("Message-Type chat\nMessage-ID {message_id}"), text)
}

/// The bytes of a `Status Ok` with a text as its body.
pub(crate) fn ok_response(message_type: &str, message_id: u64, body: &str) -> String {
    let len = body.len();
    format!(
        "Status Ok\r\nMessage-Type {message_type}\r\nMessage-ID {message_id}\r\n\
         Content-Type text\r\nContent-Length {len}\r\n\r\n{body}"
    )
}

/// A relay or a response, as it came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerMessage {
    /// Names and values, in the order of the header.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl ServerMessage {
    /// Takes one message from the start of `bytes`, and says how long it was; `None` if more has to
    /// come.
    ///
    /// It is as strict as the server's writing should be: one space, `\r\n`, a true
    /// `Content-Length`. A relayed file, which has a File-ID, has no body.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let mut fields = Vec::new();
        let mut rest = bytes;
        loop {
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
            let line =
                rest[..end].strip_suffix(b"\r").ok_or("a header line does not end with CR LF")?;
            rest = &rest[end + 1..];
            if line.is_empty() {
                break;
            }
            let line = std::str::from_utf8(line).map_err(|_| "a header line is not UTF-8")?;
            let (name, value) = line.split_once(' ').ok_or("a header line has no value")?;
            if value.is_empty() || value.trim() != value {
                return Err(format!("the value of {name} is empty or has white space around it"));
            }
            fields.push((name.to_owned(), value.to_owned()));
        }
        let mut message = Self { fields, body: Vec::new() };
        let len = message
            .field("Content-Length")
            .parse()
            .map_err(|_| "Content-Length is not a number")?;
        let body_len = if message.is_response() || !message.has("File-ID") { len } else { 0 };
        if rest.len() < body_len {
            return Ok(None);
        }
        message.body = rest[..body_len].to_vec();
        Ok(Some((message, bytes.len() - rest.len() + body_len)))
    }

    pub(crate) fn is_response(&self) -> bool {
        self.has("Status")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    /// A field's value.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(field, _)| field == name);
        &field.unwrap_or_else(|| panic!("no field {name} in {self:?}")).1
    }

    /// A field's value, which is a number.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or_else(|_| panic!("{name} is not a number in {self:?}"))
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body)
            .unwrap_or_else(|_| panic!("the body is not UTF-8: {self:?}"))
    }

    /// Itself, a response with `Status Ok`.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.field("Status"), "Ok", "in {self:?}");
        self
    }

    /// The reason of a `Status Error`, which is one line and tells nothing of the server's inside
    /// or of addresses.
    #[track_caller]
    pub(crate) fn reason(&self) -> &str {
        assert_eq!(self.field("Status"), "Error", "in {self:?}");
        assert_eq!(self.field("Content-Type"), "text", "in {self:?}");
        let reason = self
            .text()
            .strip_suffix('\n')
            .unwrap_or_else(|| panic!("no \\n at the end of {self:?}"));
        assert!(
            !reason.is_empty() && !reason.contains(char::is_control),
            "not one line of plain text: {self:?}"
        );
        for inside in ["127.0.0", "::1", "/tmp", "os error", "panicked", ".rs"] {
            assert!(!reason.contains(inside), "{inside:?} in a reason: {self:?}");
        }
        reason
    }
}

impl fmt::Debug for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> =
            self.fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
        write!(f, "[{}] {}", fields.join(" | "), show(&self.body))
    }
}
