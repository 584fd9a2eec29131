//! The command line: options, usage errors, failures at start, limits on clients, and the log.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use crate::common::{DEADLINE, Peer, Process, Server, chat, multichatd};

fn run(options: &[&str]) -> Output {
    multichatd(options).output().expect("run multichatd")
}

/// Runs it to its end; `expected` is the status and standard error.
#[track_caller]
fn fails(options: &[&str], status: i32, expected: &str) {
    let output = run(options);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(error, expected, "{options:?}");
    assert_eq!(output.status.code(), Some(status), "{options:?}");
    assert!(output.stdout.is_empty(), "{options:?}");
}

#[track_caller]
fn is_wrong_usage(options: &[&str], what: &str) {
    fails(options, 2, &format!("multichatd: {what}\ntry 'multichatd --help'\n"));
}

#[test]
fn usage_errors_are_named_in_one_line_with_status_2() {
    // An unknown flag, a value that does not parse, or a stray argument: one line that names it, then
    // `try 'multichatd --help'`, and exit status 2. A limit of 0 is refused.
    is_wrong_usage(&["--frobnicate"], "--frobnicate: unknown option");
    is_wrong_usage(&["-x"], "-x: unknown option");
    is_wrong_usage(&["stray"], "stray: unexpected argument");
    is_wrong_usage(&["--max-text"], "--max-text: a value is missing");
    is_wrong_usage(&["--ascii=yes"], "--ascii: takes no value");
    is_wrong_usage(&["--max-text", "1", "--max-text", "2"], "--max-text: given more than once");
    let not_size = "not a size (digits, then k, M or G)";
    for size in ["stage-limit", "max-text", "max-file", "queue-limit"] {
        let option = format!("--{size}");
        for bad in ["12x", "", "-1", "1.5M"] {
            is_wrong_usage(&[&option, bad], &format!("{option} {bad}: {not_size}"));
        }
        is_wrong_usage(&[&option, "0"], &format!("{option} 0: a limit of 0 would allow nothing"));
        let huge = "99999999999G";
        is_wrong_usage(&[&option, huge], &format!("{option} {huge}: too large a size"));
    }
    for count in ["--max-clients", "--max-per-host"] {
        is_wrong_usage(&[count, "many"], &format!("{count} many: not a number (decimal digits)"));
        is_wrong_usage(&[count, "0"], &format!("{count} 0: a limit of 0 would allow nothing"));
    }
    let not_time = "not a time in seconds (such as 10 or 0.5)";
    is_wrong_usage(&["--stall-timeout", "soon"], &format!("--stall-timeout soon: {not_time}"));
    let zero = "--stall-timeout 0: a limit of 0 would allow nothing";
    is_wrong_usage(&["--stall-timeout", "0"], zero);
    let not_port = "--listen localhost:99999: not a port (0 to 65535)";
    is_wrong_usage(&["--listen", "localhost:99999"], not_port);
    is_wrong_usage(&["--stage", ""], "--stage : not a directory's name");
    // A hint, where it is plain what was meant.
    is_wrong_usage(&["8081"], "8081: unexpected argument; to listen there: -l 8081");
    is_wrong_usage(
        &["192.168.1.20"],
        "192.168.1.20: unexpected argument; to listen there: -l 192.168.1.20",
    );
}

