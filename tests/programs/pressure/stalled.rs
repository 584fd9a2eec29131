//! Readers that have stopped reading.

use std::thread;

use crate::common::{LONG_DEADLINE, Server, message};

use super::{expect_flood, flood, numbered};

#[test]
fn stalled_readers_are_cut_off_and_nobody_else_loses_anything() {
    // A reader that has stopped reading is disconnected when it has taken nothing for the stall
    // timeout; nobody else loses anything by it. Later senders are told why (§2.3.2.1).
    let mut server = Server::with(&["--stall-timeout", "0.5", "--queue-limit", "64k"]);
    let (mut sender, mut healthy) = (server.join(), server.join());
    let mut stalled: Vec<_> = (0..5).map(|_| server.join_with_small_buffer()).collect();
    thread::scope(|scope| {
        scope.spawn(|| expect_flood(&mut healthy, 0..400, 60_000));
        flood(&mut sender, 400, 60_000);
    });
    assert_eq!(healthy.uids(), [1, 2]);
    for peer in &mut stalled {
        let error = sender.say_to(peer.uid, "are you there?");
        assert!(
            error.reason().contains(&format!("client {} has left: it stopped reading", peer.uid)),
            "{error:?}"
        );
        let logged = server.log().wait_for(&format!("client {}: disconnected", peer.uid));
        assert!(logged.contains("WARN") && logged.ends_with("it stopped reading"), "{logged}");
        assert!(peer.read_to_any_end().len() < 400 * 60_000);
    }
}

#[test]
fn private_sender_is_told_that_its_receiver_stopped_reading() {
    // §2.3.4: "include the cause of delivery failure in the response message sent back to the
    // original message sender".
    let server = Server::with(&["--stall-timeout", "0.5", "--queue-limit", "64k"]);
    let (mut sender, _stalled) = (server.join(), server.join_with_small_buffer());
    let mut responses = (0..).map(|nth| sender.say_to(2, numbered(nth, 60_000)));
    let refused = responses.find(|response| response.field("Status") == "Error").unwrap();
    assert!(refused.reason().contains("it stopped reading"), "{refused:?}");
}

#[test]
fn reader_that_takes_nothing_is_cut_off_below_the_queue_limit_too_and_idle_ones_are_not() {
    // Taken nothing for the stall timeout, while something waits. Idle clients are welcome for
    // ever: nothing waits for them.
    let server = Server::with(&["--stall-timeout", "0.5"]);
    let (mut sender, _stalled, mut idle) =
        (server.join(), server.join_with_small_buffer(), server.join());
    let mut typing = server.join();
    typing.send("Message-Type chat\nMessage-ID 1\nContent-Len");
    let header = |nth| format!("Message-Type chat\nMessage-ID {nth}\nTo 2");
    let session: Vec<_> =
        (0..500).flat_map(|nth| message(&header(nth), numbered(nth, 1000))).collect();
    // Where the machine is slow, the last ones come too late.
    sender.send_while_reading(&session, 500);
    sender.wait_until_gone(2);
    assert!(sender.say_to(2, "hi").reason().contains("it stopped reading"));
    idle.expect_nothing();
    typing.send("gth 2\n\nhi");
    typing.response().ok();
    assert_eq!(idle.relay().text(), "hi");
}

#[test]
fn reader_that_takes_nothing_is_cut_off_though_the_kernel_alone_holds_what_it_was_sent() {
    // P5: "What counts as taken is what has left this host, not what the kernel buffers." 64 kB fit
    // into the kernel's buffer, and not into the one of this reader.
    let mut server = Server::with(&["--stall-timeout", "0.5"]);
    let (mut sender, stalled, mut other) =
        (server.join(), server.join_with_small_buffer(), server.join());
    sender.say_to(stalled.uid, numbered(0, 65_000)).ok();
    let logged = server.log().wait_for("client 2: disconnected");
    assert!(logged.contains("WARN") && logged.ends_with("it stopped reading"), "{logged}");
    assert!(sender.say_to(2, "hi").reason().contains("it stopped reading"));
    other.expect_nothing();
}

#[test]
fn client_that_does_not_read_its_own_responses_is_cut_off() {
    // Responses count as anything else that waits for a client: it is not read any more, and then
    // disconnected.
    let server = Server::with(&["--stall-timeout", "0.5", "--queue-limit", "64k"]);
    let (mut asker, mut other) = (server.join_with_small_buffer(), server.join());
    let queries = "Message-Type query\nMessage-ID 18446744073709551615\n\n".repeat(1000);
    while asker.try_send(&queries) {}
    other.deadline = LONG_DEADLINE;
    other.wait_until_gone(1);
    assert!(other.say_to(1, "hi").reason().contains("it stopped reading"));
    other.expect_nothing();
}

#[test]
fn client_that_talks_to_itself_without_reading_is_cut_off() {
    // One's own UID is a UID like any other, and one's own queue a queue like any other.
    let server = Server::with(&["--stall-timeout", "0.5", "--queue-limit", "64k"]);
    let (mut talker, mut other) = (server.join_with_small_buffer(), server.join());
    let note = message("Message-Type chat\nMessage-ID 1\nTo 1", numbered(0, 60_000));
    while talker.try_send(&note) {}
    other.deadline = LONG_DEADLINE;
    other.wait_until_gone(1);
    other.expect_nothing();
}
