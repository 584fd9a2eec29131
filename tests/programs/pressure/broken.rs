//! Connections that break at the worst moment, and input that ends before output does.

use std::thread;

use crate::common::{LONG_DEADLINE, Server, assert_same_bytes, message, pattern};

use super::{expect_flood, flood};

#[test]
fn reset_in_the_middle_of_anything_harms_nobody() {
    // What was not sent whole is not relayed; the connection is closed, and the room goes on.
    let server = Server::start();
    let mut watcher = server.join();
    let share = message("Message-Type chat\nMessage-ID 5\nContent-Type bin", pattern(1, 300_000));
    let text = message("Message-Type chat\nMessage-ID 5", "x".repeat(60_000));
    let cases: [(&str, &[u8]); 7] = [
        ("nothing", b""),
        ("a name", b"Message-Ty"),
        ("a header", b"Message-Type chat\nMessage-ID 5\nContent-Length 2\n"),
        ("no body yet", b"Message-Type chat\nMessage-ID 5\nContent-Length 2\n\n"),
        ("a text", &text[..50_000]),
        ("a share", &share[..200_000]),
        ("a malformed header", b"Message-Type: chat\n"),
    ];
    for (name, bytes) in cases {
        for _ in 0..5 {
            eprintln!("case: {name}");
            let mut peer = server.join();
            let uid = peer.uid;
            peer.send(bytes);
            peer.reset();
            watcher.wait_until_gone(uid);
        }
    }
    watcher.expect_nothing();
    assert_eq!(watcher.query("files").ok().text(), "");
    assert_eq!(watcher.uids(), [1]);
}

#[test]
fn reset_in_the_middle_of_a_fetch_harms_nobody() {
    // The file stays staged for others, and the fetcher has left.
    let server = Server::start();
    let mut sharer = server.join();
    let content = pattern(1, 8 << 20);
    sharer.share("bin", &content).ok();
    for _ in 0..5 {
        let mut fetcher = server.join_with_small_buffer();
        let uid = fetcher.uid;
        fetcher.send(message("Message-Type fetch\nMessage-ID 5", "1"));
        fetcher.expect("Status Ok\r\n");
        fetcher.reset();
        sharer.wait_until_gone(uid);
        let error = sharer.say_to(uid, "hi");
        assert!(error.reason().contains("the connection was reset"), "{error:?}");
    }
    assert_same_bytes(&sharer.fetch(1).ok().body, &content);
}

#[test]
fn reset_with_a_full_queue_frees_whoever_waited_for_it() {
    // The sender that was slowed down for a receiver is read again once that one is gone.
    let server = Server::with(&["--queue-limit", "64k", "--stall-timeout", "60"]);
    let (mut sender, mut other) = (server.join(), server.join());
    let stalled = server.join_with_small_buffer();
    thread::scope(|scope| {
        scope.spawn(|| flood(&mut sender, 500, 60_000));
        // The flood is under way; far more of it is to come than the queue and the kernel's buffers
        // hold.
        expect_flood(&mut other, 0..1, 60_000);
        stalled.reset();
        expect_flood(&mut other, 1..500, 60_000);
    });
    assert_eq!(sender.uids(), [1, 2]);
}

#[test]
fn end_of_input_is_not_end_of_output() {
    // `printf … | nc` closes its sending side early: what was queued for it by then is still
    // written before the close.
    let server = Server::start();
    let (mut sender, mut reader) = (server.join(), server.join_with_small_buffer());
    flood(&mut sender, 700, 1000);
    reader.send("Message-Type query\nMessage-ID 77\n\n");
    reader.end_input();
    sender.wait_until_gone(2);
    sender.say("too late").ok();
    expect_flood(&mut reader, 0..700, 1000);
    assert_eq!(reader.read_message().ok().number("Message-ID"), 77);
    reader.expect_end();
}

#[test]
fn responses_and_files_asked_for_come_before_the_close() {
    // A fetch through a pipe: the request, and at once the end of input.
    let server = Server::start();
    let content = pattern(3, 4 << 20);
    server.join().share("bin", &content).ok();
    let mut fetcher = server.join_with_small_buffer();
    fetcher.deadline = LONG_DEADLINE;
    let fetch = message("Message-Type fetch\nMessage-ID 5", "1");
    fetcher.send(
        [&fetch[..], &fetch, b"Message-Type query\nMessage-ID 6\nContent-Length 4\n\nself"]
            .concat(),
    );
    fetcher.end_input();
    for _ in 0..2 {
        assert_same_bytes(&fetcher.response().ok().body, &content);
    }
    assert_eq!(fetcher.response().ok().text(), "2\n");
    fetcher.expect_end();
}

#[test]
fn stalled_reader_whose_input_has_ended_is_cut_off_too() {
    // The server does not wait for ever to write what is queued.
    let server = Server::with(&["--stall-timeout", "0.5", "--max-clients", "2"]);
    let (mut sender, mut stalled) = (server.join(), server.join_with_small_buffer());
    flood(&mut sender, 700, 1000);
    stalled.end_input();
    sender.wait_until_gone(2);
    // Its place is free again once its connection is closed.
    server.join_once_there_is_room();
}
