//! Messages whose end is not known: the sender is told, nothing more is read, and the connection is
//! closed.

use crate::common::{LONG_DEADLINE, Server, chat};

use super::feed_both_ways;

/// A name, what is sent, then the Message-Type and the Message-ID of the error, and a part of the
/// reason.
type Case<'a> = (&'a str, &'a [u8], &'a str, u64, &'a str);

const CASES: [Case; 41] = [
    ("noise", b"\x16\x03\x01\x02\x00\x01\x00\x01\n\n", "unknown", 0, ""),
    ("words", b"hello there\n\n", "unknown", 0, "Content-Length was too small"),
    ("one word", b"hello\n\n", "unknown", 0, ""),
    (
        "unknown field first",
        b"X-Trace 1\nMessage-Type chat\nMessage-ID 5\nContent-Length 2\n\nhi",
        "unknown",
        0,
        "",
    ),
    (
        "blank before the name",
        b" Message-Type chat\nMessage-ID 5\nContent-Length 2\n\nhi",
        "unknown",
        0,
        "",
    ),
    (
        "colon",
        b"Message-Type: chat\nMessage-ID: 5\nContent-Length: 2\n\nhi",
        "unknown",
        0,
        "no colon",
    ),
    ("colon in lower case", b"message-type: chat\n\n", "unknown", 0, "no colon"),
    (
        "colon later",
        b"Message-Type chat\nMessage-ID: 5\nContent-Length 2\n\nhi",
        "chat",
        0,
        "no colon",
    ),
    (
        "colon at Content-Length",
        b"Message-Type chat\nMessage-ID 5\nContent-Length: 2\n\nhi",
        "chat",
        5,
        "no colon",
    ),
    ("GET", b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "unknown", 0, ""),
    ("OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", "unknown", 0, ""),
    (
        "method of ours",
        b"Message-Type chat HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "unknown",
        0,
        "Host",
    ),
    (
        "To as the method",
        b"To / HTTP/1.1\r\nHost: a.example\r\nMessage-Type chat\r\n\r\n",
        "unknown",
        0,
        "Host",
    ),
    (
        "name without value",
        b"Message-Type chat\nMessage-ID 5\nTo\nContent-Length 2\n\nhi",
        "chat",
        5,
        "To",
    ),
    (
        "name and a blank",
        b"Message-Type chat\nMessage-ID 5\nTo \r\nContent-Length 2\n\nhi",
        "chat",
        5,
        "To",
    ),
    (
        "unknown name without value",
        b"Message-Type chat\nMessage-ID 5\nX\nContent-Length 2\n\nhi",
        "chat",
        5,
        "X",
    ),
    (
        "first name without value",
        b"Message-Type\nMessage-ID 5\nContent-Length 2\n\nhi",
        "unknown",
        0,
        "Message-Type",
    ),
    (
        "bad name: underscore",
        b"Message-Type chat\nMessage_ID 5\nContent-Length 2\n\nhi",
        "chat",
        0,
        "Message_ID",
    ),
    (
        "bad name: dot",
        b"Message-Type chat\nMessage-ID 5\nX.Y z\nContent-Length 2\n\nhi",
        "chat",
        5,
        "X.Y",
    ),
    (
        "bad name: slash",
        b"Message-Type chat\nMessage-ID 5\n/etc z\nContent-Length 2\n\nhi",
        "chat",
        5,
        "/etc",
    ),
    (
        "bad name: blank",
        b"Message-Type chat\nMessage-ID 5\n X z\nContent-Length 2\n\nhi",
        "chat",
        5,
        "",
    ),
    (
        "bad name: tab",
        b"Message-Type chat\nMessage-ID 5\n\tX z\nContent-Length 2\n\nhi",
        "chat",
        5,
        "",
    ),
    (
        "bad name: UTF-8",
        b"Message-Type chat\nMessage-ID 5\n\xc3\xa9 z\nContent-Length 2\n\nhi",
        "chat",
        5,
        "",
    ),
    (
        "value: UTF-8",
        b"Message-Type chat\nMessage-ID 5\nX \xc3\xa9\nContent-Length 2\n\nhi",
        "chat",
        5,
        "ASCII",
    ),
    (
        "value: not UTF-8",
        b"Message-Type chat\nMessage-ID 5\nX \xff\nContent-Length 2\n\nhi",
        "chat",
        5,
        "ASCII",
    ),
    (
        "value: escape",
        b"Message-Type chat\nMessage-ID 5\nX \x1b[2J\nContent-Length 2\n\nhi",
        "chat",
        5,
        "control",
    ),
    (
        "value: NUL",
        b"Message-Type chat\nMessage-ID 5\nX \0\nContent-Length 2\n\nhi",
        "chat",
        5,
        "control",
    ),
    (
        "value: DEL",
        b"Message-Type chat\nMessage-ID 5\nX \x7f\nContent-Length 2\n\nhi",
        "chat",
        5,
        "control",
    ),
    (
        "value: CR within",
        b"Message-Type chat\nMessage-ID 5\nX a\rb\nContent-Length 2\n\nhi",
        "chat",
        5,
        "control",
    ),
    (
        "value: two CR",
        b"Message-Type chat\nMessage-ID 5\nX a\r\r\nContent-Length 2\n\nhi",
        "chat",
        5,
        "control",
    ),
    (
        "length: word",
        b"Message-Type chat\nMessage-ID 5\nContent-Length two\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "length: negative",
        b"Message-Type chat\nMessage-ID 5\nContent-Length -2\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "length: signed",
        b"Message-Type chat\nMessage-ID 5\nContent-Length +2\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "length: spaces within",
        b"Message-Type chat\nMessage-ID 5\nContent-Length 1 2\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "length: 2^64",
        b"Message-Type chat\nMessage-ID 5\nContent-Length 18446744073709551616\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "length twice",
        b"Message-Type chat\nMessage-ID 5\nContent-Length 2\nContent-Length 2\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "chat without a length",
        b"Message-Type chat\nMessage-ID 5\n\nhi",
        "chat",
        5,
        "Content-Length",
    ),
    (
        "fetch without a length",
        b"Message-Type fetch\nMessage-ID 5\n\n1",
        "fetch",
        5,
        "Content-Length",
    ),
    (
        "nickname without a length",
        b"Message-Type nickname\nMessage-ID 5\n\nTom",
        "nickname",
        5,
        "Content-Length",
    ),
    (
        "unknown type without a length",
        b"Message-Type shout\nMessage-ID 5\n\nhi",
        "unknown",
        5,
        "Content-Length",
    ),
    ("no type and no length", b"Message-ID 5\n\nhi", "unknown", 5, "Content-Length"),
];

