//! The message box.

use serde_json::json;

use super::{Room, case};

#[test]
fn enter_sends_and_shift_enter_breaks_the_line() {
    // §2.3.2.2: a public message reaches every other client; it appears once where it was said.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, uid) = room.member("Ann");
    for letter in ["h", "i"] {
        page.press(letter);
    }
    page.press_with("Enter", 8);
    page.type_text("  you <b>\u{1f600}");
    assert_eq!(page.box_text(), "hi\n  you <b>\u{1f600}");
    page.press("Enter");
    page.wait_for_message("hi\n  you <b>\u{1f600}");
    assert_eq!(page.box_text(), "");
    let relay = peer.relay();
    assert_eq!(relay.text(), "hi\n  you <b>\u{1f600}");
    assert_eq!(relay.number("From"), uid);
    let messages = page.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("Ann") && messages[0].contains(&uid.to_string()), "{messages:?}");

    // Nothing but white space is nothing; the button says what the key says.
    page.say("  ");
    page.js("document.querySelector('textarea').value = ''");
    page.type_text("by button");
    page.click("button", "Send");
    page.wait_for_message("by button");
    assert_eq!(peer.relay().text(), "by button");
}

#[test]
fn an_enter_of_an_input_method_sends_nothing() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let composed = json!({ "text": "にほん", "selectionStart": 3, "selectionEnd": 3 });
    page.call("Input.imeSetComposition", composed);
    page.press("Enter");
    assert_eq!(page.messages().len(), 0);
    page.type_text("日本");
    page.press("Enter");
    page.wait_for_message("日本");
    assert_eq!(peer.relay().text(), "日本");
    peer.expect_nothing();
}

#[test]
fn what_one_says_appears_where_the_room_has_it() {
    // When its response arrives (§3.1.3), and in the room's one order of public messages (P5).
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    page.js("window.keptBack = []");
    page.say("mine");
    peer.relay();
    page.wait_for("a mark", "/mine/.test(document.querySelector('#unsent').textContent)");
    assert_eq!(page.count_of("mine"), 0, "it is in the log before its response");
    peer.say("theirs").ok();
    page.wait_for(
        "both",
        "window.keptBack.map(k => k[1].byteLength).reduce((a, b) => a + b) > 200",
    );
    page.js("window.letGo()");
    page.wait_for_message("mine");
    page.wait_for_message("theirs");
    let messages = page.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("mine") && messages[1].contains("theirs"), "{messages:?}");
    page.wait_for("no mark", "document.querySelector('#unsent').childElementCount === 0");
}

#[test]
fn ones_own_message_takes_its_place_behind_a_later_relay_too() {
    // Sequence has no gaps but those of one's own messages: what fills one stands before what follows.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    peer.say("one").ok();
    page.wait_for_message("one");
    page.js("window.keptBack = []");
    page.say("two");
    peer.relay();
    let three = "Message-Type chat\r\nFrom 1\r\nSender-Nickname Tom\r\nSequence 3\r\nTime \
                 2026-11-26T09:41:00.123Z\r\nContent-Type text\r\nContent-Length 5\r\n\r\nthree";
    page.js(&format!("handIn(sockets.at(-1), new TextEncoder().encode({}).buffer)", json!(three)));
    page.wait_for_message("three");
    page.wait_for("the response", "window.keptBack.length > 0");
    page.js("window.letGo()");
    page.wait_for_message("two");
    let order: Vec<_> = page
        .messages()
        .iter()
        .map(|message| ["one", "two", "three"].into_iter().find(|text| message.contains(text)))
        .collect();
    assert_eq!(order, [Some("one"), Some("two"), Some("three")]);
}

#[test]
fn a_command_of_the_terminal_is_not_said_to_all() {
    // Somebody who has read of `/msg` takes it for private.
    let Some(room) = Room::with(case!(), &[]) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    for command in ["/msg 7 psst", " /who"] {
        page.js("document.querySelector('textarea').value = ''");
        page.say(command);
        page.wait_for("why", "/terminal/.test(document.querySelector('[role=alert]').textContent)");
        assert_eq!(page.box_text(), command);
    }
    page.js("document.querySelector('textarea').value = ''");
    page.say("//msg 7 is a command");
    assert_eq!(peer.relay().text(), "/msg 7 is a command");
    page.say("/etc/hosts is a file");
    assert_eq!(peer.relay().text(), "/etc/hosts is a file");
}

#[test]
fn a_refused_text_stays_with_its_reason() {
    // §2.3.2.1: Status Error and why; what was typed is not lost.
    let Some(room) = Room::with(case!(), &["--max-text", "1000"]) else { return };
    let (page, _) = room.member("Ann");
    let text = "ä".repeat(501);
    page.say(&text);
    page.wait_for(
        "a reason",
        "/1002.*1000/.test(document.querySelector('[role=alert]').textContent)",
    );
    assert_eq!(page.box_text(), text);
    page.js("document.querySelector('textarea').select()");
    page.say("\u{7}bell");
    page.wait_for("a reason", "document.querySelector('[role=alert]').textContent !== ''");
    page.wait_for("the text", "document.querySelector('textarea').value === '\\u0007bell'");
    assert_eq!(page.messages().len(), 0);
}
