//! The one HTTP request of a connection: a page, a refusal, or a WebSocket.

use std::io::{self, BufRead, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use log::debug;

use super::frames::Frames;
use super::input::Input;
use super::sniff::{Newcomer, Sniffer};
use crate::delivery::socket::{self, Wait, wait_readable};
use crate::sync::Instant;
use crate::web::http::{Decision, Head, Progress, Refusal, answer, decide};
use crate::web::page;

/// How long the head of a request may take, from its first byte.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// How long an answer may take to be written.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Carries out the request of a newcomer whose first line is HTTP.
///
/// It leaves the room without a word, unless it upgrades. Where something was written already, it
/// gets no answer: that would stand in the middle of other bytes.
///
/// Not inlined: few newcomers need its stack.
#[inline(never)]
pub(super) fn serve(mut newcomer: Sniffer<'_>) -> Newcomer<'_> {
    let is_held = newcomer.hold_until.is_some() || newcomer.outbox.hold_again();
    let membership = newcomer.service.delivery.membership();
    if !is_held {
        membership.withdraw(newcomer.outbox);
        return Newcomer::Gone;
    }
    if !newcomer.may_upgrade() {
        membership.withdraw(newcomer.outbox);
    }
    let decision = match newcomer.read_head() {
        Ok(head) => newcomer.decide(&head),
        Err(_) => return newcomer.withdraw(None),
    };
    let answer = match decision {
        Decision::Upgrade { accept, subprotocol } => {
            return newcomer.upgrade(&answer::encode_upgrade(&accept, subprotocol));
        }
        Decision::Part { part, with_body } => {
            answer::encode_part(part, page::content(part), with_body)
        }
        Decision::Refuse { refusal, with_body } => {
            debug!("client {}: its request is refused: {refusal}", newcomer.outbox.uid());
            answer::encode_refusal(refusal, with_body)
        }
    };
    newcomer.withdraw(Some(answer))
}

/// A head as far as it came, and why no more of it.
struct ReadHead {
    head: Head,
    /// Why it is not whole.
    cut: Option<Refusal>,
}

impl<'a> Sniffer<'a> {
    /// Whether the first line is one with which a WebSocket may begin.
    fn may_upgrade(&self) -> bool {
        let came = [&self.ahead.bytes, self.connected.buffered()].concat();
        let mut words = came.split(|&byte| byte.is_ascii_whitespace());
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        method == b"GET" && path.ends_with(b"/chat")
    }

    /// Reads up to the empty line.
    ///
    /// # Errors
    /// Where the connection has failed.
    fn read_head(&mut self) -> io::Result<ReadHead> {
        let until = self.first_byte.unwrap_or_else(Instant::now) + HEAD_LIMIT;
        let mut head = Head::default();
        head.feed(&self.ahead.bytes);
        self.ahead.bytes = Vec::new();
        while head.progress() == Progress::Unfinished {
            if self.connected.buffered().is_empty()
                && (Instant::now() >= until || !wait_readable(self.connection.stream(), until))
            {
                return Ok(ReadHead { head, cut: Some(Refusal::TooSlow) });
            }
            match self.connected.fill_buf() {
                Ok([]) => return Ok(ReadHead { head, cut: Some(Refusal::HeadCut) }),
                Ok(bytes) => {
                    let taken = head.feed(bytes);
                    self.connected.consume(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ReadHead { head, cut: None })
    }

    fn decide(&self, ReadHead { head, cut }: &ReadHead) -> Decision {
        let refusal = if self.service.is_stopping() {
            Some(Refusal::Stopping)
        } else if head.progress() == Progress::TooLarge {
            Some(Refusal::HeadTooLarge)
        } else {
            *cut
        };
        match refusal {
            Some(refusal) => Decision::Refuse { refusal, with_body: !head.is_head_request() },
            None => decide(head.bytes(), &self.service.web_names),
        }
    }

    /// Takes the newcomer out of the room, and gives its place back.
    fn withdraw(self, answer: Option<Vec<u8>>) -> Newcomer<'a> {
        self.service.delivery.membership().withdraw(self.outbox);
        self.connection.give_back_place();
        answer.map_or(Newcomer::Gone, Newcomer::Page)
    }

    /// Answers that the connection is a WebSocket from here on; what was held follows in a frame.
    fn upgrade(self, answer: &[u8]) -> Newcomer<'a> {
        if !write(self.connection.stream(), answer) {
            return self.withdraw(None);
        }
        let delivery = &self.service.delivery;
        delivery.release(self.outbox, true);
        Newcomer::Member(Input::framed(Frames::new(self.connected, delivery, self.outbox)))
    }
}

/// Writes an answer, and ends the output behind it.
pub(super) fn give(stream: &TcpStream, answer: &[u8]) {
    if write(stream, answer) {
        // Fails only where the peer has gone already.
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// Writes all of `bytes`, and waits for the peer to take them; `false` where it does not.
fn write(stream: &TcpStream, bytes: &[u8]) -> bool {
    let until = Instant::now() + ANSWER_LIMIT;
    let mut rest = bytes;
    while !rest.is_empty() {
        match socket::send(stream, &[IoSlice::new(rest)], Wait::Tick, false) {
            Ok(sent) => rest = &rest[sent..],
            Err(_) => return false,
        }
        if Instant::now() > until {
            return false;
        }
    }
    true
}