#[test]
fn failures_at_start_say_what_was_tried_with_status_1() {
    // A failure at run time: one line that says what was tried and why it failed, exit status 1.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let why = format!(
        "multichatd: cannot listen on {address}: Address already in use; -l chooses another port (-l 8081, or -l 0 for any)\n"
    );
    fails(&["--listen", &address], 1, &why);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let stage = file.join("stage");
    let stage = stage.to_str().unwrap();
    let why = format!("multichatd: cannot keep shared files in {stage}: Not a directory\n");
    fails(&["--listen", "127.0.0.1:0", "--stage", stage], 1, &why);

    let unknown = run(&["--listen", "no.such.host.invalid"]);
    let error = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(1), "{error}");
    assert!(error.starts_with("multichatd: cannot listen on no.such.host.invalid: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn help_and_version_go_to_standard_output_with_status_0() {
    for (option, start) in [
        ("--help", "Usage: multichatd [options]\n"),
        ("-h", "Usage: multichatd [options]\n"),
        ("--version", concat!("multichatd ", env!("CARGO_PKG_VERSION"), "\n")),
        ("-V", concat!("multichatd ", env!("CARGO_PKG_VERSION"), "\n")),
    ] {
        let output = run(&[option]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{option}");
        assert!(text.starts_with(start), "{option}: {text}");
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(80), "{option}: {widest:?} columns");
    }
}

/// Starts a server with these options and reads as many `listening` lines.
#[track_caller]
fn listens(options: &[&str], lines: usize) -> Vec<String> {
    let mut server = Process::spawn(multichatd(options));
    while server.out.seen.len() < lines {
        let seen = server.out.seen.len();
        server.out.wait_for_line(seen);
    }
    for line in &server.out.seen {
        let address = line.strip_prefix("listening on ").expect("the line's form");
        let mut peer = Peer::connect(address.parse().expect("an address and a port"));
        peer.uids();
    }
    server.out.seen.clone()
}

#[test]
fn a_line_for_each_listening_address_tells_the_real_port() {
    // PORT, HOST or HOST:PORT; may be given more than once. Once it can accept clients it prints one
    // line per listening address to standard output.
    let all = listens(&["-l", "0"], 1);
    assert!(
        all[0].starts_with("listening on [::]:") || all[0].starts_with("listening on 0.0.0.0:")
    );
    assert!(!all[0].ends_with(":0"));
    let port = all[0].rsplit(':').next().unwrap();
    assert!(port.parse::<u16>().unwrap() > 0);
    let two = listens(&["--listen", "127.0.0.1:0", "--listen=127.0.0.2:0"], 2);
    assert!(two[0].starts_with("listening on 127.0.0.1:"), "{two:?}");
    assert!(two[1].starts_with("listening on 127.0.0.2:"), "{two:?}");
    if TcpListener::bind("[::1]:0").is_ok() {
        let ipv6 = listens(&["-l", "[::1]:0"], 1);
        assert!(ipv6[0].starts_with("listening on [::1]:"), "{ipv6:?}");
    }
}

#[test]
fn one_port_serves_ipv4_and_ipv6() {
    // Both IPv4 and IPv6 on one port.
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("no IPv6 on this machine, skipped");
        return;
    }
    let mut server = Process::spawn(multichatd(&["-l", "0"]));
    let line = server.out.wait_for("listening on ");
    let port: u16 = line.rsplit(':').next().unwrap().parse().unwrap();
    // The kernel makes a connection; the answer to a query shows that the client is in.
    let mut ipv4 = Peer::connect(([127, 0, 0, 1], port).into());
    assert_eq!(ipv4.query("self").ok().text(), "1\n");
    let mut ipv6 = Peer::connect(([0u16, 0, 0, 0, 0, 0, 0, 1], port).into());
    assert_eq!(ipv6.query("self").ok().text(), "2\n");
    assert_eq!(ipv4.uids(), [1, 2]);
    ipv6.say("from IPv6").ok();
    assert_eq!(ipv4.relay().text(), "from IPv6");
}

#[test]
fn one_client_too_many_gets_an_error_and_is_closed() {
    // Clients at a time; one more gets an error and is closed.
    let server = Server::with(&["--max-clients", "2"]);
    let mut first = server.join();
    let second = server.join();
    let mut third = server.connect();
    let refused = third.messages_to_end();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].field("Message-Type"), "unknown");
    assert_eq!(refused[0].number("Message-ID"), 0);
    assert_eq!(
        refused[0].reason(),
        "the room is full: 2 clients are connected; try again later; the connection is closed"
    );
    // Nobody else noticed, no UID was used, and there is room again once somebody has left.
    let uid = second.uid;
    second.bye();
    first.wait_until_gone(uid);
    assert_eq!(server.join_once_there_is_room().uid, 3);
    first.expect_nothing();
}

#[test]
fn whoever_closes_a_connection_to_a_full_room_and_comes_back_at_once_is_let_in() {
    // A client that closes without bye has left at once (P4, bye): its place is free again.
    for limit in ["--max-clients", "--max-per-host"] {
        let server = Server::with(&[limit, "1"]);
        for uid in 1..=100 {
            let peer = server.join();
            assert_eq!(peer.uid, uid);
        }
    }
}

#[test]
fn the_refusal_reaches_a_newcomer_that_goes_on_sending() {
    let server = Server::with(&["--max-clients", "1"]);
    let _first = server.join();
    let mut second = server.connect();
    second.try_send(vec![b'x'; 300_000]);
    let got = second.read_to_any_end();
    assert!(got.starts_with(b"Status Error\r\n"), "{}", got.escape_ascii());
}

