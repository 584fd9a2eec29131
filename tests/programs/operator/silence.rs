//! `mute` and `hush`.

use super::Room;
use crate::common::{chat, message};

const MUTED: &str = "the operator has muted you";
const HUSHED: &str = "the operator has the floor";

#[test]
fn a_muted_client_is_refused_every_chat_and_nothing_else() {
    // `mute UID`: "every chat of that client is refused …; it still reads, queries and fetches".
    let room = Room::start();
    let (mut muted, mut other) = (room.server.join(), room.server.join());
    other.share("txt", "for all").ok();
    let mut operator = room.operator();
    operator.ok("mute 1");
    operator.ok("mute 1");
    assert_eq!(muted.say("hello").reason(), MUTED);
    assert_eq!(muted.say_to(2, "psst").reason(), MUTED);
    assert_eq!(muted.say_to(1, "to myself").reason(), MUTED);
    assert_eq!(muted.say_to(99, "nobody").reason(), MUTED);
    assert_eq!(muted.share("txt", "mine").reason(), MUTED);
    assert_eq!(muted.share_to(2, "txt", "mine").reason(), MUTED);
    other.expect_nothing();
    assert_eq!(muted.uids(), [1, 2]);
    assert_eq!(muted.fetch(1).ok().text(), "for all");
    muted.set_nickname("Tom").ok();
    other.say("you hear this").ok();
    other.say_to(1, "and this").ok();
    let texts: Vec<_> = muted.sync().iter().map(|relay| relay.text().to_owned()).collect();
    assert_eq!(texts, ["", "you hear this", "and this"]);
    operator.ok("unmute 1");
    operator.ok("unmute 1");
    muted.say("hello again").ok();
    assert_eq!(other.relay().text(), "hello again");
}

#[test]
fn a_muted_client_goes_on_behind_the_bodies_of_what_was_refused() {
    // P2: the session goes on, with as many responses as messages.
    let room = Room::with(&["--max-file", "1M"]);
    let (mut muted, mut other) = (room.server.join(), room.server.join());
    room.operator().ok("mute 1");
    let file = message("Message-Type chat\nMessage-ID 2\nContent-Type bin", vec![7; 900_000]);
    let query = b"Message-Type query\nMessage-ID 4\nContent-Length 4\n\nself";
    muted.send([&chat(1, "x".repeat(60_000))[..], &file, &chat(3, "hi"), query].concat());
    for id in 1..4 {
        let refused = muted.response();
        assert_eq!((refused.number("Message-ID"), refused.reason()), (id, MUTED));
    }
    assert_eq!(muted.response().ok().text(), "1\n");
    other.expect_nothing();
    assert_eq!(other.query("files").ok().text(), "");
}

#[test]
fn files_of_a_muted_client_do_not_push_out_those_of_others() {
    let room = Room::with(&["--stage-limit", "10"]);
    let (mut muted, mut other) = (room.server.join(), room.server.join());
    other.share("txt", "12345678").ok();
    // Muted when its file has begun to arrive already.
    muted.send("Message-Type chat\nMessage-ID 7\nContent-Type txt\nContent-Length 8\n\n1234");
    room.operator().ok("mute 1");
    muted.send("5678");
    assert_eq!(muted.response().reason(), MUTED);
    assert_eq!(other.fetch(1).ok().text(), "12345678");
}

#[test]
fn one_message_that_is_half_here_is_refused_too() {
    // Behind the `ok` nothing of a muted client is relayed.
    let room = Room::start();
    let (mut muted, mut other) = (room.server.join(), room.server.join());
    muted.send("Message-Type chat\nMessage-ID 7\nContent-Length 4\n\nhe");
    room.operator().ok("mute 1");
    muted.send("y!");
    assert_eq!(muted.response().reason(), MUTED);
    other.expect_nothing();
}

#[test]
fn under_hush_only_what_is_public_is_refused_and_the_operator_goes_on() {
    // `hush`: "every public chat of everybody is refused …; private ones go on"; "`say` goes on
    // under `hush`".
    let room = Room::start();
    let (mut one, mut other) = (room.server.join(), room.server.join());
    let mut operator = room.operator();
    operator.ok("hush");
    assert_eq!(one.say("hello").reason(), HUSHED);
    assert_eq!(other.share("txt", "mine").reason(), HUSHED);
    let mut newcomer = room.server.join();
    assert_eq!(newcomer.say("hello").reason(), HUSHED);
    one.say_to(2, "psst").ok();
    assert_eq!(other.relay().text(), "psst");
    let id = one.share_to(2, "txt", "for you").ok().number("File-ID");
    assert_eq!(other.relay().number("File-ID"), id);
    assert_eq!(other.fetch(id).ok().text(), "for you");
    operator.ok("say listen");
    for peer in [&mut one, &mut other, &mut newcomer] {
        assert_eq!(peer.relay().text(), "listen");
    }
    operator.ok("hush");
    operator.ok("unhush");
    one.say("hello").ok();
    assert_eq!(other.relay().text(), "hello");
}

#[test]
fn a_muted_client_stays_muted_when_everybody_may_speak_again() {
    let room = Room::start();
    let mut muted = room.server.join();
    let mut operator = room.operator();
    for command in ["mute 1", "hush", "unhush"] {
        operator.ok(command);
    }
    assert_eq!(muted.say("hello").reason(), MUTED);
}
