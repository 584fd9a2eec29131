//! The client: its library, the program in a pipe, and the program on a terminal.

mod degrading;
mod fake;
mod file_names;
mod history;
mod judged;
mod library;
mod library_extended;
mod missed;
mod notices;
mod operator;
mod pipes;
mod reconnect;
mod room;
mod saving;
mod scripts;
mod signals;
mod terminal;

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::common::{DEADLINE, LONG_DEADLINE, Process, Server};

/// The client's command line, without what the environment of the tests might add to it.
fn multichat(server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multichat"));
    for variable in ["MULTICHAT_SERVER", "MULTICHAT_NICK", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command.args(["--server", server]).args(arguments).stdin(Stdio::null());
    command
}

/// What a program that has ended has printed.
struct Output {
    status: ExitStatus,
    out: Vec<String>,
    err: Vec<String>,
}

impl Output {
    /// Lets a program run to its end, in an empty directory where it matters.
    #[track_caller]
    fn of(command: Command) -> Output {
        let mut process = Process::spawn(command);
        let status = process.wait(LONG_DEADLINE);
        Output { status, out: process.out.seen.clone(), err: process.log.seen.clone() }
    }

    #[track_caller]
    fn ok(self) -> Vec<String> {
        assert!(self.status.success(), "{}: {:#?}", self.status, self.err);
        assert!(self.err.is_empty(), "{:#?}", self.err);
        self.out
    }

    /// One line on standard error that contains `reason`, and this exit status.
    #[track_caller]
    fn failed(self, code: i32, reason: &str) -> Vec<String> {
        assert_eq!(self.status.code(), Some(code), "{}: {:#?}", self.status, self.err);
        assert!(self.err[0].starts_with("multichat: "), "{:#?}", self.err);
        assert!(self.err[0].contains(reason), "no {reason:?} in {:#?}", self.err);
        self.out
    }
}

#[track_caller]
fn run(server: &Server, arguments: &[&str]) -> Output {
    Output::of(multichat(&server.address.to_string(), arguments))
}

/// Runs it with `input` as its standard input.
#[track_caller]
fn run_with_input(server: &Server, arguments: &[&str], input: &[u8]) -> Output {
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("input");
    std::fs::write(&path, input).expect("write the input");
    let mut command = multichat(&server.address.to_string(), arguments);
    command.stdin(std::fs::File::open(&path).expect("open the input"));
    Output::of(command)
}

/// The names in a directory, sorted.
fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("list the directory");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Looks until it is so; not for ever.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}
