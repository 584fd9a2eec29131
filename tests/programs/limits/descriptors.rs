//! Descriptors: too few for all clients, then none at all.

use super::{errors, said, started_behind, started_with};
use crate::common::{Peer, ServerMessage, message, pattern};

const CANNOT_STORE: &str = "the server could not store the file; nothing was relayed";

const TOO_MANY_OPEN: &str =
    "too many files are being shared and fetched at the moment; try again later";

const TOO_SLOW: &str = "the file came too slowly, and made room for others that were shared at \
                        the same time; share it again";

/// Sends a share but for its end, which holds a descriptor of the server.
fn begin_share(peer: &mut Peer) {
    peer.send("Message-Type chat\nMessage-ID 2\nContent-Type bin\nContent-Length 10\n\nhalf-");
}

/// Whether a share whose end has now been sent was stored; it can fail in one way alone.
fn is_stored(answer: &ServerMessage) -> bool {
    let stored = answer.field("Status") == "Ok";
    assert!(stored || answer.reason() == TOO_MANY_OPEN, "{answer:?}");
    stored
}

#[test]
fn sixty_clients_under_a_limit_of_forty_descriptors() {
    // Out of descriptors: the newcomer is refused, a line in the log, nobody else harmed.
    let mut server = started_behind("ulimit -n 40");
    let mut admitted = Vec::new();
    let mut refused = 0;
    for _ in 0..60 {
        let mut peer = server.connect();
        let answer = peer.request(message("Message-Type query\nMessage-ID 1", "self"));
        if answer.field("Status") == "Ok" {
            admitted.push(peer);
        } else {
            assert!(answer.reason().starts_with("the room is full: "), "{answer:?}");
            refused += 1;
        }
    }
    assert_eq!((admitted.len(), refused), (24, 36));
    assert!(server.log().wait_for("at most 24 clients").contains("WARN"));
    server.log().wait_for("newcomers are refused");
    // All those who are in share at the same time: there are descriptors for some of them beside the
    // clients', the others get an error, and the session goes on.
    admitted.iter_mut().for_each(begin_share);
    let mut stored = 0;
    for peer in &mut admitted {
        peer.send("whole");
        stored += usize::from(is_stored(&peer.response()));
    }
    assert!((1..24).contains(&stored), "{stored} of 24 files are stored");
    // And when they have gone, there is room for others, and for files.
    admitted.truncate(1);
    let mut left = admitted.pop().expect("one is left");
    while left.uids().len() > 1 {}
    let id = left.share("bin", pattern(1, 1000)).ok().number("File-ID");
    assert_eq!(left.fetch(id).ok().body, pattern(1, 1000));
    assert_eq!(server.join().uids().len(), 2);
    // The last descriptor was never taken.
    let log = server.stop();
    assert_eq!(said(&log, "newcomers are refused"), 1, "{log:#?}");
    assert_eq!(errors(&log), 0, "{log:#?}");
}

#[test]
fn with_no_descriptor_left_clients_chat_on_and_newcomers_wait() {
    // The system itself has none left, though the server keeps within its own limits.
    let mut server = started_behind("ulimit -n 40");
    let mut talker = server.join();
    let id = talker.share("bin", "before").ok().number("File-ID");
    let mut sharers: Vec<_> = (0..20).map(|_| server.join()).collect();
    server.limit_open_files(3, 40);
    // While nobody comes, accept(2) already holds the descriptor of the next client: the first
    // newcomer may still get in.
    let _first = server.connect();
    let mut newcomer = server.connect();
    newcomer.send(message("Message-Type query\nMessage-ID 1", "self"));
    let line = server.log().wait_for("clients cannot be accepted");
    assert!(line.contains(" ERROR") && line.contains("they wait until they can be"), "{line}");
    // Those who are in notice it only where a file is to be opened, which is said once.
    sharers.iter_mut().for_each(begin_share);
    for nth in 0..20 {
        talker.say(format!("{nth}")).ok();
        let unread = talker.fetch(id);
        assert_eq!(unread.reason(), "the server could not read the file; try again later");
    }
    for sharer in &mut sharers {
        sharer.send("whole");
        let texts: Vec<_> = (0..20).map(|_| sharer.relay().text().to_owned()).collect();
        assert!(texts.iter().enumerate().all(|(nth, text)| *text == nth.to_string()), "{texts:?}");
        assert_eq!(sharer.response().reason(), CANNOT_STORE);
    }
    // Nobody has done anything about it at the server, and it has passed.
    server.limit_open_files(40, 40);
    assert_eq!(newcomer.response().ok().text(), "23\n");
    assert_eq!(talker.fetch(id).ok().text(), "before");
    talker.share("bin", "after").ok();
    let log = server.stop();
    assert_eq!(said(&log, "clients cannot be accepted"), 1, "{log:#?}");
    assert_eq!(said(&log, "cannot be stored"), 1, "{log:#?}");
    assert_eq!(said(&log, "files can be stored again"), 1, "{log:#?}");
    assert_eq!(said(&log, "cannot be read"), 1, "{log:#?}");
    assert_eq!(errors(&log), 3, "{log:#?}");
}

