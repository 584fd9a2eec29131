//! The one order, in both forms: the history, what arrives, and notices (E2, E3).

use std::thread;

use super::messages;
use crate::common::{LONG_DEADLINE, Peer, Server, ServerMessage, chat};

const JOINERS: usize = 20;
const TALKERS: usize = 4;
/// How often a talker comes, and what it says each time: all of it fits into the history.
const LIVES: usize = 12;
const TEXTS: usize = 100;
/// What is said at the end.
const END: &str = "end";

/// What tells two messages apart, whatever the form.
fn told(message: &ServerMessage) -> String {
    let nickname = message.has("Sender-Nickname").then(|| message.field("Sender-Nickname"));
    let kind = message.field("Message-Type");
    format!("{kind} {} {} {}", message.field("From"), nickname.unwrap_or("-"), message.text())
}

fn is_notice(message: &ServerMessage) -> bool {
    message.field("Message-Type") == "notice"
}

/// Comes and talks and goes, again and again.
fn talk(server: &Server, number: usize) {
    for life in 0..LIVES {
        let mut peer = server.connect();
        peer.deadline = LONG_DEADLINE;
        peer.say(format!("{number}.{life} comes")).ok();
        peer.set_nickname(format!("{number}.{life}")).ok();
        for nth in (0..TEXTS).step_by(10) {
            let texts = (nth..nth + 10).map(|nth| chat(1, format!("{number}.{life} {nth}")));
            peer.send(texts.collect::<Vec<_>>().concat());
            (0..10).for_each(|_| drop(peer.response().ok()));
        }
        if life % 2 == 0 {
            peer.send("Message-Type bye\nMessage-ID 1\n\n");
            peer.read_to_end();
        }
    }
}

/// What a client has heard that came in the middle.
struct Heard {
    history: Vec<ServerMessage>,
    /// Before the answer to `extended`, and behind it.
    plain: Vec<ServerMessage>,
    extended: Vec<ServerMessage>,
}

/// Joins, asks for the history after so many messages, and hears all to the end.
fn listen(mut peer: Peer, number: usize) -> Heard {
    peer.deadline = LONG_DEADLINE;
    let history = (number * 7 % 60, "Message-ID 1\nContent-Length 14\n\nhistory 100000");
    let extended = (number * 3 % 40, "Message-ID 2\nContent-Length 8\n\nextended");
    let mut due = if number.is_multiple_of(2) { vec![history, extended] } else { vec![history] };
    let mut awaited = due.len();
    let mut heard = Heard { history: Vec::new(), plain: Vec::new(), extended: Vec::new() };
    let (mut is_extended, mut has_ended, mut count) = (false, false, 0);
    while awaited > 0 || !has_ended {
        for (_, query) in due.extract_if(.., |(at, _)| *at <= count || has_ended) {
            peer.send(format!("Message-Type query\n{query}"));
        }
        let message = peer.read_message();
        if message.is_response() {
            awaited -= 1;
            match message.number("Message-ID") {
                1 => heard.history = messages(&message.ok().body),
                _ => is_extended = true,
            }
            continue;
        }
        count += 1;
        has_ended |= message.text() == END;
        let list = if is_extended { &mut heard.extended } else { &mut heard.plain };
        list.push(message);
    }
    heard
}

/// Whether `part` is the end of `all`.
#[track_caller]
fn expect_end_of(all: &[String], part: &[String], who: usize) {
    let end = &all[all.len().saturating_sub(part.len())..];
    if end != part {
        let differs = end.iter().zip(part).position(|(a, b)| a != b);
        panic!("client {who}: {} of {}, they differ at {differs:?}", part.len(), all.len());
    }
}

#[test]
fn history_and_what_arrives_fit_for_each_that_joins_while_others_flood() {
    // E3: without a gap and without a duplicate, whenever one joins and asks, in whichever form. E2:
    // `Sequence` has no gap, both forms tell the same order, and notices stand where they belong.
    let server = Server::with(&["--history", "100000"]);
    let mut witness = super::join_extended(&server);
    witness.deadline = LONG_DEADLINE;
    let texts = TALKERS * LIVES * (TEXTS + 1);
    let notices = TALKERS * LIVES * 2;
    let (all, heard) = thread::scope(|scope| {
        for number in 0..TALKERS {
            let server = &server;
            scope.spawn(move || talk(server, number));
        }
        let mut all = Vec::new();
        let mut listeners = Vec::new();
        while all.len() < texts + notices {
            all.push(witness.relay());
            let due = all.len() * JOINERS / (texts + notices / 2);
            if listeners.len() < due.min(JOINERS) {
                let (peer, number) = (server.connect(), listeners.len());
                listeners.push(scope.spawn(move || listen(peer, number)));
            }
        }
        server.join().say(END).ok();
        all.push(witness.relay());
        let heard: Vec<_> =
            listeners.into_iter().map(|thread| thread.join().expect("a listener")).collect();
        (all, heard)
    });
    assert_eq!(heard.len(), JOINERS);
    let said: Vec<_> = all.iter().filter(|message| !is_notice(message)).collect();
    let numbers: Vec<_> = said.iter().map(|message| message.number("Sequence")).collect();
    assert_eq!(numbers, (1..=texts as u64 + 1).collect::<Vec<_>>(), "no gap");
    assert!(all.windows(2).all(|two| two[0].field("Time") <= two[1].field("Time")));
    let said: Vec<_> = said.into_iter().map(told).collect();
    let order: Vec<_> = all.iter().map(told).collect();
    for (who, heard) in heard.iter().enumerate() {
        let arrived = heard.plain.iter().chain(&heard.extended);
        let texts = heard.history.iter().chain(arrived.filter(|message| !is_notice(message)));
        expect_end_of(&said, &texts.map(told).collect::<Vec<_>>(), who);
        assert_eq!(heard.history.first().map(told).as_ref(), said.first(), "client {who}");
        assert!(heard.plain.iter().all(|message| !message.has("Time")), "client {who}");
        expect_end_of(&order, &heard.extended.iter().map(told).collect::<Vec<_>>(), who);
    }
    let place = |what: &str| order.iter().position(|told| told == what).expect("a notice");
    for nickname in (0..TALKERS).flat_map(|n| (0..LIVES).map(move |life| format!("{n}.{life}"))) {
        let uid = all.iter().find(|message| message.text() == format!("{nickname} comes"));
        let uid = uid.expect("its first text").number("From");
        let joined = place(&format!("notice {uid} {nickname} joined\n"));
        let cause = ["it said bye", "it closed the connection", "the connection was reset"]
            .map(|cause| format!("notice {uid} {nickname} left: {cause}\n"));
        let left = order.iter().position(|told| cause.contains(told)).expect("a notice");
        let named = format!("chat {uid} {nickname} ");
        let places = order.iter().enumerate().filter(|(_, told)| told.starts_with(&named));
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        assert_eq!(places.len(), TEXTS);
        assert!(places.iter().all(|&place| joined < place && place < left), "{nickname}");
    }
}