#[test]
fn clients_of_one_address_are_limited_by_themselves() {
    // Clients at a time from one address.
    let server = Server::with(&["--max-per-host", "1"]);
    let mut first = Peer::connect_from("127.0.0.1", server.address);
    assert_eq!(first.uids(), [1]);
    let refused = Peer::connect_from("127.0.0.1", server.address).messages_to_end();
    let expected = "1 clients are connected from your address, which is the limit; \
                    try again later; the connection is closed";
    assert_eq!(refused[0].reason(), expected);
    let mut other = Peer::connect_from("127.0.0.2", server.address);
    assert_eq!(other.uids(), [1, 2]);
    first.bye();
    other.wait_until_gone(1);
    assert_eq!(Peer::connect_from("127.0.0.1", server.address).uids(), [2, 3]);
}

#[test]
fn two_hundred_clients_that_connect_at_once_are_all_let_in() {
    // A listen backlog of 1,024: 200 clients that connect at once must not wait for a repeated SYN.
    let server = Server::start();
    let streams: Vec<_> =
        (0..200).map(|_| TcpStream::connect(server.address).expect("connect")).collect();
    let mut last = server.connect();
    assert_eq!(last.uids(), (1..=201).collect::<Vec<_>>());
    drop(streams);
}

fn talk(server: &Server) {
    let mut tom = server.join();
    tom.set_nickname("Tom\u{1F600}").ok();
    tom.say("the secret body").ok();
    tom.send("Message-Type shout\nMessage-ID 9\nContent-Length 6\n\nsecret");
    tom.response().reason();
    tom.send("Message-Type query\nMessage-ID 9\nContent-Length 6\n\nsecret");
    tom.response().reason();
    tom.bye();
}

#[test]
fn the_log_says_who_comes_and_goes_and_never_holds_a_body() {
    // Info for joining and leaving; bodies are never logged.
    for (options, debug, trace) in
        [(&[][..], false, false), (&["-v"], true, false), (&["-vv"], true, true)]
    {
        let server = Server::with(options);
        talk(&server);
        let log = server.stop().join("\n");
        assert!(log.contains("client 1: joined from 127.0.0.1"), "{options:?}: {log}");
        assert!(log.contains("client 1: left: it said bye"), "{options:?}: {log}");
        assert_eq!(log.contains("is now \"Tom\u{1F600}\""), debug, "{options:?}: {log}");
        assert_eq!(log.contains("chat 3, text, 15 bytes"), trace, "{options:?}: {log}");
        assert!(!log.contains("secret"), "{options:?}: {log}");
    }
}

#[test]
fn quiet_leaves_warnings_and_errors_and_rust_log_overrides_it() {
    let server = Server::with(&["--quiet"]);
    talk(&server);
    let mut bad = server.connect();
    bad.send("hello\n");
    bad.messages_to_end();
    let log = server.stop();
    assert_eq!(log.len(), 1, "{log:#?}");
    assert!(log[0].contains("WARN") && log[0].contains("client 2: disconnected: "), "{log:#?}");

    let server = Server::with_log_filter(&["--quiet"], Some("info"));
    talk(&server);
    let log = server.stop().join("\n");
    assert!(log.contains("client 1: joined"), "{log}");
}

