//! Faults that a server can be given by name, each of which breaks one rule of `multichat check`.
//!
//! The server asks here at a few points what to do; without a fault it gets back what it had.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::draft::{Client, File, Request, Room, Server, ServerMessage, read_whole};

/// The fault that a server has, if any.
#[derive(Default)]
pub struct Faults {
    name: String,
    /// Relays that are held back.
    held: Mutex<Vec<(u64, ServerMessage)>>,
    /// What is held while a body is read.
    reading: Mutex<()>,
    /// Who has got a relay that should have been extended.
    late: Mutex<BTreeSet<u64>>,
    /// A number for each client: what it stands for is the fault's own.
    noted: Mutex<BTreeMap<u64, u64>>,
}

impl Faults {
    pub fn new(name: &str) -> Faults {
        Faults { name: name.to_owned(), ..Faults::default() }
    }

    /// Whether the server has the fault of this name.
    pub fn are(&self, name: &str) -> bool {
        self.name == name
    }

    // Reading

    pub fn check_line(&self, line: &[u8]) -> io::Result<()> {
        let refused = self.are("needs-crlf") && !line.ends_with(b"\r\n");
        if refused { Err(ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    pub fn trim<'a>(&self, line: &'a str) -> &'a str {
        let ended = line.trim_end_matches(['\r', '\n']);
        if self.are("keeps-blanks") { ended } else { ended.trim_end() }
    }

    pub fn read_body(
        &self,
        input: &mut BufReader<TcpStream>,
        request: &mut Request,
    ) -> io::Result<()> {
        if self.are("one-read") && !request.body.is_empty() {
            let len = input.read(&mut request.body)?;
            request.body.truncate(len);
            return Ok(());
        }
        let _held = self.are("lock-while-reading").then(|| self.reading.lock());
        read_whole(input, request)
    }

    pub fn change_request(&self, request: &mut Request, input: &mut BufReader<TcpStream>) {
        drop(self.reading.lock());
        let is_file = request.field("Content-Type").is_some_and(|value| value != "text");
        match self.name.as_str() {
            "body-to-empty-line" if !is_file => {
                let end = request.body.windows(2).position(|pair| pair == b"\n\n");
                request.body.truncate(end.unwrap_or(request.body.len()));
            }
            "trims-body" if !is_file => {
                let len = request.body.trim_ascii_end().len();
                request.body.truncate(len);
            }
            "query-eats-line" if request.is("query") && !input.buffer().is_empty() => {
                let _ = input.read_until(b'\n', &mut Vec::new());
            }
            "drops-pipelined" => input.consume(input.buffer().len()),
            _ => {}
        }
    }

    // The room

    /// The UID of the client that connects from this port.
    pub fn uid(&self, room: &Room, port: u16) -> u64 {
        match self.name.as_str() {
            "uid-is-port" => port.into(),
            "uids-down" => 1_000_000 - room.last_uid,
            "uids-reused" => room.clients.len() as u64 + 1,
            _ => room.last_uid,
        }
    }

    /// The UID in `From`.
    pub fn from(&self, uid: u64) -> u64 {
        let slipped = || self.noted().get(&uid).copied().unwrap_or(0);
        if self.are("from-slips") { uid - slipped() } else { uid }
    }

    /// What a client sends behind bye.
    pub fn behind_bye(&self, server: &Server, uid: u64, input: &mut BufReader<TcpStream>) {
        while self.are("reads-behind-bye") && !input.buffer().is_empty() {
            let Ok(Some(request)) = Request::read(input, self) else { return };
            server.answer(uid, &request, false);
        }
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the list that `asker` gets has this client in it.
    pub fn lists(&self, uid: u64, asker: u64) -> bool {
        match self.name.as_str() {
            "lists-asker-only" => uid == asker,
            "lists-others-only" => uid != asker,
            _ => true,
        }
    }

    /// Whether a client that has left stays in the room.
    pub fn forget_to_remove(&self, cause: &str, room: &mut Room, uid: u64) -> bool {
        let (said_bye, was_reset) = (cause == "it said bye", cause == "the connection was reset");
        match self.name.as_str() {
            "keeps-after-bye" if said_bye => {
                let _ = room.clients[&uid].stream.shutdown(Shutdown::Both);
                return true;
            }
            "bye-not-closed" if said_bye => {
                std::mem::forget(room.clients.remove(&uid));
                return true;
            }
            "bye-answered" if said_bye => {
                let response = "Status Ok\r\nMessage-Type bye\r\nContent-Length 0\r\n\r\n";
                let _ = io::Write::write_all(&mut &room.clients[&uid].stream, response.as_bytes());
            }
            "bye-ends-another" if said_bye => end_another(room, uid),
            "half-message-ends-all" if cause.ends_with("not a message") => close_all(room),
            "reset-ends-another" if was_reset => end_another(room, uid),
            "forgets-close" if cause == "it closed the connection" => return true,
            "ghosts-listed" if cause == "it closed the connection" => {
                let _ = room.clients[&uid].stream.shutdown(Shutdown::Both);
                self.noted().insert(uid, 0);
                return true;
            }
            "from-slips" if said_bye => {
                for other in room.clients.keys().filter(|other| **other > uid) {
                    *self.noted().entry(*other).or_insert(0) += 1;
                }
            }
            "reason-has-port" => {
                let port =
                    room.clients[&uid].stream.peer_addr().map_or(0, |peer| peer.port().into());
                self.noted().insert(uid, port);
            }
            // A write that fails takes the news of the reset from the reader, who sees a close.
            "forgets-reset" if !said_bye => return true,
            _ => {}
        }
        false
    }

    /// A write to a client has failed: it is gone.
    pub fn after_failed_write(&self, room: &Room, uid: u64) {
        if self.are("reset-ends-another") {
            end_another(room, uid);
        }
    }

    pub fn check_nickname(&self, room: &Room, uid: u64, name: &str) -> Result<(), String> {
        let taken = |(other, client): (&u64, &Client)| {
            *other != uid && client.nickname.as_deref() == Some(name)
        };
        match self.name.as_str() {
            "nickname-refused" => Err("no nicknames here".to_owned()),
            "nickname-no-duplicates" if room.clients.iter().any(taken) => {
                Err(format!("{name} is taken"))
            }
            _ => Ok(()),
        }
    }

    pub fn after_nickname(
        &self,
        server: &Server,
        room: &mut Room,
        uid: u64,
        name: &str,
        old: Option<&str>,
    ) {
        match self.name.as_str() {
            "nickname-stuck" => {
                if let (Some(client), Some(old)) = (room.clients.get_mut(&uid), old) {
                    client.nickname = Some(old.to_owned());
                }
            }
            "nickname-for-all" => {
                for client in room.clients.values_mut() {
                    client.nickname.get_or_insert_with(|| name.to_owned());
                }
            }
            "nickname-relayed" => {
                let mut relay = super::draft::text(name);
                relay.fields.insert(0, ("Message-Type".to_owned(), "chat".to_owned()));
                relay.add("Content-Length", name.len());
                for other in room.clients.keys().filter(|other| **other != uid) {
                    server.write(room, *other, &relay);
                }
            }
            _ => {}
        }
    }

    pub fn undeliverable(
        &self,
        room: &Room,
        to: &str,
        request: &Request,
    ) -> Result<Vec<u64>, String> {
        let to_uid = to.parse().unwrap_or(0);
        let (was_here, is_text) = (to_uid <= room.last_uid, is_text(request));
        match self.name.as_str() {
            "unknown-ok" if !was_here && is_text => Ok(Vec::new()),
            "share-unknown-ok" if !was_here && !is_text => Ok(Vec::new()),
            "left-ok" if was_here => Ok(Vec::new()),
            "unknown-goes-public" if !was_here && is_text => {
                Ok(room.clients.keys().copied().collect())
            }
            "reason-has-port" if was_here => {
                let port = self.noted().get(&to_uid).copied().unwrap_or(0);
                Err(format!("client {to} on port {port} has left"))
            }
            _ => Err(format!("no client {to} is here")),
        }
    }

    pub fn chat_result(&self, room: &Room, request: &Request) -> Result<(), String> {
        let to = request.field("To");
        let is_text = is_text(request);
        let is_known =
            to.and_then(|to| to.parse().ok()).is_some_and(|uid: u64| uid <= room.last_uid);
        let fails = match self.name.as_str() {
            "chat-error" => is_text && to.is_none(),
            "alone-error" => is_text && room.clients.len() == 1,
            "share-alone-error" => !is_text && room.clients.len() == 1,
            "ghosts-listed" => {
                to.and_then(|to| to.parse().ok()).is_some_and(|to| self.noted().contains_key(&to))
            }
            "private-error" => is_text && to.is_some(),
            "unknown-goes-public" => is_text && to.is_some() && !is_known,
            "share-error" => !is_text,
            _ => false,
        };
        if fails { Err("it could not be relayed".to_owned()) } else { Ok(()) }
    }

    // Beyond the draft

    /// Whether a message may begin with this field.
    pub fn may_begin(&self, name: &str) -> bool {
        const FIELDS: [&str; 9] = [
            "Message-Type",
            "Message-ID",
            "To",
            "Content-Type",
            "Content-Length",
            "From",
            "Sender-Nickname",
            "File-ID",
            "Status",
        ];
        FIELDS.contains(&name) || self.are("begins-with-anything")
    }

    /// Whether a client gets relays in the extended form.
    pub fn extends(&self, room: &Room, uid: u64, from: u64) -> bool {
        let is_extended = room.clients.get(&uid).is_some_and(|client| client.is_extended);
        match self.name.as_str() {
            "extended-for-all" => room.clients.values().any(|client| client.is_extended),
            "extended-late" if from < uid => {
                let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
                is_extended && !late.insert(uid)
            }
            _ => is_extended,
        }
    }

    /// A field's value, without the blanks around it.
    pub fn value<'a>(&self, name: &str, value: &'a str) -> &'a str {
        let is_kept = self.are("file-name-untrimmed") && name == "File-Name";
        if is_kept { value } else { value.trim_start() }
    }

