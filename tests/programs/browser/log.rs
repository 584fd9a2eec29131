//! What was said, on the screen.

use std::fmt::Write;

use serde_json::json;

use super::{Room, case};

const AT_END: &str = "(l => l.scrollHeight - l.scrollTop - l.clientHeight < 2)(document.querySelector('[role=log]'))";

#[test]
fn scrolling_up_stops_the_scrolling() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    for number in 0..40 {
        peer.say(format!("line {number}")).ok();
    }
    page.wait_for_message("line 39");
    page.wait_for("the end", AT_END);
    let wheel = json!({ "type": "mouseWheel", "x": 300, "y": 300, "deltaX": 0, "deltaY": -900 });
    page.call("Input.dispatchMouseEvent", wheel);
    page.wait_for("no end", &format!("!{AT_END}"));
    page.wait_for("a rest", "new Promise(r => setTimeout(() => r(true), 300))");
    let top = page.number("document.querySelector('[role=log]').scrollTop");
    for number in 0..3 {
        peer.say(format!("news {number}")).ok();
    }
    page.find("button", "3 new");
    assert_eq!(page.number("document.querySelector('[role=log]').scrollTop"), top);
    page.click("button", "3 new");
    page.wait_for("the end", AT_END);
    page.wait_until_gone("button", "3 new");
    peer.say("followed again").ok();
    page.wait_for_message("followed again");
    page.wait_for("the end", AT_END);
}

#[test]
fn the_log_holds_the_last_messages_and_notices() {
    // 2,000 messages and 500 notices; what is older is removed.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let mut other = room.peer("Eve");
    for number in 0..510 {
        other.set_nickname(format!("Eve {number}")).ok();
    }
    for number in 0..2100 {
        peer.say(format!("number {number}.")).ok();
    }
    page.wait_for_message("number 2099.");
    assert_eq!(page.messages().len(), 2000);
    assert_eq!((page.count_of("number 99."), page.count_of("number 100.")), (0, 1));
    let notices = page.number("document.querySelectorAll('[role=log] .note:not(#empty)').length");
    assert_eq!(notices, 500.0);
}

#[test]
fn texts_are_shown_as_they_are() {
    // White space is kept, U+FEFF as well; each text finds its own direction; a name keeps to itself.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("מיכאל");
    let (page, _) = room.member("Ann");
    let text = "\u{feff}  two  blanks\n\n\ttab \u{feff}";
    peer.say(text).ok();
    page.wait_for_message("two  blanks");
    assert_eq!(page.text("document.querySelector('article .text').textContent"), text);
    peer.say("مرحبا").ok();
    page.wait_for_message("مرحبا");
    let direction =
        "getComputedStyle([...document.querySelectorAll('article .text')].at(-1)).direction";
    assert_eq!(page.text(direction), "rtl");
    assert_eq!(page.text("document.querySelector('article .name').localName"), "bdi");
    let time = page.text("document.querySelector('article time').dateTime");
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
}

#[test]
fn links_are_those_of_the_web_alone() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    peer.say(
        "see https://example.org/a_(b)?q=1#x. (or http://example.org/c), javascript:alert(1) \
         data:text/html,x file:///etc/passwd ftp://example.org https:// HTTPS://EXAMPLE.ORG/d!",
    )
    .ok();
    page.wait_for_message("see https");
    let links =
        "[...document.querySelectorAll('article a')].map(a => [a.textContent, a.target, a.rel])";
    let rel = "noopener noreferrer";
    let expected = json!([
        ["https://example.org/a_(b)?q=1#x", "_blank", rel],
        ["http://example.org/c", "_blank", rel],
        ["HTTPS://EXAMPLE.ORG/d", "_blank", rel],
    ]);
    assert_eq!(page.js(links), expected);
}

#[test]
fn long_texts_are_folded_and_whole_all_the_same() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let mut text = String::new();
    for number in 0..200 {
        writeln!(text, "line {number}").expect("write to a string");
    }
    peer.say(&text).ok();
    page.wait_for_message("line 199");
    assert_eq!(page.text("document.querySelector('article .text').textContent"), text);
    let height = "document.querySelector('article').offsetHeight";
    let folded = page.number(height);
    assert!(folded < 400.0, "{folded}");
    let top = page.number("document.querySelector('article .text').getBoundingClientRect().top");
    page.click("button", "Show all");
    page.wait_for("all of it", &format!("{height} > 3000"));
    let same =
        "Math.abs(document.querySelector('article .text').getBoundingClientRect().top - TOP) < 2";
    page.wait_for("the same place", &same.replace("TOP", &top.to_string()));
    page.click("button", "Show less");
    page.wait_for("less of it", &format!("{height} === {folded}"));
}

#[test]
fn a_text_is_copied_without_the_clipboard_api() {
    // A page of plain HTTP has none; what is copied is the text, byte for byte.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    assert_eq!(page.js("isSecureContext"), json!(false));
    assert_eq!(page.js("navigator.clipboard === undefined"), json!(true));
    peer.say("  copy me\n\tas I am  ").ok();
    page.wait_for_message("copy me");
    page.js("window.addEventListener('copy', e => { window.copied = e.clipboardData.getData('text/plain') })");
    page.click("button", "Copy");
    page.wait_for("a copy", "window.copied !== undefined");
    assert_eq!(page.text("window.copied"), "  copy me\n\tas I am  ");
}

#[test]
fn no_text_paints_over_its_neighbours() {
    // 2,000 marks on one letter; a word without an end; both stay in their boxes.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer(&format!("Z{}", "\u{301}".repeat(30)));
    let (page, _) = room.member("Ann");
    peer.say("first").ok();
    peer.say(format!("Z{}", "\u{301}\u{316}".repeat(1000))).ok();
    peer.say("m".repeat(3000)).ok();
    peer.say("last").ok();
    page.wait_for_message("last");
    let clipped = "[...document.querySelectorAll('article .text, article .head, #list button')]\
                   .every(e => getComputedStyle(e).overflowY !== 'visible')";
    assert_eq!(page.js(clipped), json!(true));
    let wide = "document.querySelector('[role=log]').scrollWidth - document.querySelector('[role=log]').clientWidth";
    assert_eq!(page.number(wide), 0.0);
    let apart = "(a => a.every((x, i) => i === 0 || x.getBoundingClientRect().top >= \
                 a[i - 1].getBoundingClientRect().bottom))([...document.querySelectorAll('article')])";
    assert_eq!(page.js(apart), json!(true));
    assert_eq!(page.number("document.documentElement.scrollWidth - innerWidth"), 0.0);
}
