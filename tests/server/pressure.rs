//! Slow, stalled, flooding and vanishing peers: who is slowed down, who is cut off, and that nobody
//! else loses anything by it.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LONG_DEADLINE, Peer, Server, assert_same_bytes, chat, pattern};

const TEXT_LEN: usize = 60_000;

fn text() -> String {
    "x".repeat(TEXT_LEN)
}

/// Sends texts to everybody until the server no longer reads; returns how many it took whole.
fn flood_until_slowed(sender: &mut Peer, texts: usize) -> usize {
    let message = chat(1, text());
    let writer = sender.writer();
    writer.set_write_timeout(Some(Duration::from_millis(500))).expect("set a write timeout");
    let mut sent = 0;
    while sent < texts && std::io::Write::write_all(&mut &writer, &message).is_ok() {
        sent += 1;
    }
    sent
}

#[test]
fn a_fast_sender_slows_down_and_its_slow_reader_loses_nothing() {
    // When a receiver that does read has more than the queue limit waiting, the server stops reading
    // from whoever adds to it. No healthy client is ever disconnected because another one sends fast.
    let server = Server::with(&["--queue-limit", "100k"]);
    let mut slow = server.join_with_small_buffer();
    let mut fast = server.join();
    let texts = 300;
    let messages: Vec<u8> =
        (0..texts).flat_map(|id| chat(id, format!("{id} {}", text()))).collect();
    let responses = thread::spawn(move || fast.send_while_reading(&messages, texts as usize));
    slow.deadline = LONG_DEADLINE;
    for id in 0..texts {
        let relay = slow.relay();
        assert_eq!(relay.body.len(), format!("{id} ").len() + TEXT_LEN);
        assert!(relay.text().starts_with(&format!("{id} ")), "{id}");
    }
    for (id, response) in (0..).zip(responses.join().unwrap()) {
        assert_eq!(response.ok().number("Message-ID"), id);
    }
}

#[test]
fn memory_is_bounded_by_the_queue_limit_and_not_by_what_is_sent() {
    // Memory is bounded by the limits: per client a fixed amount and its queue limit.
    let server = Server::with(&["--queue-limit", "1M", "--stall-timeout", "60"]);
    let stalled: Vec<_> = (0..20).map(|_| server.join_with_small_buffer()).collect();
    let mut sender = server.join();
    let before = server.memory("VmRSS");
    // 120 MB for each of twenty, if the server took them.
    let taken = flood_until_slowed(&mut sender, 2000);
    assert!(taken < 300, "the server took {taken} texts of {TEXT_LEN} bytes");
    let grown = server.memory("VmHWM").saturating_sub(before);
    assert!(grown < 20 * (2 << 20) + (8 << 20), "memory grew by {grown} bytes");
    drop(stalled);
}

#[test]
fn a_reader_that_stopped_reading_is_cut_off_and_nobody_else_loses_anything() {
    // A reader that has stopped reading is disconnected when it has taken nothing for the stall
    // timeout: it stopped reading. Nobody else loses anything by it.
    let mut server = Server::with(&["--queue-limit", "200k", "--stall-timeout", "1"]);
    let mut healthy = server.join();
    let mut stalled = server.join_with_small_buffer();
    let texts = 100;
    let messages: Vec<u8> = (0..texts).flat_map(|id| chat(id, text())).collect();
    let responses = {
        let mut sender = server.join();
        thread::spawn(move || sender.send_while_reading(&messages, texts as usize))
    };
    healthy.deadline = LONG_DEADLINE;
    for _ in 0..texts {
        assert_eq!(healthy.relay().body.len(), TEXT_LEN);
    }
    assert!(responses.join().unwrap().into_iter().all(|response| response.ok().body.is_empty()));
    let uid = stalled.uid;
    let told = healthy.say_to(uid, "hello?");
    assert_eq!(told.reason(), format!("client {uid} has left: it stopped reading"));
    let log = server.log().wait_for(&format!("client {uid}: disconnected"));
    assert!(log.contains("WARN") && log.ends_with("it stopped reading"), "{log}");
    // What it had been sent before is whole; then the connection is reset.
    let got = stalled.read_to_any_end();
    assert!(got.len() < texts as usize * TEXT_LEN);
    assert!(!healthy.uids().contains(&uid));
}

