//! Lines in, lines out; several operators, and those who do not read.

use std::io::Write;
use std::thread;
use std::time::Instant;

use super::Room;
use crate::common::DEADLINE;

#[test]
fn end_of_input_ends_the_connection_once_all_is_answered() {
    // "so that `echo who | nc -UN PATH` works"; "an unfinished last line is a command".
    let room = Room::start();
    for (sent, answers) in [
        ("who\n", "ok\n"),
        ("who", "ok\n"),
        ("who\nbans\n\n  \nbans\r\nwho\r\n", "ok\nok\nok\nok\n"),
        ("bans\nnothing", "ok\nerror: \"nothing\" is unknown"),
        ("\n\r\n", ""),
        ("", ""),
    ] {
        let mut operator = room.operator();
        operator.send(sent);
        operator.end_input();
        let rest = operator.rest();
        assert!(rest.starts_with(answers) && rest.is_empty() == answers.is_empty(), "{rest:?}");
    }
}

#[test]
fn a_line_of_over_1024_bytes_ends_the_connection() {
    // "a line of over 1,024 bytes gets `error:` and the connection ends".
    let room = Room::start();
    let mut peer = room.server.join();
    let text = "x".repeat(1024 - "say ".len());
    for ending in ["\n", "\r\n", ""] {
        let mut operator = room.operator();
        operator.send(format!("say {text}{ending}"));
        operator.end_input();
        assert_eq!(operator.rest(), "ok\n", "{ending:?}");
        assert_eq!(peer.relay().text(), text);
    }
    for long in [
        format!("say {text}x\n"),
        format!("say {text}x\r\n"),
        format!("say {text}x"),
        "x".repeat(100_000),
        format!("{}\nwho\n", "x".repeat(5000)),
    ] {
        let mut operator = room.operator();
        operator.send(&long);
        operator.end_input();
        let rest = operator.rest();
        assert_eq!(rest, "error: a line is at most 1024 bytes; the connection is closed\n");
    }
    peer.expect_nothing();
}

#[test]
fn bytes_that_are_no_text_are_refused_and_the_connection_goes_on() {
    let room = Room::start();
    let mut operator = room.operator();
    for line in [&b"say \xff\n"[..], b"say \x1b[2J\n", b"\0\n", b"say a\rb\n"] {
        operator.send(line);
        let reason = operator.answer().unwrap_err();
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
    operator.ok("who");
}

#[test]
fn twenty_operators_work_at_the_same_time() {
    // "Any number of operators at a time."
    let room = Room::start();
    let mut peer = room.server.join();
    thread::scope(|scope| {
        for nth in 0..20 {
            let room = &room;
            scope.spawn(move || {
                let mut operator = room.operator();
                for round in 0..10 {
                    operator.ok(&format!("say {nth} {round}"));
                    assert_eq!(operator.ok("who").len(), 1);
                }
            });
        }
    });
    let mut next = [0; 20];
    for _ in 0..200 {
        let relay = peer.relay();
        let (nth, round) = relay.text().split_once(' ').unwrap();
        let next = &mut next[nth.parse::<usize>().unwrap()];
        assert_eq!(round, next.to_string());
        *next += 1;
    }
    peer.expect_nothing();
}

#[test]
fn more_operators_than_there_may_be_are_told_so() {
    let room = Room::start();
    let mut here: Vec<_> = (0..64).map(|_| room.operator()).collect();
    for operator in &mut here {
        operator.ok("bans");
    }
    let refused = room.operator().rest();
    assert!(refused.starts_with("error: ") && refused.ends_with('\n'), "{refused:?}");
    here.pop();
    let until = Instant::now() + DEADLINE;
    loop {
        let mut operator = room.operator();
        // One that is refused may be closed before its command has come.
        let _ = operator.stream.get_mut().write_all(b"bans\n");
        if operator.line().as_deref() == Some("ok") {
            break;
        }
        assert!(Instant::now() < until, "its place does not become free");
    }
}

#[test]
fn an_operator_who_does_not_read_delays_nobody() {
    // "Nothing that an operator does, or does not read, can block or break a delivery."
    let mut room = Room::start();
    let (mut sender, mut reader) = (room.server.join(), room.server.join());
    let mut deaf: Vec<_> = (0..20).map(|_| room.operator()).collect();
    for operator in &mut deaf {
        let stream = operator.stream.get_mut();
        stream.set_nonblocking(true).unwrap();
        // Until the server takes no more of it: it waits for its answers to be read.
        let mut sent = 0;
        while sent < 10_000 && stream.write_all(b"help\nwho\nstats\n").is_ok() {
            sent += 1;
        }
    }
    for nth in 0..200 {
        sender.say(format!("text {nth}")).ok();
        assert_eq!(reader.relay().text(), format!("text {nth}"));
    }
    room.operator().ok("say still here");
    assert_eq!(reader.relay().text(), "still here");
    // Nor do they hold up its end.
    let mut operator = room.operator();
    operator.ok("stop");
    assert!(room.server.wait().success());
    drop(deaf);
}
