//! `kick` and `ban`: a removed client can read why, whatever it is doing, and is gone soon.

use std::io::Write;
use std::time::{Duration, Instant};

use super::Room;
use crate::common::{
    DEADLINE, LONG_DEADLINE, Peer, Server, ServerMessage, assert_same_bytes, chat, message, pattern,
};

/// The operator's last words, to the byte.
fn words(text: &str) -> String {
    let len = text.len();
    format!(
        "Status Error\r\nMessage-Type unknown\r\nMessage-ID 0\r\nContent-Type text\r\n\
         Content-Length {len}\r\n\r\n{text}"
    )
}

#[track_caller]
fn expect_last_words(last: &ServerMessage, reason: &str) {
    assert_eq!((last.field("Message-Type"), last.number("Message-ID")), ("unknown", 0));
    assert_eq!(last.reason(), reason);
}

/// Waits until the only place of a client beside the first is free.
#[track_caller]
fn expect_free_place(server: &Server) {
    server.join_once_there_is_room();
}

#[test]
fn a_kicked_client_reads_why_and_is_disconnected() {
    // `kick UID [TEXT]`: "`Status Error` (type `unknown`, ID 0) `the operator has removed you:
    // TEXT`, and is disconnected so that it can read it; to others its cause is `the operator
    // removed it`".
    let mut room = Room::start();
    let (mut other, mut kicked) = (room.server.join(), room.server.join());
    room.operator().ok("kick 2 You flood, Tom.");
    kicked.expect(words("the operator has removed you: You flood, Tom.\n"));
    kicked.expect_end();
    assert_eq!(other.uids(), [1]);
    let told = other.say_to(2, "are you there?");
    assert_eq!(told.reason(), "client 2 has left: the operator removed it");
    room.server.log().wait_for("client 2: left: the operator removed it");
    // Its address may come back.
    assert_eq!(room.server.join().uid, 3);
}

#[test]
fn a_kick_needs_no_text() {
    let room = Room::start();
    let mut kicked = room.server.join();
    let mut operator = room.operator();
    operator.ok("kick 1");
    kicked.expect(words("the operator has removed you\n"));
    kicked.expect_end();
    assert!(operator.refused("kick 1").contains("the operator removed it"));
    assert!(operator.ok("who").is_empty());
}

#[test]
fn a_kicked_client_gets_what_was_said_before_and_nothing_behind_it() {
    // In the one order: what is said behind the kick does not reach it, and no response either.
    let room = Room::start();
    let (mut other, mut kicked) = (room.server.join(), room.server.join());
    kicked.send(chat(7, "the last one"));
    other.relay();
    other.say("before").ok();
    room.operator().ok("kick 2 bye");
    other.say("behind").ok();
    kicked.try_send(chat(8, "too late"));
    let got = kicked.messages_to_end();
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got[0].number("Message-ID"), 7);
    assert_eq!(got[1].text(), "before");
    expect_last_words(&got[2], "the operator has removed you: bye");
    other.expect_nothing();
}

#[test]
fn a_kick_inside_a_message_relays_nothing_of_it() {
    let room = Room::start();
    let mut other = room.server.join();
    for half in [
        "Message-Ty",
        "Message-Type chat\nMessage-ID 1\nContent-Length 10\n\nhalf",
        "Message-Type chat\nMessage-ID 1\nContent-Type txt\nContent-Length 10\n\nhalf",
        "Message-Type chat\nMessage-ID 1\nContent-Length 99999999\n\nhalf",
    ] {
        let mut kicked = room.server.join();
        kicked.send(half);
        room.operator().ok(&format!("kick {} out", kicked.uid));
        let got = kicked.messages_to_end();
        expect_last_words(got.last().unwrap(), "the operator has removed you: out");
        // One that was refused already has its error before.
        assert!(got.len() <= 2, "{got:?}");
    }
    other.expect_nothing();
    assert_eq!(other.query("files").ok().text(), "");
}