    /// Whether a field may have no value.
    pub fn takes_alone(&self, line: &str) -> bool {
        self.are("file-name-may-be-empty") && line == "File-Name"
    }

    /// Whether a client's first nickname is told with its first chat.
    pub fn after_chat(&self, server: &Server, room: &mut Room, uid: u64) {
        let nickname = room.clients.get(&uid).and_then(|client| client.nickname.clone());
        if self.are("joined-late")
            && let Some(extras) = &server.extras
        {
            extras.notify(server, room, uid, nickname.as_deref(), "joined");
        }
    }

    /// Whether the answer to this client's fetch has the file's name.
    pub fn names_file(&self, client: &Client) -> bool {
        client.is_extended && !self.are("fetch-without-name")
    }

    // Writing

    pub fn change_relay(
        &self,
        room: &Room,
        uid: u64,
        request: &Request,
        relay: &mut ServerMessage,
        receivers: &mut Vec<u64>,
    ) {
        let is_private = request.field("To").is_some();
        let others = || room.clients.keys().copied().filter(|other| *other != uid).collect();
        match (self.name.as_str(), relay.field("File-ID").is_some()) {
            ("relay-to-sender", false) if !is_private => receivers.push(uid),
            ("relay-to-one", false) if !is_private => receivers.truncate(1),
            ("relay-twice", false) if !is_private => receivers.extend(receivers.clone()),
            ("relay-type-message", _) => set(relay, "Message-Type", "message"),
            ("relay-no-from", _) => drop_field(relay, "From"),
            ("relay-no-content-type", false) => drop_field(relay, "Content-Type"),
            ("relay-length-padded", false) => {
                let len = format!("00{}", relay.body.len());
                set(relay, "Content-Length", &len);
            }
            ("relay-no-tabs", false) => {
                relay.body.iter_mut().filter(|byte| **byte == b'\t').for_each(|byte| *byte = b' ');
            }
            ("relay-message-id", false) => {
                relay.add("Message-ID", request.field("Message-ID").unwrap_or("0"));
            }
            ("relay-to-zero", false) if !is_private => relay.add("To", 0),
            ("relay-default-nickname", _) if relay.field("Sender-Nickname").is_none() => {
                relay.add("Sender-Nickname", "unknown");
            }
            ("private-dropped", false) if is_private => receivers.clear(),
            ("private-to-all", false) if is_private => *receivers = others(),
            ("private-no-from", false) if is_private => drop_field(relay, "From"),
            ("private-no-to", false) if is_private => drop_field(relay, "To"),
            ("nickname-not-relayed", _) if !is_private => drop_field(relay, "Sender-Nickname"),
            ("nickname-not-private", _) if is_private => drop_field(relay, "Sender-Nickname"),
            ("share-not-relayed", true) => receivers.clear(),
            ("share-with-body", true) => relay.body.clone_from(&request.body),
            ("share-type-lost", true) => set(relay, "Content-Type", "file"),
            ("share-no-from", true) => drop_field(relay, "From"),
            ("share-to-sharer", true) if !is_private => receivers.push(uid),
            ("share-private-to-all", true) if is_private => *receivers = others(),
            ("text-file-id", false) if room.files.values().any(|file| file.from == uid) => {
                relay.add("File-ID", 0);
            }
            _ => {}
        }
    }

