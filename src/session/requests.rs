//! What a client asks for, carried out, each in one function; and the responses.

use std::fmt::Display;

use log::debug;

use super::{EXTENSIONS, Ending, Session};
use crate::ids::Uid;
use crate::reason::{Refusal, RoomError, StageError};
use crate::stage::Arrival;
use crate::text::{Escaped, Extension, Nickname, check_text};
use crate::wire::client_message::parse_file_id;
use crate::wire::query::{self, FileLine};
use crate::wire::server_message::encode_refusal;
use crate::wire::{
    BodyKind, Content, Inherited, MessageError, MessageType, Query, Response, Status,
};

/// The largest body of a query, a fetch or a nickname message, in bytes.
const SHORT_BODY_LIMIT: u64 = 1024;

/// The buffer for a file's bytes on their way to disk, while a file is arriving.
const FILE_BUFFER_BYTES: usize = 128 * 1024;

/// Up to here a staged file is sent like a text: a writer thread woken for it would cost more than
/// to read it into memory.
const SMALL_FILE_BYTES: u64 = 32 * 1024;

/// What a session keeps of its body buffer from message to message.
const KEPT_BODY_BYTES: usize = 4 * 1024;

impl<'a> Session<'a> {
    /// Relays a text (§2.3.2).
    pub(super) fn relay_text(
        &mut self,
        to: Option<Uid>,
        inherited: Inherited,
        body_len: u64,
    ) -> Result<(), Ending> {
        let limit = self.shared.config.max_text;
        if body_len > limit {
            return self.refuse_at_once(inherited, body_len, limit, BodyKind::Text);
        }
        self.read_body(body_len, inherited)?;
        let relayed = check_text(&self.body, self.shared.config.charset)
            .map_err(|error| Refusal::from(error.before(self.input.buffered())))
            .and_then(|()| Ok(self.relay(to, Content::Text(&self.body), inherited)?));
        match relayed {
            Ok(unflushed) => self.added(to, unflushed),
            Err(reason) => self.refuse(inherited, &reason),
        }
        self.body.clear();
        self.body.shrink_to(KEPT_BODY_BYTES);
        Ok(())
    }

    fn relay(
        &self,
        to: Option<Uid>,
        content: Content<'_>,
        inherited: Inherited,
    ) -> Result<usize, RoomError> {
        let room = self.shared.delivery.room();
        room.chat(self.outbox, self.nickname.as_ref(), to, content, inherited)
    }

    /// Stages a file as it arrives, and relays its header (§2.3.3.1).
    pub(super) fn share(
        &mut self,
        to: Option<Uid>,
        extension: &Extension,
        inherited: Inherited,
        body_len: u64,
    ) -> Result<(), Ending> {
        let limit = self.shared.config.max_file;
        if body_len > limit {
            return self.refuse_at_once(inherited, body_len, limit, BodyKind::File);
        }
        let limit = self.shared.stage.limit();
        if body_len > limit {
            self.refuse(inherited, &StageError::LargerThanStage { declared: body_len, limit });
            return self.skip_refused_body(body_len);
        }
        let arrived = self.arrive(to, inherited, body_len)?;
        let shared = arrived
            .map_err(Refusal::from)
            .and_then(|arrival| self.stage(arrival, to, extension, inherited));
        match shared {
            Ok(unflushed) => self.added(to, unflushed),
            Err(reason) => self.refuse(inherited, &reason),
        }
        Ok(())
    }

