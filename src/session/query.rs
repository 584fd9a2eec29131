//! Queries: who is active, and what the draft gives no other way to learn (§2.1.1.2).

use super::{EXTENSIONS, Session};
use crate::reason::Refusal;
use crate::text::FileName;
use crate::wire::query::{self, EXTENDED_ANSWER, Features, FileLine};
use crate::wire::{Inherited, Query, Response, Status};

impl Session<'_> {
    /// Answers a query.
    pub(super) fn query(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Refusal> {
        let room = self.service.delivery.room();
        let own = self.outbox.uid();
        let answer = match Query::parse(body, EXTENSIONS)? {
            Query::Features => self.features().encode(),
            Query::History { count, after } => {
                let mut relays = Vec::new();
                for kept in room.history(own, count, after.unwrap_or(0))? {
                    kept.encode(&mut relays);
                }
                relays
            }
            Query::Extended => {
                let response = Response::text(Status::Ok, inherited);
                let respond = |out: &mut Vec<u8>| response.encode(EXTENDED_ANSWER, out);
                let outbox = self.outbox;
                self.add(|room, may_add| room.extend(outbox, respond, may_add));
                return Ok(());
            }
            Query::Uids => query::encode_uids(room.uids()),
            Query::OwnUid => query::encode_uids([own]),
            Query::Names => query::encode_names(room.names()),
            Query::Files => {
                let files = self.service.stage.list(own);
                let is_extended = self.outbox.is_extended();
                query::encode_files(files.iter().map(|(id, file)| FileLine {
                    id: *id,
                    content_type: file.extension.as_str(),
                    len: file.len,
                    from: file.from,
                    name: file.name.as_ref().filter(|_| is_extended).map(FileName::as_str),
                }))
            }
        };
        self.respond(inherited, &answer);
        Ok(())
    }

    /// What this server offers, and its limits (E1).
    fn features(&self) -> Features {
        let config = &self.service.config;
        Features {
            own_uid: true,
            names: true,
            files: true,
            extended: true,
            history: Some(config.history as u64).filter(|&count| count > 0),
            file_name: true,
            max_text: Some(config.max_text),
            max_file: Some(config.max_file.min(self.service.stage.limit())),
            started: Some(self.service.started),
        }
    }
}
