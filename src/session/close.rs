//! How a connection is closed without destroying what was written to it.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::delivery::outbox::Outbox;
use crate::service::Service;
use crate::sync::{Instant, thread};

/// How long a connection is still read after all was written to it, so that its last bytes are not
/// destroyed by a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The same when the server stops, where the kernel does not tell whether the client has everything.
const LINGER_AT_STOP: Duration = Duration::from_millis(500);

/// How often a stopping session looks whether its output has been written meanwhile.
const STOP_TICK: Duration = Duration::from_millis(20);

/// How often input is drained while output is being written.
const DRAIN_TICK: Duration = Duration::from_millis(200);

/// Closes a connection so that what was written reaches the client.
///
/// A close with unread bytes in the socket would reset the connection and destroy them: so input
/// is drained while the output is written, and for a bounded time after that.
pub(super) fn close(service: &Service, stream: &TcpStream, outbox: &Outbox, input_open: bool) {
    // Nothing is added any more, so the writer thread ends with the last byte.
    outbox.close_queue();
    if service.is_stopping() {
        close_at_stop(service, stream, outbox);
    } else {
        close_in_turn(service, stream, outbox, input_open);
    }
}

fn close_in_turn(service: &Service, stream: &TcpStream, outbox: &Outbox, mut input_open: bool) {
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
    let until = Instant::now() + LINGER;
    while input_open {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        input_open = drain(stream, RecvFlags::empty()) == Drained::Some;
    }
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
