//! The limits of the system, each really reached: who is refused, what the log says, how often, and
//! that it passes by itself.

mod clock;
mod descriptors;
mod disk;
mod file_size;
mod threads;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{Server, multichatd};

/// A server that is started by a shell, behind what that is told to do first.
fn started_behind(first: &str) -> Server {
    started_with(first, &[])
}

/// The same with options.
fn started_with(first: &str, options: &[&str]) -> Server {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first} && exec \"$@\""), "sh"]);
    shell.arg(multichatd(&[]).get_program()).args(options).env_remove("RUST_LOG");
    Server::started_by(shell)
}

/// The same as a user without rights, one for each `nth`; for root alone to start.
fn started_as_other_user(nth: u32, first: &str) -> Server {
    // Limits are a user's in all its processes: nobody else's tests run as this one.
    let uid = 30_000 + nth * 15_000 + std::process::id() % 15_000;
    // Where that user may not go through the directories up to the binary, it runs a copy of it.
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("set permissions");
    let copy = dir.path().join("multichatd");
    fs::copy(multichatd(&[]).get_program(), &copy).expect("copy the server");
    let mut other_user = Command::new("setpriv");
    // The options of `ulimit` are bash's.
    let script = format!("{first} && exec \"$@\"");
    other_user.args([&format!("--reuid={uid}"), "--clear-groups", "bash", "-c", &script, "bash"]);
    other_user.arg(&copy).current_dir("/").env_remove("RUST_LOG");
    Server::started_by(other_user)
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// How many lines of the log say that the operator has something to mend.
fn errors(log: &[String]) -> usize {
    log.iter().filter(|line| line.contains(" ERROR")).count()
}

/// How many lines of the log say `what`.
fn said(log: &[String], what: &str) -> usize {
    log.iter().filter(|line| line.contains(what)).count()
}
