//! One request a connection: the page, the refusals and their order, and a head that comes in any
//! way.

use std::time::{Duration, Instant};

use super::{KEY, Web, get, pause, request, upgrade};
use crate::common::{Server, ok_response};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src blob: data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

#[test]
fn the_page_and_its_parts_are_there_and_nothing_else() {
    // RFC 9110, 9.3: GET and HEAD; what stands behind `?` is ignored.
    let server = Server::start();
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/chat");
    for (path, end, content_type) in [
        ("/", "html", "text/html; charset=utf-8"),
        ("/?from=a+friend", "html", "text/html; charset=utf-8"),
        ("/chat.js", "js", "text/javascript; charset=utf-8"),
        ("/chat.css", "css", "text/css; charset=utf-8"),
    ] {
        let answer = get(&server, path);
        let content = std::fs::read(format!("{files}.{end}")).expect("a part of the page");
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body == content, "{path}");
        for (name, value) in [
            ("Content-Type", content_type),
            ("Content-Length", &content.len().to_string()),
            ("Connection", "close"),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {}", answer.head);
        }
        for name in ["Set-Cookie", "Access-Control-Allow-Origin", "Content-Encoding", "ETag"] {
            assert_eq!(answer.header(name), None, "{path}");
        }
        let host = server.address;
        let head = request(&server, format!("HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!((head.status, &head.head), (200, &answer.head), "{path}");
        assert!(head.body.is_empty(), "{path}");
        let whole = format!("GET http://{host}{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
        assert!(request(&server, whole).body == content, "{path}");
    }
    assert_eq!(get(&server, "/chat.html").status, 404);
}

/// A request of these lines; `HOST` is the server's own address.
fn lines(server: &Server, lines: &[&str]) -> String {
    let host = server.address.to_string();
    let lines: Vec<_> = lines.iter().map(|line| line.replace("HOST", &host)).collect();
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

#[test]
fn each_status_has_a_page_of_one_sentence_and_where_several_fit_the_first_in_the_order() {
    // 431, 400 (head, Host), 421, 403, 405, 413, 404, 426, 400 (key): each request below has the
    // faults of all that stand under it as well.
    let server = Server::start();
    let long = format!("X-Long: {}", "x".repeat(16 * 1024));
    let foreign = "Host: evil.example.com";
    let origin = "Origin: http://evil.example.com";
    let body = "Content-Length: 5";
    let cases: [(u16, &[&str]); 15] = [
        (431, &["POST /nowhere HTTP/1.1", foreign, origin, body, "no colon", &long]),
        (400, &["POST /nowhere HTTP/1.1", foreign, origin, body, "no colon"]),
        (400, &["GET /\x01 HTTP/1.1", "Host: HOST"]),
        (400, &["POST /nowhere HTTP/1.1", origin, body]),
        (400, &["POST /nowhere HTTP/1.1", "Host: HOST", "Host: HOST", origin, body]),
        (400, &["POST http://other/nowhere HTTP/1.1", "Host: HOST", origin, body]),
        (421, &["POST /nowhere HTTP/1.1", foreign, origin, body]),
        (403, &["POST /nowhere HTTP/1.1", "Host: HOST", origin, body]),
        (405, &["POST /nowhere HTTP/1.1", "Host: HOST", body]),
        (413, &["GET /nowhere HTTP/1.1", "Host: HOST", body]),
        (413, &["GET /nowhere HTTP/1.1", "Host: HOST", "Transfer-Encoding: chunked"]),
        (404, &["GET /nowhere HTTP/1.1", "Host: HOST", "Upgrade: websocket"]),
        (426, &["GET /chat HTTP/1.1", "Host: HOST"]),
        (
            426,
            &[
                "GET /chat HTTP/1.1",
                "Host: HOST",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 8",
            ],
        ),
        (
            400,
            &[
                "GET /chat HTTP/1.1",
                "Host: HOST",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: short",
            ],
        ),
    ];
    for (status, request_lines) in cases {
        let answer = request(&server, lines(&server, request_lines));
        assert_eq!(answer.status, status, "{request_lines:?}: {}", answer.head);
        let page = answer.page();
        assert_eq!(page.matches("<p>").count(), 1, "{page}");
        assert!(!page.contains("evil") && !page.contains("nowhere"), "{page}");
        assert_eq!(answer.header("Content-Security-Policy"), Some(POLICY));
        assert_eq!(answer.header("Allow"), (status == 405).then_some("GET, HEAD"));
        let version = (status == 426).then_some("13");
        assert_eq!(answer.header("Sec-WebSocket-Version"), version);
        assert_eq!(answer.header("Upgrade"), version.map(|_| "websocket"));
        let connection = if status == 426 { "close, Upgrade" } else { "close" };
        assert_eq!(answer.header("Connection"), Some(connection));
    }
    // The room knows nothing of all that.
    let mut peer = server.join();
    assert_eq!(peer.uid, 1 + cases.len() as u64);
    assert_eq!(peer.uids(), [peer.uid]);
}

#[test]
fn a_head_may_have_16_kib_and_64_lines() {
    // The request line counts, the empty line does not.
    let server = Server::start();
    let start = format!("GET / HTTP/1.1\r\nHost: {}\r\nX: ", server.address);
    let filled = |len: usize| format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 2));
    assert_eq!(request(&server, filled(16 * 1024)).status, 200);
    assert_eq!(request(&server, filled(16 * 1024 + 1)).status, 431);
    let counted = |lines: usize| format!("{start}{}\r\n\r\n", "\r\nY: y".repeat(lines - 3));
    assert_eq!(request(&server, counted(64)).status, 200);
    assert_eq!(request(&server, counted(65)).status, 431);
    // A first line that begins with a method may be as long.
    let target = |len: usize| {
        let end = format!(" HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
        format!("GET /?{}{end}", "x".repeat(len))
    };
    assert_eq!(request(&server, target(16_000)).status, 200);
    assert_eq!(request(&server, target(17_000)).status, 431);
}

#[test]
fn a_head_may_be_cut_anywhere() {
    // TCP knows no lines: each connection gets the first bytes, and after a while the others.
    let server = Server::start();
    let head = format!("GET /chat.css HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut cut: Vec<_> = (1..head.len()).map(|at| (at, Web::connect(server.address))).collect();
    cut.iter_mut().for_each(|(at, web)| web.send(&head[..*at]));
    pause(Duration::from_millis(50));
    for (at, web) in &mut cut {
        web.send(&head[*at..]);
        assert_eq!(web.answer().status, 200, "cut behind {at} bytes");
    }
    let mut dripping = Web::connect(server.address);
    for byte in head.bytes() {
        dripping.send([byte]);
        pause(Duration::from_millis(2));
    }
    assert_eq!(dripping.answer().status, 200);
}

#[test]
fn a_head_that_takes_longer_than_five_seconds_gets_408() {
    // One deadline from the first byte, not one a byte.
    let server = Server::start();
    let (mut silent, mut dripping) = (Web::connect(server.address), Web::connect(server.address));
    let begun = Instant::now();
    silent.send("GET / HTTP/1.1\r\n");
    dripping.send("GET / HTTP/1.1\r\nX: ");
    while begun.elapsed() < Duration::from_millis(4_500) {
        dripping.send("x");
        pause(Duration::from_millis(250));
    }
    for web in [&mut silent, &mut dripping] {
        let answer = web.answer();
        assert_eq!(answer.status, 408, "{}", answer.head);
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(4_900), "{took:?}");
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn a_half_closed_connection_is_answered() {
    // `printf … | nc` ends its input at once.
    let server = Server::start();
    let host = server.address;
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 200),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\nHost: {host}"), 400),
    ] {
        let mut web = Web::connect(server.address);
        web.send(&head);
        web.end_input();
        assert_eq!(web.answer().status, status, "{head:?}");
    }
}

#[test]
fn a_later_line_never_makes_a_connection_http() {
    // The first line of a connection decides.
    let server = Server::start();
    let mut peer = server.connect();
    peer.send("Message-Type query\nMessage-ID 1\nContent-Length 4\n\nself");
    peer.expect(ok_response("query", 1, "1\n"));
    peer.send("GET / HTTP/1.1\r\n");
    assert!(peer.response().reason().starts_with("\"GET / HTTP/1.1\" does not begin a message"));
    // A linefeed before it is a line.
    let mut peer = server.connect();
    peer.send("\r\nGET / HTTP/1.1\r\n\r\n");
    assert_eq!(peer.response().field("Status"), "Error");
    for almost in ["GET / HTTP/2.0\r\n", "GET /\r\n", "HTTP/1.1\r\n", "GET / http/1.1\r\n"] {
        let mut peer = server.connect();
        peer.send(almost);
        assert_eq!(peer.response().field("Status"), "Error", "{almost:?}");
    }
}

#[test]
fn without_the_web_a_request_is_a_stranger_as_any() {
    // `--no-web`: MCMP alone, and nothing is held.
    let server = Server::with(&["--no-web"]);
    let reason = "does not begin a message";
    for head in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &upgrade("localhost")] {
        let mut peer = server.connect();
        peer.send(head);
        assert!(peer.response().reason().contains(reason), "{head}");
    }
    let (mut silent, mut other) = (server.connect(), server.join());
    let said = Instant::now();
    other.say("hello").ok();
    assert_eq!(silent.relay().text(), "hello");
    assert!(said.elapsed() < Duration::from_millis(400), "{:?}", said.elapsed());
}

#[test]
fn the_upgrade_names_the_subprotocol_that_was_offered() {
    // RFC 6455, 4.2.2 and 1.3: the key and the answer to it are those of the RFC.
    let server = Server::start();
    let mut web = Web::connect(server.address);
    web.send(upgrade(&web.host()).replace("Sec-WebSocket-Protocol: mcmp\r\n", ""));
    let answer = web.read_head();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("Sec-WebSocket-Protocol"), None);
    assert_eq!(answer.header("Upgrade"), Some("websocket"));
    assert_eq!(answer.header("Connection"), Some("Upgrade"));
    assert_eq!(KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(answer.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(web.uid(), 1);
}
