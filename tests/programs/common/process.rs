//! A running program, its output, and its end.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::process::{Pid, Signal, kill_process};

use super::DEADLINE;

/// Names another server to be tested, such as an older one.
const OTHER_SERVER: &str = "MULTICHATD";

/// The server's command line, without what the environment of the tests might add to it.
pub(crate) fn multichatd(options: &[&str]) -> Command {
    let own = env!("CARGO_BIN_EXE_multichatd");
    let mut command = Command::new(env::var_os(OTHER_SERVER).unwrap_or(own.into()));
    command.args(options).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A child process that is killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) out: Lines,
    pub(crate) log: Lines,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the program");
        let out =
            Lines::of("standard output", child.stdout.take().expect("standard output is a pipe"));
        let log =
            Lines::of("standard error", child.stderr.take().expect("standard error is a pipe"));
        Self { child, out, log }
    }

    /// Its standard input, where the command line has made that a pipe.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is a pipe")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("send a signal to the server");
    }

    /// Waits for its end, which closes its output.
    #[track_caller]
    pub(crate) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let until = Instant::now() + deadline;
        self.out.until_end(until);
        self.log.until_end(until);
        self.child.wait().expect("wait for the server")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("wait for the server");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let log = self.log.until_end(Instant::now() + DEADLINE).join("\n");
        if thread::panicking() {
            eprintln!("--- standard error ---\n{log}\n---");
        } else {
            assert!(!log.contains("panicked"), "a thread of the program panicked:\n{log}");
        }
    }
}

/// The lines of a pipe, as they come.
pub(crate) struct Lines {
    pipe: &'static str,
    coming: Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Lines {
    fn of(pipe: &'static str, stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = crossbeam_channel::unbounded();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { pipe, coming, seen: Vec::new() }
    }

    /// The first line that contains `part`; waits for it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        self.wait_for_behind(0, part)
    }

    /// The first line that contains `part`, of those behind line number `index`; waits for it.
    #[track_caller]
    pub(crate) fn wait_for_behind(&mut self, index: usize, part: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut looked_at = index;
        loop {
            if let Some(line) = self.seen[looked_at..].iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            looked_at = self.seen.len();
            match self.coming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(why) => panic!("{why}: no {part:?} on {}, only {:#?}", self.pipe, self.seen),
            }
        }
    }

    /// Line number `index`, counted from 0; waits for it.
    #[track_caller]
    pub(crate) fn wait_for_line(&mut self, index: usize) -> &str {
        let until = Instant::now() + DEADLINE;
        while self.seen.len() <= index {
            match self.coming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(why) => panic!("{why}: no line {index} on {}, {:#?}", self.pipe, self.seen),
            }
        }
        &self.seen[index]
    }

    /// The first line; `None` if the pipe is closed without one.
    #[track_caller]
    pub(crate) fn first_line(&mut self) -> Option<String> {
        if self.seen.is_empty() {
            match self.coming.recv_timeout(DEADLINE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => {}
                Err(why) => panic!("{why}: no line on {}", self.pipe),
            }
        }
        self.seen.first().cloned()
    }

    /// All lines, once the pipe is closed.
    #[track_caller]
    pub(crate) fn until_end(&mut self, until: Instant) -> &[String] {
        loop {
            match self.coming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return &self.seen,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the program did not end in time; {}: {:#?}", self.pipe, self.seen)
                }
            }
        }
    }
}
