//! The client: what was said before it came (E3).

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use super::fake::Fake;
use super::terminal::{Terminal, peer_called};
use super::{Output, multichat, run, wait_until};
use crate::common::{DEADLINE, Peer, Process, Server};

/// A server in which Tom has said `count` numbers, and is still here.
fn server_with(count: usize) -> (Server, Peer) {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    (1..=count).for_each(|number| {
        tom.say(format!("number {number}.")).ok();
    });
    (server, tom)
}

/// A server that keeps `history`, and says something before it answers anything but the first query.
fn hasty_server(history: &str, said: &str) -> SocketAddr {
    let (history, said) = (history.to_owned(), said.to_owned());
    Fake::serve(move |client| {
        client.begin();
        client.send(relay("Ann", "", &said));
        while let Some(asked) = client.next() {
            match (asked.message_type.as_str(), asked.text()) {
                ("query", "features") => client.respond(&asked, "Ok", "extended\nhistory 100\n"),
                ("query", "extended") => client.respond(&asked, "Ok", "extended\n"),
                ("query", body) if body.starts_with("history ") => {
                    client.respond(&asked, "Ok", &history);
                }
                ("query", _) => client.respond(&asked, "Ok", "8\n"),
                ("bye", _) => return,
                _ => client.respond(&asked, "Ok", ""),
            }
        }
    })
}

/// A text as it is relayed, with these further fields.
fn relay(nickname: &str, fields: &str, text: &str) -> String {
    format!(
        "Message-Type chat\r\nFrom 7\r\nSender-Nickname {nickname}\r\n{fields}Content-Type text\r\n\
         Content-Length {}\r\n\r\n{text}",
        text.len()
    )
}

#[test]
fn a_terminal_shows_the_last_twenty_dimmed_with_the_time_they_were_said() {
    // interface, "On a terminal history is shown … dimmed, with the time at which it was said".
    let (server, mut tom) = server_with(25);
    let mut terminal = Terminal::join(&server, &[]);
    let text = terminal.text();
    for number in 1..=25 {
        assert_eq!(text.contains(&format!(" 1 Tom: number {number}.")), number > 5, "{text}");
    }
    let first = text.lines().next().expect("a line");
    assert!(first[2..].starts_with(':') && first.ends_with(" 1 Tom: number 6."), "{first}");
    tom.say("and now").ok();
    terminal.wait_for("1 Tom: and now");
    let came = String::from_utf8_lossy(&terminal.came).into_owned();
    let dimmed = format!("\x1b[2m{first}\x1b[0m");
    assert!(came.contains(&dimmed), "{came:?}");
    assert!(!came.contains('\x07'), "what is old does not ring");
    assert!(came.contains("\x1b[38;5;130m1 Tom\x1b[0m: and now"), "what is new is not dimmed");
}

#[test]
fn history_stands_before_what_arrives_meanwhile() {
    // interface: before the first line that arrives, however the server hurries. The time is the
    // server's, with the date where it was another day.
    let history = relay("Tom", "Sequence 1\r\nTime 2001-02-03T12:00:00.000Z\r\n", "of old");
    let address = hasty_server(&history, "hasty");
    let mut terminal = Terminal::start_at(address, &[], &[]);
    terminal.wait_for("7 Ann: hasty");
    let text = terminal.text();
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in:\n{text}"));
    assert!(at("7 Tom: of old") < at("/help tells") && at("/help tells") < at("7 Ann: hasty"));
    assert!(text.starts_with("2001-02-0"), "{text}");

    let address = address.to_string();
    let listen = ["--history", "1", "listen", "--count", "1"];
    assert_eq!(Output::of(multichat(&address, &listen)).ok(), ["7 Tom: of old", "7 Ann: hasty"]);
    assert_eq!(Output::of(multichat(&address, &listen[2..])).ok(), ["7 Ann: hasty"]);
    assert_eq!(
        Output::of(multichat(&address, &["--history", "1"])).ok(),
        ["7 Tom: of old", "7 Ann: hasty"]
    );
}

#[test]
fn as_many_are_shown_as_are_wanted_and_kept() {
    // interface, `--history N`: 20 on a terminal, 0 otherwise.
    let (server, mut tom) = server_with(3);
    let joined = ["* joined 127.0.0.1", "* you have no nickname", ">"];
    let mut terminal = Terminal::join(&server, &["--history", "0"]);
    terminal.wait_for(joined[1]);
    terminal.wait_for_line(">");
    for (line, expected) in terminal.text().lines().zip(joined) {
        assert!(line.contains(expected), "{line}");
    }
    let terminal = Terminal::join(&server, &["--history", "2"]);
    assert!(!terminal.text().contains("number 1.") && terminal.text().contains("number 2."));

    let mut listen = |arguments: &[&str]| {
        let address = server.address.to_string();
        let before = tom.uids().len();
        let arguments = [arguments, &["listen", "--count", "1"]].concat();
        let mut process = Process::spawn(multichat(&address, &arguments));
        wait_until("it has joined", || tom.uids().len() > before);
        tom.say("at last").ok();
        assert!(process.wait(DEADLINE).success());
        process.out.seen.clone()
    };
    assert_eq!(listen(&[]), ["1 Tom: at last"]);
    assert_eq!(listen(&["--history", "2"])[2..], ["1 Tom: at last"]);
    let all = listen(&["--history", "99"]);
    assert_eq!(all[..3], [1, 2, 3].map(|number| format!("1 Tom: number {number}.")));
}

