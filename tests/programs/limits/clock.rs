//! A clock that jumps, as when a laptop without a battery learns the time from the network.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{errors, said};
use crate::common::{Peer, Server, multichatd, pattern};

const STALL_TIMEOUT: Duration = Duration::from_secs(1);

/// The library that tells a program another time; `None`, and said so, where it is not installed.
fn libfaketime() -> Option<String> {
    let output =
        Command::new("faketime").args(["-m", "-f", "+0d", "printenv", "LD_PRELOAD"]).output();
    let found = output.ok().filter(|output| output.status.success());
    if found.is_none() {
        eprintln!("skipped: faketime is not installed");
    }
    found.map(|output| String::from_utf8(output.stdout).expect("a path").trim().to_owned())
}

/// Sets the clock that the server reads, at once and for good.
fn set_clock(clock: &Path, offset: &str) {
    let new = clock.with_extension("new");
    fs::write(&new, offset).expect("write the offset");
    fs::rename(&new, clock).expect("put it in place");
}

/// The year that a line of the log gives.
fn year(line: &str) -> i32 {
    line.get(1..5).and_then(|year| year.parse().ok()).unwrap_or_else(|| panic!("no year: {line}"))
}

/// Fills a reader that has stopped, and says how long it was then kept.
fn kept_for(talker: &mut Peer, stalled: &Peer, then: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    talker.say_to(stalled.uid, "x".repeat(60_000)).ok();
    talker.say_to(stalled.uid, "x".repeat(60_000)).ok();
    then();
    talker.wait_until_gone(stalled.uid);
    begun.elapsed()
}

#[test]
fn a_clock_that_jumps_changes_nothing_but_the_times_in_the_log() {
    // Every time-out is by a clock that never jumps.
    let Some(library) = libfaketime() else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let clock = dir.path().join("clock");
    set_clock(&clock, "+0d");
    let mut command: Command = multichatd(&["--stall-timeout", "1"]);
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut server = Server::started_by(command);
    let (mut tom, mut ann, mut typing) = (server.join(), server.join(), server.join());
    let now = year(&server.log().wait_for("client 1: joined"));
    typing.send("Message-Type chat\nMessage-ID 1\nContent-Len");
    for (offset, years) in [("+10y", 10), ("-10y", -10), ("+30y", 30), ("+0d", 0)] {
        // Before the jump something is under way that must not look late, or early, behind it.
        let stalled = server.join_with_small_buffer();
        let kept = kept_for(&mut tom, &stalled, || set_clock(&clock, offset));
        assert!((STALL_TIMEOUT..4 * STALL_TIMEOUT).contains(&kept), "{offset}: kept for {kept:?}");
        for nth in 0..100 {
            tom.say(format!("{nth}")).ok();
            assert_eq!(ann.relay().text(), nth.to_string());
        }
        let id = tom.share("bin", pattern(1, 100_000)).ok().number("File-ID");
        assert_eq!(ann.relay().number("File-ID"), id);
        assert_eq!(ann.fetch(id).ok().body, pattern(1, 100_000));
        // The server has really read another time.
        let uid = server.join().uid;
        let line = server.log().wait_for(&format!("client {uid}: joined"));
        assert!((year(&line) - now - years).abs() <= 1, "{offset}: {line}");
    }
    typing.send("gth 2\n\nhi");
    typing.response().ok();
    assert_eq!(ann.relay().text(), "hi");
    let log = server.stop();
    assert_eq!(errors(&log), 0, "{log:#?}");
    assert_eq!(said(&log, "disconnected: it stopped reading"), 4, "{log:#?}");
    assert_eq!(said(&log, " WARN "), 4, "{log:#?}");
}
