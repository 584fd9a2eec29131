//! What the page looks like, and whether everybody can use it.

use serde_json::{Value, json};

use super::page::{PHONE, Page, Screen};
use super::{Room, case};
use crate::common::Peer;

/// The texts on the screen whose contrast is too small (WCAG 2, AA), with their contrast.
const TOO_PALE: &str = r"(() => {
    const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
        .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const pale = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility({ opacityProperty: true })) continue;
        if (element.closest(':disabled, noscript, script') || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const [one, two] = [light(parse(style.color)), light(behind(element))].sort((a, b) => b - a);
        const contrast = (one + 0.05) / (two + 0.05);
        if (contrast < 4.5) pale.push(`${walker.currentNode.data.slice(0, 40)}: ${contrast.toFixed(2)}`);
    }
    return pale;
})()";

/// A room with everything in it: public and private, a file, a notice, a refusal.
fn fill(page: &Page, peer: &mut Peer, uid: u64) {
    peer.say("see https://example.org/").ok();
    peer.share("png", "a file").ok();
    peer.say_to(uid, "for you").ok();
    page.say("mine");
    page.wait_for_message("mine");
    page.js("[...document.querySelectorAll('aside [role=list] button')].at(-1).click()");
    page.say("\u{7}");
    page.wait_for("a reason", "document.querySelector('[role=alert]').textContent !== ''");
}

#[test]
fn contrast_is_enough_in_light_and_dark() {
    let Some(room) = Room::open(case!()) else { return };
    let peers: Vec<_> = (0..9).map(|number| room.peer(&format!("P{number}"))).collect();
    let mut peer = room.peer("Tom");
    let page = room.page();
    page.open();
    for scheme in ["light", "dark"] {
        page.prefer("prefers-color-scheme", scheme);
        assert_eq!(page.js(TOO_PALE), json!([]), "the dialog, {scheme}");
    }
    let uid = page.join("Ann");
    fill(&page, &mut peer, uid);
    page.cut();
    page.wait_for_state("reconnecting …");
    page.say("not confirmed");
    page.find("button", "Discard");
    let mut backgrounds = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefer("prefers-color-scheme", scheme);
        assert_eq!(page.js(TOO_PALE), json!([]), "{scheme}");
        backgrounds.push(page.text("getComputedStyle(document.documentElement).backgroundColor"));
    }
    assert_ne!(backgrounds[0], backgrounds[1]);
    drop(peers);
}

#[test]
fn a_phone_has_the_people_behind_a_button() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let page = room.page_on(PHONE);
    page.open();
    page.join("Ann");
    let viewport = page.text("document.querySelector('meta[name=viewport]').content");
    assert!(viewport.contains("interactive-widget=resizes-content"), "{viewport}");
    assert!(!viewport.contains("maximum-scale") && !viewport.contains("user-scalable"));
    let size = "parseFloat(getComputedStyle(document.querySelector('textarea')).fontSize)";
    assert!(page.number(size) >= 16.0, "a phone would zoom in");
    assert_eq!(page.text("document.querySelector('textarea').enterKeyHint"), "send");
    let height = page.number("document.body.getBoundingClientRect().height - innerHeight");
    assert_eq!(height, 0.0);
    assert!(page.all("list", "Who is here").is_empty(), "the list is there without the button");
    page.click("button", "People");
    page.find("list", "Who is here");
    // A click on what still moves would miss it.
    page.wait_for("the list", "document.querySelector('aside').getAnimations().length === 0");
    page.click("button", &format!("Tom {}", peer.uid));
    page.find("button", "Back to all");
    page.say("from the phone");
    assert_eq!(peer.relay().text(), "from the phone");
    page.wait_for(
        "no list",
        "getComputedStyle(document.querySelector('aside')).visibility === 'hidden'",
    );
}

