//! The history (E3).

use std::time::{Duration, Instant};

use super::{join_extended, messages};
use crate::common::{Server, ServerMessage, message};

/// The texts of an answer.
#[track_caller]
fn texts(answer: &ServerMessage) -> Vec<String> {
    messages(&answer.body).iter().map(|relay| relay.text().to_owned()).collect()
}

#[test]
fn history_is_what_was_said_before_the_asker_connected() {
    // E3: as relays in the extended form, the oldest first; as long as it is kept it is the same,
    // whenever and in whichever form it is asked for.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    assert_eq!(ann.query("history 10").ok().body, b"");
    tom.set_nickname("Tom").ok();
    for text in ["one", "two\nlines", "three"] {
        tom.say(text).ok();
    }
    tom.share("txt", "content").ok();
    tom.say_to(ann.uid, "in private").ok();
    let heard = ann.sync();
    let public: Vec<_> = heard.iter().filter(|relay| relay.has("Sequence")).cloned().collect();
    let mut late = server.join();
    let answer = late.query("history 10").ok();
    assert_eq!(answer.field("Content-Type"), "text");
    assert_eq!(messages(&answer.body), public, "as it was relayed");
    tom.say("since then").ok();
    assert_eq!(late.query("history 100").ok().body, answer.body);
    late.query("extended").ok();
    assert_eq!(late.query("history 100").ok().body, answer.body);
    assert_eq!(late.sync().len(), 1, "everything since then reaches it anyway");
    assert_eq!(ann.query("history 10").ok().body, b"", "and nothing was said before Ann came");
}

#[test]
fn history_tells_the_last_ones_or_those_behind_a_number() {
    // E3: the last N, with `after K` only those whose `Sequence` is above K; more than there is is
    // no error.
    let server = Server::start();
    let mut tom = server.join();
    for number in 1..=6 {
        tom.say(number.to_string()).ok();
    }
    let mut ann = server.join();
    let cases = [
        ("history 1", "6"),
        ("history 3", "456"),
        ("history 6", "123456"),
        ("history 18446744073709551615", "123456"),
        ("history 9 after 0", "123456"),
        ("history 9 after 4", "56"),
        ("history 1 after 4", "6"),
        ("history\t002  after  005 \n", "6"),
        ("history 9 after 6", ""),
        ("history 9 after 18446744073709551615", ""),
    ];
    for (body, expected) in cases {
        assert_eq!(texts(&ann.query(body).ok()).concat(), expected, "{body}");
    }
}

#[test]
fn history_keeps_so_many_messages_and_no_more() {
    // E3: `--history N`.
    let server = Server::with(&["--history", "3"]);
    let mut tom = server.join();
    for number in 1..=5 {
        tom.say(number.to_string()).ok();
    }
    assert_eq!(texts(&server.join().query("history 10").ok()).concat(), "345");
}

#[test]
fn history_is_at_most_a_mebibyte_and_comes_soon() {
    // E3: at most 1 MiB together, as encoded in the extended form; a newcomer is answered at once.
    let server = Server::with(&["--history", "100000"]);
    let mut tom = server.join();
    let all: Vec<u8> = (0..30).flat_map(|id| crate::common::chat(id, vec![b'x'; 60_000])).collect();
    tom.send_while_reading(&all, 30);
    let mut ann = server.join();
    let answer = ann.query("history 100000").ok();
    assert!((1 << 20) - 60_200 < answer.body.len() && answer.body.len() <= 1 << 20);
    let numbers: Vec<_> =
        messages(&answer.body).iter().map(|relay| relay.number("Sequence")).collect();
    assert_eq!(numbers, (30 - 17 + 1..=30).collect::<Vec<_>>());
    let took = (0..10).map(|_| {
        let start = Instant::now();
        ann.query("history 100").ok();
        start.elapsed()
    });
    let took = took.min().expect("ten of them");
    assert!(took < Duration::from_millis(50), "{took:?}");
}

#[test]
fn history_that_is_off_is_refused_with_that_reason() {
    // E3: `--history 0` keeps nothing; `Sequence` counts all the same.
    let server = Server::with(&["--history", "0"]);
    let (mut tom, mut ann) = (server.join(), server.join());
    tom.say("one").ok();
    assert_eq!(ann.query("history 1").reason(), "this server keeps no history (--history 0)");
    ann.query("extended").ok();
    tom.say("two").ok();
    let came = ann.sync();
    assert_eq!(came.last().expect("a relay").number("Sequence"), 2);
}

#[test]
fn file_that_is_no_longer_staged_stays_in_the_history() {
    // E3: fetching it is refused.
    let server = Server::with(&["--stage-limit", "10"]);
    let mut tom = server.join();
    let named = "Message-Type chat\nMessage-ID 1\nFile-Name a.txt\nContent-Type txt";
    tom.request(message(named, "12345678")).ok();
    tom.share("txt", "12345678").ok();
    let mut ann = server.join();
    let files = messages(&ann.query("history 10").ok().body);
    let ids: Vec<_> = files.iter().map(|file| file.number("File-ID")).collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!((files[0].field("File-Name"), files[1].has("File-Name")), ("a.txt", false));
    assert_eq!(files[0].field("Content-Length"), "8");
    ann.fetch(1).reason();
    ann.fetch(2).ok();
}
