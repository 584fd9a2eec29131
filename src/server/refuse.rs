//! Newcomers that are refused: they get an error that reaches them, at a bounded cost.
//!
//! For half a second each is looked at, whether it speaks HTTP: so a browser gets a page that says
//! why, and not a message.

use std::fmt::{self, Display};
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::socket::{self, Wait};
use crate::limits::STACK_BYTES;
use crate::reason::{AdmissionError, Fatal, Removal};
use crate::supervisor;
use crate::sync::Instant;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use crate::web::http::{Dialect, FirstLine, Refusal, answer};
use crate::wire::Inherited;
use crate::wire::server_message::encode_refusal;

/// For how long a refused connection is kept open, for its peer to read why.
const KEPT: Duration = Duration::from_secs(2);

/// For how long it is looked at, before it gets MCMP's error.
const LOOKED_AT: Duration = Duration::from_millis(500);

/// How many are looked at, at a time; others get MCMP's error at once.
const LOOKED_AT_LIMIT: usize = 64;

/// How often they are looked at, while there are any.
const TICK: Duration = Duration::from_millis(20);

/// Enough of the first line to know whether the answer has a body.
const METHOD: &[u8] = b"HEAD ";

/// Why a newcomer is not let in.
#[derive(Clone, Debug)]
pub(crate) enum Reason {
    /// There is no place for it.
    Admission(AdmissionError),
    /// The operator has banned its address, in these words.
    Banned(Removal),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Admission(error) => Fatal::Admission(*error).fmt(f),
            Reason::Banned(removal) => removal.fmt(f),
        }
    }
}

/// Refuses newcomers, with one thread for all of them.
#[derive(Clone, Debug)]
pub(crate) struct Refuser {
    kept: Sender<Refused>,
    /// How many are looked at.
    looked_at: Arc<AtomicUsize>,
}

/// A connection that is refused.
#[derive(Debug)]
struct Refused {
    stream: TcpStream,
    /// When it is closed.
    until: Instant,
    /// What is known of one that has no answer yet.
    look: Option<Look>,
}

/// What a refused newcomer has said so far.
#[derive(Debug)]
struct Look {
    reason: Reason,
    until: Instant,
    line: FirstLine,
    start: Vec<u8>,
    _counted: Counted,
}

/// One of those that are looked at.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Refuser {
    /// Keeps at most `limit` connections open, the latest ones.
    pub(crate) fn start(limit: usize) -> io::Result<Refuser> {
        let (kept, refused) = bounded(1);
        supervisor::spawn("refuse", STACK_BYTES, move || keep(&refused, limit))?;
        Ok(Refuser { kept, looked_at: Arc::default() })
    }

    /// Writes the reason to a newcomer, and keeps the connection for a moment: with what the
    /// newcomer has sent unread, a close would reset the connection and destroy the reason.
    ///
    /// `web`: the newcomer may be a browser.
    pub(crate) fn refuse(&self, stream: TcpStream, reason: Reason, web: bool) {
        let counted = Counted(Arc::clone(&self.looked_at));
        let is_free = self.looked_at.fetch_add(1, Ordering::AcqRel) < LOOKED_AT_LIMIT;
        let look = (web && is_free).then(|| Look::new(reason.clone(), counted));
        if look.is_none() {
            write(&stream, &reason);
        }
        self.keep(stream, look);
    }

    /// Keeps a connection that has its answer, for its peer to read it.
    pub(crate) fn keep_for_its_peer(&self, stream: &TcpStream) {
        // Without a descriptor for it, the peer may miss its answer if it has sent more.
        if let Ok(stream) = stream.try_clone() {
            self.keep(stream, None);
        }
    }

    fn keep(&self, stream: TcpStream, look: Option<Look>) {
        let until = Instant::now() + KEPT;
        match self.kept.try_send(Refused { stream, until, look }) {
            Ok(()) => {}
            // Under a storm of newcomers some of them miss the reason.
            Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => {
                if let Some(look) = refused.look {
                    write(&refused.stream, &look.reason);
                }
            }
        }
    }
}

/// Writes the reason and ends the output; a new socket takes that much without waiting.
pub(crate) fn write(stream: &TcpStream, reason: &impl Display) {
    let mut response = Vec::new();
    encode_refusal(Inherited::default(), reason, &mut response);
    finish(stream, &response);
}

fn finish(stream: &TcpStream, response: &[u8]) {
    // Fails only where the newcomer has gone already.
    let _ = socket::send(stream, &[IoSlice::new(response)], Wait::No, false);
    let _ = stream.shutdown(Shutdown::Write);
}

/// Drains refused connections until their peers close them, or their time is over.
fn keep(refused: &Receiver<Refused>, limit: usize) {
    let mut kept: Vec<Refused> = Vec::new();
    loop {
        let next = if kept.is_empty() {
            refused.recv().map_err(RecvTimeoutError::from)
        } else {
            refused.recv_timeout(TICK)
        };
        match next {
            Ok(refused) => {
                if refused.stream.set_nonblocking(true).is_ok() {
                    kept.push(refused);
                }
                if kept.len() > limit {
                    kept.remove(0).give_up();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        kept.retain_mut(|refused| refused.until > now && refused.is_open(now));
    }
}

impl Refused {
    /// Reads what has come, and answers once it is known in which words; whether more may come.
    fn is_open(&mut self, now: Instant) -> bool {
        let mut buffer = [0; 16 * 1024];
        let (came, is_open) = match self.stream.read(&mut buffer) {
            Ok(count) => (&buffer[..count], count > 0),
            Err(error) => {
                let nothing = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
                (&[][..], nothing.contains(&error.kind()))
            }
        };
        if let Some(look) = &mut self.look {
            let known = look.take(came);
            let is_over = !is_open || now >= look.until;
            if let Some(dialect) = known.or(is_over.then_some(Dialect::Mcmp)) {
                look.answer(&self.stream, dialect);
                self.look = None;
            }
        }
        is_open
    }

    /// There is no place for it any more.
    fn give_up(self) {
        if let Some(look) = self.look {
            look.answer(&self.stream, Dialect::Mcmp);
        }
    }
}

impl Look {
    fn new(reason: Reason, counted: Counted) -> Look {
        let until = Instant::now() + LOOKED_AT;
        Look { reason, until, line: FirstLine::default(), start: Vec::new(), _counted: counted }
    }

    /// Takes what has come; what it is, once that is known.
    fn take(&mut self, bytes: &[u8]) -> Option<Dialect> {
        #[cfg(test)]
        supervisor::panic_if_injected(bytes);
        let room = METHOD.len() - self.start.len();
        self.start.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.line.feed(bytes)
    }

    fn answer(&self, stream: &TcpStream, dialect: Dialect) {
        match dialect {
            Dialect::Mcmp => write(stream, &self.reason),
            Dialect::Http => {
                let with_body = self.start != METHOD;
                finish(stream, &answer::encode_refusal(page_for(&self.reason), with_body));
            }
        }
    }
}

/// The page that says to a browser why it is not let in.
fn page_for(reason: &Reason) -> Refusal {
    match reason {
        Reason::Admission(AdmissionError::RoomFull { .. }) => Refusal::RoomFull,
        Reason::Admission(AdmissionError::HostFull { .. }) => Refusal::HostFull,
        Reason::Admission(AdmissionError::NoResources) => Refusal::NoResources,
        Reason::Banned(_) => Refusal::Banned,
    }
}
