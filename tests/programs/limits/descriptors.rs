//! Descriptors: too few for all clients, then none at all.

use super::{errors, said, started_behind};
use crate::common::{Peer, ServerMessage, message, pattern};

const CANNOT_STORE: &str = "the server could not store the file; nothing was relayed";

/// Sends a share but for its end, which holds a descriptor of the server.
fn begin_share(peer: &mut Peer) {
    peer.send("Message-Type chat\nMessage-ID 2\nContent-Type bin\nContent-Length 10\n\nhalf-");
}

/// Whether a share whose end has now been sent was stored; it can fail in one way alone.
fn is_stored(answer: &ServerMessage) -> bool {
    let stored = answer.field("Status") == "Ok";
    assert!(stored || answer.reason() == CANNOT_STORE, "{answer:?}");
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
    // All those who are in share at the same time: there are descriptors for some of them, the others
    // get an error, and the session goes on.
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
    // Accepting fails as well when the files have taken the last descriptor.
    let log = server.stop();
    assert_eq!(said(&log, "cannot be stored"), 1, "{log:#?}");
    assert_eq!(said(&log, "newcomers are refused"), 1, "{log:#?}");
    assert!(said(&log, "cannot be accepted") <= 1 && errors(&log) <= 2, "{log:#?}");
}

#[test]
fn with_no_descriptor_left_clients_chat_on_and_newcomers_wait() {
    // What the spare descriptors are for is used up by shares under way, so that accepting fails.
    let mut server = started_behind("ulimit -n 40");
    let mut talker = server.join();
    let id = talker.share("bin", "before").ok().number("File-ID");
    let mut sharers: Vec<_> = (0..20).map(|_| server.join()).collect();
    sharers.iter_mut().for_each(begin_share);
    // While nobody comes, accept(2) already holds the descriptor of the next client, and no listing
    // shows that one: the first newcomer may still get in.
    server.wait_until("all descriptors are used", || server.open_files_below(40) >= 39);
    let _first = server.connect();
    let mut newcomer = server.connect();
    newcomer.send(message("Message-Type query\nMessage-ID 1", "self"));
    let line = server.log().wait_for("clients cannot be accepted");
    assert!(line.contains(" ERROR") && line.contains("they wait until they can be"), "{line}");
    // Those who are in notice it only where a file is to be opened, which is said once.
    for nth in 0..20 {
        talker.say(format!("{nth}")).ok();
        let unread = talker.fetch(id);
        assert_eq!(unread.reason(), "the server could not read the file; try again later");
    }
    for sharer in &mut sharers {
        sharer.send("whole");
        let texts: Vec<_> = (0..20).map(|_| sharer.relay().text().to_owned()).collect();
        assert!(texts.iter().enumerate().all(|(nth, text)| *text == nth.to_string()), "{texts:?}");
    }
    let answers: Vec<_> = sharers.iter_mut().map(Peer::response).collect();
    let stored = answers.iter().filter(|answer| is_stored(answer)).count();
    assert!((1..20).contains(&stored), "{stored} of 20 files are stored");
    // Nobody has done anything about it, and it has passed.
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
