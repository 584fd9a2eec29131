//! Memory is bounded by the limits, never by what a peer declares or sends.

use std::thread;

use crate::common::{LONG_DEADLINE, Server};

use super::numbered;

const MIB: u64 = 1 << 20;

#[test]
fn stalled_readers_cost_their_queue_limit_and_no_more() {
    // Per client a fixed amount and its queue limit: here 64 kB and one message of each sender over
    // it.
    let server = Server::with(&["--stall-timeout", "2", "--queue-limit", "64k"]);
    let mut pairs: Vec<_> =
        (0..30).map(|_| (server.join(), server.join_with_small_buffer())).collect();
    let before = server.memory("VmHWM");
    thread::scope(|scope| {
        for (sender, stalled) in &mut pairs {
            scope.spawn(|| {
                sender.deadline = LONG_DEADLINE;
                let mut responses =
                    (0..).map(|nth| sender.say_to(stalled.uid, numbered(nth, 60_000)));
                let refused = responses.find(|response| response.field("Status") == "Error");
                assert!(
                    refused.is_some_and(|refused| refused.reason().contains("it stopped reading"))
                );
            });
        }
    });
    let grown = server.memory("VmHWM") - before;
    assert!(grown < 30 * MIB, "{} MiB more at the peak", grown / MIB);
}

#[test]
fn declared_lengths_cost_nothing() {
    // Nothing is allocated by a length that a peer declares.
    let server = Server::with(&["--max-text", "1G", "--max-file", "1G", "--stage-limit", "1000G"]);
    server.join().say("warm up").ok();
    let before = server.memory("VmHWM");
    let mut peers: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for (nth, peer) in peers.iter_mut().enumerate() {
        let content_type = ["text", "bin"][nth % 2];
        peer.send(format!(
            "Message-Type chat\nMessage-ID 1\nContent-Type {content_type}\n\
             Content-Length 1000000000\n\nx"
        ));
    }
    for peer in &mut peers {
        peer.end_input();
        assert!(peer.response().reason().contains("999999999"));
    }
    let grown = server.memory("VmHWM") - before;
    assert!(grown < 16 * MIB, "{} MiB more at the peak", grown / MIB);
}

#[test]
fn files_are_never_in_memory_as_a_whole() {
    // The body of a share goes to the stage as it arrives, and back in pieces.
    let server = Server::with(&["--max-file", "64M"]);
    let (mut sharer, mut fetcher) = (server.join(), server.join());
    sharer.share("bin", "warm up").ok();
    let before = server.memory("VmHWM");
    sharer.deadline = LONG_DEADLINE;
    let file_id = sharer.share("bin", vec![b'x'; 64 << 20]).ok().number("File-ID");
    fetcher.deadline = LONG_DEADLINE;
    assert_eq!(fetcher.fetch(file_id).ok().body.len(), 64 << 20);
    let grown = server.memory("VmHWM") - before;
    assert!(grown < 8 * MIB, "{} MiB more at the peak", grown / MIB);
}

#[test]
fn bodies_that_are_refused_are_not_kept() {
    // The body of a refused message is read and dropped.
    let server = Server::start();
    let mut sender = server.join();
    let before = server.memory("VmHWM");
    assert!(!sender.say("x".repeat(64 << 20)).reason().is_empty());
    assert!(!sender.share("..", "x".repeat(64 << 20)).reason().is_empty());
    let grown = server.memory("VmHWM") - before;
    assert!(grown < 4 * MIB, "{} MiB more at the peak", grown / MIB);
}
