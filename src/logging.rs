//! The log: through `log` and `env_logger` to standard error, by a thread of its own; and how often
//! the same is said there.
//!
//! A thread that logs never waits: where standard error is a terminal that was stopped, or a pipe that
//! nobody reads, lines are left out and counted, and the room goes on.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use log::LevelFilter;

use crate::limits::STACK_BYTES;
use crate::supervisor;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sync::{Instant, Mutex};

/// How many lines may wait to be written.
const LINES_LIMIT: usize = 1024;

/// How long the end of the program waits for the last lines.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// How often the same trouble is said.
const TROUBLE_PAUSE: Duration = Duration::from_secs(60);

enum Entry {
    Line(Vec<u8>),
    /// To be answered when everything before it is written.
    Flush(Sender<()>),
}

/// The log's other end, once it is started.
static LOG: OnceLock<Sender<Entry>> = OnceLock::new();

/// Where `env_logger` writes to.
struct Lines {
    entries: Sender<Entry>,
    left_out: Arc<AtomicU64>,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the log at `level`, which `RUST_LOG` overrides.
///
/// # Errors
/// Where its thread cannot be started.
pub fn start(level: LevelFilter) -> io::Result<()> {
    let (entries, waiting) = bounded(LINES_LIMIT);
    let left_out = Arc::new(AtomicU64::new(0));
    let lines = Lines { entries: entries.clone(), left_out: Arc::clone(&left_out) };
    supervisor::spawn("log", STACK_BYTES, move || write_out(&waiting, &left_out))?;
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .format_target(false)
        .target(env_logger::Target::Pipe(Box::new(lines)))
        .init();
    LOG.get_or_init(|| entries);
    supervisor::before_exit(finish);
    Ok(())
}

fn write_out(waiting: &Receiver<Entry>, left_out: &AtomicU64) {
    let mut stderr = io::stderr();
    for entry in waiting.iter() {
        // Where standard error is closed there is nobody to be told.
        match entry {
            Entry::Line(line) => {
                #[cfg(test)]
                supervisor::panic_if_injected(&line);
                let _ = stderr.write_all(&line);
                let count = left_out.swap(0, Ordering::Relaxed);
                if count > 0 {
                    let _ = writeln!(stderr, "[{count} lines of the log are left out here]");
                }
            }
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// Waits until all is written that was logged before; for two seconds at the most.
pub fn finish() {
    let Some(entries) = LOG.get() else { return };
    let (done, finished) = bounded(1);
    if entries.send_timeout(Entry::Flush(done), FINISH_LIMIT).is_ok() {
        let _ = finished.recv_timeout(FINISH_LIMIT);
    }
}

/// Says trouble now and then, however often clients run into it.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle(Mutex<Option<Instant>>);

impl LogThrottle {
    /// Whether it is to be said; if so, it is not to be said again for a minute.
    pub(crate) fn is_due(&self) -> bool {
        let mut said = self.0.lock();
        let due = said.is_none_or(|last| last.elapsed() >= TROUBLE_PAUSE);
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::INJECTED;
    use crate::supervisor::tests::assert_ends_process;

    #[test]
    fn a_log_that_panics_ends_the_process() {
        // Else nothing would be said any more.
        let name = "logging::tests::a_log_that_panics_ends_the_process";
        assert_ends_process(name, "log", || {
            start(LevelFilter::Info).unwrap();
            log::info!("{INJECTED}");
        });
    }
}