#[test]
fn a_nickname_cannot_forge_a_line_of_the_log() {
    // Bad input gets a clear error, and a nickname is one line without control characters.
    let server = Server::with(&["-vv"]);
    let mut tom = server.join();
    tom.set_nickname("x\n[2026-01-01T00:00:00Z ERROR] forged").reason();
    tom.set_nickname("\" ERROR forged").ok();
    tom.send(chat(1, "x\n[2026-01-01T00:00:00Z ERROR] forged"));
    tom.response();
    let log = server.stop();
    assert!(!log.iter().any(|line| line.contains("ERROR]")), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("is now \"\" ERROR forged\"")), "{log:#?}");
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    // Nothing may hang: a terminal that was stopped, or a pipe that nobody reads, is no reason to.
    let mut command = multichatd(&["--listen", "127.0.0.1:0", "-vv"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = command.spawn().expect("start multichatd");
    let mut line = String::new();
    let out = server.stdout.take().expect("standard output is a pipe");
    BufReader::new(out).read_line(&mut line).expect("read its first line");
    let address = line.trim().trim_start_matches("listening on ").parse().expect("an address");
    let mut peer = Peer::connect(address);
    // Far more lines than a pipe takes.
    let chats: Vec<u8> = (0..5000).flat_map(|id| chat(id, "x")).collect();
    for (id, response) in (0..).zip(peer.send_while_reading(&chats, 5000)) {
        assert_eq!(response.ok().number("Message-ID"), id);
    }
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("stop it");
    assert!(server.wait().expect("wait for it").success());
    let mut log = String::new();
    let err = server.stderr.take().expect("standard error is a pipe");
    BufReader::new(err).read_to_string(&mut log).expect("read the log");
    assert!(log.contains("client 1: joined"), "{log}");
}

#[test]
fn a_host_alone_is_listened_to_on_port_8080() {
    // §2.3.1.1: "a server instance must be started and listening on port 8080": the port where HOST
    // is given alone.
    let id = std::process::id();
    let host = format!("127.{}.{}.8", 1 + id % 250, 1 + id / 250 % 250);
    let mut server = Process::spawn(multichatd(&["--listen", &host]));
    // Where something else on this machine has that port on all addresses, that is what it says.
    let said = match server.out.first_line() {
        Some(line) => line,
        None => server.log.wait_for("cannot listen on"),
    };
    assert!(said.contains(&format!("{host}:8080")), "{said}");
}

#[test]
fn no_level_of_the_log_holds_a_body_or_a_control_character() {
    // Bodies are never logged, and what a peer sends can forge nothing there.
    let server = Server::with_log_filter(&["-vv"], Some("trace"));
    let (mut tom, ann) = (server.join(), server.join());
    tom.say("the secret body").ok();
    tom.say_to(ann.uid, "the secret body").ok();
    let id = tom.share("txt", "the secret content").ok().number("File-ID");
    tom.fetch(id).ok();
    tom.set_nickname("secret\u{1b}[2J").reason();
    tom.share_to(ann.uid, "../secret\t", "").reason();
    for hostile in [
        "Message-Type \u{1b}]0;owned\u{7}\nMessage-ID 1\nContent-Length 0\n\n",
        "\u{1b}[2J\u{9b}2J\r[2026-01-01T00:00:00Z ERROR] forged\n\n",
        "Message-Type chat\nMessage-ID 1\nX \u{202e}\u{85}\n\n",
    ] {
        let mut peer = server.connect();
        peer.send(hostile);
        peer.response().reason();
        peer.expect_end();
    }
    let log = server.stop();
    for line in &log {
        assert!(!line.contains("the secret"), "{line}");
        assert!(!line.contains(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
        assert!(line.starts_with('['), "not a line of the log: {line:?}");
    }
    assert!(log.iter().any(|line| line.contains("client 1")), "{log:#?}");
}

#[test]
fn a_name_is_listened_on_at_those_of_its_addresses_that_this_host_has() {
    // `localhost` mostly stands for ::1 as well, also where IPv6 is off.
    let addresses = listens_without_ipv6(&["-l", "localhost:0"]);
    let Some(addresses) = addresses else { return };
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    assert!(addresses[0].starts_with("listening on 127.0.0.1:"), "{addresses:?}");
}

/// Starts a server in a network of its own without IPv6; `None`, and said so, where this user may not
/// make one.
fn listens_without_ipv6(options: &[&str]) -> Option<Vec<String>> {
    const SCRIPT: &str =
        "ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", SCRIPT, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_multichatd")).args(options).stdin(Stdio::null());
    let mut server = Process::spawn(command);
    let Some(_) = server.out.first_line() else {
        eprintln!("skipped: {:?}", server.log.seen);
        return None;
    };
    server.signal(rustix::process::Signal::TERM);
    server.wait(DEADLINE);
    Some(server.out.seen.clone())
}

#[test]
fn a_directory_may_be_called_anything_that_the_system_allows() {
    // Paths are bytes.
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    let mut command = multichatd(&["--listen", "127.0.0.1:0", "--stage"]);
    command.arg(&stage);
    let mut server = Process::spawn(command);
    server.out.wait_for("listening on ");
    assert!(stage.is_dir());
    let mut command = multichatd(&["--listen"]);
    command.arg(OsStr::from_bytes(b"caf\xe9"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("not UTF-8"), "{error}");
}
