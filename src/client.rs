//! The blocking client: requests and their responses, and what arrives in between.
//!
//! A connection has one thread that reads it. It matches responses to requests by their Message-ID
//! (§2.2.1.3), whatever their order, and hands on relays as they come; so nothing is lost while a
//! response is waited for, and a client that shares a large file goes on reading. Files are
//! streamed, in both directions.
//!
//! The server is not trusted: what it sends is held up to a limit alone, and is to be shown with care
//! ([`crate::text::TerminalSafe`]). Knows nothing of terminals and flags.

mod outcome;
mod place;
mod reader;
mod requests;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockRef, TcpKeepalive};

use crate::ids::MessageId;
use crate::wire::client_message::encode_client_message;
use crate::wire::{Chat, ClientMessage, Inherited, MessageType, Request};

use self::place::Place;

pub use self::outcome::{Answer, Content, Event, Extra, Failure, Lost, Notice, Relay};
pub use self::requests::SharedFile;
pub use crate::wire::News;
pub use crate::wire::query::{Features, parse_names, parse_own_uid};

/// The longest body that is held in memory, in bytes; files that are fetched are not.
///
/// Far above what a server takes for a text, and above a list of all the files that a stage may hold.
pub const BODY_LIMIT: u64 = 16 << 20;

/// A server that has vanished is found within two minutes, as the server finds its clients.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 5;
const USER_TIMEOUT: Duration = Duration::from_secs(110);

/// How long a client waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For each of a host's addresses to accept the connection.
    pub connect: Duration,
    /// For the next bytes, inside a message or while a request that was sent whole is not answered.
    ///
    /// Longer than a server takes to find out that a client has stopped reading, since it may hold
    /// a sender back until then.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(10), answer: Duration::from_secs(60) }
    }
}

/// A file that begins to arrive. The server is not trusted: what is text in here may be anything.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Its extension, as the server sent it.
    pub content_type: &'a str,
    /// The name that its sharer gave to it, where the server has told one.
    pub name: Option<&'a str>,
    /// Its length in bytes, as declared.
    pub len: u64,
}

impl Incoming<'_> {
    fn of(answer: &Answer) -> Incoming<'_> {
        let (content_type, name) = (&answer.content_type, answer.file_name.as_deref());
        Incoming { content_type, name, len: answer.len }
    }
}

/// Opens what a fetched file is written to.
pub type OpenSink = Box<dyn FnOnce(Incoming<'_>) -> io::Result<Box<dyn Write + Send>> + Send>;

/// What comes of a request.
pub type Outcome = Result<Answer, Failure>;

type OnAnswer = Box<dyn FnOnce(Outcome) + Send>;

/// A request that has not been answered yet.
struct Waiting {
    message_type: MessageType,
    /// Whether it is a message to all: once confirmed it has a place in their one order.
    is_public: bool,
    on_answer: OnAnswer,
    /// Where the body of the answer goes; into memory, where there is none.
    open: Option<OpenSink>,
    /// Since when an answer can be expected; `None` while the request is still being sent.
    sent: Option<Instant>,
}

#[derive(Default)]
struct Pending {
    requests: HashMap<MessageId, Waiting>,
    lost: Option<Lost>,
}

/// What has been sent.
#[derive(Default)]
struct Writing {
    /// The Message-ID of the last request.
    last_id: u64,
    /// Nothing is sent behind `bye` (§2.3.4).
    has_left: bool,
}

struct Shared {
    stream: TcpStream,
    /// Held while a request is written.
    writing: Mutex<Writing>,
    pending: Mutex<Pending>,
    place: Mutex<Place>,
    answer_timeout: Duration,
    /// Whether the server has answered anything with `Status Ok`.
    has_answered: AtomicBool,
}

/// What is sent: a request and the first bytes of its body.
struct Outgoing<'a> {
    request: Request,
    body_len: u64,
    body: &'a [u8],
    /// Where the body of the answer goes; into memory, where there is none.
    open: Option<OpenSink>,
    /// When the request must be sent at the latest; `None` is for requests that may wait.
    deadline: Option<Instant>,
}

/// A connection to a server. Dropping it closes the connection.
///
/// Any number of threads may use it at a time; their requests are sent one after the other.
pub struct Client {
    shared: Arc<Shared>,
    /// Disconnected once the reading thread has ended.
    reading: Receiver<()>,
}

