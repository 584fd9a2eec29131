//! How a connection is closed without destroying what was written to it.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::outbox::Outbox;
use crate::server::Shared;

/// How long a connection is still read after all was written to it, so that its last bytes are not
/// destroyed by a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The same when the server stops.
const LINGER_AT_STOP: Duration = Duration::from_millis(500);

/// How often a lingering session looks whether its output has been written meanwhile.
const LINGER_TICK: Duration = Duration::from_millis(20);

/// Closes a connection so that what was written reaches the client.
///
/// A close with unread bytes in the socket would reset the connection and destroy them: so input
/// is drained while the output is written, and for a bounded time after that.
pub(super) fn close(shared: &Shared, outbox: &Outbox, mut input_open: bool) {
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
        Err(error) => {
            matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
        }
    }
}
