//! One client from its first byte to its close: the thread that reads it.
//!
//! Reads a message, has it carried out, reads the next; and ends in a way that lets the client read
//! what it was still sent. Knows nothing of the grammar ([`crate::wire`]) and of listening.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, log_enabled, trace};

use crate::delivery::Delivery;
use crate::ids::Uid;
use crate::outbox::Outbox;
use crate::reason::{BodyKind, Cause, Excerpt, Reason};
use crate::room::{list_files, list_names, list_uids};
use crate::server::{Seat, Shared};
use crate::text::{Extension, Nickname, Visible, check_text};
use crate::wire::client_message::{parse_file_id, read_client_message};
use crate::wire::server_message::encode_refusal;
use crate::wire::{
    Chat, ClientMessage, Content, Fault, Inherited, MessageType, Parsed, ReadError, Request,
    Response, Status,
};

/// How long a client may send nothing inside a message. People do type messages by hand.
pub(crate) const SILENCE_LIMIT: Duration = Duration::from_secs(120);

/// The largest body of a query, a fetch or a nickname message, in bytes.
const SHORT_BODY_LIMIT: u64 = 1024;

/// The read buffer of a client: a batch of short messages, or a quarter of the longest text.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// The buffer for a file's bytes on their way to disk, while a file is arriving.
const FILE_BUFFER_BYTES: usize = 128 * 1024;

/// What a session keeps of its body buffer from message to message.
const KEPT_BODY_BYTES: usize = 4 * 1024;

/// How long a connection is still read after all was written to it, so that its last bytes are not
/// destroyed by a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The same when the server stops.
const LINGER_AT_STOP: Duration = Duration::from_millis(500);

/// How often a lingering session looks whether its output has been written meanwhile.
const LINGER_TICK: Duration = Duration::from_millis(20);

/// A client's connection as it is read: flushes before it waits.
///
/// Around the `BufReader` and not in it: what is in between would have to initialize the buffer,
/// and an idle client's buffer is not in memory as long as nothing touches it.
struct Input<'a> {
    reader: BufReader<&'a TcpStream>,
    delivery: &'a Arc<Delivery>,
    /// Whether the session has added something since it flushed last.
    unflushed: bool,
    /// Whether that was a public chat, among others.
    said_to_all: bool,
}

