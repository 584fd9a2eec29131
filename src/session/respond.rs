//! Responses, and when what was added is flushed.

use std::fmt::Display;
use std::sync::Arc;

use log::debug;

use super::{Ending, Session};
use crate::reason::Refusal;
use crate::room::{Added, Room};
use crate::stage::Fetch;
use crate::wire::server_message::encode_refusal;
use crate::wire::{BodyKind, Inherited, MessageError, MessageType, Response, Status};

/// The largest body of a query, a fetch or a nickname message, in bytes.
const SHORT_BODY_LIMIT: u64 = 1024;

impl Session<'_> {
    /// Reads the body of a request that has a short one, and answers it.
    pub(super) fn short(
        &mut self,
        message_type: MessageType,
        inherited: Inherited,
        body_len: u64,
        answer: impl FnOnce(&mut Self, &[u8], Inherited) -> Result<Result<(), Refusal>, Ending>,
    ) -> Result<(), Ending> {
        if body_len > SHORT_BODY_LIMIT {
            let kind = BodyKind::Short(message_type);
            return self.refuse_at_once(inherited, body_len, SHORT_BODY_LIMIT, kind);
        }
        self.read_body(body_len, inherited)?;
        let body = std::mem::take(&mut self.body);
        if let Err(reason) = answer(self, &body, inherited)? {
            self.refuse(inherited, &reason);
        }
        self.body = body;
        Ok(())
    }

    /// Refuses a message before its body has come, and drops the body.
    pub(super) fn refuse_at_once(
        &mut self,
        inherited: Inherited,
        declared: u64,
        limit: u64,
        kind: BodyKind,
    ) -> Result<(), Ending> {
        self.refuse(inherited, &MessageError::BodyTooLong { declared, limit, kind });
        self.skip_refused_body(declared)
    }

    /// Refuses a message.
    pub(super) fn refuse(&mut self, inherited: Inherited, reason: &impl Display) {
        // Not the reason: it may quote a body, and bodies are never logged.
        let name = inherited.message_type.map_or("unknown", MessageType::name);
        debug!("client {}: {name} {} is refused", self.outbox.uid(), inherited.id);
        self.service.delivery.membership().stats.count_refusals(1);
        self.add_response(None, |out| encode_refusal(inherited, reason, out));
    }

    pub(super) fn respond(&mut self, inherited: Inherited, body: &[u8]) {
        self.respond_with(&Response::text(Status::Ok, inherited), body);
    }

    pub(super) fn respond_with(&mut self, response: &Response<'_>, body: &[u8]) {
        self.add_response(None, |out| response.encode(body, out));
    }

    /// Adds a response, and behind it the bytes of a staged file, if there is one.
    pub(super) fn add_response(
        &mut self,
        file: Option<(&Arc<Fetch>, u64)>,
        encode: impl Fn(&mut Vec<u8>),
    ) {
        let outbox = self.outbox;
        self.add(|room, may_add| room.respond(outbox, file, &encode, may_add));
    }

    /// Adds what `add` does, as [`Delivery::add`](crate::delivery::Delivery::add) takes it.
    pub(super) fn add(&mut self, add: impl Fn(&Room, &dyn Fn(usize) -> bool) -> Added) {
        if let Some(unflushed) = self.service.delivery.add(add) {
            self.flush_soon(unflushed);
        }
    }

    /// Leaves what was added to the next flush: before this session waits, or at once where that
    /// much has come together.
    pub(super) fn flush_soon(&mut self, unflushed: usize) {
        self.input.connected().unflushed = true;
        if unflushed >= self.service.delivery.batch_limit() {
            self.flush_now();
        }
    }

    /// Flushes what this session has added: nothing may be held back while it waits.
    pub(super) fn flush_before_waiting(&mut self) {
        if self.input.connected().unflushed {
            self.flush_now();
        }
    }

    /// Flushes all that was added.
    pub(super) fn flush_now(&mut self) {
        self.input.connected().unflushed = false;
        self.service.delivery.flush_blocking();
    }
}
