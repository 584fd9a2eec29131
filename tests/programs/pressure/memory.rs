//! Memory is bounded by the limits, never by what a peer declares or sends.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::{LONG_DEADLINE, Peer, Server, message};

use super::{Ending, numbered, read_slowly};

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

/// What the kernel holds for the server's connections, in bytes: their receive and send queues, and
/// what is set aside for them. `None`, and said so, without the `ss` command.
fn kernel_memory(server: &Server) -> Option<u64> {
    let port = format!("sport = :{}", server.address.port());
    let Ok(output) = Command::new("ss").args(["-tnmO", "state", "connected", &port]).output()
    else {
        eprintln!("skipped: what the kernel holds, without the ss command");
        return None;
    };
    let sockets = String::from_utf8(output.stdout).expect("text");
    let counts = sockets.split(['(', ',', ')']).filter_map(|field| {
        let digits = field.strip_prefix(['r', 'w', 'f'])?;
        digits.parse::<u64>().ok()
    });
    Some(counts.sum())
}

/// How many texts a flood has for each reader: more than its queue and the kernel hold.
const TEXTS: usize = 40;

/// Lets a sender flood readers that have stopped, a text for all of them at a time or one for each;
/// `is_over` is given how much memory the server has had at the most, and ends it. Returns what the
/// kernel held for the server.
fn flood_stopped_readers(
    server: &Server,
    readers: u64,
    is_private: bool,
    mut is_over: impl FnMut(&mut Peer, u64) -> bool,
) -> Option<u64> {
    let (sender, mut watcher) = (server.join(), server.join());
    let stopped: Vec<_> = (0..readers).map(|_| server.join_with_small_buffer()).collect();
    let uids = stopped.iter().map(|reader| format!("\nTo {}", reader.uid));
    let receivers: Vec<_> = if is_private { uids.collect() } else { vec![String::new()] };
    let mut kernel_peak = None;
    thread::scope(|scope| {
        // What still floods ends with the server, whatever comes of this.
        let _ending = Ending(server);
        let (mut writer, receivers, mut input) = (sender.writer(), &receivers, sender.writer());
        scope.spawn(move || {
            for nth in 0..TEXTS {
                for to in receivers {
                    let header = format!("Message-Type chat\nMessage-ID {nth}{to}");
                    let text = message(&header, numbered(nth, 60_000));
                    if writer.write_all(&text).is_err() {
                        return;
                    }
                }
            }
        });
        scope.spawn(move || {
            let mut dropped = [0; 64 * 1024];
            while matches!(input.read(&mut dropped), Ok(count) if count > 0) {}
        });
        watcher.deadline = LONG_DEADLINE;
        let clock = crossbeam_channel::tick(Duration::from_millis(20));
        while !is_over(&mut watcher, server.memory("VmHWM")) {
            // A test that looks all the time takes the time of those who are looked at.
            clock.recv().expect("the time");
            kernel_peak = kernel_peak.max(kernel_memory(server));
        }
    });
    kernel_peak
}

fn check_kernel_memory(kernel_peak: Option<u64>, readers: u64) {
    if let Some(kernel) = kernel_peak {
        let expected = readers * MIB / 16..readers * MIB / 4;
        assert!(expected.contains(&kernel), "{} MiB in the kernel at the peak", kernel / MIB);
    }
}

const READERS: u64 = 100;

#[test]
fn a_hundred_readers_that_stopped_share_the_public_texts_of_a_sender_that_floods() {
    // With the default queue limit of 1 MiB. A public text is in memory once for all, but for what
    // one socket took and others did not, and beside it are the writer threads.
    let server = Server::with(&["--stall-timeout", "2"]);
    server.join().say("warm up").ok();
    let before = server.memory("VmRSS");
    let mut grown = 0;
    let kernel_peak = flood_stopped_readers(&server, READERS, false, |watcher, peak| {
        grown = peak - before;
        // All of them are cut off in the end.
        watcher.uids().len() == 2
    });
    eprintln!("{grown} bytes more, {kernel_peak:?} in the kernel");
    assert!((MIB..READERS * MIB / 4).contains(&grown), "{} MiB more at the peak", grown / MIB);
    check_kernel_memory(kernel_peak, READERS);
}

