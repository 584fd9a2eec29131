//! Requests in tables, each fed whole, byte by byte and with every cut; and answers to the letter.

use proptest::prelude::*;

use super::answer::{Part, encode_part, encode_refusal, encode_upgrade};
use super::*;

/// What a first line is found to be, and after how many of its bytes.
fn dialect_of(bytes: &[u8], sizes: &[usize]) -> (Option<Dialect>, usize) {
    let mut line = FirstLine::default();
    let mut fed = 0;
    let mut sizes = sizes.iter().cycle();
    while fed < bytes.len() {
        let end = bytes.len().min(fed.saturating_add(*sizes.next().unwrap()));
        let found = line.feed(&bytes[fed..end]);
        fed = end;
        if found.is_some() {
            // More changes nothing.
            assert_eq!(line.feed(b" HTTP/1.1\r\n"), found);
            return (found, fed);
        }
    }
    (None, fed)
}

/// Feeds `bytes` whole, byte by byte and with a cut at each end of the limits; `after` is the byte
/// with which it is decided.
#[track_caller]
fn check_line(bytes: &[u8], expected: Option<Dialect>, after: usize) {
    let shown = &bytes[..bytes.len().min(60)].escape_ascii();
    assert_eq!(dialect_of(bytes, &[usize::MAX]).0, expected, "whole: {shown}");
    assert_eq!(dialect_of(bytes, &[1]), (expected, after), "byte by byte: {shown}");
    for cut in (1..bytes.len()).filter(|cut| bytes.len() < 100 || cut.is_multiple_of(511)) {
        assert_eq!(dialect_of(bytes, &[cut]).0, expected, "in pieces of {cut}: {shown}");
    }
}

#[test]
fn the_first_line_decides_what_a_connection_speaks() {
    // (P1)
    let http = |line: &[u8]| check_line(line, Some(Dialect::Http), line.len());
    let mcmp = |line: &[u8]| check_line(line, Some(Dialect::Mcmp), line.len());
    let open = |line: &[u8]| check_line(line, None, line.len());
    http(b"GET / HTTP/1.1\r\n");
    http(b"GET / HTTP/1.0\n");
    http(b"PROPFIND /x HTTP/1.1\r\n");
    http(b"Message-Type chat HTTP/1.1\n");
    http(b" HTTP/1.1\n");
    http(b"anything at all \xFF HTTP/1.0\r\n");
    mcmp(b"Message-Type query\n");
    mcmp(b"Message-Type query\r\n");
    mcmp(b"\n");
    mcmp(b"\r\n");
    mcmp(b"GET /\r\n");
    mcmp(b"GET / HTTP/1.2\r\n");
    mcmp(b"GET / HTTP/2.0\r\n");
    mcmp(b"GET / http/1.1\r\n");
    mcmp(b"GET /HTTP/1.1\r\n");
    mcmp(b"HTTP/1.1\n");
    mcmp(b"GET / HTTP/1.1\r\r\n");
    mcmp(b"GET / HTTP/1.1 \n");
    // A control character tells at once, but behind a method: there the end of the line does.
    check_line(b"\x16\x03\x01 HTTP/1.1\r\n", Some(Dialect::Mcmp), 1);
    check_line(b"Message-Type chat\0 HTTP/1.1\r\n", Some(Dialect::Mcmp), 18);
    check_line(b"GET\0 / HTTP/1.1\r\n", Some(Dialect::Mcmp), 4);
    http(b"GET /\x01\x7F HTTP/1.1\r\n");
    http(b"G E\tT\r HTTP/1.1\r\n");
    mcmp(b"GET /\x01\r\n");
    open(b"GET /\x01");
    open(b"");
    open(b"G");
    open(b"Message-Type que");
    open(b"GET / HTTP/1.1");
    open(b"GET / HTTP/1.1\r");
    // Later lines change nothing.
    check_line(b"\r\nGET / HTTP/1.1\r\n", Some(Dialect::Mcmp), 2);
    check_line(b"GET / HTTP/1.1\nMessage-Type query\n", Some(Dialect::Http), 15);
}

