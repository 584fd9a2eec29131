//! `multichat check` as a person meets it: its lines, its options, its exit status.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use crate::common::{DEADLINE, LONG_DEADLINE, Process, Server};

/// What a run has come to.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<String>,
    pub(crate) err: Vec<String>,
}

/// The command line, without what the environment of the tests might add to it.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multichat"));
    for variable in ["MULTICHAT_SERVER", "MULTICHAT_NICK"] {
        command.env_remove(variable);
    }
    command.arg("check").args(arguments).stdin(Stdio::null());
    command
}

/// Lets a program run to its end.
fn end_of(command: Command) -> Ended {
    let mut process = Process::spawn(command);
    let code = process.wait(2 * LONG_DEADLINE).code();
    Ended { code, out: process.out.seen.clone(), err: process.log.seen.clone() }
}

/// Runs `check`, with at most so many KiB of memory.
pub(crate) fn check(arguments: &[&str], memory_kib: Option<&str>) -> Ended {
    let direct = command(arguments);
    let Some(kib) = memory_kib else { return end_of(direct) };
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v \"$0\" && exec \"$@\"", kib]);
    limited.arg(direct.get_program()).args(direct.get_args()).env_remove("MULTICHAT_SERVER");
    limited.stdin(Stdio::null());
    end_of(limited)
}

#[track_caller]
fn is_wrong_usage(arguments: &[&str], what: &str) {
    let ended = check(arguments, None);
    assert_eq!(ended.err, [format!("multichat: {what}"), "try 'multichat --help'".to_owned()]);
    assert_eq!((ended.code, ended.out.len()), (Some(2), 0), "{arguments:?}");
}