    /// Reads a file's bytes to the stage; to their end, even if the stage does not take them.
    fn arrive(
        &mut self,
        to: Option<Uid>,
        inherited: Inherited,
        body_len: u64,
    ) -> Result<Result<Arrival<'a>, StageError>, Ending> {
        let mut arrival = self.shared.stage.begin(to);
        let mut buffer = Vec::new();
        let mut missing = body_len;
        while missing > 0 {
            let want = usize::try_from(missing).unwrap_or(usize::MAX).min(FILE_BUFFER_BYTES);
            buffer.resize(want, 0);
            let count = self.read_some(&mut buffer, missing, body_len, inherited)?;
            missing -= count as u64;
            if let Ok(file) = &mut arrival
                && let Err(reason) = file.write(&buffer[..count])
            {
                arrival = Err(reason);
            }
        }
        Ok(arrival)
    }

    /// Gives a file that is whole its File-ID, and relays its header.
    fn stage(
        &self,
        arrival: Arrival<'_>,
        to: Option<Uid>,
        extension: &Extension,
        inherited: Inherited,
    ) -> Result<usize, Refusal> {
        if let Some(to) = to {
            // Before it takes up a File-ID and the room of others.
            self.shared.delivery.room().check_receiver(to)?;
        }
        let len = arrival.bytes();
        let id = arrival.commit(extension.clone(), self.outbox.uid())?;
        let relayed = self.relay(to, Content::File { id, extension, len }, inherited);
        if relayed.is_err() {
            self.shared.stage.remove(id);
        }
        Ok(relayed?)
    }

    /// Reads the body of a request that has a short one, and answers it.
    pub(super) fn short(
        &mut self,
        message_type: MessageType,
        inherited: Inherited,
        body_len: u64,
        answer: fn(&mut Self, &[u8], Inherited) -> Result<(), Refusal>,
    ) -> Result<(), Ending> {
        if body_len > SHORT_BODY_LIMIT {
            let kind = BodyKind::Short(message_type);
            return self.refuse_at_once(inherited, body_len, SHORT_BODY_LIMIT, kind);
        }
        self.read_body(body_len, inherited)?;
        let body = std::mem::take(&mut self.body);
        if let Err(reason) = answer(self, &body, inherited) {
            self.refuse(inherited, &reason);
        }
        self.body = body;
        Ok(())
    }

    /// Answers a query: who is active, and what the draft gives no other way to learn (§2.1.1.2).
    pub(super) fn query(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Refusal> {
        let room = self.shared.delivery.room();
        let own = self.outbox.uid();
        let answer = match Query::parse(body, EXTENSIONS)? {
            Query::Uids => query::encode_uids(room.uids()),
            Query::OwnUid => query::encode_uids([own]),
            Query::Names => query::encode_names(room.names()),
            Query::Files => {
                let files = self.shared.stage.list(own);
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

    /// Sends a staged file (§2.3.3.2).
    pub(super) fn fetch(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Refusal> {
        let id = parse_file_id(body)?;
        let (staged, file) = self.shared.stage.fetch(id, self.outbox.uid())?;
        let content_type = staged.extension.as_str();
        let response = Response { content_type, ..Response::text(Status::Ok, inherited) };
        let encode = |out: &mut Vec<u8>| response.encode_header(staged.len, out);
        let room = self.shared.delivery.room();
        // Only where nothing waits: what is sent like a text counts as queue like one, and a reader
        // of many small files must not be too slow for it.
        if staged.len <= SMALL_FILE_BYTES && self.outbox.waiting() == 0 {
            let mut bytes = vec![0; usize::try_from(staged.len).unwrap_or(0)];
            self.shared.stage.read(id, &file, &mut bytes)?;
            self.respond_with(&response, &bytes);
            return Ok(());
        }
        if self.outbox.has_file_under_way() {
            self.input.unflushed = false;
            self.shared.delivery.flush_all();
        }
        self.outbox.begin_file();
        let unflushed = room.respond_with_file(self.outbox, encode, file, staged.len);
        self.flush_soon(unflushed);
        Ok(())
    }

    /// Sets the nickname (§2.3.1.3).
    pub(super) fn set_nickname(
        &mut self,
        body: &[u8],
        inherited: Inherited,
    ) -> Result<(), Refusal> {
        let nickname = Nickname::parse(body, self.shared.config.charset)
            .map_err(|error| error.before(self.input.buffered()))?;
        let uid = self.outbox.uid();
        self.shared.delivery.room().set_nickname(uid, &nickname);
        debug!("client {uid}: is now \"{}\"", Escaped(nickname.as_str()));
        self.respond(inherited, nickname.as_str().as_bytes());
        self.nickname = Some(nickname);
        Ok(())
    }

    fn refuse_at_once(
        &mut self,
        inherited: Inherited,
        declared: u64,
        limit: u64,
        kind: BodyKind,
    ) -> Result<(), Ending> {
        self.refuse(inherited, &MessageError::BodyTooLong { declared, limit, kind });
        self.skip_refused_body(declared)
    }

    pub(super) fn refuse(&mut self, inherited: Inherited, reason: &impl Display) {
        // Not the reason: it may quote a body, and bodies are never logged.
        let name = inherited.message_type.map_or("unknown", MessageType::name);
        debug!("client {}: {name} {} is refused", self.outbox.uid(), inherited.id);
        let room = self.shared.delivery.room();
        let unflushed = room.respond(self.outbox, |out| encode_refusal(inherited, reason, out));
        self.flush_soon(unflushed);
    }

    fn respond(&mut self, inherited: Inherited, body: &[u8]) {
        self.respond_with(&Response::text(Status::Ok, inherited), body);
    }

    fn respond_with(&mut self, response: &Response<'_>, body: &[u8]) {
        let room = self.shared.delivery.room();
        let unflushed = room.respond(self.outbox, |out| response.encode(body, out));
        self.flush_soon(unflushed);
    }

    fn added(&mut self, to: Option<Uid>, unflushed: usize) {
        match to {
            Some(uid) if !self.added.private.contains(&uid) => self.added.private.push(uid),
            Some(_) => {}
            None => {
                self.added.public = true;
                self.input.said_to_all = true;
            }
        }
        self.flush_soon(unflushed);
    }

    /// Leaves what was added to the next flush: before this session waits, or at once where that
    /// much has come together.
    fn flush_soon(&mut self, unflushed: usize) {
        let full = unflushed >= self.shared.delivery.batch_limit();
        self.input.unflushed = !full;
        if full {
            self.shared.delivery.flush_all();
        }
    }
}
