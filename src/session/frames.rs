//! A client on a WebSocket: its bytes out of the frames, and the answers to its control frames.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::input::Connected;
use crate::delivery::Delivery;
use crate::delivery::outbox::Outbox;
use crate::reason::Cause;
use crate::web::websocket::{CloseCode, ControlFrame, Ending, Unframed};

/// How much is taken out of frames at a time where lines are read. The connection has a buffer of
/// its own below, so this one costs no system calls.
/// Of Pings that come together in so many bytes the newest is answered.
const BUFFER_BYTES: usize = 128;

type OnPing<'a> = Box<dyn FnMut(ControlFrame) + 'a>;

/// The bytes of a client on a WebSocket.
pub(super) struct Frames<'a> {
    unframed: Unframed<Connected<'a>, OnPing<'a>>,
    buffer: [u8; BUFFER_BYTES],
    start: usize,
    end: usize,
}

impl<'a> Frames<'a> {
    /// Reads frames from a connection whose next byte is the first behind the request.
    pub(super) fn new(
        connected: Connected<'a>,
        delivery: &'a Delivery,
        outbox: &'a Arc<Outbox>,
    ) -> Frames<'a> {
        let on_ping = Box::new(move |pong: ControlFrame| answer_ping(delivery, outbox, &pong));
        Frames {
            unframed: Unframed::new(connected, on_ping),
            buffer: [0; BUFFER_BYTES],
            start: 0,
            end: 0,
        }
    }

    pub(super) fn connected(&mut self) -> &mut Connected<'a> {
        self.unframed.get_mut()
    }

    /// What was taken out of frames already.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the frames have ended before the connection.
    pub(super) fn have_ended(&self) -> bool {
        self.unframed.ending().is_some_and(|ending| ending != Ending::Cut)
    }

    /// Whether the client broke the rules of frames.
    pub(super) fn are_violated(&self) -> bool {
        matches!(self.unframed.ending(), Some(Ending::Violated(_)))
    }

    /// The code of the Close for a client that leaves with this cause.
    pub(super) fn close_code(&self, cause: Cause) -> CloseCode {
        self.unframed.ending().and_then(Ending::answer).unwrap_or(match cause {
            Cause::ServerStopped => CloseCode::GOING_AWAY,
            _ => CloseCode::NORMAL,
        })
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && buffer.len() >= BUFFER_BYTES {
            return self.unframed.read(buffer);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Frames<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            // In this order: an error leaves nothing behind that was there.
            (self.start, self.end) = (0, 0);
            self.end = self.unframed.read(&mut self.buffer)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }
}

/// Queues a Pong. It counts as queue: a client that does not read is not read either.
fn answer_ping(delivery: &Delivery, outbox: &Arc<Outbox>, pong: &ControlFrame) {
    if outbox.over().is_some() {
        // Nothing may be held back while waiting.
        delivery.flush_blocking();
        let is_gone = || outbox.is_ended();
        delivery.backpressure().wait_until_clear(outbox, is_gone);
    }
    delivery.room().add_control(outbox, pong.as_ref());
    delivery.flush_or_delegate();
}