#[test]
fn malformed_message_gets_its_reason_and_the_connection_is_closed() {
    // §2.2.1.3: "Status Error" with the reason. Where the end of the message is not known, nothing
    // behind it is read as a message, and the connection is closed once the sender could read why.
    let server = Server::start();
    let mut watcher = server.join();
    for (name, wrong, message_type, message_id, reason) in CASES {
        let bytes = [wrong, &chat(99, "never relayed")].concat();
        feed_both_ways(&server, name, &bytes, |peer| {
            let error = peer.read_message();
            assert_eq!(error.field("Message-Type"), message_type, "{error:?}");
            assert_eq!(error.number("Message-ID"), message_id, "{error:?}");
            assert!(error.reason().contains(reason), "no {reason:?} in {error:?}");
            assert!(error.reason().ends_with("; the connection is closed"), "{error:?}");
            peer.expect_end();
        });
    }
    watcher.expect_nothing();
}

#[test]
fn error_reaches_a_sender_that_goes_on_sending_before_it_reads() {
    // The close after a malformed message must not destroy the error: unread input would reset the
    // connection.
    let server = Server::start();
    let more = vec![b'x'; 4 << 20];
    let wrongs: [&[u8]; 4] = [
        b"Message-Type: chat\n",
        b"Message-Type chat\nMessage-ID 5\nContent-Length x\n\n",
        b"Message-Type chat\nMessage-ID 5\n\n",
        b"",
    ];
    for wrong in wrongs {
        let mut sender = server.connect();
        sender.send(wrong);
        sender.send(&more);
        sender.end_input();
        assert!(!sender.read_message().reason().is_empty());
        sender.expect_end();
    }
}

#[test]
fn sender_that_never_stops_after_a_malformed_message_is_cut_off() {
    // The server reads and drops what still comes for a bounded time only.
    let server = Server::start();
    let mut sender = server.connect();
    sender.deadline = LONG_DEADLINE;
    sender.send("Message-Type: chat\n");
    assert!(sender.read_message().reason().contains("no colon"));
    let more = vec![b'x'; 64 * 1024];
    while sender.try_send(&more) {}
}

#[test]
fn sender_that_neither_sends_nor_closes_after_a_malformed_message_is_cut_off() {
    // The server does not keep a connection open for a client that does not react.
    let server = Server::with(&["--max-clients", "1"]);
    let mut idle = server.connect();
    idle.send("Message-Type: chat\n");
    assert!(idle.read_message().reason().contains("no colon"));
    idle.expect_end();
    // Its place is free again once its connection is closed.
    server.join_once_there_is_room();
}

#[test]
fn http_request_never_becomes_a_chat() {
    // A web page must not be able to post into a room: an HTTP request dies in its header, and its
    // body is not read.
    let server = Server::start();
    let mut watcher = server.join();
    let body = chat(1, "posted by a web page");
    let len = body.len();
    let heads = [
        format!("POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: {len}\r\n\r\n"),
        format!("POST /\nMessage-Type chat HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n"),
        format!("Message-Type chat HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n"),
        format!("To / HTTP/1.1\r\nHost: a\r\nMessage-Type chat\r\nContent-Length {len}\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    for head in heads {
        let bytes = [head.as_bytes(), &body].concat();
        feed_both_ways(&server, &head, &bytes, |peer| {
            assert!(!peer.read_message().reason().is_empty());
            peer.expect_end();
        });
    }
    watcher.expect_nothing();
}

#[test]
fn responses_before_a_malformed_message_come_before_its_error() {
    // §2.2: a response to every message; one that is malformed takes nothing from those before it.
    let server = Server::start();
    let (mut sender, mut watcher) = (server.join(), server.join());
    sender.send([chat(1, "one"), chat(2, "two"), b"three\n".to_vec(), chat(4, "four")].concat());
    assert_eq!(sender.read_message().ok().number("Message-ID"), 1);
    assert_eq!(sender.read_message().ok().number("Message-ID"), 2);
    assert!(sender.read_message().reason().contains("three"));
    sender.expect_end();
    assert_eq!(watcher.relay().text(), "one");
    assert_eq!(watcher.relay().text(), "two");
    watcher.expect_nothing();
}
