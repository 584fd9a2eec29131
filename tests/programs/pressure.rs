//! Peers that send faster than others read, and peers that do not read at all.

mod broken;
mod fetching;
mod memory;
mod stalled;
mod storm;
mod typing;

use std::io::Write;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::{DEADLINE, LONG_DEADLINE, Peer, Server, chat, message};

/// Reads `len` bytes at a time, at the pace of a clock, until the connection ends or `bytes` have
/// come.
///
/// A slow reader is one that is slow by the clock; nothing is synchronised by it.
#[track_caller]
fn read_slowly(reader: &mut Peer, len: usize, pace: Duration, bytes: usize) {
    let clock = crossbeam_channel::tick(pace);
    for _ in 0..bytes.div_ceil(len) {
        clock.recv().expect("a clock ticks for ever");
        if !reader.read_some(len) {
            return;
        }
    }
}

/// Ends a server when dropped, and with it what waits for its connections to end.
struct Ending<'a>(&'a Server);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

/// A text of `len` bytes that tells its number.
fn numbered(nth: usize, len: usize) -> String {
    format!("{nth:x>len$}")
}

/// Public texts, numbered from 0.
fn session(texts: usize, len: usize) -> Vec<u8> {
    (0..texts).flat_map(|nth| chat(nth as u64, numbered(nth, len))).collect()
}

/// Sends public texts without waiting for responses, while it reads these.
#[track_caller]
fn flood(sender: &mut Peer, texts: usize, len: usize) {
    sender.deadline = LONG_DEADLINE;
    let responses = sender.send_while_reading(&session(texts, len), texts);
    for (nth, response) in (0..).zip(responses) {
        assert_eq!(response.ok().number("Message-ID"), nth);
    }
}

/// Reads the texts of a flood, all of them and in order.
#[track_caller]
fn expect_flood(reader: &mut Peer, texts: Range<usize>, len: usize) {
    reader.deadline = LONG_DEADLINE;
    for nth in texts {
        assert_eq!(reader.relay().text(), numbered(nth, len));
    }
}

#[test]
fn fast_sender_slows_down_and_its_readers_lose_nothing() {
    // When a receiver has more than the queue limit waiting, the server stops reading from those
    // that flood it, until the queue has fallen to half: nobody loses anything, and nobody is
    // disconnected because another one sends fast.
    let server = Server::with(&["--queue-limit", "64k"]);
    let mut sender = server.join();
    let (mut slow, mut quick) = (server.join_with_small_buffer(), server.join());
    thread::scope(|scope| {
        scope.spawn(|| expect_flood(&mut slow, 0..20_000, 1000));
        scope.spawn(|| expect_flood(&mut quick, 0..20_000, 1000));
        flood(&mut sender, 20_000, 1000);
    });
    assert_eq!(sender.uids(), [1, 2, 3]);
    slow.expect_nothing();
    quick.expect_nothing();
}

#[test]
fn reader_that_starts_late_finds_everything() {
    // What waits for a client that has not read yet is kept, over the queue limit too: the sender
    // waits for it.
    let server = Server::with(&["--queue-limit", "64k"]);
    let (mut sender, mut reader) = (server.join(), server.join_with_small_buffer());
    for round in 0..3 {
        eprintln!("round {round}");
        let (begun, has_begun) = crossbeam_channel::bounded(1);
        thread::scope(|scope| {
            let mut writer = sender.writer();
            let session = session(100, 60_000);
            scope.spawn(move || writer.write_all(&session).expect("send to the server"));
            scope.spawn(|| {
                sender.deadline = LONG_DEADLINE;
                sender.response().ok();
                begun.send(()).expect("the reader waits for it");
                (1..100).for_each(|_| drop(sender.response().ok()));
            });
            // Only now that the flood is under way does the reader begin.
            has_begun.recv_timeout(DEADLINE).unwrap();
            expect_flood(&mut reader, 0..100, 60_000);
        });
    }
    assert_eq!(sender.uids(), [1, 2]);
}

#[test]
fn many_senders_to_one_slow_reader_are_all_slowed_down() {
    // The limit is soft by one message for each sender; nothing is lost, and each sender's order is
    // kept.
    let server = Server::with(&["--queue-limit", "64k"]);
    let mut reader = server.join_with_small_buffer();
    reader.deadline = LONG_DEADLINE;
    let mut senders: Vec<_> = (0..8).map(|_| server.join()).collect();
    thread::scope(|scope| {
        for sender in &mut senders {
            scope.spawn(|| {
                sender.deadline = LONG_DEADLINE;
                let header = |nth| format!("Message-Type chat\nMessage-ID {nth}\nTo 1");
                let session: Vec<_> =
                    (0..300).flat_map(|nth| message(&header(nth), numbered(nth, 5000))).collect();
                sender
                    .send_while_reading(&session, 300)
                    .into_iter()
                    .for_each(|response| drop(response.ok()));
            });
        }
        let mut next = [0; 10];
        for _ in 0..8 * 300 {
            let relay = reader.relay();
            let nth = &mut next[relay.number("From") as usize];
            assert_eq!(relay.text(), numbered(*nth, 5000));
            *nth += 1;
        }
    });
    reader.expect_nothing();
}

