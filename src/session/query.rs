//! Queries: who is active, and what the draft gives no other way to learn (§2.1.1.2).
//!
//! An answer may be long, and many may ask at the same time. A long one is made in its turn, and is in
//! the asker's queue before the next one is made: there it is counted (P5).

use std::sync::Arc;

use super::{EXTENSIONS, Session};
use crate::delivery::outbox::Outbox;
use crate::reason::Refusal;
use crate::room::Kept;
use crate::service::Service;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::text::FileName;
use crate::wire::query::{self, EXTENDED_ANSWER, Features, FileLine};
use crate::wire::{Inherited, Query, Response, Status};

/// An answer that may be longer than this, in bytes, is made in its turn.
const SHORT_ANSWER_BYTES: usize = 64 * 1024;

/// About how long the lines of answers are, in bytes: numbers are seldom long.
const UID_BYTES: usize = 8;
const NAME_BYTES: usize = UID_BYTES + 64;
const FILE_BYTES: usize = 64;
const NAMED_FILE_BYTES: usize = FILE_BYTES + 200;

impl Session<'_> {
    /// Answers a query.
    pub(super) fn query(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Refusal> {
        let room = self.service.delivery.room();
        let own = self.outbox.uid();
        match Query::parse(body, EXTENSIONS)? {
            Query::Features => self.respond(inherited, &self.features().encode()),
            Query::History { count, after } => {
                let after = after.unwrap_or(0);
                let bytes = room.history_len(own, count, after)?;
                self.answer(inherited, bytes, move |service, asker| {
                    history(service, asker, count, after)
                });
            }
            Query::Extended => {
                let response = Response::text(Status::Ok, inherited);
                let respond = |out: &mut Vec<u8>| response.encode(EXTENDED_ANSWER, out);
                let outbox = self.outbox;
                self.add(|room, may_add| room.extend(outbox, respond, may_add));
            }
            Query::Uids => {
                let bytes = room.len() * UID_BYTES;
                self.answer(inherited, bytes, |service, _| {
                    query::encode_uids(service.delivery.room().uids())
                });
            }
            Query::OwnUid => self.respond(inherited, &query::encode_uids([own])),
            Query::Names => {
                let bytes = room.len() * NAME_BYTES;
                self.answer(inherited, bytes, |service, _| {
                    query::encode_names(service.delivery.room().names())
                });
            }
            Query::Files => {
                let line = if self.outbox.is_extended() { NAMED_FILE_BYTES } else { FILE_BYTES };
                let bytes = self.service.stage.staged().0 * line;
                self.answer(inherited, bytes, files);
            }
        }
        Ok(())
    }

    /// Answers with what `build` returns, which has about so many `bytes`; a long answer in its turn,
    /// and once the asker's queue is no longer over the limit.
    fn answer(
        &mut self,
        inherited: Inherited,
        bytes: usize,
        build: impl Fn(&Service, &Outbox) -> Vec<u8> + Copy + Send + 'static,
    ) {
        if bytes <= SHORT_ANSWER_BYTES {
            return self.respond(inherited, &build(self.service, self.outbox));
        }
        self.flush_before_waiting();
        let is_made = Arc::new(AtomicBool::new(false));
        while !is_made.load(Ordering::Relaxed) {
            self.wait_for_own_queue();
            if self.outbox.is_ended() || self.service.is_stop_overdue() {
                return;
            }
            let (outbox, made) = (Arc::clone(self.outbox), Arc::clone(&is_made));
            self.service.make_long_answer(move |service| {
                // It may have become so while others were answered.
                if outbox.over().is_some() {
                    return;
                }
                let mut answer = build(service, &outbox);
                let response = Response::text(Status::Ok, inherited);
                let encode = |out: &mut Vec<u8>| response.encode(&answer, out);
                service.delivery.add(|room, may_add| room.respond(&outbox, None, encode, may_add));
                service.delivery.flush_blocking();
                give_back(&mut answer);
                made.store(true, Ordering::Relaxed);
            });
        }
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

/// What was said before a client became active.
fn history(service: &Service, asker: &Outbox, count: u64, after: u64) -> Vec<u8> {
    // What is wrong with the query was told before; one that has left meanwhile can read no answer.
    let mut kept = service.delivery.room().history(asker.uid(), count, after).unwrap_or_default();
    let mut relays = Vec::with_capacity(kept.iter().map(Kept::len).sum());
    kept.iter().for_each(|message| message.encode(&mut relays));
    give_back(&mut kept);
    relays
}

/// The files that a client may fetch.
fn files(service: &Service, asker: &Outbox) -> Vec<u8> {
    let mut files = service.stage.list(asker.uid());
    let is_extended = asker.is_extended();
    let answer = query::encode_files(files.iter().map(|(id, file)| FileLine {
        id: *id,
        content_type: file.extension.as_str(),
        len: file.len,
        from: file.from,
        name: file.name.as_ref().filter(|_| is_extended).map(FileName::as_str),
    }));
    give_back(&mut files);
    answer
}

/// Gives memory back to the system before it is freed. An allocator that is given much at a time
/// takes that for a habit, and keeps as much for each of its arenas from then on.
fn give_back<T>(used: &mut Vec<T>) {
    used.clear();
    used.shrink_to(SHORT_ANSWER_BYTES / size_of::<T>());
}