#[test]
fn a_client_that_goes_on_sending_reads_why_too() {
    // "is disconnected so that it can read it": a close with unread input would be a reset, and a
    // reset destroys what was not read.
    let room = Room::start();
    let mut other = room.server.join();
    let mut kicked = room.server.join();
    let mut writer = kicked.writer();
    let flooding = std::thread::spawn(move || {
        let text = chat(1, "x".repeat(1000));
        let until = Instant::now() + LONG_DEADLINE;
        while Instant::now() < until && writer.write_all(&text).is_ok() {}
        Instant::now() < until
    });
    for _ in 0..100 {
        other.relay();
    }
    room.operator().ok("kick 2 enough");
    let got = kicked.messages_to_any_end();
    expect_last_words(got.last().unwrap(), "the operator has removed you: enough");
    assert!(flooding.join().unwrap(), "its connection does not end");
    assert_eq!(other.uids(), [1]);
}

#[test]
fn a_kicked_client_that_sends_slowly_is_not_reset_before_it_can_read_why() {
    let room = Room::start();
    let mut kicked = room.server.join();
    room.operator().ok("kick 1 bye");
    // Lines of somebody who has not looked yet.
    let typing = crossbeam_channel::tick(Duration::from_millis(50));
    for _ in 0..10 {
        typing.recv().unwrap();
        kicked.try_send("\n");
    }
    let got = kicked.messages_to_any_end();
    expect_last_words(&got[0], "the operator has removed you: bye");
}

#[test]
fn a_client_that_has_stopped_reading_is_gone_within_the_stall_timeout() {
    // Its queue is over the limit, and it takes nothing.
    let room = Room::with(&["--stall-timeout", "2", "--queue-limit", "64k", "--max-clients", "2"]);
    let mut sender = room.server.join();
    let stalled = room.server.join_with_small_buffer();
    let header = |nth| format!("Message-Type chat\nMessage-ID {nth}\nTo 2");
    sender
        .send((0..60).flat_map(|nth| message(&header(nth), "x".repeat(8_000))).collect::<Vec<_>>());
    let mut operator = room.operator();
    while operator.stat("bytes_waiting") <= 64 << 10 {}
    let start = Instant::now();
    operator.ok("kick 2 bye");
    // Those that waited for its queue are answered at once.
    let answers: Vec<_> = (0..60).map(|_| sender.response()).collect();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let last = answers.last().unwrap();
    assert_eq!(last.reason(), "client 2 has left: the operator removed it");
    assert_eq!(sender.uids(), [1]);
    assert_eq!(sender.say_to(2, "hi").reason(), "client 2 has left: the operator removed it");
    expect_free_place(&room.server);
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    drop(stalled);
}

#[test]
fn a_client_with_a_full_queue_that_reads_again_reads_why() {
    let room = Room::with(&["--queue-limit", "8M"]);
    let mut sender = room.server.join();
    let mut slow = room.server.join_with_small_buffer();
    for nth in 0..40 {
        sender.say_to(2, format!("{nth:60000}")).ok();
    }
    room.operator().ok("kick 2 bye");
    let got = slow.messages_to_end();
    assert_eq!(got.len(), 41);
    for (nth, relay) in got[..40].iter().enumerate() {
        assert_eq!(relay.text().trim(), nth.to_string());
    }
    expect_last_words(&got[40], "the operator has removed you: bye");
}

#[test]
fn a_held_sender_is_woken_and_reads_why() {
    // Back-pressure: its next chat waits for a queue that is over the limit.
    let room = Room::with(&["--stall-timeout", "60", "--queue-limit", "64k"]);
    let mut held = room.server.join();
    let mut stalled = room.server.join_with_small_buffer();
    let mut writer = held.writer();
    let flooding = std::thread::spawn(move || {
        let text = chat(1, "x".repeat(8_000));
        while writer.write_all(&text).is_ok() {}
    });
    // Until no more responses come: it is held.
    let (mut operator, mut before) = (room.operator(), u64::MAX);
    let pause = crossbeam_channel::tick(Duration::from_millis(300));
    loop {
        pause.recv().unwrap();
        let said = operator.stat("messages_public");
        if said == before && said > 0 {
            break;
        }
        before = said;
    }
    let start = Instant::now();
    operator.ok("kick 1 enough");
    let got = held.messages_to_any_end();
    expect_last_words(got.last().unwrap(), "the operator has removed you: enough");
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    flooding.join().unwrap();
    stalled.relay();
}

