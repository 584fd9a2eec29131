//! `operator`: the commands of a server's operator, from the command line, a pipe and a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::Stdio;

use tempfile::TempDir;

use super::terminal::{CTRL_D, MULTICHAT, TAB, Terminal, program};
use super::{DEADLINE, Output, multichat, wait_until};
use crate::common::Process;
use crate::operator::Room;

fn ask(room: &Room, command: &[&str]) -> Output {
    let path = room.path.to_str().expect("a path in UTF-8");
    Output::of(multichat("localhost:1", &[&["operator", path], command].concat()))
}

fn ask_with_input(room: &Room, input: &str) -> Output {
    let dir = TempDir::new().expect("a temporary directory");
    let file = dir.path().join("input");
    std::fs::write(&file, input).expect("write the input");
    let path = room.path.to_str().expect("a path in UTF-8");
    let mut command = multichat("localhost:1", &["operator", path]);
    command.stdin(Stdio::from(File::open(&file).expect("open the input")));
    Output::of(command)
}

#[test]
fn one_command_is_carried_out_and_its_answer_printed() {
    // `operator PATH [COMMAND…]`: "sends one operator's command to the socket at PATH and prints the
    // answer (status 1 on `error:`)".
    let room = Room::start();
    let mut peer = room.server.join();
    peer.set_nickname("Ann").ok();
    let who = ask(&room, &["who"]).ok();
    assert!(who[0].starts_with("1 127.0.0.1:") && who[0].ends_with(" 0 Ann"), "{who:?}");
    assert_eq!(who[1..], ["ok"]);
    assert_eq!(ask(&room, &["say", "hello", "to  all"]).ok(), ["ok"]);
    assert_eq!(peer.relay().text(), "hello to  all");
    assert_eq!(ask(&room, &["kick 1 good bye"]).ok(), ["ok"]);
    assert_eq!(peer.read_message().reason(), "the operator has removed you: good bye");
    let refused = ask(&room, &["kick", "1"]).failed(1, "client 1 has left");
    assert!(refused.is_empty(), "{refused:?}");
    ask(&room, &["shout"]).failed(1, "\"shout\" is unknown");
}

#[test]
fn a_client_that_was_removed_does_not_come_back() {
    // "The client gets `Status Error` …, and is disconnected so that it can read it": to connect again
    // at once would undo it.
    let room = Room::start();
    let mut peer = room.server.join();
    let address = room.server.address.to_string();
    let mut process = Process::spawn(multichat(&address, &["--reconnect", "listen"]));
    wait_until("it has joined", || peer.uids().len() == 2);
    assert_eq!(ask(&room, &["kick 2 not here"]).ok(), ["ok"]);
    assert_eq!(process.wait(DEADLINE).code(), Some(1));
    let why = "the operator has removed you: not here";
    assert!(process.log.seen.iter().any(|line| line.contains(why)), "{:?}", process.log.seen);
    assert_eq!(peer.uids(), [1]);
}

#[test]
fn a_client_that_is_removed_before_it_has_joined_does_not_come_back() {
    // As above, where the words come before the first answer, and behind it.
    let words = "the operator has removed you: not here; the connection is closed\n";
    let error = format!(
        "Status Error\nMessage-Type unknown\nMessage-ID 0\nContent-Type text\n\
         Content-Length {}\n\n{words}",
        words.len()
    );
    let answer = "Status Ok\nMessage-Type query\nMessage-ID 1\nContent-Length 0\n\n";
    for before in ["", answer] {
        let server = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = server.local_addr().expect("an address").to_string();
        let mut process = Process::spawn(multichat(&address, &["--reconnect", "listen"]));
        let (mut stream, _) = server.accept().expect("the client connects");
        // What it asks first is read, so that the end is no reset.
        let count = stream.read(&mut [0; 4096]).expect("a question");
        assert!(count > 0, "the client asks nothing");
        stream.write_all(format!("{before}{error}").as_bytes()).expect("send");
        stream.shutdown(Shutdown::Write).expect("end the output");
        assert_eq!(process.wait(DEADLINE).code(), Some(1));
        let why = "the operator has removed you: not here";
        assert!(process.log.seen.iter().any(|line| line.contains(why)), "{:?}", process.log.seen);
        server.set_nonblocking(true).expect("not to wait");
        assert!(server.accept().is_err(), "it has come back");
    }
}

#[test]
fn commands_are_taken_from_standard_input_too() {
    // "otherwise it takes them from standard input"; and the status tells of any refusal.
    let room = Room::start();
    let mut peer = room.server.join();
    let out = ask_with_input(&room, "hush\n\n  say one  \r\nbans\nsay two").ok();
    assert_eq!(out, ["ok"; 4]);
    assert_eq!(peer.relay().text(), "one");
    assert_eq!(peer.relay().text(), "two");
    let output = ask_with_input(&room, "kick 9\nsay three\n");
    assert_eq!(output.out, ["ok"]);
    output.failed(1, "no client 9 has connected");
    assert_eq!(peer.relay().text(), "three");
    assert_eq!(ask_with_input(&room, "").ok(), [""; 0]);
}

#[test]
fn what_is_wrong_on_the_command_line_is_said() {
    let room = Room::start();
    let of = |arguments: &[&str]| Output::of(multichat("localhost:1", arguments));
    of(&["operator"]).failed(2, "the path of a server's socket is missing");
    of(&["operator", "/nowhere/control", "who"]).failed(
        1,
        "cannot reach the operator's socket /nowhere/control: No such file or directory",
    );
    ask(&room, &["say", "a\nstop"]).failed(2, "a command is one line");
    ask(&room, &["  "]).failed(2, "the command is empty");
    ask(&room, &["--json", "who"]).failed(2, "--json: only with");
    let mut killed = Room::start();
    killed.server.kill();
    ask(&killed, &["who"]).failed(1, "Connection refused");
}

#[test]
fn on_a_terminal_commands_are_asked_for_edited_and_completed() {
    // "without a command on a terminal it asks for them, with line editing and completion".
    let room = Room::start();
    let mut peer = room.server.join();
    peer.set_nickname("Ann").ok();
    let path = room.path.to_str().unwrap();
    let mut terminal = Terminal::start_program(program(MULTICHAT).args(["operator", path]));
    terminal.wait_for_line(">");
    // Edited: what was mistyped is taken back.
    terminal.type_in("whoo\x7f\r");
    terminal.wait_for(" 0 Ann");
    terminal.wait_for("ok");
    // Completed: the command, and the UID of the only client.
    terminal.type_in("say one\r");
    assert_eq!(peer.relay().text(), "one");
    terminal.type_in(format!("unm{TAB}"));
    terminal.wait_for_line("> unmute");
    terminal.type_in(TAB);
    terminal.wait_for_line("> unmute 1");
    terminal.type_in("\rkick 7\r");
    terminal.wait_for("error: no client 7 has connected");
    terminal.type_in(format!("ki{TAB}{TAB}enough\r"));
    assert_eq!(peer.read_message().reason(), "the operator has removed you: enough");
    terminal.type_in(CTRL_D);
    assert!(terminal.child.wait().unwrap().success());
}

#[test]
fn on_a_terminal_it_ends_with_the_server_that_it_has_stopped() {
    let mut room = Room::start();
    let path = room.path.to_str().unwrap().to_owned();
    let mut terminal = Terminal::start_program(program(MULTICHAT).args(["operator", &path]));
    terminal.wait_for_line(">");
    terminal.type_in("stop\r");
    assert!(terminal.child.wait().unwrap().success());
    assert!(room.server.wait().success());
}
