//! Strangers on the port: what a browser, a port scanner, another protocol or plain noise gets, to the
//! byte; and that two clients who chat all along notice nothing of it.

mod dripping;
mod scan;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LONG_DEADLINE, Peer, Server, ServerMessage, chat};

/// Runs `strangers` while two clients chat: each hears all that the other says, once, in order, and
/// nothing else.
fn while_two_chat(server: &Server, strangers: impl FnOnce()) {
    /// Set whichever way the strangers end, a failed assertion included.
    struct OnDrop<'a>(&'a AtomicBool);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let gone = AtomicBool::new(false);
    let (mut ann, mut tom) = (server.join(), server.join());
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut count, mut slowest) = (0, Duration::ZERO);
            loop {
                let last = gone.load(Ordering::SeqCst);
                let begun = Instant::now();
                say_and_hear(&mut ann, &mut tom, &format!("ann {count}"));
                say_and_hear(&mut tom, &mut ann, &format!("tom {count}"));
                (count, slowest) = (count + 1, slowest.max(begun.elapsed()));
                if last {
                    break;
                }
            }
            ann.expect_nothing();
            tom.expect_nothing();
            eprintln!("{count} exchanges, the slowest took {slowest:?}");
        });
        let _gone = OnDrop(&gone);
        strangers();
    });
}

#[track_caller]
fn say_and_hear(from: &mut Peer, to: &mut Peer, text: &str) {
    from.say(text).ok();
    assert_eq!(to.relay().text(), text);
}

/// An error, to the byte: reading one is as strict as the server's writing should be.
fn error(message_type: &str, message_id: u64, reason: &str) -> ServerMessage {
    let len = reason.len() + 1;
    let bytes = format!(
        "Status Error\r\nMessage-Type {message_type}\r\nMessage-ID {message_id}\r\n\
         Content-Type text\r\nContent-Length {len}\r\n\r\n{reason}\n"
    );
    ServerMessage::parse(bytes.as_bytes()).expect("a message").expect("a whole one").0
}

