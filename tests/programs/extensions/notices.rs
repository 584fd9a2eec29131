//! Notices (E2).

use super::{expect_time, field_names, join_extended};
use crate::common::{LONG_DEADLINE, Peer, Server, ServerMessage, chat, message};

/// Expects a notice.
#[track_caller]
fn expect_notice(notice: &ServerMessage, uid: u64, nickname: &str, body: &str) {
    let names =
        ["Message-Type", "From", "Sender-Nickname", "Time", "Content-Type", "Content-Length"];
    assert_eq!(field_names(notice), names, "{notice:?}");
    assert_eq!(notice.field("Message-Type"), "notice");
    assert_eq!((notice.number("From"), notice.field("Sender-Nickname")), (uid, nickname));
    assert_eq!((notice.field("Content-Type"), notice.text()), ("text", body));
    expect_time(notice.field("Time"));
}

#[test]
fn notice_tells_who_comes_and_who_is_called_otherwise() {
    // E2: `joined` with the first nickname, `nickname X` with another one, whose `Sender-Nickname`
    // is the old one; the same again is no news.
    let server = Server::start();
    let (mut tom, mut ann) = (server.join(), join_extended(&server));
    tom.set_nickname("Tom").ok();
    expect_notice(&ann.relay(), 1, "Tom", "joined\n");
    tom.set_nickname(" Tom\n").ok();
    tom.set_nickname("Thomas").ok();
    expect_notice(&ann.relay(), 1, "Tom", "nickname Thomas\n");
    tom.set_nickname("J\u{fc}rgen").ok();
    expect_notice(&ann.relay(), 1, "Thomas", "nickname J\u{fc}rgen\n");
    tom.set_nickname("\u{1b}").reason();
    tom.send("Message-Type bye\nMessage-ID 5\n\n");
    tom.expect_end();
    expect_notice(&ann.relay(), 1, "J\u{fc}rgen", "left: it said bye\n");
    ann.expect_nothing();
}

#[test]
fn notice_goes_to_all_in_the_extended_form_but_the_one_that_it_is_about() {
    // E2.
    let server = Server::start();
    let (mut ann, mut bob, mut plain) =
        (join_extended(&server), join_extended(&server), server.join());
    ann.set_nickname("Ann").ok();
    expect_notice(&bob.relay(), 1, "Ann", "joined\n");
    bob.set_nickname("Bob").ok();
    expect_notice(&ann.relay(), 2, "Bob", "joined\n");
    // One that asks later is told of nobody who was there.
    let mut late = join_extended(&server);
    late.expect_nothing();
    // And its own notices do not come to it from before it asked either.
    plain.set_nickname("Plain").ok();
    plain.query("extended").ok();
    plain.expect_nothing();
    expect_notice(&late.relay(), 3, "Plain", "joined\n");
    bob.sync();
    drop(bob);
    for peer in [&mut plain, &mut late] {
        let notice = peer.relay();
        expect_notice(&notice, 2, "Bob", "left: it closed the connection\n");
    }
    let came: Vec<_> = ann.sync().iter().map(|notice| notice.text().to_owned()).collect();
    assert_eq!(came, ["joined\n", "left: it closed the connection\n"]);
}

#[test]
fn notice_of_leaving_tells_the_cause_in_the_words_of_the_room() {
    // E2: whichever way a client leaves, and once; the same words as the sender of a private message
    // is told.
    let server = Server::with(&["--stall-timeout", "1"]);
    let mut ann = join_extended(&server);
    let joined = |nickname: &str, peer: &mut Peer| {
        peer.set_nickname(nickname).ok();
        (peer.uid, nickname.to_owned())
    };
    let mut leave = |how: &str, go: &dyn Fn(Peer)| {
        let mut peer = server.join();
        let (uid, nickname) = joined(how, &mut peer);
        expect_notice(&ann.relay(), uid, &nickname, "joined\n");
        go(peer);
        let notice = ann.relay();
        let told = ann.say_to(uid, "hello?");
        let cause = told.reason().split_once("has left: ").expect("a cause").1.to_owned();
        expect_notice(&notice, uid, &nickname, &format!("left: {cause}\n"));
        cause
    };
    assert_eq!(
        leave("bye", &|mut peer| peer.send("Message-Type bye\nMessage-ID 5\n\n")),
        "it said bye"
    );
    assert_eq!(leave("closed", &drop), "it closed the connection");
    assert_eq!(leave("reset", &Peer::reset), "the connection was reset");
    leave("malformed", &|mut peer| peer.send("hello\n\n"));
    ann.expect_nothing();
}

#[test]
fn notices_stand_where_they_belong() {
    // E2: behind `joined` come the relays that bear the nickname, behind `left` none; a notice is not
    // counted by `Sequence`, and not kept in the history.
    let server = Server::start();
    let mut ann = join_extended(&server);
    for round in 0..30 {
        let mut tom = server.join();
        let name = |name| message("Message-Type nickname\nMessage-ID 1", name);
        let all =
            [chat(1, "before"), name("Tom"), chat(2, "as Tom"), name("Tim"), chat(3, "as Tim")];
        tom.send(all.concat());
        // Behind a reset what came before is still said, or is lost with it.
        let is_reset = round % 3 == 2;
        match round % 3 {
            0 => tom.send("Message-Type bye\nMessage-ID 5\n\n"),
            1 => tom.end_input(),
            _ => {
                (0..2).for_each(|_| drop(tom.response().ok()));
                tom.reset();
            }
        }
        let mut came: Vec<String> = Vec::new();
        while !came.last().is_some_and(|line| line.contains(" left: ")) {
            let message = ann.relay();
            let name = message.has("Sender-Nickname").then(|| message.field("Sender-Nickname"));
            came.push(format!("{} {}", name.unwrap_or("-"), message.text().trim_end()));
        }
        let left = came.pop();
        let said = ["- before", "Tom joined", "Tom as Tom", "Tom nickname Tim", "Tim as Tim"];
        assert_eq!(came, said[..came.len().min(said.len())], "then {left:?}");
        assert!(came.len() == said.len() || is_reset, "{came:?}, then {left:?}");
    }
    let history = super::messages(&server.join().query("history 1000").ok().body);
    assert!(history.iter().all(|relay| relay.field("Message-Type") == "chat"));
    let numbers: Vec<_> = history.iter().map(|relay| relay.number("Sequence")).collect();
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
    assert!(!history.is_empty());
}

#[test]
fn one_that_changes_its_nickname_all_the_time_waits_for_its_readers() {
    // E2, and P5: what goes to all counts like a text, so that no queue grows beyond bounds.
    let server = Server::with(&["--queue-limit", "64k", "--stall-timeout", "60"]);
    let mut reader = server.join_with_small_buffer();
    reader.query("extended").ok();
    let mut tom = server.join();
    let mut all = Vec::new();
    for number in 0..20_000 {
        let name = format!("{number:060}");
        all.extend(message("Message-Type nickname\nMessage-ID 1", &name));
    }
    let mut writer = tom.writer();
    let sending = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &all));
    // Nobody reads: it comes to a stop, and others go on.
    let mut other = server.join();
    other.uids();
    reader.deadline = LONG_DEADLINE;
    tom.deadline = LONG_DEADLINE;
    let reading = std::thread::spawn(move || {
        for number in 0..20_000u64 {
            let notice = reader.relay();
            assert!(notice.text().len() > 1, "{number}");
        }
    });
    for _ in 0..20_000 {
        tom.response().ok();
    }
    reading.join().expect("all of them, in order");
    sending.join().expect("no panic").expect("all sent");
}
