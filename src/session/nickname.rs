//! Setting the nickname (§2.3.1.3).

use log::debug;

use super::{Ending, Session};
use crate::reason::Refusal;
use crate::room::Added;
use crate::text::{Escaped, Nickname};
use crate::wire::{Inherited, Response, Status};

impl Session<'_> {
    /// Sets the nickname; the response tells it as it was set.
    pub(super) fn set_nickname(
        &mut self,
        body: &[u8],
        inherited: Inherited,
    ) -> Result<Result<(), Refusal>, Ending> {
        let nickname = match Nickname::parse(body, self.service.config.charset) {
            Ok(nickname) => nickname,
            Err(error) => return Ok(Err(error.before(self.input.buffered()).into())),
        };
        self.add_nickname(&nickname, inherited)?;
        let uid = self.outbox.uid();
        debug!("client {uid}: is now \"{}\"", Escaped(nickname.as_str()));
        self.nickname = Some(nickname);
        Ok(Ok(()))
    }

    /// Sets it in the room. What is news for others counts like a text: so one that changes its
    /// nickname all the time slows down to its readers' pace.
    fn add_nickname(&mut self, nickname: &Nickname, inherited: Inherited) -> Result<(), Ending> {
        let answer = nickname.as_str().as_bytes();
        let response = Response::text(Status::Ok, inherited);
        let mut cost = self.cost(None, answer.len() as u64);
        loop {
            let delivery = &self.service.delivery;
            let bytes = cost.bytes;
            let mut is_held = false;
            let may_add = |unflushed, is_news| {
                is_held = is_news && !delivery.backpressure().admit(&mut cost);
                !is_held && delivery.has_room_for(unflushed, bytes)
            };
            let respond = |out: &mut Vec<u8>| response.encode(answer, out);
            match delivery.room().set_nickname(self.outbox, nickname, respond, may_add) {
                Added::Unflushed(unflushed) => {
                    self.flush_soon(unflushed);
                    return Ok(());
                }
                Added::NotNow if is_held => self.wait_to_add(&mut cost, inherited)?,
                Added::NotNow => self.flush_now(),
                Added::Never => return Err(Ending::Removed),
            }
        }
    }
}
