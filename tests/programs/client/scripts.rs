//! The program in scripts, beyond one message a line: what it asks first, two-way JSON, types, paths,
//! output that nobody reads any more.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fake::Fake;
use super::{Output, multichat, names_in, run, run_with_input, wait_until};
use crate::common::{DEADLINE, Process, Server, assert_same_bytes, pattern};

#[test]
fn every_session_begins_with_query() {
    // §2.3.1.2: the first message is a query, without a body. What a command needs to know of the
    // server it asks behind it; a server that lists nothing is asked nothing that goes beyond the draft.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let address = Fake::serve(move |client| {
        client.begin();
        let mut connection = Vec::new();
        while let Some(asked) = client.next() {
            connection.push((
                asked.message_type.clone(),
                String::from_utf8_lossy(&asked.body).into_owned(),
            ));
            match asked.message_type.as_str() {
                "bye" => break,
                "query" if asked.body.is_empty() => client.respond(&asked, "Ok", "7\n"),
                "query" => client.respond(&asked, "Error", "what?\n"),
                _ => client.respond(&asked, "Ok", ""),
            }
        }
        noted.lock().push(connection);
    });
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("x.txt"), "x").unwrap();
    let check = |arguments: &[&str], expected: &[(&str, &str)]| {
        asked.lock().clear();
        let mut command = multichat(&address.to_string(), arguments);
        command.current_dir(dir.path());
        let _ = Output::of(command);
        wait_until("it has left", || !asked.lock().is_empty());
        let asked: Vec<_> = asked.lock().remove(0);
        let asked: Vec<_> =
            asked.iter().map(|(what, body)| (what.as_str(), body.as_str())).collect();
        assert_eq!(asked, expected, "{arguments:?}");
    };
    check(&["send", "hi"], &[("chat", "hi"), ("bye", "")]);
    check(&["-n", "Tom", "send", "hi"], &[("nickname", "Tom"), ("chat", "hi"), ("bye", "")]);
    let features = ("query", "features");
    check(&["files"], &[features, ("query", "files"), ("bye", "")]);
    check(&["fetch", "7"], &[features, ("fetch", "7"), ("bye", "")]);
    check(&["fetch", "7", "-o", "x"], &[("fetch", "7"), ("bye", "")]);
    check(&["share", "x.txt"], &[features, ("chat", "x"), ("bye", "")]);
    check(&["listen", "--timeout", "0.2"], &[features, ("bye", "")]);
    check(&["--history", "5", "--notices"], &[features, ("bye", "")]);
    check(&[], &[features, ("bye", "")]);
    check(&["who"], &[("query", "self"), ("query", "names"), ("query", ""), ("bye", "")]);
}

/// Runs two-way JSON with these lines, and takes its output apart.
fn objects(server: &Server, dir: &TempDir, options: &[&str], lines: &[Value]) -> (i32, Vec<Value>) {
    let arguments = [&["--json"], options].concat();
    let mut command = multichat(&server.address.to_string(), &arguments);
    command.current_dir(dir.path()).stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    process.stdin().write_all(input.as_bytes()).expect("write the lines");
    let status = process.wait(DEADLINE).code().expect("an exit status");
    assert!(process.log.seen.is_empty(), "{:?}", process.log.seen);
    let object = |line: &String| serde_json::from_str(line).expect("JSON");
    (status, process.out.seen.iter().map(object).collect())
}