#[test]
fn a_first_line_is_as_long_as_its_method_allows() {
    // (P1)
    let line = |start: &str, len: usize, end: &str| {
        let filling = "a".repeat(len - start.len() - end.len());
        format!("{start}{filling}{end}").into_bytes()
    };
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"] {
        let start = format!("{method} /");
        let longest = line(&start, 16_384, " HTTP/1.1\r\n");
        check_line(&longest, Some(Dialect::Http), 16_384);
        check_line(&line(&start, 16_384, " HTTP/1.2\r\n"), Some(Dialect::Mcmp), 16_384);
        check_line(&line(&start, 16_385, " HTTP/1.2\r\n"), Some(Dialect::Http), 16_384);
        check_line(&line(&start, 16_383, ""), None, 16_383);
        check_line(&line(&start, 20_000, ""), Some(Dialect::Http), 16_384);
    }
    for start in ["GETS /", "get /", "PROPFIND /", "GET\t/", "Message-Type "] {
        check_line(&line(start, 1_026, " HTTP/1.1\r\n"), Some(Dialect::Http), 1_026);
        check_line(&line(start, 1_025, " HTTP/1.1\n"), Some(Dialect::Http), 1_025);
        check_line(&line(start, 1_027, " HTTP/1.1\r\n"), Some(Dialect::Mcmp), 1_025);
        check_line(&line(start, 1_026, " HTTP/1.1\n"), Some(Dialect::Mcmp), 1_025);
        check_line(&line(start, 1_024, ""), None, 1_024);
        check_line(&line(start, 1_025, "\r"), None, 1_025);
        check_line(&line(start, 1_025, ""), Some(Dialect::Mcmp), 1_025);
    }
}

/// How far a head came, how much of it, and how many bytes it took.
fn feed(bytes: &[u8], sizes: &[usize]) -> (Progress, usize) {
    let mut head = Head::default();
    let mut taken = 0;
    for &size in sizes.iter().cycle() {
        let piece = &bytes[taken..][..size.min(bytes.len() - taken)];
        let count = head.feed(piece);
        taken += count;
        if count < piece.len() || taken == bytes.len() {
            break;
        }
    }
    assert_eq!(head.bytes(), &bytes[..taken]);
    assert_eq!(head.is_head_request(), bytes.starts_with(b"HEAD "));
    (head.progress(), taken)
}

#[test]
fn a_head_ends_with_its_empty_line_or_its_limits() {
    let check = |bytes: &[u8], expected: Progress, taken: usize| {
        for sizes in [&[usize::MAX][..], &[1], &[3, 1, 700]] {
            let (progress, count) = feed(bytes, sizes);
            assert_eq!(progress, expected, "in pieces of {sizes:?}");
            if expected == Progress::Whole {
                assert_eq!(count, taken, "in pieces of {sizes:?}");
            } else {
                assert!(count <= HEAD_LIMIT + 2);
            }
        }
    };
    check(b"GET / HTTP/1.1\r\n\r\n", Progress::Whole, 18);
    check(b"GET / HTTP/1.1\n\n", Progress::Whole, 16);
    check(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n\x82\x80", Progress::Whole, 28);
    check(b"GET / HTTP/1.1\r\nHost: x\r\n", Progress::Unfinished, 0);
    check(b"GET / HTTP/1.1\r\n\r", Progress::Unfinished, 0);
    let lines = |count: usize| {
        let more = "a: b\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\n{more}\r\n").into_bytes()
    };
    check(&lines(64), Progress::Whole, lines(64).len());
    check(&lines(65), Progress::TooLarge, 0);
    let long = |len: usize| {
        let start = "GET / HTTP/1.1\r\nA: ";
        format!("{start}{}\r\n\r\n", "a".repeat(len - start.len() - 2)).into_bytes()
    };
    check(&long(16_384), Progress::Whole, 16_386);
    check(&long(16_385), Progress::TooLarge, 0);
    check(&long(16_386), Progress::TooLarge, 0);
    check(&long(40_000), Progress::TooLarge, 0);
    check(&[b'a'; 16_384], Progress::Unfinished, 0);
    check(&[b'a'; 16_385], Progress::TooLarge, 0);
}

