//! The client: names of files, both ways (E4).

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::fake::Fake;
use super::terminal::Terminal;
use super::{Output, multichat, names_in, run, wait_until};
use crate::common::{Peer, Process, Server};

/// A client in the extended form.
#[track_caller]
fn join_extended(server: &Server) -> Peer {
    let mut peer = server.join();
    peer.query("extended").ok();
    peer
}

fn share(server: &Server, dir: &TempDir, name: &OsStr, options: &[&str]) -> Output {
    let mut command = multichat(&server.address.to_string(), options);
    command.arg("share").arg(name).current_dir(dir.path());
    Output::of(command)
}

/// The next relay's name of a file, if it has one.
#[track_caller]
fn told_name(peer: &mut Peer) -> Option<String> {
    let relay = peer.relay();
    assert!(relay.has("File-ID"), "{relay:?}");
    relay.has("File-Name").then(|| relay.field("File-Name").to_string())
}

#[test]
fn a_file_is_shared_under_its_name() {
    // interface: `share` sends the file's name where the server lists `file-name`; a name that
    // `File-Name` cannot say is left out, and the file is shared all the same.
    let server = Server::start();
    let mut ann = join_extended(&server);
    let dir = TempDir::new().unwrap();
    let mut check = |name: &[u8], expected: Option<&str>| {
        let name = OsStr::from_bytes(name);
        fs::write(dir.path().join(name), "content").unwrap();
        share(&server, &dir, name, &[]).ok();
        assert_eq!(told_name(&mut ann).as_deref(), expected, "{name:?}");
        share(&server, &dir, name, &["--no-name"]).ok();
        assert_eq!(told_name(&mut ann), None, "{name:?}");
    };
    let just = "\u{e9}".repeat(98) + ".pdf";
    for good in
        ["holiday plan.pdf", "Makefile", ".profile", "caf\u{e9}.txt", "cafe\u{301}.txt", &just]
    {
        check(good.as_bytes(), Some(good));
    }
    let long = "a".repeat(197) + ".pdf";
    let bad = [
        b"caf\xe9.txt".as_slice(),
        b"two\nlines.pdf",
        b"back\\slash.pdf",
        b"\x1b[2J.pdf",
        "\u{202e}fdp.exe".as_bytes(),
        "\u{2028}.pdf".as_bytes(),
        long.as_bytes(),
    ];
    for bad in bad {
        check(bad, None);
    }
    let path = dir.path().join("holiday plan.pdf");
    let path = path.to_str().unwrap();
    run(&server, &["share", path]).ok();
    assert_eq!(told_name(&mut ann).as_deref(), Some("holiday plan.pdf"), "never its directory");
}

#[test]
fn standard_input_has_no_name() {
    // interface: `share -` takes standard input; there is nothing that it could be called.
    let server = Server::start();
    let mut ann = join_extended(&server);
    super::run_with_input(&server, &["share", "-", "--type", "pdf"], b"content").ok();
    assert_eq!(told_name(&mut ann), None);
}

#[test]
fn a_server_of_ascii_gets_the_file_without_its_name() {
    // E4: `File-Name` is ASCII with `--ascii`, which a client is told by a refusal alone. A long file
    // takes its connection with it.
    let server = Server::with(&["--ascii"]);
    let mut ann = join_extended(&server);
    let dir = TempDir::new().unwrap();
    for (content, name, expected) in [
        (vec![0; 10], "caf\u{e9}.pdf", None),
        (vec![0; 3 << 20], "caf\u{e9}.bin", None),
        (vec![0; 10], "cafe.pdf", Some("cafe.pdf")),
    ] {
        fs::write(dir.path().join(name), content).unwrap();
        share(&server, &dir, OsStr::new(name), &[]).ok();
        assert_eq!(told_name(&mut ann).as_deref(), expected);
    }
    let mut command = multichat(&server.address.to_string(), &["--json"]);
    command.current_dir(dir.path()).stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    let mut stdin = process.stdin();
    let mut terminal = Terminal::join(&server, &[]);
    for name in ["caf\u{e9}.pdf", "caf\u{e9}.bin"] {
        let line = format!("{{\"share\": \"{name}\", \"id\": \"{name}\"}}\n");
        stdin.write_all(line.as_bytes()).unwrap();
        let answer = process.out.wait_for(&format!("\"id\":\"{name}\""));
        assert!(answer.contains("\"status\":\"ok\""), "{answer}");
        assert_eq!(told_name(&mut ann), None);
        fs::copy(dir.path().join(name), terminal.path(name)).unwrap();
        terminal.type_in(format!("/share {name}\r"));
        terminal.wait_for(&format!("{name} is shared as file "));
        assert_eq!(told_name(&mut ann), None);
    }
}

