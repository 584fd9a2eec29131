//! Files: shared by button, drop and paste; fetched on a click.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use super::page::Page;
use super::{Room, case};
use crate::common::{DEADLINE, Peer, assert_same_bytes, message, pattern};

/// A picture of one pixel.
const PIXEL: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\
    \rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// Shares a file under a name, without a browser.
fn share(peer: &mut Peer, content_type: &str, name: &str, content: &[u8]) {
    let header =
        format!("Message-Type chat\nMessage-ID 900\nContent-Type {content_type}\nFile-Name {name}");
    peer.request(message(&header, content)).ok();
}

/// The content of a download, once it is whole.
#[track_caller]
fn downloaded(dir: &Path, name: &str, len: usize) -> Vec<u8> {
    let until = Instant::now() + DEADLINE;
    loop {
        match fs::read(dir.join(name)) {
            Ok(content) if content.len() == len => return content,
            _ if Instant::now() > until => panic!("no {name:?}, but {:?}", names_in(dir)),
            _ => std::thread::yield_now(),
        }
    }
}

fn names_in(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).expect("list").map(|entry| entry.expect("an entry").path()).collect()
}

/// Chooses files in the dialog that the button opens.
fn choose(page: &Page, paths: &[PathBuf]) {
    page.call("Page.setInterceptFileChooserDialog", json!({ "enabled": true }));
    page.click("button", "Share a file");
    let until = Instant::now() + DEADLINE;
    let chooser = loop {
        let event = page.events.recv_deadline(until).expect("the dialog for files");
        if event["method"] == json!("Page.fileChooserOpened") {
            break event;
        }
    };
    let files = json!({ "files": paths, "backendNodeId": chooser["params"]["backendNodeId"] });
    page.call("DOM.setFileInputFiles", files);
}

#[test]
fn files_of_the_button_are_shared_with_name_and_type() {
    // §2.3.3.1; the type is what stands behind the last dot, `bin` where the protocol does not take it.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    peer.query("extended").ok();
    let (page, _) = room.member("Ann");
    let dir = TempDir::new().expect("a temporary directory");
    let cases = [
        ("holiday plan.pdf", "pdf"),
        ("notes.TEXT", "txt"),
        ("a.tar.gz", "gz"),
        ("README", "bin"),
        ("odd.näme", "bin"),
        ("empty.bin", "bin"),
        ("photo.JPG", "JPG"),
    ];
    let len_of = |name| if name == "empty.bin" { 0 } else { 5000 };
    let contents: Vec<Vec<u8>> =
        (0..).zip(cases).map(|(seed, (name, _))| pattern(seed, len_of(name))).collect();
    let paths: Vec<_> = cases.iter().map(|(name, _)| dir.path().join(name)).collect();
    for (path, content) in paths.iter().zip(&contents) {
        fs::write(path, content).expect("write a file");
    }
    peer.sync();
    choose(&page, &paths);
    for ((name, content_type), content) in cases.iter().zip(&contents) {
        let relay = peer.relay();
        assert_eq!(relay.field("File-Name"), *name);
        assert_eq!(relay.field("Content-Type"), *content_type, "{name}");
        let fetched = peer.fetch(relay.number("File-ID")).ok();
        assert_same_bytes(&fetched.body, content);
        page.find("button", &format!("Save {name}"));
    }
}

#[test]
fn a_dropped_and_a_pasted_file_are_shared() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    peer.query("extended").ok();
    let (page, _) = room.member("Ann");
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("dropped.zip");
    let content = pattern(7, 100_000);
    fs::write(&path, &content).expect("write a file");
    peer.sync();
    for kind in ["dragEnter", "dragOver", "drop"] {
        let data = json!({ "items": [], "files": [path], "dragOperationsMask": 1 });
        page.call(
            "Input.dispatchDragEvent",
            json!({ "type": kind, "x": 300, "y": 300, "data": data }),
        );
    }
    let relay = peer.relay();
    assert_eq!(relay.field("File-Name"), "dropped.zip");
    let fetched = peer.fetch(relay.number("File-ID")).ok();
    assert_same_bytes(&fetched.body, &content);

    let paste = "(() => { const data = new DataTransfer(); \
        data.items.add(new File([new Uint8Array([1, 2, 3])], 'image.png', { type: 'image/png' })); \
        document.querySelector('textarea').dispatchEvent(new ClipboardEvent('paste', \
        { clipboardData: data, bubbles: true, cancelable: true })); })()";
    page.js(paste);
    let relay = peer.relay();
    assert_eq!((relay.field("File-Name"), relay.field("Content-Type")), ("image.png", "png"));
    assert_eq!(peer.fetch(relay.number("File-ID")).ok().body, [1, 2, 3]);
    page.find("button", "Save image.png");
}

