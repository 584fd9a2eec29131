//! The WebSocket: MCMP as an opaque stream in binary frames, control frames, and how it ends.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{BINARY, CLOSE, PING, PONG, Web, frame, pause};
use crate::common::{Server, assert_same_bytes, chat, message, pattern};

#[test]
fn a_member_on_a_web_socket_is_a_client_as_any() {
    // RFC 6455; P1 to P5 hold for it. What it gets is byte for byte what a raw client gets.
    let server = Server::start();
    let (mut raw, mut web) = (server.join(), Web::open(&server));
    assert_eq!(web.uid(), 2);
    assert_eq!(web.query("").text(), "1\n2\n");
    web.say(message("Message-Type nickname\nMessage-ID 1", "Ann"));
    assert_eq!(web.response().ok().text(), "Ann");
    web.say(chat(2, "hello"));
    assert_eq!(web.response().ok().number("Message-ID"), 2);
    raw.expect(
        "Message-Type chat\r\nFrom 2\r\nSender-Nickname Ann\r\nContent-Type text\r\n\
         Content-Length 5\r\n\r\nhello",
    );
    raw.say_to(2, "in private").ok();
    let relay = web.relay();
    assert_eq!((relay.text(), relay.number("From"), relay.number("To")), ("in private", 1, 2));
    web.say("Message-Type chat\nMessage-ID 3\nTo 9\nContent-Length 1\n\nx");
    assert!(web.response().reason().contains("9"));
}

#[test]
fn where_frames_begin_and_end_means_nothing() {
    let server = Server::start();
    let (mut raw, mut web) = (server.join(), Web::open(&server));
    let message = chat(5, "text in pieces");
    // Each byte in a frame of its own, as one message in fragments, with Pings and Pongs in between.
    for (nth, byte) in message.iter().enumerate() {
        let fin = if nth + 1 == message.len() { 0x80 } else { 0 };
        web.frame(if nth == 0 { 0x02 | fin } else { fin }, [*byte]);
        if nth % 10 == 0 {
            web.frame(PING, format!("{nth}"));
            let (first, payload) = web.read_frame();
            assert_eq!((first, payload), (PONG, format!("{nth}").into_bytes()));
            web.frame(PONG, "nobody asked");
        }
    }
    assert_eq!(web.response().ok().number("Message-ID"), 5);
    assert_eq!(raw.relay().text(), "text in pieces");
    // Many messages in one frame, and an empty frame.
    web.say("");
    web.say([chat(6, "one"), chat(7, "two")].concat());
    assert_eq!(web.response().ok().number("Message-ID"), 6);
    assert_eq!(web.response().ok().number("Message-ID"), 7);
    assert_eq!([raw.relay().text(), raw.relay().text()], ["one", "two"]);
    // Cut anywhere.
    for byte in frame(BINARY, &chat(8, "dripping")) {
        web.send([byte]);
        pause(Duration::from_millis(1));
    }
    assert_eq!(web.response().ok().number("Message-ID"), 8);
    // Together with the request, before its answer.
    let mut eager = Web::connect(server.address);
    let host = eager.host();
    eager.send([super::upgrade(&host).as_bytes(), &frame(BINARY, &chat(1, "eager"))].concat());
    assert_eq!(eager.read_head().status, 101);
    eager.response().ok();
}

#[test]
fn of_several_pings_that_wait_the_newest_is_answered() {
    // RFC 6455, 5.5.3
    let server = Server::start();
    let mut web = Web::open(&server);
    let pings: Vec<u8> = (0..50).flat_map(|nth| frame(PING, format!("{nth}").as_bytes())).collect();
    web.send(pings);
    let mut last = -1;
    while last < 49 {
        let (first, payload) = web.read_frame();
        assert_eq!(first, PONG);
        let nth: i32 = String::from_utf8(payload).expect("a number").parse().expect("a number");
        assert!(nth > last, "{nth} behind {last}");
        last = nth;
    }
    web.frame(PING, [b'x'; 125]);
    assert_eq!(web.read_frame(), (PONG, vec![b'x'; 125]));
}

#[test]
fn files_go_both_ways_over_a_web_socket() {
    // §2.3.3: one frame however long, and a client that knows nothing of it.
    let server = Server::start();
    let (mut raw, mut web) = (server.join(), Web::open(&server));
    let file = pattern(1, 3 << 20);
    web.say(message("Message-Type chat\nMessage-ID 1\nContent-Type png", &file));
    let id = web.response().ok().number("File-ID");
    raw.relay();
    assert_same_bytes(&raw.fetch(id).ok().body, &file);
    raw.say("before the file").ok();
    web.say(message("Message-Type fetch\nMessage-ID 2", id.to_string()));
    raw.say("behind its request").ok();
    assert_same_bytes(&web.response().ok().body, &file);
    assert_eq!(web.relay().text(), "before the file");
    assert_eq!(web.relay().text(), "behind its request");
}

#[test]
fn bye_and_fatal_errors_end_it_with_the_last_bytes_then_a_close() {
    // RFC 6455, 7.1.1: Close 1000, then the close.
    let server = Server::start();
    let mut web = Web::open(&server);
    web.say([chat(1, "last"), b"Message-Type bye\nMessage-ID 2\n\n".to_vec()].concat());
    web.response().ok();
    web.expect_close(1000);
    let mut web = Web::open(&server);
    web.say("nonsense\n");
    assert!(web.response().reason().contains("does not begin a message"));
    web.expect_close(1000);
    // The input ends without a Close.
    let mut web = Web::open(&server);
    web.say("Message-Type chat\nMessage-ID 1\nContent-Length 5\n\nhe");
    web.end_input();
    assert!(web.response().reason().contains("the connection ended"));
    web.expect_close(1000);
}

