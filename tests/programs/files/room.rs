//! The room on disk: that it is bounded whatever is fetched slowly, and that nobody's share keeps
//! others from sharing.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::common::{LONG_DEADLINE, Peer, Server, message, pattern};

/// The header of a share of so many bytes.
fn begin_share(len: usize) -> String {
    format!("Message-Type chat\nMessage-ID 5\nContent-Type bin\nContent-Length {len}\n\n")
}

#[test]
fn files_that_are_fetched_slowly_and_removed_take_up_a_bounded_part_of_the_disk() {
    // P5: "staged, arriving, and removed but still being fetched, all together at most twice
    // `--stage-limit`; where room lacks, the slowest fetch of a removed file is ended".
    const LIMIT: u64 = 4 << 20;
    let stage = tempdir().unwrap();
    let dir = stage.path().to_str().unwrap();
    let server = Server::with(&["--stage-limit", "4M", "--stall-timeout", "4", "--stage", dir]);
    let mut sharer = server.join();
    sharer.deadline = LONG_DEADLINE;
    let mut fetchers: Vec<Peer> = Vec::new();
    for nth in 1..=12 {
        let id = sharer.share("bin", pattern(nth, 2 << 20)).ok().number("File-ID");
        let mut fetcher = server.join_with_small_buffer();
        fetcher.send(message("Message-Type fetch\nMessage-ID 5", id.to_string()));
        fetcher.expect("Status Ok\r\n");
        fetchers.push(fetcher);
        let on_disk = server.bytes_on_disk(stage.path());
        assert!(on_disk <= 2 * LIMIT + 1024, "{on_disk} bytes behind file {nth}");
    }
    // The last one has a file that is still staged; the first were disconnected for others' sake.
    assert!(sharer.say_to(fetchers[0].uid, "hi").reason().contains("it read too slowly"));
    let mut last = fetchers.pop().unwrap();
    last.expect(
        "Message-Type fetch\r\nMessage-ID 5\r\nContent-Type bin\r\nContent-Length 2097152\r\n\r\n",
    );
    last.expect(pattern(12, 2 << 20));
}

#[test]
fn the_slowest_fetch_is_ended_and_a_fast_one_goes_on() {
    // Both fetch a file that is removed meanwhile.
    let server = Server::with(&["--stage-limit", "4M", "--stall-timeout", "4"]);
    let mut sharer = server.join();
    sharer.deadline = LONG_DEADLINE;
    let fetch = |fetcher: &mut Peer, id: u64| {
        fetcher.send(message("Message-Type fetch\nMessage-ID 5", id.to_string()));
        fetcher.expect("Status Ok\r\n");
    };
    sharer.share("bin", pattern(1, 2 << 20)).ok();
    let (mut fast, mut slow) = (server.join_with_small_buffer(), server.join_with_small_buffer());
    fetch(&mut fast, 1);
    sharer.share("bin", pattern(2, 2 << 20)).ok();
    slow.relay();
    fetch(&mut slow, 2);
    // More than half of it has come, and the rest waits for its reader.
    fast.expect(
        "Message-Type fetch\r\nMessage-ID 5\r\nContent-Type bin\r\nContent-Length 2097152\r\n\r\n",
    );
    fast.expect(&pattern(1, 2 << 20)[..1_200_000]);
    sharer.share("bin", pattern(3, 4 << 20)).ok();
    sharer.share("bin", pattern(4, 1 << 20)).ok();
    assert!(sharer.say_to(slow.uid, "hi").reason().contains("it read too slowly"));
    fast.expect(&pattern(1, 2 << 20)[1_200_000..]);
    let relays = fast.sync();
    assert_eq!(relays.len(), 3);
}

#[test]
fn shares_left_one_byte_short_do_not_keep_others_from_sharing() {
    // P5: "a share that moves more slowly than L/2 in a stall timeout makes room for somebody
    // else's: it is refused".
    const LEN: usize = 16 << 10;
    let stage = tempdir().unwrap();
    let dir = stage.path().to_str().unwrap();
    let server = Server::with(&["--stage-limit", "1M", "--stall-timeout", "1", "--stage", dir]);
    let mut stalled: Vec<_> = (0..64).map(|_| server.join()).collect();
    for sharer in &mut stalled {
        sharer.send(begin_share(LEN));
        sharer.send(&pattern(1, LEN)[1..]);
    }
    let arrived = || {
        let entries = fs::read_dir(stage.path()).expect("the stage");
        entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum::<u64>()
    };
    server.wait_until("they are one byte short", || arrived() >= 64 * (LEN as u64 - 1));
    let mut other = server.join();
    let start = Instant::now();
    other.share("bin", pattern(2, 100_000)).ok();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    other.share("bin", pattern(3, 100_000)).ok();
    // As many as were needed have made room, and are told so; the others are whole now.
    let mut refused = 0;
    for sharer in &mut stalled {
        sharer.send("x");
        let response = sharer.response();
        if response.field("Status") == "Error" {
            assert!(response.reason().contains("too slowly"), "{response:?}");
            refused += 1;
        }
        // The session goes on.
        sharer.say("still here").ok();
    }
    assert!((1..=20).contains(&refused), "{refused}");
}

#[test]
fn a_share_without_room_is_refused_while_others_may_still_go_on() {
    // P4: "what is still arriving, all shares together, is held to the same limit". The one that was
    // there first has its stall timeout, and the other one an answer.
    let server = Server::with(&["--stage-limit", "10k", "--stall-timeout", "60"]);
    let (mut first, mut second) = (server.join(), server.join());
    first.send(begin_share(9000));
    first.send(&pattern(1, 9000)[1..]);
    server.wait_until("it has arrived", || {
        let stage = fs::read_dir(server.temp()).expect("read it").next().expect("a stage");
        server.bytes_on_disk(&stage.expect("an entry").path()) == 8999
    });
    assert!(second.share("bin", pattern(2, 5000)).reason().contains("too much is being shared"));
    second.share("bin", pattern(3, 1000)).ok();
    first.send("x");
    first.response().ok();
}

#[test]
fn a_share_that_moves_as_fast_as_it_has_to_is_never_refused() {
    // L/2 in a stall timeout: 32 kB in a second. The room is full all the while.
    const LEN: usize = 300_000;
    let server =
        Server::with(&["--stage-limit", "400000", "--stall-timeout", "1", "--queue-limit", "64k"]);
    let (mut steady, mut other) = (server.join(), server.join());
    thread::scope(|scope| {
        scope.spawn(|| {
            steady.send(begin_share(LEN));
            let content = pattern(1, LEN);
            steady.send(&content[..200_000]);
            for piece in content[200_000..].chunks(5000) {
                thread::sleep(Duration::from_millis(100));
                steady.send(piece);
            }
            steady.response().ok();
        });
        // Two that stand still, one after the other: each makes room for the next.
        let mut still: Vec<_> = (0..2).map(|_| server.join()).collect();
        for sharer in &mut still {
            sharer.send(begin_share(150_000));
            sharer.send(pattern(2, 90_000));
        }
        for nth in 3..10 {
            other.share("bin", pattern(nth, 90_000)).ok();
        }
    });
}
