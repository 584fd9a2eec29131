//! A connection that is lost, and comes back.

use serde_json::json;

use super::{Room, case};

/// The texts of the log's messages without what stands around them.
const TEXTS: &str =
    "[...document.querySelectorAll('[role=log] article .text')].map(t => t.textContent)";

#[test]
fn the_history_is_there_on_joining() {
    // What was said before one came, the oldest first, then what arrives; nothing twice.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    for number in 1..=5 {
        peer.say(format!("before {number}")).ok();
    }
    let (page, _) = room.member("Ann");
    peer.say("behind").ok();
    page.wait_for_message("behind");
    let texts = page.js(TEXTS);
    let before = ["before 1", "before 2", "before 3", "before 4", "before 5", "behind"];
    assert_eq!(texts, json!(before));
}

#[test]
fn what_was_missed_comes_once_and_in_order() {
    // The page connects again by itself, and asks for what is behind the last message that it has.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, uid) = room.member("Ann");
    peer.say("one").ok();
    page.wait_for_message("one");
    page.say("two");
    page.wait_for_message("two");
    page.cut();
    page.wait_for_state("reconnecting …");
    peer.wait_until_gone(uid);
    peer.say("three").ok();
    peer.say("four").ok();
    page.wait_for_state("connected");
    peer.say("five").ok();
    page.wait_for_message("five");
    assert_eq!(page.js(TEXTS), json!(["one", "two", "three", "four", "five"]));
    page.wait_for(
        "the name",
        "/Ann/.test(document.querySelector('aside [role=list]').textContent)",
    );
}

#[test]
fn what_was_not_confirmed_can_be_sent_again() {
    // A text whose response is lost stays, marked. Where the room does not have it, it is offered again.
    let Some(mut room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    page.js("window.sockets.at(-1).send = () => {}");
    page.say("lost on the way");
    page.cut();
    page.wait_for_state("reconnecting …");
    page.say("said without a connection");
    page.wait_for_state("connected");
    assert_eq!(page.count_of("lost"), 0);
    let again = page.all("button", "Send again");
    assert_eq!(again.len(), 2);
    page.of(again[0], "function () { this.click(); }");
    page.wait_for_message("lost on the way");
    page.click("button", "Send again");
    page.wait_for_message("said without a connection");
    page.wait_until_gone("button", "Send again");
    assert_eq!(page.messages().len(), 2);
    room.kill();
    page.wait_for_state("reconnecting …");
}

#[test]
fn what_the_history_has_is_not_sent_again() {
    // The response was lost, the message was not: it is in the log once, as one's own.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, uid) = room.member("Ann");
    page.js("window.keptBack = []");
    page.say("did it arrive?");
    assert_eq!(peer.relay().text(), "did it arrive?");
    page.cut();
    page.wait_for_state("reconnecting …");
    peer.wait_until_gone(uid);
    page.js("window.keptBack = null");
    page.wait_for_state("connected");
    page.wait_for_message("did it arrive?");
    assert_eq!(page.count_of("did it arrive?"), 1);
    assert!(page.all("button", "Send again").is_empty());
    assert_eq!(page.js("document.querySelectorAll('article.own').length"), json!(1));
}

#[test]
fn a_server_that_was_started_again_begins_anew() {
    // UIDs begin anew (§2.3.1.2): the page goes back to all, says so, and offers no private text.
    let Some(mut room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let mut share = room.peer("Eve");
    share.share("png", "not there for long").ok();
    page.find("button", "Save 1.png");
    page.click("button", &format!("Tom {}", peer.uid));
    page.js("window.sockets.at(-1).send = () => {}");
    page.say("for Tom alone");
    page.type_text("begun for Tom alone");
    page.find("button", "Back to all");
    assert!(!peer.sync().iter().any(|relay| relay.has("To")));
    room.kill();
    page.wait_for_state("reconnecting …");
    room.start_again();
    page.js("window.dispatchEvent(new Event('online'))");
    page.wait_for_state("connected");
    page.wait_until_gone("button", "Back to all");
    page.wait_for(
        "words",
        "/started again/.test(document.querySelector('[role=log]').textContent)",
    );
    assert_eq!(page.box_text(), "");
    assert!(page.all("button", "Send again").is_empty());
    let kept = page.text("document.querySelector('#unsent').textContent");
    assert!(kept.contains("for Tom alone") && kept.contains("begun for Tom alone"), "{kept}");
    let save = page.find("button", "Save 1.png");
    assert_eq!(page.of(save, "function () { return this.disabled; }"), json!(true));

    // The order of messages begins anew as well.
    let mut peer = room.peer("Zoe");
    peer.say("hello again").ok();
    page.wait_for_message("hello again");
    let last = page.messages().pop().expect("messages");
    assert!(last.contains("hello again"), "{last}");
}

#[test]
fn it_connects_at_once_when_the_network_is_back() {
    // The wait grows to 30 s; the page does not wait where the browser says that it is online.
    let Some(mut room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    room.kill();
    page.wait_for_state("reconnecting …");
    page.wait_for("tries", "window.sockets.length >= 3");
    room.start_again();
    page.js("window.dispatchEvent(new Event('online'))");
    page.wait_for_state("connected");
}

#[test]
fn a_full_room_is_told_from_a_lost_connection() {
    // A browser is not told why it gets no WebSocket: the page asks.
    let Some(room) = Room::with(case!(), &["--max-clients", "3"]) else { return };
    let page = room.page();
    page.open();
    let peers: Vec<_> = ["A", "B", "C"].map(|nickname| room.peer(nickname)).into();
    page.type_text("Ann");
    page.press("Enter");
    page.wait_for_state("reconnecting … (the room is full)");
    drop(peers);
    page.js("window.dispatchEvent(new Event('online'))");
    page.wait_for_state("connected");
}

#[test]
fn who_is_removed_is_told_why_and_asked_whether_to_come_back() {
    // The operator's own word, an error that answers no message (P2), and the end of the connection.
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let word = "Status Error\r\nMessage-Type unknown\r\nMessage-ID 0\r\nContent-Type text\r\n\
                Content-Length 44\r\n\r\nthe operator has removed you: <b>enough</b>\n";
    page.js(&format!("handIn(sockets.at(-1), new TextEncoder().encode({}).buffer)", json!(word)));
    page.cut();
    page.find("dialog", "Join");
    let reason = "document.querySelector('dialog [role=alert]').textContent";
    page.wait_for(
        "the reason",
        &format!("{reason} === 'the operator has removed you: <b>enough</b>'"),
    );
    page.wait_for_state("not connected");
    page.click("button", "Join");
    page.wait_for_state("connected");
    page.wait_for(
        "the name",
        "/Ann/.test(document.querySelector('aside [role=list]').textContent)",
    );
}