fn names() -> Names {
    Names::new(["PC7.school.example", "chat.example"])
}

/// What a request gets, as a status and what is particular about it.
fn outcome(head: &[u8]) -> String {
    let body = |with_body: bool| if with_body { "" } else { " without body" };
    match decide(head, &names()) {
        Decision::Part { part, with_body } => format!("200 {part:?}{}", body(with_body)),
        Decision::Upgrade { accept, subprotocol } => format!("101 {accept} {subprotocol}"),
        Decision::Refuse { refusal, with_body } => {
            format!("{} {refusal:?}{}", refusal.status().0, body(with_body))
        }
    }
}

/// Checks what a request gets; `\n` in it stands for a line ending, with or without the carriage
/// return.
#[track_caller]
fn check(request: &str, expected: &str) {
    let head = format!("{request}\n\n");
    assert_eq!(outcome(head.as_bytes()), expected, "{request}");
    assert_eq!(outcome(head.replace('\n', "\r\n").as_bytes()), expected, "{request}");
}

#[test]
fn paths_are_parts_of_the_page() {
    let check =
        |line: &str, expected: &str| check(&format!("{line}\nHost: 10.0.0.1:8080"), expected);
    check("GET / HTTP/1.1", "200 Page");
    check("GET / HTTP/1.0", "200 Page");
    check("HEAD / HTTP/1.1", "200 Page without body");
    check("GET /chat.js HTTP/1.1", "200 Script");
    check("GET /chat.css HTTP/1.1", "200 Style");
    check("HEAD /chat.css HTTP/1.1", "200 Style without body");
    check("GET /?x=/chat HTTP/1.1", "200 Page");
    check("GET /chat.js?v=1?2 HTTP/1.1", "200 Script");
    check("GET http://10.0.0.1:8080/chat.js HTTP/1.1", "200 Script");
    check("GET HTTP://10.0.0.1:8080?x HTTP/1.1", "200 Page");
    check("GET http://10.0.0.1:8080 HTTP/1.1", "200 Page");
    check("GET http://10.0.0.1/ HTTP/1.1", "400 BadTarget");
    check("GET http://10.0.0.2:8080/ HTTP/1.1", "400 BadTarget");
    check("GET http://a@10.0.0.1:8080/ HTTP/1.1", "400 BadTarget");
    check("GET https://10.0.0.1:8080/ HTTP/1.1", "400 BadTarget");
    check("GET 10.0.0.1:8080 HTTP/1.1", "400 BadTarget");
    check("GET x HTTP/1.1", "400 BadTarget");
    check("GET * HTTP/1.1", "400 BadTarget");
    check("GET /\u{e4}\u{20ac} HTTP/1.1", "404 NotFound");
    for path in ["/favicon.ico", "/chat/", "//", "/%63hat", "/Chat", "/chat.html", "/../chat"] {
        check(&format!("GET {path} HTTP/1.1"), "404 NotFound");
        check(&format!("HEAD {path} HTTP/1.1"), "404 NotFound without body");
    }
    check("OPTIONS * HTTP/1.1", "405 MethodNotAllowed");
    check("CONNECT 10.0.0.1:80 HTTP/1.1", "405 MethodNotAllowed");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "PROPFIND"] {
        check(&format!("{method} / HTTP/1.1"), "405 MethodNotAllowed");
        check(&format!("{method} /nothing HTTP/1.1"), "405 MethodNotAllowed");
    }
}

