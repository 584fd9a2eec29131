//! Faults in what goes out: relays, files and responses.

use std::sync::PoisonError;

use super::super::draft::{File, Request, Room, Server, ServerMessage};
use super::{Faults, drop_field, set};

impl Faults {
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
