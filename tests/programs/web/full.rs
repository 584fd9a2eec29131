//! Newcomers that are refused, and the places that a page takes.

use std::time::{Duration, Instant};

use super::{Web, get, request, upgrade};
use crate::common::Server;

#[test]
fn a_browser_that_is_refused_gets_a_page_and_others_their_error() {
    // A refused newcomer is looked at for half a second.
    let server = Server::with(&["--max-clients", "1"]);
    let member = server.join();
    for path in ["/", "/chat", "/nowhere"] {
        let answer = get(&server, path);
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.page().contains("<p>The room is full: "), "{}", answer.page());
    }
    assert_eq!(request(&server, upgrade(&server.address.to_string())).status, 503);
    let head = request(&server, "HEAD / HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, &head.body[..]), (503, &b""[..]));
    // One that says nothing gets it then, one that speaks MCMP at once.
    let begun = Instant::now();
    let mut silent = server.connect();
    assert!(silent.response().reason().starts_with("the room is full"));
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    silent.expect_end();
    let begun = Instant::now();
    let mut speaks = server.connect();
    speaks.send("Message-Type query\n");
    assert!(speaks.response().reason().starts_with("the room is full"));
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    speaks.expect_end();
    member.bye();
    server.join_once_there_is_room();
}

#[test]
fn at_most_64_are_looked_at_and_others_get_their_error_at_once() {
    let server = Server::with(&["--max-clients", "1"]);
    let _member = server.join();
    let begun = Instant::now();
    let mut silent: Vec<_> = (0..70).map(|_| server.connect()).collect();
    let reasons = silent.iter_mut().map(|one| one.response().reason().to_owned());
    assert!(reasons.into_iter().all(|reason| reason.starts_with("the room is full")));
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[test]
fn a_request_gives_its_place_back_before_the_answer() {
    // And so three browsers in a row find the one place free, and then a client does.
    let server = Server::with(&["--max-clients", "1"]);
    for path in ["/", "/chat.js", "/nowhere"] {
        let mut web = Web::connect(server.address);
        web.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address));
        web.read_head();
        // Its connection is open still.
        let member = server.join();
        web.read_to_end();
        member.bye();
        server.join_once_there_is_room().bye();
    }
}

#[test]
fn too_few_places_for_a_page_are_warned_of_at_the_start() {
    let warns = |options: &[&str]| {
        let log = Server::with(options).stop();
        log.iter().any(|line| line.contains("WARN") && line.contains("--max-per-host"))
    };
    assert!(warns(&["--max-per-host", "2"]));
    assert!(!warns(&["--max-per-host", "3"]));
    assert!(!warns(&["--max-per-host", "2", "--no-web"]));
    assert!(!warns(&[]));
}
