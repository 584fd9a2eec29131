//! How a connection is closed without destroying what was written to it.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::delivery::outbox::Outbox;
use crate::reason::Cause;
use crate::service::Service;
use crate::sync::{Instant, thread};

/// How long a connection is still read after all was written to it, so that its last bytes are not
/// destroyed by a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The same on a WebSocket, for the peer to close it.
const LINGER_FRAMED: Duration = Duration::from_secs(5);

/// The same when the server stops, where the kernel does not tell whether the client has everything.
const LINGER_AT_STOP: Duration = Duration::from_millis(500);

/// A client that was removed and has sent nothing for so long sends nothing for the moment.
const QUIET: Duration = Duration::from_millis(200);

/// How often a stopping session looks whether its output has been written meanwhile.
const STOP_TICK: Duration = Duration::from_millis(20);

/// How often input is drained while output is being written.
const DRAIN_TICK: Duration = Duration::from_millis(200);

/// Closes a connection so that what was written reaches the client.
///
/// A close with unread bytes in the socket would reset the connection and destroy them: so input
/// is drained while the output is written, and for a bounded time after that.
///
/// `input_open`: for how long a connection is read on whose input has not ended.
///
/// Not inlined, like [`drain`]: its frame would be every session's.
#[inline(never)]
pub(super) fn close(
    service: &Service,
    stream: &TcpStream,
    outbox: &Arc<Outbox>,
    input_open: Option<Duration>,
) {
    // Nothing is added any more, so the writer thread ends with the last byte.
    outbox.close_queue();
    if service.is_stopping() {
        close_at_stop(service, stream, outbox);
    } else if outbox.is_removed() {
        close_removed(service, stream, outbox);
    } else {
        close_in_turn(service, stream, outbox, input_open);
    }
}

/// How long a connection is read whose input is open.
pub(super) fn linger(is_framed: bool) -> Duration {
    if is_framed { LINGER_FRAMED } else { LINGER }
}

fn close_in_turn(
    service: &Service,
    stream: &TcpStream,
    outbox: &Outbox,
    input_open: Option<Duration>,
) {
    let linger = input_open.unwrap_or_default();
    let mut input_open = input_open.is_some();
    while input_open && !outbox.is_drained() {
        match drain(stream, RecvFlags::DONTWAIT) {
            Drained::Some => {}
            Drained::Nothing => outbox.wait_drained_for(DRAIN_TICK),
            Drained::End => input_open = false,
        }
        if service.is_stopping() {
            return close_at_stop(service, stream, outbox);
        }
    }
    outbox.wait_drained();
    // Fails on a connection that is gone, and then the reads below fail as well.
    let _ = stream.shutdown(Shutdown::Write);
    if outbox.is_lost() {
        return;
    }
    let until = Instant::now() + linger;
    while input_open {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        input_open = drain(stream, RecvFlags::empty()) == Drained::Some;
    }
}

/// The same for a client that the operator has removed: the server itself has ended the input, as
/// below, but not because it stops itself. So it can give a client that goes on to send the time to
/// read why, before the kernel answers that with a reset; and one that does not read loses the
/// connection after the stall timeout, though bytes of a file be taken all the time.
fn close_removed(service: &Service, stream: &TcpStream, outbox: &Arc<Outbox>) {
    let patience = Instant::now() + service.config.stall_timeout;
    let mut has_all_since = None;
    let mut last_input = Instant::now();
    while !service.is_stopping() {
        let drained = drain(stream, RecvFlags::DONTWAIT);
        let now = Instant::now();
        if drained == Drained::Some {
            last_input = now;
        } else {
            thread::sleep(STOP_TICK);
        }
        if outbox.is_lost() {
            return;
        }
        if let Some(since) = has_all_since {
            if now - last_input.max(since) >= QUIET || now - since >= LINGER {
                let _ = stream.shutdown(Shutdown::Write);
                return;
            }
        } else if outbox.is_drained() && service.is_delivered(stream).unwrap_or(true) {
            has_all_since = Some(now);
        } else if now >= patience {
            service.delivery.membership().disconnect(outbox, Cause::Removed);
            return;
        }
    }
    close_at_stop(service, stream, outbox);
}

/// The same when the server itself has ended the input: what the client still sends can be read,
/// but reading does not wait for it, and its end looks like a pause.
///
/// And here the kernel answers with a reset to what comes behind the end of the output: so that end
/// is sent only once the client's host has everything. The server's own end bounds how long that may
/// take.
fn close_at_stop(service: &Service, stream: &TcpStream, outbox: &Outbox) {
    let until = Instant::now() + LINGER_AT_STOP;
    loop {
        let drained = drain(stream, RecvFlags::DONTWAIT);
        if outbox.is_lost() {
            return;
        }
        if outbox.is_drained() && service.is_delivered(stream).unwrap_or(Instant::now() > until) {
            break;
        }
        if drained != Drained::Some {
            thread::sleep(STOP_TICK);
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// What came of reading once.
#[derive(PartialEq, Eq)]
enum Drained {
    /// Bytes, which are dropped.
    Some,
    /// Nothing that there was to wait for.
    Nothing,
    /// There will be nothing more.
    End,
}

/// Reads and drops once.
///
/// Not inlined: its buffer would stand in the frame of every session for all its life.
#[inline(never)]
fn drain(stream: &TcpStream, flags: RecvFlags) -> Drained {
    let mut dropped = [0; 16 * 1024];
    match recv(stream, &mut dropped, flags) {
        Ok((0, _)) => Drained::End,
        Ok(_) => Drained::Some,
        Err(Errno::INTR) => Drained::Some,
        Err(Errno::AGAIN) => Drained::Nothing,
        Err(_) => Drained::End,
    }
}
