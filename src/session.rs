//! One client from its first byte to its close: the thread that reads it.
//!
//! Finds out what the newcomer speaks (`sniff`): a browser gets its page (`page`), or a WebSocket whose
//! frames are taken off below all the rest (`frames`). Then it reads a message (`input`), has it
//! carried out (a file each: `chat`, `file`, `query`, `nickname`), answers it (`respond`), reads the
//! next; and ends in a way that lets the client read what it was still sent (`close`). Knows nothing
//! of the grammar ([`crate::wire`]) and of listening.

mod chat;
mod close;
mod file;
mod frames;
mod input;
mod nickname;
mod page;
mod query;
mod respond;
mod sniff;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{info, log_enabled, trace};

use self::frames::Frames;
use self::input::Input;
use self::sniff::Newcomer;
use crate::delivery::outbox::Outbox;
use crate::delivery::socket::{Connection, cause_of};
use crate::reason::{Cause, Fatal, Refusal};
use crate::service::Service;
use crate::text::Nickname;
use crate::web::websocket::ControlFrame;
use crate::wire::client_message::read_client_message;
use crate::wire::{
    Accepts, Chat, ClientMessage, ContentType, Extensions, Fault, Inherited, MessageType, Parsed,
    ReadError, Request,
};

pub(crate) use self::input::SILENCE_LIMIT;

/// What this server offers beyond the draft: the one switch for all of it.
const EXTENSIONS: Extensions = Extensions::On;

/// How a session ends.
enum Ending {
    /// `bye` (§2.3.4).
    Bye,
    /// The client closed its sending side between messages, or inside one already refused.
    Closed,
    /// The end of a message is not known, or never came: the client is told why.
    Fatal { reason: Fatal, inherited: Inherited, cause: Cause },
    /// The connection failed: nobody is there to be told.
    Lost(Cause),
    /// The server stops.
    Stopping,
    /// The operator has removed the client, and has said so: there is nothing to be added.
    Removed,
}

/// How a connection has been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It was a client of the room, or nobody to be served.
    Client,
    /// It got an answer of HTTP, and may not have read it yet.
    Page,
}

/// Serves a client from `host` until it is gone, or gives a browser its page. The connection is
/// closed when the last reference is dropped.
pub(crate) fn run(
    service: &Service,
    connection: &Connection,
    outbox: Arc<Outbox>,
    host: IpAddr,
) -> Served {
    let leaves = LeaveOnDrop { service, outbox: &outbox };
    let reading = service.begin_reading();
    let input = match sniff::meet(service, connection, &outbox) {
        Newcomer::Member(input) => input,
        Newcomer::Page(answer) => {
            drop(reading);
            page::give(connection.stream(), &answer);
            return Served::Page;
        }
        Newcomer::Gone => return Served::Client,
    };
    info!("client {}: joined from {host}", outbox.uid());
    let mut session = Session::new(service, input, &outbox);
    let ending = session.converse();
    drop(reading);
    service.wait_for_readers();
    // Whatever else a session that was woken has seen.
    let ending = if outbox.is_removed() { Ending::Removed } else { ending };
    let input_open = session.input_open(&ending);
    session.say_last_words(ending);
    drop(leaves);
    service.delivery.flush_blocking();
    close::close(service, connection.stream(), &outbox, input_open);
    Served::Client
}

/// Takes the client out of the room whichever way its thread ends, a panic included, and lets the
/// others know.
struct LeaveOnDrop<'a> {
    service: &'a Service,
    outbox: &'a Arc<Outbox>,
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        let membership = self.service.delivery.membership();
        // The first cause wins: this one counts only where no other was given.
        if std::thread::panicking() {
            membership.disconnect(self.outbox, Cause::ServerFailed);
        } else {
            membership.leave(self.outbox, Cause::ServerFailed);
        }
        // Behind all that it said.
        membership.room.end(self.outbox);
    }
}

struct Session<'a> {
    service: &'a Service,
    outbox: &'a Arc<Outbox>,
    input: Input<'a>,
    line: Vec<u8>,
    body: Vec<u8>,
    nickname: Option<Nickname>,
}

