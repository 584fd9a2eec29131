//! Shared files: from the connection to the stage, and back (§2.3.3).

use std::sync::Arc;

use super::{Ending, Session};
use crate::ids::{FileId, Uid};
use crate::reason::{Cause, Refusal, StageError};
use crate::stage::{Arrival, Fetch};
use crate::text::{Extension, FileName};
use crate::wire::client_message::parse_file_id;
use crate::wire::{BodyKind, Content, Inherited, Response, Status};

/// The buffer for a file's bytes on their way to disk, while a file is arriving.
const FILE_BUFFER_BYTES: usize = 128 * 1024;

/// Up to here a staged file is sent like a text: a writer thread woken for it would cost more than
/// to read it into memory.
const SMALL_FILE_BYTES: u64 = 32 * 1024;

impl<'a> Session<'a> {
    /// Stages a file as it arrives, and relays its header (§2.3.3.1).
    pub(super) fn share(
        &mut self,
        to: Option<Uid>,
        extension: &Extension,
        file_name: Option<&FileName>,
        inherited: Inherited,
        body_len: u64,
    ) -> Result<(), Ending> {
        let limit = self.service.config.max_file;
        if body_len > limit {
            return self.refuse_at_once(inherited, body_len, limit, BodyKind::File);
        }
        let limit = self.service.stage.limit();
        if body_len > limit {
            self.refuse(inherited, &StageError::LargerThanStage { declared: body_len, limit });
            return self.skip_refused_body(body_len);
        }
        if let Err(reason) = self.service.delivery.room().check_may_say(self.outbox, to) {
            // Not behind the file: it may be long.
            self.refuse(inherited, &reason);
            return self.skip_refused_body(body_len);
        }
        let name_len = file_name.map_or(0, |name| name.as_str().len());
        let mut cost = self.cost(to, name_len as u64);
        self.wait_to_add(&mut cost, inherited)?;
        let arrived = self.arrive(to, inherited, body_len)?;
        let staged = arrived
            .map_err(Refusal::from)
            .and_then(|arrival| self.stage(arrival, to, extension, file_name));
        let shared = match staged {
            Ok((id, len)) => {
                let content = Content::File { id, extension, len };
                let relayed = self.relay(&mut cost, content, file_name, inherited);
                if !matches!(relayed, Ok(Ok(()))) {
                    // Nobody was told of it.
                    self.service.stage.remove(id);
                }
                relayed?
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = shared {
            self.refuse(inherited, &reason);
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
        // The disk may take its time, and the stage may have no room for a while.
        self.flush_before_waiting();
        let mut arrival = self.service.stage.begin(to);
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

    /// Gives a file that is whole its File-ID; returns that and its length in bytes.
    fn stage(
        &self,
        arrival: Arrival<'_>,
        to: Option<Uid>,
        extension: &Extension,
        file_name: Option<&FileName>,
    ) -> Result<(FileId, u64), Refusal> {
        // Before it takes up a File-ID and the room of others.
        let room = self.service.delivery.room();
        room.check_may_say(self.outbox, to)?;
        to.map_or(Ok(()), |to| room.check_receiver(to))?;
        let len = arrival.bytes();
        let id = arrival.commit(extension.clone(), file_name.cloned(), self.outbox.uid())?;
        Ok((id, len))
    }

    /// Sends a staged file (§2.3.3.2).
    pub(super) fn fetch(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Refusal> {
        let id = parse_file_id(body)?;
        self.service.stage.find(id, self.outbox.uid())?;
        // Only its turn opens a file: what waits for another one takes up no room on disk.
        if self.outbox.has_file_under_way() {
            self.flush_now();
        }
        self.outbox.begin_file();
        let (stage, asker, end) = (&self.service.stage, self.outbox.uid(), self.disconnect_later());
        let fetched = stage.fetch(id, asker, end, || self.flush_before_waiting());
        let is_streamed = fetched.as_ref().is_ok_and(|(staged, _)| self.is_streamed(staged.len));
        if !is_streamed {
            self.outbox.end_file();
        }
        let (staged, file) = fetched?;
        let content_type = staged.extension.as_str();
        let file_name = staged.name.as_ref().filter(|_| self.outbox.is_extended());
        let response =
            Response { file_name, content_type, ..Response::text(Status::Ok, inherited) };
        if !is_streamed {
            let mut bytes = vec![0; usize::try_from(staged.len).unwrap_or(0)];
            self.service.stage.read(id, &file, &mut bytes)?;
            self.respond_with(&response, &bytes);
            return Ok(());
        }
        let file: (&Arc<Fetch>, u64) = (&file, staged.len);
        self.add_response(Some(file), |out| response.encode_header(staged.len, out));
        Ok(())
    }

    /// Whether a staged file is sent by the writer thread, and not like a text: that is only where
    /// nothing waits, since a text counts as queue, and a reader of many small files must not be too
    /// slow for it.
    fn is_streamed(&self, len: u64) -> bool {
        len > SMALL_FILE_BYTES || self.outbox.waiting() > 0
    }

    /// What disconnects this client where the stage needs the room of what it fetches.
    fn disconnect_later(&self) -> impl Fn() + Send + Sync + use<> {
        let outbox = Arc::downgrade(self.outbox);
        let delivery = Arc::downgrade(&self.service.delivery);
        move || {
            if let (Some(outbox), Some(delivery)) = (outbox.upgrade(), delivery.upgrade()) {
                delivery.membership().disconnect(&outbox, Cause::ReadTooSlowly);
            }
        }
    }
}
