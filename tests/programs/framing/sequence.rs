//! Several messages on one connection: one response to each, in order.

use crate::common::{Server, message};

#[test]
fn every_message_but_bye_gets_one_response_in_order() {
    // §1.3.7: "In response to each client message, server status is included"; responses come in
    // the order of the messages.
    let server = Server::start();
    let (mut client, mut watcher) = (server.join(), server.join());
    let mut session = Vec::new();
    let mut expected = Vec::new();
    for round in 0..200 {
        let messages = [
            ("chat", "", "hi", "Ok"),
            ("query", "", "", "Ok"),
            ("chat", "To 99\n", "hi", "Error"),
            ("nickname", "", "Tom", "Ok"),
            ("chat", "", "\u{7}", "Error"),
            ("fetch", "", "9999", "Error"),
            ("query", "", "nonsense", "Error"),
            ("chat", "Content-Type txt\n", "content", "Ok"),
            ("nickname", "", "", "Error"),
        ];
        for (nth, (message_type, field, body, status)) in messages.into_iter().enumerate() {
            let message_id = (round * 10 + nth).to_string();
            session.extend(message(
                &format!("{field}Message-Type {message_type}\nMessage-ID {message_id}"),
                body,
            ));
            expected.push([status.to_owned(), message_type.to_owned(), message_id]);
        }
    }
    session.extend_from_slice(b"Message-Type bye\nMessage-ID 1\n\n");
    let responses = client.send_while_reading(&session, expected.len());
    for (response, expected) in responses.iter().zip(&expected) {
        let got = ["Status", "Message-Type", "Message-ID"].map(|name| response.field(name));
        assert_eq!(&got, expected, "{response:?}");
    }
    client.expect_end();
    assert_eq!(watcher.sync().len(), 200 * 2);
}

#[test]
fn bye_is_honoured_whatever_else_is_wrong_with_it() {
    // §2.3.4: no response to bye; a client that wants to leave may, as long as its header is well
    // formed.
    let server = Server::start();
    let byes = [
        "Message-Type bye\n\n",
        "Message-Type bye\nMessage-ID x\n\n",
        "Message-Type bye\nMessage-ID 1\nMessage-ID 2\n\n",
        "Message-Type bye\nMessage-Type bye\nMessage-ID 1\n\n",
        "Message-Type bye\nMessage-ID 1\nTo nobody\n\n",
        "Message-Type bye\nMessage-ID 1\nContent-Type ../..\n\n",
        "Message-Type BYE\nX-Unknown y\nMessage-ID 18446744073709551616\n\n",
        "Message-Type bye\nMessage-ID 1\nContent-Length 3\n\nbye",
        "Message-Type bye\nMessage-ID 1\nContent-Length 0\n\n",
        "Message-Type bye\nMessage-ID 1\nContent-Length 5000\n\n",
    ];
    for bye in byes {
        eprintln!("case: {bye:?}");
        let mut client = server.connect();
        client.send(bye);
        client.expect_end();
    }
}

#[test]
fn empty_lines_between_messages_are_skipped() {
    // A here-document leaves an empty line after a body.
    let server = Server::start();
    let mut client = server.join();
    let query = "Message-Type query\nMessage-ID 1\nContent-Length 4\n\nself";
    client.send([query, "\n", query, "\r\n\r\n", query, "\n\n\n", query, " \n\t\r\n"].concat());
    for _ in 0..4 {
        assert_eq!(client.response().ok().text(), "1\n");
    }
    client.expect_nothing();
}

#[test]
fn plain_hello_is_told_how_a_message_looks() {
    // What somebody types who does not know the protocol yet: a line, and Enter.
    let server = Server::start();
    let mut client = server.connect();
    client.send("hello\n");
    let error = client.read_message();
    for part in ["\"hello\"", "Message-Type chat", "Message-ID 1", "Content-Length 5", "empty line"]
    {
        assert!(error.reason().contains(part), "no {part:?} in {error:?}");
    }
    client.expect_end();
}