#[test]
fn a_hundred_readers_that_stopped_cost_no_more_than_their_queues_while_a_sender_floods() {
    // The worst is a text of its own for each, so that no two queues share one. None is cut off
    // before all queues are full, on a slow machine too.
    let server = Server::with(&["--stall-timeout", "300"]);
    server.join().say("warm up").ok();
    let before = server.memory("VmRSS");
    let (mut grown, mut unchanged, until) = (0, 0, Instant::now() + 10 * LONG_DEADLINE);
    let kernel_peak = flood_stopped_readers(&server, READERS, true, |watcher, peak| {
        unchanged = if peak - before > grown { 0 } else { unchanged + 1 };
        grown = grown.max(peak - before);
        assert_eq!(watcher.uids().len() as u64, READERS + 2);
        assert!(Instant::now() < until, "only {} MiB more", grown / MIB);
        // The queues are full, and for some moments nothing has been added.
        grown >= READERS * MIB && unchanged >= 50
    });
    eprintln!("{grown} bytes more, {kernel_peak:?} in the kernel");
    assert!(grown < READERS * MIB * 3 / 2, "{} MiB more at the peak", grown / MIB);
    check_kernel_memory(kernel_peak, READERS);
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

/// A stage that holds so many empty files with long names.
fn stage_of_many(files: usize) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    fs::write(dir.path().join(".multichat-stage"), "").expect("mark the stage");
    let name = "n".repeat(180);
    for id in 1..=files {
        fs::write(dir.path().join(format!("{id} {name}.txt")), "").expect("put a file there");
    }
    dir
}

#[test]
fn long_answers_that_nobody_reads_cost_no_more_than_all_queues_may_hold() {
    // P5: "What waits for all clients together is at most --queue-total"; an answer is made in its
    // turn, so that one at a time is in memory and in no queue.
    const ASKERS: usize = 60;
    const FILES: usize = 8_000;
    const ANSWER: u64 = 180 * FILES as u64;
    let dir = stage_of_many(FILES);
    let stage = dir.path().to_str().expect("UTF-8");
    let options = ["--stage", stage, "--queue-total", "16M", "--stall-timeout", "60"];
    let server = Server::with(&options);
    let mut watcher = server.join();
    let before = server.memory("VmHWM");
    let mut askers: Vec<_> = (0..ASKERS).map(|_| server.join_with_small_buffer()).collect();
    for asker in &mut askers {
        let query = |body| message("Message-Type query\nMessage-ID 1", body);
        asker.send([query("extended"), query("files"), query("files")].concat());
    }
    // Those for which there is no room any more are disconnected.
    let most = usize::try_from(16 * MIB / ANSWER).expect("a few") + 1;
    watcher.deadline = LONG_DEADLINE;
    let clock = crossbeam_channel::tick(Duration::from_millis(20));
    while watcher.uids().len() > 1 + most {
        clock.recv().expect("the time");
    }
    let grown = server.memory("VmHWM") - before;
    eprintln!("{} MiB more at the peak", grown / MIB);
    // Beside the queues: an answer as it is made, added and copied, and threads.
    assert!(grown < 16 * MIB + 16 * ANSWER, "{} MiB more at the peak", grown / MIB);
}

#[test]
fn reader_of_a_long_answer_is_not_cut_off_for_what_others_say_meanwhile() {
    // P5: "Nothing that waits for one client is ever more than 2 L and one message": the one message
    // may be a long answer, and others go on to talk behind it.
    let dir = stage_of_many(6_000);
    let stage = dir.path().to_str().expect("UTF-8");
    let server = Server::with(&["--stage", stage, "--queue-limit", "64k"]);
    let (mut reader, mut talker) = (server.join_with_small_buffer(), server.join());
    reader.query("extended").ok();
    reader.send(message("Message-Type query\nMessage-ID 9", "files"));
    // It is on its way.
    assert!(reader.read_some(1));
    thread::scope(|scope| {
        scope.spawn(|| (0..20).for_each(|_| drop(talker.say("a line").ok())));
        read_slowly(&mut reader, 64 * 1024, Duration::from_millis(10), 512 << 10);
        assert_eq!(reader.response().ok().text().lines().count(), 6_000);
    });
    assert_eq!(reader.sync().len(), 20);
}
