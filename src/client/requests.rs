//! What a client can ask for, each in one function.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::{Client, Failure, Incoming, Lost, Outcome, Outgoing, Relay};
use crate::ids::{FileId, MessageId, Uid};
use crate::text::{Extension, FileName};
use crate::wire::query::Features;
use crate::wire::{Chat, ContentType, Query, Request, query};

/// A file that is refused while more than this is still to be sent is not sent to its end: the
/// connection is given up, since a message cannot end otherwise.
const ABANDON_BYTES: u64 = 1 << 20;

/// How long a file of more than [`ABANDON_BYTES`] waits behind its header for a server to refuse it.
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);

/// How much of a file is read and sent at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many messages of the history are held at a time; above what a mebibyte of them can be.
const HISTORY_LIMIT: usize = 20_000;

/// What is told of a file that is shared.
#[derive(Clone, Copy, Debug)]
pub struct SharedFile<'a> {
    /// What kind of file it is.
    pub extension: &'a Extension,
    /// Its name; only for a server that lists `file-name` (E4).
    pub name: Option<&'a FileName>,
    /// Its length in bytes.
    pub len: u64,
}

impl Client {
    /// Sends a text to all or to one, and waits for the response (§2.3.2).
    ///
    /// # Errors
    /// See [`Failure`]. An [`Answer`](super::Answer) with a body tells of receivers that it did not reach.
    pub fn send_text(&self, to: Option<Uid>, text: &[u8]) -> Outcome {
        wait(|on_answer| self.send_text_then(to, text, on_answer))
    }

    /// Sends a text to all or to one; `on_answer` is called once the response has come, or the
    /// connection is lost, and must not wait.
    pub fn send_text_then(
        &self,
        to: Option<Uid>,
        text: &[u8],
        on_answer: impl FnOnce(Outcome) + Send + 'static,
    ) {
        let chat = Request::Chat(Chat { to, content_type: ContentType::Text, file_name: None });
        self.request(chat, text, Box::new(on_answer));
    }

    /// Sets this client's nickname, and returns it as it was set (§2.3.1.3).
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn set_nickname(&self, nickname: &str) -> Result<String, Failure> {
        wait(|on_answer| self.set_nickname_then(nickname, on_answer)).map(|answer| answer.text())
    }

    /// Sets this client's nickname; `on_answer` is called once the response has come, or the
    /// connection is lost, and must not wait.
    pub fn set_nickname_then(
        &self,
        nickname: &str,
        on_answer: impl FnOnce(Outcome) + Send + 'static,
    ) {
        self.request(Request::Nickname, nickname.as_bytes(), Box::new(on_answer));
    }

    /// Asks the server; an empty `what` is the draft's own query (§2.1.1.2).
    ///
    /// # Errors
    /// See [`Failure`]. Servers of the draft know the empty query alone, and may answer any other
    /// like it.
    pub fn query(&self, what: &str) -> Result<String, Failure> {
        wait(|on_answer| self.query_then(what, on_answer)).map(|answer| answer.text())
    }

    /// Asks the server; `on_answer` is called once the response has come, or the connection is
    /// lost, and must not wait.
    pub fn query_then(&self, what: &str, on_answer: impl FnOnce(Outcome) + Send + 'static) {
        self.request(Request::Query, what.as_bytes(), Box::new(on_answer));
    }

    /// Asks the server, and waits for the answer for `limit` at the most, the time included in which
    /// something else is being sent.
    ///
    /// # Errors
    /// [`Failure::Busy`] where there is no answer in time; otherwise see [`Failure`].
    pub fn query_within(&self, what: &str, limit: Duration) -> Result<String, Failure> {
        let deadline = Instant::now() + limit;
        let (on_answer, answered) = answer_channel();
        self.request_by(Some(deadline), Request::Query, what.as_bytes(), Box::new(on_answer));
        let answer = answered.recv_deadline(deadline).unwrap_or(Err(Failure::Busy));
        answer.map(|answer| answer.text())
    }

