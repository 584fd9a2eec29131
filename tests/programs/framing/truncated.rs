//! Connections that end inside a message.

use crate::common::{Server, message};

#[test]
fn header_that_is_cut_short_is_told_and_not_relayed() {
    // Nothing of a message is relayed whose connection ends inside it; a peer that still reads is
    // told so.
    let server = Server::start();
    let mut watcher = server.join();
    let whole = "Message-Type chat\nMessage-ID 5\nContent-Length 2\n\n";
    for end in 1..whole.len() {
        eprintln!("case: the first {end} bytes");
        let mut sender = server.connect();
        sender.send(&whole[..end]);
        sender.end_input();
        let error = sender.read_message();
        assert!(error.reason().ends_with("; the connection is closed"), "{error:?}");
        sender.expect_end();
    }
    watcher.expect_nothing();
}

#[test]
fn body_that_is_cut_short_is_told_how_many_bytes_were_missing() {
    // `printf … | nc` with a Content-Length that is too large.
    let server = Server::start();
    let mut watcher = server.join();
    let cases = [
        ("Message-Type chat", 20, 13),
        ("Message-Type chat", 1, 0),
        ("Message-Type chat\nTo 1", 65_536, 65_535),
        ("Message-Type chat\nContent-Type jpg", 3000, 2999),
        ("Message-Type chat\nContent-Type jpg", 1 << 20, 0),
        ("Message-Type nickname", 5, 3),
        ("Message-Type query", 4, 2),
        ("Message-Type fetch", 2, 1),
    ];
    for (header, declared, came) in cases {
        eprintln!("case: {header:?}, {came} of {declared} bytes");
        let mut sender = server.connect();
        sender.send(format!(
            "{header}\nMessage-ID 5\nContent-Length {declared}\n\n{}",
            "1".repeat(came)
        ));
        sender.end_input();
        let error = sender.read_message();
        let missing = (declared - came).to_string();
        let mut numbers = error.reason().split(|c: char| !c.is_ascii_digit());
        assert!(numbers.any(|number| number == missing), "no {missing} in {error:?}");
        assert_eq!(error.number("Message-ID"), 5);
        sender.expect_end();
    }
    watcher.expect_nothing();
    assert_eq!(watcher.query("files").ok().text(), "");
}

#[test]
fn body_that_was_refused_already_gets_no_second_error() {
    // One response to a message: the refusal of a body that is too long.
    let server = Server::start();
    for message_type in ["chat", "query", "fetch", "nickname"] {
        let mut sender = server.connect();
        sender.send(format!(
            "Message-Type {message_type}\nMessage-ID 5\nContent-Length 70000\n\nand no more"
        ));
        assert!(!sender.read_message().reason().is_empty());
        sender.end_input();
        sender.expect_end();
    }
}

#[test]
fn messages_before_the_end_of_input_are_answered_before_the_close() {
    // `printf … | nc` closes its sending side at once, and still wants its responses.
    let server = Server::start();
    let mut watcher = server.join();
    let mut sender = server.connect();
    let texts: Vec<_> = (0..100).map(|n| format!("text {n}")).collect();
    for (n, text) in texts.iter().enumerate() {
        sender.send(message(&format!("Message-Type chat\nMessage-ID {n}"), text));
    }
    sender.end_input();
    let responses = sender.messages_to_end();
    assert_eq!(responses.len(), 100);
    for (n, response) in responses.into_iter().enumerate() {
        assert_eq!(response.ok().number("Message-ID"), n as u64);
    }
    let relayed: Vec<_> = watcher.sync().iter().map(|relay| relay.text().to_owned()).collect();
    assert_eq!(relayed, texts);
}

#[test]
fn connection_that_ends_between_messages_gets_no_error() {
    // Also behind empty lines: that is where one message has ended and no other has begun.
    let server = Server::start();
    for bytes in
        ["", "\n", "\r\n\r\n", " \n", "Message-Type query\nMessage-ID 1\nContent-Length 0\n\n\n"]
    {
        let mut client = server.connect();
        client.send(bytes);
        client.end_input();
        for response in client.messages_to_end() {
            response.ok();
        }
    }
}
