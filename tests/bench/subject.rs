//! What is measured: a program that is started, and what it has cost so far.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::dialect::Dialect;
use super::{Outcome, fail};

/// Something to be measured.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Whether it is another server, whose failure is only told.
    pub(crate) is_peer: bool,
    /// Starts it for so many clients.
    pub(crate) start: fn(members: usize) -> Outcome<Running>,
    /// The protocol that it speaks.
    pub(crate) dialect: fn() -> Box<dyn Dialect>,
}

/// Who takes part in a case.
pub(crate) trait Candidate: Copy {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Whether it is another server, whose failure is only told.
    fn is_peer(&self) -> bool;
}

impl Candidate for Subject {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_peer(&self) -> bool {
        self.is_peer
    }
}

/// A subject that runs; it is killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Its processes, of which most have one, and their clocks.
    processes: Vec<(u32, ClockId)>,
    /// Removed when it is dropped.
    directory: Option<TempDir>,
}

impl Running {
    /// Starts a program that says `listening on ADDRESS:PORT` once it can be connected to.
    pub(crate) fn announced(mut command: Command) -> Outcome<Running> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim_end().strip_prefix("listening on ").map(str::parse);
        match address {
            Some(Ok(address)) => Running::new(child, address),
            _ => fail(format!("{command:?} says {line:?}")),
        }
    }

    pub(crate) fn new(child: Child, address: SocketAddr) -> Outcome<Running> {
        let processes = vec![(child.id(), clock(child.id())?)];
        Ok(Running { child, address, processes, directory: None })
    }

    /// Keeps a directory as long as it runs.
    pub(crate) fn with_directory(mut self, directory: TempDir) -> Running {
        self.directory = Some(directory);
        self
    }

    /// Counts what its child processes cost as well.
    pub(crate) fn with_children(mut self) -> Outcome<Running> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        for child in children.split_ascii_whitespace() {
            let child = child.parse()?;
            self.processes.push((child, clock(child)?));
        }
        Ok(self)
    }

    /// The processor time of all its threads so far, of those that have ended too.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let times = self.processes.iter().map(|(_, clock)| Ok(Duration::from(clock.now()?)));
        times.sum()
    }

    /// A line of /proc/PID/status that counts memory, such as `VmRSS`, in bytes.
    pub(crate) fn memory(&self, line: &str) -> Outcome<u64> {
        let sizes = self.processes.iter().map(|(id, _)| {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
            let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            Ok(kib.ok_or_else(|| format!("no {line} in {status}"))? * 1024)
        });
        sizes.sum()
    }

    /// Asks it to end, and waits for it.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The clock of a process' processor time.
fn clock(process: u32) -> Outcome<ClockId> {
    Ok(clock_getcpuclockid(nix::unistd::Pid::from_raw(i32::try_from(process)?))?)
}

/// The processor time of this process, the generator, so far.
pub(crate) fn own_cpu() -> Outcome<Duration> {
    Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?.into())
}
