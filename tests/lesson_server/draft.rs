//! A server of the draft in 300 lines: a thread a client, one lock around the room.
//!
//! It is for reading and for trying out, so it leaves out what a server on a real network needs: it
//! writes to its clients under the lock, so one that does not read holds all others up; it keeps
//! files in memory; and it closes the connection over whatever it cannot read.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::extended::{Extras, History};
use super::faults::Faults;

/// For how long a client that is told what is wrong is still read.
const LINGER: Duration = Duration::from_secs(1);

/// The longest body that is read.
const BODY_LIMIT: usize = 32 << 20;

/// A client message (§2.1): its header fields, and its body.
#[derive(Clone, Default)]
pub struct Request {
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub fn is(&self, message_type: &str) -> bool {
        self.field("Message-Type") == Some(message_type)
    }

    /// Reads one message; `None` at the end of the connection.
    pub fn read(input: &mut BufReader<TcpStream>, faults: &Faults) -> io::Result<Option<Request>> {
        let mut request = Request::default();
        loop {
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line)? == 0 && request.fields.is_empty() {
                return Ok(None);
            }
            faults.check_line(&line)?;
            if !line.ends_with(b"\n") {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            // A linefeed ends a line (§1.3.5); the draft's examples have a space and a CR before it.
            let line = String::from_utf8_lossy(&line);
            let line = faults.trim(&line);
            match line.split_once(' ') {
                Some((name, value)) => {
                    let value = faults.value(name, value);
                    request.fields.push((name.to_owned(), value.to_owned()));
                }
                None if faults.takes_alone(line) => {
                    request.fields.push((line.to_owned(), String::new()));
                }
                // Empty lines between messages are skipped; one behind a header ends it.
                None if line.trim().is_empty() && request.fields.is_empty() => {}
                None if line.trim().is_empty() => break,
                None => return Err(invalid(&format!("{line} has no value"))),
            }
            let first = request.fields.first().map(|(name, _)| name.as_str());
            if first.is_some_and(|first| !faults.may_begin(first)) {
                return Err(invalid(&format!("a message does not begin with {line}")));
            }
        }
        let len = request.field("Content-Length").map_or(Some(0), |len| len.parse().ok());
        match len {
            Some(len) if len <= BODY_LIMIT => request.body = vec![0; len],
            _ => return Err(invalid("Content-Length is not a length")),
        }
        faults.read_body(input, &mut request)?;
        Ok(Some(request))
    }
}