#[test]
fn shares_that_stand_still_hold_no_place_for_ever() {
    // Many more than there are places, each short of its end: the first ones to be too slow.
    let server = started_with("ulimit -n 40", &["--stall-timeout", "1"]);
    let mut sharers: Vec<_> = (0..20).map(|_| server.join()).collect();
    sharers.iter_mut().for_each(begin_share);
    // Each waits for a place for at most a second, and gets one before: then another has made room.
    let mut other = server.join();
    let mut ids = Vec::new();
    while ids.len() < 8 {
        let answer = other.share("bin", "whole");
        if answer.field("Status") == "Ok" {
            ids.push(answer.number("File-ID"));
        } else {
            assert_eq!(answer.reason(), TOO_MANY_OPEN);
        }
    }
    for id in ids {
        assert_eq!(other.fetch(id).ok().text(), "whole");
    }
    for sharer in &mut sharers {
        sharer.send("whole");
        let answer = sharer.response();
        let reasons = [TOO_MANY_OPEN, TOO_SLOW];
        assert!(answer.field("Status") == "Ok" || reasons.contains(&answer.reason()), "{answer:?}");
        assert_eq!(sharer.fetch(1).ok().text(), "whole");
    }
    let log = server.stop();
    assert_eq!(errors(&log), 0, "{log:#?}");
}

/// Has a client fetch a file, which its kernel does not take whole, and that is not read.
fn begin_fetch(peer: &mut Peer, id: u64) {
    peer.send(message("Message-Type fetch\nMessage-ID 2", id.to_string()));
}

#[test]
fn files_that_are_fetched_and_shared_take_no_descriptor_of_a_client() {
    // 24 of 40 descriptors are for clients: all of them get in, however many files are open.
    let server = started_behind("ulimit -n 40");
    let mut talker = server.join();
    let content: Vec<_> = (0..8).map(|nth| pattern(nth, 1 << 20)).collect();
    for content in &content {
        talker.share("bin", content).ok();
    }
    let mut fetchers: Vec<_> = (0..8).map(|_| server.join_with_small_buffer()).collect();
    for (fetcher, id) in fetchers.iter_mut().zip(1..) {
        begin_fetch(fetcher, id);
    }
    let mut sharers: Vec<_> = (0..7).map(|_| server.join()).collect();
    sharers.iter_mut().for_each(begin_share);
    let newcomers: Vec<_> = (0..8).map(|_| server.join()).collect();
    assert_eq!(talker.uids().len(), 24);
    // Those for whom there was no place are told so, and go on.
    let mut refused = 0;
    for (fetcher, content) in fetchers.iter_mut().zip(&content) {
        let answer = fetcher.response();
        if answer.field("Status") == "Ok" {
            assert_eq!(&answer.body, content);
        } else {
            assert_eq!(answer.reason(), TOO_MANY_OPEN);
            refused += 1;
        }
    }
    assert!((1..8).contains(&refused), "{refused} of 8 fetches are refused");
    assert_eq!(fetchers[7].fetch(8).ok().body, content[7]);
    drop(newcomers);
    for sharer in &mut sharers {
        sharer.send("whole");
        is_stored(&sharer.response());
    }
    let log = server.stop();
    assert_eq!(errors(&log), 0, "{log:#?}");
}

#[test]
fn those_who_fetch_the_same_file_share_its_descriptor() {
    // A class that opens a picture at the same time: nobody waits for a place.
    let server = started_behind("ulimit -n 40");
    let content = pattern(1, 1 << 20);
    let id = server.join().share("bin", &content).ok().number("File-ID");
    let mut fetchers: Vec<_> = (0..20).map(|_| server.join_with_small_buffer()).collect();
    fetchers.iter_mut().for_each(|fetcher| begin_fetch(fetcher, id));
    for fetcher in &mut fetchers {
        assert_eq!(fetcher.response().ok().body, content);
    }
}
