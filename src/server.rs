//! The server: listening, letting clients in or refusing them, and stopping.
//!
//! Owns the listeners, the limits on clients and the options of connections. Knows nothing of the
//! contents of messages.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use parking_lot::{Condvar, Mutex};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use crate::delivery::{Delivery, Limits};
use crate::limits::{self, Permit, STACK_BYTES, Threads};
use crate::outbox::Outbox;
use crate::reason::{Cause, Reason};
use crate::refusal::Refuser;
use crate::session::{self, SILENCE_LIMIT};
use crate::stage::Stage;
use crate::text::Charset;
use crate::writer;

/// The port of the protocol (§2.3.1.1).
pub const PORT: u16 = 8080;

/// How many connections may wait to be accepted: a class that connects at once waits for no
/// repeated SYN.
const BACKLOG: i32 = 1024;

/// How long a silent connection is trusted before it is probed, how often, and how many probes may
/// remain unanswered: a host that has vanished is found within two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 5;

/// How long what was sent may remain unacknowledged: keepalive is silent meanwhile.
const USER_TIMEOUT: Duration = Duration::from_secs(110);

/// How much unsent data the kernel may hold for one client, in bytes. It bounds what a client that
/// does not read costs (4 MB otherwise), and is enough for full speed.
const UNSENT_LIMIT: u32 = 128 * 1024;

/// How long the server takes at the most to write out what is queued when it stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long sessions go on with what their clients had already sent when the server stops.
const STOP_READ_LIMIT: Duration = Duration::from_secs(1);

/// How long to wait before another attempt where the system cannot accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What a server is asked to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; empty is port 8080 on all addresses.
    pub listen: Vec<SocketAddr>,
    /// Where shared files are kept; `None` is a private temporary directory.
    pub stage_dir: Option<PathBuf>,
    /// The most bytes of all staged files together.
    pub stage_limit: u64,
    /// The most clients at a time.
    pub max_clients: usize,
    /// The most clients at a time from one address.
    pub max_per_host: Option<usize>,
    /// The most bytes of one text.
    pub max_text: u64,
    /// The most bytes of one shared file.
    pub max_file: u64,
    /// The most bytes that wait for one client before whoever adds to them is slowed down.
    pub queue_limit: usize,
    /// How long a client may take nothing.
    pub stall_timeout: Duration,
    /// Which characters texts and nicknames may hold.
    pub charset: Charset,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: Vec::new(),
            stage_dir: None,
            stage_limit: 1 << 30,
            max_clients: 1000,
            max_per_host: None,
            max_text: 64 << 10,
            max_file: 16 << 20,
            queue_limit: 1 << 20,
            stall_timeout: Duration::from_secs(10),
            charset: Charset::Utf8,
        }
    }
}

/// What all threads of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) stage: Stage,
    threads: Arc<Threads>,
    seats: Mutex<Seats>,
    connections: Mutex<Connections>,
    /// Told when a connection or a conversation has ended.
    ended: Condvar,
    /// How many connections are kept open for their peers to read the last of it, and may be.
    lingering: AtomicUsize,
    linger_limit: usize,
    /// When the server was told to stop.
    stopping_since: OnceLock<Instant>,
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

