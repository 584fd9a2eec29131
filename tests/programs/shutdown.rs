//! Stopping: on a signal the server writes what is queued, for a bounded time, and ends with 0.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{Server, chat, message, multichatd, pattern};

/// The signals that stop it.
const STOPPING: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];

/// A server for which no signal is ignored, though that may be so for the tests.
fn start_with_default_signals() -> Server {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM,HUP,QUIT").arg(multichatd(&[]).get_program());
    command.env_remove("RUST_LOG");
    Server::started_by(command)
}

#[test]
fn sigint_sigterm_sighup_and_sigquit_end_it_with_status_0() {
    // P5: on SIGINT, SIGTERM, SIGHUP or SIGQUIT the server stops accepting, writes what is queued,
    // and ends with 0. Its temporary stage does not stay behind.
    for signal in STOPPING {
        let mut server = start_with_default_signals();
        let mut idle = server.join();
        let mut closed = server.join();
        closed.end_input();
        closed.expect_end();
        idle.share_to(idle.uid, "txt", "private").ok();
        idle.relay();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal:?}");
        idle.expect_end();
        assert!(std::net::TcpStream::connect(server.address).is_err());
        assert_eq!(fs::read_dir(server.temp()).unwrap().count(), 0, "{signal:?}");
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    // `nohup` and a shell's background jobs ignore signals for what they start.
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT), ("QUIT", Signal::QUIT)] {
        let mut command = Command::new("env");
        command.arg(format!("--ignore-signal={name}")).arg("--default-signal=TERM");
        command.arg(multichatd(&[]).get_program()).env_remove("RUST_LOG");
        let server = Server::started_by(command);
        let mut client = server.join();
        server.signal(signal);
        (0..100).for_each(|nth| drop(client.say(format!("{nth}")).ok()));
        server.signal(signal);
        server.join().uids();
        let log = server.stop();
        assert_eq!(log.iter().filter(|line| line.contains("stopping")).count(), 1, "{log:#?}");
    }
}

#[test]
fn it_stops_with_a_client_inside_a_message_and_tells_it() {
    let mut server = Server::start();
    let mut typing = server.join();
    let mut other = server.join();
    typing.send("Message-Type chat\nMessage-ID 7\nContent-Length 10\n\nhalf");
    other.sync();
    server.signal(Signal::TERM);
    let told = typing.response();
    assert!(told.reason().contains("stopping"), "{told:?}");
    assert_eq!(told.number("Message-ID"), 7);
    typing.expect_end();
    assert!(server.wait().success());
    assert!(other.messages_to_end().is_empty());
}

#[test]
fn what_is_queued_is_written_before_the_end() {
    let mut server = Server::with(&["--queue-limit", "64M"]);
    let mut slow = server.join_with_small_buffer();
    let mut sender = server.join();
    let text = "x".repeat(60_000);
    for _ in 0..100 {
        sender.say(&text).ok();
    }
    server.signal(Signal::TERM);
    // The sender sees the end at once; the slow reader is only now read from.
    sender.expect_end();
    let relays = slow.messages_to_end();
    assert_eq!(relays.len(), 100);
    assert!(relays.iter().all(|relay| relay.text() == text));
    assert!(server.wait().success());
}

#[test]
fn what_is_queued_reaches_a_client_that_goes_on_sending() {
    // A close with unread bytes in the socket would reset the connection and destroy it.
    let mut server = Server::start();
    let mut busy = server.join_with_small_buffer();
    let mut sender = server.join();
    for number in 0..500 {
        sender.say_to(busy.uid, format!("{number:1000}")).ok();
    }
    server.signal(Signal::TERM);
    sender.expect_end();
    // For longer than a server lingers that only waits for silence. Few bytes: a connection that is
    // shut down for reading does not tell its peer of new room before it is asked.
    let until = Instant::now() + Duration::from_millis(700);
    while Instant::now() < until {
        busy.send("\n");
        thread::sleep(Duration::from_millis(1));
    }
    for number in 0..500 {
        // Fails once all has arrived, and the server has ended.
        busy.try_send("\n");
        assert_eq!(busy.relay().text(), format!("{number:1000}"));
    }
    busy.expect_end();
    assert!(server.wait().success());
}