#[test]
fn a_reader_that_keeps_taking_a_little_is_not_a_stalled_one() {
    // What counts as taken is what has left this host, not what the kernel buffers.
    let server = Server::with(&["--queue-limit", "64M", "--stall-timeout", "0.5"]);
    let mut slow = server.join_with_small_buffer();
    let mut sender = server.join();
    for _ in 0..100 {
        sender.say_to(slow.uid, text()).ok();
    }
    // Far longer than the stall timeout, a few kB at a time.
    let begun = Instant::now();
    let mut taken = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let count = slow.take_some(8 * 1024);
        assert!(count > 0, "cut off after {taken} bytes and {:?}", begun.elapsed());
        taken += count;
        thread::park_timeout(Duration::from_millis(40));
    }
    assert!(taken < 100 * TEXT_LEN, "the reader was not slow: {taken} bytes");
    assert!(sender.uids().contains(&slow.uid));
}

#[test]
fn a_queue_that_does_not_fall_to_half_in_time_is_cut_off_as_too_slow() {
    // One whose queue went over the limit and has not fallen to half within the stall timeout is
    // disconnected too: it read too slowly.
    let mut server = Server::with(&["--queue-limit", "2M", "--stall-timeout", "1"]);
    let mut slow = server.join_with_small_buffer();
    let mut sender = server.join();
    let uid = slow.uid;
    let reader = thread::spawn(move || {
        while slow.take_some(4 * 1024) > 0 {
            thread::park_timeout(Duration::from_millis(50));
        }
    });
    let flood = thread::spawn(move || {
        // Slowed down until the reader is cut off; then told so.
        while sender.say_to(uid, text()).field("Status") == "Ok" {}
        sender.say_to(uid, "hello?")
    });
    let told = flood.join().unwrap();
    assert_eq!(told.reason(), format!("client {uid} has left: it read too slowly"));
    server.log().wait_for("it read too slowly");
    reader.join().unwrap();
}

#[test]
fn a_client_that_does_not_read_its_own_responses_is_not_read_either() {
    let mut server = Server::with(&["--queue-limit", "100k", "--stall-timeout", "1"]);
    let mut deaf = server.join_with_small_buffer();
    let mut other = server.join();
    let uid = deaf.uid;
    let query = b"Message-Type query\nMessage-ID 1\n\n".repeat(1000);
    while deaf.try_send(&query) {}
    server.log().wait_for("it stopped reading");
    other.expect_nothing();
    assert!(!other.uids().contains(&uid));
}

#[test]
fn clients_that_flood_each_other_do_not_lock_each_other_up() {
    let server = Server::with(&["--queue-limit", "64k"]);
    let mut clients: Vec<_> = (0..6).map(|_| server.join()).collect();
    let texts = 200;
    let messages: Vec<u8> = (0..texts).flat_map(|id| chat(id, pattern_text(id))).collect();
    let threads: Vec<_> = clients
        .drain(..)
        .map(|mut client| {
            let messages = messages.clone();
            client.deadline = LONG_DEADLINE;
            thread::spawn(move || client.send_while_reading(&messages, 6 * texts as usize))
        })
        .collect();
    for thread in threads {
        let got = thread.join().unwrap();
        let responses = got.iter().filter(|message| message.is_response());
        assert_eq!(responses.count(), texts as usize);
    }
}

fn pattern_text(id: u64) -> String {
    format!("{id} ").repeat(1000)
}

