//! What is for a newcomer that has said nothing is held for half a second, so that a request of a
//! browser finds no relay in front of its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Web, get, pause, upgrade};
use crate::common::{Peer, Server, chat};

/// Runs `guests` while somebody says something every 2 ms, and returns what was said.
fn in_a_talkative_room(server: &Server, guests: impl FnOnce()) -> u64 {
    struct OnDrop<'a>(&'a AtomicBool);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let done = AtomicBool::new(false);
    let mut talker = server.join();
    thread::scope(|scope| {
        let talking = scope.spawn(|| {
            let mut said = 0;
            while !done.load(Ordering::SeqCst) {
                // A guest that is the only one to hear it may be gone.
                talker.say(format!("{said}"));
                said += 1;
                pause(Duration::from_millis(2));
            }
            said
        });
        let on_drop = OnDrop(&done);
        guests();
        drop(on_drop);
        talking.join().expect("the talker ends")
    })
}

/// Waits until a connection has been accepted: it is a member then.
#[track_caller]
fn wait_until_here(member: &mut Peer, uid: u64) {
    let until = Instant::now() + member.deadline;
    while !member.uids().contains(&uid) {
        assert!(Instant::now() < until, "client {uid} is not there");
    }
}

#[test]
fn a_page_arrives_whole_however_much_is_said() {
    // The connection is opened before anything is sent on it, as browsers do.
    let server = Server::start();
    in_a_talkative_room(&server, || {
        for nth in 0..40 {
            let mut web = Web::connect(server.address);
            pause(Duration::from_millis(nth * 7));
            web.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address));
            let answer = web.answer();
            assert_eq!(answer.status, 200);
            assert!(answer.page().starts_with("<!doctype html>"));
        }
    });
}

#[test]
fn a_silent_client_gets_its_first_relays_after_half_a_second_none_lost() {
    let server = Server::start();
    let mut talker = server.join();
    let begun = Instant::now();
    let mut silent = server.connect();
    wait_until_here(&mut talker, 2);
    for nth in 0..20 {
        talker.say(format!("{nth}")).ok();
    }
    for nth in 0..20 {
        assert_eq!(silent.relay().text(), nth.to_string());
        let held = begun.elapsed();
        assert!(held >= Duration::from_millis(450), "{held:?}");
    }
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    // Once.
    let begun = Instant::now();
    talker.say("more").ok();
    assert_eq!(silent.relay().text(), "more");
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
}

#[test]
fn a_request_that_came_while_the_server_did_not_run_is_answered_all_the_same() {
    // A machine that was suspended, say: the hold is over, and what came meanwhile is looked at first.
    let server = Server::start();
    let mut talker = server.join();
    for uid in 2..20 {
        let begun = Instant::now();
        let mut web = Web::connect(server.address);
        wait_until_here(&mut talker, uid);
        talker.say("held").ok();
        server.suspend();
        let was_held = begun.elapsed() < Duration::from_millis(400);
        web.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address));
        pause(Duration::from_millis(600));
        server.signal(Signal::CONT);
        if was_held {
            assert_eq!(web.answer().status, 200);
            return;
        }
    }
    panic!("this machine is too slow to be asked");
}

#[test]
fn the_first_byte_of_a_message_ends_the_hold() {
    let server = Server::start();
    let mut talker = server.join();
    let begun = Instant::now();
    let mut newcomer = server.connect();
    wait_until_here(&mut talker, 2);
    talker.say("before").ok();
    newcomer.send("Message-Type query\n");
    assert_eq!(newcomer.relay().text(), "before");
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    // A line that may still become a request does not.
    let begun = Instant::now();
    let mut newcomer = server.connect();
    newcomer.send("Message-Type");
    wait_until_here(&mut talker, 3);
    talker.say("again").ok();
    assert_eq!(newcomer.relay().text(), "again");
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    newcomer.send(" query\nMessage-ID 1\n\n");
    newcomer.response().ok();
}

#[test]
fn an_old_connection_gets_its_page_where_nothing_was_written_to_it() {
    // Browsers connect ahead, and use such a connection later.
    let server = Server::start();
    let mut page = Web::connect(server.address);
    let mut socket = Web::connect(server.address);
    pause(Duration::from_millis(700));
    page.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address));
    assert_eq!(page.answer().status, 200);
    socket.upgrade();
    assert_eq!(socket.uid(), 2);
}

#[test]
fn where_something_was_written_a_request_is_closed_without_an_answer() {
    let server = Server::start();
    let mut talker = server.join();
    for request in ["GET / HTTP/1.1\r\n\r\n", &upgrade("localhost")] {
        let mut web = Web::connect(server.address);
        pause(Duration::from_millis(600));
        talker.say("hello").ok();
        let (mut relay, until) = (Vec::new(), Instant::now() + web.deadline);
        while !relay.ends_with(b"hello") {
            assert!(web.fill(until));
            relay.append(&mut web.got);
        }
        web.send(request);
        assert!(web.is_closed_without_a_byte());
    }
    talker.expect_nothing();
    assert_eq!(talker.uids(), [talker.uid]);
}

#[test]
fn a_request_was_never_anybody() {
    // UIDs have gaps, and to others such a one has never connected.
    let server = Server::start();
    let mut member = server.join();
    assert_eq!(get(&server, "/").status, 200);
    let mut never = |uid: u64| {
        let answer = member.say_to(uid, "hello");
        answer.reason().to_owned()
    };
    let reason = never(2);
    assert_eq!(reason.replace('2', "9"), never(9), "one UID was given, the other never");
    assert_eq!(server.join().uid, 3);
    let log = server.stop();
    assert!(!log.iter().any(|line| line.contains("client 2")), "{log:#?}");
}

#[test]
fn what_was_held_goes_out_in_frames() {
    // It upgrades: so it stays in the room under its UID, and has missed nothing.
    let server = Server::start();
    let mut talker = server.join();
    let mut web = Web::connect(server.address);
    wait_until_here(&mut talker, 2);
    for nth in 0..10 {
        talker.say(format!("{nth}")).ok();
    }
    web.upgrade();
    for nth in 0..10 {
        assert_eq!(web.relay().text(), nth.to_string());
    }
    assert_eq!(web.uid(), 2);
}

#[test]
fn nobody_misses_or_gets_twice_what_is_said_around_the_upgrade() {
    let server = Server::start();
    in_a_talkative_room(&server, || {
        for nth in 0..60 {
            let mut web = Web::connect(server.address);
            pause(Duration::from_millis(nth % 12));
            web.upgrade();
            let first: u64 = web.relay().text().parse().expect("a number");
            for next in first + 1..first + 20 {
                assert_eq!(web.relay().text(), next.to_string());
            }
        }
    });
}

#[test]
fn held_output_slows_nobody_down_for_longer() {
    // What waits counts as queue; behind the hold it is read as ever.
    let server = Server::with(&["--queue-limit", "20k"]);
    let mut talker = server.join();
    let mut silent: Vec<Peer> = (0..3).map(|_| server.connect()).collect();
    wait_until_here(&mut talker, 4);
    let text = "x".repeat(1_000);
    let begun = Instant::now();
    let messages: Vec<u8> = (0..200).flat_map(|id| chat(id, &text)).collect();
    let answers = talker.send_while_reading(&messages, 200);
    assert!(answers.iter().all(|answer| answer.field("Status") == "Ok"));
    for peer in &mut silent {
        (0..200).for_each(|_| assert_eq!(peer.relay().text(), text));
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
