//! Another web site that a member visits does not become a member.

use serde_json::json;

use super::page::{DESKTOP, Page};
use super::{Room, case};
use crate::common::Peer;

/// A page of another site, in the same browser as everything else.
fn other_site(room: &Room) -> Page {
    let page = Page::new(room.browser, "data:text/html,<p>another site".to_owned(), DESKTOP);
    page.load();
    page
}

/// A connection that the browser keeps in reserve may be there: it has said nothing, and says nothing.
fn expect_nobody_else(peer: &mut Peer) {
    peer.expect_nothing();
    let names = peer.query("names").ok();
    let named: Vec<_> = names.text().lines().filter(|line| line.contains(' ')).collect();
    assert_eq!(named, [format!("{} Tom", peer.uid)]);
}

#[test]
fn another_site_gets_no_websocket() {
    // The browser tells the origin of the page; it is not the room's.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let page = other_site(&room);
    let url = format!("ws://room.local:{}/chat", room.address.port());
    let came = page.js(&format!(
        "new Promise(done => {{ const socket = new WebSocket('{url}', 'mcmp'); \
         socket.onopen = () => done('open'); socket.onclose = () => done('closed'); }})"
    ));
    assert_eq!(came, json!("closed"));
    expect_nobody_else(&mut peer);
}

#[test]
fn another_site_says_nothing_in_the_room() {
    // P1: an HTTP request is never read as messages, nor is its body.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let page = other_site(&room);
    let url = format!("http://room.local:{}/", room.address.port());
    let chat = "Message-Type chat\\nMessage-ID 1\\nContent-Length 5\\n\\nhello";
    for options in ["method: 'POST', ", "method: 'POST', keepalive: true, ", "method: 'PUT', "] {
        let came = page.js(&format!(
            "fetch('{url}', {{ {options} mode: 'no-cors', body: '\\n\\n{chat}' }})\
             .then(() => 'answered', () => 'refused')"
        ));
        assert!(came == json!("answered") || came == json!("refused"), "{came}");
    }
    page.js(&format!(
        "(() => {{ const form = document.createElement('form'); form.method = 'post'; \
         form.enctype = 'text/plain'; form.action = '{url}'; \
         const field = document.createElement('textarea'); field.name = '\\n{chat}'; \
         form.append(field); document.body.append(form); form.submit(); }})()"
    ));
    page.wait_for("an answer", "/may not come in here/.test(document.body?.textContent ?? '')");
    expect_nobody_else(&mut peer);
}

#[test]
fn a_name_of_another_site_that_points_here_gets_no_page() {
    // DNS rebinding: the browser takes the room for the site whose name was turned here.
    let Some(room) = Room::open(case!()) else { return };
    let url = format!("http://rebound.example:{}/", room.address.port());
    let page = Page::new(room.browser, url, DESKTOP);
    page.call("Network.enable", json!({}));
    page.load();
    assert_eq!(page.js("document.querySelectorAll('script, dialog').length"), json!(0));
    assert_eq!(page.js("performance.getEntriesByType('navigation')[0].responseStatus"), json!(421));
}
