//! Servers that no `multichatd` is: of the draft alone, slow, wrong or hostile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) message_type: String,
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
    /// All its fields.
    pub(crate) fields: Vec<(String, String)>,
}

impl Asked {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Its body as text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("text")
    }
}

/// One connection to a client.
pub(crate) struct Fake {
    input: BufReader<TcpStream>,
}

impl Fake {
    /// Serves each connection in a thread of its own, until the test ends.
    pub(crate) fn serve(talk: impl Fn(&mut Fake) + Send + Sync + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = listener.local_addr().expect("an address");
        let talk = std::sync::Arc::new(talk);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let talk = std::sync::Arc::clone(&talk);
                thread::spawn(move || talk(&mut Fake { input: BufReader::new(stream) }));
            }
        });
        address
    }

    /// The next request; `None` at the end of input.
    pub(crate) fn next(&mut self) -> Option<Asked> {
        let (asked, len) = self.read_header()?;
        self.read_body(asked, len)
    }

    /// The next request, with nothing read of the body of a chat; `None` at the end of input.
    pub(crate) fn next_without_chat(&mut self) -> Option<Asked> {
        let (asked, len) = self.read_header()?;
        if asked.message_type == "chat" { Some(asked) } else { self.read_body(asked, len) }
    }

    fn read_body(&mut self, mut asked: Asked, len: usize) -> Option<Asked> {
        asked.body.resize(len, 0);
        self.input.read_exact(&mut asked.body).ok()?;
        Some(asked)
    }

    fn read_header(&mut self) -> Option<(Asked, usize)> {
        let mut asked =
            Asked { message_type: String::new(), id: 0, body: Vec::new(), fields: Vec::new() };
        let mut len = 0;
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            if let Some((name, value)) = line.trim_end().split_once(' ') {
                asked.fields.push((name.to_string(), value.to_string()));
            }
            match line.trim_end().split_once(' ') {
                None => break,
                Some(("Message-Type", value)) => asked.message_type = value.to_string(),
                Some(("Message-ID", value)) => asked.id = value.parse().expect("a number"),
                Some(("Content-Length", value)) => len = value.parse().expect("a number"),
                Some(_) => {}
            }
        }
        Some((asked, len))
    }

    /// Answers the query that a session begins with (§2.3.1.2), which has no body.
    pub(crate) fn begin(&mut self) {
        let first = self.next().expect("a first message");
        assert_eq!((first.message_type.as_str(), first.id, first.body.len()), ("query", 1, 0));
        self.respond(&first, "Ok", "7\n");
    }

    /// What it reads from.
    pub(crate) fn input(&mut self) -> &mut impl Read {
        &mut self.input
    }

    /// Sends bytes; a client that has left does not matter.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes);
    }

    /// Sends bytes; `false` where the client has left.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.input.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a response.
    pub(crate) fn respond(&mut self, asked: &Asked, status: &str, body: &str) {
        let Asked { message_type, id, .. } = asked;
        self.send(format!(
            "Status {status}\r\nMessage-Type {message_type}\r\nMessage-ID {id}\r\n\
             Content-Type text\r\nContent-Length {}\r\n\r\n{body}",
            body.len()
        ));
    }
}
