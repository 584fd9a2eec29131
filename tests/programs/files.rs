//! Sharing and fetching files (§2.3.3).

mod access;
mod extensions;
mod limits;
mod room;
mod stage;

use std::fs;
use std::path::Path;
use std::thread;

use crate::common::{LONG_DEADLINE, Server, assert_same_bytes, message, pattern};

/// The files that somebody sees who looks into the stage, sorted.
fn visible(stage: &Path) -> Vec<String> {
    let entries = fs::read_dir(stage)
        .expect("read the stage")
        .map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> =
        entries.map(|name| name.into_string().expect("a name in UTF-8")).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[test]
fn fetch_gives_the_content_as_it_was_shared() {
    // §2.3.3.2: "server sends a response message with the binary payload", whatever the size and
    // the bytes.
    let server = Server::start();
    let (mut sharer, mut other) = (server.join(), server.join());
    for (nth, len) in (1..).zip([0, 1, 2, 1023, 4096, 65_535, 65_536, 65_537, 1 << 20, 16 << 20]) {
        let content = pattern(nth, len);
        let file_id = sharer.share("bin", &content).ok().number("File-ID");
        assert_eq!(file_id, u64::from(nth));
        let relay = other.relay();
        assert_eq!(
            (relay.number("File-ID"), relay.number("Content-Length")),
            (file_id, len as u64)
        );
        for client in [&mut sharer, &mut other] {
            let fetched = client.fetch(file_id).ok();
            assert_eq!(fetched.field("Content-Type"), "bin");
            assert_same_bytes(&fetched.body, &content);
        }
    }
    other.expect_nothing();
}

#[test]
fn content_that_looks_like_messages_is_not_read_as_such() {
    // §2.1.2: "The end of message body is marked by header field "Content-Length"", in both
    // directions.
    let server = Server::start();
    let (mut sharer, mut other) = (server.join(), server.join());
    let content = message("Message-Type chat\nMessage-ID 1", "from within").repeat(1000);
    sharer.share("txt", &content).ok();
    assert!(other.relay().has("File-ID"));
    assert_same_bytes(&other.fetch(1).ok().body, &content);
    other.expect_nothing();
}

#[test]
fn file_ids_count_up_in_the_order_of_arrival() {
    // §2.2.1.1: File-ID is an "auto incremental integer"; a refused share uses none.
    let server = Server::start();
    let (mut one, mut two) = (server.join(), server.join());
    assert_eq!(one.share("txt", "a").ok().number("File-ID"), 1);
    assert_eq!(two.share("txt", "b").ok().number("File-ID"), 2);
    one.share("../txt", "c").reason();
    assert_eq!(one.share_to(2, "txt", "d").ok().number("File-ID"), 3);
    one.share_to(99, "txt", "e").reason();
    let next = two.share("txt", "f").ok().number("File-ID");
    assert!(next > 3, "{next}");
}

#[test]
fn fetches_in_a_row_are_answered_in_order() {
    // §2.3.3.2, for a client that does not wait; other responses keep their place between files.
    let server = Server::start();
    let mut client = server.join();
    let contents: Vec<_> = (0..10).map(|nth| pattern(nth, 100_000 * nth as usize)).collect();
    contents.iter().for_each(|content| drop(client.share("bin", content).ok()));
    let mut session = Vec::new();
    for file_id in 1..=10 {
        session.extend(message(
            &format!("Message-Type fetch\nMessage-ID {file_id}"),
            file_id.to_string(),
        ));
        session.extend_from_slice(b"Message-Type query\nMessage-ID 99\n\n");
    }
    client.send(session);
    for (file_id, content) in (1..).zip(&contents) {
        let fetched = client.response().ok();
        assert_eq!(
            (fetched.field("Message-Type"), fetched.number("Message-ID")),
            ("fetch", file_id)
        );
        assert_same_bytes(&fetched.body, content);
        assert_eq!(client.response().ok().text(), "1\n");
    }
}

#[test]
fn relays_never_come_inside_a_file() {
    // A file is written whole before what others say meanwhile: its bytes are counted by
    // Content-Length.
    let server = Server::start();
    let (mut fetcher, mut talker) = (server.join(), server.join());
    let content = pattern(7, 8 << 20);
    talker.share("bin", &content).ok();
    fetcher.relay();
    thread::scope(|scope| {
        scope.spawn(|| (0..500).for_each(|nth| drop(talker.say(format!("text {nth}")).ok())));
        for _ in 0..4 {
            assert_same_bytes(&fetcher.fetch(1).ok().body, &content);
        }
    });
    let relays = fetcher.sync();
    assert_eq!(relays.len(), 500);
    assert!(relays.iter().enumerate().all(|(nth, relay)| relay.text() == format!("text {nth}")));
}

#[test]
fn many_share_and_fetch_while_others_chat() {
    // R1 and R3: files share the channel with texts, and neither harms the other.
    let server = Server::start();
    let mut clients: Vec<_> = (0..6).map(|_| server.join()).collect();
    let mut watcher = server.join();
    let (sharers, talkers) = clients.split_at_mut(3);
    thread::scope(|scope| {
        for sharer in sharers {
            scope.spawn(|| {
                sharer.deadline = LONG_DEADLINE;
                for nth in 0..8 {
                    let content = pattern(sharer.uid as u32 * 100 + nth, 700_000 + nth as usize);
                    let file_id = sharer.share("bin", &content).ok().number("File-ID");
                    assert_same_bytes(&sharer.fetch(file_id).ok().body, &content);
                }
            });
        }
        for talker in talkers {
            scope.spawn(|| (0..100).for_each(|nth| drop(talker.say(format!("text {nth}")).ok())));
        }
    });
    let relays = watcher.sync();
    let mut file_ids: Vec<_> = relays
        .iter()
        .filter(|relay| relay.has("File-ID"))
        .map(|relay| relay.number("File-ID"))
        .collect();
    assert_eq!(file_ids.len() + 300, relays.len());
    file_ids.sort_unstable();
    assert_eq!(file_ids, (1..=24).collect::<Vec<_>>());
    for relay in relays.iter().filter(|relay| relay.has("File-ID")) {
        let nth = relay.number("Content-Length") - 700_000;
        let content = pattern((relay.number("From") * 100 + nth) as u32, 700_000 + nth as usize);
        assert_same_bytes(&watcher.fetch(relay.number("File-ID")).ok().body, &content);
    }
}

#[test]
fn file_can_be_fetched_after_its_sharer_has_left() {
    // §1.3.2: the server "stages shared files for future downloads".
    let server = Server::start();
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share("txt", "public").ok();
    sharer.share_to(2, "txt", "private").ok();
    sharer.bye();
    other.wait_until_gone(1);
    assert_eq!(other.fetch(1).ok().text(), "public");
    assert_eq!(other.fetch(2).ok().text(), "private");
    assert_eq!(other.query("files").ok().text(), "1 txt 6 1\n2 txt 7 1\n");
}