#[test]
fn the_name_of_a_file_is_shown_and_kept() {
    // interface: `7 Tom shared file 10 holiday plan.pdf (pdf, 3000 bytes)`; `files` prints the name
    // last; `fetch` saves as `FILE-ID NAME`.
    let server = Server::start();
    let address = server.address.to_string();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("holiday plan.pdf"), [7; 3000]).unwrap();
    let mut tom = server.join();
    tom.share("txt", "nameless").ok();
    let mut terminal = Terminal::join(&server, &["--no-notices"]);
    let mut json = Process::spawn(multichat(&address, &["listen", "--json"]));
    let mut lines = Process::spawn(multichat(&address, &["listen"]));
    wait_until("all are here", || tom.uids().len() == 4);
    // From a number on names are told.
    while !json.out.seen.iter().any(|line| line.contains("\"sequence\"")) {
        tom.say("hello").ok();
        json.out.wait_for_line(json.out.seen.len());
    }
    lines.out.wait_for("hello");
    share(&server, &dir, OsStr::new("holiday plan.pdf"), &["-n", "Tom"]).ok();
    let shown = "Tom shared file 2 holiday plan.pdf (pdf, 3000 bytes)";
    terminal.wait_for(shown);
    assert!(lines.out.wait_for("shared file 2").ends_with(shown));
    let object: Value = serde_json::from_str(&json.out.wait_for("\"file\"")).unwrap();
    assert_eq!((&object["name"], &object["file_id"]), (&"holiday plan.pdf".into(), &2.into()));

    let listed = run(&server, &["files"]).ok();
    assert_eq!(listed[0], "1 txt 8 1");
    assert!(listed[1].starts_with("2 pdf 3000 ") && listed[1].ends_with(" holiday plan.pdf"));
    let listed = run(&server, &["files", "--json"]).ok();
    let objects: Vec<Value> =
        listed.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0].get("name"), None);
    assert_eq!(objects[1]["name"], "holiday plan.pdf");

    let fetch = |arguments: &[&str]| {
        let mut command = multichat(&address, arguments);
        command.current_dir(dir.path());
        Output::of(command)
    };
    assert_eq!(fetch(&["fetch", "2"]).ok(), ["2 holiday plan.pdf"]);
    assert_eq!(fetch(&["fetch", "1"]).ok(), ["1.txt"]);
    fetch(&["fetch", "2"]).failed(1, "2 holiday plan.pdf is already there, and is not overwritten");
    assert_eq!(fetch(&["fetch", "2", "-o", "x"]).ok(), [""; 0]);
    fs::create_dir(dir.path().join("there")).unwrap();
    assert_eq!(fetch(&["fetch", "2", "-o", "there"]).ok(), ["there/2 holiday plan.pdf"]);
    assert_eq!(
        names_in(dir.path()),
        ["1.txt", "2 holiday plan.pdf", "holiday plan.pdf", "there", "x"]
    );
    terminal.type_in("/get 2\r");
    terminal.wait_for("file 2 is saved as 2 holiday plan.pdf");
    assert_eq!(fs::read(terminal.path("2 holiday plan.pdf")).unwrap(), [7; 3000]);
}

/// A server that has a file under each of these names.
fn hostile_server(names: Vec<Vec<u8>>) -> String {
    let address = Fake::serve(move |client| {
        client.begin();
        while let Some(asked) = client.next() {
            match (asked.message_type.as_str(), asked.text()) {
                ("query", "features") => client.respond(&asked, "Ok", "extended\nfile-name\n"),
                ("query", "extended") => client.respond(&asked, "Ok", "extended\n"),
                ("fetch", number) => {
                    let name = &names[number.parse::<usize>().expect("a File-ID")];
                    let head = format!(
                        "Status Ok\r\nMessage-Type fetch\r\nMessage-ID {}\r\nFile-Name ",
                        asked.id
                    );
                    let rest = b"\r\nContent-Type pdf\r\nContent-Length 4\r\n\r\nevil";
                    client.send([head.as_bytes(), name, rest].concat());
                }
                _ => return,
            }
        }
    });
    address.to_string()
}