#[test]
fn what_clients_had_sent_before_the_signal_is_carried_out() {
    let mut server = Server::start();
    let mut listener = server.join();
    let mut sender = server.join();
    let chats: Vec<u8> = (0..500).flat_map(|id| chat(id, format!("text {id}"))).collect();
    sender.send(&chats);
    // The first one has arrived, so the rest of that one write is at the server, read or not.
    assert_eq!(listener.relay().text(), "text 0");
    server.signal(Signal::TERM);
    let relays = listener.messages_to_end();
    assert!(relays.iter().zip(1..).all(|(relay, id)| relay.text() == format!("text {id}")));
    assert_eq!(relays.len(), 499);
    let responses = sender.messages_to_end();
    assert_eq!(responses.len(), 500);
    assert!(server.wait().success());
}

#[test]
fn a_reader_that_has_stopped_holds_the_end_up_for_a_bounded_time() {
    let mut server = Server::with(&["--queue-limit", "64M", "--stall-timeout", "60"]);
    let stalled = server.join_with_small_buffer();
    let mut sender = server.join();
    let text = "x".repeat(60_000);
    for _ in 0..200 {
        sender.say(&text).ok();
    }
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(server.log().seen.iter().any(|line| line.contains("did not take")), "said in the log");
    drop(stalled);
}

#[test]
fn the_temporary_stage_is_removed_with_what_it_holds() {
    // A private temporary directory, removed at the end.
    let mut server = Server::start();
    let mut tom = server.join();
    tom.share("bin", pattern(1, 100_000)).ok();
    let dirs: Vec<_> = fs::read_dir(server.temp()).unwrap().collect();
    assert_eq!(dirs.len(), 1);
    // A share that is still arriving is removed as well.
    tom.send("Message-Type chat\nMessage-ID 9\nContent-Type bin\nContent-Length 10\n\nhalf");
    server.join().uids();
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert_eq!(fs::read_dir(server.temp()).unwrap().count(), 0);
}

#[test]
fn a_file_on_its_way_still_arrives_whole() {
    // What is queued is written, for a bounded time: a file whose header has promised its length too.
    let mut server = Server::start();
    let mut sharer = server.join();
    let content = pattern(5, 4 << 20);
    sharer.share("bin", &content).ok();
    let mut fetcher = server.join_with_small_buffer();
    fetcher.send(message("Message-Type fetch\nMessage-ID 5", "1"));
    fetcher.expect("Status Ok\r\n");
    server.signal(Signal::TERM);
    // The end of another client's connection shows that the server is stopping.
    sharer.expect_end();
    fetcher.expect(
        "Message-Type fetch\r\nMessage-ID 5\r\nContent-Type bin\r\nContent-Length 4194304\r\n\r\n",
    );
    fetcher.expect(&content);
    fetcher.expect_end();
    assert!(server.wait().success());
}

#[test]
fn a_kept_stage_holds_whole_files_only_after_a_stop() {
    // `--stage DIR` keeps shared files; a share that is still arriving leaves nothing behind.
    let stage = tempfile::tempdir().unwrap();
    let mut server = Server::with(&["--stage", stage.path().to_str().unwrap()]);
    let mut sharer = server.join();
    sharer.share("txt", "whole").ok();
    let mut other = server.join();
    other.send("Message-Type chat\nMessage-ID 9\nContent-Type bin\nContent-Length 1000000\n\nhalf");
    sharer.sync();
    server.signal(Signal::INT);
    assert!(server.wait().success());
    let entries = fs::read_dir(stage.path()).unwrap().map(|entry| entry.unwrap());
    let kept: Vec<_> = entries.filter(|entry| entry.metadata().unwrap().len() > 0).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read_to_string(stage.path().join("1.txt")).unwrap(), "whole");
}

#[test]
fn clients_that_never_close_do_not_hold_the_end_up() {
    // The server closes their connections; it does not wait for them.
    let mut server = Server::start();
    let idle: Vec<_> = (0..50).map(|_| server.join()).collect();
    let silent: Vec<_> = (0..50).map(|_| server.connect()).collect();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    drop((idle, silent));
}
