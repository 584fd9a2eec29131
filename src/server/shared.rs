//! What all threads of a server share: the room, the stage, and who has a place.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Config;
use crate::delivery::{Delivery, Limits};
use crate::kernel_queue::KernelQueue;
use crate::limits::{Permit, Threads};
use crate::reason::AdmissionError;
use crate::stage::Stage;

/// How long sessions go on with what their clients had already sent when the server stops.
const STOP_READ_LIMIT: Duration = Duration::from_secs(1);

/// What all threads of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) stage: Stage,
    threads: Arc<Threads>,
    seats: Mutex<Seats>,
    seat_freed: Condvar,
    connections: Mutex<Connections>,
    /// Told when a connection or a conversation has ended.
    ended: Condvar,
    /// How many connections are kept open for their peers to read the last of it, and may be.
    lingering: AtomicUsize,
    linger_limit: usize,
    /// When the server was told to stop.
    stopping_since: OnceLock<Instant>,
    /// Asked by sessions that end while the server stops.
    kernel_queue: OnceLock<Mutex<KernelQueue>>,
}

#[derive(Debug, Default)]
struct Connections {
    /// How many there are, those that are being closed included.
    open: usize,
    /// On how many of them messages are still read.
    conversing: usize,
}

/// Who has a place in the room.
#[derive(Debug, Default)]
struct Seats {
    taken: usize,
    by_host: HashMap<IpAddr, usize>,
}

impl Seats {
    fn take(&mut self, host: IpAddr, config: &Config) -> Result<(), AdmissionError> {
        if self.taken >= config.max_clients {
            return Err(AdmissionError::RoomFull { limit: config.max_clients });
        }
        if let Some(limit) = config.max_per_host {
            let here = self.by_host.entry(host).or_default();
            if *here >= limit {
                return Err(AdmissionError::HostFull { limit });
            }
            *here += 1;
        }
        self.taken += 1;
        Ok(())
    }

    fn give_back(&mut self, host: IpAddr) {
        self.taken -= 1;
        if let Some(here) = self.by_host.get_mut(&host) {
            *here -= 1;
            if *here == 0 {
                self.by_host.remove(&host);
            }
        }
    }
}

impl Shared {
    pub(super) fn new(
        config: Config,
        stage: Stage,
        threads: Arc<Threads>,
        linger_limit: usize,
    ) -> io::Result<Shared> {
        let limits = Limits { queue: config.queue_limit, stall_timeout: config.stall_timeout };
        Ok(Shared {
            delivery: Delivery::start(limits, Arc::clone(&threads))?,
            config,
            stage,
            threads,
            seats: Mutex::default(),
            seat_freed: Condvar::new(),
            connections: Mutex::default(),
            ended: Condvar::new(),
            lingering: AtomicUsize::new(0),
            linger_limit,
            stopping_since: OnceLock::new(),
            kernel_queue: OnceLock::new(),
        })
    }

    /// Notes that the server is to stop; `false` where it was told so before.
    pub(super) fn begin_stop(&self) -> bool {
        self.stopping_since.set(Instant::now()).is_ok()
    }

    /// Waits until all connections have ended, or until the deadline; returns how many have not.
    pub(super) fn wait_for_connections(&self, deadline: Instant) -> usize {
        let mut connections = self.connections.lock();
        while connections.open > 0 {
            if self.ended.wait_until(&mut connections, deadline).timed_out() {
                break;
            }
        }
        connections.open
    }

    /// Waits until some connection has ended, or for that long.
    pub(super) fn wait_for_room(&self, time: Duration) {
        self.ended.wait_for(&mut self.connections.lock(), time);
    }

    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping_since.get().is_some()
    }

    /// Whether what clients had sent before the stop is no longer carried out.
    pub(crate) fn is_stop_overdue(&self) -> bool {
        self.stopping_since.get().is_some_and(|since| since.elapsed() > STOP_READ_LIMIT)
    }

    /// Whether the client's host has everything that was written; `None` where the kernel does not
    /// tell.
    pub(crate) fn is_delivered(&self, stream: &TcpStream) -> Option<bool> {
        let kernel_queue = self.kernel_queue.get_or_init(|| Mutex::new(KernelQueue::open()));
        let output = kernel_queue.lock().ask(stream)?;
        Some(output.unsent_bytes == 0 && output.unacked_segments == 0)
    }

    /// Whether one more connection may be kept open for its peer's sake; counted until dropped.
    pub(crate) fn linger(&self) -> Option<Lingering<'_>> {
        let one_more = |count| (count < self.linger_limit).then_some(count + 1);
        let counted = self.lingering.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.ok().map(|_| Lingering(&self.lingering))
    }

    /// Counts a session that reads messages, until dropped.
    pub(crate) fn begin_conversation(&self) -> Conversation<'_> {
        self.connections.lock().conversing += 1;
        Conversation(self)
    }

    /// When the server stops: waits until no session reads messages any more, for a bounded time.
    ///
    /// So what clients had sent before is relayed to those who had not: nobody leaves before.
    pub(crate) fn wait_for_conversations(&self) {
        let Some(&since) = self.stopping_since.get() else { return };
        let mut connections = self.connections.lock();
        while connections.conversing > 0 {
            if self.ended.wait_until(&mut connections, since + STOP_READ_LIMIT).timed_out() {
                return;
            }
        }
    }

    /// A place in the room; waits that long for one to become free.
    pub(super) fn take_seat(
        self: &Arc<Shared>,
        host: IpAddr,
        patience: Duration,
    ) -> Result<Seat, AdmissionError> {
        let until = Instant::now() + patience;
        let mut seats = self.seats.lock();
        while let Err(reason) = seats.take(host, &self.config) {
            if self.seat_freed.wait_until(&mut seats, until).timed_out() {
                return Err(reason);
            }
        }
        Ok(Seat { shared: Arc::clone(self), host })
    }

    pub(super) fn begin_connection(self: &Arc<Shared>) -> Result<Connection, AdmissionError> {
        let permit = self.threads.reserve_session().ok_or(AdmissionError::NoResources)?;
        let mut connections = self.connections.lock();
        if connections.open >= self.config.max_clients.saturating_add(self.linger_limit) {
            return Err(AdmissionError::RoomFull { limit: self.config.max_clients });
        }
        connections.open += 1;
        Ok(Connection { shared: Arc::clone(self), _permit: permit })
    }
}

/// A session that reads messages.
pub(crate) struct Conversation<'a>(&'a Shared);

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        self.0.connections.lock().conversing -= 1;
        self.0.ended.notify_all();
    }
}

/// A connection that is kept open for its peer to read the last of it.
pub(crate) struct Lingering<'a>(&'a AtomicUsize);

impl Drop for Lingering<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place in the room; given back when dropped.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    host: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.seats.lock().give_back(self.host);
        self.shared.seat_freed.notify_all();
    }
}

/// A connection with its thread; counted until dropped.
pub(super) struct Connection {
    shared: Arc<Shared>,
    _permit: Permit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.connections.lock().open -= 1;
        self.shared.ended.notify_all();
    }
}