#[test]
fn a_file_goes_to_one_alone_where_one_talks_to_one() {
    // P4, chat, file: a private file is for its receiver and its sender.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let mut other = room.peer("Eve");
    let (page, uid) = room.member("Ann");
    page.click("button", &format!("Tom {}", peer.uid));
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("for Tom.txt");
    fs::write(&path, "secret").expect("write a file");
    choose(&page, &[path]);
    let relay = peer.relay();
    assert_eq!((relay.number("To"), relay.number("From")), (peer.uid, uid));
    other.expect_nothing();
    page.find("button", "Save for Tom.txt");
}

#[test]
fn the_limit_is_said_before_the_upload() {
    let Some(room) = Room::with(case!(), &["--max-file", "100k"]) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let share = page.find("button", "Share a file");
    assert!(page.description(share).contains("100 KB"), "{}", page.description(share));
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("large.mp4");
    fs::write(&path, pattern(1, 200_000)).expect("write a file");
    choose(&page, &[path]);
    let said =
        "/large.mp4.*195 KB.*100 KB/.test(document.querySelector('[role=alert]').textContent)";
    page.wait_for("a reason", said);
    peer.expect_nothing();
}

#[test]
fn an_upload_shows_its_progress() {
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    page.js("window.seen = 0; new MutationObserver(() => { \
        if (document.querySelector('progress')) window.seen += 1; \
        }).observe(document.body, { subtree: true, childList: true, attributes: true })");
    page.js("window.keptBack = []");
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().join("film.mp4");
    let content = pattern(3, 8 << 20);
    fs::write(&path, &content).expect("write a file");
    choose(&page, &[path]);
    let bar = page.find("progressbar", "Upload");
    let full = page.of(bar, "function () { return this.max; }");
    assert_eq!(full, json!(8 << 20));
    let file_id = peer.relay().number("File-ID");
    page.wait_for("all of it", "document.querySelector('progress').value === 8 << 20");
    page.js("window.letGo()");
    page.find("button", "Save film.mp4");
    page.wait_until_gone("progressbar", "Upload");
    assert_same_bytes(&peer.fetch(file_id).ok().body, &content);
}

#[test]
fn a_file_is_fetched_on_a_click_and_saved_whole() {
    // §2.3.3.2; the name has the File-ID before it, and the type behind it.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    let dir = TempDir::new().expect("a temporary directory");
    page.download_to(dir.path());
    let content = pattern(5, 3 << 20);
    share(&mut peer, "pdf", "holiday plan.pdf", &content);
    share(&mut peer, "exe", "fine.pdf", b"no picture");
    peer.share("tar.gz", "nameless").ok();
    page.find("button", "Save holiday plan.pdf");
    let card = page.messages()[0].clone();
    assert!(card.contains("Tom") && card.contains("3 MB"), "{card}");
    assert!(!page.text("window.sentBytes.join('')").contains("fetch"), "it fetched by itself");
    page.click("button", "Save holiday plan.pdf");
    assert_same_bytes(&downloaded(dir.path(), "1 holiday plan.pdf", content.len()), &content);
    page.click("button", "Save fine.pdf");
    assert_eq!(downloaded(dir.path(), "2 fine.pdf.exe", 10), b"no picture");
    page.click("button", "Save 3.tar.gz");
    assert_eq!(downloaded(dir.path(), "3.tar.gz", 8), b"nameless");
}

#[test]
fn pictures_are_shown_on_a_click() {
    // png, jpg, jpeg, gif, webp and avif in any case, up to 2 MiB, and never by themselves.
    let Some(room) = Room::open(case!()) else { return };
    let mut peer = room.peer("Tom");
    let (page, _) = room.member("Ann");
    share(&mut peer, "PNG", "dot.PNG", PIXEL);
    share(&mut peer, "png", "broken.png", b"no picture");
    share(&mut peer, "svg", "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>");
    share(&mut peer, "png", "huge.png", &pattern(1, (2 << 20) + 1));
    page.find("button", "Save huge.png");
    for name in ["Show drawing.svg", "Show huge.png"] {
        assert!(page.all("button", name).is_empty(), "{name}");
    }
    assert_eq!(page.js("document.querySelectorAll('img').length"), json!(0));
    page.click("button", "Show dot.PNG");
    page.wait_for("the picture", "document.querySelector('img')?.naturalWidth === 1");
    assert!(page.text("document.querySelector('img').src").starts_with("blob:"));
    page.click("button", "Hide dot.PNG");
    page.wait_for("no picture", "document.querySelector('img') === null");
    page.click("button", "Show broken.png");
    page.wait_for(
        "words",
        "/not a picture/.test(document.querySelector('[role=log]').textContent)",
    );
    page.find("button", "Show broken.png");
}
