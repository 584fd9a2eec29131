//! The client, judged by `multichat check --client`: it keeps what the draft asks of a client.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;
use tempfile::TempDir;

use super::terminal::{CTRL_D, Terminal};
use super::{Output, multichat};
use crate::common::DEADLINE;
use crate::conformance::command::start_client_check;

/// A name for what is tried, the arguments, and standard input.
type Use<'a> = (&'a str, &'a [&'a str], &'a str);

const USES: [Use; 14] = [
    ("send", &["send", "hi"], ""),
    ("send, called Ann", &["-n", "Ann", "send", "hi"], ""),
    ("send of standard input", &["send", "-"], "two\nlines\n"),
    ("send to one", &["-t", "1", "send", "hi"], ""),
    ("send to a nickname that is not there", &["-t", "Nobody", "send", "hi"], ""),
    ("share", &["share", "cat.jpg", "notes.text"], ""),
    ("share with one", &["-t", "1", "share", "cat.jpg"], ""),
    ("fetch", &["fetch", "1", "-o", "fetched"], ""),
    ("fetch of what is not there", &["fetch", "99"], ""),
    ("who", &["who"], ""),
    ("files", &["files"], ""),
    ("listen", &["listen", "--count", "1", "--timeout", "20"], ""),
    ("lines", &["-n", "Ann"], "one\ntwo\n\nthree"),
    (
        "JSON",
        &["--json"],
        "{\"text\":\"hi\"}\n{\"nick\":\"Ann\"}\n{\"query\":\"\"}\n{\"share\":\"cat.jpg\"}\n\
         {\"fetch\":1,\"output\":\"by JSON\"}\n{\"text\":\"psst\",\"to\":1}\n",
    ),
];

#[test]
fn this_client_keeps_every_rule_of_the_draft() {
    // §2.1, §2.3: whatever it is told to do. The server is one of the draft alone; what it does not
    // answer is no fault of the client.
    let (mut judge, address) = start_client_check(&[]);
    let dir = TempDir::new().expect("a temporary directory");
    for name in ["cat.jpg", "notes.text", "input"] {
        fs::write(dir.path().join(name), "content").expect("write a file");
    }
    let mut kept = BTreeSet::new();
    let mut seen = 0;
    let mut judged = |name: &str| {
        let summary = judge.out.wait_for_behind(seen, " failed, ");
        let lines = &judge.out.seen[seen..];
        assert!(summary.contains(" ok, 0 failed, "), "{name}: {lines:#?}");
        let is_kept = |line: &&String| line.starts_with("ok ");
        let rule = |line: &String| line.split_whitespace().nth(2).expect("a rule").to_owned();
        kept.extend(lines.iter().filter(is_kept).map(rule));
        seen = judge.out.seen.len();
    };
    for (name, arguments, input) in USES {
        fs::write(dir.path().join("input"), input).expect("write the input");
        let mut command = multichat(&address.to_string(), arguments);
        command.current_dir(dir.path());
        command.stdin(fs::File::open(dir.path().join("input")).expect("open the input"));
        Output::of(command);
        judged(name);
    }
    let mut terminal = Terminal::start_at(address, &["-n", "Ann"], &[]);
    terminal.wait_for("1 Tom: Hello");
    terminal.type_in("hi\r/msg 1 psst\r/nick Anna\r/who\r/files\r");
    terminal.wait_for("psst");
    terminal.type_in(CTRL_D);
    terminal.wait_for_end();
    judged("the room on a terminal");
    let rules: BTreeSet<_> =
        multichat::conformance::client::rules().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(kept, rules, "each rule has been tried");
    judge.signal(Signal::INT);
    assert_eq!(judge.wait(DEADLINE).code(), Some(0));
}