/// What a stranger got, beside what was said to all while it was there: every connection is a client.
fn answers(got: Vec<ServerMessage>) -> Vec<ServerMessage> {
    got.into_iter().filter(ServerMessage::is_response).collect()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: 192.168.1.20:8080\r\nUser-Agent: Mozilla/5.0\r\n\
                   Accept: text/html\r\nConnection: keep-alive\r\n\r\n";

/// Its body is a chat that must never be relayed.
const POST: &str = "POST / HTTP/1.1\r\nHost: 192.168.1.20:8080\r\nContent-Type: text/plain\r\n\
                    Content-Length: 59\r\n\r\n\
                    Message-Type chat\nMessage-ID 1\nContent-Length 10\n\nfrom a page";

/// The beginning of a browser's greeting, up to its first extension.
const CLIENT_HELLO: &[u8] =
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5d\x0a\xc1\x0b\x84\x1f\x9b\x0a\x0d\x22\x67\x0a\
      \x70\x51\x20\x6c\x8a\x66\xe2\x4b\x1c\x9f\x99\x0d\x54\x47\x05\x3f\x8e\x91\x20\x11\x22\x33\x44\
      \x00\x20\x4a\x4a\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\x01\x00\x01\x93\x00\x00\x00\x10";

/// The reason, behind what is quoted, where a message does not begin with a field of the draft.
macro_rules! does_not_begin {
    () => {
        " does not begin a message: expected header lines such as Message-Type chat, Message-ID 1 \
         and Content-Length 5, then an empty line, then the 5 bytes hello; if these are stray bytes \
         after a body, the last Content-Length was too small; the connection is closed"
    };
}

/// Names each, what it sends, and the reason that it gets before the connection is closed.
const FATAL: [(&str, &[u8], &str); 8] = [
    (
        "HTTP/2",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        concat!("\"PRI * HTTP/2.0\"", does_not_begin!()),
    ),
    (
        "TLS",
        CLIENT_HELLO,
        "control character 0x16 in the header: only printable ASCII is allowed \
         (TLS begins like that, and is not spoken here: use http://, not https://); \
         the connection is closed",
    ),
    (
        "SSH",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        concat!("\"SSH-2.0-OpenSSH_9.2p1 Debian-2+d...\"", does_not_begin!()),
    ),
    (
        "SMTP, a client",
        b"EHLO mail.example.com\r\n",
        concat!("\"EHLO mail.example.com\"", does_not_begin!()),
    ),
    (
        "SMTP, a server",
        b"220 mail.example.com ESMTP Postfix\r\n",
        concat!("\"220 mail.example.com ESMTP Postf...\"", does_not_begin!()),
    ),
    (
        "SMB",
        b"\0\0\0\x54\xffSMBr\0\0\0\0\x18\x01\x28",
        "control character 0x00 in the header: only printable ASCII is allowed; \
         the connection is closed",
    ),
    (
        "2000 bytes without a linefeed",
        &[b'x'; 2000],
        "a header line is over the limit of 1024 bytes; the connection is closed",
    ),
    (
        "letters of another alphabet",
        "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\n".as_bytes(),
        concat!(
            "\"\\xd0\\xbf\\xd1\\x80\\xd0\\xb8\\xd0\\xb2\\xd0\\xb5\\xd1\\x82\"",
            does_not_begin!()
        ),
    ),
];

#[test]
fn other_protocols_get_one_line_that_says_why_and_are_closed() {
    // P2: fatal, since the end of the message is not known.
    expect_fatal(&Server::start(), &FATAL);
    expect_fatal(&Server::with(&["--no-web"]), &FATAL);
    expect_fatal(&Server::with(&["--no-web"]), &FATAL_WITHOUT_WEB);
}

#[track_caller]
fn expect_fatal(server: &Server, cases: &[(&str, &[u8], &str)]) {
    while_two_chat(server, || {
        let before = server.open_files();
        let mut strangers = Vec::new();
        for (name, bytes, reason) in cases {
            eprintln!("case: {name}");
            let mut stranger = server.connect();
            stranger.send(bytes);
            assert_eq!(answers(stranger.messages_to_end()), [error("unknown", 0, reason)]);
            strangers.push(stranger);
        }
        // Closed though they keep their side open and never react.
        server.wait_until("strangers are closed", || server.open_files() == before);
    });
}

/// The same where there is no page for browsers.
const FATAL_WITHOUT_WEB: [(&str, &[u8], &str); 2] = [
    ("HTTP GET", GET.as_bytes(), concat!("\"GET / HTTP/1.1\"", does_not_begin!())),
    ("HTTP POST", POST.as_bytes(), concat!("\"POST / HTTP/1.1\"", does_not_begin!())),
];

#[test]
fn http_is_answered_and_never_becomes_chat() {
    // P1: an HTTP request never becomes a message.
    let server = Server::start();
    while_two_chat(&server, || {
        let before = server.open_files();
        let mut strangers = Vec::new();
        for (request, status) in [(GET, "200 OK"), (POST, "405 Method Not Allowed")] {
            let mut stranger = server.connect();
            stranger.send(request);
            let answer = stranger.read_to_end();
            let start = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
            assert!(answer.starts_with(start.as_bytes()), "{}", answer.escape_ascii());
            strangers.push(stranger);
        }
        server.wait_until("strangers are closed", || server.open_files() == before);
    });
}

#[test]
fn half_a_kilobyte_without_a_linefeed_is_waited_on_in_silence() {
    // A header line may have 1,024 bytes: this may become one still.
    let server = Server::start();
    while_two_chat(&server, || {
        let (mut stranger, mut other) = (server.connect(), server.join());
        stranger.send([b'x'; 512]);
        for nth in 0..100 {
            other.say_to(other.uid, format!("{nth}")).ok();
        }
        // The first answer is the one to its end.
        stranger.end_input();
        let reason = "the connection ended inside a header: an empty line ends a header; \
                      nothing was relayed; the connection is closed";
        assert_eq!(answers(stranger.messages_to_end()), [error("unknown", 0, reason)]);
    });
}

#[test]
fn a_hundred_megabytes_of_zeros_are_refused_at_the_first() {
    // Somebody pastes a video into netcat: nothing of it is kept, and it is cut off in the end.
    let server = Server::start();
    while_two_chat(&server, || {
        let before = server.memory("VmHWM");
        let mut stranger = server.connect();
        let zeros = vec![0; 1 << 20];
        let sent = (0..100).take_while(|_| stranger.try_send(&zeros)).count();
        eprintln!("{sent} MiB were taken");
        let reason = "control character 0x00 in the header: only printable ASCII is allowed; \
                      the connection is closed";
        assert_eq!(answers(stranger.messages_to_any_end()), [error("unknown", 0, reason)]);
        let grown = server.memory("VmHWM") - before;
        assert!(grown < 1 << 20, "{grown} bytes more at the peak");
    });
}

#[test]
fn the_largest_content_length_is_refused_at_once_and_its_body_is_not_kept() {
    // P2: the end of the message is known, however far away: what comes before it is dropped.
    let server = Server::with(&["--max-text", "1G", "--max-file", "1G", "--stage-limit", "2G"]);
    let cases = [
        ("chat", "", "1073741824 bytes for a text"),
        ("chat", "\nContent-Type jpg", "1073741824 bytes for a file"),
        ("query", "", "1024 bytes for a query body"),
        ("fetch", "", "1024 bytes for a fetch body"),
        ("nickname", "", "1024 bytes for a nickname body"),
    ];
    let body = chat(8, "within a body").repeat(100_000);
    while_two_chat(&server, || {
        let before = server.memory("VmHWM");
        for (message_type, fields, limit) in cases {
            eprintln!("case: {message_type}{fields}");
            let mut stranger = server.connect();
            stranger.deadline = LONG_DEADLINE;
            stranger.send(format!(
                "Message-Type {message_type}\nMessage-ID 7{fields}\n\
                 Content-Length 18446744073709551615\n\n"
            ));
            let reason =
                format!("Content-Length 18446744073709551615 is over the limit of {limit}");
            assert_eq!(stranger.response(), error(message_type, 7, &reason));
            stranger.send(&body);
            stranger.end_input();
            assert_eq!(answers(stranger.messages_to_end()), [], "a body is read as messages");
        }
        let grown = server.memory("VmHWM") - before;
        assert!(grown < 4 << 20, "{grown} bytes more at the peak");
    });
}

#[test]
fn a_content_length_that_no_number_holds_is_refused_and_the_connection_closed() {
    // "Decimal digits only, up to 2^64-1": behind anything else nobody knows where the body ends.
    let server = Server::start();
    while_two_chat(&server, || {
        for length in
            ["18446744073709551616", "99999999999999999999999999999999", "-1", "0x7fffffff"]
        {
            let mut stranger = server.connect();
            stranger
                .send(format!("Message-Type chat\nMessage-ID 7\nContent-Length {length}\n\nhi"));
            let reason = format!(
                "Content-Length \"{length}\" is not a number of bytes: expected decimal digits, \
                 at most 18446744073709551615; the connection is closed"
            );
            assert_eq!(answers(stranger.messages_to_end()), [error("chat", 7, &reason)]);
        }
    });
}
