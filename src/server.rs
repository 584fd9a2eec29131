//! The server: listening, letting clients in or refusing them, and stopping.
//!
//! Owns the listeners, the limits on clients and the options of connections. Knows nothing of the
//! contents of messages.

mod accept;
pub(crate) mod config;
mod listen;
mod refuse;

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use socket2::SockRef;

use self::accept::Acceptor;
use self::refuse::Refuser;
use crate::limits::{self, Threads};
use crate::operator::{Control, Stop};
use crate::service::{STOP_READ_LIMIT, Service};
use crate::stage::{Pace, Stage};
use crate::supervisor;
use crate::sync::Instant;

pub use self::config::Config;

/// The port of the protocol (§2.3.1.1).
pub const PORT: u16 = 8080;

/// The stack of a thread that accepts, in bytes.
const ACCEPT_STACK_BYTES: usize = 256 * 1024;

/// How long the server takes at the most to write out what is queued when it stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A server that listens, and does not accept clients yet.
pub struct Server {
    service: Arc<Service>,
    listeners: Vec<Arc<TcpListener>>,
    refuser: Refuser,
    control: Option<Control>,
    on_stop: Stop,
}

/// A server that accepts clients, until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningServer {
    service: Arc<Service>,
    listeners: Vec<Arc<TcpListener>>,
    control: Option<Control>,
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
        let control = config.control.as_deref().map(bind_control).transpose()?;
        let pace = Pace { bytes: config.queue_limit as u64 / 2, time: config.stall_timeout };
        let mut stage = Stage::open(config.stage_dir.as_deref(), config.stage_limit, pace)
            .map_err(|error| {
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
        stage.limit_open_files(limits::files_by_open_files(open_files, config.max_clients));
        warn_of_few_places(&config);
        let refuser =
            Refuser::start(limits::refused_by_open_files(open_files)).map_err(no_thread)?;
        Ok(Server {
            service: Service::start(config, stage, threads).map_err(no_thread)?,
            listeners: listeners.into_iter().map(Arc::new).collect(),
            refuser,
            control,
            on_stop: Box::new(|| ()),
        })
    }

    /// Has something done once an operator has asked the server to stop: it is to lead to
    /// [`RunningServer::stop`], and must not wait for it.
    pub fn on_stop(&mut self, act: impl Fn() + Send + Sync + 'static) {
        self.on_stop = Box::new(act);
    }

    /// Where it listens, with the real port where port 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Begins to accept clients; returns at once.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn run(self) -> Result<RunningServer, StartError> {
        let Server { service, listeners, control, .. } = self;
        let running = RunningServer { service, listeners, control };
        for listener in &running.listeners {
            let listener = Arc::clone(listener);
            let acceptor = Acceptor::new(Arc::clone(&running.service), self.refuser.clone());
            supervisor::spawn("accept", ACCEPT_STACK_BYTES, move || acceptor.run(&listener))
                .map_err(no_thread)?;
        }
        if let Some(control) = &running.control {
            control.run(&running.service, self.on_stop).map_err(no_thread)?;
        }
        Ok(running)
    }
}

impl RunningServer {
    /// Stops: accepts nobody any more, writes what is queued, for 5 seconds at the most, and
    /// removes the temporary stage. As does dropping it.
    pub fn stop(self) {
        drop(self);
    }

    fn wait_for_clients(&self) {
        let service = &self.service;
        let start = Instant::now();
        let left = service.admission.wait_until_empty(start + STOP_READ_LIMIT);
        if left == 0 {
            return;
        }
        // Senders that are held for a queue give up now.
        service.delivery.backpressure().wake();
        let left = service.admission.wait_until_empty(start + STOP_LIMIT);
        if left > 0 {
            warn!("stopping: {left} connections did not take what was queued for them");
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let service = &self.service;
        if !service.begin_stop() {
            return;
        }
        let room = service.delivery.room();
        info!("stopping: {} clients are active", room.len());
        for listener in &self.listeners {
            // Wakes the thread that accepts; fails only where that has ended already.
            let _ = SockRef::from(&**listener).shutdown(Shutdown::Both);
        }
        for outbox in room.roster().iter() {
            // Its session reads what has come already, and then sees the end of its input.
            outbox.socket().end_input();
        }
        service.stage.begin_close();
        self.wait_for_clients();
        service.stage.close();
        drop(self.control.take());
        info!("stopped");
    }
}

fn bind_control(path: &Path) -> Result<Control, StartError> {
    Control::bind(path).map_err(|error| StartError {
        tried: format!("cannot make the operator's socket {}", path.display()),
        error,
    })
}

fn no_thread(error: io::Error) -> StartError {
    StartError { tried: "cannot start a thread".to_string(), error }
}

/// A page takes up to three places for a moment: a browser opens that many connections.
const PLACES_OF_A_PAGE: usize = 3;

fn warn_of_few_places(config: &Config) {
    if config.web
        && let Some(limit) = config.max_per_host.filter(|&limit| limit < PLACES_OF_A_PAGE)
    {
        warn!(
            "--max-per-host {limit} is too few for browsers: the page takes up to \
             {PLACES_OF_A_PAGE} places for a moment"
        );
    }
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
