//! Signals that the client takes, or was told to ignore, and the one that it survives.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Output, multichat, names_in, wait_until};
use crate::common::{DEADLINE, LONG_DEADLINE, Process, Server, pattern};

/// The same command behind one that goes on as it.
fn behind(first: &[&str], command: &Command) -> Command {
    let mut changed = Command::new(first[0]);
    changed.args(&first[1..]).arg(command.get_program()).args(command.get_args());
    changed
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    // As in a background job of a script, or behind `nohup`; one that was not still ends it.
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT), ("QUIT", Signal::QUIT)] {
        let server = Server::start();
        let listen = multichat(&server.address.to_string(), &["listen"]);
        let ignore = format!("--ignore-signal={name}");
        let mut client =
            Process::spawn(behind(&["env", &ignore, "--default-signal=TERM"], &listen));
        let mut talker = server.join();
        wait_until("it listens", || talker.uids().len() == 2);
        talker.say("before").ok();
        assert!(client.out.wait_for("before").ends_with("before"));
        client.signal(signal);
        for nth in 0..50 {
            talker.say(format!("line {nth}.")).ok();
            client.out.wait_for(&format!("line {nth}."));
        }
        client.signal(Signal::TERM);
        let status = client.wait(DEADLINE);
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{name}: {status}");
        talker.bye();
    }
}

#[test]
fn a_fetch_beyond_the_limit_on_the_size_of_files_is_an_error_and_leaves_nothing_behind() {
    // As on a full disk: one line, status 1. `ulimit -f` counts in blocks of 512 bytes.
    let server = Server::start();
    server.join().share("bin", pattern(1, 100_000)).ok();
    let dir = TempDir::new().expect("a temporary directory");
    let limit = ["sh", "-c", "ulimit -f 64 && exec \"$@\"", "sh"];
    for arguments in [&["fetch", "1"][..], &["--output", "-", "fetch", "1"]] {
        let mut fetch = behind(&limit, &multichat(&server.address.to_string(), arguments));
        fetch.current_dir(dir.path());
        if arguments.len() == 2 {
            Output::of(fetch).failed(1, "file 1");
            assert!(names_in(dir.path()).is_empty());
        } else {
            let out = dir.path().join("out");
            let mut redirect = behind(&["sh", "-c", "exec \"$@\" >out", "sh"], &fetch);
            redirect.current_dir(dir.path());
            Output::of(redirect).failed(1, "standard output");
            assert_eq!(fs::metadata(&out).expect("the output").len(), 64 * 512);
        }
    }
}

#[test]
fn listening_into_a_file_that_may_not_grow_is_an_error() {
    // `multichat listen >file`: one line that says so, and status 1.
    let server = Server::start();
    let dir = TempDir::new().expect("a temporary directory");
    let limit = ["sh", "-c", "ulimit -f 8 && exec \"$@\" >out", "sh"];
    let mut listen = behind(&limit, &multichat(&server.address.to_string(), &["listen"]));
    listen.current_dir(dir.path());
    let mut client = Process::spawn(listen);
    let mut talker = server.join();
    wait_until("it listens", || talker.uids().len() == 2);
    // The last of them may reach nobody any more.
    (0..10).for_each(|nth| drop(talker.say(format!("{nth:1000}"))));
    let status = client.wait(LONG_DEADLINE);
    assert_eq!(status.code(), Some(1), "{status}: {:#?}", client.log.seen);
    assert_eq!(client.log.seen.len(), 1, "{:#?}", client.log.seen);
    assert!(client.log.seen[0].contains("standard output"), "{:#?}", client.log.seen);
    assert_eq!(fs::metadata(dir.path().join("out")).expect("the output").len(), 8 * 512);
}
