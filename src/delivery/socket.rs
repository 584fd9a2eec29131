//! A client as delivery sees it: something that takes bytes, and can be gone.
//!
//! Everything that writes to a client goes through [`Socket`]: so the room, the queues and the
//! flusher do not know what a client is connected by, and are tested without a listener. The real one
//! is a [`Connection`]; tests have one in memory (`memory`).

#[cfg(test)]
pub(crate) mod memory;

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::SockRef;

use super::tcp_info::{SocketStats, TcpInfo};
use crate::admission::ClientSlot;
use crate::reason::Cause;
use crate::sync::{Instant, Mutex};

/// The most slices of one system call, of the kernel's 1,024: more bring nothing.
pub(crate) const SLICES_LIMIT: usize = 64;

/// How many bytes of a file are read into memory where a send must not wait.
const FILE_PART_BYTES: usize = 64 * 1024;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Whether a send may wait for the peer to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It returns at once.
    No,
    /// It waits for the send timeout of the connection at the most.
    Tick,
}

/// The way to one client.
pub(crate) trait Socket: fmt::Debug + Send + Sync {
    /// Sends slices with one system call, [`SLICES_LIMIT`] at the most; returns how many bytes were
    /// taken, 0 where nothing is now. `more`: other bytes follow at once.
    ///
    /// # Errors
    /// How the client has left.
    fn send(&self, slices: &[IoSlice<'_>], wait: Wait, more: bool) -> Result<usize, Cause>;

    /// Sends at most `len` bytes of a file from `offset` on, and moves `offset` on by as much.
    ///
    /// # Errors
    /// How the client has left; [`Cause::ServerFailed`] where the file ends before.
    fn send_file(&self, file: &File, offset: &mut u64, len: usize, wait: Wait)
    -> Result<(), Cause>;

    /// What became of the bytes that were taken; `None` where the system does not tell.
    fn stats(&self, tcp_info: &TcpInfo) -> Option<SocketStats>;

    /// How the client has left, where a send would find out.
    fn find_loss(&self) -> Option<Cause>;

    /// Lets what has come be read, and ends the input behind it.
    fn end_input(&self);

    /// Ends both at once; the connection is reset when nobody uses it any more.
    fn reset(&self);

    /// Where the client has connected from, and when; `None` in tests.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// What is to be waited for until the socket takes bytes; `None` where it always does.
    fn writable(&self) -> Option<BorrowedFd<'_>>;
}

/// Where a client has connected from, and when. For the operator alone (R4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) since: Instant,
}

/// A client's TCP connection, and the place that it takes: given back once the connection is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    // In this order: the connection is closed first.
    stream: TcpStream,
    slot: Mutex<Option<ClientSlot>>,
    origin: Origin,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, slot: ClientSlot, peer: SocketAddr) -> Arc<Connection> {
        let slot = Mutex::new(Some(slot));
        let origin = Origin { peer, since: Instant::now() };
        Arc::new(Connection { stream, slot, origin })
    }

    /// Gives the place back already: what is still written is no client's.
    pub(crate) fn give_back_place(&self) {
        drop(self.slot.lock().take());
    }

    /// When it was accepted.
    pub(crate) fn accepted(&self) -> Instant {
        self.origin.since
    }

    /// The connection as its session reads it.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Socket for Connection {
    fn send(&self, slices: &[IoSlice<'_>], wait: Wait, more: bool) -> Result<usize, Cause> {
        send(&self.stream, slices, wait, more)
    }

    fn send_file(
        &self,
        file: &File,
        offset: &mut u64,
        len: usize,
        wait: Wait,
    ) -> Result<(), Cause> {
        if wait == Wait::No {
            // There is no sendfile(2) that does not wait on a connection that may.
            let mut part = vec![0; len.min(FILE_PART_BYTES)];
            file.read_exact_at(&mut part, *offset).map_err(|_| Cause::ServerFailed)?;
            *offset += self.send(&[IoSlice::new(&part)], wait, false)? as u64;
            return Ok(());
        }
        match sendfile(&self.stream, file, Some(offset), len) {
            // The file is shorter than its response's header has said: somebody cut it.
            Ok(0) => Err(Cause::ServerFailed),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(cause_of(&error.into())),
        }
    }

    fn stats(&self, tcp_info: &TcpInfo) -> Option<SocketStats> {
        tcp_info.ask(&self.stream)
    }

    fn find_loss(&self) -> Option<Cause> {
        let mut polled = [PollFd::new(&self.stream, PollFlags::empty())];
        let found = poll(&mut polled, Some(&AT_ONCE));
        if !matches!(found, Ok(1)) {
            return None;
        }
        Some(match self.stream.take_error() {
            Ok(Some(error)) => cause_of(&error),
            // The session was told of the error first.
            Ok(None) | Err(_) => Cause::Reset,
        })
    }

    fn end_input(&self) {
        // Fails on a connection that is gone: its session sees the end anyway.
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    fn reset(&self) {
        // Both fail on a connection that is gone already, which is as good.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin)
    }

    fn writable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }
}

