//! Client messages as the rules send them (§2.1).

/// How a header line is ended: the draft has a linefeed in its prose (§1.3.5), and a space, CR and
/// LF in its examples (§3).
pub const LINE_ENDINGS: [&str; 3] = ["\n", " \r\n", "\r\n"];

/// A client message before it has a `Message-ID`.
#[derive(Clone, Debug)]
pub struct Request {
    message_type: &'static str,
    fields: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    fn new(message_type: &'static str) -> Request {
        Request { message_type, fields: Vec::new(), body: None }
    }

    /// A query without a body (§2.1.1.2).
    pub fn query() -> Request {
        Request::new("query")
    }

    /// A query that asks for more than the UIDs.
    pub fn query_for(body: impl AsRef<[u8]>) -> Request {
        Request::new("query").body(body)
    }

    /// A text (§3.1.1).
    pub fn chat(text: impl AsRef<[u8]>) -> Request {
        Request::new("chat").field("Content-Type", "text").body(text)
    }

    /// A file (§3.2.1).
    pub fn share(extension: &str, content: impl AsRef<[u8]>) -> Request {
        Request::new("chat").field("Content-Type", extension).body(content)
    }

    /// A nickname (§3.3.1).
    pub fn nickname(name: impl AsRef<[u8]>) -> Request {
        Request::new("nickname").field("Content-Type", "text").body(name)
    }

    /// Asks for a staged file (§3.2.4).
    pub fn fetch(file_id: impl AsRef<[u8]>) -> Request {
        Request::new("fetch").field("Content-Type", "text").body(file_id)
    }

    /// The end of a session (§3.4.1).
    pub fn bye() -> Request {
        Request::new("bye")
    }

    /// Makes it private (§2.3.2.1).
    pub fn to(self, uid: &str) -> Request {
        let mut request = self;
        request.fields.insert(0, ("To", uid.to_owned()));
        request
    }

    /// Adds a field.
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.fields.push((name, value.into()));
        self
    }

    /// Gives it a body, and the body's length.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// The bytes to send.
    pub fn encode(&self, message_id: u64, ending: &str) -> Vec<u8> {
        let mut header =
            format!("Message-Type {}{ending}Message-ID {message_id}{ending}", self.message_type);
        for (name, value) in &self.fields {
            header += &format!("{name} {value}{ending}");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() {
            header += &format!("Content-Length {}{ending}", body.len());
        }
        // The empty line is empty: the space of the examples stands behind a value.
        header += ending.trim_start_matches(' ');
        [header.as_bytes(), body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_look_like_the_drafts_examples() {
        let chat = Request::chat("How are you?").encode(22, " \r\n");
        let example = "Message-Type chat \r\nMessage-ID 22 \r\nContent-Type text \r\n\
            Content-Length 12 \r\n\r\nHow are you?";
        assert_eq!(String::from_utf8_lossy(&chat), example);
        let bye = Request::bye().encode(1000, " \r\n");
        assert_eq!(bye, b"Message-Type bye \r\nMessage-ID 1000 \r\n\r\n");
    }
}