#[test]
fn lines_of_json_are_carried_out_and_answered_in_their_order() {
    let server = Server::start();
    let mut tom = server.join();
    tom.set_nickname("Tom").ok();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a b.jpg"), pattern(1, 1000)).unwrap();
    let lines = [
        json!({"nick": "bot", "id": "n"}),
        json!({"text": "to all", "id": 1}),
        json!({"text": "to you\n\"x\"", "to": 1, "id": 2}),
        json!({"text": "by name", "to": "Tom", "id": null}),
        json!({"share": "a b.jpg", "to": 1, "id": [3]}),
        json!({"fetch": 1, "output": "copy.jpg", "id": 4}),
        json!({"fetch": 1}),
        json!({"query": "names"}),
    ];
    let (status, answered) = objects(&server, &dir, &[], &lines);
    assert_eq!(status, 0);
    let ok = |id: Value, more: Value| {
        let mut object = json!({"kind": "response", "id": id, "status": "ok"});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    assert_eq!(
        answered,
        [
            ok("n".into(), json!({"nickname": "bot"})),
            ok(1.into(), json!({})),
            ok(2.into(), json!({})),
            ok(Value::Null, json!({})),
            ok(json!([3]), json!({"file_id": 1})),
            ok(4.into(), json!({"output": "copy.jpg"})),
            ok(Value::Null, json!({"output": "1 a b.jpg"})),
            ok(Value::Null, json!({"answer": "1 Tom\n2 bot\n"})),
        ]
    );
    let relays = [tom.relay(), tom.relay(), tom.relay()];
    assert_eq!(relays.each_ref().map(|it| it.text()), ["to all", "to you\n\"x\"", "by name"]);
    assert_eq!(relays[2].field("To"), "1");
    assert_eq!(tom.relay().field("File-ID"), "1");
    assert_same_bytes(&fs::read(dir.path().join("copy.jpg")).unwrap(), &pattern(1, 1000));
    assert_eq!(names_in(dir.path()), ["1 a b.jpg", "a b.jpg", "copy.jpg"]);
}

#[test]
fn what_is_wrong_with_a_line_of_json_is_its_answer() {
    let server = Server::start();
    let dir = TempDir::new().unwrap();
    let input = "\u{feff}not JSON\n[1]\n{\"say\":1,\"id\":7}\n\n{\"text\":\"x\",\"to\":99,\"id\":8}\n\
                 {\"fetch\":5,\"id\":9}\n{\"share\":\"none\",\"id\":10}\n{\"nick\":\"\",\"id\":11}\n";
    let output = run_with_input(&server, &["--json"], input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let reasons = [
        (Value::Null, "this line is not JSON"),
        (Value::Null, "this line is JSON, but not an object"),
        (7.into(), "nothing is asked for: expected one of text, share, fetch, nick and query"),
        (8.into(), "no client 99 has connected"),
        (9.into(), "no file 5"),
        (10.into(), "cannot share none: No such file or directory"),
        (11.into(), "nickname"),
    ];
    assert_eq!(output.out.len(), reasons.len(), "{:#?}", output.out);
    for (line, (id, reason)) in output.out.iter().zip(reasons) {
        let object: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&object["status"], &object["id"]), (&"error".into(), &id), "{line}");
        assert!(object["reason"].as_str().is_some_and(|it| it.contains(reason)), "{line}");
    }
    drop(dir);
}

#[test]
fn what_arrives_stands_between_the_answers() {
    let server = Server::start();
    let mut tom = server.join();
    let mut command = multichat(&server.address.to_string(), &["--json"]);
    command.stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    let mut stdin = process.stdin();
    writeln!(stdin, "{}", json!({"text": "hello", "id": 1})).unwrap();
    assert_eq!(tom.relay().text(), "hello");
    process.out.wait_for("\"response\"");
    tom.say_to(2, "hi").ok();
    let line = process.out.wait_for("\"hi\"");
    let object: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&object["kind"], &object["from"], &object["to"]),
        (&"text".into(), &1.into(), &2.into())
    );
    drop(stdin);
    assert!(process.wait(DEADLINE).success());
}

