//! The program in scripts: commands, pipes, exit statuses.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::fake::Fake;
use super::{Output, multichat, names_in, run, run_with_input, wait_until};
use crate::common::{Process, Server, assert_same_bytes, message, pattern};

#[test]
fn send_says_one_message() {
    let server = Server::start();
    let mut peer = server.join();
    assert!(run(&server, &["--nick", "Tom", "send", "How", "are you?"]).ok().is_empty());
    let relay = peer.relay();
    assert_eq!((relay.field("Sender-Nickname"), relay.text()), ("Tom", "How are you?"));
    assert!(run_with_input(&server, &["send", "-"], b"a\n\nb\n").ok().is_empty());
    assert_eq!(peer.relay().text(), "a\n\nb\n");
    let to = peer.uid.to_string();
    assert!(run(&server, &["-t", &to, "send", "psst"]).ok().is_empty());
    let relay = peer.relay();
    assert_eq!((relay.field("To"), relay.text()), (&*to, "psst"));
    run(&server, &["-t", "99", "send", "x"]).failed(1, "no client 99 has connected");
    run(&server, &["send", "\u{1b}[2J"]).failed(1, "control character U+001B");
    run(&server, &["-n", "\u{1b}", "send", "x"]).failed(1, "the nickname was refused");
    peer.expect_nothing();
}

#[test]
fn files_are_shared_listed_and_fetched() {
    let server = Server::start();
    let mut peer = server.join();
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let bytes = pattern(1, 300_000);
    fs::write(file("cat.jpg"), &bytes).unwrap();
    fs::write(file("a.tar.gz"), b"tar").unwrap();
    let shared = run(&server, &["share", &file("cat.jpg"), &file("a.tar.gz")]).ok();
    assert_eq!(shared, ["1", "2"]);
    let relay = peer.relay();
    assert_eq!((relay.field("Content-Type"), relay.field("File-ID")), ("jpg", "1"));
    assert_eq!(peer.relay().field("Content-Type"), "tar.gz");
    let listed = run(&server, &["files"]).ok();
    assert_eq!(listed.len(), 2);
    assert!(listed[0].starts_with("1 jpg 300000 "), "{listed:?}");

    let mut fetch = multichat(&server.address.to_string(), &["fetch", "1"]);
    fetch.current_dir(dir.path());
    assert_eq!(Output::of(fetch).ok(), ["1 cat.jpg"]);
    assert_same_bytes(&fs::read(file("1 cat.jpg")).unwrap(), &bytes);

    // It is there: it is not overwritten, unless it is named.
    fs::write(file("1 cat.jpg"), b"mine").unwrap();
    let mut fetch = multichat(&server.address.to_string(), &["fetch", "1"]);
    fetch.current_dir(dir.path());
    assert!(Output::of(fetch).failed(1, "1 cat.jpg is already there").is_empty());
    assert_eq!(fs::read(file("1 cat.jpg")).unwrap(), b"mine");
    assert!(run(&server, &["fetch", "1", "-o", &file("1 cat.jpg")]).ok().is_empty());
    assert_same_bytes(&fs::read(file("1 cat.jpg")).unwrap(), &bytes);

    let mut to_stdout = multichat(&server.address.to_string(), &["fetch", "1", "-o", "-"]);
    let out = file("out");
    let status = to_stdout.stdout(File::create(&out).unwrap()).status().unwrap();
    assert!(status.success());
    assert_same_bytes(&fs::read(&out).unwrap(), &bytes);

    run(&server, &["fetch", "9"]).failed(1, "no file 9");
    run(&server, &["fetch", "1", "-o", &file("no/such")]).failed(1, "No such file");
    run(&server, &["share", &file("none")]).failed(1, "cannot share");
    run(&server, &["share", &file("")]).failed(1, "it is a directory; pack it first: tar -czf ");
    assert_eq!(names_in(dir.path()), ["1 cat.jpg", "a.tar.gz", "cat.jpg", "out"]);
}

#[test]
fn one_file_that_cannot_be_shared_does_not_keep_the_others_back() {
    let server = Server::with(&["--max-file", "1k"]);
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    fs::write(file("large.bin"), [0; 2000]).unwrap();
    fs::write(file("small.bin"), [0; 1000]).unwrap();
    let output = run(&server, &["share", &file("large.bin"), &file("none"), &file("small.bin")]);
    assert_eq!(output.err.len(), 2, "{:?}", output.err);
    let told = "large.bin: not sent: its 2000 bytes are over the server's limit of 1024 bytes";
    assert_eq!(output.failed(1, told), ["1"]);
}