    /// What the server knows beyond the draft; nothing, where it does not tell.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub fn features(&self) -> Result<Features, Failure> {
        match self.query("features") {
            Ok(body) => Ok(Features::parse(&body)),
            Err(Failure::Refused(_)) => Ok(Features::default()),
            Err(failure) => Err(failure),
        }
    }

    /// This client's own UID; `None` where the server does not tell.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub fn own_uid(&self) -> Result<Option<Uid>, Failure> {
        match self.query("self") {
            Ok(body) => Ok(query::parse_own_uid(&body)),
            Err(Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The active clients with their nicknames, as the server lists them; one of the draft alone
    /// lists UIDs.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn names(&self) -> Result<Vec<(Uid, Option<String>)>, Failure> {
        let named = match self.query("names") {
            Ok(body) => query::parse_names(&body),
            Err(Failure::Refused(_)) => None,
            Err(failure) => return Err(failure),
        };
        let listed =
            named.map_or_else(|| Ok(query::parse_names(&self.query("")?)), |list| Ok(Some(list)));
        listed?.ok_or(Failure::NoAnswer("the server's list of clients is not one"))
    }

    /// The staged files, a line each: File-ID, Content-Type, Content-Length, From.
    ///
    /// # Errors
    /// See [`Failure`]; a server of the draft has no such list.
    pub fn files(&self) -> Result<Vec<String>, Failure> {
        let body = self.query("files")?;
        if query::parse_files(&body).is_none() {
            return Err(Failure::NoAnswer("the server does not list files"));
        }
        Ok(body.lines().map(str::to_string).collect())
    }

    /// Asks for the last `count` public messages that were said before this client connected, at most
    /// 20,000; those alone whose `Sequence` is above `after` (E3). `on_answer` is called with the oldest
    /// first, once the answer has come or the connection is lost, and must not wait.
    ///
    /// Only for a server that lists `history`. Tells [`Client::place`] where this connection begins.
    pub fn history_then(
        &self,
        count: u64,
        after: Option<u64>,
        on_answer: impl FnOnce(Result<Vec<Relay>, Failure>) + Send + 'static,
    ) {
        let shared = Arc::clone(&self.shared);
        let count = count.min(HISTORY_LIMIT as u64);
        let body = Query::History { count, after }.body();
        self.query_then(&body, move |answer| {
            let relays = answer.and_then(|answer| read_history(&answer.body));
            if let Ok(relays) = &relays {
                let last = relays.last().and_then(|relay| relay.extra.sequence);
                shared.place.lock().begin_behind(last.or(after).unwrap_or(0));
            }
            on_answer(relays);
        });
    }

    /// The last `count` public messages that were said before this client connected, the oldest first
    /// (E3).
    ///
    /// # Errors
    /// See [`Failure`]; a server of the draft keeps none.
    pub fn history(&self, count: u64) -> Result<Vec<Relay>, Failure> {
        let (answer, answered) = bounded(1);
        self.history_then(count, None, move |relays| {
            let _ = answer.send(relays);
        });
        answered.recv().unwrap_or(Err(Failure::Lost(Lost::Closed)))
    }

    /// Shares a file with all or with one (§2.3.3.1); returns its File-ID.
    ///
    /// `on_progress` is told how many bytes have been sent.
    ///
    /// # Errors
    /// See [`Failure`]. Where `content` ends early, or is refused with more than a mebibyte of it still
    /// to be sent, the connection is given up ([`Client::is_lost`]): there is no other way to end a
    /// message.
    pub fn share(
        &self,
        to: Option<Uid>,
        file: &SharedFile<'_>,
        content: &mut dyn Read,
        on_progress: &mut dyn FnMut(u64),
    ) -> Result<FileId, Failure> {
        let len = file.len;
        let content_type = ContentType::File(file.extension.clone());
        let chat = Request::Chat(Chat { to, content_type, file_name: file.name.cloned() });
        let (on_answer, answered) = answer_channel();
        let mut writing = self.shared.writing.lock();
        let header =
            Outgoing { request: chat, body_len: len, body: &[], open: None, deadline: None };
        let id = self.begin(&mut writing, header, Box::new(on_answer));
        let early = (len > ABANDON_BYTES).then(|| answered.recv_timeout(REFUSAL_PAUSE).ok());
        let early = early.flatten();
        if early.is_some() {
            self.shared.abandon();
        }
        let sent = match (id, &early) {
            (Some(id), None) => self.send_file(id, content, len, on_progress),
            _ => Ok(()),
        };
        drop(writing);
        if let Some(id) = id {
            self.shared.note_sent(id);
        }
        if let Err(error) = sent {
            return Err(Failure::Local(error));
        }
        let answer = early.unwrap_or_else(|| wait_for(&answered))?;
        answer.file_id.ok_or(Failure::NoAnswer("the server did not tell the File-ID"))
    }

    /// Sends the body of a share; an error is of reading it.
    fn send_file(
        &self,
        id: MessageId,
        file: &mut dyn Read,
        len: u64,
        on_progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = len;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let read = match file.read(&mut chunk[..want]) {
                Ok(0) => Err(io::Error::other("the file became shorter while it was sent")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read,
            };
            let read = read.inspect_err(|_| self.shared.abandon())?;
            if (&self.shared.stream).write_all(&chunk[..read]).is_err() {
                // The reading thread finds out why.
                return Ok(());
            }
            left -= read as u64;
            on_progress(len - left);
            if left > ABANDON_BYTES && !self.shared.pending.lock().requests.contains_key(&id) {
                self.shared.abandon();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Fetches a staged file into what `open` opens once the server has it (§2.3.3.2).
    ///
    /// # Errors
    /// See [`Failure`]: [`Failure::Local`] where it cannot be written, and then the rest of it was
    /// dropped.
    pub fn fetch(
        &self,
        id: FileId,
        open: impl FnOnce(Incoming<'_>) -> io::Result<Box<dyn Write + Send>> + Send + 'static,
    ) -> Outcome {
        wait(|on_answer| {
            let body = id.to_string();
            let (body, body_len) = (body.as_bytes(), body.len() as u64);
            let request = Request::Fetch;
            let open = Some(Box::new(open) as _);
            self.send(Outgoing { request, body_len, body, open, deadline: None }, on_answer);
        })
    }
}

/// The answer to a query for the history.
fn read_history(body: &[u8]) -> Result<Vec<Relay>, Failure> {
    const NOT: Failure = Failure::NoAnswer("the server's history is not one");
    let messages = query::parse_history_answer(body, HISTORY_LIMIT).map_err(|_| NOT)?;
    let relays = messages.into_iter().map(|(message, body)| Relay::of(message, body.to_vec()));
    relays.collect::<Option<Vec<_>>>().ok_or(NOT)
}

/// A callback that passes an answer on, and where it comes out.
fn answer_channel() -> (impl FnOnce(Outcome) + Send + 'static, Receiver<Outcome>) {
    let (answer, answered) = bounded(1);
    let on_answer = move |result| {
        // The asker waits for it, or has found out otherwise.
        let _ = answer.send(result);
    };
    (on_answer, answered)
}

/// Sends a request and waits for its answer.
fn wait(send: impl FnOnce(Box<dyn FnOnce(Outcome) + Send>)) -> Outcome {
    let (on_answer, answered) = answer_channel();
    send(Box::new(on_answer));
    wait_for(&answered)
}

fn wait_for(answered: &Receiver<Outcome>) -> Outcome {
    answered.recv().unwrap_or(Err(Failure::Lost(Lost::Closed)))
}