impl Client {
    /// Connects to the first of `addresses` that accepts, and begins the session: its first message
    /// is `query`, without a body (§2.3.1.2). Its answer is not waited for.
    ///
    /// `on_event` is called by the reading thread, [`Event::Lost`] last. While it takes its time
    /// nothing more is read, and a server takes a client that does not read for one that has
    /// stopped; so it must not wait for a response of the same connection.
    ///
    /// # Errors
    /// The system's answer for the last of the addresses.
    pub fn connect(
        addresses: &[SocketAddr],
        timeouts: Timeouts,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> io::Result<Client> {
        let stream = connect_to_first(addresses, timeouts.connect)?;
        stream.set_read_timeout(Some(timeouts.answer))?;
        let shared = Arc::new(Shared {
            stream,
            writing: Mutex::new(Writing::default()),
            pending: Mutex::new(Pending::default()),
            place: Mutex::new(Place::default()),
            answer_timeout: timeouts.answer,
            has_answered: AtomicBool::new(false),
        });
        let (ended, reading) = bounded(0);
        let read = Arc::clone(&shared);
        thread::Builder::new().name("reader".to_string()).spawn(move || {
            reader::run(&read, on_event);
            drop(ended);
        })?;
        let client = Client { shared, reading };
        client.query_then("", |_| {});
        Ok(client)
    }

    /// Whether the connection has ended, or was given up.
    pub fn is_lost(&self) -> bool {
        self.shared.pending.lock().lost.is_some()
    }

    /// Whether the server has answered anything with `Status Ok`, so that it is one of this protocol.
    pub fn has_answered(&self) -> bool {
        self.shared.has_answered.load(Ordering::Acquire)
    }

    /// The `Sequence` of the last public message that this connection has brought or taken: what is
    /// behind it was missed, when the connection is lost (E3). `None` where the server has told none.
    pub fn place(&self) -> Option<u64> {
        self.shared.place.lock().last()
    }

    /// Says bye (§2.3.4), and waits until the server has closed the connection, for `limit` at the
    /// most; what arrives until then is still handed on. Nothing more can be asked for.
    pub fn leave(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        self.request_by(Some(deadline), Request::Bye, &[], Box::new(|_| {}));
        let _ = self.reading.recv_deadline(deadline);
    }

    /// Sends a request with a body that is in memory.
    fn request(&self, request: Request, body: &[u8], on_answer: OnAnswer) {
        self.request_by(None, request, body, on_answer);
    }

    /// The same, but fails where it cannot be sent by `deadline`, since something else is.
    fn request_by(
        &self,
        deadline: Option<Instant>,
        request: Request,
        body: &[u8],
        on_answer: OnAnswer,
    ) {
        let body_len = body.len() as u64;
        self.send(Outgoing { request, body_len, body, open: None, deadline }, on_answer);
    }

    /// Sends a request that `outgoing` holds whole.
    fn send(&self, outgoing: Outgoing<'_>, on_answer: OnAnswer) {
        let Some(mut writing) = self.lock_to_write(outgoing.deadline) else {
            return on_answer(Err(Failure::Busy));
        };
        let id = self.begin(&mut writing, outgoing, on_answer);
        drop(writing);
        if let Some(id) = id {
            self.shared.note_sent(id);
        }
    }

    /// Sends a request's header and the first bytes of its body; `None` where the connection is
    /// lost, and then that was its answer.
    fn begin(
        &self,
        writing: &mut Writing,
        outgoing: Outgoing<'_>,
        on_answer: OnAnswer,
    ) -> Option<MessageId> {
        let Outgoing { request, body_len, body, open, .. } = outgoing;
        if writing.has_left {
            on_answer(Err(Failure::Lost(Lost::Left)));
            return None;
        }
        writing.has_left = matches!(request, Request::Bye);
        writing.last_id += 1;
        let id = MessageId(writing.last_id);
        let mut pending = self.shared.pending.lock();
        if let Some(lost) = pending.lost.clone() {
            drop(pending);
            on_answer(Err(Failure::Lost(lost)));
            return None;
        }
        let message_type = request.message_type();
        let is_public = matches!(request, Request::Chat(Chat { to: None, .. }));
        let waiting = Waiting { message_type, is_public, on_answer, open, sent: None };
        pending.requests.insert(id, waiting);
        drop(pending);
        let inherited = Inherited { message_type: Some(message_type), id };
        let mut bytes = Vec::with_capacity(128 + body.len());
        encode_client_message(&ClientMessage { request, inherited, body_len }, &mut bytes);
        bytes.extend_from_slice(body);
        // Where this fails the reading thread finds out why, and may still find a reason before.
        let _ = (&self.shared.stream).write_all(&bytes);
        Some(id)
    }

    /// Waits for the turn to write; until `deadline`, and then also for room in the socket, so that a
    /// short request does not wait inside.
    fn lock_to_write(&self, deadline: Option<Instant>) -> Option<MutexGuard<'_, Writing>> {
        let Some(deadline) = deadline else { return Some(self.shared.writing.lock()) };
        let writing = self.shared.writing.try_lock_until(deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        is_writable(&self.shared.stream, left).then_some(writing)
    }
}

/// Waits until a socket has room for some bytes. One that is broken has: writing says why.
fn is_writable(stream: &TcpStream, limit: Duration) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::OUT)];
    let limit = Timespec::try_from(limit).ok();
    matches!(poll(&mut polled, limit.as_ref()), Ok(ready) if ready > 0)
}

impl Drop for Client {
    fn drop(&mut self) {
        // The reading thread ends by it. Fails where the connection has ended already.
        let _ = self.shared.stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    /// A request was sent whole: from now on an answer can be expected.
    fn note_sent(&self, id: MessageId) {
        if let Some(waiting) = self.pending.lock().requests.get_mut(&id) {
            waiting.sent = Some(Instant::now());
        }
    }

    /// Whether somebody waits for an answer for longer than a server takes. Until `busy_until` it
    /// was sending another one.
    fn is_answer_overdue(&self, busy_until: Instant) -> bool {
        let pending = self.pending.lock();
        let overdue = |sent: Instant| sent.max(busy_until).elapsed() >= self.answer_timeout;
        pending.requests.values().filter_map(|waiting| waiting.sent).any(overdue)
    }

    /// Gives the connection up in the middle of a message.
    fn abandon(&self) {
        self.pending.lock().lost.get_or_insert(Lost::Abandoned);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn connect_to_first(addresses: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let keepalive = TcpKeepalive::new()
                    .with_time(KEEPALIVE_IDLE)
                    .with_interval(KEEPALIVE_INTERVAL)
                    .with_retries(KEEPALIVE_PROBES);
                let socket = SockRef::from(&stream);
                socket.set_tcp_keepalive(&keepalive)?;
                socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