impl Shared {
    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping_since.get().is_some()
    }

    /// Whether what clients had sent before the stop is no longer carried out.
    pub(crate) fn is_stop_overdue(&self) -> bool {
        self.stopping_since.get().is_some_and(|since| since.elapsed() > STOP_READ_LIMIT)
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

    fn take_seat(self: &Arc<Shared>, host: IpAddr) -> Result<Seat, Reason> {
        let mut seats = self.seats.lock();
        if seats.taken >= self.config.max_clients {
            return Err(Reason::RoomFull { limit: self.config.max_clients });
        }
        if let Some(limit) = self.config.max_per_host {
            let here = seats.by_host.entry(host).or_default();
            if *here >= limit {
                return Err(Reason::HostFull { limit });
            }
            *here += 1;
        }
        seats.taken += 1;
        Ok(Seat { shared: Arc::clone(self), host })
    }

    fn begin_connection(self: &Arc<Shared>) -> Result<Connection, Reason> {
        let permit = self.threads.reserve_session().ok_or(Reason::NoResources)?;
        let mut connections = self.connections.lock();
        if connections.open >= self.config.max_clients.saturating_add(self.linger_limit) {
            return Err(Reason::RoomFull { limit: self.config.max_clients });
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
        let mut seats = self.shared.seats.lock();
        seats.taken -= 1;
        if let Some(here) = seats.by_host.get_mut(&self.host) {
            *here -= 1;
            if *here == 0 {
                seats.by_host.remove(&self.host);
            }
        }
    }
}

/// A connection with its thread; counted until dropped.
struct Connection {
    shared: Arc<Shared>,
    _permit: Permit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.connections.lock().open -= 1;
        self.shared.ended.notify_all();
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Arc<TcpListener>>,
    refuser: Refuser,
}

/// Why a server cannot start: what was tried, and the system's answer.
#[derive(Debug)]
pub struct StartError {
    /// What was tried, to be followed by `: ` and the error.
    pub tried: String,
    /// The system's answer.
    pub error: io::Error,
}

impl Server {
    /// Listens and opens the stage; clients that connect wait until [`Server::run`].
    ///
    /// # Errors
    /// Where an address cannot be listened on, or the stage's directory cannot be used.
    pub fn bind(config: Config) -> Result<Server, StartError> {
        let listeners = listen(&config)?;
        let stage =
            Stage::open(config.stage_dir.as_deref(), config.stage_limit).map_err(|error| {
                let dir = config.stage_dir.clone().unwrap_or_else(std::env::temp_dir);
                StartError {
                    tried: format!("cannot keep shared files in {}", dir.display()),
                    error,
                }
            })?;
        let threads = Threads::new(limits::threads_by_memory_maps());
        let mut config = config;
        let open_files = limits::raise_open_files();
        config.max_clients = allowed_clients(config.max_clients, open_files, &threads);
        let limits = Limits { queue: config.queue_limit, stall_timeout: config.stall_timeout };
        let shared = Shared {
            delivery: Arc::new(Delivery::new(limits, Arc::clone(&threads))),
            config,
            stage,
            threads,
            seats: Mutex::default(),
            connections: Mutex::default(),
            ended: Condvar::new(),
            lingering: AtomicUsize::new(0),
            linger_limit: limits::kept_by_open_files(open_files),
            stopping_since: OnceLock::new(),
        };
        let refuser = Refuser::start(shared.linger_limit)
            .map_err(|error| StartError { tried: "cannot start a thread".to_string(), error })?;
        Ok(Server {
            shared: Arc::new(shared),
            listeners: listeners.into_iter().map(Arc::new).collect(),
            refuser,
        })
    }

    /// Where it listens, with the real port where port 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok())
    }

    /// Begins to accept clients; returns at once.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn run(&self) -> Result<(), StartError> {
        for listener in &self.listeners {
            let listener = Arc::clone(listener);
            let acceptor = Acceptor {
                shared: Arc::clone(&self.shared),
                refuser: self.refuser.clone(),
                trouble_said: Rarely::default(),
                full_said: Rarely::default(),
            };
            let started = thread::Builder::new()
                .name("accept".to_string())
                .spawn(move || acceptor.run(&listener));
            started.map_err(|error| StartError {
                tried: "cannot start a thread".to_string(),
                error,
            })?;
        }
        Ok(())
    }

    /// Stops: accepts nobody any more, writes what is queued, for 5 seconds at the most, and
    /// removes the temporary stage.
    pub fn stop(&self) {
        let shared = &self.shared;
        if shared.stopping_since.set(Instant::now()).is_err() {
            return;
        }
        info!("stopping: {} clients are active", shared.delivery.room().len());
        for listener in &self.listeners {
            // Wakes the thread that accepts; fails only where that has ended already.
            let _ = SockRef::from(&**listener).shutdown(Shutdown::Both);
        }
        for outbox in shared.delivery.room().roster().iter() {
            end_input(outbox);
        }
        shared.delivery.pressure().wake();
        let deadline = Instant::now() + STOP_LIMIT;
        let mut connections = shared.connections.lock();
        while connections.open > 0 {
            if shared.ended.wait_until(&mut connections, deadline).timed_out() {
                warn!(
                    "stopping: {} connections did not take what was queued for them",
                    connections.open
                );
                break;
            }
        }
        drop(connections);
        shared.stage.close();
        info!("stopped");
    }
}