impl Input<'_> {
    fn flush_before_waiting(&mut self) {
        if self.unflushed && self.reader.buffer().is_empty() {
            self.unflushed = false;
            self.delivery.flush();
            if !self.said_to_all {
                // The answer to a private message often comes within a time slice: whoever has
                // something to do does it now, and then this thread need not sleep and be woken.
                thread::yield_now();
            }
            self.said_to_all = false;
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush_before_waiting();
        self.reader.read(buffer)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.flush_before_waiting();
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}

/// How a session ends.
enum Ending {
    /// `bye` (§2.3.4).
    Bye,
    /// The client closed its sending side between messages, or inside one already refused.
    Closed,
    /// The end of a message is not known, or never came: the client is told why.
    Fatal { reason: Reason, inherited: Inherited, cause: Cause },
    /// The connection failed: nobody is there to be told.
    Lost(Cause),
    /// The server stops.
    Stopping,
}

/// Whose queues a session has added to since it looked last whether they are too long.
#[derive(Default)]
struct Added {
    public: bool,
    private: Vec<Uid>,
}

/// Serves a client until it is gone. The connection is closed when the last reference is dropped.
pub(crate) fn run(shared: &Shared, outbox: &Arc<Outbox>, seat: Seat) {
    let leaves = LeaveOnDrop { shared, outbox };
    let mut session = Session::new(shared, outbox);
    let conversation = shared.begin_conversation();
    let ending = session.converse();
    drop(conversation);
    shared.wait_for_conversations();
    let input_open = matches!(ending, Ending::Bye | Ending::Fatal { .. } | Ending::Stopping);
    session.say_last_words(ending);
    drop(leaves);
    drop(seat);
    shared.delivery.flush_all();
    close(shared, outbox, input_open);
}

/// Takes the client out of the room whichever way its thread ends, a panic included.
struct LeaveOnDrop<'a> {
    shared: &'a Shared,
    outbox: &'a Arc<Outbox>,
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        // The first cause wins: this one counts only where no other was given.
        if thread::panicking() {
            self.shared.delivery.cut(self.outbox, Cause::ServerFailed);
        } else {
            self.shared.delivery.leave(self.outbox, Cause::ServerFailed);
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    outbox: &'a Arc<Outbox>,
    input: Input<'a>,
    line: Vec<u8>,
    body: Vec<u8>,
    nickname: Option<Nickname>,
    added: Added,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, outbox: &'a Arc<Outbox>) -> Session<'a> {
        let reader = BufReader::with_capacity(READ_BUFFER_BYTES, outbox.stream());
        Session {
            shared,
            outbox,
            input: Input {
                reader,
                delivery: &shared.delivery,
                unflushed: false,
                said_to_all: false,
            },
            line: Vec::new(),
            body: Vec::new(),
            nickname: None,
            added: Added::default(),
        }
    }

    /// Reads and carries out messages until there are no more.
    fn converse(&mut self) -> Ending {
        loop {
            self.wait_for_queues();
            if self.shared.is_stop_overdue() {
                return Ending::Stopping;
            }
            let read = read_client_message(&mut self.input, &mut self.line);
            let carried_out = match read {
                Ok(Some(Parsed::Message(message))) => self.carry_out(message),
                Ok(Some(Parsed::Refused { reason, inherited, body_len })) => {
                    self.skip_body(body_len, inherited).map(|()| self.refuse(inherited, &reason))
                }
                Ok(None) if self.shared.is_stopping() => return Ending::Stopping,
                Ok(None) => return Ending::Closed,
                Err(Fault { error: ReadError::TimedOut { inside: false }, .. }) => continue,
                Err(fault) => return self.fault(fault),
            };
            if let Err(ending) = carried_out {
                return ending;
            }
        }
    }

    fn fault(&self, fault: Fault) -> Ending {
        let inherited = fault.inherited;
        match fault.error {
            ReadError::Refused(reason) => {
                Ending::Fatal { reason, inherited, cause: Cause::Malformed }
            }
            ReadError::Ended => self.ended(Reason::EndedInHeader, inherited),
            ReadError::TimedOut { .. } => silent(inherited),
            ReadError::Failed(error) => Ending::Lost(crate::writer::cause_of(&error)),
        }
    }

    /// The input ended inside a message: by the client, or because the server stops.
    fn ended(&self, reason: Reason, inherited: Inherited) -> Ending {
        if self.shared.is_stopping() {
            let (reason, cause) = (Reason::Stopping, Cause::ServerStopped);
            return Ending::Fatal { reason, inherited, cause };
        }
        Ending::Fatal { reason, inherited, cause: Cause::Closed }
    }

    /// Waits until no queue that this session has filled is over the limit: so a fast sender slows
    /// down to its readers' pace. Its own queue counts, which its responses fill.
    fn wait_for_queues(&mut self) {
        let pressure = self.shared.delivery.pressure();
        if pressure.is_on() {
            // Nothing may be held back while waiting; and only then it is known what is too long.
            self.input.unflushed = false;
            self.shared.delivery.flush_all();
            let own = self.outbox.uid();
            let added = &self.added;
            pressure.wait(
                |uid| uid == own || added.public || added.private.contains(&uid),
                || self.outbox.is_broken(),
            );
        }
        self.added.public = false;
        self.added.private.clear();
    }

    fn carry_out(&mut self, message: ClientMessage) -> Result<(), Ending> {
        let ClientMessage { request, inherited, body_len } = message;
        if log_enabled!(log::Level::Trace) {
            self.trace(&request, inherited, body_len);
        }
        match request {
            Request::Chat(Chat { to, content_type: crate::wire::ContentType::Text }) => {
                self.relay_text(to, inherited, body_len)
            }
            Request::Chat(Chat { to, content_type: crate::wire::ContentType::File(extension) }) => {
                self.share(to, extension, inherited, body_len)
            }
            Request::Query => self.short(MessageType::Query, inherited, body_len, Self::query),
            Request::Fetch => self.short(MessageType::Fetch, inherited, body_len, Self::fetch),
            Request::Nickname => {
                self.short(MessageType::Nickname, inherited, body_len, Self::set_nickname)
            }
            Request::Bye => Err(Ending::Bye),
        }
    }

    fn trace(&self, request: &Request, inherited: Inherited, body_len: u64) {
        let uid = self.outbox.uid();
        let id = inherited.id;
        match request {
            Request::Chat(Chat { to, content_type }) => {
                let kind = content_type.as_str();
                match to {
                    Some(to) => trace!("client {uid}: chat {id} to {to}, {kind}, {body_len} bytes"),
                    None => trace!("client {uid}: chat {id}, {kind}, {body_len} bytes"),
                }
            }
            _ => {
                let name = inherited.message_type.map_or("unknown", MessageType::name);
                trace!("client {uid}: {name} {id}, {body_len} bytes");
            }
        }
    }

    /// Relays a text (§2.3.2).
    fn relay_text(
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
            .and_then(|()| self.relay(to, Content::Text(&self.body), inherited));
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
    ) -> Result<usize, Reason> {
        let room = self.shared.delivery.room();
        room.chat(self.outbox, self.nickname.as_ref(), to, content, inherited)
    }

    /// Stages a file as it arrives, and relays its header (§2.3.3.1).
    fn share(
        &mut self,
        to: Option<Uid>,
        extension: Extension,
        inherited: Inherited,
        body_len: u64,
    ) -> Result<(), Ending> {
        let limit = self.shared.config.max_file;
        if body_len > limit {
            return self.refuse_at_once(inherited, body_len, limit, BodyKind::File);
        }
        let limit = self.shared.stage.limit();
        if body_len > limit {
            self.refuse(inherited, &Reason::LargerThanStage { declared: body_len, limit });
            return self.skip_refused_body(body_len);
        }
        let mut arrival = self.shared.stage.begin();
        let mut buffer = Vec::new();
        let mut missing = body_len;
        while missing > 0 {
            let want = usize::try_from(missing).unwrap_or(usize::MAX).min(FILE_BUFFER_BYTES);
            buffer.resize(want, 0);
            let count = match self.input.read(&mut buffer) {
                Ok(0) => {
                    let reason = Reason::EndedInBody { missing, declared: body_len };
                    return Err(self.ended(reason, inherited));
                }
                Ok(count) => count,
                Err(error) => interrupted(&error, inherited).map_or(Ok(0), Err)?,
            };
            missing -= count as u64;
            if let Ok(file) = &mut arrival
                && let Err(reason) = file.write(&buffer[..count])
            {
                arrival = Err(reason);
            }
        }
        let staged = arrival.and_then(|arrival| {
            if let Some(to) = to {
                self.shared.delivery.room().check_receiver(to)?;
            }
            arrival.commit(extension.clone(), self.outbox.uid(), to)
        });
        let relayed = staged.and_then(|id| {
            let content = Content::File { id, extension: &extension, len: body_len };
            let relayed = self.relay(to, content, inherited);
            if relayed.is_err() {
                self.shared.stage.remove(id);
            }
            relayed
        });
        match relayed {
            Ok(unflushed) => self.added(to, unflushed),
            Err(reason) => self.refuse(inherited, &reason),
        }
        Ok(())
    }

    /// Reads the body of a request that has a short one, and answers it.
    fn short(
        &mut self,
        message_type: MessageType,
        inherited: Inherited,
        body_len: u64,
        answer: fn(&mut Self, &[u8], Inherited) -> Result<(), Reason>,
    ) -> Result<(), Ending> {
        if body_len > SHORT_BODY_LIMIT {
            let what = BodyKind::Short(message_type);
            return self.refuse_at_once(inherited, body_len, SHORT_BODY_LIMIT, what);
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
    fn query(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Reason> {
        let room = self.shared.delivery.room();
        let own = self.outbox.uid();
        let answer = match body.trim_ascii() {
            b"" => list_uids(&room.uids()),
            b"self" => list_uids(&[own]),
            b"names" => list_names(&room.names()),
            b"files" => {
                let files = self.shared.stage.list(own);
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

    /// Sends a staged file (§2.3.3.2).
    fn fetch(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Reason> {
        let id = parse_file_id(body)?;
        let (staged, file) = self.shared.stage.fetch(id, self.outbox.uid())?;
        let content_type = staged.extension.as_str();
        let response = Response { content_type, ..Response::text(Status::Ok, inherited) };
        let encode = |out: &mut Vec<u8>| response.encode_header(staged.len, out);
        let room = self.shared.delivery.room();
        if staged.len == 0 {
            let unflushed = room.respond(self.outbox, encode);
            self.flush_soon(unflushed);
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
    fn set_nickname(&mut self, body: &[u8], inherited: Inherited) -> Result<(), Reason> {
        let nickname = Nickname::parse(body, self.shared.config.charset)?;
        let uid = self.outbox.uid();
        self.shared.delivery.room().set_nickname(uid, &nickname);
        debug!("client {uid}: is now \"{}\"", Visible(nickname.as_str()));
        self.respond(inherited, nickname.as_str().as_bytes());
        self.nickname = Some(nickname);
        Ok(())
    }

    /// Reads the whole of a body, which is known to be short enough to be held.
    fn read_body(&mut self, body_len: u64, inherited: Inherited) -> Result<(), Ending> {
        self.body.clear();
        // Grows with what comes, never by what is declared.
        let read = (&mut self.input).take(body_len).read_to_end(&mut self.body);
        match read {
            Ok(count) if count as u64 == body_len => Ok(()),
            Ok(count) => {
                let missing = body_len - count as u64;
                Err(self.ended(Reason::EndedInBody { missing, declared: body_len }, inherited))
            }
            Err(error) => Err(interrupted(&error, inherited).unwrap_or(Ending::Closed)),
        }
    }

    /// Reads and drops a body whose message is refused behind it.
    fn skip_body(&mut self, body_len: u64, inherited: Inherited) -> Result<(), Ending> {
        let mut missing = body_len;
        while missing > 0 {
            let available = match self.input.fill_buf() {
                Ok([]) => {
                    let reason = Reason::EndedInBody { missing, declared: body_len };
                    return Err(self.ended(reason, inherited));
                }
                Ok(chunk) => chunk.len(),
                Err(error) => interrupted(&error, inherited).map_or(Ok(0), Err)?,
            };
            let part = usize::try_from(missing).unwrap_or(usize::MAX).min(available);
            self.input.consume(part);
            missing -= part as u64;
        }
        Ok(())
    }

    /// Reads and drops a body that was refused before it came: there is no second error for it.
    fn skip_refused_body(&mut self, body_len: u64) -> Result<(), Ending> {
        self.skip_body(body_len, Inherited::default()).map_err(|ending| match ending {
            Ending::Fatal { cause: Cause::Closed, .. } => Ending::Closed,
            Ending::Fatal { cause: Cause::ServerStopped, .. } => Ending::Stopping,
            Ending::Fatal { cause, .. } => Ending::Lost(cause),
            other => other,
        })
    }

    fn refuse_at_once(
        &mut self,
        inherited: Inherited,
        declared: u64,
        limit: u64,
        what: BodyKind,
    ) -> Result<(), Ending> {
        self.refuse(inherited, &Reason::BodyTooLong { declared, limit, what });
        self.skip_refused_body(declared)
    }

    fn refuse(&mut self, inherited: Inherited, reason: &Reason) {
        // Not the reason: it may quote a body, and bodies are never logged.
        let name = inherited.message_type.map_or("unknown", MessageType::name);
        debug!("client {}: {name} {} is refused", self.outbox.uid(), inherited.id);
        let room = self.shared.delivery.room();
        let unflushed = room.respond(self.outbox, |out| encode_refusal(inherited, reason, out));
        self.flush_soon(unflushed);
    }

    fn respond(&mut self, inherited: Inherited, body: &[u8]) {
        let response = Response::text(Status::Ok, inherited);
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

    /// Adds the last error, and leaves the room.
    fn say_last_words(&mut self, ending: Ending) {
        let cause = match ending {
            Ending::Bye => Cause::SaidBye,
            Ending::Closed => Cause::Closed,
            Ending::Lost(cause) => cause,
            Ending::Stopping => Cause::ServerStopped,
            Ending::Fatal { reason, inherited, cause } => {
                self.refuse(inherited, &reason);
                cause
            }
        };
        self.shared.delivery.leave(self.outbox, cause);
    }
}

fn silent(inherited: Inherited) -> Ending {
    let reason = Reason::Silent { waited: SILENCE_LIMIT };
    Ending::Fatal { reason, inherited, cause: Cause::Silent }
}

/// How a session ends whose read has failed inside a message; `None`: it does not, read again.
fn interrupted(error: &io::Error, inherited: Inherited) -> Option<Ending> {
    match error.kind() {
        io::ErrorKind::Interrupted => None,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Some(silent(inherited)),
        _ => Some(Ending::Lost(crate::writer::cause_of(error))),
    }
}

/// Closes a connection so that what was written reaches the client.
///
/// A close with unread bytes in the socket would reset the connection and destroy them: so input
/// is drained while the output is written, and for a bounded time after that.
fn close(shared: &Shared, outbox: &Outbox, mut input_open: bool) {
    let stream = outbox.stream();
    // Fails on a connection that is gone, and then the reads below fail as well.
    let _ = stream.set_read_timeout(Some(LINGER_TICK));
    while input_open && !outbox.is_drained() {
        input_open = drain(stream);
    }
    outbox.wait_drained();
    let _ = stream.shutdown(Shutdown::Write);
    let lingering = shared.linger();
    if outbox.is_broken() || lingering.is_none() {
        return;
    }
    let linger = if shared.is_stopping() { LINGER_AT_STOP } else { LINGER };
    let until = Instant::now() + linger;
    while input_open && Instant::now() < until {
        input_open = drain(stream);
    }
}

/// Reads and drops once; `false` where there will be nothing more.
///
/// Not inlined: its buffer would stand in the frame of every session for all its life.
#[inline(never)]
fn drain(mut stream: &TcpStream) -> bool {
    let mut dropped = [0; 16 * 1024];
    match stream.read(&mut dropped) {
        Ok(count) => count > 0,
        Err(error) => matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ),
    }
}
