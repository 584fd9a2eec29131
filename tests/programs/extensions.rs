//! What goes beyond the draft, for clients that ask for it: `features`, the extended form, notices,
//! the history and names of files. `E` numbers are the sections that README's table stands for.

mod features;
mod file_name;
mod history;
mod notices;
mod order;

use crate::common::{Peer, Server, ServerMessage, chat, ok_response};

/// A client in the extended form.
#[track_caller]
fn join_extended(server: &Server) -> Peer {
    let mut peer = server.join();
    assert_eq!(peer.query("extended").ok().text(), "extended\n");
    peer
}

/// The names of a message's fields, in order.
fn field_names(message: &ServerMessage) -> Vec<&str> {
    message.fields.iter().map(|(name, _)| name.as_str()).collect()
}

/// Expects a moment as the server writes them: `2026-11-26T09:41:00.123Z`.
#[track_caller]
fn expect_time(time: &str) {
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
}

/// The messages that stand one behind the other in an answer.
#[track_caller]
fn messages(answer: &[u8]) -> Vec<ServerMessage> {
    let mut rest = answer;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (message, len) = ServerMessage::parse(rest).expect("messages").expect("whole ones");
        messages.push(message);
        rest = &rest[len..];
    }
    messages
}

#[test]
fn extended_relay_has_its_fields_in_order() {
    // E2: a public one has `Sequence` and `Time`, a private one `Time` alone.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    tom.say("nameless").ok();
    let relay = ann.relay();
    let rest = ["Content-Type", "Content-Length"];
    assert_eq!(
        field_names(&relay),
        [["Message-Type", "From"], ["Sequence", "Time"], rest].concat()
    );
    tom.set_nickname("Tom").ok();
    assert_eq!(ann.relay().field("Message-Type"), "notice");
    tom.say("How are you?").ok();
    tom.say_to(ann.uid, "And you?").ok();
    let public = ann.relay();
    let from = ["Message-Type", "From", "Sender-Nickname"];
    assert_eq!(field_names(&public), [&from[..], &["Sequence", "Time"], &rest].concat());
    assert_eq!((public.field("From"), public.field("Sender-Nickname")), ("1", "Tom"));
    assert_eq!((public.number("Sequence"), public.text()), (2, "How are you?"));
    expect_time(public.field("Time"));
    let private = ann.relay();
    let from = ["Message-Type", "To", "From", "Sender-Nickname"];
    assert_eq!(field_names(&private), [&from[..], &["Time"], &rest].concat());
    assert_eq!((private.field("To"), private.text()), ("2", "And you?"));
    assert!(public.field("Time") <= private.field("Time"));
}

#[test]
fn extended_form_begins_behind_the_response_and_not_before() {
    // E2: of every relay that comes behind the response, and of none before it. All in one piece,
    // so that both forms are in one batch.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), server.join());
    for _ in 0..50 {
        tom.send([chat(1, "one"), chat(2, "two")].concat());
        ann.send("Message-Type query\nMessage-ID 7\nContent-Length 8\n\nextended");
        tom.send([chat(3, "three"), chat(4, "four")].concat());
        let mut is_behind = false;
        for _ in 0..5 {
            let message = ann.read_message();
            if message.is_response() {
                assert_eq!(message.ok().text(), "extended\n");
                is_behind = true;
            } else {
                assert_eq!(message.has("Sequence"), is_behind, "{message:?}");
                assert_eq!(message.has("Time"), is_behind, "{message:?}");
            }
        }
        (1..=4).for_each(|id| assert_eq!(tom.response().ok().number("Message-ID"), id));
        ann = server.join();
    }
}

#[test]
fn extended_again_is_answered_again_and_changes_nothing() {
    // E2: to its own messages a client in the extended form gets the response alone, as ever.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    ann.send("Message-Type query\nMessage-ID 7\nContent-Length 12\n\n \textended \n");
    ann.expect(ok_response("query", 7, "extended\n"));
    tom.say("once").ok();
    assert_eq!(ann.relay().number("Sequence"), 1);
    ann.send(chat(8, "own"));
    ann.expect(ok_response("chat", 8, ""));
    ann.expect_nothing();
    assert!(!tom.relay().has("Sequence"));
    tom.expect_nothing();
}

#[test]
fn sequence_counts_public_messages_whatever_they_are_and_whoever_hears_them() {
    // E2: 1, 2, 3 … without a gap, texts and files alike; private ones and refused ones are not
    // counted.
    let server = Server::start();
    let mut tom = server.join();
    tom.say("heard by nobody").ok();
    let mut ann = join_extended(&server);
    tom.share("txt", "file").ok();
    tom.say_to(ann.uid, "private").ok();
    tom.share_to(ann.uid, "txt", "private").ok();
    tom.say("\u{1b}").reason();
    tom.say_to(99, "nobody").reason();
    tom.set_nickname("Tom").ok();
    tom.say("text").ok();
    let came = ann.sync();
    let counted = came.iter().filter(|relay| relay.has("Sequence"));
    let numbers: Vec<_> = counted.map(|relay| relay.number("Sequence")).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(came.len(), 5, "{came:?}");
}

#[test]
fn plain_clients_see_what_they_always_saw() {
    // The rule for all of it: nothing new goes to a connection that did not ask.
    let server = Server::start();
    let (mut tom, mut ann, mut bob) = (server.join(), join_extended(&server), server.join());
    ann.set_nickname("Ann").ok();
    ann.set_nickname("Anne").ok();
    ann.send(chat(9, "hello"));
    let header = "Message-Type chat\r\nFrom 2\r\nSender-Nickname Anne\r\n";
    let text = format!("{header}Content-Type text\r\nContent-Length 5\r\n\r\nhello");
    bob.expect(&text);
    tom.expect(&text);
    let share = "Message-Type chat\nMessage-ID 1\nFile-Name holiday plan.pdf\nContent-Type pdf";
    ann.send(crate::common::message(share, "content"));
    let file = format!("{header}File-ID 1\r\nContent-Type pdf\r\nContent-Length 7\r\n\r\n");
    bob.expect(&file);
    tom.expect(&file);
    bob.send("Message-Type fetch\nMessage-ID 3\nContent-Length 1\n\n1");
    bob.expect(
        "Status Ok\r\nMessage-Type fetch\r\nMessage-ID 3\r\n\
         Content-Type pdf\r\nContent-Length 7\r\n\r\ncontent",
    );
    bob.send("Message-Type query\nMessage-ID 4\nContent-Length 5\n\nfiles");
    bob.expect(ok_response("query", 4, "1 pdf 7 2\n"));
    ann.send("Message-Type bye\nMessage-ID 5\n\n");
    ann.messages_to_end();
    tom.expect_nothing();
    bob.expect_nothing();
}