#[test]
fn no_name_of_a_server_leads_outside_or_hides_or_replaces_anything() {
    // E4: a client saves a file as its File-ID and its name, so that no name that a stranger has
    // chosen is ever hidden, a program's, or one that is there. The server itself is not trusted.
    let long = format!("{}.pdf", "\u{e9}".repeat(400));
    let cases: [(&[u8], &str); 17] = [
        (b"plan.pdf", "0 plan.pdf"),
        (b"plan.pdf", "1 plan.pdf"),
        (b"../../etc/passwd", "2 .._.._etc_passwd"),
        (b"/etc/passwd", "3 _etc_passwd"),
        (b"..", "4.pdf"),
        (b".", "5.pdf"),
        (b".bashrc", "6 .bashrc"),
        (b"Makefile", "7 Makefile"),
        (b"a\x1b[2J\x07\x7f\xc2\x9bb", "8 a_[2J___b"),
        ("\u{202e}fdp.exe".as_bytes(), "9 _fdp.exe"),
        ("in\u{200b}voice\u{feff}.pdf".as_bytes(), "10 invoice.pdf"),
        ("\u{200b}\u{3164}".as_bytes(), "11.pdf"),
        (b"caf\xe9.pdf", "12 caf\u{fffd}.pdf"),
        ("cafe\u{301}.pdf".as_bytes(), "13 cafe\u{301}.pdf"),
        ("caf\u{e9}.pdf".as_bytes(), "14 caf\u{e9}.pdf"),
        (b"-rf", "15 -rf"),
        (b"C:\\x", "16 C:_x"),
    ];
    let names = cases.iter().map(|(name, _)| name.to_vec()).chain([long.into_bytes()]).collect();
    let address = hostile_server(names);
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("a").join("b");
    fs::create_dir_all(&dir).unwrap();
    let fetch = |number: usize| {
        let mut command: Command = multichat(&address, &["fetch", &number.to_string()]);
        command.current_dir(&dir);
        Output::of(command)
    };
    for (number, (name, expected)) in cases.iter().enumerate() {
        assert_eq!(fetch(number).ok(), [*expected], "{}", name.escape_ascii());
        assert_eq!(fs::read(dir.join(expected)).expect("the file"), b"evil");
    }
    let cut = format!("17 {}.pdf", "\u{e9}".repeat(98));
    assert_eq!(fetch(17).ok(), [cut.as_str()]);
    let mut expected: Vec<&str> = cases.iter().map(|(_, name)| *name).chain([&*cut]).collect();
    expected.sort_unstable();
    assert_eq!(names_in(&dir), expected);
    assert_eq!(names_in(outer.path()), ["a"]);
    assert_eq!(names_in(&outer.path().join("a")), ["b"]);

    // What is there stays as it is, a link to somewhere else too.
    let link = |number: usize, to: &Path| {
        let path = dir.join(cases[number].1);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
    };
    link(0, &outer.path().join("target"));
    fetch(0).failed(1, "0 plan.pdf is already there, and is not overwritten");
    fs::write(outer.path().join("target"), "mine").unwrap();
    fetch(0).failed(1, "is already there");
    assert_eq!(fs::read(outer.path().join("target")).unwrap(), b"mine");
}

#[test]
fn no_name_of_a_file_is_obeyed_by_a_terminal() {
    // interface: control characters that arrive are shown, never obeyed.
    let name = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2028}";
    let address = Fake::serve(move |client| {
        client.begin();
        while let Some(asked) = client.next() {
            let body = match asked.text() {
                "features" => "extended\nfiles\n".to_string(),
                "files" => format!("1 pdf 3000 7 {name}\n"),
                _ => String::new(),
            };
            client.respond(&asked, "Ok", &body);
            if asked.text() == "extended" {
                client.send(format!(
                    "Message-Type chat\r\nFrom 7\r\nFile-ID 1\r\nFile-Name {name}\r\n\
                     Content-Type pdf\r\nContent-Length 3000\r\n\r\n"
                ));
            }
        }
    });
    for arguments in [&["files"][..], &["listen", "--count", "1"]] {
        for json in [&[][..], &["--json"]] {
            let arguments = [arguments, json].concat();
            let out = Output::of(multichat(&address.to_string(), &arguments)).ok();
            assert_eq!(out.len(), 1, "{out:?}");
            let obeyed = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
            assert!(!out[0].contains(obeyed) && out[0].contains("]0;x"), "{out:?}");
        }
    }
}
