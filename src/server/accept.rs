//! Accepting clients: each gets a place and a thread, or an error that says why not.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, warn};

use super::refuse::{self, Reason, Refuser};
use crate::admission::ClientSlot;
use crate::delivery::outbox::Outbox;
use crate::delivery::socket::Connection;
use crate::limits::{Permit, STACK_BYTES};
use crate::logging::LogThrottle;
use crate::reason::{AdmissionError, Cause};
use crate::service::Service;
use crate::session::{self, Served};
use crate::sync::{Instant, thread};

/// How long to wait before another attempt where the system cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long a newcomer waits for a place in a full room: a client that closes a connection and makes
/// the next one at once must find its own place free, and the closed one is to be noticed first.
const SLOT_PATIENCE: Duration = Duration::from_millis(50);

/// Where such a wait was in vain, newcomers are refused at once for that long: a crowd at the door
/// must not keep those behind it waiting, be it one from everywhere or from one host.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Accepts clients on one address.
pub(super) struct Acceptor {
    service: Arc<Service>,
    refuser: Refuser,
    trouble_said: LogThrottle,
    full_said: LogThrottle,
    no_thread_said: LogThrottle,
    /// When a wait for a place was in vain: a place for anybody, or for this host.
    waited_in_vain: HashMap<Option<IpAddr>, Instant>,
}

impl Acceptor {
    pub(super) fn new(service: Arc<Service>, refuser: Refuser) -> Acceptor {
        Acceptor {
            service,
            refuser,
            trouble_said: LogThrottle::default(),
            full_said: LogThrottle::default(),
            no_thread_said: LogThrottle::default(),
            waited_in_vain: HashMap::new(),
        }
    }

    pub(super) fn run(mut self, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok(_) if self.service.is_stopping() => return,
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(_) if self.service.is_stopping() => return,
                Err(error) => self.failed(&error),
            }
        }
    }

    /// A failed `accept` never ends the server: the newcomer waits until there is room again.
    fn failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
        match error.kind() {
            // The newcomer has gone again.
            ConnectionAborted | ConnectionReset | Interrupted => return,
            // Nobody came for as long as a client may be silent: the listener has that timeout too.
            WouldBlock => return,
            _ => {}
        }
        if self.trouble_said.is_due() {
            error!("clients cannot be accepted: {error}; they wait until they can be");
        }
        self.service.admission.wait_for_room(ACCEPT_PAUSE);
    }

    /// Takes a thread and a place for a newcomer.
    fn reserve(&mut self, host: IpAddr) -> Result<(Permit, ClientSlot), AdmissionError> {
        let permit = self.service.threads.reserve_session().ok_or(AdmissionError::NoResources)?;
        self.waited_in_vain.retain(|_, last| last.elapsed() < IMPATIENCE);
        let is_impatient = [None, Some(host)].iter().any(|of| self.waited_in_vain.contains_key(of));
        let patience = if is_impatient { Duration::ZERO } else { SLOT_PATIENCE };
        let slot = self.service.admission.take_slot(host, patience).inspect_err(|error| {
            let of = matches!(error, AdmissionError::HostFull { .. }).then_some(host);
            self.waited_in_vain.entry(of).or_insert_with(Instant::now);
        })?;
        Ok((permit, slot))
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let host = peer.ip().to_canonical();
        if let Some(words) = self.service.admission.ban_of(host) {
            debug!("a client from {host} is refused: it is banned");
            self.service.delivery.membership().stats.count_refusals(1);
            self.refuser.refuse(stream, Reason::Banned(words), self.service.config.web);
            return;
        }
        match self.reserve(host) {
            Ok((permit, slot)) => self.start_session(stream, peer, permit, slot),
            Err(reason) => {
                debug!("a client from {host} is refused: {reason}");
                let is_full = !matches!(reason, AdmissionError::HostFull { .. });
                if is_full && self.full_said.is_due() {
                    warn!("newcomers are refused: {reason}");
                }
                self.service.delivery.membership().stats.count_refusals(1);
                self.refuser.refuse(stream, Reason::Admission(reason), self.service.config.web);
            }
        }
    }

    fn start_session(&self, stream: TcpStream, peer: SocketAddr, permit: Permit, slot: ClientSlot) {
        let service = &self.service;
        let host = peer.ip().to_canonical();
        let connection = Connection::new(stream, slot, peer);
        // Here and not in the client's own thread, so that UIDs follow the order of connecting.
        let socket = Arc::clone(&connection);
        let membership = service.delivery.membership();
        let outbox =
            if service.config.web { membership.join_held(socket) } else { membership.join(socket) };
        if service.is_stopping() {
            outbox.socket().end_input();
        }
        let uid = outbox.uid();
        let builder = thread::Builder::new().name(format!("client-{uid}")).stack_size(STACK_BYTES);
        let started = builder.spawn({
            let service = Arc::clone(service);
            let refuser = self.refuser.clone();
            let (outbox, connection) = (Arc::clone(&outbox), Arc::clone(&connection));
            move || {
                if session::run(&service, &connection, outbox, host) == Served::Page {
                    refuser.keep_for_its_peer(connection.stream());
                }
                // The connection is closed before its thread counts as ended.
                drop(connection);
                drop(permit);
            }
        });
        if let Err(error) = started {
            self.give_up(&outbox, &error);
            service.delivery.membership().stats.count_refusals(1);
            refuse::write(connection.stream(), &Reason::Admission(AdmissionError::NoResources));
        }
    }

    /// No thread can be started for a newcomer that is active already.
    fn give_up(&self, outbox: &Arc<Outbox>, error: &io::Error) {
        if self.no_thread_said.is_due() {
            error!("newcomers are refused: cannot start a thread: {error}");
        }
        let room = self.service.delivery.room();
        room.leave(outbox, Cause::ServerFailed);
        room.end(outbox);
        self.service.delivery.flush_blocking();
    }
}
