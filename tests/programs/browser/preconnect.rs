//! Connections that a browser opens ahead of what it needs them for, in a room where somebody talks all
//! the time: a message that came there before the answer would be no HTTP to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{Room, case};
use crate::common::Peer;

/// Says something 200 times a second until dropped.
struct Talker {
    is_over: &'static AtomicBool,
    thread: Option<thread::JoinHandle<()>>,
}

impl Talker {
    fn start(mut peer: Peer) -> Self {
        let is_over: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let thread = thread::spawn(move || {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                // One that it was for may be gone by then, and then that is the answer.
                peer.say(format!("number {number}"));
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(thread::JoinHandle::join);
    }
}

#[test]
fn the_page_loads_each_time_however_much_is_said() {
    let Some(room) = Room::for_whole_browser(case!()) else { return };
    let talker = Talker::start(room.peer("Tom"));
    let page = room.page();
    for nth in 0..18 {
        let navigated = page.call("Page.navigate", json!({ "url": page.url() }));
        assert!(navigated.get("errorText").is_none(), "navigation {nth}: {navigated}");
        page.find("dialog", "Join");
    }
    page.join("Ann");
    page.wait_for_message("number ");
    drop(talker);
}