#[test]
fn a_client_that_waits_for_its_own_queue_is_woken() {
    // Its answers fill its queue, and it does not read them.
    let room = Room::with(&["--stall-timeout", "60", "--queue-limit", "64k"]);
    let mut deaf = room.server.join_with_small_buffer();
    let mut writer = deaf.writer();
    writer.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let query = b"Message-Type query\nMessage-ID 1\nContent-Length 4\n\nself".repeat(1000);
    while writer.write_all(&query).is_ok() {}
    room.operator().ok("kick 1 enough");
    let got = deaf.messages_to_any_end();
    expect_last_words(got.last().unwrap(), "the operator has removed you: enough");
}

#[test]
fn a_client_that_fetches_gets_its_file_and_then_reads_why() {
    // The bytes that its response has promised stand before the last words.
    let room = Room::start();
    let content = pattern(3, 4 << 20);
    room.server.join().share("bin", &content).ok();
    let mut fetcher = room.server.join_with_small_buffer();
    // The second one waits until the first is on its way no longer.
    let fetch = "Message-Type fetch\nMessage-ID 1\nContent-Length 1\n\n1";
    fetcher.send(format!("{fetch}{fetch}"));
    fetcher.read_some(1000);
    room.operator().ok(&format!("kick {} bye", fetcher.uid));
    let got = fetcher.messages_to_end();
    assert_same_bytes(&got[0].body, &content);
    expect_last_words(got.last().unwrap(), "the operator has removed you: bye");
}

#[test]
fn a_client_that_fetches_in_a_trickle_does_not_keep_its_place() {
    // It takes something all the time, so it has not stopped reading; and yet it is to go.
    let room = Room::with(&["--stall-timeout", "1", "--max-clients", "2"]);
    room.server.join().share("bin", pattern(3, 8 << 20)).ok();
    let mut sender = room.server.join_once_there_is_room();
    let mut fetcher = room.server.join_with_small_buffer();
    fetcher.send("Message-Type fetch\nMessage-ID 1\nContent-Length 1\n\n1");
    fetcher.read_some(1000);
    room.operator().ok(&format!("kick {} bye", fetcher.uid));
    let start = Instant::now();
    let pace = crossbeam_channel::tick(Duration::from_millis(20));
    while fetcher.read_some(2000) {
        pace.recv().unwrap();
        assert!(start.elapsed() < DEADLINE, "it is still sent the file");
    }
    expect_free_place(&room.server);
    sender.expect_nothing();
}

#[test]
fn many_are_kicked_while_all_talk_and_each_reads_why() {
    let room = Room::start();
    let mut talkers: Vec<_> = (0..20).map(|_| room.server.join()).collect();
    for peer in &mut talkers {
        peer.send((0..20).flat_map(|nth| chat(nth, "all at once")).collect::<Vec<_>>());
    }
    let mut operator = room.operator();
    for uid in 1..=10 {
        operator.ok(&format!("kick {uid} one of ten"));
    }
    for peer in &mut talkers[..10] {
        let got = peer.messages_to_end();
        let last = got.last().unwrap();
        expect_last_words(last, "the operator has removed you: one of ten");
        assert!(got.iter().filter(|message| message.has("Status")).count() <= 21);
    }
    for peer in &mut talkers[10..] {
        for nth in 0..20 {
            assert_eq!(peer.response().ok().number("Message-ID"), nth);
        }
    }
    assert_eq!(talkers[10].uids(), (11..=20).collect::<Vec<_>>());
}