#[test]
fn heads_that_break_the_grammar_are_refused() {
    // RFC 9112, 2 to 5
    for line in ["GET  / HTTP/1.1", "GET / x HTTP/1.1", " HTTP/1.1", "GET HTTP/1.1", "/ HTTP/1.1"] {
        check(&format!("{line}\nHost: x"), "400 BadHead");
    }
    for header in [
        "A",
        ": b",
        "A : b",
        " A: b",
        "A: b\n c: d",
        "A\u{e4}: b",
        "A: \x01",
        "A: b\0",
        "A\tB: c",
        "A: b\rc",
    ] {
        check(&format!("GET / HTTP/1.1\nHost: x\n{header}"), "400 BadHead");
        check(&format!("HEAD / HTTP/1.1\nHost: x\n{header}"), "400 BadHead without body");
    }
    check("GET / HTTP/1.1\nHost: x\nA:\nB: \u{e4}\nC:c", "200 Page");
    // Nothing but a whole head is one.
    for head in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r\nx", "\r\n"] {
        assert_eq!(outcome(head.as_bytes()), "400 BadHead", "{head:?}");
    }
}

#[test]
fn a_host_is_this_server() {
    // RFC 9110, 7.2
    let check =
        |host: &str, expected: &str| check(&format!("GET / HTTP/1.1\nHost:{host}"), expected);
    for host in [
        "192.168.1.20",
        "192.168.1.20:8080",
        "127.0.0.1:1",
        "[::1]",
        "[2001:db8::1]:8080",
        "[::ffff:10.0.0.1]",
        "localhost",
        "LocalHost:8080",
        "a.localhost",
        "a.b.LOCALHOST:9",
        "printer",
        "my-pc_2:8080",
        "tom.local",
        "A.Tom.LOCAL:80",
        "pc7.school.example",
        "PC7.School.Example:8080",
        "CHAT.example",
        "  x  ",
        "2130706433",
    ] {
        check(&format!(" {host}"), "200 Page");
        check(host, "200 Page");
    }
    for host in [
        "example.com",
        "example.com:8080",
        "localhost.example.com",
        "xlocal.example",
        "a.locals",
        "school.example",
        "x.pc7.school.example",
        "chat.example.com",
        "127.1",
        "1.2.3.256",
        "1.2.3.4.5",
        "01.2.3.4",
        "192.168.1.20.example.com",
        "a.notlocalhost",
    ] {
        check(&format!(" {host}"), "421 UnknownHost");
    }
    for host in [
        "",
        ":",
        ":80",
        "a:",
        "a:x",
        "a:+80",
        "a:-1",
        "a:65536",
        "a:80:80",
        "::1",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]:",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "[]",
        "tom@a",
        "tom:x@a",
        "a/b",
        "/",
        "a/",
        "\"a\"",
        "'a'",
        "a.",
        "localhost.",
        "127.0.0.1.",
        ".a",
        "a..b",
        ".",
        "a b",
        "a,b",
        "http://a",
        "a?b",
        "a#b",
        "a%20b",
        "\u{e4}",
        "a\\b",
        "*",
        "a;b",
        "[::1].",
        "a\tb",
    ] {
        check(&format!(" {host}"), "400 BadHost");
    }
    let check = super::tests::check;
    check("GET / HTTP/1.1", "400 BadHost");
    check("GET / HTTP/1.0", "400 BadHost");
    check("GET / HTTP/1.1\nHost: a\nHost: a", "400 BadHost");
    check("GET / HTTP/1.1\nHost: a\nhOST: b", "400 BadHost");
    assert_eq!(outcome(b"GET / HTTP/1.1\nHost: \xFF\n\n"), "400 BadHost");
}

