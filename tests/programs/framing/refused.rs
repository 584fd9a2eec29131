//! Messages that are wrong, but whose end is known: the sender is told, and the session goes on.

use crate::common::{Server, message};

use super::feed_both_ways;

/// A name, the header without Content-Length, then the Message-Type and the Message-ID of the
/// error, and a part of the reason.
type Case<'a> = (&'a str, &'a str, &'a str, u64, &'a str);

const CASES: [Case; 36] = [
    ("unknown type", "Message-Type shout\nMessage-ID 5", "unknown", 5, "shout"),
    ("type with more", "Message-Type chat now\nMessage-ID 5", "unknown", 5, "Message-Type"),
    ("no type", "Message-ID 5", "unknown", 5, "Message-Type"),
    ("no id", "Message-Type chat", "chat", 0, "Message-ID"),
    ("neither", "To 1", "unknown", 0, "Message-Type"),
    ("empty-looking id", "Message-Type chat\nMessage-ID x", "chat", 0, "Message-ID"),
    ("negative id", "Message-Type chat\nMessage-ID -5", "chat", 0, "Message-ID"),
    ("signed id", "Message-Type chat\nMessage-ID +5", "chat", 0, "Message-ID"),
    ("two numbers", "Message-Type chat\nMessage-ID 5 6", "chat", 0, "Message-ID"),
    ("hexadecimal id", "Message-Type chat\nMessage-ID 0x5", "chat", 0, "Message-ID"),
    ("fraction", "Message-Type chat\nMessage-ID 5.0", "chat", 0, "Message-ID"),
    ("2^64", "Message-Type chat\nMessage-ID 18446744073709551616", "chat", 0, "Message-ID"),
    (
        "far too large",
        "Message-Type chat\nMessage-ID 99999999999999999999999999",
        "chat",
        0,
        "Message-ID",
    ),
    ("To is no number", "Message-Type chat\nMessage-ID 5\nTo Tom", "chat", 5, "To"),
    ("To is negative", "Message-Type chat\nMessage-ID 5\nTo -1", "chat", 5, "To"),
    ("To has two", "Message-Type chat\nMessage-ID 5\nTo 1 2", "chat", 5, "To"),
    (
        "To is too large",
        "Message-Type chat\nMessage-ID 5\nTo 18446744073709551616",
        "chat",
        5,
        "To",
    ),
    (
        "To nobody",
        "Message-Type chat\nMessage-ID 5\nTo 18446744073709551615",
        "chat",
        5,
        "18446744073709551615",
    ),
    (
        "type twice",
        "Message-Type chat\nMessage-Type query\nMessage-ID 5",
        "chat",
        5,
        "Message-Type",
    ),
    (
        "type twice, other order",
        "Message-Type query\nMessage-Type chat\nMessage-ID 5",
        "query",
        5,
        "Message-Type",
    ),
    (
        "same type twice",
        "Message-Type chat\nmessage-type chat\nMessage-ID 5",
        "chat",
        5,
        "Message-Type",
    ),
    ("id twice", "Message-Type chat\nMessage-ID 5\nMessage-ID 6", "chat", 5, "Message-ID"),
    ("same id twice", "Message-Type chat\nMessage-ID 5\nMessage-ID 5", "chat", 5, "Message-ID"),
    ("To twice", "Message-Type chat\nMessage-ID 5\nTo 1\nTo 1", "chat", 5, "To"),
    (
        "Content-Type twice",
        "Message-Type chat\nMessage-ID 5\nContent-Type text\nContent-Type text",
        "chat",
        5,
        "Content-Type",
    ),
    ("From twice", "Message-Type chat\nMessage-ID 5\nFrom 1\nFrom 1", "chat", 5, "From"),
    ("Status twice", "Message-Type chat\nMessage-ID 5\nStatus Ok\nStatus Ok", "chat", 5, "Status"),
    (
        "File-ID twice",
        "Message-Type chat\nMessage-ID 5\nFile-ID 1\nFile-ID 1",
        "chat",
        5,
        "File-ID",
    ),
    (
        "Sender-Nickname twice",
        "Message-Type chat\nMessage-ID 5\nSender-Nickname A\nSender-Nickname A",
        "chat",
        5,
        "Sender-Nickname",
    ),
    ("a path", "Message-Type chat\nMessage-ID 5\nContent-Type ../jpg", "chat", 5, "Content-Type"),
    (
        "a media type",
        "Message-Type chat\nMessage-ID 5\nContent-Type text/plain",
        "chat",
        5,
        "Content-Type",
    ),
    ("unknown query", "Message-Type query\nMessage-ID 5", "query", 5, "self"),
    ("not a File-ID", "Message-Type fetch\nMessage-ID 5", "fetch", 5, "File-ID"),
    ("id of a query", "Message-Type query\nMessage-ID five", "query", 0, "Message-ID"),
    ("id of a fetch", "Message-Type fetch", "fetch", 0, "Message-ID"),
    ("id of a nickname", "Message-Type nickname\nMessage-ID -1", "nickname", 0, "Message-ID"),
];