/// Sends slices on a connection with one system call; returns how many bytes were taken.
///
/// # Errors
/// How the client has left, by what the system says of the connection.
pub(crate) fn send(
    stream: &TcpStream,
    slices: &[IoSlice<'_>],
    wait: Wait,
    more: bool,
) -> Result<usize, Cause> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, wait == Wait::No);
    flags.set(SendFlags::MORE, more);
    loop {
        let sent = match slices {
            // The kernel has no list of slices to copy in for this one.
            [one] => rustix::net::send(stream, one, flags),
            _ => sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags),
        };
        match sent {
            Ok(sent) => return Ok(sent),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(cause_of(&error.into())),
        }
    }
}

/// Waits until one of the sockets takes bytes, or until `limit` has passed.
pub(crate) fn wait_writable<'a>(sockets: impl Iterator<Item = &'a dyn Socket>, limit: Duration) {
    let mut polled = Vec::new();
    for socket in sockets {
        match socket.writable() {
            Some(fd) => polled.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT)),
            None => return,
        }
    }
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // What interrupts it is as good a reason to look again.
    let _ = poll(&mut polled, Some(&limit));
}

/// Waits until something can be read, the end of input included; `false` if nothing can until then.
pub(crate) fn wait_readable(stream: &TcpStream, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&limit)) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            // What is wrong, a read will say.
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Which of these clients are gone, by their index, and how each has left: what a send to each of
/// them would find out, at the price of one system call for all.
pub(crate) fn find_losses<'a>(
    sockets: impl ExactSizeIterator<Item = &'a dyn Socket> + Clone,
) -> Vec<(usize, Cause)> {
    let mut polled = Vec::with_capacity(sockets.len());
    polled.extend(sockets.clone().map_while(|socket| {
        Some(PollFd::from_borrowed_fd(socket.writable()?, PollFlags::empty()))
    }));
    if polled.len() == sockets.len() {
        let is_none_gone = polled.is_empty() || matches!(poll(&mut polled, Some(&AT_ONCE)), Ok(0));
        if is_none_gone {
            return Vec::new();
        }
    }
    let losses = sockets.enumerate();
    losses.filter_map(|(index, socket)| Some((index, socket.find_loss()?))).collect()
}

/// How a client has left, by an error of its connection.
pub(crate) fn cause_of(error: &io::Error) -> Cause {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    match error.kind() {
        // Linux says EPIPE where the peer had closed, and ECONNRESET where it had not.
        BrokenPipe => Cause::Closed,
        ConnectionReset | ConnectionAborted => Cause::Reset,
        TimedOut | HostUnreachable | NetworkUnreachable | NetworkDown => Cause::Vanished,
        // Memory, mostly: nothing that the client has done.
        _ => Cause::ServerFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_client_has_left_is_told_by_the_error_of_its_connection() {
        let cases = [
            (Errno::PIPE, Cause::Closed),
            (Errno::CONNRESET, Cause::Reset),
            (Errno::CONNABORTED, Cause::Reset),
            (Errno::TIMEDOUT, Cause::Vanished),
            (Errno::HOSTUNREACH, Cause::Vanished),
            (Errno::NETUNREACH, Cause::Vanished),
            (Errno::NOMEM, Cause::ServerFailed),
            (Errno::NOBUFS, Cause::ServerFailed),
            (Errno::BADF, Cause::ServerFailed),
        ];
        for (errno, expected) in cases {
            assert_eq!(cause_of(&errno.into()), expected, "{errno}");
        }
    }
}