#[test]
fn a_name_for_browsers_has_no_port() {
    for (text, name) in
        [("chat.example", "chat.example"), ("PC-7", "pc-7"), ("10.0.0.1", "10.0.0.1")]
    {
        assert_eq!(parse_name(text), Ok(name.to_string()));
    }
    for text in ["", "a:80", "a.", "http://a", "a b", "[::1]", "\u{e4}"] {
        assert!(parse_name(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_origin_is_this_server_too() {
    // RFC 6454, 7; against a site that a member visits
    let check = |host: &str, origin: &str, expected: &str| {
        check(&format!("GET / HTTP/1.1\nHost: {host}\n{origin}"), expected);
    };
    check("a:8080", "Origin: http://a:8080", "200 Page");
    check("a:8080", "origin: HTTP://A:8080", "403 ForeignOrigin");
    check("A:8080", "oRIGIN: http://a:8080", "200 Page");
    check("a", "Origin: http://a", "200 Page");
    check("[::1]:80", "Origin: http://[::1]:80", "200 Page");
    for origin in [
        "",
        "null",
        "http://a",
        "http://a:80",
        "http://a:80800",
        "http://b:8080",
        "https://a:8080",
        "ws://a:8080",
        "a:8080",
        "http://a:8080/",
        "http://a:8080.example",
        "http://x@a:8080",
        "http://a:8080 http://a:8080",
        "http://a:8080, http://b",
        "http://",
        "\u{e4}",
    ] {
        check("a:8080", &format!("Origin: {origin}"), "403 ForeignOrigin");
    }
    let twice = "Origin: http://a:8080\nOrigin: http://a:8080";
    check("a:8080", twice, "403 ForeignOrigin");
    check("a:8080", "Origin: http://a:8080\nOrigin:", "403 ForeignOrigin");
}

#[test]
fn a_body_is_refused_before_it_comes() {
    // RFC 9112, 6
    let check = |headers: &str, expected: &str| {
        check(&format!("GET / HTTP/1.1\nHost: a\n{headers}"), expected);
    };
    check("Content-Length: 0", "200 Page");
    check("Content-Length: 00", "200 Page");
    check("Content-Length: 1", "413 BodyAnnounced");
    check("Content-Length: 99999999999999999999999999", "413 BodyAnnounced");
    check("content-length: 0\ncontent-length: 5", "413 BodyAnnounced");
    check("Transfer-Encoding: chunked", "413 BodyAnnounced");
    check("Transfer-Encoding:", "413 BodyAnnounced");
    check("Expect: 100-continue\nContent-Length: 1", "413 BodyAnnounced");
    for length in ["", "-1", "+1", "x", "1 2", "0, 0", "0x0"] {
        check(&format!("Content-Length: {length}"), "400 BadHead");
    }
}

const UPGRADE: &str = "Host: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPTED: &str = "101 s3pPLMBiTxaQ9kYGzzhZRbK+xOo= false";

#[test]
fn chat_becomes_a_websocket() {
    // RFC 6455, 4.2
    let check_with = |line: &str, headers: &str, expected: &str| {
        check(&format!("{line}\n{headers}\n{KEY}"), expected);
    };
    let check = |headers: &str, expected: &str| check_with("GET /chat HTTP/1.1", headers, expected);
    check(UPGRADE, ACCEPTED);
    check(&UPGRADE.to_lowercase(), ACCEPTED);
    check(&UPGRADE.to_uppercase(), ACCEPTED);
    check(&format!("{UPGRADE}\nOrigin: http://a"), ACCEPTED);
    check(&format!("{UPGRADE}\nSec-WebSocket-Extensions: permessage-deflate"), ACCEPTED);
    check(&UPGRADE.replace(": Upgrade", ": keep-alive, Upgrade"), ACCEPTED);
    check(&UPGRADE.replace(": Upgrade", ": x\nConnection: ,upgrade ,"), ACCEPTED);
    check(&UPGRADE.replace("websocket", "h2c, WebSocket"), ACCEPTED);
    check_with("GET /chat?room=1 HTTP/1.1", UPGRADE, ACCEPTED);
    check_with("GET http://a/chat HTTP/1.1", UPGRADE, ACCEPTED);
    check_with("GET / HTTP/1.1", UPGRADE, "200 Page");
    let offered = ACCEPTED.replace("false", "true");
    check(&format!("{UPGRADE}\nSec-WebSocket-Protocol: mcmp"), &offered);
    check(
        &format!("{UPGRADE}\nSec-WebSocket-Protocol: a\nSec-WebSocket-Protocol: b,\tmcmp"),
        &offered,
    );
    check(&format!("{UPGRADE}\nSec-WebSocket-Protocol: MCMP, mcmp2, xmcmp"), ACCEPTED);

    let refused = "426 UpgradeRequired";
    check("Host: a", refused);
    check(&UPGRADE.replace(": Upgrade", ": close"), refused);
    check(&UPGRADE.replace(": Upgrade", ": upgrades"), refused);
    check(&UPGRADE.replace("websocket", "websockets"), refused);
    check(&UPGRADE.replace("Upgrade: websocket", "A: b"), refused);
    for version in ["8", "14", "013", "13, 8", "", "13\nSec-WebSocket-Version: 13"] {
        check(&UPGRADE.replace("13", version), refused);
    }
    check(&UPGRADE.replace("Sec-WebSocket-Version", "A"), refused);
    check_with("GET /chat HTTP/1.0", UPGRADE, refused);
    check_with("HEAD /chat HTTP/1.1", UPGRADE, "426 UpgradeRequired without body");
    check(&format!("{UPGRADE}\nOrigin: http://evil.example"), "403 ForeignOrigin");
    check(&UPGRADE.replace("Host: a", "Host: evil.example"), "421 UnknownHost");
}

#[test]
fn a_websocket_needs_one_key_of_16_bytes() {
    // RFC 6455, 4.2.1
    let check = |keys: &str, expected: &str| {
        check(&format!("GET /chat HTTP/1.1\n{UPGRADE}\n{keys}"), expected);
    };
    check(KEY, ACCEPTED);
    check(&format!("{KEY}  "), ACCEPTED);
    check("A: b", "400 BadKey");
    check(&format!("{KEY}\n{KEY}"), "400 BadKey");
    for key in [
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZWU=",
        "dGhlIHNhbXBsZSBub25jZWVlZQ==",
        "dGhl HNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==,",
        "dGhlIHNhbXBsZS_ub25jZQ==",
        "\u{e4}",
        "====",
        "AA==AAAAAAAAAAAAAAAAAAAA",
        "dGhlIA==bXBsZSBub25jZQ==AAA=",
    ] {
        check(&format!("Sec-WebSocket-Key: {key}"), "400 BadKey");
    }
}

#[test]
fn where_several_refusals_fit_the_first_one_is_said() {
    // Each request lacks what stands in front of it in the list.
    let steps = [
        ("", "400 BadHead", "bad header\n"),
        ("", "400 BadHost", "Host: a.\n"),
        ("Host: evil.example\n", "421 UnknownHost", ""),
        ("Host: a\n", "403 ForeignOrigin", "Origin: http://evil.example\n"),
        ("Host: a\n", "405 MethodNotAllowed", ""),
    ];
    for (at, (host, expected, _)) in steps.iter().enumerate() {
        let wrong: String = steps[at..].iter().map(|(_, _, wrong)| *wrong).collect();
        let wrong = if at == 0 { format!("{wrong}Host: evil.example\n") } else { wrong };
        let wrong = wrong.replacen("Host: a.\n", if at == 1 { "Host: a.\n" } else { "" }, 1);
        check(&format!("POST /nothing HTTP/1.1\n{host}{wrong}Content-Length: 5"), expected);
    }
    check("GET /nothing HTTP/1.1\nHost: a\nContent-Length: 5", "413 BodyAnnounced");
    check("GET /nothing HTTP/1.1\nHost: a", "404 NotFound");
    check("GET /chat HTTP/1.1\nHost: a\nSec-WebSocket-Key: x", "426 UpgradeRequired");
}

const SECURITY: &str = "Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src blob: data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n\
    X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";

#[test]
fn answers_have_their_headers_to_the_letter() {
    // RFC 9110, 15; RFC 6455, 4.2.2
    let check = |bytes: Vec<u8>, expected: &str| {
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    };
    for (part, content_type) in
        [(Part::Page, "text/html"), (Part::Script, "text/javascript"), (Part::Style, "text/css")]
    {
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n{SECURITY}Content-Type: {content_type}; charset=utf-8\r\n\
             Content-Length: 3\r\n\r\n"
        );
        check(encode_part(part, "\u{20ac}", true), &format!("{head}\u{20ac}"));
        check(encode_part(part, "\u{20ac}", false), &head);
    }
    check(
        encode_upgrade("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", true).concat().into_bytes(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mcmp\r\n\r\n",
    );
    check(
        encode_upgrade("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false).concat().into_bytes(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
}

#[test]
fn a_refusal_is_a_page_of_one_sentence() {
    let all = [
        (Refusal::RoomFull, 503, ""),
        (Refusal::HostFull, 503, ""),
        (Refusal::NoResources, 503, ""),
        (Refusal::Stopping, 503, ""),
        (Refusal::Banned, 403, ""),
        (Refusal::HeadTooLarge, 431, ""),
        (Refusal::TooSlow, 408, ""),
        (Refusal::HeadCut, 400, ""),
        (Refusal::BadHead, 400, ""),
        (Refusal::BadHost, 400, ""),
        (Refusal::BadTarget, 400, ""),
        (Refusal::UnknownHost, 421, ""),
        (Refusal::ForeignOrigin, 403, ""),
        (Refusal::MethodNotAllowed, 405, "Allow: GET, HEAD\r\n"),
        (Refusal::BodyAnnounced, 413, ""),
        (Refusal::NotFound, 404, ""),
        (Refusal::UpgradeRequired, 426, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        (Refusal::BadKey, 400, ""),
    ];
    for (refusal, status, more) in all {
        let sentence = refusal.to_string();
        assert!(sentence.ends_with('.') && sentence.matches(". ").count() == 0, "{sentence}");
        // It stands in HTML as it is.
        assert!(sentence.is_ascii() && !sentence.contains(['<', '>', '&']), "{sentence}");
        assert_eq!(refusal.status().0, status);
        let answer = String::from_utf8(encode_refusal(refusal, true)).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let upgrade = if status == 426 { ", Upgrade" } else { "" };
        let expected = format!(
            "HTTP/1.1 {status} {}\r\nConnection: close{upgrade}\r\n{more}{SECURITY}\
             Content-Type: text/html; charset=utf-8\r\nContent-Length: {}",
            refusal.status().1,
            body.len()
        );
        assert_eq!(head, expected);
        assert!(body.contains(&format!("<p>{sentence}</p>")), "{body}");
        let without = String::from_utf8(encode_refusal(refusal, false)).unwrap();
        assert_eq!(without, format!("{head}\r\n\r\n"));
    }
}

proptest! {
    #[test]
    fn a_first_line_is_the_same_in_every_split(
        line in "(GET |Message|\r|x){1,3}[a-z ]{0,1200}( HTTP/1\\.[012])?\r?\n?",
        sizes in prop::collection::vec(1usize..400, 1..5),
    ) {
        // (P1)
        let whole = dialect_of(line.as_bytes(), &[usize::MAX]).0;
        prop_assert_eq!(dialect_of(line.as_bytes(), &sizes).0, whole);
        prop_assert_eq!(dialect_of(line.as_bytes(), &[1]).0, whole);
    }

    #[test]
    fn a_head_is_the_same_in_every_split(
        lines in prop::collection::vec("[a-zA-Z: \t\r]{0,12}", 0..90),
        filling in 0usize..20_000,
        sizes in prop::collection::vec(1usize..4_000, 1..5),
    ) {
        let head = format!("{}\n{}\r\n\r\nmore", lines.join("\n"), "a".repeat(filling));
        let whole = feed(head.as_bytes(), &[usize::MAX]);
        let pieces = feed(head.as_bytes(), &sizes);
        prop_assert_eq!(pieces.0, whole.0);
        if whole.0 == Progress::Whole {
            prop_assert_eq!(pieces.1, whole.1);
        }
    }

    #[test]
    fn any_head_gets_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decide(&bytes, &names());
    }
}
