//! The one HTTP request of a connection: a page, a refusal, or a WebSocket.

use std::borrow::Cow;
use std::io::{self, BufRead, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use log::debug;

use super::sniff::Sniffer;
use crate::delivery::socket::{self, Wait, wait_readable};
use crate::sync::Instant;
use crate::web::http::{Decision, Head, Progress, Refusal, answer, decide};
use crate::web::page;

/// How long the head of a request may take, from its first byte.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// How long an answer may take to be written.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What a request comes to.
pub(super) enum Answered {
    /// The connection is a WebSocket from here on; its sender stays in the room.
    Upgraded,
    /// This page is the answer. Its sender has left the room without a word.
    Page(Vec<u8>),
    /// No answer: its sender is gone, or would find it in the middle of other bytes.
    Nothing,
}

/// Carries out the request of a newcomer whose first line is HTTP.
///
/// It leaves the room without a word, unless it upgrades. Where something was written already, it
/// gets no answer: that would stand in the middle of other bytes.
///
/// Not inlined: few newcomers need its stack.
#[inline(never)]
pub(super) fn carry_out(newcomer: &mut Sniffer<'_>) -> Answered {
    let is_held = newcomer.hold_until.is_some() || newcomer.outbox.hold_again();
    let membership = newcomer.service.delivery.membership();
    if !is_held {
        membership.withdraw(newcomer.outbox);
        return Answered::Nothing;
    }
    if !newcomer.may_upgrade() {
        membership.withdraw(newcomer.outbox);
    }
    let Ok(head) = newcomer.read_head() else { return newcomer.withdraw(None) };
    let answer = match newcomer.decide(&head) {
        Decision::Upgrade { accept, subprotocol } => {
            let mut answer = answer::encode_upgrade(&accept, subprotocol)
                .map(|part| IoSlice::new(part.as_bytes()));
            if write(newcomer.connection.stream(), &mut answer) {
                return Answered::Upgraded;
            }
            return newcomer.withdraw(None);
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

impl Sniffer<'_> {
    /// Whether the first line is one with which a WebSocket may begin.
    fn may_upgrade(&self) -> bool {
        let mut came = Cow::Borrowed(self.connected.buffered());
        if !self.ahead.bytes.is_empty() {
            came = Cow::Owned([&self.ahead.bytes, &*came].concat());
        }
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
    #[inline(never)]
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
    fn withdraw(&self, page: Option<Vec<u8>>) -> Answered {
        self.service.delivery.membership().withdraw(self.outbox);
        self.connection.give_back_place();
        page.map_or(Answered::Nothing, Answered::Page)
    }
}

/// Writes an answer, and ends the output behind it.
pub(super) fn give(stream: &TcpStream, answer: &[u8]) {
    if write(stream, &mut [IoSlice::new(answer)]) {
        // Fails only where the peer has gone already.
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// Writes all of `rest`, and waits for the peer to take it; `false` where it does not.
fn write(stream: &TcpStream, mut rest: &mut [IoSlice<'_>]) -> bool {
    let until = Instant::now() + ANSWER_LIMIT;
    while !rest.is_empty() {
        match socket::send(stream, rest, Wait::Tick, false) {
            Ok(sent) => IoSlice::advance_slices(&mut rest, sent),
            Err(_) => return false,
        }
        if Instant::now() > until {
            return false;
        }
    }
    true
}