#[test]
fn who_lists_uids_and_nicknames() {
    let server = Server::start();
    let mut peer = server.join();
    peer.set_nickname("Tom Smith").ok();
    assert_eq!(run(&server, &["who"]).ok(), ["1 Tom Smith", "2"]);
    let mut with_variables = multichat("localhost:1", &["who"]);
    with_variables.env("MULTICHAT_NICK", "Ann");
    Output::of(with_variables).failed(1, "cannot connect to localhost:1: ");
    let mut with_variables = std::process::Command::new(env!("CARGO_BIN_EXE_multichat"));
    with_variables.arg("who").env("MULTICHAT_NICK", "Ann").stdin(Stdio::null());
    with_variables.env("MULTICHAT_SERVER", server.address.to_string());
    assert_eq!(Output::of(with_variables).ok(), ["1 Tom Smith", "3 Ann"]);
}

#[test]
fn lines_of_standard_input_are_messages_and_what_arrives_is_printed() {
    let server = Server::start();
    let mut peer = server.join();
    let mut command = multichat(&server.address.to_string(), &["-n", "build"]);
    command.stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    let mut stdin = process.stdin();
    // Line buffered, both ways: each is there before the next is sent.
    for (line, answer) in [("one", "eins"), ("two", "zwei"), ("", "leer")] {
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        let relay = peer.relay();
        assert_eq!((relay.field("Sender-Nickname"), relay.text()), ("build", line));
        peer.say(answer).ok();
        process.out.wait_for(answer);
    }
    stdin.write_all(b"no line's end").unwrap();
    drop(stdin);
    assert!(process.wait(super::DEADLINE).success());
    assert_eq!(process.out.seen, ["1: eins", "1: zwei", "1: leer"]);
    assert!(process.log.seen.is_empty(), "{:?}", process.log.seen);
    assert_eq!(peer.relay().text(), "no line's end");
    let refused = peer.say_to(2, "x");
    assert!(refused.reason().contains("it said bye"), "{refused:?}");
}

#[test]
fn many_lines_arrive_in_order() {
    let server = Server::start();
    let mut peer = server.join();
    let lines: String = (0..5000).map(|number| format!("{number}\n")).collect();
    assert!(run_with_input(&server, &[], lines.as_bytes()).ok().is_empty());
    for number in 0..5000 {
        assert_eq!(peer.relay().text(), number.to_string());
    }
}

#[test]
fn a_line_that_is_refused_is_told_and_the_others_are_sent() {
    let server = Server::with(&["--max-text", "10"]);
    let mut peer = server.join();
    let output = run_with_input(&server, &[], b"short\nlonger than ten\n\xff\nlast\r\n");
    assert_eq!(output.err.len(), 2, "{:?}", output.err);
    output.failed(1, "over the limit of 10 bytes");
    assert_eq!(peer.relay().text(), "short");
    assert_eq!(peer.relay().text(), "last");
    peer.expect_nothing();
}

#[test]
fn listen_prints_a_line_a_message_and_counts() {
    let server = Server::start();
    let mut peer = server.join();
    peer.set_nickname("Tom").ok();
    let command = multichat(&server.address.to_string(), &["listen", "--count", "4"]);
    let mut process = Process::spawn(command);
    wait_until("it has joined", || peer.uids().len() == 2);
    peer.say("How are you?").ok();
    peer.say_to(2, "a\nb").ok();
    peer.share("jpg", [0; 3000]).ok();
    peer.say("\tend\n").ok();
    assert!(process.wait(super::DEADLINE).success());
    let expected = [
        "1 Tom: How are you?",
        "(to you) 1 Tom: a",
        "    b",
        "1 Tom shared file 1 (jpg, 3000 bytes)",
        "1 Tom:     end",
    ];
    assert_eq!(process.out.seen, expected);
    assert!(process.log.seen.is_empty(), "{:?}", process.log.seen);
}

#[test]
fn listen_as_json_is_one_object_a_line() {
    let server = Server::start();
    let mut peer = server.join();
    let command = multichat(&server.address.to_string(), &["listen", "--json", "--count", "2"]);
    let mut process = Process::spawn(command);
    wait_until("it has joined", || peer.uids().len() == 2);
    peer.say_to(2, "a\n\"b\"").ok();
    peer.share("jpg", [0; 3000]).ok();
    assert!(process.wait(super::DEADLINE).success());
    let objects: Vec<Value> =
        process.out.seen.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let text = &objects[0];
    assert_eq!((&text["kind"], &text["from"], &text["to"]), (&"text".into(), &1.into(), &2.into()));
    assert_eq!((&text["text"], &text["bytes"]), (&"a\n\"b\"".into(), &5.into()));
    assert_eq!((&text["nickname"], &text["content_type"]), (&Value::Null, &"text".into()));
    let file = &objects[1];
    assert_eq!((&file["kind"], &file["file_id"]), (&"file".into(), &1.into()));
    assert_eq!((&file["content_type"], &file["bytes"]), (&"jpg".into(), &3000.into()));
    assert!(file["time"].as_str().expect("a time").ends_with('Z'), "{file}");
}

