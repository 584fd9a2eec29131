//! Accepting clients: each gets a place and a thread, or an error that says why not.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};

use super::shared::{Connection, Seat};
use super::{Shared, end_input};
use crate::limits::STACK_BYTES;
use crate::logging::Rarely;
use crate::reason::{AdmissionError, Cause};
use crate::refusal::Refuser;
use crate::session;

/// How long to wait before another attempt where the system cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long a newcomer waits for a place in a full room: whoever closes a connection and makes the
/// next one at once must find its own place free, and the closed one is to be noticed first.
const SEAT_PATIENCE: Duration = Duration::from_millis(50);

/// Where such a wait was in vain, newcomers are refused at once for that long: a crowd at the door
/// of a full room must not keep those behind it waiting.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Accepts clients on one address.
pub(super) struct Acceptor {
    shared: Arc<Shared>,
    refuser: Refuser,
    trouble_said: Rarely,
    full_said: Rarely,
    no_thread_said: Rarely,
    waited_in_vain: Option<Instant>,
}

impl Acceptor {
    pub(super) fn new(shared: Arc<Shared>, refuser: Refuser) -> Acceptor {
        Acceptor {
            shared,
            refuser,
            trouble_said: Rarely::default(),
            full_said: Rarely::default(),
            no_thread_said: Rarely::default(),
            waited_in_vain: None,
        }
    }

    pub(super) fn run(mut self, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok(_) if self.shared.is_stopping() => return,
                Ok((stream, peer)) => {
                    self.admit(stream, peer);
                }
                Err(_) if self.shared.is_stopping() => return,
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
        self.shared.wait_for_room(ACCEPT_PAUSE);
    }

    /// Takes a connection and a place for a newcomer.
    fn reserve(&mut self, host: IpAddr) -> Result<(Connection, Seat), AdmissionError> {
        let connection = self.shared.begin_connection()?;
        let is_impatient = self.waited_in_vain.is_some_and(|last| last.elapsed() < IMPATIENCE);
        let patience = if is_impatient { Duration::ZERO } else { SEAT_PATIENCE };
        let seat = self.shared.take_seat(host, patience);
        if seat.is_err() && !is_impatient {
            self.waited_in_vain = Some(Instant::now());
        }
        Ok((connection, seat?))
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let host = peer.ip().to_canonical();
        let admitted = self.reserve(host);
        let shared = &self.shared;
        let (connection, seat) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => {
                debug!("a client from {host} is refused: {reason}");
                let is_full = !matches!(reason, AdmissionError::HostFull { .. });
                if is_full && self.full_said.is_due() {
                    warn!("newcomers are refused: {reason}");
                }
                self.refuser.refuse(stream, &reason);
                return;
            }
        };
        // Here and not in the client's own thread, so that UIDs follow the order of connecting.
        let outbox = shared.delivery.room().join(stream);
        if shared.is_stopping() {
            end_input(&outbox);
        }
        let uid = outbox.uid();
        let started =
            thread::Builder::new().name(format!("client-{uid}")).stack_size(STACK_BYTES).spawn({
                let shared = Arc::clone(shared);
                let outbox = Arc::clone(&outbox);
                move || {
                    info!("client {uid}: joined from {host}");
                    session::run(&shared, &outbox, seat);
                    drop(outbox);
                    drop(connection);
                }
            });
        if let Err(error) = started {
            if self.no_thread_said.is_due() {
                error!("newcomers are refused: cannot start a thread: {error}");
            }
            shared.delivery.room().leave(&outbox, Cause::ServerFailed);
            shared.delivery.flush_all();
            crate::refusal::write(outbox.stream(), &AdmissionError::NoResources);
        }
    }
}
