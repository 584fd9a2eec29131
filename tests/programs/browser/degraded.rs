//! A server of the draft alone, and browsers that cannot.

use serde_json::json;

use super::{Room, case};

/// A server of the draft, inside the page: it knows UIDs, texts and responses, and nothing else.
const DRAFT_SERVER: &str = r"
    window.WebSocket = class extends EventTarget {
        constructor() {
            super();
            window.server = this;
            this.bufferedAmount = 0;
            this.text = '';
            setTimeout(() => this.dispatchEvent(new Event('open')));
        }
        send(data) {
            this.text += new TextDecoder().decode(data);
            for (;;) {
                const end = this.text.indexOf('\r\n\r\n');
                if (end < 0) return;
                const head = this.text.slice(0, end);
                const length = Number(/Content-Length (\d+)/.exec(head)?.[1] ?? 0);
                if (this.text.length < end + 4 + length) return;
                const body = this.text.slice(end + 4, end + 4 + length);
                this.text = this.text.slice(end + 4 + length);
                this.answer(/Message-Type (\w+)/.exec(head)[1], /Message-ID (\d+)/.exec(head)[1], body);
            }
        }
        answer(type, id, body) {
            if (window.closesOver && body === 'features') return void this.close();
            const text = type === 'query' ? '4\n7\n' : type === 'nickname' ? body : '';
            this.give(`Status Ok\r\nMessage-Type ${type}\r\nMessage-ID ${id}`, text);
        }
        give(head, text) {
            const whole = `${head}\r\nContent-Type text\r\nContent-Length ${text.length}\r\n\r\n${text}`;
            const data = new TextEncoder().encode(whole).buffer;
            setTimeout(() => this.dispatchEvent(new MessageEvent('message', { data })));
        }
        close() { setTimeout(() => this.dispatchEvent(new Event('close'))); }
    };
";

#[test]
fn a_server_of_the_draft_is_enough() {
    // No features: no names, no history, no notices; talking, and the UIDs of §2.3.1.2.
    let Some(room) = Room::open(case!()) else { return };
    for closes_over in [false, true] {
        let page = room.page();
        page.before_it_runs(&format!("{DRAFT_SERVER} window.closesOver = {closes_over};"));
        page.open();
        page.type_text("Ann");
        page.press("Enter");
        page.wait_for_state("connected");
        page.find("button", "Unnamed 4");
        page.find("button", "Unnamed 7");
        page.say("hello");
        page.wait_for_message("hello");
        page.js("server.give('Message-Type chat\\r\\nFrom 7\\r\\nSender-Nickname Tom', 'hi Ann')");
        page.wait_for_message("hi Ann");
        page.find("button", "Tom 7");
        page.click("button", "Tom 7");
        page.say("just you");
        page.wait_for_message("just you");
        assert_eq!(page.messages().len(), 3);
        page.js("server.close()");
        page.wait_for_state("reconnecting …");
        page.wait_for_state("connected");
    }
}

#[test]
fn without_a_websocket_one_sentence_says_what_to_do() {
    let Some(room) = Room::open(case!()) else { return };
    let page = room.page();
    page.before_it_runs("delete window.WebSocket;");
    page.load();
    page.wait_for("words", "/WebSocket/.test(document.body.innerText)");
    assert_eq!(page.js("document.querySelectorAll('button').length"), json!(0));
}

#[test]
fn without_javascript_one_sentence_says_what_to_do() {
    let Some(room) = Room::open(case!()) else { return };
    let page = room.page();
    page.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    page.call(
        "Page.navigate",
        json!({ "url": format!("http://room.local:{}/", room.address.port()) }),
    );
    let until = std::time::Instant::now() + crate::common::DEADLINE;
    loop {
        let shot = page.call("Accessibility.getFullAXTree", json!({}));
        if shot.to_string().contains("it needs JavaScript") {
            break;
        }
        assert!(std::time::Instant::now() < until, "{shot}");
    }
}

#[test]
fn a_page_that_is_loaded_ahead_joins_nobody() {
    // No join while `document.prerendering`.
    let Some(room) = Room::open(case!()) else { return };
    let page = room.page();
    page.before_it_runs("Object.defineProperty(document, 'prerendering', { value: true, configurable: true, writable: true })");
    page.open();
    page.type_text("Ann");
    page.press("Enter");
    page.js("new Promise(resolve => setTimeout(resolve, 200))");
    assert_eq!(page.js("window.sockets.length"), json!(0));
    page.js(
        "document.prerendering = false; document.dispatchEvent(new Event('prerenderingchange'))",
    );
    page.wait_for_state("connected");
}