#[test]
fn listen_ends_when_the_time_is_up_or_the_server_stops() {
    let server = Server::start();
    run(&server, &["listen", "--timeout", "0.1"]).failed(1, "stopped listening after 0.1 s");
    run(&server, &["listen", "--timeout", "0.1", "--count", "2"])
        .failed(1, "2 messages did not come within 0.1 s");
    let mut peer = server.join();
    let mut process = Process::spawn(multichat(&server.address.to_string(), &["listen"]));
    wait_until("it has joined", || peer.uids().len() == 2);
    drop(peer);
    server.stop();
    assert_eq!(process.wait(super::DEADLINE).code(), Some(1));
    assert_eq!(process.log.seen, ["multichat: the server closed the connection"]);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let server = Server::start();
    let mut peer = server.join();
    let mut command = multichat(&server.address.to_string(), &["listen"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it has joined", || peer.uids().len() == 2);
    peer.say("one").ok();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "1: one\n");
    drop(out);
    // Whatever another test starts at this moment may hold the pipe for a little longer.
    wait_until("it has ended", || {
        // It may have left meanwhile, and then this reaches nobody.
        let _ = peer.say("two");
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::PIPE.as_raw()));
    assert!(output.stderr.is_empty(), "{:?}", output.stderr);
}

#[test]
fn nothing_that_a_server_sends_is_obeyed_by_a_terminal() {
    let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\r\u{2028}";
    let address = Fake::serve(move |client| {
        while let Some(asked) = client.next() {
            match asked.message_type.as_str() {
                "nickname" => {
                    client.respond(&asked, "Ok", "x");
                    client.send(message(
                        &format!(
                            "Message-Type chat\nFrom 7\nSender-Nickname {}\nContent-Type text",
                            hostile.replace('\r', "")
                        ),
                        hostile,
                    ));
                    client.send(format!(
                        "Message-Type chat\r\nFrom 7\r\nFile-ID 1\r\nContent-Type {0}\r\n\
                         Content-Length 3000\r\n\r\n",
                        hostile.replace('\r', "")
                    ));
                }
                "chat" | "fetch" => client.respond(&asked, "Error", hostile),
                _ => client.respond(&asked, "Ok", &format!("7 {}\n", hostile.replace('\r', ""))),
            }
        }
    });
    let dir = TempDir::new().unwrap();
    let commands: [&[&str]; 5] = [
        &["-n", "x", "listen", "--count", "2"],
        &["-n", "x", "listen", "--json", "--count", "2"],
        &["send", "x"],
        &["fetch", "1"],
        &["who"],
    ];
    for arguments in commands {
        let mut command = multichat(&address.to_string(), arguments);
        command.current_dir(dir.path());
        let output = Output::of(command);
        let shown = [output.out, output.err].concat();
        assert!(!shown.is_empty());
        for line in shown {
            let obeyed = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}');
            assert!(!line.contains(obeyed), "{arguments:?}: {line:?}");
        }
    }
    assert_eq!(names_in(dir.path()), [""; 0]);
}

#[test]
fn a_hostile_type_never_becomes_a_path() {
    let address = Fake::serve(|client| {
        while let Some(asked) = client.next() {
            client.send(format!(
                "Status Ok\r\nMessage-Type fetch\r\nMessage-ID {}\r\nContent-Type ../../x\r\n\
                 Content-Length 2\r\n\r\nhi",
                asked.id
            ));
        }
    });
    let dir = TempDir::new().unwrap();
    let mut command = multichat(&address.to_string(), &["fetch", "7"]);
    command.current_dir(dir.path());
    assert_eq!(Output::of(command).ok(), ["7.bin"]);
    assert_eq!(names_in(dir.path()), ["7.bin"]);
}

