//! A server on a port of its own.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use tempfile::TempDir;

use super::process::Lines;
use super::{DEADLINE, Peer, Process, multichatd};

/// A `multichatd` that accepts clients on 127.0.0.1, and is killed when dropped.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
    /// Where it makes its temporary directories.
    temp: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts it with further options.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::with_log_filter(options, None)
    }

    /// Starts it with further options and with `RUST_LOG`.
    pub(crate) fn with_log_filter(options: &[&str], rust_log: Option<&str>) -> Self {
        let mut command = multichatd(options);
        command.envs(rust_log.map(|filter| ("RUST_LOG", filter)));
        Self::started_by(command)
    }

    /// Starts it by a command that goes on as the server, and takes its options.
    pub(crate) fn started_by(mut command: Command) -> Self {
        let temp = TempDir::new().expect("a temporary directory");
        // As /tmp is: the server may be started as another user.
        let all = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(temp.path(), all).expect("set permissions");
        command.args(["--listen", "127.0.0.1:0"]).env("TMPDIR", temp.path());
        let mut process = Process::spawn(command);
        let line = process.out.wait_for("listening on ");
        let address =
            line.trim_start_matches("listening on ").parse().expect("an address and a port");
        Self { process, address, temp }
    }

    /// A connection on which nothing was said yet.
    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// A client that is active and knows its UID.
    #[track_caller]
    pub(crate) fn join(&self) -> Peer {
        Self::joined(self.connect())
    }

    /// As `join`, for a client that is to stop reading.
    #[track_caller]
    pub(crate) fn join_with_small_buffer(&self) -> Peer {
        Self::joined(Peer::connect_with_small_buffer(self.address))
    }

    /// A client that is active, once there is a place for it.
    #[track_caller]
    pub(crate) fn join_once_there_is_room(&self) -> Peer {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut peer = self.connect();
            // One that is refused may be closed before its request has come.
            peer.try_send("Message-Type query\nMessage-ID 0\nContent-Length 4\n\nself");
            let answer = peer.response();
            if answer.field("Status") == "Ok" {
                peer.uid = answer.text().trim().parse().expect("a UID");
                return peer;
            }
            assert!(Instant::now() < until, "no place becomes free: {answer:?}");
            peer.read_to_any_end();
        }
    }

    #[track_caller]
    fn joined(mut peer: Peer) -> Peer {
        peer.uid = peer.query("self").ok().text().trim().parse().expect("a UID");
        peer
    }

    /// Where it listens, in the order in which it says so.
    #[track_caller]
    pub(crate) fn listening(&mut self, index: usize) -> SocketAddr {
        let line = self.process.out.wait_for_line(index);
        line.trim_start_matches("listening on ").parse().expect("an address and a port")
    }

    pub(crate) fn log(&mut self) -> &mut Lines {
        &mut self.process.log
    }

    pub(crate) fn temp(&self) -> &Path {
        self.temp.path()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Stops it, and waits until none of its threads runs; SIGCONT lets it go on.
    #[track_caller]
    pub(crate) fn suspend(&self) {
        self.signal(Signal::STOP);
        self.wait_until("all threads are stopped", || {
            let path = format!("/proc/{}/task", self.process.id());
            fs::read_dir(path).expect("list the server's threads").all(|task| {
                let stat = fs::read_to_string(task.expect("a thread").path().join("stat"));
                // One that has ended meanwhile does not run.
                stat.is_err() || stat.is_ok_and(|stat| stat.contains(") T "))
            })
        });
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait(DEADLINE)
    }

    /// Stops it and gives all that it has logged.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}");
        self.process.log.seen.clone()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// How many descriptors it has open.
    pub(crate) fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.process.id());
        fs::read_dir(path).expect("list the server's descriptors").count()
    }

    /// Lets it open no descriptor from number `current` on, of those up to `maximum` that it may have.
    pub(crate) fn limit_open_files(&self, current: u64, maximum: u64) {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
        prlimit(pid, Resource::Nofile, limit).expect("set the server's limit");
    }

    /// How many bytes the files in a directory take up, those included that were removed and are
    /// still open.
    pub(crate) fn bytes_on_disk(&self, dir: &Path) -> u64 {
        let in_dir = fs::read_dir(dir).expect("list the directory");
        let in_dir = in_dir.filter_map(|entry| entry.ok()?.metadata().ok());
        let fds = format!("/proc/{}/fd", self.process.id());
        let removed = fs::read_dir(fds).expect("list the server's descriptors");
        let removed = removed.filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_removed = fs::read_link(&path).ok()?.to_str()?.ends_with(" (deleted)");
            is_removed.then(|| fs::metadata(&path).ok()).flatten()
        });
        let files: HashMap<u64, u64> =
            in_dir.chain(removed).map(|found| (found.ino(), found.len())).collect();
        files.values().sum()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        let path = format!("/proc/{}/task", self.process.id());
        fs::read_dir(path).expect("list the server's threads").count()
    }

    /// Looks until it is so; not for ever.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + DEADLINE;
        while !is_so() {
            assert!(
                Instant::now() < until,
                "not within {DEADLINE:?}: {what}; {} descriptors, {} threads",
                self.open_files(),
                self.threads()
            );
            thread::yield_now();
        }
    }

    /// How long its threads that are still there have had a processor.
    #[track_caller]
    pub(crate) fn processor_time(&self) -> Duration {
        let path = format!("/proc/{}/task", self.process.id());
        let tasks = fs::read_dir(path).expect("list the server's threads");
        // One that has ended meanwhile has no times any more.
        let times = tasks.filter_map(|task| {
            let path = task.expect("a thread").path().join("schedstat");
            fs::read_to_string(path).ok()?.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }

    /// A line of /proc/PID/status that counts memory, such as `VmRSS`, in bytes.
    #[track_caller]
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).expect("read the server's status");
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("no {line} in {status}"));
        let kib: u64 = value.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024
    }
}
