//! Who may fetch what, and the listing of files.

use crate::common::Server;

/// The reason with its numbers taken out, to compare words.
fn words(reason: &str) -> String {
    reason.replace(|c: char| c.is_ascii_digit(), "")
}

#[test]
fn file_to_oneself_is_fetched_by_oneself_alone() {
    // One's own UID is a UID like any other.
    let server = Server::start();
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share_to(1, "txt", "note").ok();
    assert_eq!(sharer.relay().field("To"), "1");
    assert_eq!(sharer.fetch(1).ok().text(), "note");
    assert!(!other.fetch(1).reason().is_empty());
    other.expect_nothing();
}

#[test]
fn file_that_never_was_is_evicted_or_is_for_others_is_refused_in_the_same_words() {
    // Nobody can find out by asking which files others send each other.
    let server = Server::with(&["--stage-limit", "10"]);
    let (mut sharer, mut receiver, mut other) = (server.join(), server.join(), server.join());
    sharer.share("txt", "evicted").ok();
    sharer.share_to(2, "txt", "private").ok();
    let refusals = [1, 2, 3, 77].map(|file_id| other.fetch(file_id));
    let said: Vec<_> = refusals.iter().map(|refusal| words(refusal.reason())).collect();
    assert!(said.iter().all(|words| words == &said[0]), "{said:?}");
    assert_eq!(receiver.fetch(2).ok().text(), "private");
}

#[test]
fn query_files_lists_what_the_asker_may_fetch() {
    // A body `files` asks for `File-ID Content-Type Content-Length From`, a line each, ascending by
    // File-ID.
    let server = Server::start();
    let (mut one, mut two, mut three) = (server.join(), server.join(), server.join());
    one.share("jpg", "12345").ok();
    two.share_to(3, "tar.gz", "").ok();
    two.share_to(2, "txt", "note").ok();
    three.share("txt", "123").ok();
    assert_eq!(one.query("files").ok().text(), "1 jpg 5 1\n4 txt 3 3\n");
    assert_eq!(two.query("files").ok().text(), "1 jpg 5 1\n2 tar.gz 0 2\n3 txt 4 2\n4 txt 3 3\n");
    assert_eq!(three.query("files").ok().text(), "1 jpg 5 1\n2 tar.gz 0 2\n4 txt 3 3\n");
    (5..12).for_each(|file_id| assert_eq!(one.share("txt", "").ok().number("File-ID"), file_id));
    let listed = one.query("files").ok();
    let ids: Vec<_> = listed.text().lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids, ["1", "4", "5", "6", "7", "8", "9", "10", "11"]);
}

#[test]
fn share_to_one_who_is_not_there_is_refused_and_not_staged() {
    // §2.3.2.1: "Status Error" with the reason, as for a text.
    let server = Server::start();
    let mut sharer = server.join();
    server.join().bye();
    sharer.wait_until_gone(2);
    assert!(sharer.share_to(2, "txt", "content").reason().contains("it said bye"));
    assert!(sharer.share_to(3, "txt", "content").reason().contains("no client 3 has connected"));
    assert_eq!(sharer.query("files").ok().text(), "");
}