#[test]
fn a_close_is_answered_with_its_code_behind_what_is_queued() {
    // RFC 6455, 5.5.1 and 7.4
    let server = Server::start();
    let mut other = server.join();
    let code = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    for (payload, answer) in [
        (Vec::new(), 1000),
        (code(1000, b""), 1000),
        (code(1001, b"going away"), 1001),
        (code(3000, b""), 3000),
        (code(4999, "\u{20ac}".as_bytes()), 4999),
        (vec![3], 1002),
        (code(999, b""), 1002),
        (code(1005, b""), 1002),
        (code(1006, b""), 1002),
        (code(5000, b""), 1002),
        (code(1000, b"\xff"), 1007),
    ] {
        let mut web = Web::open(&server);
        let uid = web.uid();
        web.send([frame(BINARY, &chat(1, "x")), frame(CLOSE, &payload)].concat());
        web.response().ok();
        web.expect_close(answer);
        assert_eq!(other.relay().text(), "x");
        let reason = other.say_to(uid, "hello");
        assert!(reason.reason().contains("closed the connection"), "{reason:?}");
    }
    // One that cuts a message: that has its error first.
    let mut web = Web::open(&server);
    web.say("Message-Type chat\nMessage-ID 1\nContent-Length 5\n\nhe");
    web.frame(CLOSE, 1000u16.to_be_bytes());
    assert_eq!(web.response().field("Status"), "Error");
    web.expect_close(1000);
    other.expect_nothing();
}

#[test]
fn what_breaks_the_rules_of_frames_gets_1002_and_a_text_frame_1003() {
    // RFC 6455, 5
    let server = Server::start();
    let mut other = server.join();
    let masked = |first: u8, len: &[u8]| [&[first][..], len, &[1, 2, 3, 4]].concat();
    let broken: [(&str, Vec<u8>, u16); 12] = [
        ("unmasked", vec![BINARY, 2, b'h', b'i'], 1002),
        ("reserved bit 1", frame(0xC2, b"hi"), 1002),
        ("reserved bit 3", frame(0x92, b"hi"), 1002),
        ("opcode 3", frame(0x83, b"hi"), 1002),
        ("opcode 11", frame(0x8B, b"hi"), 1002),
        ("a long Ping", frame(PING, &[0; 126]), 1002),
        ("a fragmented Ping", frame(0x09, b"hi"), 1002),
        ("a continuation of nothing", frame(0x80, b"hi"), 1002),
        ("a new message inside one", [frame(0x02, b"\n"), frame(BINARY, b"\n")].concat(), 1002),
        ("2^63 bytes", masked(BINARY, &[0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1002),
        ("text", frame(0x81, b"hi"), 1003),
        ("text in fragments", frame(0x01, b"hi"), 1003),
    ];
    for (name, bytes, code) in broken {
        eprintln!("case: {name}");
        let mut web = Web::open(&server);
        web.send([&bytes[..], &frame(BINARY, &chat(1, "never read"))].concat());
        web.expect_close(code);
    }
    other.expect_nothing();
}

#[test]
fn a_length_that_is_declared_costs_nothing() {
    // Nothing is allocated by a declared length.
    let server = Server::start();
    let mut web = Web::open(&server);
    let before = server.memory("VmRSS");
    web.send([&[BINARY, 0xFF, 0x7F][..], &[0xFF; 7], &[0; 4]].concat());
    web.send(chat(1, "in a frame without an end"));
    web.response().ok();
    assert!(server.memory("VmRSS") - before < 1 << 20);
}

#[test]
fn at_the_servers_stop_it_gets_1001() {
    let mut server = Server::start();
    let mut web = Web::open(&server);
    web.uid();
    server.signal(Signal::TERM);
    web.expect_close(1001);
    assert!(server.wait().success());
}

#[test]
fn a_peer_has_five_seconds_to_close() {
    let server = Server::start();
    let before = server.open_files();
    let mut web = Web::open(&server);
    web.say("Message-Type bye\nMessage-ID 2\n\n");
    let begun = Instant::now();
    web.expect_close(1000);
    server.wait_until("the connection is closed", || server.open_files() == before);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(4_500), "{took:?}");
    assert!(took < Duration::from_millis(9_000), "{took:?}");
}

#[test]
fn a_member_that_reads_nothing_is_disconnected_and_its_pongs_count() {
    // P5 holds for it: nobody waits for it for longer than the stall timeout.
    let server = Server::with(&["--stall-timeout", "0.5", "--queue-limit", "16k"]);
    let mut other = server.join();
    let mut web = Web::open(&server);
    let uid = web.uid();
    let pings = frame(PING, &[b'x'; 125]).repeat(100);
    // Until its own queue is full, it is read no more, or cut.
    web.stream.set_write_timeout(Some(Duration::from_secs(5))).expect("set a write timeout");
    for _ in 0..5_000 {
        use std::io::Write;
        if web.stream.write_all(&pings).is_err() {
            break;
        }
    }
    other.wait_until_gone(uid);
}
