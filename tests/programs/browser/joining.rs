//! The dialog before the room.

use serde_json::json;

use super::{Room, case};

#[test]
fn a_nickname_is_asked_for_before_any_connection() {
    // The page opens no connection before the dialog is answered, and a session begins with query
    // (§2.3.1.2).
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("");
    let page = room.page();
    page.open();
    for (role, name) in [("textbox", "Nickname"), ("button", "Join"), ("button", "Skip")] {
        page.find(role, name);
    }
    let address = format!("http://room.local:{}/", room.address.port());
    let size = format!(
        "parseFloat(getComputedStyle([...document.querySelectorAll('dialog *')].find(e => \
         e.textContent === {})).fontSize)",
        json!(address)
    );
    assert!(page.number(&size) >= 20.0, "the address is not large");
    assert_eq!(page.js("window.sockets.length"), json!(0));
    assert_eq!(peer.uids(), [peer.uid]);

    let uid = page.join("Ann");
    assert_eq!(peer.query("names").ok().text(), format!("{}\n{uid} Ann\n", peer.uid));
    let first = page.text("window.sentBytes[0]");
    assert!(first.starts_with("Message-Type query\r\nMessage-ID 1\r\n"), "{first:?}");
    page.find("heading", "Who is here");
}

#[test]
fn the_nickname_is_remembered_and_can_be_skipped() {
    // The dialog comes filled in the next time; without a nickname one is in the room all the same.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("");
    let (page, uid) = room.member("Änn ☕");
    assert!(peer.query("names").ok().text().contains(&format!("{uid} Änn ☕\n")));
    page.open();
    let nickname = page.find("textbox", "Nickname");
    assert_eq!(page.of(nickname, "function () { return this.value; }"), json!("Änn ☕"));
    page.click("button", "Skip");
    page.wait_for_state("connected");
    peer.wait_until_gone(uid);
    let names = peer.query("names").ok();
    assert_eq!(names.text().lines().count(), 2, "{names:?}");
    assert!(!names.text().contains("nn"), "{names:?}");
}

#[test]
fn a_refused_nickname_is_asked_for_again() {
    // P4, nickname: at most 64 bytes; the reason is shown where another one can be typed.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("");
    let page = room.page();
    page.open();
    page.type_text(&"x".repeat(65));
    page.press("Enter");
    page.wait_for(
        "a reason",
        "/64/.test(document.querySelector('dialog [role=alert]').textContent)",
    );
    page.find("dialog", "Join");
    page.js("document.querySelector('dialog input').select()");
    page.type_text("Ann");
    page.click("button", "Join");
    page.wait_until_gone("dialog", "Join");
    page.wait_for_state("connected");
    page.wait_for(
        "the name",
        "/Ann/.test(document.querySelector('aside [role=list]').textContent)",
    );
    assert!(peer.query("names").ok().text().contains(" Ann\n"));
}

#[test]
fn the_enter_of_the_dialog_leaks_nowhere() {
    // Neither one that chooses a word of an input method, nor one that joins and is held down.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let page = room.page();
    page.open();
    page.call(
        "Input.imeSetComposition",
        json!({ "text": "にほ", "selectionStart": 2, "selectionEnd": 2 }),
    );
    page.press("Enter");
    assert_eq!(page.js("window.sockets.length"), json!(0), "it joined while composing");
    page.type_text("日本");
    let down = json!({
        "type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r",
    });
    page.call("Input.dispatchKeyEvent", down.clone());
    page.wait_for_state("connected");
    let mut again = down.clone();
    again["autoRepeat"] = json!(true);
    page.call("Input.dispatchKeyEvent", again.clone());
    again["type"] = json!("keyUp");
    page.call("Input.dispatchKeyEvent", again);
    assert_eq!(page.box_text(), "");
    page.say("first");
    page.wait_for_message("first");
    let said: Vec<_> = peer.sync().iter().map(|relay| relay.text().to_owned()).collect();
    assert_eq!(said, ["first"]);
}

#[test]
fn a_page_that_is_left_says_bye() {
    // §3.4.1: bye before the close. (The browser of this test sends it; one that does not has closed.)
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    peer.query("extended").ok();
    let (page, uid) = room.member("Ann");
    peer.sync();
    page.call("Page.navigate", json!({ "url": "about:blank" }));
    peer.wait_until_gone(uid);
    let left = peer.sync();
    let left = left.last().expect("a notice");
    assert_eq!(left.text(), "left: it said bye\n", "{left:?}");
}
