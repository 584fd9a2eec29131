//! The checker against what is no server of the protocol at all: each rule ends, the run ends, and
//! what was wrong is said.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::command::{Ended, check};
use super::each;
use crate::common::pattern;

/// How long a step may take, in the option's own form.
const STEP: &str = "0.3";

/// How long a whole run may take: far less than all rules, each with a step's time.
const RUN: Duration = Duration::from_secs(60);

/// How much memory the checker may have, in KiB: the program and its threads alone need some.
const MEMORY_KIB: &str = "400000";

/// What a server does with a connection.
type Deed = fn(TcpStream);

/// A server that does this with each connection, in a thread of its own, until the tests end.
fn server(deed: Deed) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || deed(stream));
        }
    });
    address
}

/// Writes again and again, until the checker has gone.
fn write_on(mut stream: TcpStream, bytes: &[u8], pause: Duration) {
    while stream.write_all(bytes).is_ok() {
        thread::sleep(pause);
    }
}

fn never(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

fn byte_by_byte(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    for byte in b"Status Ok\nMessage-Type query\nMessage-ID 1\nContent-Type text\n".iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn noise(stream: TcpStream) {
    write_on(stream, &pattern(7, 1 << 20), Duration::ZERO);
}

fn letters(stream: TcpStream) {
    write_on(stream, &[b'S'; 1 << 20], Duration::ZERO);
}

fn flood(stream: TcpStream) {
    let relay = "Message-Type chat\nFrom 1\nContent-Type text\nContent-Length 2\n\nhi";
    write_on(stream, relay.repeat(1000).as_bytes(), Duration::ZERO);
}

fn endless_body(mut stream: TcpStream) {
    let _ = stream.write_all(b"Status Ok\nMessage-Type query\nContent-Length 99999999999\n\n");
    write_on(stream, &[b'x'; 1 << 16], Duration::ZERO);
}

fn http(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>");
}

fn closes(mut stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// With what was sent unread this is a close or a reset, as it comes.
fn drops(stream: TcpStream) {
    drop(stream);
}

fn resets(stream: TcpStream) {
    let _ = rustix::net::connect_unspec(&stream);
}

fn echo(mut stream: TcpStream) {
    let mut piece = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut piece) {
        if stream.write_all(&piece[..len]).is_err() {
            return;
        }
    }
}

/// Answers everything as a query, with this length for a body of four bytes.
fn answers(mut stream: TcpStream, len: usize) {
    let mut piece = [0; 4096];
    while let Ok(1..) = stream.read(&mut piece) {
        let response = format!(
            "Status Ok\r\nMessage-Type query\r\nMessage-ID 1\r\nContent-Type text\r\n\
             Content-Length {len}\r\n\r\n1\n2\n"
        );
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

fn one_too_long(stream: TcpStream) {
    answers(stream, 5);
}

fn one_too_short(stream: TcpStream) {
    answers(stream, 3);
}

/// What is wrong with the run against a stranger, if anything is; `word` is in what is said of it.
fn misled((name, deed, word): (&str, Deed, &str)) -> Option<String> {
    let begun = Instant::now();
    let address = server(deed).to_string();
    let ended: Ended = check(&["--level", "all", "--timeout", STEP, &address], Some(MEMORY_KIB));
    let took = begun.elapsed();
    let told = ended.out.join("\n");
    let failed = ended.out.iter().filter(|line| line.starts_with("FAIL ")).count();
    let explained = ended.out.iter().filter(|line| line.trim_start().starts_with("got ")).count();
    let has_summary = ended.out.last().is_some_and(|line| line.contains(" failed, "));
    let is_right = ended.code == Some(1)
        && took < RUN
        && failed > 0
        && explained == failed
        && has_summary
        && told.contains(word);
    let err = ended.err.join("\n");
    let code = ended.code;
    (!is_right).then(|| format!("\n{name}: {code:?}, {took:?}, no {word:?}?\n{told}\n{err}\n"))
}

#[test]
fn what_is_no_server_ends_each_rule_in_time_and_is_explained() {
    // Hung, closed, reset, noise and flood are told apart; memory is bounded, and the run ends.
    let strangers: Vec<(&str, Deed, &str)> = vec![
        ("never", never, "the server hangs"),
        ("byte by byte", byte_by_byte, "a header without the empty line that ends it"),
        ("noise", noise, "where a message should begin with a field"),
        ("letters", letters, "bytes without a linefeed"),
        ("flood", flood, "a flood: "),
        ("an endless body", endless_body, "nothing so long was asked for"),
        ("HTTP", http, "HTTP/1.1 400 Bad Request"),
        ("closes", closes, "closed the connection"),
        ("drops", drops, "got   "),
        ("resets", resets, "reset"),
        ("echo", echo, "a response"),
        ("one too long", one_too_long, "the body is 1 byte short of Content-Length 5"),
        ("one too short", one_too_short, "an empty line where a message should begin"),
    ];
    let wrong = each(strangers, misled);
    assert!(wrong.is_empty(), "{wrong}");
}
