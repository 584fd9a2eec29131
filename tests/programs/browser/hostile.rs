//! What strangers write is text, and nothing else.

use std::fs;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use super::page::Page;
use super::{Room, case};
use crate::common::{DEADLINE, message};

const ATTACKS: [&str; 6] = [
    "<img src=x onerror='window.hacked = 1'>",
    "<script>window.hacked = 1</script>",
    "\"><svg onload=window.hacked=1>",
    "javascript:window.hacked=1//",
    "{{constructor.constructor('window.hacked=1')()}}",
    "${window.hacked=1}",
];

/// Hands bytes in as if the server had sent them: it would refuse some of these itself.
fn hand_in(page: &Page, relay: &str) {
    page.js(&format!("handIn(sockets.at(-1), new TextEncoder().encode({}).buffer)", json!(relay)));
}

#[test]
fn markup_of_strangers_stays_text() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, uid) = room.member("Ann");
    for attack in ATTACKS {
        peer.set_nickname(attack).ok();
        peer.say(attack).ok();
        peer.say_to(uid, attack).ok();
        let header = format!(
            "Message-Type chat\nMessage-ID 900\nContent-Type png\nFile-Name {}.png",
            attack.replace('/', "_")
        );
        peer.request(message(&header, attack)).ok();
    }
    peer.say("the end").ok();
    page.wait_for_message("the end");
    assert_eq!(page.js("window.hacked === undefined"), json!(true));
    let made = "document.querySelectorAll('article img, article svg, article script, article a, aside img, .note img').length";
    assert_eq!(page.js(made), json!(0));
    let texts = "[...document.querySelectorAll('article .text')].map(t => t.textContent)";
    let texts: Vec<String> = serde_json::from_value(page.js(texts)).expect("texts");
    for attack in ATTACKS {
        assert_eq!(texts.iter().filter(|text| *text == attack).count(), 2, "{attack}");
    }
}

#[test]
fn texts_that_are_costly_to_show_cost_little() {
    // What is searched for links is as long as a stranger likes, and so is what is laid out; the time
    // must not grow with its square. The whole text is there all the same.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let odd_parts = [
        ")",
        ".",
        "(",
        ").",
        "http://x ",
        "https:",
        "\n",
        "\u{301}",
        "\u{200d}",
        "\u{5d0}a",
        "\u{1f600}",
    ];
    page.call("Performance.enable", json!({ "timeDomain": "threadTicks" }));
    let before = page.work();
    for odd in odd_parts {
        let text = format!("http://x/{}a", odd.repeat(60_000 / odd.len()));
        peer.say(&text).ok();
        let is_there = format!(
            "document.querySelector('article:last-child .text')?.textContent === {}",
            json!(text)
        );
        page.wait_for("the whole text", &is_there);
    }
    let worked = page.work() - before;
    eprintln!("eleven costly texts: the page worked {worked:.0} ms");
    assert!(worked < 2000.0, "the page worked {worked} ms");
    assert!(page.number("document.querySelectorAll('article a').length") <= 150.0);
}

#[test]
fn the_page_itself_can_make_nothing_from_text() {
    // Trusted types: a mistake of the page would be an error, not a hole.
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let threw = "(() => { try { document.body.innerHTML = '<b>'; return false; } catch { return true; } })()";
    assert_eq!(page.js(threw), json!(true));
    let foreign = "performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin) \
                   && !e.name.startsWith('data:')).map(e => e.name)";
    assert_eq!(page.js(foreign), json!([]));
    let evil = "new Promise(r => { const s = document.createElement('img'); s.onerror = () => r(true); \
                s.onload = () => r(false); s.src = 'http://room.local/x.png'; })";
    assert_eq!(page.js(evil), json!(true));
}