#[test]
fn a_server_that_keeps_all_rules_of_the_draft_gets_a_line_for_each_and_status_0() {
    // The default level is the draft's; the server is named as an argument, by -s or by the variable.
    let server = Server::with(&["--quiet"]);
    let address = server.address.to_string();
    let ended = check(&[&address], None);
    assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{:#?} {:#?}", ended.err, ended.out);
    let line = "ok    §2.3.2.2  public-relay          a public text reaches every other client, and not its sender";
    assert!(ended.out.iter().any(|printed| printed == line), "{:#?}", ended.out);
    let rules = ended.out.len() - 1;
    assert_eq!(ended.out[rules], format!("{rules} ok, 0 failed, 0 skipped"));

    let only = ["--only", "public-relay", "--only", "numbers-plain", "--skip", "numbers-plain"];
    let mut by_variable = command(&only);
    by_variable.env("MULTICHAT_SERVER", &address);
    for ended in [end_of(by_variable), check(&[&only[..], &["-s", &address]].concat(), None)] {
        assert_eq!(ended.out, [line, "1 ok, 0 failed, 0 skipped"]);
        assert_eq!(ended.code, Some(0));
    }
}

#[test]
fn a_rule_that_is_broken_shows_what_was_sent_what_came_and_what_was_wanted() {
    // The bytes are visible, and the status is 1.
    let address = super::lesson_server("own-message-ids").to_string();
    let ended = check(&[&address, "--only", "response-inherits"], None);
    let expected = [
        "FAIL  §2.2.1.2  response-inherits     a response carries the Message-ID of its message",
        "      sent  Message-Type query⏎ Message-ID 1⏎ ⏎",
        "      sent  Message-Type query⏎ Message-ID 1000000⏎ ⏎",
        "      got   Status Ok␍⏎ Message-Type query␍⏎ Message-ID 7␍⏎ Content-Type text␍⏎ Content-Length ",
        "      want  Message-ID 1000000",
        "0 ok, 1 failed, 0 skipped",
    ];
    assert_eq!(ended.out.len(), expected.len(), "{:#?}", ended.out);
    for (line, start) in ended.out.iter().zip(expected) {
        assert!(line.starts_with(start), "{line:?}, not {start:?}");
    }
    assert_eq!(ended.code, Some(1));
}

#[test]
fn what_a_server_does_not_list_is_skipped_with_the_reason() {
    // Without features nothing beyond the draft is asked for; a skipped rule is no failure.
    let address = super::lesson_server("").to_string();
    let ended = check(&[&address, "--only", "history-before"], None);
    let line = "skip  E3        history-before        the server does not list it in features";
    assert_eq!(ended.out, [line, "0 ok, 0 failed, 1 skipped"]);
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_rule_that_rests_on_a_broken_one_is_skipped() {
    // One mistake is one failure.
    let address = super::lesson_server("share-error").to_string();
    let ended = check(&[&address, "--timeout", "5"], None);
    let failed: Vec<_> = ended.out.iter().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    let skipped = "skip  §2.3.3.2  fetch-ok              it rests on share-ok, which is broken";
    assert!(ended.out.iter().any(|line| line == skipped), "{:#?}", ended.out);
}

#[test]
fn tap_has_a_plan_a_point_for_each_rule_and_yaml_for_what_is_broken() {
    // TAP 14.
    let address = super::lesson_server("own-message-ids").to_string();
    let only =
        ["--only", "query-answered", "--only", "response-inherits", "--only", "history-more"];
    let ended = check(&[&["--tap", &address], &only[..]].concat(), None);
    let starts = [
        "TAP version 14",
        "1..3",
        "ok 1 - query-answered (§2.3.1.2): a client that",
        "not ok 2 - response-inherits (§2.2.1.2): a response",
        "  ---",
        "  sent: [\"Message-Type query⏎ Message-ID 1⏎ ⏎\", ",
        "  got: \"Status Ok␍⏎ ",
        "  want: \"Message-ID 1000000\"",
        "  ...",
        "ok 3 - history-more (E3): asking for more than there is is no error # SKIP the server does not list",
        "# 1 ok, 1 failed, 1 skipped",
    ];
    assert_eq!(ended.out.len(), starts.len(), "{:#?}", ended.out);
    for (line, start) in ended.out.iter().zip(starts) {
        assert!(line.starts_with(start), "{line:?}, not {start:?}");
    }
    assert_eq!(ended.code, Some(1));
}

#[test]
fn list_is_a_table_of_all_rules_and_needs_no_server() {
    // Name, level, section and sentence; --level narrows it down.
    let ended = check(&["--list"], None);
    let rules = multichat::conformance::rules::all().count();
    assert_eq!((ended.code, ended.out.len()), (Some(0), rules));
    let line = "extended E3        history-before        history N is what was said before the asker \
                connected, and no more";
    assert!(ended.out.iter().any(|printed| printed == line), "{:#?}", ended.out);
    let draft = check(&["--list", "--level", "draft"], None);
    assert!(draft.out.iter().all(|line| line.starts_with("draft ")), "{:#?}", draft.out);
    let clients = check(&["--list", "--client"], None);
    assert!(clients.out[0].contains("client-query-first"), "{:#?}", clients.out);
}

#[test]
fn where_nobody_listens_there_is_one_line_and_status_1() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.expect("a free port").to_string();
    let ended = check(&[&address], None);
    assert_eq!(ended.code, Some(1));
    let start = format!("multichat: cannot connect to {address}: ");
    assert_eq!((ended.err.len(), ended.out.len()), (1, 0), "{:#?}", ended.err);
    assert!(ended.err[0].starts_with(&start), "{:#?}", ended.err);
}

#[test]
fn wrong_usage_is_named_with_status_2() {
    // Each in one line, and nothing is connected to.
    let unknown = "no such rule (check --list lists them)";
    is_wrong_usage(&["--only", "publik"], &format!("--only publik: {unknown}"));
    is_wrong_usage(&["--skip", "client-bye"], &format!("--skip client-bye: {unknown}"));
    is_wrong_usage(&["--level", "high"], "--level high: not a level (draft, settled or all)");
    is_wrong_usage(&["a:1", "b"], "b: unexpected argument");
    is_wrong_usage(&["a:x"], "check a:x: not a port (0 to 65535)");
    is_wrong_usage(&["-s", "a", "b"], "check: name the server once, by -s or behind check");
    is_wrong_usage(&["--client", "http"], "check --client http: not a port (0 to 65535)");
    let not_time = "not a time in seconds (such as 10 or 0.5)";
    is_wrong_usage(&["--timeout", "soon"], &format!("--timeout soon: {not_time}"));
}

#[test]
fn ten_minutes_of_shell_keep_the_first_ten_rules() {
    // §2.3.1: the server of README, a script behind ncat.
    if Command::new("ncat").arg("--version").stderr(Stdio::null()).output().is_err() {
        eprintln!("there is no ncat: not tried");
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lesson_server/room.sh");
    let room = tempfile::tempdir().expect("a temporary directory");
    let mut ncat = Command::new("ncat");
    ncat.args(["-lk", "127.0.0.1", &address.port().to_string(), "-e", script]);
    let _ncat = Process::spawn({
        ncat.env("ROOM", room.path()).stdin(Stdio::null());
        ncat
    });
    let until = Instant::now() + DEADLINE;
    while TcpStream::connect_timeout(&address, DEADLINE).is_err() {
        assert!(Instant::now() < until, "ncat does not listen on {address}");
        thread::yield_now();
    }
    let first: Vec<_> =
        multichat::conformance::rules::all().take(10).map(|rule| rule.name).collect();
    let only: Vec<&str> = first.iter().flat_map(|name| ["--only", name]).collect();
    let address = address.to_string();
    let ended = check(&[&only[..], &["--timeout", "10", &address]].concat(), None);
    assert_eq!(
        ended.out.last().map(String::as_str),
        Some("10 ok, 0 failed, 0 skipped"),
        "{:#?}",
        ended.out
    );
}

// The other side

/// `check --client`, and where it listens.
pub(crate) fn start_client_check(options: &[&str]) -> (Process, SocketAddr) {
    let mut process = Process::spawn(command(&[&["--client", "0"], options].concat()));
    let line = process.out.wait_for("listening on ");
    let address = line.trim_start_matches("listening on ").parse().expect("an address");
    (process, address)
}

/// Sends this, and reads to the end.
fn says(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).expect("connect");
    stream.set_read_timeout(Some(DEADLINE)).expect("set a timeout");
    stream.write_all(bytes.as_bytes()).expect("send");
    stream.shutdown(Shutdown::Write).expect("end the input");
    let mut got = String::new();
    stream.read_to_string(&mut got).expect("the end of the connection");
    got
}

const GOOD: &str = "Message-Type query \r\nMessage-ID 7 \r\n\r\n\
    Message-Type nickname\nMessage-ID 8\nContent-Type text\nContent-Length 3\n\nTom\
    Message-Type chat\nMessage-ID 9\nContent-Type text\nContent-Length 2\n\nhi\
    Message-Type chat\nMessage-ID 10\nTo 1\nContent-Type jpg\nContent-Length 3\n\n\0\x01\x02\
    Message-Type fetch\nMessage-ID 11\nContent-Type text\nContent-Length 1\n\n1\
    Message-Type bye\nMessage-ID 12\n\n";

#[test]
fn a_client_that_keeps_the_draft_is_answered_and_breaks_no_rule() {
    // §2.3: a relay comes before the first response; the exit status at the end is 0.
    let (mut process, address) = start_client_check(&[]);
    let got = says(address, GOOD);
    assert!(got.starts_with("Message-Type chat\r\nFrom 1\r\n"), "{got}");
    assert!(
        got.contains("Message-ID 7\r\nContent-Type text\r\nContent-Length 4\r\n\r\n1\n2\n"),
        "{got}"
    );
    assert!(
        got.ends_with("Content-Type txt\r\nContent-Length 19\r\n\r\na file of client 1\n"),
        "{got}"
    );
    let summary = process.out.wait_for(" failed, ");
    assert_eq!(summary, "15 ok, 0 failed, 0 skipped", "{:#?}", process.out.seen);
    process.signal(Signal::INT);
    assert_eq!(process.wait(DEADLINE).code(), Some(0));
}

/// What a client is told that sends this.
fn broken_by(bytes: &str) -> Vec<String> {
    let (mut process, address) = start_client_check(&[]);
    says(address, bytes);
    process.out.wait_for(" failed, ");
    let name = |line: &String| line.split_whitespace().nth(2).unwrap_or_default().to_owned();
    let failed = process.out.seen.iter().filter(|line| line.starts_with("FAIL"));
    let failed: Vec<String> = failed.map(name).collect();
    process.signal(Signal::TERM);
    let code = process.wait(DEADLINE).code();
    assert_eq!(code, Some(i32::from(!failed.is_empty())));
    failed
}

#[test]
fn each_mistake_of_a_client_breaks_the_rule_that_it_is_about() {
    // Every rule of clients has a mistake that it finds, and that no other one finds.
    let query = "Message-Type query\nMessage-ID 7\n\n";
    let bye = "Message-Type bye\nMessage-ID 8\n\n";
    let chat = |header: &str, body: &str| {
        let len = body.len();
        let bye = bye.replace('8', "9");
        format!(
            "{query}Message-Type chat\nMessage-ID 8\n{header}Content-Length {len}\n\n{body}{bye}"
        )
    };
    let text = "Content-Type text\n";
    let mistakes: Vec<(&[&str], String)> = vec![
        (&["client-query-first"], bye.to_owned()),
        (&["client-header-lines"], format!("{query}Message-Type: bye\nMessage-ID: 8\n\n")),
        (&["client-type"], format!("{query}Message-Type say\nMessage-ID 8\nContent-Length 0\n\n")),
        (&["client-id"], format!("{query}Message-Type bye\n\n")),
        (&["client-id-counts"], format!("{query}{}", bye.replace('8', "7"))),
        (&["client-fields"], chat("Content-Type text\nX-Mood 1\n", "hi")),
        (&["client-length"], chat(text, "hi").replace("Length 2", "Length 1")),
        (&["client-content-type"], chat("", "hi")),
        (&["client-to"], format!("{query}Message-Type bye\nMessage-ID 8\nTo 1\n\n")),
        (&["client-ascii"], chat(text, "gr\u{fc}n")),
        (&["client-nickname"], chat(text, " ").replace("Type chat", "Type nickname")),
        (&["client-fetch"], chat(text, "ten").replace("Type chat", "Type fetch")),
        (&["client-any-order", "client-bye"], query.to_owned()),
        (&["client-bye"], format!("{query}{}", query.replace('7', "8"))),
        (&["client-behind-bye"], format!("{query}{bye}more")),
    ];
    let known: Vec<_> = multichat::conformance::client::rules().map(|rule| rule.name).collect();
    let tried: Vec<_> = mistakes.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    assert!(known.iter().all(|name| tried.contains(name)), "{known:?} {tried:?}");
    let wrong = super::each(mistakes, |(names, bytes)| {
        let mut broken = broken_by(&bytes);
        // A message that cannot be read is also the last one.
        if names != ["client-bye"] && !names.contains(&"client-any-order") {
            broken.retain(|name| name != "client-bye");
        }
        (broken != names).then(|| format!("{broken:?}, not {names:?}: {bytes:?}\n"))
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn strange_clients_end_and_are_told_and_the_next_one_is_served() {
    // Noise, nothing, a reset, a length that never comes: one after another, on one run.
    let (mut process, address) = start_client_check(&["--timeout", "0.3"]);
    says(address, "");
    says(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    says(address, &"x".repeat(200_000));
    let huge = "Message-Type chat\nMessage-ID 1\nContent-Length 99999999999\n\nhi";
    says(address, huge);
    let mut silent = TcpStream::connect_timeout(&address, DEADLINE).expect("connect");
    silent.write_all(huge.as_bytes()).expect("send");
    silent.set_read_timeout(Some(DEADLINE)).expect("set a timeout");
    let mut got = Vec::new();
    silent.read_to_end(&mut got).expect("the end of the connection");
    let reset = TcpStream::connect_timeout(&address, DEADLINE).expect("connect");
    rustix::net::connect_unspec(&reset).expect("reset the connection");
    assert!(says(address, GOOD).contains("Status Ok"));
    process.out.wait_for("15 ok, 0 failed, 0 skipped");
    let summaries = process.out.seen.iter().filter(|line| line.contains(" failed, ")).count();
    assert_eq!(summaries, 7, "{:#?}", process.out.seen);
    process.signal(Signal::INT);
    assert_eq!(process.wait(DEADLINE).code(), Some(1));
}
