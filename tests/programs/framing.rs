//! Where a message begins and ends, and what a header may look like (§2.1).

mod fatal;
mod limits;
mod refused;
mod sequence;
mod truncated;

use crate::common::{Peer, Server, chat, message, ok_response};

/// Sends `bytes` on a new connection whole, and then on another one byte by byte; `check` reads
/// what comes back.
fn feed_both_ways(server: &Server, name: &str, bytes: &[u8], check: impl Fn(&mut Peer)) {
    for bytewise in [false, true] {
        eprintln!("case: {name}{}", if bytewise { ", byte by byte" } else { "" });
        let mut peer = server.connect();
        if bytewise {
            // The server may close before the last byte.
            bytes.iter().all(|&byte| peer.try_send([byte]));
        } else {
            peer.send(bytes);
        }
        check(&mut peer);
        peer.leave();
    }
}

/// Ways to write the message of §3.1.1.
const SAME_CHAT: [(&str, &str); 22] = [
    ("linefeeds", "Message-Type chat\nMessage-ID 22\nContent-Type text\nContent-Length 12\n\n"),
    (
        "carriage returns",
        "Message-Type chat\r\nMessage-ID 22\r\nContent-Type text\r\nContent-Length 12\r\n\r\n",
    ),
    (
        "as in the draft",
        "Message-Type chat \r\nMessage-ID 22 \r\nContent-Type text \r\nContent-Length 12 \r\n\r\n",
    ),
    (
        "mixed line endings",
        "Message-Type chat\nMessage-ID 22\r\nContent-Type text \nContent-Length 12\n\r\n",
    ),
    (
        "blanks before the ending",
        "Message-Type chat \t \nMessage-ID 22\t\r\nContent-Length 12 \t\n\n",
    ),
    ("an empty line with blanks", "Message-Type chat\nMessage-ID 22\nContent-Length 12\n \t\r\n"),
    ("tabs", "Message-Type\tchat\nMessage-ID\t22\nContent-Type\ttext\nContent-Length\t12\n\n"),
    (
        "several blanks",
        "Message-Type    chat\nMessage-ID \t 22\nContent-Type\t\ttext\nContent-Length   12\n\n",
    ),
    ("upper case", "MESSAGE-TYPE CHAT\nMESSAGE-ID 22\nCONTENT-TYPE TEXT\nCONTENT-LENGTH 12\n\n"),
    ("lower case", "message-type chat\nmessage-id 22\ncontent-type text\ncontent-length 12\n\n"),
    ("mixed case", "mESSAGE-tYPE cHaT\nMessage-Id 22\nContent-type Text\nContent-length 12\n\n"),
    ("another order", "Content-Length 12\nContent-Type text\nMessage-ID 22\nMessage-Type chat\n\n"),
    ("Message-ID first", "Message-ID 22\nContent-Length 12\nMessage-Type chat\n\n"),
    ("no Content-Type", "Message-Type chat\nMessage-ID 22\nContent-Length 12\n\n"),
    (
        "unknown fields",
        "Message-Type chat\nX-1 a b  c\nMessage-ID 22\nColour red: or so?\nContent-Length 12\n\n",
    ),
    ("an unknown field twice", "Message-Type chat\nX y\nX y\nMessage-ID 22\nContent-Length 12\n\n"),
    (
        "fields of the server",
        "From 9527\nMessage-Type chat\nSender-Nickname Eve\nMessage-ID 22\nContent-Length 12\n\n",
    ),
    ("a File-ID", "Message-Type chat\nFile-ID 3\nMessage-ID 22\nContent-Length 12\n\n"),
    ("leading zeros", "Message-Type chat\nMessage-ID 00022\nContent-Length 0000012\n\n"),
    ("an empty line before", "\nMessage-Type chat\nMessage-ID 22\nContent-Length 12\n\n"),
    (
        "empty lines before",
        "\r\n\n \r\n\t\n\nMessage-Type chat\nMessage-ID 22\nContent-Length 12\n\n",
    ),
    ("many empty lines before", MANY_EMPTY_LINES),
];

/// More of them than a header may have lines.
const MANY_EMPTY_LINES: &str = concat!(
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "Message-Type chat\nMessage-ID 22\nContent-Length 12\n\n"
);

#[test]
fn every_way_to_write_a_header_is_read_the_same() {
    // §2.1.1: "a linefeed character marking the end of each line", name and value "separated by a
    // whitespace character"; also read: CR LF, blanks at the end of a line, several blanks, any
    // case, any order, unknown fields, numbers with leading zeros, empty lines between messages.
    let server = Server::start();
    let mut watcher = server.join();
    for (name, header) in SAME_CHAT {
        let bytes = format!("{header}How are you?");
        feed_both_ways(&server, name, bytes.as_bytes(), |peer| {
            peer.expect(ok_response("chat", 22, ""))
        });
        for _ in ["whole", "byte by byte"] {
            let relay = watcher.relay();
            assert_eq!(relay.field("Content-Type"), "text", "{name}: {relay:?}");
            assert_eq!(relay.text(), "How are you?", "{name}");
            assert!(!relay.has("Sender-Nickname") && !relay.has("File-ID"), "{name}: {relay:?}");
        }
    }
    watcher.expect_nothing();
}

#[test]
fn body_is_exactly_as_long_as_content_length_says() {
    // §2.1.1.2: "Content-Length" is "a measure to mark the end of message body": whatever the body
    // holds.
    let server = Server::start();
    let (mut sender, mut watcher) = (server.join(), server.join());
    let bodies = [
        "",
        "\n",
        "\r\n",
        "a",
        "\n\nhi\n\n",
        "Message-Type bye\nMessage-ID 1\n\n",
        "Status Ok\r\n\r\n",
        " hi ",
    ];
    for body in bodies {
        sender.say(body).ok();
        assert_eq!(watcher.relay().text(), body);
    }
    sender.send(bodies.map(|body| chat(5, body)).concat());
    for body in bodies {
        assert_eq!(watcher.relay().text(), body);
        sender.expect(ok_response("chat", 5, ""));
    }
}

#[test]
fn every_message_type_is_understood_whole_and_byte_by_byte() {
    // §2.1.1.1: chat, query, fetch, nickname, bye.
    let server = Server::start();
    let mut sharer = server.join();
    sharer.share("txt", "content").ok();
    let fetched =
        ok_response("fetch", 3, "content").replace("Content-Type text", "Content-Type txt");
    let cases = [
        ("chat", message("Message-Type chat\nMessage-ID 1", "hi"), ok_response("chat", 1, "")),
        (
            "query",
            message("Message-Type query\nMessage-ID 2", "files"),
            ok_response("query", 2, "1 txt 7 1\n"),
        ),
        ("fetch", message("Message-Type fetch\nMessage-ID 3", "1"), fetched),
        (
            "nickname",
            message("Message-Type nickname\nMessage-ID 4", "Tom"),
            ok_response("nickname", 4, "Tom"),
        ),
        ("bye", b"Message-Type bye\nMessage-ID 5\n\n".to_vec(), String::new()),
    ];
    for (name, bytes, response) in cases {
        feed_both_ways(&server, name, &bytes, |peer| {
            peer.expect(&response);
        });
    }
}