/// Lets a session read what has come already, and then see the end of its input.
fn end_input(outbox: &Outbox) {
    // Fails on a connection that is gone: its session sees the end anyway.
    let _ = outbox.stream().shutdown(Shutdown::Read);
}

/// The number of clients that the system allows, said in the log where that is less than asked for.
fn allowed_clients(wanted: usize, open_files: usize, threads: &Threads) -> usize {
    let by_files = limits::clients_by_open_files(open_files).max(1);
    let by_threads = threads.sessions_limit().max(1);
    let allowed = wanted.min(by_files).min(by_threads);
    if allowed < wanted {
        warn!(
            "at most {allowed} clients at a time, not {wanted}: \
             the limit on open files allows {by_files}, memory maps for threads allow {by_threads}"
        );
    }
    allowed
}

fn listen(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let everywhere = [SocketAddr::from(([0u16; 8], PORT))];
    let addresses: &[SocketAddr] =
        if config.listen.is_empty() { &everywhere } else { &config.listen };
    let mut listeners = Vec::new();
    for &address in addresses {
        let listener = listen_on(address, config.stall_timeout)
            .map_err(|error| StartError { tried: format!("cannot listen on {address}"), error })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Listens on one address; on `[::]` for IPv4 as well, and there for IPv4 alone where the system
/// has no IPv6.
fn listen_on(address: SocketAddr, stall_timeout: Duration) -> io::Result<TcpListener> {
    let bind = |address: SocketAddr| -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.ip() == IpAddr::from([0u16; 8]) {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        // What is set here is inherited by every connection that is accepted.
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_LIMIT))?;
        socket.set_write_timeout(Some(writer::tick(stall_timeout)))?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(UNSENT_LIMIT)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    use rustix::io::Errno;
    match bind(address) {
        Err(error)
            if address.ip() == IpAddr::from([0u16; 8])
                && [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
                    .iter()
                    .any(|no_ipv6| error.raw_os_error() == Some(no_ipv6.raw_os_error())) =>
        {
            bind(SocketAddr::from(([0u8; 4], address.port())))
        }
        result => result,
    }
}

/// Accepts clients on one address.
struct Acceptor {
    shared: Arc<Shared>,
    refuser: Refuser,
    trouble_said: Rarely,
    full_said: Rarely,
}

/// Something that is said in the log once a minute, however often it happens.
#[derive(Default)]
struct Rarely(Option<Instant>);

impl Rarely {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now - last >= Duration::from_secs(60));
        if due {
            self.0 = Some(now);
        }
        due
    }
}

impl Acceptor {
    fn run(mut self, listener: &TcpListener) {
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
        use io::ErrorKind::{
            ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock,
        };
        match error.kind() {
            // The newcomer has gone again.
            ConnectionAborted | ConnectionReset | Interrupted => return,
            // Nobody came for as long as a client may be silent: the listener has that timeout too.
            WouldBlock | TimedOut => return,
            _ => {}
        }
        if self.trouble_said.is_due() {
            error!("clients cannot be accepted: {error}; they wait until they can be");
        }
        let mut connections = self.shared.connections.lock();
        self.shared.ended.wait_for(&mut connections, ACCEPT_PAUSE);
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let shared = &self.shared;
        let host = peer.ip().to_canonical();
        let admitted = shared
            .begin_connection()
            .and_then(|connection| Ok((connection, shared.take_seat(host)?)));
        let (connection, seat) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => {
                debug!("a client from {host} is refused: {reason}");
                let is_full = !matches!(reason, Reason::HostFull { .. });
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
            warn!("client {uid}: cannot start a thread: {error}");
            shared.delivery.leave(&outbox, Cause::ServerFailed);
            shared.delivery.flush_all();
            crate::refusal::write(outbox.stream(), &Reason::NoResources);
        }
    }
}
