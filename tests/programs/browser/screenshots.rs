//! Pictures of the page, to be looked at: `cargo test --test programs screenshots -- --ignored`
//! writes them to `target/screenshots/`.

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::json;

use super::page::{PHONE, Page, Screen};
use super::{Room, case};
use crate::common::{Peer, message};

fn take(page: &Page, name: &str) {
    // Two frames, so that what has just come is painted.
    page.js(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))",
    );
    let picture = page.call("Page.captureScreenshot", json!({ "format": "png" }));
    let picture = picture["data"].as_str().expect("a picture").as_bytes();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    fs::create_dir_all(&dir).expect("make the directory");
    let bytes = BASE64.decode(picture).expect("base 64");
    fs::write(dir.join(format!("{name}.png")), bytes).expect("write a picture");
}

fn in_both_schemes(page: &Page, name: &str) {
    for scheme in ["light", "dark"] {
        page.prefer("prefers-color-scheme", scheme);
        take(page, &format!("{name}-{scheme}"));
    }
}

/// A short conversation of several people, with a file.
fn talk(peers: &mut [Peer; 4], uid: u64) {
    let [ann, tom, zoe, nameless] = peers;
    ann.say("Good morning. Is this the room for the networking course?").ok();
    tom.say("Yes, this is it.").ok();
    tom.say("The sheet is at https://example.org/courses/network/sheet-4.pdf (second page).").ok();
    zoe.say("مرحبا كيف حالك؟").ok();
    nameless.say("Is anybody else here with netcat?").ok();
    let header = "Message-Type chat\nMessage-ID 900\nContent-Type pdf\nFile-Name holiday plan.pdf";
    ann.request(message(header, vec![b'x'; 300_000])).ok();
    tom.say_to(uid, "Just between us: I have not done the sheet either.").ok();
}

#[test]
#[ignore = "makes pictures for people, and checks nothing"]
fn screenshots_of_the_page() {
    let Some(mut room) = Room::open(case!()) else { return };
    let mut peers = ["Ann", "Tom", "Zoë", ""].map(|nickname| room.peer(nickname));
    let page = room.page();
    page.open();
    in_both_schemes(&page, "join");
    let uid = page.join("Student");
    take(&page, "empty");
    talk(&mut peers, uid);
    page.say("Hello everybody!");
    page.wait_for_message("Hello everybody!");
    page.wait_for_message("Just between us");
    in_both_schemes(&page, "room");
    page.click("button", &format!("Tom {}", peers[1].uid));
    page.say("Neither have I.");
    page.wait_for_message("Neither have I.");
    in_both_schemes(&page, "private");

    let phone = room.page_on(PHONE);
    phone.open();
    in_both_schemes(&phone, "phone-join");
    phone.join("Phone");
    in_both_schemes(&phone, "phone");
    phone.click("button", "People");
    phone.wait_for("the list", "document.querySelector('aside').getAnimations().length === 0");
    in_both_schemes(&phone, "phone-people");

    let zoomed = room.page_on(Screen { width: 640, height: 400, scale: 2.0, is_phone: false });
    zoomed.open();
    zoomed.join("W".repeat(64).as_str());
    zoomed.say(&"Donaudampfschifffahrtsgesellschaft".repeat(9));
    zoomed.wait_for_message("Donau");
    in_both_schemes(&zoomed, "zoom");

    room.kill();
    page.wait_for_state("reconnecting …");
    page.say("Is anybody there?");
    page.find("button", "Discard");
    in_both_schemes(&page, "reconnecting");
}
