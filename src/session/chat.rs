//! A text, from its header to the room (§2.3.2); and when a chat may be added.

use super::{Ending, Session};
use crate::delivery::backpressure::ChatCost;
use crate::ids::Uid;
use crate::reason::{Cause, Fatal, Refusal};
use crate::room::{Added, ChatToAdd};
use crate::text::{FileName, check_text};
use crate::wire::{BodyKind, Content, Inherited};

/// What a session keeps of its body buffer from message to message.
const KEPT_BODY_BYTES: usize = 4 * 1024;

/// About how long the header of a relay is in the form of the draft, without what it may have beside,
/// in bytes.
const RELAY_HEADER_BYTES: usize = 72;

/// The line with a nickname, without the nickname itself.
const NICKNAME_LINE_BYTES: usize = 18;

/// What a private relay takes beside: its line `To`, and its own place in the queue.
const PRIVATE_BYTES: usize = 112;

impl Session<'_> {
    /// Relays a text (§2.3.2).
    pub(super) fn relay_text(
        &mut self,
        to: Option<Uid>,
        inherited: Inherited,
        body_len: u64,
    ) -> Result<(), Ending> {
        let limit = self.service.config.max_text;
        if body_len > limit {
            return self.refuse_at_once(inherited, body_len, limit, BodyKind::Text);
        }
        let mut cost = self.cost(to, body_len);
        self.wait_to_add(&mut cost, inherited)?;
        self.read_body(body_len, inherited)?;
        let body = std::mem::take(&mut self.body);
        let relayed = match check_text(&body, self.service.config.charset) {
            Ok(()) => self.relay(&mut cost, Content::Text(&body), None, inherited)?,
            Err(error) => Err(error.before(self.input.buffered()).into()),
        };
        self.body = body;
        self.body.clear();
        self.body.shrink_to(KEPT_BODY_BYTES);
        if let Err(reason) = relayed {
            self.refuse(inherited, &reason);
        }
        Ok(())
    }

    /// What a chat with so long a text counts where queues are over the limit.
    pub(super) fn cost(&self, to: Option<Uid>, body_len: u64) -> ChatCost {
        let nickname = self.nickname.as_ref().map(|nickname| nickname.as_str().len());
        let nickname = nickname.map_or(0, |len| NICKNAME_LINE_BYTES + len);
        let private = to.map_or(0, |_| PRIVATE_BYTES);
        // What does not fit is more than any queue may hold.
        let body_len = usize::try_from(body_len).unwrap_or(usize::MAX / 2);
        ChatCost::new(self.outbox.uid(), to, RELAY_HEADER_BYTES + nickname + private + body_len)
    }

    /// Waits until a chat may be added to the queues that it is for: so a sender that floods slows
    /// down to its readers' pace, and nobody else does.
    pub(super) fn wait_to_add(
        &mut self,
        cost: &mut ChatCost,
        inherited: Inherited,
    ) -> Result<(), Ending> {
        if self.service.delivery.backpressure().admit(cost) {
            return Ok(());
        }
        // Nothing may be held back while waiting.
        self.flush_now();
        let is_gone = || self.outbox.is_ended() || self.service.is_stop_overdue();
        self.service.delivery.backpressure().wait_to_add(cost, is_gone);
        if self.outbox.is_removed() {
            return Err(Ending::Removed);
        }
        if self.outbox.is_disconnected() {
            return Err(Ending::Lost(Cause::ServerFailed));
        }
        if self.service.is_stop_overdue() {
            let (reason, cause) = (Fatal::Stopping, Cause::ServerStopped);
            return Err(Ending::Fatal { reason, inherited, cause });
        }
        Ok(())
    }

    /// Adds a chat for its receivers, and the response behind it.
    pub(super) fn relay(
        &mut self,
        cost: &mut ChatCost,
        content: Content<'_>,
        file_name: Option<&FileName>,
        inherited: Inherited,
    ) -> Result<Result<(), Refusal>, Ending> {
        let chat = ChatToAdd { to: cost.to, content, file_name, inherited };
        loop {
            let delivery = &self.service.delivery;
            let bytes = cost.bytes;
            let mut is_held = false;
            let may_add = |unflushed| {
                is_held = !delivery.backpressure().admit(cost);
                !is_held && delivery.has_room_for(unflushed, bytes)
            };
            let nickname = self.nickname.as_ref();
            match delivery.room().chat(self.outbox, nickname, chat, may_add) {
                Ok(Added::Unflushed(unflushed)) => {
                    self.input.said_to_all |= chat.to.is_none();
                    self.flush_soon(unflushed);
                    return Ok(Ok(()));
                }
                Ok(Added::NotNow) if is_held => self.wait_to_add(cost, inherited)?,
                Ok(Added::NotNow) => self.flush_now(),
                Ok(Added::Never) => return Err(Ending::Removed),
                Err(reason) => return Ok(Err(reason.into())),
            }
        }
    }
}
