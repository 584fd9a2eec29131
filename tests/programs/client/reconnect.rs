//! What becomes of a lost connection, where it is to be made again.

use std::io::Write;
use std::process::Stdio;
use std::sync::mpsc;

use super::fake::Fake;
use super::{DEADLINE, multichat, wait_until};
use crate::common::{LONG_DEADLINE, Process, Server};

#[test]
fn listen_connects_again_and_says_so() {
    let mut server = Server::start();
    let address = server.address.to_string();
    let mut peer = server.join();
    // With a history, nothing that arrives is printed before it has joined.
    let arguments = ["-n", "Tom", "--reconnect", "--history", "1", "listen", "--count", "2"];
    let mut process = Process::spawn(multichat(&address, &arguments));
    wait_until("it has joined", || peer.query("names").ok().text().ends_with("Tom\n"));
    peer.say("before").ok();
    process.out.wait_for("1: before");
    drop(peer);
    server.kill();
    process.log.wait_for("trying again in 1 s");
    process.log.wait_for("cannot connect to ");
    process.log.wait_for("trying again in 2 s");
    let again = Server::with(&["--listen", &address]);
    process.log.wait_for("connected again: your UID has changed from 2 to 1");
    let mut peer = again.join();
    assert_eq!(peer.query("names").ok().text(), "1 Tom\n2\n");
    peer.say("after").ok();
    assert!(process.wait(LONG_DEADLINE).success());
    assert_eq!(process.out.seen, ["1: before", "2: after"]);
}

#[test]
fn lines_that_come_meanwhile_are_sent_once_there_is_a_connection() {
    // A server that closes each connection after one message.
    let (said, heard) = mpsc::channel();
    let address = Fake::serve(move |fake| {
        while let Some(asked) = fake.next() {
            fake.respond(&asked, "Ok", "");
            if asked.message_type == "chat" {
                let _ = said.send(String::from_utf8(asked.body).expect("a text"));
                return;
            }
        }
    });
    let mut command = multichat(&address.to_string(), &["--reconnect"]);
    command.stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    let mut stdin = process.stdin();
    stdin.write_all(b"before\n").unwrap();
    assert_eq!(heard.recv_timeout(DEADLINE).unwrap(), "before");
    process.log.wait_for("trying again in 1 s");
    stdin.write_all(b"meanwhile\n").unwrap();
    assert_eq!(heard.recv_timeout(DEADLINE).unwrap(), "meanwhile");
}

#[test]
fn without_it_a_lost_connection_ends_the_program_at_once() {
    let mut server = Server::start();
    let mut command = multichat(&server.address.to_string(), &[]);
    command.stdin(Stdio::piped());
    let mut peer = server.join();
    let mut process = Process::spawn(command);
    // Held open: it does not wait for the end of input.
    let _stdin = process.stdin();
    wait_until("it has joined", || peer.uids().len() == 2);
    drop(peer);
    server.kill();
    assert_eq!(process.wait(DEADLINE).code(), Some(1));
    let lost = &process.log.seen[0];
    assert!(lost.starts_with("multichat: the ") && lost.contains("connection"), "{lost}");
}
