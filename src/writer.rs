//! A client's writer thread: sends what its socket did not take at once.
//!
//! It is started by the first leftover, is the socket's only writer until all is sent, and ends
//! after a second without work; so an idle client has none. It waits for its own queue and its own
//! socket alone, for as long as [`crate::stall`] lets the client keep it waiting.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::fs::sendfile;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use crate::delivery::Delivery;
use crate::outbox::{Chunk, Outbox};
use crate::reason::Cause;

/// How long an idle writer thread is kept for the next leftover.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// The most slices of one `sendmsg`, of the kernel's 1,024: more bring nothing.
pub(crate) const SLICES_LIMIT: usize = 64;

/// The most bytes of one `sendfile`, so that a client that was cut off is noticed in between, and that
/// one reads, however slowly: the kernel may wait for a tick before each 64 kB or so, and a tick is a
/// sixteenth of the stall timeout.
const FILE_STEP: u64 = 256 * 1024;

/// Writes for one client until nothing has been queued for as long as `idle`.
pub(crate) fn run(
    outbox: &Arc<Outbox>,
    queue: &Receiver<Chunk>,
    delivery: &Delivery,
    idle: Duration,
) {
    outbox.set_served(true);
    let end = Writer { outbox, queue, delivery, idle, hand: VecDeque::new() }.run();
    outbox.set_served(false);
    if let Err(cause) = end {
        match cause {
            Cause::Closed | Cause::Reset | Cause::Vanished => delivery.lose(outbox, cause),
            _ => delivery.cut(outbox, cause),
        }
    }
}

struct Writer<'a> {
    outbox: &'a Outbox,
    queue: &'a Receiver<Chunk>,
    delivery: &'a Delivery,
    idle: Duration,
    /// What was taken from the queue and is not in the socket yet.
    hand: VecDeque<Chunk>,
}

impl Writer<'_> {
    fn run(mut self) -> Result<(), Cause> {
        while self.take() {
            let sent = match self.hand.front() {
                Some(Chunk::File { .. }) => self.send_file()?,
                _ => self.send_bytes()?,
            };
            self.outbox.count_taken(sent);
        }
        Ok(())
    }

    /// Takes what is queued, waiting if there is nothing; `false` where the thread is to end.
    fn take(&mut self) -> bool {
        while self.hand.is_empty() {
            match self.queue.recv_timeout(self.idle) {
                Ok(chunk) => self.hand.push_back(chunk),
                Err(RecvTimeoutError::Timeout) if self.outbox.retire(self.queue) => return false,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        let room = SLICES_LIMIT.saturating_sub(self.hand.len());
        self.hand.extend(self.queue.try_iter().take(room));
        !self.outbox.is_broken()
    }

    /// Sends the bytes at the front of the hand, up to the next file; waits a tick at the most.
    fn send_bytes(&mut self) -> Result<u64, Cause> {
        let mut slices = [IoSlice::new(&[]); SLICES_LIMIT];
        let mut count = 0;
        let mut more = false;
        for chunk in self.hand.iter().take(SLICES_LIMIT) {
            match chunk {
                Chunk::Bytes(bytes, range) => {
                    slices[count] = IoSlice::new(&bytes[range.clone()]);
                    count += 1;
                }
                Chunk::File { .. } => {
                    more = true;
                    break;
                }
            }
        }
        // A response's header leaves together with the first bytes of its file.
        let flags = if more { SendFlags::MORE } else { SendFlags::empty() };
        let sent = send(self.outbox.stream(), &slices[..count], flags)?.unwrap_or(0);
        self.advance(sent);
        Ok(sent as u64)
    }

    /// Drops `sent` bytes from the front of the hand.
    fn advance(&mut self, sent: usize) {
        let mut left = sent;
        while let Some(Chunk::Bytes(_, range)) = self.hand.front_mut() {
            let part = range.len().min(left);
            range.start += part;
            left -= part;
            if range.start < range.end {
                break;
            }
            self.hand.pop_front();
        }
        self.lower(sent);
    }

    /// Sends a part of the file at the front of the hand; waits a tick at the most.
    fn send_file(&mut self) -> Result<u64, Cause> {
        let Some(Chunk::File { file, offset, end }) = self.hand.front_mut() else {
            return Ok(0);
        };
        let step = (*end - *offset).min(FILE_STEP);
        let sent = match step {
            0 => 0,
            // The step is at most a mebibyte, so the cast keeps all of it.
            _ => match sendfile(self.outbox.stream(), &**file, Some(offset), step as usize) {
                // The file is shorter than its response's header has said: somebody cut it.
                Ok(0) => return Err(Cause::ServerFailed),
                Ok(sent) => sent as u64,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(cause_of(&error.into())),
            },
        };
        if *offset == *end {
            self.hand.pop_front();
            self.outbox.end_file();
            self.lower(1);
        }
        Ok(sent)
    }

    fn lower(&mut self, cost: usize) {
        if self.outbox.lower(cost) <= self.delivery.queue_limit() / 2 {
            self.delivery.pressure().fall(self.outbox.uid());
        }
    }
}

/// Sends slices with one system call; `None` where the socket takes nothing now.
///
/// # Errors
/// How the client has left, by what the system says of the connection.
pub(crate) fn send(
    stream: &TcpStream,
    slices: &[IoSlice<'_>],
    flags: SendFlags,
) -> Result<Option<usize>, Cause> {
    let flags = flags | SendFlags::NOSIGNAL;
    loop {
        let sent = match slices {
            // The kernel has no list of slices to copy in for this one.
            [one] => rustix::net::send(stream, one, flags),
            _ => sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags),
        };
        match sent {
            Ok(sent) => return Ok(Some(sent)),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(cause_of(&error.into())),
        }
    }
}

/// How a client has left, by an error of its connection.
pub(crate) fn cause_of(error: &io::Error) -> Cause {
    match error.kind() {
        // Linux says EPIPE where the peer had closed, and ECONNRESET where it had not.
        io::ErrorKind::BrokenPipe => Cause::Closed,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Cause::Reset,
        _ => Cause::Vanished,
    }
}
