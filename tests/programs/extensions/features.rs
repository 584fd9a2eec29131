//! `features` (E1).

use super::expect_time;
use crate::common::Server;

#[test]
fn features_are_listed_one_a_line() {
    // E1: `NAME` or `NAME VALUE`, in this order.
    let server = Server::start();
    let mut client = server.join();
    let answer = client.query("features").ok();
    let (lines, started) = answer.text().split_once("started ").expect("a start");
    assert_eq!(
        lines,
        "self\nnames\nfiles\nextended\nhistory 100\nfile-name\nmax-text 65536\nmax-file 16777216\n"
    );
    expect_time(started.strip_suffix('\n').expect("a line"));
    assert_eq!(client.query(" \tfeatures\r\n").ok().text(), answer.text());
    assert_eq!(server.join().query("features").ok().text(), answer.text());
}

#[test]
fn features_tell_the_limits_that_are_set() {
    // E1: limits in bytes; the line of the history is missing where it is off. No file is larger than
    // the whole stage.
    let options = ["--history", "0", "--max-text", "1k", "--max-file", "5k", "--stage-limit", "4k"];
    let server = Server::with(&options);
    let answer = server.join().query("features").ok();
    let lines: Vec<_> = answer.text().lines().take(7).collect();
    let expected =
        ["self", "names", "files", "extended", "file-name", "max-text 1024", "max-file 4096"];
    assert_eq!(lines, expected);
    let server = Server::with(&["--history", "7"]);
    assert!(server.join().query("features").ok().text().contains("\nhistory 7\n"));
}

#[test]
fn started_is_when_the_server_started() {
    // E1: `Sequence` begins again with it.
    let first = Server::start().join().query("features").ok();
    let second = Server::start().join().query("features").ok();
    let started = |answer: &str| answer.lines().last().expect("a line").to_owned();
    assert!(started(first.text()) < started(second.text()));
}

#[test]
fn query_that_does_not_parse_is_told_what_was_expected() {
    // E1: words in lower case, separated by spaces or tabs; anything else is refused, and the
    // session goes on.
    let server = Server::start();
    let mut client = server.join();
    for body in ["Features", "EXTENDED", "extended now", "features\nself", "extend", "extended\0"] {
        let error = client.query(body);
        let known = "no body, self, names, files, features, extended, history N or \
                     history N after K";
        for known in known.split(", ") {
            assert!(error.reason().contains(known), "{body:?}: no {known:?} in {error:?}");
        }
    }
    let bad = [
        "history",
        "history x",
        "history 0",
        "history -1",
        "history 1 2",
        "history 1 after",
        "history 1 after x",
        "history 1 after 2 3",
        "history 1 before 2",
        "history after 2",
        "history 18446744073709551616",
    ];
    for body in bad {
        let error = client.query(body);
        assert!(error.reason().contains("expected history N or history N after K"), "{error:?}");
    }
    client.query("extended").ok();
}