#[test]
fn reader_that_keeps_taking_a_little_is_never_cut_off() {
    // Disconnected is who has taken nothing for the stall timeout, not who is slow: here all that
    // waits takes several times that long, and stays below the queue limit.
    let server = Server::with(&["--stall-timeout", "1"]);
    let (mut sender, mut slow) = (server.join(), server.join_with_small_buffer());
    flood(&mut sender, 300, 1000);
    read_slowly(&mut slow, 4096, Duration::from_millis(50), 300_000);
    expect_flood(&mut slow, 0..300, 1000);
    assert_eq!(sender.uids(), [1, 2]);
}

#[test]
fn reader_that_is_too_slow_is_cut_off_and_its_sender_told() {
    // One whose queue went over the limit and has not fallen to half within the stall timeout is
    // disconnected: it read too slowly, though it never stopped.
    let server = Server::with(&["--stall-timeout", "1", "--queue-limit", "1M"]);
    let (mut sender, mut slow) = (server.join(), server.join_with_small_buffer());
    sender.deadline = LONG_DEADLINE;
    thread::scope(|scope| {
        scope.spawn(|| read_slowly(&mut slow, 4096, Duration::from_millis(50), usize::MAX));
        let refused = (0..).map(|nth| sender.say_to(2, numbered(nth, 20_000)));
        let refused =
            refused.into_iter().find(|response| response.field("Status") == "Error").unwrap();
        assert!(refused.reason().contains("it read too slowly"), "{refused:?}");
    });
    assert_eq!(sender.uids(), [1]);
}

#[test]
fn clients_that_flood_each_other_lose_nothing() {
    // Each is slowed down for the others and still reads: nobody waits for somebody who waits for
    // him.
    let server = Server::with(&["--queue-limit", "64k"]);
    let clients: Vec<_> = (0..6).map(|_| server.join()).collect();
    thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || {
                client.deadline = LONG_DEADLINE;
                let came = client.send_while_reading(&session(200, 3000), 6 * 200);
                let responses = came.iter().filter(|message| message.is_response());
                assert!(responses.map(|response| response.number("Message-ID")).eq(0..200));
                let mut next = [0; 7];
                for relay in came.iter().filter(|message| !message.is_response()) {
                    let nth = &mut next[relay.number("From") as usize];
                    assert_eq!(relay.text(), numbered(*nth, 3000));
                    *nth += 1;
                }
            });
        }
    });
}

#[test]
fn others_are_not_slowed_by_a_sender_that_has_to_wait() {
    // The server stops reading from the sender that floods the full queue, from nobody else.
    let server = Server::with(&["--queue-limit", "64k", "--stall-timeout", "60"]);
    let (mut flooder, _stalled) = (server.join(), server.join_with_small_buffer());
    let (mut three, mut four) = (server.join(), server.join());
    let mut writer = flooder.writer();
    thread::scope(|scope| {
        scope.spawn(move || {
            let text = message("Message-Type chat\nMessage-ID 1\nTo 2", numbered(0, 60_000));
            // Ends when the flooder is reset below.
            while writer.write_all(&text).is_ok() {}
        });
        flooder.response().ok();
        for nth in 0..500 {
            three.say_to(4, numbered(nth, 1000)).ok();
            assert_eq!(four.relay().text(), numbered(nth, 1000));
        }
        flooder.end_input();
    });
}

#[test]
fn bystanders_cost_the_same_while_a_queue_is_over_its_limit() {
    // P5: "Nobody else slows down": what two say to each other costs the server no more processor
    // time while somebody else's queue is over its limit.
    const TEXTS: usize = 10_000;
    let texts = |from: u64, to: u64| {
        message(&format!("Message-Type chat\nMessage-ID {from}\nTo {to}"), "a line").repeat(TEXTS)
    };
    let mut cheapest = [Duration::MAX; 2];
    for _ in 0..3 {
        let server = Server::with(&["--queue-limit", "64k", "--stall-timeout", "60"]);
        let (mut three, mut four) = (server.join(), server.join());
        let mut talk = || {
            let before = server.processor_time();
            thread::scope(|scope| {
                scope.spawn(|| three.send_while_reading(&texts(1, 2), 2 * TEXTS));
                scope.spawn(|| four.send_while_reading(&texts(2, 1), 2 * TEXTS));
            });
            server.processor_time() - before
        };
        cheapest[0] = cheapest[0].min(talk());
        let (mut flooder, stalled) = (server.join(), server.join_with_small_buffer());
        let header = format!("Message-Type chat\nMessage-ID 1\nTo {}", stalled.uid);
        // More than the queue and the kernel's buffers hold: it is held behind them.
        let flood = message(&header, numbered(0, 60_000)).repeat(100);
        let mut output = flooder.writer();
        thread::scope(|scope| {
            // It ends when the server does, whatever comes of this.
            let _ending = Ending(&server);
            scope.spawn(move || drop(output.write_all(&flood)));
            flooder.response().ok();
            cheapest[1] = cheapest[1].min(talk());
        });
    }
    let [before, meanwhile] = cheapest;
    eprintln!("{before:?} of a processor before, {meanwhile:?} meanwhile");
    assert!(meanwhile < before * 3 / 2, "{meanwhile:?} instead of {before:?}");
}
