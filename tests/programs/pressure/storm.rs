//! Storms of short connections, and connections that are slow to end.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{LONG_DEADLINE, Peer, Server, chat, message};

use super::{Ending, read_slowly};

const MIB: u64 = 1024 * 1024;

/// Four clients that connect, say a long text to all, reset the connection, and come again: so often,
/// and for so long at the most.
fn storm(address: SocketAddr, connections: u64, length: Duration) {
    let until = Instant::now() + length;
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= connections || Instant::now() > until {
                        return;
                    }
                    let mut peer = Peer::connect(address);
                    peer.try_send(chat(nth, format!("{nth:x>65500}")));
                    peer.reset();
                }
            });
        }
    });
}

#[test]
fn storm_of_short_connections_beside_a_stalled_reader_costs_two_queues() {
    // P5: "What has come whole from a sender whose connection then broke waits like any other"; "2 L
    // and one message ... whatever anybody does".
    for options in [&["--max-clients", "200"][..], &["--max-clients", "200", "--queue-total", "1M"]]
    {
        let server = Server::with(options);
        server.join().say("warm up").ok();
        let _stalled = server.join_with_small_buffer();
        let before = server.memory("VmHWM");
        storm(server.address, 6000, LONG_DEADLINE);
        let grown = server.memory("VmHWM") - before;
        // One client is over; beside it, each of 200 has its buffers and a text that is arriving.
        let bound = 2 * MIB + 200 * 128 * 1024;
        eprintln!("{options:?}: {} MiB more at the peak", grown / MIB);
        assert!(grown < bound, "{} MiB more at the peak", grown / MIB);
    }
}

#[test]
fn reader_with_a_steady_pace_survives_a_storm_and_loses_nothing() {
    // P5: "No healthy client is ever disconnected because others send fast, however many they are
    // and however often they reconnect".
    let server = Server::with(&["--stall-timeout", "4", "--max-clients", "100"]);
    let mut quick = server.join();
    let mut steady = Peer::connect_with_buffer(server.address, 256 * 1024);
    steady.sync();
    quick.deadline = LONG_DEADLINE;
    steady.deadline = LONG_DEADLINE;
    let (over, is_over) = crossbeam_channel::bounded::<()>(0);
    thread::scope(|scope| {
        let heard = scope.spawn(|| {
            let mut heard = Vec::new();
            loop {
                let relay = quick.relay();
                if relay.text() == "the end" {
                    return heard;
                }
                heard.push((relay.number("From"), relay.text().len()));
            }
        });
        let (address, over) = (server.address, over);
        scope.spawn(move || {
            storm(address, 100_000, Duration::from_secs(8));
            drop(over);
        });
        // Five megabytes a second.
        let pace = crossbeam_channel::tick(Duration::from_millis(10));
        while is_over.try_recv() != Err(crossbeam_channel::TryRecvError::Disconnected) {
            pace.recv().expect("a clock ticks for ever");
            assert!(steady.read_some(50_000), "the steady reader was disconnected");
        }
        // What came whole from those who are gone is still being said.
        scope.spawn(|| {
            server.wait_until("the storm is over", || server.threads() < 20);
            server.join().say("the end").ok();
        });
        let mut read = Vec::new();
        loop {
            let relay = steady.relay();
            if relay.text() == "the end" {
                break;
            }
            read.push((relay.number("From"), relay.text().len()));
        }
        let heard = heard.join().expect("the quick reader heard the end");
        eprintln!("{} texts were heard", heard.len());
        assert!(heard.len() > 100, "{} texts were heard", heard.len());
        assert_eq!(read, heard);
    });
}

#[test]
fn connection_counts_until_it_is_closed() {
    // P5: "what is still written behind `bye` or the end of input takes the place of a client as
    // long".
    for options in [["--max-per-host", "3"], ["--max-clients", "3"]] {
        let server = Server::with(&options);
        let mut sharer = server.join();
        sharer.share("bin", vec![b'x'; 2 << 20]).ok();
        sharer.bye();
        let mut leaving: Vec<_> = (0..3).map(|_| server.join_with_small_buffer()).collect();
        for peer in &mut leaving {
            let requests = [
                &message("Message-Type fetch\nMessage-ID 1", "1")[..],
                b"Message-Type bye\nMessage-ID 2\n\n",
            ];
            peer.send(requests.concat());
            // Under way, so the session has left the room or is about to.
            peer.read_some(1000);
        }
        for _ in 0..5 {
            let mut next = server.connect();
            assert!(next.read_message().reason().contains("3 clients"), "{options:?}");
        }
        let mut last = leaving.pop().unwrap();
        last.deadline = LONG_DEADLINE;
        assert_eq!(last.response().ok().body.len(), 2 << 20);
        last.expect_end();
        drop(last);
        server.join_once_there_is_room().say("there is a place again").ok();
    }
}

#[test]
fn time_in_which_the_server_was_stopped_does_not_count() {
    // P5: "Time in which the server itself did not run (stopped, suspended) ... does not count": the
    // queue of this reader is over its limit most of the time, and falls each time.
    let mut server = Server::with(&["--stall-timeout", "4", "--queue-limit", "256k"]);
    let (mut flooder, mut reader) = (server.join(), server.join_with_small_buffer());
    let header = format!("Message-Type chat\nMessage-ID 1\nTo {}", reader.uid);
    let text = message(&header, "x".repeat(8000));
    let mut output = flooder.writer();
    thread::scope(|scope| {
        // They end when the server does, whatever comes of this.
        let _ending = Ending(&server);
        scope.spawn(move || while output.write_all(&text).is_ok() {});
        scope.spawn(|| while flooder.read_some(64 * 1024) {});
        scope.spawn(|| read_slowly(&mut reader, 10_000, Duration::from_millis(50), usize::MAX));
        for _ in 0..3 {
            thread::park_timeout(Duration::from_secs(1));
            server.signal(Signal::STOP);
            // Longer than the stall timeout, by the clock.
            thread::park_timeout(Duration::from_secs(5));
            server.signal(Signal::CONT);
        }
        assert_eq!(server.join().uids(), [1, 2, 3]);
    });
    let log = server.log().until_end(Instant::now() + LONG_DEADLINE);
    assert!(!log.iter().any(|line| line.contains("disconnected")), "{log:#?}");
}
