//! What a newcomer speaks, and the hold of its output until that is known.
//!
//! A client is a member from its first moment, and browsers open connections on which they say
//! nothing for a while: to a relay that comes there, a browser would say that it is no HTTP. So what
//! is for a newcomer waits until its first byte, or for half a second; and longer only as long as
//! what has come may still become an HTTP request line, within that time, or is one.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::Duration;

use super::frames::Frames;
use super::input::{Ahead, Connected, Input, SILENCE_LIMIT};
use super::page::{self, Answered};
use crate::delivery::outbox::Outbox;
use crate::delivery::socket::{Connection, wait_readable};
use crate::service::Service;
use crate::sync::Instant;
use crate::web::http::{Dialect, FirstLine};

/// How long after a connection was accepted its output is held, unless it is HTTP: half a second, less
/// what a timeout for reads may be late (32 ms where the kernel counts 250 ticks a second).
const HOLD: Duration = Duration::from_millis(470);

/// What a newcomer turned out to be.
pub(super) enum Newcomer<'a> {
    /// A client of the room, whose messages come here.
    Member(Input<'a>),
    /// A request, which gets this answer. It has left the room without a word.
    Page(Vec<u8>),
    /// A request that cannot be answered, or whose sender is gone.
    Gone,
}

/// Finds out what a newcomer speaks, and carries out the request of one that speaks HTTP.
///
/// Not inlined: what it needs would be on the stack for as long as the session lasts.
#[inline(never)]
pub(super) fn meet<'a>(
    service: &'a Service,
    connection: &'a Connection,
    outbox: &'a Arc<Outbox>,
) -> Newcomer<'a> {
    let connected = Connected::new(connection.stream(), &service.delivery, outbox);
    let mut sniffer = Sniffer {
        service,
        connection,
        outbox,
        connected,
        ahead: Ahead::default(),
        hold_until: service.config.web.then(|| connection.accepted() + HOLD),
        first_byte: None,
    };
    if sniffer.hold_until.is_some() && sniffer.dialect() == Dialect::Http {
        sniffer.limit_reads(SILENCE_LIMIT);
        return match page::carry_out(&mut sniffer) {
            Answered::Upgraded => Newcomer::Member(sniffer.upgraded()),
            Answered::Page(page) => Newcomer::Page(page),
            Answered::Nothing => Newcomer::Gone,
        };
    }
    sniffer.release();
    Newcomer::Member(Input::raw(sniffer.connected, sniffer.ahead))
}

/// A connection of which it is not known yet what it speaks.
pub(super) struct Sniffer<'a> {
    pub(super) service: &'a Service,
    pub(super) connection: &'a Connection,
    pub(super) outbox: &'a Arc<Outbox>,
    pub(super) connected: Connected<'a>,
    /// What was read of the first line; the rest stands in the connection's buffer.
    pub(super) ahead: Ahead,
    /// Until when its output is held, while it is.
    pub(super) hold_until: Option<Instant>,
    /// When its first byte had come.
    pub(super) first_byte: Option<Instant>,
}

impl<'a> Sniffer<'a> {
    /// Reads the first line. Where it ends before that is known, the session finds out why.
    fn dialect(&mut self) -> Dialect {
        let mut line = FirstLine::default();
        loop {
            self.limit_reads_to_hold();
            match self.connected.fill_buf() {
                Ok([]) => return Dialect::Mcmp,
                Ok(bytes) => {
                    self.first_byte.get_or_insert_with(Instant::now);
                    if let Some(dialect) = line.feed(bytes) {
                        return dialect;
                    }
                    let count = bytes.len();
                    self.ahead.bytes.extend_from_slice(bytes);
                    self.connected.consume(count);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock if self.hold_until.is_some() => self.release(),
                    // Nobody needs to say anything.
                    io::ErrorKind::WouldBlock if self.ahead.bytes.is_empty() => {}
                    _ => {
                        self.ahead.error = Some(error);
                        return Dialect::Mcmp;
                    }
                },
            }
        }
    }

    /// Lets the next read wait no longer than the output is held. A timeout for reads and no poll(2)
    /// before each: that would be one more wait to be set up, with a timer of its own.
    fn limit_reads_to_hold(&mut self) {
        let Some(until) = self.hold_until else { return };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            self.limit_reads(left);
        } else if !wait_readable(self.connection.stream(), until) {
            // What had come by then is looked at, also after a time in which the server did not run.
            self.release();
        }
    }

    fn limit_reads(&self, limit: Duration) {
        // Fails on no connection, a broken one included.
        let _ = self.connection.stream().set_read_timeout(Some(limit));
    }

    /// What was held follows the answer in a frame, and frames come in.
    #[inline(never)]
    fn upgraded(self) -> Input<'a> {
        let Sniffer { service, outbox, connected, .. } = self;
        service.delivery.release(outbox, true);
        Input::framed(Frames::new(connected, &service.delivery, outbox))
    }

    /// Lets the newcomer's output go out as it is.
    fn release(&mut self) {
        if self.hold_until.take().is_some() {
            self.limit_reads(SILENCE_LIMIT);
        }
        self.service.delivery.release(self.outbox, false);
    }
}
