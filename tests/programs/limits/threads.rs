//! Threads: none left for newcomers and for files on their way.

use std::time::Duration;

use super::{errors, is_root, said, started_as_other_user};
use crate::common::{message, pattern};

#[test]
fn newcomers_are_refused_and_nobody_harmed_when_there_are_no_threads_left() {
    // Out of threads: the newcomer is refused, a line in the log, no panic, nobody else harmed.
    if !is_root() {
        eprintln!("skipped: only root can start the server as a user with few threads");
        return;
    }
    let mut server = started_as_other_user(0, "ulimit -u 20");
    let mut admitted = Vec::new();
    let mut refused = 0;
    for _ in 0..30 {
        let mut peer = server.connect();
        // One that is refused may be closed before its request has come.
        peer.try_send(message("Message-Type query\nMessage-ID 1", "self"));
        match peer.response() {
            answer if answer.field("Status") == "Ok" => admitted.push(peer),
            answer => {
                assert!(answer.reason().starts_with("the server has no room"), "{answer:?}");
                refused += 1;
            }
        }
    }
    assert!(admitted.len() > 5 && refused > 5, "{} admitted", admitted.len());
    assert!(server.log().wait_for("cannot start a thread").contains("ERROR"));
    // A fetch is written by a thread of its own; without one it has to wait its turn, and one that
    // does not read takes nobody else's.
    let content = pattern(1, 1 << 20);
    let id = admitted[0].share("bin", &content).ok().number("File-ID");
    let mut stalled = Vec::from_iter(admitted.pop());
    for peer in &mut stalled {
        // More than all buffers on the way hold.
        (0..20)
            .for_each(|_| peer.send(message("Message-Type fetch\nMessage-ID 1", id.to_string())));
        assert!(peer.read_some(1000));
    }
    for peer in &mut admitted {
        peer.deadline = Duration::from_secs(5);
        assert_eq!(peer.fetch(id).ok().body, content);
    }
    admitted.truncate(1);
    while admitted[0].uids().len() > 1 {}
    assert_eq!(server.join().uids().len(), 2);
    // Each of the two is said once, however many were refused or had to wait.
    let log = server.stop();
    assert_eq!(said(&log, "cannot start a thread"), 1, "{log:#?}");
    assert_eq!(said(&log, "no thread left to write"), 1, "{log:#?}");
    assert_eq!(errors(&log), 2, "{log:#?}");
}