#[test]
fn a_client_whose_end_is_on_its_way_is_removed_once() {
    // The first one counts: `bye`, the close, or the operator.
    let room = Room::start();
    let mut operator = room.operator();
    for round in 0..30 {
        let mut peer = room.server.join();
        let uid = peer.uid;
        match round % 3 {
            0 => peer.send("Message-Type bye\nMessage-ID 9\n\n"),
            1 => peer.end_input(),
            _ => drop(peer.writer().shutdown(std::net::Shutdown::Both)),
        }
        let answer = operator.ask(&format!("kick {uid} bye"));
        if let Err(reason) = answer {
            assert!(reason.contains("has left"), "{reason}");
        }
        let rest = peer.read_to_any_end();
        assert!(rest.is_empty() || rest.starts_with(b"Status Error"), "{}", rest.escape_ascii());
    }
    let until = Instant::now() + DEADLINE;
    while !operator.ok("who").is_empty() {
        assert!(Instant::now() < until, "somebody is still here");
    }
    assert_eq!((operator.stat("clients_total"), operator.stat("disconnects")), (30, 30));
}

#[test]
fn a_banned_address_is_refused_until_it_is_unbanned() {
    // `ban UID [TEXT]`: "the same, and its address is refused from then on, until `unban`"; "a
    // banned address gets it on connecting"; "Clients of a banned address that are here already
    // stay."
    let room = Room::start();
    let mut here = room.server.join();
    let from = |host| Peer::connect_from(host, room.server.address);
    let (mut banned, mut stays) = (from("127.0.0.2"), from("127.0.0.2"));
    for peer in [&mut banned, &mut stays] {
        peer.uid = peer.query("self").ok().text().trim().parse().unwrap();
    }
    let mut operator = room.operator();
    operator.ok(&format!("ban {} not today", banned.uid));
    banned.expect(words("the operator has removed you: not today\n"));
    banned.expect_end();
    assert_eq!(operator.ok("bans"), ["127.0.0.2"]);
    stays.say("still here").ok();
    assert_eq!(here.relay().text(), "still here");
    for _ in 0..3 {
        let mut again = from("127.0.0.2");
        // Whatever it has sent already.
        again.try_send("Message-Type query\nMessage-ID 1\n\n");
        again.expect(words("the operator has removed you: not today\n"));
        again.expect_end();
    }
    let mut neighbour = from("127.0.0.3");
    neighbour.query("self").ok();
    assert_eq!(here.uids().len(), 3);
    assert!(operator.refused("unban 127.0.0.3").contains("127.0.0.3 is not banned"));
    operator.ok("unban 127.0.0.2");
    assert!(operator.ok("bans").is_empty());
    from("127.0.0.2").query("self").ok();
}

#[test]
fn an_ipv4_address_inside_ipv6_is_banned_as_ipv4() {
    // "An IPv4 address inside IPv6 is shown and compared as IPv4."
    let mut room = Room::with(&["--listen", "[::]:0"]);
    // In the order of the options: the first line is that of `[::]`.
    let dual = room.server.listening(0);
    let dual: std::net::SocketAddr = ([127, 0, 0, 1], dual.port()).into();
    let single = room.server.listening(1);
    let mut mapped = Peer::connect_from("127.0.0.2", dual);
    mapped.query("self").ok();
    let mut operator = room.operator();
    let shown = operator.ok("who").remove(0);
    assert!(shown.starts_with("1 127.0.0.2:"), "{shown}");
    operator.ok("ban 1");
    assert_eq!(operator.ok("bans"), ["127.0.0.2"]);
    for address in [dual, single] {
        let mut again = Peer::connect_from("127.0.0.2", address);
        again.expect(words("the operator has removed you\n"));
    }
    operator.ok("unban ::ffff:127.0.0.2");
    Peer::connect_from("127.0.0.2", single).query("self").ok();
    // And IPv6 itself.
    let mut six = Peer::connect((std::net::Ipv6Addr::LOCALHOST, dual.port()).into());
    six.query("self").ok();
    assert!(operator.ok("who").iter().any(|line| line.contains(" [::1]:")));
}
