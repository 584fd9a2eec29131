//! Setting the nickname (§2.3.1.3).

use log::debug;

use super::Session;
use crate::reason::Refusal;
use crate::text::{Escaped, Nickname};
use crate::wire::Inherited;

impl Session<'_> {
    /// Sets the nickname; the response tells it as it was set.
    pub(super) fn set_nickname(
        &mut self,
        body: &[u8],
        inherited: Inherited,
    ) -> Result<(), Refusal> {
        let nickname = Nickname::parse(body, self.service.config.charset)
            .map_err(|error| error.before(self.input.buffered()))?;
        let uid = self.outbox.uid();
        self.service.delivery.room().set_nickname(uid, &nickname);
        debug!("client {uid}: is now \"{}\"", Escaped(nickname.as_str()));
        self.respond(inherited, nickname.as_str().as_bytes());
        self.nickname = Some(nickname);
        Ok(())
    }
}
