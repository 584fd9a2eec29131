//! Names of files (E4): in the chat, on disk, after a restart, and for those who ask.

use std::fs;

use tempfile::TempDir;

use super::{field_names, join_extended, messages};
use crate::common::{Peer, Server, ServerMessage, message};

/// Shares a file of these header lines.
#[track_caller]
fn share(peer: &mut Peer, name: &str, fields: &str) -> ServerMessage {
    let header = format!("Message-Type chat\nMessage-ID 5\nFile-Name {name}\n{fields}");
    peer.request(message(&header, "content"))
}

/// The names in the stage, sorted; what is hidden left out.
fn on_disk(stage: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(stage.path()).expect("the stage");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<_> = names.map(|name| name.expect("a name in UTF-8")).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// A directory for a stage, and a server on it.
fn staged(options: &[&str]) -> (TempDir, Server) {
    let dir = TempDir::new().expect("a temporary directory");
    let server = start(&dir, options);
    (dir, server)
}

fn start(dir: &TempDir, options: &[&str]) -> Server {
    let path = dir.path().to_str().expect("a path in UTF-8");
    Server::with(&[&["--stage", path], options].concat())
}

#[test]
fn name_reaches_those_who_ask_and_stands_behind_the_file_id() {
    // E4; E2: in the relay, public and private, in the answers to `files` and to `fetch`.
    let server = Server::start();
    let (mut tom, mut ann, mut bob) = (server.join(), join_extended(&server), server.join());
    let shared = share(&mut tom, "holiday plan.pdf", "Content-Type pdf").ok();
    assert!(!shared.has("File-Name"), "the response to its sharer is no relay: {shared:?}");
    share(&mut tom, "for you.txt", &format!("To {}\nContent-Type txt", ann.uid)).ok();
    share(&mut tom, "for you.txt", &format!("To {}\nContent-Type txt", bob.uid)).ok();
    tom.share("txt", "content").ok();
    let public = ann.relay();
    let rest = ["Content-Type", "Content-Length"];
    let first = ["Message-Type", "From", "File-ID", "File-Name", "Sequence", "Time"];
    assert_eq!(field_names(&public), [&first[..], &rest].concat());
    assert_eq!(public.field("File-Name"), "holiday plan.pdf");
    let private = ann.relay();
    let first = ["Message-Type", "To", "From", "File-ID", "File-Name", "Time"];
    assert_eq!(field_names(&private), [&first[..], &rest].concat());
    assert!(!ann.relay().has("File-Name"));
    let files = "1 pdf 7 1 holiday plan.pdf\n2 txt 7 1 for you.txt\n4 txt 7 1\n";
    assert_eq!(ann.query("files").ok().text(), files);
    let fetched = ann.fetch(1).ok();
    let first = ["Status", "Message-Type", "Message-ID", "File-Name"];
    assert_eq!(field_names(&fetched), [&first[..], &rest].concat());
    assert_eq!(fetched.text(), "content");
    assert!(!ann.fetch(4).ok().has("File-Name"));
    for relay in bob.sync() {
        assert!(!relay.has("File-Name") && !relay.has("Time"), "{relay:?}");
    }
    assert_eq!(bob.query("files").ok().text(), "1 pdf 7 1\n3 txt 7 1\n4 txt 7 1\n");
    assert!(!bob.fetch(1).ok().has("File-Name"));
    let kept = messages(&join_extended(&server).query("history 9").ok().body);
    assert_eq!(kept[0].field("File-Name"), "holiday plan.pdf");
}

#[test]
fn large_file_is_fetched_with_its_name_as_well() {
    // E2: what is streamed from disk has the same header.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    let content = crate::common::pattern(1, 300_000);
    let header = "Message-Type chat\nMessage-ID 5\nFile-Name photo.jpg\nContent-Type jpg";
    tom.request(message(header, &content)).ok();
    let fetched = ann.fetch(1).ok();
    assert_eq!(fetched.field("File-Name"), "photo.jpg");
    assert!(fetched.body == content);
}

#[test]
fn names_that_are_good_come_as_they_were_given() {
    // E4: 1 to 200 bytes of UTF-8; white space around it is dropped.
    let longest = "x".repeat(200);
    let umlauts = "\u{fc}".repeat(100);
    let good = [
        ("a", "a"),
        ("holiday plan.pdf", "holiday plan.pdf"),
        (" \t plan.pdf \t ", "plan.pdf"),
        ("\u{3000}plan.pdf\u{a0}", "plan.pdf"),
        (longest.as_str(), longest.as_str()),
        (umlauts.as_str(), umlauts.as_str()),
        ("\u{fc}ber.pdf", "\u{fc}ber.pdf"),
        ("u\u{308}ber.pdf", "u\u{308}ber.pdf"),
        (".hidden", ".hidden"),
        ("...", "..."),
        ("-rf *;$(x) `y` \"z\" 'w' %n <&>|?:", "-rf *;$(x) `y` \"z\" 'w' %n <&>|?:"),
        ("\u{1f600}\u{200d}\u{1f4be}", "\u{1f600}\u{200d}\u{1f4be}"),
        ("CON", "CON"),
    ];
    let (stage, server) = staged(&[]);
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    for (id, (given, name)) in (1..).zip(good) {
        assert_eq!(share(&mut tom, given, "Content-Type pdf").ok().number("File-ID"), id);
        assert_eq!(ann.relay().field("File-Name"), name, "{given:?}");
        assert_eq!(ann.fetch(id).ok().field("File-Name"), name, "{given:?}");
    }
    let names = on_disk(&stage);
    assert_eq!(names.len(), good.len(), "{names:?}");
    assert!(names.contains(&"9 .hidden.pdf".to_owned()), "{names:?}");
    assert!(names.contains(&format!("5 {longest}.pdf")), "{names:?}");
}

#[test]
fn names_that_are_bad_are_refused_and_the_session_goes_on() {
    // E4: naming what is wrong; nothing is staged, nothing relayed.
    let (stage, server) = staged(&[]);
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    let long = "x".repeat(201);
    let longer = "\u{fc}".repeat(100) + "x";
    let bad = [
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a\\b",
        ".",
        "..",
        " .. ",
        "\u{3000}",
        "a\u{1}b",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{2029}b",
        "a\u{202e}fdp.exe",
        "a\u{2066}b",
        "a\u{200f}b",
        "a\u{61c}b",
        long.as_str(),
        longer.as_str(),
    ];
    for name in bad {
        let error = share(&mut tom, name, "Content-Type pdf");
        assert!(error.reason().contains("File-Name"), "{name:?}: {error:?}");
    }
    let raw = |name: &[u8]| {
        let start = b"Message-Type chat\nMessage-ID 5\nContent-Type pdf\nFile-Name ";
        [&start[..], name, b"\nContent-Length 7\n\ncontent"].concat()
    };
    for name in [&b"a\xffb"[..], b"a\0b", b"a\x1b[2Jb", b"a\rb", b"\xc3"] {
        let error = tom.request(raw(name));
        assert!(error.reason().contains("File-Name"), "{error:?}");
    }
    let error = tom.request(raw(b"a.pdf\nFile-Name a.pdf"));
    assert!(error.reason().contains("File-Name"), "{error:?}");
    ann.expect_nothing();
    assert_eq!(on_disk(&stage), [""; 0]);
    assert_eq!(share(&mut tom, "a.pdf", "Content-Type pdf").ok().number("File-ID"), 1);
}

#[test]
fn name_that_is_missing_or_comes_first_ends_the_session() {
    // E4: none behind the name is fatal like everywhere, and it is no field that a message may begin
    // with.
    let server = Server::start();
    let mut tom = server.join();
    tom.send("Message-Type chat\nFile-Name \nMessage-ID 5\n\n");
    tom.read_message().reason();
    tom.expect_end();
    let mut tom = server.join();
    tom.send("File-Name a.pdf\nMessage-Type chat\nMessage-ID 5\n\n");
    tom.read_message().reason();
    tom.expect_end();
}

#[test]
fn name_in_a_text_or_in_another_message_is_not_looked_at() {
    // E4.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    share(&mut tom, "../\u{202e}", "Content-Type text").ok();
    let relay = ann.relay();
    assert!(!relay.has("File-Name") && relay.text() == "content", "{relay:?}");
    let query = "Message-Type query\nMessage-ID 5\nFile-Name ..";
    assert_eq!(tom.request(message(query, "self")).ok().text(), "1\n");
    let error = share(&mut tom, "a.pdf", "X-Other x").ok();
    assert!(!error.has("File-ID"), "without a type it is a text: {error:?}");
}

#[test]
fn name_may_hold_ascii_alone_where_the_server_has_it_so() {
    // E4: ASCII with `--ascii`.
    let server = Server::with(&["--ascii"]);
    let mut tom = server.join();
    assert!(share(&mut tom, "\u{fc}.pdf", "Content-Type pdf").reason().contains("ASCII"));
    share(&mut tom, "u.pdf", "Content-Type pdf").ok();
}

#[test]
fn file_is_called_on_disk_what_its_sharer_called_it_and_still_is_after_a_restart() {
    // E4: the type is appended where the name does not end in it.
    let (stage, server) = staged(&[]);
    let mut tom = server.join();
    let shared = [
        ("holiday plan.pdf", "pdf"),
        ("README", "txt"),
        ("photo.JPG", "jpg"),
        ("x.tar.gz", "tar.gz"),
        ("same.txt", "txt"),
        ("same.txt", "txt"),
        (".hidden", "sh"),
        ("Makefile", "txt"),
    ];
    for (name, extension) in shared {
        share(&mut tom, name, &format!("Content-Type {extension}")).ok();
    }
    tom.share("pdf", "content").ok();
    let names = [
        "1 holiday plan.pdf",
        "2 README.txt",
        "3 photo.JPG",
        "4 x.tar.gz",
        "5 same.txt",
        "6 same.txt",
        "7 .hidden.sh",
        "8 Makefile.txt",
        "9.pdf",
    ];
    assert_eq!(on_disk(&stage), names);
    server.stop();
    let server = start(&stage, &[]);
    let files = "1 pdf 7 0 holiday plan.pdf\n2 txt 7 0 README.txt\n3 JPG 7 0 photo.JPG\n\
                 4 tar.gz 7 0 x.tar.gz\n5 txt 7 0 same.txt\n6 txt 7 0 same.txt\n\
                 7 sh 7 0 .hidden.sh\n8 txt 7 0 Makefile.txt\n9 pdf 7 0\n";
    let mut ann = join_extended(&server);
    assert_eq!(ann.query("files").ok().text(), files);
    assert_eq!(ann.fetch(2).ok().field("File-Name"), "README.txt");
    assert_eq!(server.join().fetch(2).ok().text(), "content");
    assert_eq!(on_disk(&stage), names);
}