/// A server message (§2.2): a relay or a response.
#[derive(Clone, Default)]
pub struct ServerMessage {
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl ServerMessage {
    pub fn add(&mut self, name: &str, value: impl ToString) {
        self.fields.push((name.to_owned(), value.to_string()));
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub fn encode(&self) -> Vec<u8> {
        let line = |(name, value): &(String, String)| format!("{name} {value}\r\n");
        let header: String = self.fields.iter().map(line).collect();
        [header.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// One who is connected.
pub struct Client {
    pub stream: TcpStream,
    pub nickname: Option<String>,
    pub is_extended: bool,
    /// How many public messages had been said when it connected.
    pub joined_at: usize,
}

/// A staged file (§2.3.3.1).
pub struct File {
    pub extension: String,
    pub content: Vec<u8>,
    pub from: u64,
    pub name: Option<String>,
}

/// Who is here, and what is staged. UIDs and File-IDs are 1, 2, 3 …
#[derive(Default)]
pub struct Room {
    pub clients: BTreeMap<u64, Client>,
    pub last_uid: u64,
    pub files: BTreeMap<u64, File>,
    last_file: u64,
    pub history: History,
    /// How many notices there were.
    pub noticed: usize,
}

/// The server: what all threads share.
pub struct Server {
    pub room: Mutex<Room>,
    pub faults: Faults,
    /// What goes beyond the draft, if anything does.
    pub extras: Option<Extras>,
}

impl Server {
    /// Serves every client that connects, each in a thread of its own.
    pub fn run(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.faults.are("one-at-a-time") {
                let _ = self.serve(stream);
                continue;
            }
            let server = Arc::clone(self);
            thread::spawn(move || server.serve(stream));
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One client from its first byte to its last.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut input = BufReader::new(stream.try_clone()?);
        let uid = self.join(stream)?;
        let end = loop {
            match Request::read(&mut input, &self.faults) {
                Ok(Some(request)) if request.is("bye") => {
                    self.faults.behind_bye(self, uid, &mut input);
                    break "it said bye";
                }
                Ok(Some(mut request)) => {
                    self.faults.change_request(&mut request, &mut input);
                    self.answer(uid, &request, !input.buffer().is_empty());
                }
                Ok(None) => break "it closed the connection",
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    break "the connection was reset";
                }
                Err(error) => {
                    self.refuse(uid, &mut input, &error);
                    break "it sent something that is not a message";
                }
            }
        };
        self.leave(uid, end);
        Ok(())
    }

    /// Tells a client what is wrong where the end of its message is not known, and reads on until it
    /// closes: a close with unread bytes would reset the connection, and destroy the reason.
    fn refuse(&self, uid: u64, input: &mut BufReader<TcpStream>, error: &io::Error) {
        let reason = Err(format!("{error}; the connection is closed"));
        self.respond(&mut self.lock(), uid, &Request::default(), reason);
        let stream = input.get_ref();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(LINGER));
        let _ = io::copy(input, &mut io::sink());
    }

    /// Assigns a UID (§2.3.1.2).
    fn join(&self, stream: TcpStream) -> io::Result<u64> {
        let mut room = self.lock();
        room.last_uid += 1;
        let uid = self.faults.uid(&room, stream.peer_addr()?.port());
        let joined_at = room.history.relays.len();
        let client = Client { stream, nickname: None, is_extended: false, joined_at };
        room.clients.insert(uid, client);
        Ok(uid)
    }

    /// Takes a client out of the room and closes its connection (§2.3.4).
    fn leave(&self, uid: u64, cause: &str) {
        let mut room = self.lock();
        if self.faults.forget_to_remove(cause, &mut room, uid) {
            return;
        }
        if let Some(client) = room.clients.remove(&uid) {
            let _ = client.stream.shutdown(Shutdown::Both);
            if let Some(extras) = &self.extras {
                let body = format!("left: {cause}");
                extras.notify(self, &mut room, uid, client.nickname.as_deref(), &body);
            }
        }
    }

    /// Carries out one message, and answers it.
    pub fn answer(&self, uid: u64, request: &Request, has_more: bool) {
        let mut room = self.lock();
        if let Some(extras) = &self.extras
            && let Some(answer) = extras.answer(&self.faults, &mut room, uid, request)
        {
            self.respond(&mut room, uid, request, answer);
            return;
        }
        let result = match request.field("Message-Type") {
            Some("query") => Ok(text(&self.list(&room, uid))),
            Some("nickname") => self.set_nickname(&mut room, uid, request),
            Some("chat") => self.chat(&mut room, uid, request, has_more),
            Some("fetch") => self.fetch(&mut room, uid, request),
            _ => Err("Message-Type is none of the draft's".to_owned()),
        };
        self.respond(&mut room, uid, request, result);
    }

    /// The UIDs of the active clients, a line each (§2.1.1.2).
    fn list(&self, room: &Room, asker: u64) -> String {
        let listed = room.clients.keys().filter(|uid| self.faults.lists(**uid, asker));
        listed.map(|uid| format!("{uid}\n")).collect()
    }

    /// Sets a nickname (§2.3.1.3); the response's body is the nickname.
    fn set_nickname(
        &self,
        room: &mut Room,
        uid: u64,
        request: &Request,
    ) -> Result<ServerMessage, String> {
        let name = String::from_utf8_lossy(&request.body).trim().to_owned();
        self.faults.check_nickname(room, uid, &name)?;
        let old =
            room.clients.get_mut(&uid).and_then(|client| client.nickname.replace(name.clone()));
        self.faults.after_nickname(self, room, uid, &name, old.as_deref());
        if let Some(extras) = &self.extras {
            extras.renamed(self, room, uid, old.as_deref(), &name);
        }
        Ok(text(&name))
    }

    /// Relays a text, or stages a file and relays its header (§2.3.2, §2.3.3.1).
    fn chat(
        &self,
        room: &mut Room,
        uid: u64,
        request: &Request,
        has_more: bool,
    ) -> Result<ServerMessage, String> {
        if let Some(extras) = &self.extras {
            extras.check_name(&self.faults, request)?;
        }
        let mut receivers = self.receivers(room, uid, request)?;
        let mut relay = ServerMessage::default();
        relay.add("Message-Type", "chat");
        if let Some(to) = request.field("To") {
            relay.add("To", to);
        }
        relay.add("From", self.faults.from(uid));
        if let Some(nickname) = &room.clients[&uid].nickname {
            relay.add("Sender-Nickname", nickname);
        }
        let mut response = text("");
        let extension = request.field("Content-Type").unwrap_or("text");
        if extension == "text" {
            relay.body.clone_from(&request.body);
        } else {
            let file_id = self.stage(room, uid, extension, request);
            relay.add("File-ID", file_id);
            response.add("File-ID", file_id);
        }
        relay.add("Content-Type", extension);
        relay.add("Content-Length", request.body.len());
        self.faults.change_relay(room, uid, request, &mut relay, &mut receivers);
        let extras = self.extras.as_ref();
        let extended = extras.map(|extras| extras.extend(&self.faults, room, &relay, request));
        for (receiver, relay) in self.faults.in_order(receivers, relay, has_more) {
            let is_extended = self.faults.extends(room, receiver, uid);
            let extended = extended.as_ref().filter(|_| is_extended);
            self.write(room, receiver, extended.unwrap_or(&relay));
        }
        self.faults.after_chat(self, room, uid);
        self.faults.chat_result(room, request).map(|()| response)
    }

    /// The client that `To` names, or everybody else (§2.3.2).
    fn receivers(&self, room: &Room, uid: u64, request: &Request) -> Result<Vec<u64>, String> {
        let Some(to) = request.field("To") else {
            return Ok(room.clients.keys().copied().filter(|other| *other != uid).collect());
        };
        let receiver = to.parse().unwrap_or(0);
        match room.clients.contains_key(&receiver) {
            true => Ok(vec![receiver]),
            false => self.faults.undeliverable(room, to, request),
        }
    }

    fn stage(&self, room: &mut Room, uid: u64, extension: &str, request: &Request) -> u64 {
        room.last_file += 1;
        let file = File {
            extension: extension.to_owned(),
            content: request.body.clone(),
            from: uid,
            name: request.field("File-Name").map(|name| name.trim().to_owned()),
        };
        room.files.insert(room.last_file, file);
        self.faults.file_id(room.last_file)
    }

    /// Sends a staged file (§2.3.3.2).
    fn fetch(&self, room: &mut Room, uid: u64, request: &Request) -> Result<ServerMessage, String> {
        let wanted = String::from_utf8_lossy(&request.body).trim().to_owned();
        let file_id = wanted.parse().unwrap_or(0);
        let Some(file) = self.faults.fetched(room, file_id) else {
            return Err(format!("no file {wanted} is staged"));
        };
        let mut response = ServerMessage { body: file.content, ..ServerMessage::default() };
        if let Some(name) = &file.name
            && self.faults.names_file(&room.clients[&uid])
        {
            response.add("File-Name", name);
        }
        response.add("Content-Type", file.extension);
        Ok(response)
    }

    /// The response to a message (§2.2.1.2): what was found, or why not.
    fn respond(
        &self,
        room: &mut Room,
        uid: u64,
        request: &Request,
        result: Result<ServerMessage, String>,
    ) {
        let (status, found) = match result {
            Ok(found) => ("Ok", found),
            Err(reason) => ("Error", text(&(reason + "\n"))),
        };
        let mut response = ServerMessage { body: found.body, ..ServerMessage::default() };
        response.add("Status", status);
        for name in ["Message-Type", "Message-ID"] {
            let missing = if name == "Message-ID" { "0" } else { "unknown" };
            response.add(name, request.field(name).unwrap_or(missing));
        }
        response.fields.extend(found.fields);
        response.add("Content-Length", response.body.len());
        for response in self.faults.change_response(request, response) {
            self.write(room, uid, &response);
            self.faults.after_response(self, room, uid, &response);
        }
    }

    /// Writes to a client. If that fails it has gone, and its own thread is about to notice.
    pub fn write(&self, room: &Room, uid: u64, message: &ServerMessage) {
        if let Some(client) = room.clients.get(&uid)
            && (&client.stream).write_all(&message.encode()).is_err()
        {
            self.faults.after_failed_write(room, uid);
        }
    }
}

/// What is wrong with a message whose end is not known.
fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}

/// The body of a response that is a text.
pub fn text(body: &str) -> ServerMessage {
    let mut message = ServerMessage { body: body.as_bytes().to_vec(), ..ServerMessage::default() };
    message.add("Content-Type", "text");
    message
}

/// Reads a body whole, however many pieces it comes in.
pub fn read_whole(input: &mut BufReader<TcpStream>, request: &mut Request) -> io::Result<()> {
    input.read_exact(&mut request.body)
}
