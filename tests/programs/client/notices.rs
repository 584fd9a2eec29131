//! The client: who comes and goes (E2).

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::fake::Fake;
use super::terminal::{Terminal, peer_called};
use super::{Output, multichat, wait_until};
use crate::common::{DEADLINE, Peer, Process, Server};

/// Says numbers until one of them is told with its place: from then on there are notices.
fn wait_until_extended(process: &mut Process, peer: &mut Peer) {
    for number in 1.. {
        peer.say(format!("number {number}.")).ok();
        if process.out.wait_for(&format!("number {number}.")).contains("\"sequence\"") {
            return;
        }
    }
}

/// Tom comes, is called otherwise, and leaves.
fn come_and_go(server: &Server) {
    let mut tom = peer_called(server, "Tom");
    tom.set_nickname("Thomas").ok();
    tom.bye();
}

/// The lines behind the numbers, as JSON.
fn objects(lines: &[String]) -> Vec<Value> {
    let objects = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
    let is_number = |object: &Value| object["text"].to_string().contains("number");
    objects.filter(|object| !is_number(object)).collect()
}

#[test]
fn a_terminal_tells_dimmed_who_comes_and_goes() {
    // interface: `* 7 Tom joined`, `* 7 Tom is now Thomas`, `* 7 Tom left: it said bye`, dimmed.
    let server = Server::start();
    let mut ann = server.join();
    let mut terminal = Terminal::join(&server, &[]);
    let mut silent = Terminal::join(&server, &["--no-notices"]);
    come_and_go(&server);
    terminal.wait_for("* 4 Tom joined\n");
    terminal.wait_for("* 4 Tom is now Thomas\n");
    terminal.wait_for("* 4 Thomas left: it said bye\n");
    let came = String::from_utf8_lossy(&terminal.came).into_owned();
    let line = came.lines().find(|line| line.contains("Tom joined")).expect("the line");
    assert!(
        line.contains("\x1b[2m") && line.trim_end().ends_with("* 4 Tom joined\x1b[0m"),
        "{line:?}"
    );
    ann.say("aloud").ok();
    silent.wait_for("1: aloud");
    assert!(!silent.text().contains("Tom"), "{}", silent.text());
}

#[test]
fn plain_lines_of_notices_have_no_escapes() {
    // interface: `--plain` on a terminal writes no escape sequence at all.
    let server = Server::start();
    let mut ann = server.join();
    ann.say("of old").ok();
    let mut terminal = Terminal::start(&server, &["--plain"]);
    terminal.wait_for("/help tells");
    come_and_go(&server);
    terminal.wait_for("* 3 Thomas left: it said bye");
    assert!(terminal.text().contains(" 1: of old\n"), "{}", terminal.text());
    assert!(!terminal.came.contains(&0x1b), "{:?}", String::from_utf8_lossy(&terminal.came));
}

