//! Files on their way to slow readers.

use std::thread;
use std::time::Duration;

use crate::common::{LONG_DEADLINE, Server, assert_same_bytes, message, pattern};

use super::{numbered, read_slowly};

#[test]
fn slow_fetch_is_not_too_slow_while_the_file_moves() {
    // A client that is fetching a file is not too slow while the file moves, though what others say
    // waits behind the file for longer than the stall timeout; the bytes of a file do not count as
    // queue.
    //
    // In small steps too, of which none lets a system call return that sends much.
    thread::scope(|scope| {
        scope.spawn(|| fetch_slowly(32 * 1024, Duration::from_millis(60)));
        scope.spawn(|| fetch_slowly(8 * 1024, Duration::from_millis(15)));
    });
}

/// Fetches a file in pieces of `len` bytes, at that pace, while others talk.
fn fetch_slowly(len: usize, pace: Duration) {
    let server = Server::with(&["--stall-timeout", "1", "--queue-limit", "64k"]);
    let (mut talker, mut fetcher) = (server.join(), server.join_with_small_buffer());
    let content = pattern(1, 2 << 20);
    talker.share("bin", &content).ok();
    fetcher.relay();
    fetcher.send(message("Message-Type fetch\nMessage-ID 5", "1"));
    thread::scope(|scope| {
        scope.spawn(|| {
            talker.deadline = LONG_DEADLINE;
            (0..200).for_each(|nth| drop(talker.say(numbered(nth, 1000)).ok()));
        });
        read_slowly(&mut fetcher, len, pace, 2 << 20);
        assert_same_bytes(&fetcher.response().ok().body, &content);
        for nth in 0..200 {
            assert_eq!(fetcher.relay().text(), numbered(nth, 1000));
        }
    });
    fetcher.expect_nothing();
}

#[test]
fn slow_fetches_of_small_files_are_not_too_slow_either() {
    // "The bytes of a file do not count as queue": of many small ones that are asked for at once
    // neither.
    let server = Server::with(&["--stall-timeout", "1", "--queue-limit", "256k"]);
    let (mut sharer, mut fetcher) = (server.join(), server.join_with_small_buffer());
    let content = pattern(1, 20_000);
    sharer.share("bin", &content).ok();
    fetcher.relay();
    fetcher.send(message("Message-Type fetch\nMessage-ID 5", "1").repeat(100));
    // In so long no queue of that limit falls to half of it.
    read_slowly(&mut fetcher, 4096, Duration::from_millis(50), 200_000);
    for _ in 0..100 {
        assert_same_bytes(&fetcher.response().ok().body, &content);
    }
    fetcher.expect_nothing();
}

#[test]
fn fetcher_that_stops_reading_is_cut_off_and_others_fetch_on() {
    // Taken nothing for the stall timeout: that holds for a file as for anything else.
    let server = Server::with(&["--stall-timeout", "0.5"]);
    let (mut sharer, mut fetcher) = (server.join(), server.join_with_small_buffer());
    let content = pattern(1, 8 << 20);
    sharer.share("bin", &content).ok();
    fetcher.send(message("Message-Type fetch\nMessage-ID 5", "1"));
    assert_same_bytes(&server.join().fetch(1).ok().body, &content);
    sharer.wait_until_gone(2);
    assert!(sharer.say_to(2, "hi").reason().contains("it stopped reading"));
    fetcher.read_to_any_end();
}

#[test]
fn fetcher_of_many_files_at_once_is_served_one_by_one() {
    // One file at a time is on its way to one client, so that requests for many cost the server
    // nothing.
    let server = Server::start();
    let (mut sharer, mut fetcher) = (server.join(), server.join_with_small_buffer());
    fetcher.deadline = LONG_DEADLINE;
    let content = pattern(1, 200_000);
    sharer.share("bin", &content).ok();
    fetcher.relay();
    let before = server.memory("VmHWM");
    let fetches = message("Message-Type fetch\nMessage-ID 5", "1").repeat(200);
    for fetched in fetcher.send_while_reading(&fetches, 200) {
        assert_same_bytes(&fetched.ok().body, &content);
    }
    let grown = server.memory("VmHWM") - before;
    assert!(grown < 4 << 20, "{grown} bytes more at the peak");
}

#[test]
fn others_chat_while_files_are_fetched_slowly() {
    // R1: texts in "close to real time", whatever files are under way to others.
    let server = Server::with(&["--stall-timeout", "60"]);
    let (mut one, mut two) = (server.join(), server.join());
    let content = pattern(1, 8 << 20);
    one.share("bin", &content).ok();
    two.relay();
    let mut fetchers: Vec<_> = (0..10).map(|_| server.join_with_small_buffer()).collect();
    for fetcher in &mut fetchers {
        fetcher.send(message("Message-Type fetch\nMessage-ID 5", "1"));
        fetcher.expect("Status Ok\r\n");
    }
    for nth in 0..200 {
        one.say(numbered(nth, 100)).ok();
        assert_eq!(two.relay().text(), numbered(nth, 100));
    }
    let mut last = fetchers.pop().unwrap();
    last.expect(
        "Message-Type fetch\r\nMessage-ID 5\r\nContent-Type bin\r\nContent-Length 8388608\r\n\r\n",
    );
    last.expect(&content);
    assert_eq!(last.sync().len(), 200);
}
