//! Sessions on a server in this process: only here is there a way to make one panic, which is a log
//! that does.

#![cfg(not(shuttle))]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::limits::Threads;
use crate::server::{Config, RunningServer, Server};
use crate::service::Service;
use crate::stage::{Pace, Stage};
use crate::supervisor::INJECTED;
use crate::supervisor::tests::assert_ends_process;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends a message and reads until the response's body `ends` so.
fn ask(stream: &mut TcpStream, message: &str, ends: &str) {
    stream.write_all(message.as_bytes()).unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 1024];
    while !got.ends_with(ends.as_bytes()) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => got.extend_from_slice(&buffer[..count]),
            other => panic!("{other:?} after {}, expected {ends:?}", got.escape_ascii()),
        }
    }
}

fn start() -> (RunningServer, SocketAddr) {
    start_for(1000)
}

/// A server with so many places.
fn start_for(max_clients: usize) -> (RunningServer, SocketAddr) {
    let listen = vec![([127, 0, 0, 1], 0).into()];
    let config = Config { listen, max_clients, ..Config::default() };
    let server = Server::bind(config).unwrap();
    let address = server.addresses()[0];
    (server.run().unwrap(), address)
}

#[test]
fn rule_1_a_session_flushes_before_it_waits_for_the_rest_of_a_message() {
    // The first of the rules over `delivery`: what came together with half of the next message is
    // relayed, and answered, before the other half comes.
    let (server, address) = start();
    let mut listener = connect(address);
    ask(&mut listener, "Message-Type query\nMessage-ID 1\n\n", "\r\n\r\n1\n");
    let mut sender = connect(address);
    let chat = "Message-Type chat\nMessage-ID 1\nContent-Length 5\n\n";
    ask(&mut sender, &format!("{chat}first{chat}oth"), "Content-Length 0\r\n\r\n");
    ask(&mut listener, "", "first");
    ask(&mut sender, &format!("er{chat}third{}", &chat[..20]), "Content-Length 0\r\n\r\n");
    ask(&mut listener, "", "third");
    server.stop();
}

/// A nickname at which the test's log panics, in the session that logs it.
const PANICS: &str = INJECTED;

struct PanickingLog;

impl log::Log for PanickingLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        assert!(!line.contains(PANICS), "{line}");
    }

    fn flush(&self) {}
}

#[test]
fn a_panic_takes_its_own_client_out_with_a_cause_and_nobody_else() {
    // Every way a thread can end takes its client out of the room with a cause.
    log::set_logger(&PanickingLog).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let (server, address) = start();
    let mut healthy = connect(address);
    ask(&mut healthy, "Message-Type query\nMessage-ID 1\n\n", "\r\n\r\n1\n");
    for uid in 2..5 {
        let mut doomed = connect(address);
        let len = PANICS.len();
        let message =
            format!("Message-Type nickname\nMessage-ID 1\nContent-Length {len}\n\n{PANICS}");
        doomed.write_all(message.as_bytes()).unwrap();
        // Its connection is closed, one way or the other. Another session that flushes may have sent
        // the response already.
        let mut rest = Vec::new();
        let _ = doomed.read_to_end(&mut rest);
        let is_response = rest.starts_with(b"Status Ok\r\n") && rest.ends_with(PANICS.as_bytes());
        assert!(rest.is_empty() || is_response, "{}", rest.escape_ascii());
        let cause = format!("client {uid} has left: the server failed to serve it\n");
        let to = format!("Message-Type chat\nMessage-ID 2\nTo {uid}\nContent-Length 2\n\nhi");
        ask(&mut healthy, &to, &cause);
    }
    // The room goes on: nothing is locked, nobody is counted who has left.
    let mut other = connect(address);
    ask(&mut other, "Message-Type query\nMessage-ID 1\n\n", "\r\n\r\n1\n5\n");
    ask(&mut other, "Message-Type chat\nMessage-ID 1\nContent-Length 5\n\nhello", "\r\n\r\n");
    ask(&mut healthy, "", "hello");
    server.stop();
}

/// A log that panics where somebody is refused.
struct LogThatPanicsOnRefusal;

impl log::Log for LogThatPanicsOnRefusal {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.args().to_string();
        assert!(!line.contains("is refused"), "{INJECTED}");
    }

    fn flush(&self) {}
}

#[test]
fn accepting_that_panics_ends_the_process() {
    // Else nobody would be let in any more, without a word.
    let name = "session::tests::accepting_that_panics_ends_the_process";
    assert_ends_process(name, "accept", || {
        log::set_logger(&LogThatPanicsOnRefusal).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        let (_server, address) = start_for(1);
        let mut first = connect(address);
        ask(&mut first, "Message-Type query\nMessage-ID 1\n\n", "\r\n\r\n1\n");
        let _one_too_many = connect(address);
        std::thread::park_timeout(Duration::from_secs(10));
    });
}

#[test]
fn refusing_that_panics_ends_the_process() {
    // Else those who are refused would never be told why.
    let name = "session::tests::refusing_that_panics_ends_the_process";
    assert_ends_process(name, "refuse", || {
        let (_server, address) = start_for(1);
        let mut first = connect(address);
        ask(&mut first, "Message-Type query\nMessage-ID 1\n\n", "\r\n\r\n1\n");
        let mut one_too_many = connect(address);
        one_too_many.write_all(INJECTED.as_bytes()).unwrap();
        std::thread::park_timeout(Duration::from_secs(10));
    });
}

#[test]
fn making_long_answers_that_panics_ends_the_process() {
    // Else all who ask for one would wait for ever.
    let name = "session::tests::making_long_answers_that_panics_ends_the_process";
    assert_ends_process(name, "answer", || {
        let pace = Pace { bytes: 1, time: Duration::from_secs(1) };
        let stage = Stage::open(None, 1, pace).unwrap();
        let service = Service::start(Config::default(), stage, Threads::new(10)).unwrap();
        service.make_long_answer(|_| panic!("{INJECTED}"));
    });
}
