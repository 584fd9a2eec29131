//! Accepting clients: each gets a place and a thread, or an error that says why not.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};

use super::refuse::{self, Refuser};
use crate::admission::ClientSlot;
use crate::delivery::outbox::Outbox;
use crate::delivery::socket::{Connection, TcpSocket};
use crate::limits::{Permit, STACK_BYTES};
use crate::logging::LogThrottle;
use crate::reason::{AdmissionError, Cause};
use crate::service::Service;
use crate::session;
use crate::sync::{Instant, thread};

/// How long to wait before another attempt where the system cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long a newcomer waits for a place in a full room: a client that closes a connection and makes
/// the next one at once must find its own place free, and the closed one is to be noticed first.
const SLOT_PATIENCE: Duration = Duration::from_millis(50);

/// Where such a wait was in vain, newcomers wait for less, for that long: a crowd at the door of a
/// full room must not keep those behind it waiting.
const IMPATIENCE: Duration = Duration::from_secs(1);
const IMPATIENT: Duration = Duration::from_millis(5);

/// Accepts clients on one address.
pub(super) struct Acceptor {
    service: Arc<Service>,
    refuser: Refuser,
    trouble_said: LogThrottle,
    full_said: LogThrottle,
    no_thread_said: LogThrottle,
    waited_in_vain: Option<Instant>,
}

impl Acceptor {
    pub(super) fn new(service: Arc<Service>, refuser: Refuser) -> Acceptor {
        Acceptor {
            service,
            refuser,
            trouble_said: LogThrottle::default(),
            full_said: LogThrottle::default(),
            no_thread_said: LogThrottle::default(),
            waited_in_vain: None,
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
        let is_impatient = self.waited_in_vain.is_some_and(|last| last.elapsed() < IMPATIENCE);
        let patience = if is_impatient { IMPATIENT } else { SLOT_PATIENCE };
        let slot = self.service.admission.take_slot(host, patience);
        if slot.is_err() && !is_impatient {
            self.waited_in_vain = Some(Instant::now());
        }
        Ok((permit, slot?))
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let host = peer.ip().to_canonical();
        match self.reserve(host) {
            Ok((permit, slot)) => self.start_session(stream, host, permit, slot),
            Err(reason) => {
                debug!("a client from {host} is refused: {reason}");
                let is_full = !matches!(reason, AdmissionError::HostFull { .. });
                if is_full && self.full_said.is_due() {
                    warn!("newcomers are refused: {reason}");
                }
                self.refuser.refuse(stream, &reason);
            }
        }
    }

    fn start_session(&self, stream: TcpStream, host: IpAddr, permit: Permit, slot: ClientSlot) {
        let service = &self.service;
        let connection = Connection::new(stream, slot);
        // Here and not in the client's own thread, so that UIDs follow the order of connecting.
        let socket = Box::new(TcpSocket::new(Arc::clone(&connection)));
        let outbox = service.delivery.membership().join(socket);
        if service.is_stopping() {
            outbox.socket().end_input();
        }
        let uid = outbox.uid();
        let builder = thread::Builder::new().name(format!("client-{uid}")).stack_size(STACK_BYTES);
        let started = builder.spawn({
            let service = Arc::clone(service);
            let (outbox, connection) = (Arc::clone(&outbox), Arc::clone(&connection));
            move || {
                info!("client {uid}: joined from {host}");
                session::run(&service, &connection, outbox);
                // The connection is closed before its thread counts as ended.
                drop(connection);
                drop(permit);
            }
        });
        if let Err(error) = started {
            self.give_up(&outbox, &error);
            refuse::write(connection.stream(), &AdmissionError::NoResources);
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
