//! Queries: who is active, and what the draft gives no other way to learn (§2.1.1.2).

use super::{EXTENSIONS, Session};
use crate::reason::Refusal;
use crate::wire::query::{self, FileLine};
use crate::wire::{Inherited, Query};

impl Session<'_> {
    /// Answers a query.
    pub(super) fn query(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Refusal> {
        let room = self.service.delivery.room();
        let own = self.outbox.uid();
        let answer = match Query::parse(body, EXTENSIONS)? {
            Query::Uids => query::encode_uids(room.uids()),
            Query::OwnUid => query::encode_uids([own]),
            Query::Names => query::encode_names(room.names()),
            Query::Files => {
                let files = self.service.stage.list(own);
                query::encode_files(files.iter().map(|(id, file)| FileLine {
                    id: *id,
                    content_type: file.extension.as_str(),
                    len: file.len,
                    from: file.from,
                    name: None,
                }))
            }
            Query::Features | Query::Extended | Query::History { .. } => {
                return Err(Query::unknown(body, EXTENSIONS).into());
            }
        };
        self.respond(inherited, &answer);
        Ok(())
    }
}
