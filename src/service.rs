//! What all sessions of a server share: the room and the way out of it, the stage, and whether the
//! server stops.

mod answers;

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use self::answers::Answers;
use crate::admission::Admission;
use crate::delivery::tcp_info::TcpInfo;
use crate::delivery::{Delivery, Limits};
use crate::limits::Threads;
use crate::server::config::Config;
use crate::stage::Stage;
use crate::sync::{Condvar, Instant, Mutex};
use crate::web::http::Names;
use crate::wire::Timestamp;

/// How long sessions go on with what their clients had already sent when the server stops.
pub(crate) const STOP_READ_LIMIT: Duration = Duration::from_secs(1);

/// What all sessions of a server share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) config: Config,
    /// Under which names browsers may come.
    pub(crate) web_names: Names,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) stage: Stage,
    /// The places in the room.
    pub(crate) admission: Arc<Admission>,
    /// Sessions and writers take their threads from here.
    pub(crate) threads: Arc<Threads>,
    /// The thread that makes long answers.
    answers: Answers,
    /// When the server started: the count of public messages began with it.
    pub(crate) started: Timestamp,
    /// On how many connections messages are still read.
    reading: Mutex<usize>,
    /// Told when that has become one less.
    ended: Condvar,
    /// When the server was told to stop.
    stopping_since: OnceLock<Instant>,
    /// Asked by sessions that end while the server stops.
    tcp_info: OnceLock<TcpInfo>,
}

impl Service {
    /// # Errors
    /// Where the threads that all sessions share cannot be started.
    pub(crate) fn start(
        config: Config,
        stage: Stage,
        threads: Arc<Threads>,
    ) -> io::Result<Arc<Service>> {
        let limits = Limits {
            queue: config.queue_limit,
            queue_total: config.queue_total,
            text: usize::try_from(config.max_text).unwrap_or(usize::MAX),
            stall_timeout: config.stall_timeout,
            history: config.history,
        };
        let (answers, orders) = Answers::new();
        let service = Arc::new(Service {
            delivery: Delivery::start(limits, Arc::clone(&threads))?,
            admission: Admission::new(config.max_clients, config.max_per_host),
            web_names: names(&config),
            config,
            stage,
            threads,
            answers,
            started: SystemTime::now().into(),
            reading: Mutex::new(0),
            ended: Condvar::new(),
            stopping_since: OnceLock::new(),
            tcp_info: OnceLock::new(),
        });
        orders.start(Arc::downgrade(&service))?;
        Ok(service)
    }

    /// Has a long answer made, and waits for that: they are made one at a time, in the order in
    /// which they are asked for. `make` is to flush what it adds, and to wait for no client.
    pub(crate) fn make_long_answer(&self, make: impl FnOnce(&Service) + Send + 'static) {
        self.answers.make(Box::new(make));
    }

    /// Notes that the server is to stop; `false` where it was told so before.
    pub(crate) fn begin_stop(&self) -> bool {
        self.stopping_since.set(Instant::now()).is_ok()
    }

    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping_since.get().is_some()
    }

    /// Whether what clients had sent before the stop is no longer carried out.
    pub(crate) fn is_stop_overdue(&self) -> bool {
        self.stopping_since.get().is_some_and(|since| since.elapsed() >= STOP_READ_LIMIT)
    }

    /// Whether the client's host has everything that was written; `None` where the kernel does not
    /// tell.
    pub(crate) fn is_delivered(&self, stream: &TcpStream) -> Option<bool> {
        let stats = self.tcp_info.get_or_init(TcpInfo::open).ask(stream)?;
        Some(stats.unsent_bytes == 0 && stats.unacked_segments == 0)
    }

    /// Counts a session that reads messages, until dropped.
    pub(crate) fn begin_reading(&self) -> ReadingGuard<'_> {
        *self.reading.lock() += 1;
        ReadingGuard(self)
    }

    /// When the server stops: waits until no session reads messages any more, for a bounded time.
    ///
    /// So what clients had sent before is relayed to those who had not: nobody leaves before.
    pub(crate) fn wait_for_readers(&self) {
        let Some(&since) = self.stopping_since.get() else { return };
        let mut reading = self.reading.lock();
        while *reading > 0 {
            if self.ended.wait_until(&mut reading, since + STOP_READ_LIMIT).timed_out() {
                return;
            }
        }
    }
}

/// The names from the command line, and this machine's own.
fn names(config: &Config) -> Names {
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Names::new(config.web_names.iter().cloned().chain([own]))
}

/// A session that reads messages.
pub(crate) struct ReadingGuard<'a>(&'a Service);

impl Drop for ReadingGuard<'_> {
    fn drop(&mut self) {
        *self.0.reading.lock() -= 1;
        self.0.ended.notify_all();
    }
}
