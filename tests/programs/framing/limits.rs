//! The limits of a header and of bodies: at the limit a message is taken, one over it is refused.

use crate::common::{Server, chat, message, ok_response};

use super::feed_both_ways;

/// A header line of `len` bytes without its ending.
fn line_of(len: usize) -> String {
    let name = "X-Long ";
    format!("{name}{}", "x".repeat(len - name.len()))
}

#[test]
fn header_line_may_have_1024_bytes_and_no_more() {
    // A header line is at most 1,024 bytes without its line ending; beyond that nobody knows where
    // it ends.
    let server = Server::start();
    for ending in ["\n", "\r\n"] {
        for (len, allowed) in [(1023, true), (1024, true), (1025, false), (1026, false)] {
            let line = line_of(len);
            let header = ["Message-Type chat", "Message-ID 5", &line, "Content-Length 2", "", "hi"];
            let bytes = header.join(ending);
            feed_both_ways(
                &server,
                &format!("{len} bytes, {ending:?}"),
                bytes.as_bytes(),
                |peer| {
                    let response = peer.read_message();
                    assert_eq!(response.number("Message-ID"), 5, "{response:?}");
                    assert_eq!(response.field("Message-Type"), "chat", "{response:?}");
                    if allowed {
                        response.ok();
                    } else {
                        assert!(response.reason().contains("1024"), "{response:?}");
                        peer.expect_end();
                    }
                },
            );
        }
    }
}

#[test]
fn line_without_an_end_is_refused_at_its_limit() {
    // The limit holds before the line has ended, so that nothing is kept of a line that never does.
    let server = Server::start();
    for start in
        ["", "Message-Type chat\nX ", "Message-Type chat\nMessage-ID 5\nContent-Length 2\nX "]
    {
        let mut sender = server.connect();
        sender.send(format!("{start}{}", "x".repeat(1025)));
        assert!(sender.read_message().reason().contains("1024"));
        sender.expect_end();
    }
}

#[test]
fn header_may_have_32_lines_and_no_more() {
    // A header has at most 32 lines, without the empty one; unknown fields count too.
    let server = Server::start();
    for (lines, allowed) in [(31, true), (32, true), (33, false), (40, false)] {
        let more = "X y\n".repeat(lines - 3);
        let bytes = format!("Message-Type chat\nMessage-ID 5\nContent-Length 2\n{more}\nhi");
        feed_both_ways(&server, &format!("{lines} lines"), bytes.as_bytes(), |peer| {
            let response = peer.read_message();
            assert_eq!(response.number("Message-ID"), 5, "{response:?}");
            if allowed {
                response.ok();
            } else {
                assert!(response.reason().contains("32"), "{response:?}");
                peer.expect_end();
            }
        });
    }
}

#[test]
fn body_of_a_query_fetch_or_nickname_may_have_1024_bytes_and_no_more() {
    // The body of a query, fetch or nickname is at most 1,024 bytes; white space around it is
    // dropped.
    let server = Server::start();
    let mut sharer = server.join();
    sharer.share("txt", "content").ok();
    let bodies = [("query", "self"), ("fetch", "1"), ("nickname", "Tom")];
    for (message_type, body) in bodies {
        let header = format!("Message-Type {message_type}\nMessage-ID 5");
        let full = format!("{body:\n>1024}");
        feed_both_ways(&server, message_type, &message(&header, &full), |peer| {
            peer.read_message().ok();
        });
        let over = [&message(&header, format!("{full} "))[..], &chat(6, "next")].concat();
        feed_both_ways(&server, &format!("{message_type}, one over"), &over, |peer| {
            let error = peer.read_message();
            assert!(
                error.reason().contains("1024") && error.reason().contains("1025"),
                "{error:?}"
            );
            assert_eq!(error.field("Message-Type"), message_type);
            assert_eq!(error.number("Message-ID"), 5);
            peer.expect(ok_response("chat", 6, ""));
        });
    }
}

#[test]
fn white_space_around_short_bodies_is_dropped() {
    // `echo Tom | …` ends a body with a linefeed.
    let server = Server::start();
    let mut client = server.join();
    client.share("txt", "content").ok();
    for (before, after) in [("", "\n"), ("", "\r\n"), (" ", " "), ("\t\n", " \r\n\n")] {
        let padded = |body: &str| format!("{before}{body}{after}");
        assert_eq!(client.query(&padded("self")).ok().text(), "1\n");
        assert_eq!(client.query(&padded("")).ok().text(), "1\n");
        assert_eq!(client.query(&padded("files")).ok().text(), "1 txt 7 1\n");
        assert_eq!(client.set_nickname(padded("Tom")).ok().text(), "Tom");
        let fetched = client.request(message("Message-Type fetch\nMessage-ID 5", padded("1"))).ok();
        assert_eq!(fetched.text(), "content");
    }
}

#[test]
fn too_long_a_body_is_refused_before_it_has_come() {
    // Where the declared body is too long, the error goes out at once; the body is dropped when it
    // comes.
    let server = Server::start();
    let (mut sender, mut receiver) = (server.join(), server.join());
    let cases = [
        ("chat", 65_537),
        ("chat\nContent-Type jpg", (16 << 20) + 1),
        ("query", 1025),
        ("fetch", 1025),
        ("nickname", 1025),
    ];
    for (message_type, len) in cases {
        sender.send(format!("Message-Type {message_type}\nMessage-ID 5\nContent-Length {len}\n\n"));
        assert!(sender.response().reason().contains(&len.to_string()));
        sender.send(vec![b'\n'; len]);
        sender.send(chat(6, "next"));
        sender.expect(ok_response("chat", 6, ""));
        assert_eq!(receiver.relay().text(), "next");
    }
    receiver.expect_nothing();
}

#[test]
fn body_without_an_end_in_sight_is_refused_and_dropped() {
    // Numbers go up to 2^64-1; a declared length alone costs the server nothing.
    let server = Server::start();
    let mut watcher = server.join();
    let mut sender = server.connect();
    sender.send("Message-Type chat\nMessage-ID 5\nContent-Length 18446744073709551615\n\n");
    let error = sender.response();
    assert!(error.reason().contains("18446744073709551615"), "{error:?}");
    sender.send(chat(6, "inside the body").repeat(10_000));
    sender.end_input();
    sender.expect_end();
    watcher.expect_nothing();
}