#[test]
fn a_slow_fetch_is_not_too_slow_while_the_file_moves() {
    // A client that is fetching a file is not too slow while the file moves; the bytes of a file do
    // not count as queue.
    let server = Server::with(&["--queue-limit", "20k", "--stall-timeout", "1"]);
    let mut sharer = server.join();
    let mut fetcher = server.join_with_small_buffer();
    let content = pattern(7, 8 << 20);
    let id = sharer.share("bin", &content).ok().number("File-ID");
    let request = format!("{id}");
    fetcher.relay();
    fetcher.send(crate::common::message("Message-Type fetch\nMessage-ID 5", &request));
    // Texts come meanwhile, more than the queue limit; whoever sends them has to wait.
    let uid = fetcher.uid;
    let talker = thread::spawn(move || {
        sharer.deadline = LONG_DEADLINE;
        for _ in 0..3 {
            sharer.say_to(uid, "y".repeat(20_000)).ok();
        }
    });
    let begun = Instant::now();
    let mut got = Vec::new();
    while begun.elapsed() < Duration::from_secs(4) {
        got.extend(fetcher.take_bytes(32 * 1024));
        thread::park_timeout(Duration::from_millis(20));
    }
    assert!(got.len() < content.len(), "the reader was not slow");
    fetcher.deadline = LONG_DEADLINE;
    while got.len() < content.len() + 200 {
        got.extend(fetcher.take_bytes(1 << 20));
    }
    let header = format!(
        "Status Ok\r\nMessage-Type fetch\r\nMessage-ID 5\r\nContent-Type bin\r\n\
         Content-Length {}\r\n\r\n",
        content.len()
    );
    assert_same_bytes(&got[..header.len()], header.as_bytes());
    assert_same_bytes(&got[header.len()..header.len() + content.len()], &content);
    talker.join().unwrap();
}

#[test]
fn a_stalled_fetch_is_cut_off_and_others_fetch_on() {
    let mut server = Server::with(&["--stall-timeout", "1"]);
    let mut sharer = server.join();
    let content = pattern(3, 16 << 20);
    let id = sharer.share("bin", &content).ok().number("File-ID");
    let mut stalled = server.join_with_small_buffer();
    stalled.send(crate::common::message("Message-Type fetch\nMessage-ID 5", id.to_string()));
    let mut healthy = server.join();
    healthy.deadline = LONG_DEADLINE;
    assert_same_bytes(&healthy.fetch(id).ok().body, &content);
    server.log().wait_for(&format!("client {}: disconnected: it stopped reading", stalled.uid));
}

#[test]
fn resets_in_the_middle_of_everything_harm_nobody() {
    let server = Server::start();
    let mut observer = server.join();
    let content = pattern(1, 4 << 20);
    let id = observer.share("bin", &content).ok().number("File-ID");
    let fetch = crate::common::message("Message-Type fetch\nMessage-ID 5", id.to_string());
    let beginnings: [&[u8]; 7] = [
        b"",
        b"Mess",
        b"Message-Type chat\nMessage-ID 1\n",
        b"Message-Type chat\nMessage-ID 1\nContent-Length 1000\n\nhalf",
        b"Message-Type chat\nMessage-ID 1\nContent-Type bin\nContent-Length 1000000\n\nhalf",
        b"\x16\x03\x01",
        &fetch,
    ];
    for round in 0..3 {
        for beginning in beginnings {
            let mut victim = server.connect();
            victim.send(beginning);
            if round > 0 {
                victim.reset();
            }
        }
    }
    let mut other = server.join();
    while observer.uids() != [observer.uid, other.uid] {}
    other.say("still here").ok();
    assert_eq!(observer.relay().text(), "still here");
    observer.expect_nothing();
    assert_eq!(other.query("files").ok().text(), format!("{id} bin {} 1\n", content.len()));
}

#[test]
fn what_was_sent_whole_before_a_reset_counts() {
    // What a client sent whole before its connection broke counts: it is relayed, though its response
    // may reach nobody.
    let server = Server::start();
    let mut listener = server.join();
    for round in 0..20 {
        let mut sender = server.connect();
        for id in 0..10 {
            sender.send(chat(id, format!("{round} {id}")));
        }
        sender.reset();
        for id in 0..10 {
            assert_eq!(listener.relay().text(), format!("{round} {id}"));
        }
    }
}

#[test]
fn end_of_input_is_not_end_of_output() {
    // What the server had queued for it by then, responses included, is still written before the close.
    let server = Server::with(&["--queue-limit", "64M"]);
    let mut slow = server.join_with_small_buffer();
    let mut sender = server.join();
    for _ in 0..50 {
        sender.say(text()).ok();
    }
    slow.send(crate::common::message("Message-Type query\nMessage-ID 77", ""));
    slow.end_input();
    sender.wait_until_gone(slow.uid);
    // Said after it has left, so not for it.
    sender.say("too late").ok();
    let mut got = slow.messages_to_end();
    let last = got.pop().unwrap();
    assert_eq!(last.number("Message-ID"), 77);
    assert_eq!(got.len(), 50);
    assert!(got.iter().all(|relay| relay.body.len() == TEXT_LEN));
}
