//! Each command, good and bad.

use std::fs;

use super::Room;
use crate::common::{Peer, ok_response};

#[test]
fn help_lists_every_command() {
    // `help`: "the commands, a line each".
    let room = Room::start();
    let lines = room.operator().ok("help");
    let names: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    let expected = "help who stats say kick ban bans unban mute unmute hush unhush drop stop";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn a_command_that_is_wrong_is_refused_with_what_was_expected() {
    // "A command that does not parse, a UID that is not there, a word too many: `error:` with what
    // was expected."
    let mut room = Room::start();
    let (mut peer, gone) = (room.server.join(), room.server.join());
    gone.bye();
    peer.wait_until_gone(2);
    let mut operator = room.operator();
    for (command, part) in [
        ("shout", "\"shout\" is unknown: expected help, who, stats, say"),
        ("Who", "\"Who\" is unknown"),
        ("help me", "\"help me\": expected help"),
        ("who 1", "expected who"),
        ("stats clients", "expected stats"),
        ("say", "expected say TEXT"),
        ("say  ", "expected say TEXT"),
        ("kick", "expected kick UID [TEXT]"),
        ("kick Ann", "expected kick UID [TEXT]"),
        ("kick 0", "no client 0 has connected"),
        ("kick 3", "no client 3 has connected"),
        ("kick 2 you", "client 2 has left: it said bye"),
        ("ban", "expected ban UID [TEXT]"),
        ("ban 127.0.0.1", "expected ban UID [TEXT]"),
        ("ban 3", "no client 3 has connected"),
        ("ban 2", "client 2 has left: it said bye"),
        ("bans 1", "expected bans"),
        ("unban", "expected unban ADDRESS"),
        ("unban 1", "expected unban ADDRESS"),
        ("unban 127.0.0.1", "127.0.0.1 is not banned"),
        ("mute", "expected mute UID"),
        ("mute 1 2", "expected mute UID"),
        ("mute 9", "no client 9 has connected"),
        ("unmute 2", "client 2 has left"),
        ("unmute x", "expected unmute UID"),
        ("hush all", "expected hush"),
        ("unhush 1", "expected unhush"),
        ("drop", "expected drop FILE-ID"),
        ("drop 1.jpg", "expected drop FILE-ID"),
        ("drop 1", "no file 1 is staged"),
        ("drop 1 2", "expected drop FILE-ID"),
        ("stop now", "expected stop"),
    ] {
        let reason = operator.refused(command);
        assert!(reason.contains(part), "{command}: {reason}");
    }
    assert!(operator.ok("bans").is_empty());
    peer.expect_nothing();
    room.server.log().wait_for("joined");
}

#[test]
fn who_lists_address_seconds_waiting_bytes_and_nickname() {
    // `who`: "UID ADDRESS:PORT SECONDS WAITING NICKNAME".
    let room = Room::start();
    let mut ann = room.server.join();
    let _tom = room.server.join();
    ann.set_nickname("Ann of Cleves").ok();
    let lines = room.operator().ok("who");
    let fields: Vec<Vec<_>> = lines.iter().map(|line| line.splitn(5, ' ').collect()).collect();
    let [ann_line, tom_line] = &fields[..] else { panic!("{lines:?}") };
    assert_eq!((ann_line[0], ann_line[4]), ("1", "Ann of Cleves"));
    assert_eq!((tom_line[0], tom_line[4]), ("2", "-"));
    let port = ann.writer().local_addr().unwrap();
    assert_eq!(ann_line[1], port.to_string());
    assert!(ann_line[2].parse::<u64>().unwrap() < 10);
    assert_eq!(ann_line[3], "0");
}

#[test]
fn who_tells_what_waits_without_the_bytes_of_files() {
    // "waiting is without the bytes of files".
    let room = Room::with(&["--queue-limit", "64M"]);
    let mut sender = room.server.join();
    let (mut full, mut fetching) =
        (room.server.join_with_small_buffer(), room.server.join_with_small_buffer());
    sender.share("bin", vec![7; 4 << 20]).ok();
    fetching.send("Message-Type fetch\nMessage-ID 1\nContent-Length 1\n\n1");
    for _ in 0..40 {
        sender.say_to(full.uid, "x".repeat(60_000)).ok();
    }
    let mut operator = room.operator();
    let mut waiting = |uid: u64| -> u64 {
        let lines = operator.ok("who");
        let line = lines.iter().find(|line| line.starts_with(&format!("{uid} "))).unwrap();
        line.split(' ').nth(3).unwrap().parse().unwrap()
    };
    assert!((1_000_000..2_600_000).contains(&waiting(full.uid)));
    assert!(waiting(fetching.uid) < 1000);
    assert!((1_000_000..2_600_000).contains(&operator.stat("bytes_waiting")));
    assert_eq!(operator.stat("bytes_staged"), 4 << 20);
    full.relay();
}

#[test]
fn what_the_operator_says_is_a_relay_from_uid_0() {
    // `say`: "a public text to everybody, from UID 0 with the nickname `operator`: a relay like any
    // other".
    let room = Room::start();
    let (mut one, mut other) = (room.server.join(), room.server.join());
    let mut operator = room.operator();
    operator.ok("say Grüße,  everybody");
    let text = "Grüße,  everybody";
    for peer in [&mut one, &mut other] {
        peer.expect(format!(
            "Message-Type chat\r\nFrom 0\r\nSender-Nickname operator\r\nContent-Type text\r\n\
             Content-Length {}\r\n\r\n{text}",
            text.len()
        ));
    }
    // In the one order of all that is said.
    one.say("before").ok();
    operator.ok("say between");
    one.say("after").ok();
    let texts: Vec<_> = (0..3).map(|_| other.relay().text().to_owned()).collect();
    assert_eq!(texts, ["before", "between", "after"]);
    // Nobody can answer that UID.
    assert!(one.say_to(0, "yes?").reason().contains("no client 0 has connected"));
}

#[test]
fn with_ascii_the_operator_is_refused_other_characters_too() {
    // A relay like any other: `--ascii` holds for it.
    let room = Room::with(&["--ascii"]);
    let mut peer = room.server.join();
    let mut operator = room.operator();
    for command in ["say Grüße", "kick 1 Grüße", "ban 1 Grüße"] {
        assert!(operator.refused(command).contains("ASCII"), "{command}");
    }
    assert!(operator.ok("bans").is_empty());
    peer.expect_nothing();
}

#[test]
fn a_dropped_file_is_staged_no_longer() {
    // `drop FILE-ID`: "the file is staged no longer".
    let dir = tempfile::tempdir().unwrap();
    let stage = dir.path().join("stage");
    let room = Room::with(&["--stage", stage.to_str().unwrap()]);
    let mut peer = room.server.join();
    for text in ["one", "two"] {
        peer.share("txt", text).ok();
    }
    let mut operator = room.operator();
    operator.ok("drop 1");
    assert!(peer.fetch(1).reason().contains("no file 1 is staged"));
    assert_eq!(peer.query("files").ok().text(), "2 txt 3 1\n");
    assert_eq!(peer.fetch(2).ok().text(), "two");
    assert!(!stage.join("1.txt").exists() && stage.join("2.txt").exists());
    assert_eq!((operator.stat("files_staged"), operator.stat("bytes_staged")), (1, 3));
    assert!(operator.refused("drop 1").contains("no file 1 is staged"));
}

#[test]
fn one_who_is_fetching_a_dropped_file_gets_it_all() {
    let room = Room::start();
    let content = vec![7; 4 << 20];
    room.server.join().share("bin", &content).ok();
    let mut fetcher = room.server.join_with_small_buffer();
    fetcher.send("Message-Type fetch\nMessage-ID 1\nContent-Length 1\n\n1");
    fetcher.read_some(1000);
    room.operator().ok("drop 1");
    assert!(fetcher.response().ok().body == content);
}

#[test]
fn stop_answers_first_and_ends_the_server_in_order() {
    // `stop`: "as SIGTERM"; "`stop` answers `ok` first".
    let mut room = Room::start();
    let mut peer = room.server.join();
    peer.send("Message-Type query\nMessage-ID 7\nContent-Length 4\n\nself");
    let mut operator = room.operator();
    operator.send("stop\n");
    assert_eq!(operator.line().as_deref(), Some("ok"));
    assert_eq!(room.server.wait().code(), Some(0));
    peer.expect(ok_response("query", 7, "1\n"));
    peer.expect_end();
    assert!(!fs::exists(&room.path).unwrap());
    assert!(room.server.log().seen.iter().any(|line| line.contains("stopped")));
}

#[test]
fn stop_ends_the_server_though_its_answer_is_not_read() {
    let mut room = Room::start();
    drop({
        let mut operator = room.operator();
        operator.send("stop\n");
        operator
    });
    assert_eq!(room.server.wait().code(), Some(0));
}

#[test]
fn clients_are_never_told_an_address() {
    // "An address is told to the operator alone (R4)."
    let room = Room::start();
    let mut peer = room.server.join();
    let away = Peer::connect_from("127.0.0.2", room.server.address);
    let mut operator = room.operator();
    while operator.ok("who").len() < 2 {}
    operator.ok("ban 2");
    drop(away);
    let mut again = Peer::connect_from("127.0.0.2", room.server.address);
    // `reason` itself looks for addresses.
    assert_eq!(again.read_message().reason(), "the operator has removed you");
    assert!(peer.say_to(2, "hi").reason().ends_with("the operator removed it"));
}