impl<'a> Session<'a> {
    fn new(service: &'a Service, input: Input<'a>, outbox: &'a Arc<Outbox>) -> Session<'a> {
        Session { service, outbox, input, line: Vec::new(), body: Vec::new(), nickname: None }
    }

    /// Reads and carries out messages until there are no more.
    ///
    /// Not inlined, as all that only the end of a session needs: an idle client is little but a stack.
    #[inline(never)]
    fn converse(&mut self) -> Ending {
        loop {
            self.wait_for_own_queue();
            if self.outbox.is_removed() {
                return Ending::Removed;
            }
            if self.service.is_stop_overdue() {
                return Ending::Stopping;
            }
            let charset = self.service.config.charset;
            let accepts = Accepts { extensions: EXTENSIONS, charset };
            let read = read_client_message(&mut self.input, &mut self.line, accepts);
            let carried_out = match read {
                Ok(Some(Parsed::Message(message))) => self.carry_out(message),
                Ok(Some(Parsed::Refused { error, inherited, body_len })) => self
                    .skip_body(body_len, inherited)
                    .map(|()| self.refuse(inherited, &Refusal::from(error))),
                Ok(None) if self.service.is_stopping() => return Ending::Stopping,
                Ok(None) => return Ending::Closed,
                Err(Fault { error: ReadError::TimedOut { inside: false }, .. }) => continue,
                Err(fault) => return self.fault(fault),
            };
            if let Err(ending) = carried_out {
                return ending;
            }
        }
    }

    fn fault(&self, fault: Fault) -> Ending {
        let inherited = fault.inherited;
        match fault.error {
            ReadError::Refused(error) => {
                let reason = Fatal::Header(error);
                Ending::Fatal { reason, inherited, cause: Cause::Malformed }
            }
            ReadError::Ended => self.ended(Fatal::EndedInHeader, inherited),
            ReadError::TimedOut { .. } => input::silent(inherited),
            ReadError::Failed(error) => Ending::Lost(cause_of(&error)),
        }
    }

    /// Waits until the client's own queue is no longer over the limit: its answers fill it.
    fn wait_for_own_queue(&mut self) {
        if self.outbox.over().is_some() {
            self.flush_before_waiting();
            let is_gone = || self.outbox.is_ended() || self.service.is_stop_overdue();
            self.service.delivery.backpressure().wait_until_clear(self.outbox, is_gone);
        }
    }

    #[inline(never)]
    fn carry_out(&mut self, message: ClientMessage) -> Result<(), Ending> {
        let ClientMessage { request, inherited, body_len } = message;
        if log_enabled!(log::Level::Trace) {
            self.trace(&request, inherited, body_len);
        }
        match request {
            Request::Chat(Chat { to, content_type: ContentType::Text, .. }) => {
                self.relay_text(to, inherited, body_len)
            }
            Request::Chat(Chat { to, content_type: ContentType::File(extension), file_name }) => {
                self.share(to, &extension, file_name.as_ref(), inherited, body_len)
            }
            Request::Query => self.short(MessageType::Query, inherited, body_len, |s, body, id| {
                Ok(s.query(body, id))
            }),
            Request::Fetch => self.short(MessageType::Fetch, inherited, body_len, |s, body, id| {
                Ok(s.fetch(body, id))
            }),
            Request::Nickname => {
                self.short(MessageType::Nickname, inherited, body_len, Self::set_nickname)
            }
            Request::Bye => Err(Ending::Bye),
        }
    }

    fn trace(&self, request: &Request, inherited: Inherited, body_len: u64) {
        let uid = self.outbox.uid();
        let id = inherited.id;
        match request {
            Request::Chat(Chat { to, content_type, .. }) => {
                let kind = content_type.as_str();
                match to {
                    Some(to) => trace!("client {uid}: chat {id} to {to}, {kind}, {body_len} bytes"),
                    None => trace!("client {uid}: chat {id}, {kind}, {body_len} bytes"),
                }
            }
            _ => {
                let name = inherited.message_type.map_or("unknown", MessageType::name);
                trace!("client {uid}: {name} {id}, {body_len} bytes");
            }
        }
    }

    /// Whether the input has not ended, and then for how long the connection is read on.
    fn input_open(&self, ending: &Ending) -> Option<Duration> {
        let frames = self.input.frames();
        let is_open = matches!(ending, Ending::Bye | Ending::Fatal { .. } | Ending::Stopping)
            || frames.is_some_and(Frames::have_ended);
        is_open.then(|| close::linger(frames.is_some()))
    }

    /// Adds the last error, leaves the room, and closes a WebSocket behind it.
    #[inline(never)]
    fn say_last_words(&mut self, ending: Ending) {
        let is_lost = matches!(ending, Ending::Lost(_));
        let cause = match ending {
            Ending::Bye => Cause::SaidBye,
            Ending::Closed if self.input.frames().is_some_and(Frames::are_violated) => {
                Cause::Malformed
            }
            Ending::Closed => Cause::Closed,
            Ending::Lost(cause) => cause,
            Ending::Stopping => Cause::ServerStopped,
            Ending::Removed => Cause::Removed,
            Ending::Fatal { reason, inherited, cause } => {
                self.refuse(inherited, &reason);
                cause
            }
        };
        let delivery = &self.service.delivery;
        delivery.membership().leave(self.outbox, cause);
        if let Some(frames) = self.input.frames().filter(|_| !is_lost) {
            let close = ControlFrame::close(frames.close_code(cause));
            delivery.room().add_control(self.outbox, close.as_ref());
        }
    }
}

#[cfg(test)]
mod tests;