#[test]
fn listening_tells_who_comes_and_goes_where_that_is_wanted() {
    // interface: in the same form, without a time; they do not count for `--count`.
    let server = Server::start();
    let mut ann = server.join();
    let address = server.address.to_string();
    let mut listen = |arguments: &[&str]| {
        let json =
            Process::spawn(multichat(&address, &[arguments, &["--json", "listen"]].concat()));
        let mut lines = Process::spawn(multichat(&address, &[arguments, &["listen"]].concat()));
        let mut json = json;
        wait_until("both are here", || ann.uids().len() == 3);
        wait_until_extended(&mut json, &mut ann);
        // That the lines are extended cannot be seen; that they arrive, and they asked before.
        lines.out.wait_for("number ");
        wait_until_extended(&mut json, &mut ann);
        come_and_go(&server);
        ann.say("the end").ok();
        json.out.wait_for("the end");
        lines.out.wait_for("the end");
        let is_number = |line: &&String| !line.contains("number ");
        let told: Vec<String> = lines.out.seen.iter().filter(is_number).cloned().collect();
        let told = (told, objects(&json.out.seen));
        drop((lines, json));
        wait_until("both have gone", || ann.uids().len() == 1);
        told
    };
    let (lines, json) = listen(&[]);
    assert_eq!((lines, json.len()), (vec!["1: the end".to_string()], 1));
    let (lines, json) = listen(&["--notices"]);
    let uid = json[0]["from"].as_u64().expect("a UID");
    let expected = ["Tom joined", "Tom is now Thomas", "Thomas left: it said bye"];
    assert_eq!(lines[..3], expected.map(|news| format!("* {uid} {news}")));
    assert_eq!(lines[3..], ["1: the end"]);
    for (object, event) in json.iter().zip(["joined", "nickname", "left"]) {
        assert_eq!((&object["kind"], &object["event"]), (&"notice".into(), &event.into()));
        assert_eq!((&object["from"], object.get("text")), (&uid.into(), None));
        assert!(object["sent"].as_str().is_some_and(|sent| sent.ends_with('Z')), "{object}");
        assert!(object["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{object}");
    }
    assert_eq!((&json[1]["nickname"], &json[1]["new_nickname"]), (&"Tom".into(), &"Thomas".into()));
    assert_eq!(json[2]["cause"], "it said bye");
    assert_eq!((json[0].get("cause"), json[0].get("new_nickname")), (None, None));
}

#[test]
fn a_notice_does_not_count() {
    // interface: neither history nor notices count for `--count`.
    let address = notifying_server("Tom");
    let arguments = ["--notices", "listen", "--count", "1"];
    let out = Output::of(multichat(&address, &arguments)).ok();
    assert_eq!(
        out,
        ["* 7 Tom joined", "* 7 Tom is now Thomas", "* 7 Tom left: it said bye", "7: hi"]
    );
}

/// A server that tells of somebody who is called so, and then says hi.
fn notifying_server(nickname: &str) -> String {
    let nickname = nickname.to_owned();
    let address = Fake::serve(move |client| {
        client.begin();
        while let Some(asked) = client.next() {
            match asked.text() {
                "features" => client.respond(&asked, "Ok", "extended\n"),
                "extended" => {
                    client.respond(&asked, "Ok", "extended\n");
                    let renamed = format!("nickname {}", nickname.replace("Tom", "Thomas"));
                    // The one that nobody knows, and the one that is no line, are skipped.
                    let long = format!("left: {}", "x".repeat(100_000));
                    for body in ["joined", &renamed, "slept", &long, "left: it said bye"] {
                        client.send(format!(
                            "Message-Type notice\r\nFrom 7\r\nSender-Nickname {nickname}\r\n\
                             Content-Type text\r\nContent-Length {}\r\n\r\n{body}\n",
                            body.len() + 1
                        ));
                    }
                    client.send(
                        "Message-Type chat\r\nFrom 7\r\nContent-Type text\r\nContent-Length 2\r\n\r\nhi",
                    );
                }
                _ => return,
            }
        }
    });
    address.to_string()
}

#[test]
fn nothing_in_a_notice_is_obeyed() {
    // interface: control characters that arrive are shown, never obeyed.
    let address = notifying_server("\u{1b}]0;x\u{7}\u{9b}2J\u{202e}");
    for json in [&[][..], &["--json"]] {
        let arguments = [json, &["--notices", "listen", "--count", "1"]].concat();
        let out = Output::of(multichat(&address, &arguments)).ok();
        assert_eq!(out.len(), 4, "{out:?}");
        let obeyed = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!out.concat().contains(obeyed), "{out:?}");
    }
}

#[test]
fn piped_lines_tell_who_comes_and_goes_where_that_is_wanted() {
    // interface: `listen` and piped lines print notices in the same form; two-way JSON too.
    let server = Server::start();
    let address = server.address.to_string();
    for (options, is_told) in [(&[][..], false), (&["--notices"], true)] {
        let mut command = multichat(&address, options);
        command.stdin(Stdio::piped());
        let mut lines = Process::spawn(command);
        let mut command = multichat(&address, &[options, &["--json"]].concat());
        command.stdin(Stdio::piped());
        let mut json = Process::spawn(command);
        let (mut to_lines, mut to_json) = (lines.stdin(), json.stdin());
        // Each hears the other when both have joined.
        to_json.write_all(b"{\"query\": \"self\"}\n").unwrap();
        json.out.wait_for("\"response\"");
        to_lines.write_all(b"here\n").unwrap();
        json.out.wait_for("\"here\"");
        come_and_go(&server);
        let mut ann = server.join();
        ann.say("the end").ok();
        lines.out.wait_for(": the end");
        json.out.wait_for("the end");
        drop((to_lines, to_json));
        assert!(lines.wait(DEADLINE).success() && json.wait(DEADLINE).success());
        let told = |out: &[String], part: &str| out.iter().any(|line| line.contains(part));
        assert_eq!(told(&lines.out.seen, " Thomas left: it said bye"), is_told);
        assert_eq!(told(&json.out.seen, r#""event":"left""#), is_told, "{:?}", json.out.seen);
    }
}
