//! A person who says a line now and then is answered at once, whatever others do to the room.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LONG_DEADLINE, Peer, Server, assert_same_bytes, chat, message, pattern};

use super::{numbered, read_slowly};

/// How long an answer may take: far more than a busy machine needs, and far less than the shortest
/// time for which any of these floods could hold somebody up.
const AT_ONCE: Duration = Duration::from_millis(900);

/// Says a line every tenth of a second until `is_over`; returns how long the slowest answer took.
fn type_lines(person: &mut Peer, is_over: &AtomicBool) -> Duration {
    person.deadline = LONG_DEADLINE;
    let clock = crossbeam_channel::tick(Duration::from_millis(100));
    let mut slowest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        clock.recv().expect("a clock ticks for ever");
        let asked = Instant::now();
        person.say("a line of a few words").ok();
        slowest = slowest.max(asked.elapsed());
    }
    eprintln!("the slowest answer took {slowest:?}");
    slowest
}

/// Lets somebody type in the room while `attack` goes on.
#[track_caller]
fn type_beside(server: &Server, attack: impl FnOnce()) {
    let mut person = server.join();
    let is_over = AtomicBool::new(false);
    let slowest = thread::scope(|scope| {
        let typing = scope.spawn(|| type_lines(&mut person, &is_over));
        attack();
        is_over.store(true, Ordering::Relaxed);
        typing.join().expect("the person was answered")
    });
    assert!(slowest < AT_ONCE, "the slowest answer took {slowest:?}");
}

/// Talks to all without a pause, at `pace` if there is one, until the connection ends or `is_over`.
fn flood_until(server: &Server, len: usize, pace: Option<Duration>, is_over: &AtomicBool) {
    let flooder = server.join();
    let (mut input, mut output) = (flooder.writer(), flooder.writer());
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut dropped = [0; 64 * 1024];
            while matches!(input.read(&mut dropped), Ok(count) if count > 0) {}
        });
        let clock = pace.map(crossbeam_channel::tick);
        let text = chat(1, numbered(0, len));
        while !is_over.load(Ordering::Relaxed) && output.write_all(&text).is_ok() {
            if let Some(clock) = &clock {
                clock.recv().expect("a clock ticks for ever");
            }
        }
        flooder.reset();
    });
}

#[test]
fn person_is_answered_while_a_slow_fetcher_fills_its_own_queue() {
    // P5: "somebody who types ... is never held up ... by anybody who ... fetches slowly".
    let server = Server::start();
    server.join().share("bin", vec![b'x'; 16 << 20]).ok();
    let fetcher = server.join_with_small_buffer();
    let mut output = fetcher.writer();
    output.write_all(&message("Message-Type fetch\nMessage-ID 1", "1")).unwrap();
    type_beside(&server, || {
        thread::scope(|scope| {
            let uid = fetcher.uid;
            scope.spawn(move || {
                let note = message(
                    &format!("Message-Type chat\nMessage-ID 1\nTo {uid}"),
                    "x".repeat(60_000),
                );
                // Ends when the fetcher is disconnected, or reset below.
                (0..40).all(|_| output.write_all(&note).is_ok());
            });
            let mut fetcher = fetcher;
            read_slowly(&mut fetcher, 1024, Duration::from_millis(100), 40 * 1024);
            fetcher.reset();
        });
    });
}

#[test]
fn person_is_answered_and_a_fetch_arrives_while_another_one_talks_all_the_time() {
    // P5: nobody attacks. What is said waits behind a file that arrives slowly, and moves.
    let server = Server::with(&["--queue-limit", "256k", "--stall-timeout", "2"]);
    let content = pattern(1, 1 << 20);
    server.join().share("bin", &content).ok();
    let mut fetcher = server.join_with_small_buffer();
    fetcher.send(message("Message-Type fetch\nMessage-ID 1", "1"));
    type_beside(&server, || {
        let is_over = AtomicBool::new(false);
        let pace = Duration::from_millis(100);
        thread::scope(|scope| {
            scope.spawn(|| flood_until(&server, 20_000, Some(pace), &is_over));
            read_slowly(&mut fetcher, 10_000, pace, content.len());
            is_over.store(true, Ordering::Relaxed);
            fetcher.deadline = LONG_DEADLINE;
            assert_same_bytes(&fetcher.response().ok().body, &content);
        });
    });
}

#[test]
fn person_is_answered_while_readers_stop_in_turns() {
    // P5: "nor by anybody who reads slowly, fetches slowly, or has stopped, alone or in turns with
    // others". Each is disconnected, and comes again.
    let server = Server::with(&["--queue-limit", "64k", "--stall-timeout", "1.5"]);
    type_beside(&server, || {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| flood_until(&server, 5000, None, &is_over));
            let mut watcher = server.join();
            watcher.deadline = LONG_DEADLINE;
            for _ in 0..4 {
                let stalled = server.join_with_small_buffer();
                watcher.wait_until_gone(stalled.uid);
                watcher.sync();
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn flooder_is_held_by_its_own_share_and_goes_on_with_the_next() {
    // P5: "A chat that would exceed its sender's share of an over queue ... waits"; "Shares begin
    // anew each stall timeout": here the queue stays over, since a file moves before it.
    let server = Server::with(&["--queue-limit", "64k", "--stall-timeout", "1"]);
    let content = pattern(1, 4 << 20);
    server.join().share("bin", &content).ok();
    let (mut flooder, mut fetcher) = (server.join(), server.join_with_small_buffer());
    fetcher.send(message("Message-Type fetch\nMessage-ID 1", "1"));
    flooder.deadline = LONG_DEADLINE;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let said = scope.spawn(|| {
            let mut said = 0;
            while !is_over.load(Ordering::Relaxed) {
                flooder.say(numbered(0, 4000)).ok();
                said += 1;
            }
            said
        });
        // Some stall timeouts long, by the clock: far less of the file than there is.
        let (clock, begun) = (crossbeam_channel::tick(Duration::from_millis(100)), Instant::now());
        while begun.elapsed() < Duration::from_millis(3500) {
            clock.recv().expect("a clock ticks for ever");
            assert!(fetcher.read_some(20_000), "the fetcher was disconnected");
        }
        is_over.store(true, Ordering::Relaxed);
        fetcher.deadline = LONG_DEADLINE;
        assert_same_bytes(&fetcher.response().ok().body, &content);
        let said = said.join().expect("each text was answered");
        // Not more than the queue may hold, beside the one that it said last; and not only what
        // made the queue go over.
        let held = said * 4000;
        assert!((80_000..2 * 65_536 + 8000).contains(&held), "{held} bytes were said");
    });
}
