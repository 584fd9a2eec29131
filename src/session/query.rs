//! Queries: who is active, and what the draft gives no other way to learn (§2.1.1.2).

use super::Session;
use crate::reason::{Excerpt, Reason};
use crate::room::{list_files, list_names, list_uids};
use crate::wire::Inherited;

impl Session<'_> {
    /// Answers a query.
    pub(super) fn query(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Reason> {
        let room = self.service.delivery.room();
        let own = self.outbox.uid();
        let answer = match body.trim_ascii() {
            b"" => list_uids(&room.uids()),
            b"self" => list_uids(&[own]),
            #[cfg(test)]
            b"panic" => panic!("injected by a test"),
            b"names" => list_names(&room.names()),
            b"files" => {
                let files = self.service.stage.list(own);
                list_files(
                    files
                        .iter()
                        .map(|(id, file)| (*id, file.extension.as_str(), file.len, file.from)),
                )
            }
            other => return Err(Reason::UnknownQuery { body: Excerpt::of(other) }),
        };
        self.respond(inherited, &answer);
        Ok(())
    }
}
