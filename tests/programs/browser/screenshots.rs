//! Pictures of the page, to be looked at (`make screenshots` writes them to `target/screenshots`), and
//! those that README shows (`make picture` writes them to `scripts`).

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::json;

use super::load::Crowd;
use super::page::{PHONE, Page, Screen};
use super::{Room, case};
use crate::common::{Peer, message};

/// Writes what the page shows to a file, which `path` names from the sources' directory on.
fn take(page: &Page, path: &str) {
    // Two frames, so that what has just come is painted.
    page.js(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))",
    );
    let picture = page.call("Page.captureScreenshot", json!({ "format": "png" }));
    let picture = picture["data"].as_str().expect("a picture").as_bytes();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{path}.png"));
    fs::create_dir_all(path.parent().expect("a directory")).expect("make the directory");
    let bytes = BASE64.decode(picture).expect("base 64");
    fs::write(path, bytes).expect("write a picture");
}

fn in_both_schemes(page: &Page, name: &str) {
    for scheme in ["light", "dark"] {
        page.prefer("prefers-color-scheme", scheme);
        take(page, &format!("{name}-{scheme}"));
    }
}

fn shot(name: &str) -> String {
    format!("target/screenshots/{name}")
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
    in_both_schemes(&page, &shot("join"));
    let uid = page.join("Student");
    take(&page, &shot("empty"));
    talk(&mut peers, uid);
    page.say("Hello everybody!");
    page.wait_for_message("Hello everybody!");
    page.wait_for_message("Just between us");
    in_both_schemes(&page, &shot("room"));
    page.click("button", &format!("Tom {}", peers[1].uid));
    page.say("Neither have I.");
    page.wait_for_message("Neither have I.");
    in_both_schemes(&page, &shot("private"));

    let phone = room.page_on(PHONE);
    phone.open();
    in_both_schemes(&phone, &shot("phone-join"));
    phone.join("Phone");
    in_both_schemes(&phone, &shot("phone"));
    phone.click("button", "People");
    phone.wait_for("the list", "document.querySelector('aside').getAnimations().length === 0");
    in_both_schemes(&phone, &shot("phone-people"));

    let zoomed = room.page_on(Screen { width: 640, height: 400, scale: 2.0, is_phone: false });
    zoomed.open();
    zoomed.join("W".repeat(64).as_str());
    zoomed.say(&"Donaudampfschifffahrtsgesellschaft".repeat(9));
    zoomed.wait_for_message("Donau");
    in_both_schemes(&zoomed, &shot("zoom"));

    room.kill();
    page.wait_for_state("reconnecting …");
    page.say("Is anybody there?");
    page.find("button", "Discard");
    in_both_schemes(&page, &shot("reconnecting"));
}

#[test]
#[ignore = "makes pictures for people, and checks nothing"]
fn screenshots_of_the_page_among_a_thousand() {
    let options = ["--max-clients", "1100"];
    let Some(room) = Room::with(case!(), &options) else { return };
    let crowd = Crowd::join(&room, 1000);
    let mut peers = ["Ann", "Tom", "Zoë", ""].map(|nickname| room.peer(nickname));
    let (page, uid) = room.member("Student");
    page.wait_for("a thousand", "document.querySelector('#count').textContent === '1005'");
    talk(&mut peers, uid);
    page.wait_for_message("Just between us");
    peers[0].say((1..=40).map(|line| format!("line {line} of 40\n")).collect::<String>()).ok();
    page.wait_for_message("line 40 of 40");
    page.js("document.querySelector('#log').scrollTop = 0");
    page.wait_for(
        "no longer at the end",
        "document.querySelector('#log:not(.following)') !== null",
    );
    for peer in &mut peers[..3] {
        peer.say("And the next?").ok();
    }
    page.find("button", "3 new");
    in_both_schemes(&page, &shot("thousand"));
    let phone = room.page_on(PHONE);
    phone.open();
    phone.join("Phone");
    phone.wait_for("a thousand", "document.querySelector('#count').textContent === '1006'");
    take(&phone, &shot("phone-thousand"));
    phone.click("button", "People");
    phone.wait_for("the list", "document.querySelector('aside').getAnimations().length === 0");
    take(&phone, &shot("phone-thousand-people"));
    drop(crowd);
}

#[test]
#[ignore = "makes what README shows, on port 8080, and checks nothing"]
fn picture_of_the_page_for_readme() {
    let Some(room) = Room::at("127.0.0.1:8080", case!()) else { return };
    let mut peers = ["Ann", "Tom", "Zoë", ""].map(|nickname| room.peer(nickname));
    let page = room.page_on(Screen { width: 860, height: 560, scale: 1.0, is_phone: false });
    page.open();
    let uid = page.join("Eve");
    talk(&mut peers, uid);
    page.wait_for_message("Just between us");
    page.say("Hello everybody!");
    page.wait_for_message("Hello everybody!");
    in_both_schemes(&page, "scripts/picture-page");
}