#[test]
fn names_and_texts_of_a_hostile_server_stay_in_their_place() {
    // What the real server refuses: text that turns its direction, imitations, odd numbers and types.
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let file = |id: &str, content_type: &str, name: &str| {
        format!(
            "Message-Type chat\r\nFrom 7\r\nSender-Nickname \u{202e}moT <b>\r\nFile-ID {id}\r\n\
             File-Name {name}\r\nContent-Type {content_type}\r\nContent-Length 5\r\n\r\n"
        )
    };
    hand_in(&page, &file("9", "exe", "\u{202e}gnp.exe"));
    hand_in(&page, &file("9", "../../x", "../../../etc/passwd"));
    hand_in(
        &page,
        "Message-Type notice\r\nFrom 7\r\nSender-Nickname <i>\r\nContent-Type text\r\nContent-Length 12\r\n\r\nleft: <b>x</b>",
    );
    hand_in(
        &page,
        "Message-Type news\r\nFrom x\r\nContent-Type text\r\nContent-Length 4\r\n\r\nwhat",
    );
    hand_in(
        &page,
        "Message-Type chat\r\n__proto__ 1\r\nFrom 7\r\nTime never\r\nContent-Type text\r\nContent-Length 4\r\n\r\nfine",
    );
    page.wait_for_message("fine");
    assert_eq!(page.text("document.querySelector('article .name').localName"), "bdi");
    assert_eq!(
        page.js("document.querySelectorAll('article b, .note b, .note i').length"),
        json!(0)
    );
    page.wait_for_state("connected");
}

#[test]
fn a_file_never_gets_a_name_that_hides_or_leaves() {
    // The File-ID stands before it, the type behind it, and nothing in it is a folder.
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let dir = TempDir::new().expect("a temporary directory");
    page.download_to(dir.path());
    let mut peer = room.peer("Tom");
    for name in [".bashrc", "report.pdf.exe", "a:b*c?.lnk", "CON"] {
        let header = format!("Message-Type chat\nMessage-ID 9\nContent-Type txt\nFile-Name {name}");
        peer.request(message(&header, "text")).ok();
        page.click("button", &format!("Save {name}"));
    }
    let expected = ["1 .bashrc.txt", "2 report.pdf.exe.txt", "3 a_b_c_.lnk.txt", "4 CON.txt"];
    let until = Instant::now() + DEADLINE;
    loop {
        let entries = fs::read_dir(dir.path()).expect("list").map(|entry| entry.expect("an entry"));
        let mut names: Vec<_> =
            entries.map(|e| e.file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        if names == expected {
            break;
        }
        assert!(Instant::now() < until, "{names:?}");
        std::thread::yield_now();
    }
}

#[test]
fn noise_ends_the_connection_and_not_the_page() {
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    for noise in
        ["HTTP/1.1 200 OK\r\n\r\n", "Message-Type chat\r\nFrom 1\r\n\r\n", "no-value\r\n\r\n"]
    {
        let before = page.number("window.sockets.length");
        hand_in(&page, noise);
        page.wait_for("another try", &format!("window.sockets.length > {before}"));
        page.wait_for_state("connected");
    }
    page.say("still here");
    page.wait_for_message("still here");
}

#[test]
fn messages_are_read_wherever_they_are_cut() {
    // Where a frame ends means nothing: every cut of three messages is tried, and one byte at a time.
    let Some(room) = Room::open(case!()) else { return };
    let (page, _) = room.member("Ann");
    let pieces = json!(
        "Message-Type chat\r\nFrom 7\r\nSender-Nickname Zoë\r\nContent-Type text\r\nContent-Length 3\r\n\r\n1ä\
         Message-Type chat\r\nFrom 7\r\nFile-ID 1\r\nContent-Type png\r\nContent-Length 300\r\n\r\n\
         \r\nMessage-Type chat\r\nFrom 7\r\nContent-Type text\r\nContent-Length 0\r\n\r\n"
    );
    let cuts = page.number(&format!(
        "(() => {{ const bytes = new TextEncoder().encode({pieces}); \
         const give = (a, b) => handIn(sockets.at(-1), bytes.slice(a, b).buffer); \
         for (let cut = 0; cut <= bytes.length; cut += 1) {{ give(0, cut); give(cut); }} \
         for (let at = 0; at < bytes.length; at += 1) give(at, at + 1); \
         return bytes.length + 2; }})()"
    ));
    let all = format!("document.querySelectorAll('article').length === {}", 3.0 * cuts);
    page.wait_for("all of them", &all);
    assert_eq!(page.count_of("1ä") as f64, cuts);
    page.wait_for_state("connected");
}
