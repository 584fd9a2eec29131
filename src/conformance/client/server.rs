//! A server of the draft for one client at a time, in a room with one other client, who is made up.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::{BODY_KEPT, ClientMessage, ENDED, End, MESSAGES_KEPT, Session};

/// The longest header line that is read, in bytes.
const LINE_LIMIT: usize = 4096;

/// The largest number of lines in a header.
const LINES_LIMIT: usize = 64;

/// How much is kept of the files that a client shares, all together, in bytes.
const STAGE_LIMIT: usize = 8 << 20;

/// For how long a client may send on behind `bye`.
const BEHIND_BYE: Duration = Duration::from_millis(500);

/// The UIDs of the room: the client that is made up, and the one that has come.
const UIDS: &str = "1\n2\n";

/// The file that the client that is made up has shared.
const FILE: (u64, &str, &[u8]) = (1, "txt", b"a file of client 1\n");

/// Serves a client until it has gone. `patience` is how long it may be silent inside a message;
/// between messages it may be for ever.
///
/// # Errors
/// Where the system does not let the connection be used at all.
pub fn serve(stream: &TcpStream, patience: Duration) -> io::Result<Session> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(patience))?;
    let mut server = Server {
        input: BufReader::new(stream.try_clone()?),
        stream,
        patience,
        files: BTreeMap::from([(FILE.0, (FILE.1.to_owned(), FILE.2.to_vec()))]),
        staged: 0,
    };
    let mut session = Session::default();
    session.end = match server.converse(&mut session) {
        Ok(end) => end,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            End::Silent
        }
        Err(_) => End::Reset,
    };
    Ok(session)
}

struct Server<'a> {
    input: BufReader<TcpStream>,
    stream: &'a TcpStream,
    patience: Duration,
    files: BTreeMap<u64, (String, Vec<u8>)>,
    staged: usize,
}

