//! The server: listening, letting clients in or refusing them, and stopping.
//!
//! Owns the listeners, the limits on clients and the options of connections. Knows nothing of the
//! contents of messages.

mod accept;
mod listen;
mod shared;

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use socket2::SockRef;

use self::accept::Acceptor;
use crate::limits::{self, Threads};
use crate::outbox::Outbox;
use crate::refusal::Refuser;
use crate::stage::Stage;
use crate::text::Charset;

pub(crate) use self::shared::{Seat, Shared};

/// The port of the protocol (§2.3.1.1).
pub const PORT: u16 = 8080;

/// How long the server takes at the most to write out what is queued when it stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

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
        let listeners = listen::listen(&config)?;
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
        let linger_limit = limits::kept_by_open_files(open_files);
        let shared = Shared::new(config, stage, threads, linger_limit).map_err(no_thread)?;
        let refuser = Refuser::start(linger_limit)
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
            let acceptor = Acceptor::new(Arc::clone(&self.shared), self.refuser.clone());
            let started = thread::Builder::new()
                .name("accept".to_string())
                .spawn(move || acceptor.run(&listener));
            started.map_err(no_thread)?;
        }
        Ok(())
    }

    /// Stops: accepts nobody any more, writes what is queued, for 5 seconds at the most, and
    /// removes the temporary stage.
    pub fn stop(&self) {
        let shared = &self.shared;
        if !shared.begin_stop() {
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
        let left = shared.wait_for_connections(Instant::now() + STOP_LIMIT);
        if left > 0 {
            warn!("stopping: {left} connections did not take what was queued for them");
        }
        shared.stage.close();
        info!("stopped");
    }
}

fn no_thread(error: io::Error) -> StartError {
    StartError { tried: "cannot start a thread".to_string(), error }
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