#[test]
fn lists_are_objects_where_that_is_wanted() {
    let server = Server::start();
    let mut tom = server.join();
    tom.set_nickname("Tom \"T\"").ok();
    tom.share("jpg", [0; 30]).ok();
    let objects = |arguments: &[&str]| -> Vec<Value> {
        run(&server, arguments)
            .ok()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert_eq!(
        objects(&["who", "--json"]),
        [
            json!({"kind": "client", "uid": 1, "nickname": "Tom \"T\"", "self": false}),
            json!({"kind": "client", "uid": 2, "nickname": null, "self": true}),
        ]
    );
    let file = json!({"kind": "file", "file_id": 1, "content_type": "jpg", "bytes": 30, "from": 1});
    assert_eq!(objects(&["files", "--json"]), [file]);
}

#[test]
fn listening_ends_when_nobody_reads_what_is_listened_for() {
    // Also while nothing arrives.
    let server = Server::start();
    let mut peer = server.join();
    for arguments in [&["listen"][..], &[], &["--json"]] {
        let mut command = multichat(&server.address.to_string(), arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_until("it has joined", || peer.uids().len() == 2);
        drop(child.stdout.take());
        wait_until("it has ended", || child.try_wait().unwrap().is_some());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(Signal::PIPE.as_raw()), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{:?}", output.stderr);
        wait_until("it has left", || peer.uids().len() == 1);
    }
}

#[test]
fn a_byte_order_mark_at_the_start_is_none_of_the_text() {
    let server = Server::start();
    let mut peer = server.join();
    let input = "\u{feff}one\n\u{feff}two\n".as_bytes();
    assert!(run_with_input(&server, &[], input).ok().is_empty());
    assert_eq!((peer.relay().text(), peer.relay().text()), ("one", "\u{feff}two"));
    assert!(run_with_input(&server, &["send", "-"], input).ok().is_empty());
    assert_eq!(peer.relay().text(), "one\n\u{feff}two\n");
}

#[test]
fn the_output_of_a_program_is_cleaned_where_that_is_wanted() {
    let server = Server::start();
    let mut peer = server.join();
    let input = b"\x1b[31mred\x1b[0m\ncaf\xe9\r\n\x1b]0;title\x07plain\n";
    assert!(run_with_input(&server, &["--clean"], input).ok().is_empty());
    let said = [peer.relay(), peer.relay(), peer.relay()];
    assert_eq!(said.each_ref().map(|it| it.text()), ["red", "caf\u{fffd}", "plain"]);
    assert!(run_with_input(&server, &["send", "--clean", "-"], input).ok().is_empty());
    assert_eq!(peer.relay().text(), "red\ncaf\u{fffd}\nplain\n");
    run_with_input(&server, &["send", "-"], input).failed(1, "the text ");
}

#[test]
fn paths_are_bytes() {
    let server = Server::start();
    let mut peer = server.join();
    let dir = TempDir::new().unwrap();
    let name = OsStr::from_bytes(b"caf\xe9.txt");
    fs::write(dir.path().join(name), "x").unwrap();
    let run = |arguments: &[&OsStr]| {
        let mut command = multichat(&server.address.to_string(), &[]);
        command.args(arguments).current_dir(dir.path());
        Output::of(command)
    };
    assert_eq!(run(&["share".as_ref(), name]).ok(), ["1"]);
    assert_eq!(peer.relay().field("Content-Type"), "txt");
    let copy = OsStr::from_bytes(b"\xff\xfe");
    assert!(run(&["fetch".as_ref(), "1".as_ref(), "-o".as_ref(), copy]).ok().is_empty());
    assert_eq!(fs::read(dir.path().join(copy)).unwrap(), b"x");
    let log = OsStr::from_bytes(b"log\xe9");
    assert!(run(&["--log".as_ref(), log, "send".as_ref(), "hi".as_ref()]).ok().is_empty());
    assert!(dir.path().join(log).is_file());
    // Texts and nicknames are not.
    run(&["send".as_ref(), name]).failed(2, "send: the text is not UTF-8");
    run(&["-n".as_ref(), name, "who".as_ref()]).failed(2, "--nick caf\u{fffd}.txt: not UTF-8");
    run(&[name]).failed(2, "unknown command");
}

#[test]
fn a_directory_is_where_a_file_is_saved() {
    let server = Server::start();
    server.join().share("jpg", "x").ok();
    let dir = TempDir::new().unwrap();
    let into = dir.path().to_str().unwrap();
    assert_eq!(run(&server, &["fetch", "1", "-o", into]).ok(), [format!("{into}/1.jpg")]);
    run(&server, &["fetch", "1", "-o", into]).failed(1, "is already there");
    assert_eq!(names_in(dir.path()), ["1.jpg"]);
}

#[test]
fn standard_input_and_files_without_an_extension_have_the_type_that_is_named() {
    let server = Server::start();
    let mut peer = server.join();
    let dir = TempDir::new().unwrap();
    let readme = dir.path().join("README");
    fs::write(&readme, "read me").unwrap();
    let bytes = pattern(2, 100_000);
    let input = dir.path().join("input");
    fs::write(&input, &bytes).unwrap();
    let arguments = ["share", "--type", "pdf", "-", readme.to_str().unwrap()];
    let mut command = multichat(&server.address.to_string(), &arguments);
    command.stdin(File::open(&input).unwrap());
    assert_eq!(Output::of(command).ok(), ["1", "2"]);
    assert_eq!(
        (peer.relay().field("Content-Type"), peer.relay().field("Content-Type")),
        ("pdf", "pdf")
    );
    assert_same_bytes(&peer.fetch(1).ok().body, &bytes);
}

#[test]
fn a_file_over_the_servers_limit_is_not_sent_and_the_next_one_is() {
    let server = Server::with(&["--max-file", "1k"]);
    let mut peer = server.join();
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    File::create(path("large.bin")).unwrap().set_len(17 << 20).unwrap();
    fs::write(path("small.bin"), "x").unwrap();
    let output = run(&server, &["-n", "Tom", "share", &path("large.bin"), &path("small.bin")]);
    assert_eq!(output.failed(1, "large.bin: "), ["1"]);
    assert_eq!(peer.relay().field("Sender-Nickname"), "Tom");

    // A server that tells its limit gets nothing of it.
    let sent = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&sent);
    let address = Fake::serve(move |client| {
        while let Some(asked) = client.next() {
            match (asked.message_type.as_str(), asked.body.as_slice()) {
                ("query", b"features") => client.respond(&asked, "Ok", "self\nmax-file 1000\n"),
                ("chat", body) => *noted.lock() += body.len(),
                _ => client.respond(&asked, "Ok", "7\n"),
            }
        }
    });
    let command = multichat(&address.to_string(), &["share", &path("large.bin")]);
    let expected =
        "large.bin: not sent: its 17825792 bytes are over the server's limit of 1000 bytes";
    Output::of(command).failed(1, expected);
    assert_eq!(*sent.lock(), 0);
}

#[test]
fn a_receiver_may_be_named_by_the_nickname() {
    let server = Server::start();
    let mut tom = server.join();
    tom.set_nickname("Tom Smith").ok();
    let mut ann = server.join();
    assert!(run(&server, &["-t", "Tom Smith", "send", "psst"]).ok().is_empty());
    assert_eq!(tom.relay().field("To"), "1");
    assert!(run_with_input(&server, &["-t", "Tom Smith"], b"one\ntwo\n").ok().is_empty());
    assert_eq!((tom.relay().text(), tom.relay().field("To")), ("one", "1"));
    run(&server, &["-t", "Eve", "send", "psst"]).failed(1, "nobody here is called Eve");
    run_with_input(&server, &["-t", "Eve"], b"psst\n").failed(1, "nobody here is called Eve");
    ann.set_nickname("Tom Smith").ok();
    run(&server, &["-t", "Tom Smith", "send", "psst"]).failed(1, "several are called Tom Smith");
    tom.expect_nothing();
    ann.expect_nothing();
}

#[test]
fn listening_shows_times_where_they_are_wanted() {
    let server = Server::start();
    let mut peer = server.join();
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let arguments = ["listen", "--times", "--count", "1", "--log", log.to_str().unwrap()];
    let mut process = Process::spawn(multichat(&server.address.to_string(), &arguments));
    wait_until("it has joined", || peer.uids().len() == 2);
    peer.say("hi").ok();
    assert!(process.wait(DEADLINE).success());
    let line = &process.out.seen[0];
    assert_eq!((&line[2..3], &line[5..6], &line[8..]), (":", ":", " 1: hi"), "{line}");
    assert!(fs::read_to_string(&log).unwrap().ends_with(" 1: hi\n"));
}

#[test]
fn the_first_connection_is_tried_again_as_well() {
    let mut server = Server::start();
    let address = server.address.to_string();
    server.kill();
    let mut send = Process::spawn(multichat(&address, &["--reconnect", "send", "hi"]));
    let mut listen =
        Process::spawn(multichat(&address, &["--reconnect", "listen", "--count", "1"]));
    for process in [&mut send, &mut listen] {
        process.log.wait_for("Connection refused; trying again in 1 s");
    }
    let _again = Server::with(&["--listen", &address]);
    assert!(send.wait(DEADLINE).success());
    drop(listen);
    Output::of(multichat(&address, &["who"])).ok();
}

#[test]
fn a_link_local_address_needs_its_interface() {
    let server = Server::start();
    let _ = server;
    let wrong = Output::of(multichat("[fe80::1%no-such]:1", &["who"]));
    wrong.failed(1, "cannot connect to [fe80::1%no-such]:1: there is no network interface");
    let without = Output::of(multichat("[fe80::1]:1", &["who"]));
    assert_eq!(without.status.code(), Some(1));
    if without.err[0].contains("Invalid argument") {
        assert!(without.err[0].contains("such as fe80::1%eth0"), "{:?}", without.err);
    }
}