#[test]
fn nothing_is_cut_off_at_200_percent_and_on_small_screens() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("W".repeat(64).as_str());
    let (page, uid) = room.member("Ann");
    fill(&page, &mut peer, uid);
    peer.say("m".repeat(500)).ok();
    page.wait_for_message("mmm");
    for (width, height) in [(640, 400), (390, 780), (320, 568), (780, 360), (320, 256)] {
        page.set_screen(Screen { width, height, scale: 1.0, is_phone: false });
        let outside = page
            .js("[document.documentElement, document.body, document.querySelector('[role=log]')]\
             .map(e => e.scrollWidth - e.clientWidth)");
        assert_eq!(outside, json!([0, 0, 0]), "{width} x {height}");
        let box_ = "(r => r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth)\
                    (document.querySelector('#send').getBoundingClientRect())";
        assert_eq!(page.js(box_), json!(true), "the send key, {width} x {height}");
        let log = "document.querySelector('[role=log]').clientHeight";
        assert!(page.number(log) > 40.0, "no log at {width} x {height}");
    }
}

#[test]
fn the_keyboard_alone_is_enough() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    peer.share("txt", "hello").ok();
    let page = room.page();
    page.open();
    // The focus stays in the dialog.
    let focus = "document.activeElement.closest('dialog') !== null || document.activeElement === document.body";
    for _ in 0..8 {
        page.press("Tab");
        assert_eq!(page.js(focus), json!(true));
    }
    page.js("document.querySelector('dialog input').focus()");
    page.join("Ann");
    assert_eq!(page.text("document.activeElement.getAttribute('aria-label')"), "Message");
    page.press("h");
    page.press("Enter");
    assert_eq!(peer.relay().text(), "h");

    // Everything can be reached, shows its focus, and can be pressed.
    tab_to(&page, &format!("Tom {}", peer.uid));
    page.press("Enter");
    page.find("button", "Back to all");
    page.press("s");
    page.press("Enter");
    assert_eq!(peer.relay().field("To"), peer.uid.to_string());
    page.press("Escape");
    page.wait_until_gone("button", "Back to all");
    for name in ["Sound", "Share a file", "Save 1.txt", "Copy", "Send"] {
        tab_to(&page, name);
    }
    tab_to(&page, "Sound");
    page.press(" ");
    let sound = page.find("button", "Sound");
    assert_eq!(page.description(sound), "private");
}

/// Presses Tab until what has this name has the focus, and shows it.
#[track_caller]
fn tab_to(page: &Page, name: &str) {
    let node = page.all("button", name).first().copied().expect("a button");
    for _ in 0..60 {
        page.press("Tab");
        let is_there = page.of(node, "function () { return this === document.activeElement; }");
        if is_there == json!(true) {
            let outline =
                page.of(node, "function () { return getComputedStyle(this).outlineStyle; }");
            assert_eq!(outline, json!("solid"), "{name} does not show its focus");
            return;
        }
    }
    panic!("Tab does not reach {name}");
}

#[test]
fn screen_readers_find_what_they_need() {
    // The accessible names are a contract: people and tests live on them.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, uid) = room.member("Ann");
    fill(&page, &mut peer, uid);
    for (role, name) in [
        ("log", "Messages"),
        ("textbox", "Message"),
        ("button", "Send"),
        ("list", "Who is here"),
        ("button", "Share a file"),
        ("button", "Sound"),
        ("button", "Back to all"),
        ("button", "Save 1.png"),
        ("button", "Show 1.png"),
    ] {
        page.find(role, name);
    }
    assert_eq!(page.js("document.querySelectorAll('[role=status]').length"), json!(1));
    assert_eq!(page.js("document.documentElement.lang"), json!("en"));
    let nameless = "[...document.querySelectorAll('button, input, textarea')].filter(e => e.checkVisibility() \
                    && !e.textContent.trim() && !e.labels?.length && !e.ariaLabel).length";
    assert_eq!(page.js(nameless), json!(0));
    let message = page.find("textbox", "Message");
    assert!(page.description(message).starts_with("Only "), "{}", page.description(message));
}

#[test]
fn motion_is_reduced_where_one_wishes_it() {
    let Some(room) = Room::open(case!()) else { return };
    let page = room.page_on(PHONE);
    page.open();
    let duration = "getComputedStyle(document.querySelector('aside')).transitionDuration";
    assert_ne!(page.js(duration), Value::from("0s"));
    page.prefer("prefers-reduced-motion", "reduce");
    assert_eq!(page.js(duration), Value::from("0s"));
}