impl Server<'_> {
    fn converse(&mut self, session: &mut Session) -> io::Result<End> {
        let mut count = 0;
        loop {
            let mut content = Vec::new();
            let Some(message) = self.read(&mut content)? else { return Ok(End::Closed) };
            let (is_bye, is_fault) = (message.is("bye"), message.fault.is_some());
            count += 1;
            if count == 1 && !is_bye && !is_fault {
                // A relay may come at any time, also before the response that is waited for.
                self.write(&relay("chat", "Hello"))?;
                session.relay_at = Some(1);
            }
            if !is_bye && !is_fault {
                self.answer(&message, &content)?;
            }
            let has_ended = message.fault.as_deref() == Some(ENDED);
            if session.messages.len() < MESSAGES_KEPT {
                session.messages.push(message);
            }
            if is_bye {
                session.behind_bye = self.read_behind_bye();
            }
            if is_bye || is_fault {
                let _ = self.stream.shutdown(Shutdown::Write);
                // What was sent is to reach the client: a close with unread bytes would be a reset.
                self.stream.set_read_timeout(Some(BEHIND_BYE))?;
                let _ = io::copy(&mut (&mut self.input).take(1 << 20), &mut io::sink());
                return Ok(if has_ended || is_bye { End::Closed } else { End::Reset });
            }
        }
    }

    /// Reads one message; `None` at the end of the connection. The whole body of a small file goes to
    /// `content`.
    fn read(&mut self, content: &mut Vec<u8>) -> io::Result<Option<ClientMessage>> {
        let mut message = ClientMessage::default();
        loop {
            let is_inside = !message.lines.is_empty();
            self.stream.set_read_timeout(is_inside.then_some(self.patience))?;
            let mut line = Vec::new();
            (&mut self.input).take(LINE_LIMIT as u64).read_until(b'\n', &mut line)?;
            if line.is_empty() && !is_inside {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') {
                let fault = if line.len() == LINE_LIMIT { "a line without an end" } else { ENDED };
                message.lines.push(line);
                message.fault = Some(fault.to_owned());
                return Ok(Some(message));
            }
            let line = line.trim_ascii_end();
            if line.is_empty() && is_inside {
                break;
            }
            if !line.is_empty() {
                message.take_line(line);
            }
            if message.lines.len() > LINES_LIMIT {
                message.fault = Some("a header without an end".to_owned());
                return Ok(Some(message));
            }
        }
        self.read_body(&mut message, content)?;
        Ok(Some(message))
    }

    fn read_body(&mut self, message: &mut ClientMessage, content: &mut Vec<u8>) -> io::Result<()> {
        let len = match message.field("Content-Length").map(str::parse::<u64>) {
            None => 0,
            Some(Ok(len)) => len,
            Some(Err(_)) => {
                message.fault = Some("a Content-Length that is not a number".to_owned());
                return Ok(());
            }
        };
        if message.lines.len() > message.fields.len() || message.field("Message-Type").is_none() {
            message.fault = Some("not a message: where it ends is not known".to_owned());
            return Ok(());
        }
        let kept = (STAGE_LIMIT - self.staged) as u64;
        (&mut self.input).take(len.min(kept)).read_to_end(content)?;
        let rest = len - content.len() as u64;
        let dropped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        message.body = content[..content.len().min(BODY_KEPT)].to_vec();
        message.body_len = content.len() as u64 + dropped;
        if message.body_len < len {
            message.fault = Some(ENDED.to_owned());
        }
        Ok(())
    }

    /// Answers as the draft has it.
    fn answer(&mut self, message: &ClientMessage, content: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(&message.body);
        let asked = text.trim();
        let (status, content_type, body): (_, &str, &[u8]) = match message.field("Message-Type") {
            Some("query") if asked.is_empty() => ("Ok", "text", UIDS.as_bytes()),
            Some("query") => ("Error", "text", b"a query of the draft has no body\n"),
            Some("nickname") => ("Ok", "text", asked.as_bytes()),
            Some("chat") if message.field("To").is_some_and(|to| to != "1" && to != "2") => {
                ("Error", "text", b"no such client\n")
            }
            Some("chat") => {
                self.stage(message, content);
                ("Ok", "text", b"")
            }
            Some("fetch") => match asked.parse().ok().and_then(|id: u64| self.files.get(&id)) {
                Some((extension, content)) => ("Ok", extension, content),
                None => ("Error", "text", b"no such file\n"),
            },
            _ => ("Error", "text", b"Message-Type is none of the draft's\n"),
        };
        let message_type = message.field("Message-Type").unwrap_or("unknown");
        let id = message.field("Message-ID").unwrap_or("0");
        let len = body.len();
        let header = format!(
            "Status {status}\r\nMessage-Type {message_type}\r\nMessage-ID {id}\r\n\
             Content-Type {content_type}\r\nContent-Length {len}\r\n\r\n"
        );
        (&mut &*self.stream).write_all(&[header.as_bytes(), body].concat())
    }

    fn stage(&mut self, message: &ClientMessage, content: &[u8]) {
        let extension = message.field("Content-Type").unwrap_or("text");
        if extension != "text" && content.len() as u64 == message.body_len {
            self.staged += content.len();
            let id = FILE.0 + self.files.len() as u64;
            self.files.insert(id, (extension.to_owned(), content.to_vec()));
        }
    }

    fn write(&mut self, message: &str) -> io::Result<()> {
        (&mut &*self.stream).write_all(message.as_bytes())
    }

    /// What comes behind `bye`, if anything does.
    fn read_behind_bye(&mut self) -> Vec<u8> {
        let mut behind = self.input.buffer().to_vec();
        let has_deadline = self.stream.set_read_timeout(Some(BEHIND_BYE)).is_ok();
        let _ = self.stream.shutdown(Shutdown::Write);
        if behind.is_empty() && has_deadline {
            let _ = (&mut self.input).take(1024).read_to_end(&mut behind);
        }
        behind.truncate(1024);
        behind
    }
}

impl ClientMessage {
    fn take_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if let Some((name, value)) = text.split_once([' ', '\t'])
            && !name.is_empty()
            && !name.ends_with(':')
        {
            self.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        self.lines.push(line.to_vec());
    }
}

/// What the client that is made up says.
fn relay(message_type: &str, text: &str) -> String {
    let len = text.len();
    format!(
        "Message-Type {message_type}\r\nFrom 1\r\nSender-Nickname Tom\r\nContent-Type text\r\n\
         Content-Length {len}\r\n\r\n{text}"
    )
}