    /// The relays in the order in which they go out.
    pub fn in_order(
        &self,
        receivers: Vec<u64>,
        relay: ServerMessage,
        has_more: bool,
    ) -> Vec<(u64, ServerMessage)> {
        let relays: Vec<_> = receivers.into_iter().map(|uid| (uid, relay.clone())).collect();
        if !self.are("relay-reversed") {
            return relays;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(relays);
        if has_more { Vec::new() } else { held.drain(..).rev().collect() }
    }

    pub fn file_id(&self, file_id: u64) -> u64 {
        if self.are("file-ids-down") { 1_000_000 - file_id } else { file_id }
    }

    /// The file that a fetch of `file_id` gets.
    pub fn fetched(&self, room: &mut Room, file_id: u64) -> Option<File> {
        let file_id = self.file_id(file_id.min(1_000_000));
        let staged = match self.name.as_str() {
            "fetch-refused" => None,
            "fetch-needs-sharer" => {
                room.files.get(&file_id).filter(|file| room.clients.contains_key(&file.from))
            }
            "fetch-latest" if room.files.contains_key(&file_id) => room.files.values().next_back(),
            _ => room.files.get(&file_id),
        };
        let found = staged.map(|file| File {
            extension: file.extension.clone(),
            content: file.content.clone(),
            from: file.from,
            name: file.name.clone(),
        });
        match (self.name.as_str(), found) {
            ("fetch-once", found) => {
                room.files.remove(&file_id);
                found
            }
            ("fetch-anything", None) => {
                Some(File { extension: "jpg".to_owned(), content: Vec::new(), from: 0, name: None })
            }
            ("fetch-text-mode", Some(mut file)) => {
                file.content.retain(|byte| *byte != b'\r');
                Some(file)
            }
            ("fetch-as-text", Some(file)) => Some(File { extension: "text".to_owned(), ..file }),
            (_, found) => found,
        }
    }

    /// What goes out in place of a response.
    pub fn change_response(
        &self,
        request: &Request,
        mut response: ServerMessage,
    ) -> Vec<ServerMessage> {
        let is_error = response.field("Status") == Some("Error");
        match self.name.as_str() {
            "query-unanswered" if request.is("query") => return Vec::new(),
            "answers-twice" if request.is("fetch") && is_error => {
                return vec![response.clone(), response];
            }
            "status-upper-case" => {
                let status = if is_error { "ERROR" } else { "OK" };
                set(&mut response, "Status", status);
            }
            "own-message-ids" => set(&mut response, "Message-ID", "7"),
            "type-response" => set(&mut response, "Message-Type", "response"),
            "no-content-type" if request.is("nickname") => {
                drop_field(&mut response, "Content-Type")
            }
            "no-length" if response.body.is_empty() => drop_field(&mut response, "Content-Length"),
            "query-decorated" if request.is("query") => {
                let list = String::from_utf8_lossy(&response.body).replace('\n', "\u{a0}\n");
                set(&mut response, "Content-Length", &list.len().to_string());
                response.body = list.into_bytes();
            }
            "share-response-named" if request.field("File-Name").is_some() && !is_error => {
                response.add("File-Name", request.field("File-Name").unwrap_or_default());
            }
            "with-date" => response.add("Date", "today"),
            "lower-case-names" => {
                for (name, _) in &mut response.fields {
                    name.make_ascii_lowercase();
                }
            }
            "reason-empty" if is_error => {
                response.body.clear();
                set(&mut response, "Content-Length", "0");
            }
            "nickname-not-echoed" if request.is("nickname") => {
                response.body.clear();
                set(&mut response, "Content-Length", "0");
            }
            _ => {}
        }
        vec![response]
    }

    /// A response has gone to the client that it is for.
    pub fn after_response(&self, server: &Server, room: &Room, uid: u64, response: &ServerMessage) {
        let is_fetch = response.field("Message-Type") == Some("fetch");
        if self.are("errors-to-all") && is_fetch && response.field("Status") == Some("Error") {
            for other in room.clients.keys().filter(|other| **other != uid) {
                server.write(room, *other, response);
            }
        }
    }
}

fn is_text(request: &Request) -> bool {
    request.field("Content-Type").is_none_or(|value| value == "text")
}

/// Ends the connection of the client that connected before this one.
fn end_another(room: &Room, uid: u64) {
    if let Some(other) = room.clients.get(&(uid - 1)) {
        let _ = other.stream.shutdown(Shutdown::Both);
    }
}

fn close_all(room: &Room) {
    for client in room.clients.values() {
        let _ = client.stream.shutdown(Shutdown::Both);
    }
}

pub fn set(message: &mut ServerMessage, name: &str, value: &str) {
    for (field, old) in &mut message.fields {
        if field == name {
            value.clone_into(old);
        }
    }
}

pub fn drop_field(message: &mut ServerMessage, name: &str) {
    message.fields.retain(|(field, _)| field != name);
}
