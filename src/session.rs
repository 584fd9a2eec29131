//! One client from its first byte to its close: the thread that reads it.
//!
//! Reads a message, has it carried out (`requests`), reads the next (`input`); and ends in a way that
//! lets the client read what it was still sent (`close`). Knows nothing of the grammar
//! ([`crate::wire`]) and of listening.

mod close;
mod input;
mod requests;

use std::sync::Arc;
use std::thread;

use log::{log_enabled, trace};

use self::input::Input;
use crate::ids::Uid;
use crate::outbox::Outbox;
use crate::reason::{Cause, Fatal, Refusal};
use crate::server::{Seat, Shared};
use crate::text::Nickname;
use crate::wire::client_message::read_client_message;
use crate::wire::{
    Accepts, Chat, ClientMessage, ContentType, Extensions, Fault, Inherited, MessageType, Parsed,
    ReadError, Request,
};

pub(crate) use self::input::SILENCE_LIMIT;

/// What this server offers beyond the draft: the one switch for all of it.
const EXTENSIONS: Extensions = Extensions::Off;

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
}

/// Whose queues a session has added to since it looked last whether they are too long.
#[derive(Default)]
struct Added {
    public: bool,
    private: Vec<Uid>,
}

/// Serves a client until it is gone. The connection is closed when the last reference is dropped.
pub(crate) fn run(shared: &Shared, outbox: &Arc<Outbox>, seat: Seat) {
    let leaves = LeaveOnDrop { shared, outbox };
    let mut session = Session::new(shared, outbox);
    let conversation = shared.begin_conversation();
    let ending = session.converse();
    drop(conversation);
    shared.wait_for_conversations();
    let input_open = matches!(ending, Ending::Bye | Ending::Fatal { .. } | Ending::Stopping);
    session.say_last_words(ending);
    drop(leaves);
    drop(seat);
    shared.delivery.flush_all();
    close::close(shared, outbox, input_open);
}

/// Takes the client out of the room whichever way its thread ends, a panic included.
struct LeaveOnDrop<'a> {
    shared: &'a Shared,
    outbox: &'a Arc<Outbox>,
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        // The first cause wins: this one counts only where no other was given.
        if thread::panicking() {
            self.shared.delivery.cut(self.outbox, Cause::ServerFailed);
        } else {
            self.shared.delivery.leave(self.outbox, Cause::ServerFailed);
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    outbox: &'a Arc<Outbox>,
    input: Input<'a>,
    line: Vec<u8>,
    body: Vec<u8>,
    nickname: Option<Nickname>,
    added: Added,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, outbox: &'a Arc<Outbox>) -> Session<'a> {
        Session {
            shared,
            outbox,
            input: Input::new(outbox.stream(), &shared.delivery),
            line: Vec::new(),
            body: Vec::new(),
            nickname: None,
            added: Added::default(),
        }
    }

    /// Reads and carries out messages until there are no more.
    fn converse(&mut self) -> Ending {
        loop {
            self.wait_for_queues();
            if self.shared.is_stop_overdue() {
                return Ending::Stopping;
            }
            let charset = self.shared.config.charset;
            let accepts = Accepts { extensions: EXTENSIONS, charset };
            let read = read_client_message(&mut self.input, &mut self.line, accepts);
            let carried_out = match read {
                Ok(Some(Parsed::Message(message))) => self.carry_out(message),
                Ok(Some(Parsed::Refused { error, inherited, body_len })) => self
                    .skip_body(body_len, inherited)
                    .map(|()| self.refuse(inherited, &Refusal::from(error))),
                Ok(None) if self.shared.is_stopping() => return Ending::Stopping,
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
            ReadError::Failed(error) => Ending::Lost(crate::writer::cause_of(&error)),
        }
    }

    /// Waits until no queue that this session has filled is over the limit: so a fast sender slows
    /// down to its readers' pace. Its own queue counts, which its responses fill.
    fn wait_for_queues(&mut self) {
        let pressure = self.shared.delivery.pressure();
        if pressure.is_on() {
            // Nothing may be held back while waiting; and only then it is known what is too long.
            self.input.unflushed = false;
            self.shared.delivery.flush_all();
            let own = self.outbox.uid();
            let added = &self.added;
            pressure.wait(
                |uid| uid == own || added.public || added.private.contains(&uid),
                || self.outbox.is_broken(),
            );
        }
        self.added.public = false;
        self.added.private.clear();
    }

    fn carry_out(&mut self, message: ClientMessage) -> Result<(), Ending> {
        let ClientMessage { request, inherited, body_len } = message;
        if log_enabled!(log::Level::Trace) {
            self.trace(&request, inherited, body_len);
        }
        match request {
            Request::Chat(Chat { to, content_type: ContentType::Text, .. }) => {
                self.relay_text(to, inherited, body_len)
            }
            Request::Chat(Chat { to, content_type: ContentType::File(extension), .. }) => {
                self.share(to, &extension, inherited, body_len)
            }
            Request::Query => self.short(MessageType::Query, inherited, body_len, Self::query),
            Request::Fetch => self.short(MessageType::Fetch, inherited, body_len, Self::fetch),
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

    /// Adds the last error, and leaves the room.
    fn say_last_words(&mut self, ending: Ending) {
        let cause = match ending {
            Ending::Bye => Cause::SaidBye,
            Ending::Closed => Cause::Closed,
            Ending::Lost(cause) => cause,
            Ending::Stopping => Cause::ServerStopped,
            Ending::Fatal { reason, inherited, cause } => {
                self.refuse(inherited, &reason);
                cause
            }
        };
        self.shared.delivery.leave(self.outbox, cause);
    }
}

#[cfg(test)]
mod tests;