#[test]
fn refused_message_gets_its_reason_and_the_session_goes_on() {
    // §2.2.1.3: "Status Error" with the reason; Message-Type and Message-ID are inherited where
    // they could be read, and are `unknown` and 0 otherwise. The body is dropped.
    let server = Server::start();
    let mut watcher = server.join();
    for (name, header, message_type, message_id, reason) in CASES {
        let wrong = message(header, "body\n");
        let bytes = [&wrong[..], b"Message-Type query\nMessage-ID 6\n\n"].concat();
        feed_both_ways(&server, name, &bytes, |peer| {
            let error = peer.read_message();
            assert_eq!(error.field("Message-Type"), message_type, "{error:?}");
            assert_eq!(error.number("Message-ID"), message_id, "{error:?}");
            assert!(error.reason().contains(reason), "no {reason:?} in {error:?}");
            assert!(!error.reason().contains("connection"), "{error:?}");
            assert_eq!(peer.read_message().ok().number("Message-ID"), 6);
        });
    }
    watcher.expect_nothing();
}

#[test]
fn to_and_content_type_matter_in_a_chat_alone() {
    // §2.1.1.2: "To" is "only used when sending a private message", Content-Type is the type "of
    // chat message body".
    let server = Server::start();
    let mut client = server.join();
    for fields in ["To nobody", "To 99", "Content-Type ../..", "Content-Type jpg"] {
        for (message_type, body) in [("query", "self"), ("nickname", "Tom")] {
            let header = format!("Message-Type {message_type}\nMessage-ID 5\n{fields}");
            client.request(message(&header, body)).ok();
        }
    }
}

#[test]
fn query_that_is_unknown_is_told_all_that_are_known() {
    // A body in a query is left open by §2.1.1.2: `self`, `names`, `files` or none; anything else
    // is refused, naming them.
    let server = Server::start();
    let mut client = server.join();
    for body in ["who", "selfish", "self names", "names\nfiles", "1", "\u{e9}", "\0"] {
        let error = client.query(body);
        for known in ["no body", "self", "names", "files"] {
            assert!(error.reason().contains(known), "{body:?}: no {known:?} in {error:?}");
        }
    }
}

#[test]
fn reason_echoes_little_and_only_plain_text() {
    // §2.2.1.3 wants the reason as text: what is echoed of a hostile message is escaped, and at
    // most 32 bytes of it.
    let server = Server::start();
    let mut client = server.join();
    let long = "x".repeat(900);
    let error = client.request(message(&format!("Message-Type {long}\nMessage-ID 5"), ""));
    assert!(error.reason().len() < 200 && !error.reason().contains(&long[..33]), "{error:?}");
    let error = client.query("\u{1b}[2J\u{202e}\u{9b}\r\nStatus Ok");
    assert!(error.reason().is_ascii(), "{error:?}");
}

#[test]
fn wrong_count_of_bytes_is_told_as_one() {
    // §2.1.1.2: "Content-Length" is "the byte length of message body": one that ends inside a
    // character, or inside CR LF, is a wrong count, and not a text that is not UTF-8.
    let server = Server::start();
    let cases: [(&str, u64, &[u8], &str); 4] = [
        ("chat", 2, "h\u{e9}llo\n".as_bytes(), "inside a character, at byte 1"),
        ("nickname", 3, "Zo\u{eb}\n".as_bytes(), "inside a character"),
        ("chat", 6, b"hello\r\n", "give 7 with the linefeed or 5 without"),
        ("chat", 4, b"caf\xe9\n", "not UTF-8 at byte 3"),
    ];
    for (message_type, len, body, expected) in cases {
        let head = format!("Message-Type {message_type}\nMessage-ID 5\nContent-Length {len}\n\n");
        let mut peer = server.connect();
        peer.send([head.as_bytes(), body].concat());
        let error = peer.read_message();
        assert_eq!(error.number("Message-ID"), 5);
        assert!(error.reason().contains(expected), "no {expected:?} in {error:?}");
        assert!(!expected.contains("character") || error.reason().contains("counts bytes"));
        peer.leave();
    }
}

#[test]
fn rest_of_a_line_that_was_counted_too_short_is_counted() {
    // What has come already is counted: the rest of the line, without its ending.
    let server = Server::start();
    for (ending, len) in [("\n", 4), ("\r\n", 4)] {
        let mut peer = server.connect();
        peer.send(format!(
            "Message-Type chat\nMessage-ID 5\nContent-Length 2\n\nh\u{e9}llo{ending}"
        ));
        let expected = format!("the rest of the line has {len} bytes");
        let error = peer.read_message();
        assert!(error.reason().ends_with(&expected), "{error:?}");
        // And then it is taken for a header.
        assert!(peer.read_message().reason().contains("the last Content-Length was too small"));
        peer.expect_end();
    }
}
