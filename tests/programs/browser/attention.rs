//! The title and the sound.

use serde_json::json;

use super::{Room, case};

/// Counts the notes that are played.
const EAR: &str = "window.notes = 0; window.AudioContext = class extends AudioContext { \
    createOscillator() { window.notes += 1; return super.createOscillator(); } };";

#[test]
fn the_title_counts_what_nobody_has_looked_at() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let plain = page.text("document.title");
    assert!(plain.contains("room.local"), "{plain}");
    peer.say("seen").ok();
    page.wait_for_message("seen");
    assert_eq!(page.text("document.title"), plain);
    page.js("document.hasFocus = () => false");
    peer.say("one").ok();
    peer.say("two").ok();
    page.wait_for("a count", &format!("document.title === {}", json!(format!("(2) {plain}"))));
    page.js("delete document.hasFocus; window.dispatchEvent(new Event('focus'))");
    page.wait_for("no count", &format!("document.title === {}", json!(plain)));
}

#[test]
fn a_sound_is_off_or_for_private_messages_or_for_all() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let page = room.page();
    page.before_it_runs(EAR);
    page.open();
    let uid = page.join("Ann");
    let sound = page.find("button", "Sound");
    let mut heard = 0.0;
    for (state, public, private) in
        [("off", false, false), ("private", false, true), ("all", true, true)]
    {
        assert_eq!(page.description(sound), state);
        for (to, is_heard) in [(None, public), (Some(uid), private)] {
            // At most one sound a second.
            page.js("new Promise(resolve => setTimeout(resolve, 1100))");
            let text = format!("{state} {to:?}");
            match to {
                None => peer.say(&text).ok(),
                Some(uid) => peer.say_to(uid, &text).ok(),
            };
            page.wait_for_message(&text);
            let notes = page.number("window.notes");
            assert_eq!(notes > heard, is_heard, "{text}");
            heard = notes;
        }
        page.click("button", "Sound");
        heard = heard.max(page.number("window.notes"));
    }
    page.click("button", "Sound");
    assert_eq!(page.description(sound), "private");
    page.open();
    let sound = "document.querySelector('#sound-state').textContent";
    assert_eq!(page.text(sound), "private", "it is not remembered");
}
