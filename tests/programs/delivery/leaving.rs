//! How clients leave, and what is told to those who write to them afterwards (§2.3.2.1, §2.3.4).

use std::time::Instant;

use crate::common::{DEADLINE, Peer, Server, chat, ok_response};

/// Lets client 2 leave in some way, and gives the reason for which a text to it is refused.
#[track_caller]
fn reason_after(leave: impl FnOnce(Peer)) -> String {
    let server = Server::start();
    let (mut sender, leaver) = (server.join(), server.join());
    leave(leaver);
    sender.wait_until_gone(2);
    sender.expect_nothing();
    let error = sender.say_to(2, "are you there?");
    assert!(error.reason().contains("client 2 has left"), "{error:?}");
    error.reason().to_owned()
}

#[test]
fn text_to_one_who_closed_is_refused_with_that_cause() {
    // §2.3.4: a client that "ends the session without issuing a "bye"" has left at once: its
    // connection is being read.
    let reason = reason_after(drop);
    assert!(reason.contains("it closed the connection"), "{reason}");
}

#[test]
fn text_to_one_whose_connection_is_just_reset_is_refused_whoever_notices_first() {
    // §2.3.4: "server shall detect the closed connection when attempting to relay message" and
    // "include the cause of delivery failure in the response message sent back to the original
    // message sender".
    let server = Server::start();
    let mut sender = server.join();
    for _ in 0..50 {
        let leaver = server.join();
        let uid = leaver.uid;
        leaver.reset();
        // A busy system may hold the reset back for a moment, and takes a text for the connection until then.
        let until = Instant::now() + DEADLINE;
        let error = loop {
            let told = sender.say_to(uid, "are you there?");
            if told.field("Status") == "Error" {
                break told;
            }
            assert!(Instant::now() < until, "still Ok after {DEADLINE:?}");
        };
        assert!(error.reason().contains("the connection was reset"), "{error:?}");
        assert_eq!(sender.uids(), [1]);
    }
}

#[test]
fn public_text_that_reaches_some_is_ok_though_another_is_just_reset() {
    // §2.3.4, for a public message: Ok since it reached others; the cause is in the body if the
    // relay found it out.
    let server = Server::start();
    let (mut sender, mut stayer) = (server.join(), server.join());
    for round in 0..50 {
        server.join().reset();
        let response = sender.say(format!("text {round}")).ok();
        assert!(
            response.body.is_empty() || response.text().contains("the connection was reset"),
            "{response:?}"
        );
        assert_eq!(stayer.relay().text(), format!("text {round}"));
    }
}

#[test]
fn one_who_left_gets_no_public_text_and_is_not_listed() {
    // §2.3.2.2: "relayed to any other active clients".
    let server = Server::start();
    let (mut sender, leaver, mut stayer) = (server.join(), server.join(), server.join());
    leaver.bye();
    sender.wait_until_gone(2);
    sender.send(chat(1, "who is here?"));
    sender.expect(ok_response("chat", 1, ""));
    assert_eq!(stayer.relay().text(), "who is here?");
    assert_eq!(stayer.uids(), [1, 3]);
}

#[test]
fn cause_stays_known_while_others_come_and_go() {
    // How clients left is remembered.
    let server = Server::start();
    let mut sender = server.join();
    server.join().bye();
    sender.wait_until_gone(2);
    for uid in 3..200 {
        let client = server.join();
        assert_eq!(client.uid, uid);
        client.leave();
    }
    sender.wait_until_gone(199);
    assert!(sender.say_to(2, "hi").reason().contains("it said bye"));
    assert!(sender.say_to(199, "hi").reason().contains("it closed the connection"));
    assert!(sender.say_to(200, "hi").reason().contains("no client 200 has connected"));
}

#[test]
fn what_was_sent_whole_before_a_reset_is_relayed() {
    // What a client sent whole before its connection broke counts, though its response may reach
    // nobody.
    let server = Server::start();
    let mut receiver = server.join();
    for round in 0..20 {
        let mut sender = server.connect();
        let texts = (0..10).flat_map(|nth| chat(nth, format!("text {round} {nth}")));
        sender.send(texts.collect::<Vec<_>>());
        sender.send("Message-Type chat\nMessage-ID 10\nContent-Length 10\n\nhalf");
        sender.reset();
        for nth in 0..10 {
            assert_eq!(receiver.relay().text(), format!("text {round} {nth}"));
        }
    }
    while receiver.uids() != [1] {}
    receiver.expect_nothing();
}

#[test]
fn bye_and_close_at_once_counts_as_bye() {
    // §2.3.4: "client must send a "bye" message before closing the socket", and need not wait for
    // the server.
    let reason = reason_after(|mut leaver| leaver.send("Message-Type bye\nMessage-ID 1\n\n"));
    assert!(reason.contains("it said bye"), "{reason}");
}

#[test]
fn queued_relays_still_reach_one_who_says_bye() {
    // What is queued for a client that says bye is still written, then the connection is closed.
    let server = Server::start();
    let (mut sender, mut leaver) = (server.join(), server.join_with_small_buffer());
    let text = "x".repeat(1000);
    let session: Vec<_> = (0..300).flat_map(|message_id| chat(message_id, &text)).collect();
    sender.send_while_reading(&session, 300);
    leaver.send("Message-Type bye\nMessage-ID 1\n\n");
    let came = leaver.messages_to_end();
    assert_eq!(came.len(), 300);
    assert!(came.iter().all(|relay| relay.text() == text));
}