#[test]
fn history_does_not_count_and_is_the_same_as_json() {
    // interface: `listen` and piped lines print history in the same form, without a time; neither
    // counts for `--count`. `sequence` and `sent` are there where the server has told them.
    let (server, _tom) = server_with(2);
    let waits = ["--history", "9", "listen", "--count", "1", "--timeout", "0.3"];
    let out = run(&server, &waits).failed(1, "no message came within 0.3 s");
    assert_eq!(out, ["1 Tom: number 1.", "1 Tom: number 2."]);
    let out = run(&server, &[&waits[..], &["--json"]].concat()).failed(1, "no message");
    let objects: Vec<Value> = out.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&objects[1]["text"], &objects[1]["sequence"]), (&"number 2.".into(), &2.into()));
    let sent = objects[0]["sent"].as_str().expect("a time");
    assert!(sent.len() == 24 && sent.ends_with('Z'), "{sent}");

    assert_eq!(run(&server, &["--history", "1"]).ok(), ["1 Tom: number 2."]);
    let out = run(&server, &["--history", "1", "--json"]).ok();
    assert!(out.len() == 1 && out[0].contains(r#""sequence":2"#), "{out:?}");
    assert!(run(&server, &[]).ok().is_empty() && run(&server, &["--json"]).ok().is_empty());
}

#[test]
fn more_of_it_is_shown_where_it_is_asked_for() {
    // interface: `/history N` shows more.
    let (server, mut tom) = server_with(5);
    let mut terminal = Terminal::join(&server, &["--history", "0"]);
    tom.say("since then").ok();
    terminal.wait_for("since then");
    terminal.type_in("/history 2\r");
    terminal.wait_for("1 Tom: number 4.\n");
    terminal.wait_for("1 Tom: number 5.\n");
    assert!(!terminal.text().contains("number 3."), "{}", terminal.text());
    terminal.type_in("/history\r");
    terminal.wait_for("1 Tom: number 1.\n");
    terminal.type_in("/history x\r");
    terminal.wait_for("/history x: not a number of messages");
    assert_eq!(terminal.text().matches("since then").count(), 1, "it is no history");

    let empty = Server::start();
    let mut terminal = Terminal::join(&empty, &[]);
    terminal.type_in("/history 9\r");
    terminal.wait_for("nothing was said before you came");
    let none = Server::with(&["--history", "0"]);
    let mut terminal = Terminal::join(&none, &[]);
    terminal.type_in("/history 9\r");
    terminal.wait_for("the server keeps no history");
}

#[test]
fn a_log_has_what_was_said_since_and_not_what_was_said_before() {
    // interface, `--log FILE`: what is said.
    let (server, mut tom) = server_with(1);
    let mut terminal = Terminal::join(&server, &["--log", "log"]);
    tom.say("since then").ok();
    terminal.wait_for("since then");
    let log = std::fs::read_to_string(terminal.path("log")).unwrap();
    assert!(log.ends_with(" 1 Tom: since then\n") && log.lines().count() == 1, "{log}");
}

#[test]
fn a_flood_on_joining_is_not_held_back_for_ever() {
    // What waits for the history is bounded: then it comes before it, and nothing is lost.
    const COUNT: usize = 700;
    let address = Fake::serve(|client| {
        client.begin();
        let features = client.next().expect("a question");
        let long = relay("Ann", "", &"x".repeat(15_000));
        for _ in 0..COUNT {
            client.send(&long);
        }
        client.respond(&features, "Ok", "extended\nhistory 9\n");
        while let Some(asked) = client.next() {
            let body = match asked.text() {
                "extended" => "extended\n".to_string(),
                "history 5" => relay("Tom", "Sequence 1\r\n", "of old"),
                _ => return,
            };
            client.respond(&asked, "Ok", &body);
        }
    });
    let mut command = multichat(&address.to_string(), &["--history", "5"]);
    command.stdin(Stdio::null());
    let mut process = Process::spawn(command);
    assert!(process.wait(DEADLINE).success());
    let said = process.out.seen.iter().filter(|line| line.starts_with("7 Ann: xxx")).count();
    let old = process.out.seen.iter().filter(|line| *line == "7 Tom: of old").count();
    assert_eq!((said, old, process.out.seen.len()), (COUNT, 1, COUNT + 1));
}

#[test]
fn what_is_no_history_is_none() {
    // A server is not trusted: what it answers cannot end the program, and moves no cursor.
    let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";
    let relays = relay(&hostile.replace('\n', ""), "Sequence 1\r\n", hostile);
    for (history, lines) in [("noise\n", 0), (&relays[..40], 0), (&relays, 1)] {
        let address = hasty_server(history, "hasty");
        let mut command = multichat(&address.to_string(), &["--history", "5"]);
        command.stdin(Stdio::piped());
        let mut process = Process::spawn(command);
        process.stdin().write_all(b"hi\n").expect("say something");
        assert!(process.wait(DEADLINE).success());
        assert!(process.log.seen.is_empty(), "{:?}", process.log.seen);
        assert_eq!(process.out.seen.len(), lines + 1, "{:?}", process.out.seen);
        let obeyed = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!process.out.seen[0].contains(obeyed), "{:?}", process.out.seen);
    }
}

#[test]
fn options_of_history_and_notices_are_read() {
    // interface: wrong usage is status 2, in one line.
    let server = Server::start();
    let check = |arguments: &[&str], reason: &str| {
        run(&server, arguments).failed(2, reason);
    };
    check(&["--history", "x", "listen"], "--history x: not a number");
    check(&["--history", "-1", "listen"], "--history -1: not a number");
    check(&["--history", "9", "who"], "--history: only with the room, listen and piped lines");
    check(&["--notices", "send", "x"], "--notices: only with");
    check(&["--notices", "--no-notices", "listen"], "one of them, not both");
    check(&["--no-name", "fetch", "1"], "--no-name: only with the room, share and piped lines");
}
