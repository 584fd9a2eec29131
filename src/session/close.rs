//! How a connection is closed without destroying what was written to it.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::outbox::Outbox;
use crate::server::Shared;

/// How long a connection is still read after all was written to it, so that its last bytes are not
/// destroyed by a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The same when the server stops, where the kernel does not tell whether the client has everything.
const LINGER_AT_STOP: Duration = Duration::from_millis(500);

/// How often a lingering session looks whether its output has been written meanwhile.
const LINGER_TICK: Duration = Duration::from_millis(20);

/// Closes a connection so that what was written reaches the client.
///
/// A close with unread bytes in the socket would reset the connection and destroy them: so input
/// is drained while the output is written, and for a bounded time after that.
pub(super) fn close(shared: &Shared, outbox: &Outbox, input_open: bool) {
    let stream = outbox.stream();
    // Fails on a connection that is gone, and then the reads below fail as well.
    let _ = stream.set_read_timeout(Some(LINGER_TICK));
    if shared.is_stopping() {
        close_at_stop(shared, outbox);
    } else {
        close_in_turn(shared, outbox, input_open);
    }
}

fn close_in_turn(shared: &Shared, outbox: &Outbox, mut input_open: bool) {
    let stream = outbox.stream();
    while input_open && !outbox.is_drained() {
        input_open = drain(stream) != Drained::End;
    }
    outbox.wait_drained();
    let _ = stream.shutdown(Shutdown::Write);
    let lingering = shared.linger();
    if outbox.is_broken() || lingering.is_none() {
        return;
    }
    let until = Instant::now() + LINGER;
    while input_open && Instant::now() < until {
        input_open = drain(stream) != Drained::End;
    }
}

/// The same when the server itself has ended the input: what the client still sends can be read,
/// but reading does not wait for it, and its end looks like a pause.
///
/// And here the kernel answers with a reset to whatever comes behind the end of the output: so that
/// end is sent only once the client's host has everything. How long that may take is bounded by
/// whoever stops the server.
fn close_at_stop(shared: &Shared, outbox: &Outbox) {
    let stream = outbox.stream();
    let until = Instant::now() + LINGER_AT_STOP;
    loop {
        let drained = drain(stream);
        if outbox.is_broken() {
            return;
        }
        if outbox.is_drained() && shared.is_delivered(stream).unwrap_or(Instant::now() > until) {
            break;
        }
        if drained == Drained::End {
            thread::sleep(LINGER_TICK);
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// What came of reading once.
#[derive(PartialEq, Eq)]
enum Drained {
    /// Bytes, which are dropped.
    Some,
    /// Nothing for a tick.
    Nothing,
    /// There will be nothing more.
    End,
}

/// Reads and drops once.
///
/// Not inlined: its buffer would stand in the frame of every session for all its life.
#[inline(never)]
fn drain(mut stream: &TcpStream) -> Drained {
    let mut dropped = [0; 16 * 1024];
    match stream.read(&mut dropped) {
        Ok(0) => Drained::End,
        Ok(_) => Drained::Some,
        Err(error) => match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Drained::Nothing,
            _ => Drained::End,
        },
    }
}
