//! Newcomers that are refused: they get an error that reaches them, at a bounded cost.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::delivery::socket::{self, Wait};
use crate::limits::STACK_BYTES;
use crate::reason::{AdmissionError, Fatal};
use crate::supervisor;
use crate::sync::Instant;
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use crate::wire::Inherited;
use crate::wire::server_message::encode_refusal;

/// For how long a refused connection is kept open, for its peer to read why.
const KEPT: Duration = Duration::from_secs(2);

/// How often they are looked at, while there are any.
const TICK: Duration = Duration::from_millis(50);

/// Refuses newcomers, with one thread for all of them.
#[derive(Clone, Debug)]
pub(crate) struct Refuser {
    kept: Sender<TcpStream>,
}

impl Refuser {
    /// Keeps at most `limit` connections open, the latest ones.
    pub(crate) fn start(limit: usize) -> io::Result<Refuser> {
        let (kept, refused) = bounded(1);
        supervisor::spawn("refuse", STACK_BYTES, move || keep(&refused, limit))?;
        Ok(Refuser { kept })
    }

    /// Writes the reason to a newcomer, and keeps the connection for a moment: with what the
    /// newcomer has sent unread, a close would reset the connection and destroy the reason.
    pub(crate) fn refuse(&self, stream: TcpStream, reason: &AdmissionError) {
        write(&stream, reason);
        match self.kept.try_send(stream) {
            Ok(()) => {}
            // Under a storm of newcomers some of them miss the reason.
            Err(TrySendError::Full(stream) | TrySendError::Disconnected(stream)) => drop(stream),
        }
    }
}

/// Writes the reason and ends the output; a new socket takes that much without waiting.
pub(crate) fn write(stream: &TcpStream, reason: &AdmissionError) {
    let mut response = Vec::new();
    encode_refusal(Inherited::default(), &Fatal::Admission(*reason), &mut response);
    // Fails only where the newcomer has gone already.
    let _ = socket::send(stream, &[IoSlice::new(&response)], Wait::No, false);
    let _ = stream.shutdown(Shutdown::Write);
}

/// Drains refused connections until their peers close them, or their time is over.
fn keep(refused: &Receiver<TcpStream>, limit: usize) {
    let mut kept: Vec<(TcpStream, Instant)> = Vec::new();
    loop {
        let next = if kept.is_empty() {
            refused.recv().map_err(RecvTimeoutError::from)
        } else {
            refused.recv_timeout(TICK)
        };
        match next {
            Ok(stream) => {
                if stream.set_nonblocking(true).is_ok() {
                    kept.push((stream, Instant::now() + KEPT));
                }
                if kept.len() > limit {
                    kept.remove(0);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        kept.retain_mut(|(stream, until)| *until > now && is_open(stream));
    }
}

/// Reads and drops what has come; whether more may come.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut dropped = [0; 16 * 1024];
    match stream.read(&mut dropped) {
        Ok(count) => count > 0,
        Err(error) => {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        }
    }
}
