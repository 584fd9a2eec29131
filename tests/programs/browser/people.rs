//! Who is here, and talking to one alone.

use serde_json::json;

use super::{Room, case};

const NOTES: &str = "[...document.querySelectorAll('[role=log] .note')].map(n => n.textContent)";

#[test]
fn who_comes_and_goes_is_told_in_small_print() {
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let mut peer = room.peer("Tom");
    let uid = peer.uid;
    page.find("button", &format!("Tom {uid}"));
    peer.set_nickname("Thomas").ok();
    page.find("button", &format!("Thomas {uid}"));
    page.wait_for("the count", "document.querySelector('#count').textContent === '2'");
    peer.bye();
    page.wait_until_gone("button", &format!("Thomas {uid}"));
    page.wait_for("the count", "document.querySelector('#count').textContent === '1'");
    let last = format!(
        "{NOTES}.join('|').includes('Tom {uid} joined|Tom {uid} is now Thomas|Thomas {uid} left: it said bye')"
    );
    page.wait_for("the notices", &last);
    let size = "parseFloat(getComputedStyle(document.querySelector('.note:not(#empty)')).fontSize)";
    assert!(page.number(size) < 14.0);
}

#[test]
fn who_has_no_nickname_is_in_the_list_as_well() {
    // Nobody is told of a client without a nickname: the page looks from time to time.
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let peer = room.peer("");
    let uid = peer.uid;
    page.find("button", &format!("Unnamed {uid}"));
    peer.bye();
    page.wait_until_gone("button", &format!("Unnamed {uid}"));
}

#[test]
fn a_click_talks_to_one_alone_until_one_goes_back() {
    // §2.3.2.1: a private message reaches that one alone; colour and words say so.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let mut other = room.peer("Eve");
    let (page, uid) = room.member("Ann");
    let colour = "getComputedStyle(document.querySelector('form#composer')).backgroundColor";
    let public = page.text(colour);
    page.type_text("typed before");
    page.click("button", &format!("Tom {}", peer.uid));
    let message = page.find("textbox", "Message");
    assert!(page.description(message).contains(&format!("Only Tom {}", peer.uid)));
    assert_ne!(page.text(colour), public, "the colour does not tell");
    page.press("Enter");
    page.wait_for_message("typed before");
    let relay = peer.relay();
    assert_eq!((relay.number("To"), relay.text()), (peer.uid, "typed before"));
    let own = page.messages().pop().expect("a message");
    assert!(own.contains(&format!("to Tom {} alone", peer.uid)), "{own}");

    // What was begun for one alone stays with that one.
    page.type_text("a secret");
    page.press("Escape");
    page.wait_until_gone("button", "Back to all");
    assert_eq!(page.box_text(), "");
    assert_eq!(page.text(colour), public);
    page.say("for all");
    assert_eq!(peer.relay().text(), "for all");
    assert_eq!(other.relay().text(), "for all");
    page.click("button", &format!("Tom {}", peer.uid));
    assert_eq!(page.box_text(), "a secret");
    page.click("button", "Back to all");
    page.wait_until_gone("button", "Back to all");
    other.expect_nothing();

    // One is answered where one is asked.
    peer.say_to(uid, "and you?").ok();
    page.wait_for_message("and you?");
    let asked = page.messages().pop().expect("a message");
    assert!(asked.contains("to you alone"), "{asked}");
    page.click("button", "Answer");
    page.find("button", "Back to all");
}

#[test]
fn where_that_one_leaves_nothing_is_said_to_all() {
    // §2.3.2.1: Status Error and why; the page stays with the one talked to.
    let Some(room) = Room::open(case!()) else { return };
    let peer = room.peer("Tom");
    let mut other = room.peer("Eve");
    let (page, _) = room.member("Ann");
    page.click("button", &format!("Tom {}", peer.uid));
    let uid = peer.uid;
    peer.bye();
    page.wait_until_gone("button", &format!("Tom {uid}"));
    page.say("still there?");
    page.wait_for(
        "a reason",
        "/said bye/.test(document.querySelector('[role=alert]').textContent)",
    );
    assert_eq!(page.box_text(), "still there?");
    page.find("button", "Back to all");
    assert_eq!(page.messages().len(), 0);
    other.expect_nothing();
}

#[test]
fn a_message_to_oneself_is_there_once() {
    // P4, chat: one's own UID is a UID like any other.
    let Some(room) = Room::open(case!()) else { return };
    let (page, uid) = room.member("Ann");
    let own = page.js("[...document.querySelectorAll('aside [role=list] button')].length");
    assert_eq!(own, json!(1));
    page.js("document.querySelector('aside [role=list] button').click()");
    page.say("a note to myself");
    page.wait_for_message("a note to myself");
    page.say("another");
    page.wait_for_message("another");
    assert_eq!(page.count_of("a note to myself"), 1);
    assert!(page.messages()[0].contains(&format!("to Ann {uid} alone")));
}