#[test]
fn a_server_of_the_draft_will_do() {
    // It knows no query with a body, and closes at one.
    let address = Fake::serve(|client| {
        while let Some(asked) = client.next() {
            match (asked.message_type.as_str(), asked.body.as_slice()) {
                ("query", b"") => client.respond(&asked, "Ok", "9527\n9528\n"),
                ("query", _) | ("bye", _) => return,
                _ => client.respond(&asked, "Ok", ""),
            }
        }
    });
    let run = |arguments: &[&str]| Output::of(multichat(&address.to_string(), arguments));
    assert_eq!(run(&["who"]).ok(), ["9527", "9528"]);
    assert!(run(&["send", "hi"]).ok().is_empty());
    assert!(run(&["-n", "Tom", "send", "hi"]).ok().is_empty());
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let server = Server::start();
    let check = |arguments: &[&str], reason: &str| {
        let output = run(&server, arguments);
        assert_eq!(output.err.get(1).map(String::as_str), Some("try 'multichat --help'"));
        assert_eq!(output.err.len(), 2, "{:?}", output.err);
        assert!(output.failed(2, reason).is_empty());
    };
    check(&["--bogus"], "--bogus: unknown option");
    check(&["bogus"], "bogus: unknown command");
    check(&["who", "me"], "me: unexpected argument");
    check(&["send"], "send: a text is missing");
    check(&["share"], "share: a file is missing");
    check(&["fetch"], "fetch: a File-ID is missing");
    check(&["fetch", "x"], "fetch x: not a File-ID");
    check(&["fetch", "3", "4"], "one file at a time: multichat fetch 3; multichat fetch 4");
    check(&["192.168.1.20"], "unknown command; to connect there: multichat -s 192.168.1.20");
    check(&["localhost:8081"], "unknown command; to connect there: multichat -s localhost:8081");
    check(&["-t", "", "send", "x"], "--to : not a UID, and not a nickname");
    check(&["share", "-"], "share -: the type is missing (such as --type pdf)");
    check(&["share", "--type", "../x", "y"], "--type ../x: not a type");
    check(&["send", "x", "--times"], "--times: only with listen and piped lines");
    check(&["--log", ""], "--log : not a file's name");
    check(&["listen", "--count", "0"], "--count 0: ");
    check(&["listen", "--timeout", "soon"], "--timeout soon: not a time");
    check(&["send", "--json", "x"], "--json: only with listen, who, files and piped lines");
    check(&["who", "--output", "x"], "--output: only with fetch");
    check(&["-n"], "-n: a value is missing");
    Output::of(multichat("a:b:c", &["who"])).failed(2, "--server a:b:c: not an address");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let server = Server::start();
    let help = run(&server, &["--help"]).ok();
    assert!(help.iter().all(|line| line.len() <= 79), "{help:#?}");
    for word in ["send", "share", "fetch", "who", "files", "listen", "--reconnect", "Exit status"] {
        assert!(help.iter().any(|line| line.contains(word)), "no {word} in {help:#?}");
    }
    assert_eq!(run(&server, &["-V"]).ok(), [format!("multichat {}", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn a_port_that_is_not_multichats_is_told_as_such() {
    let ssh = Fake::serve(|client| {
        client.send("SSH-2.0-OpenSSH_9.2\r\n");
        let mut rest = Vec::new();
        let _ = client.input().read_to_end(&mut rest);
    });
    let output = Output::of(multichat(&ssh.to_string(), &["who"]));
    output.failed(1, "what the server sent is not of this protocol");
}

#[test]
fn what_arrives_before_the_nickname_is_set_is_not_waited_for() {
    // A busy room: there is more than the program holds before it is answered.
    let address = Fake::serve(|client| {
        while let Some(asked) = client.next() {
            for nth in 0..100 {
                let len = format!("text {nth}").len();
                client.send(format!(
                    "Message-Type chat\r\nFrom 7\r\nContent-Type text\r\nContent-Length {len}\r\n\r\n\
                     text {nth}"
                ));
            }
            client.respond(&asked, "Ok", "Tom");
        }
    })
    .to_string();
    let out = Output::of(multichat(&address, &["-n", "Tom", "listen", "--count", "100"])).ok();
    assert_eq!(out.len(), 100);
    assert_eq!(out[99], "7: text 99");
    let out = Output::of(multichat(&address, &["-n", "Tom"])).ok();
    assert_eq!(out[99], "7: text 99");
}

#[test]
fn the_time_to_listen_is_up_though_the_server_does_not_answer() {
    let address = Fake::serve(|client| while client.next().is_some() {});
    let arguments = ["-n", "Tom", "listen", "--timeout", "0.1", "--count", "1"];
    Output::of(multichat(&address.to_string(), &arguments))
        .failed(1, "no message came within 0.1 s");
}

#[test]
fn a_lost_connection_is_always_told_with_its_reason() {
    let address = Fake::serve(|client| {
        client.next();
        client.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    })
    .to_string();
    let dir = TempDir::new().unwrap();
    let input = dir.path().join("input");
    fs::write(&input, "hello\n").unwrap();
    // Who is faster to say it, the thread that sends or the one that watches, is by chance.
    for _ in 0..20 {
        let mut command = multichat(&address, &[]);
        command.stdin(File::open(&input).unwrap());
        Output::of(command).failed(1, "what the server sent is not of this protocol");
    }
}
