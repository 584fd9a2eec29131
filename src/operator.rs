//! The operator's socket: commands, a line each, for the person who runs the server.
//!
//! Owns the connections of operators; `socket` has the file, `command` the commands. Each operator
//! has a thread, which works on the room like any session: it holds no lock while it reads or writes
//! its own connection, so one that does not read holds up itself alone.

mod command;
mod socket;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use log::error;

use self::command::Command;
use self::socket::Listening;
use crate::limits::STACK_BYTES;
use crate::logging::LogThrottle;
use crate::service::Service;
use crate::supervisor;
use crate::sync::thread;

/// The longest line, its ending aside, in bytes.
const LINE_LIMIT: usize = 1024;

/// How many operators there may be at a time: each takes a thread and a descriptor.
const OPERATORS_LIMIT: usize = 64;

/// How long an operator may take nothing of an answer.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// How long, and how many times, the input behind a line that is too long is still read.
const DRAIN_LIMIT: Duration = Duration::from_millis(200);
const DRAIN_READS: usize = 64;

/// How long to wait where the system cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What stops the server: told once an operator has been answered.
pub(crate) type Stop = Box<dyn Fn() + Send + Sync>;

/// The operator's socket, which listens and accepts nobody yet; removed when dropped.
#[derive(Debug)]
pub(crate) struct Control(Listening);

impl Control {
    /// Listens at `path`.
    ///
    /// # Errors
    /// Where something is there that is no abandoned socket, or no socket can be made.
    pub(crate) fn bind(path: &Path) -> io::Result<Control> {
        let listening = Listening::bind(path)?;
        let place = listening.place.clone();
        supervisor::before_exit(move || place.remove());
        Ok(Control(listening))
    }

    /// Begins to accept operators; returns at once.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn run(&self, service: &Arc<Service>, stop: Stop) -> io::Result<()> {
        let listener = Arc::clone(&self.0.listener);
        let desk =
            Arc::new(Desk { service: Arc::clone(service), stop, operators: AtomicUsize::new(0) });
        supervisor::spawn("operators", STACK_BYTES, move || accept(&listener, &desk))
    }
}

/// What all operators share.
struct Desk {
    service: Arc<Service>,
    stop: Stop,
    operators: AtomicUsize,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("operators", &self.operators).finish_non_exhaustive()
    }
}

/// An operator's place; given back when dropped.
struct Place(Arc<Desk>);

impl Place {
    fn take(desk: &Arc<Desk>) -> Option<Place> {
        let one_more = |count| (count < OPERATORS_LIMIT).then_some(count + 1);
        let taken = desk.operators.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Place(Arc::clone(desk)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.operators.fetch_sub(1, Ordering::Relaxed);
    }
}

fn accept(listener: &UnixListener, desk: &Arc<Desk>) {
    let trouble_said = LogThrottle::default();
    loop {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, desk),
            Err(_) if desk.service.is_stopping() => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                if trouble_said.is_due() {
                    error!("operators cannot be accepted: {error}");
                }
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Starts an operator's thread; it is told where there is none.
fn admit(stream: UnixStream, desk: &Arc<Desk>) {
    if stream.set_write_timeout(Some(WRITE_LIMIT)).is_err() {
        return;
    }
    let permit = desk.service.threads.reserve_writer();
    let (Some(permit), Some(place)) = (permit, Place::take(desk)) else {
        // A new socket takes that much without waiting.
        let _ = (&stream).write_all(
            format!("error: {OPERATORS_LIMIT} operators, or all threads, are at work; try again\n")
                .as_bytes(),
        );
        return;
    };
    let builder = thread::Builder::new().name("operator".to_string()).stack_size(STACK_BYTES);
    let started = builder.spawn(move || {
        converse(&stream, &place.0);
        drop((stream, place, permit));
    });
    if let Err(error) = started {
        error!("an operator is refused: cannot start a thread: {error}");
    }
}

/// Answers an operator until the end of its input, or until it takes no answer.
fn converse(stream: &UnixStream, desk: &Desk) {
    let mut input = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One longer than it may be, with its ending, shows that it is too long.
        let read = (&mut input).take(LINE_LIMIT as u64 + 2).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return;
        }
        let text = without_ending(&line);
        if text.len() > LINE_LIMIT {
            refuse_line(stream, input);
            return;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let command = Command::parse(text);
        let is_stop = matches!(command, Ok(Command::Stop));
        let answer = command.and_then(|command| command.apply(&desk.service));
        let answer = match answer {
            Ok(lines) => format!("{lines}ok\n"),
            Err(error) => format!("error: {error}\n"),
        };
        let is_taken = (&mut &*stream).write_all(answer.as_bytes()).is_ok();
        if is_stop {
            (desk.stop)();
        }
        if !is_taken {
            return;
        }
    }
}

fn without_ending(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else { return line };
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Ends a connection behind a line that is too long: what else was sent is read for a moment, since
/// a close with unread bytes would look like a failure to the one who sent them.
fn refuse_line(stream: &UnixStream, mut input: BufReader<&UnixStream>) {
    let answer = format!("error: a line is at most {LINE_LIMIT} bytes; the connection is closed\n");
    let _ = (&mut &*stream).write_all(answer.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(DRAIN_LIMIT));
    for _ in 0..DRAIN_READS {
        match input.fill_buf() {
            Ok([]) | Err(_) => return,
            Ok(chunk) => {
                let len = chunk.len();
                input.consume(len);
            }
        }
    }
}
