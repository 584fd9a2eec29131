//! `stats`, compared with what clients have sent and seen.

use std::time::Instant;

use super::{Operator, Room};
use crate::common::{DEADLINE, Peer, ServerMessage, chat, message};

const NAMES: [&str; 13] = [
    "uptime_seconds",
    "clients",
    "clients_total",
    "messages_public",
    "messages_private",
    "deliveries",
    "bytes_in",
    "bytes_out",
    "files_staged",
    "bytes_staged",
    "bytes_waiting",
    "refusals",
    "disconnects",
];

/// Waits until a number is what it must become.
#[track_caller]
fn wait_for(operator: &mut Operator, name: &str, expected: u64) {
    let until = Instant::now() + DEADLINE;
    loop {
        let value = operator.stat(name);
        if value == expected {
            return;
        }
        assert!(Instant::now() < until, "{name} is {value}, not {expected}");
    }
}

#[test]
fn they_are_named_in_order_and_are_all_0_at_first() {
    // `stats`: "`NAME VALUE` a line".
    let room = Room::start();
    let lines = room.operator().ok("stats");
    for (line, name) in lines.iter().zip(NAMES) {
        let value = line.strip_prefix(&format!("{name} ")).unwrap_or_else(|| panic!("{line}"));
        assert!(value == "0" || name == "uptime_seconds", "{line}");
    }
    assert_eq!(lines.len(), NAMES.len());
}

/// What the clients have seen, in the words of `stats`.
#[derive(Default)]
struct Seen {
    bytes: u64,
    relays: u64,
    errors: u64,
}

impl Seen {
    fn read_to_end(&mut self, mut peer: Peer) {
        let bytes = peer.read_to_end();
        self.bytes += bytes.len() as u64;
        let mut rest = &bytes[..];
        while let Some((message, len)) = ServerMessage::parse(rest).expect("whole messages") {
            self.relays += u64::from(!message.is_response());
            self.errors += u64::from(message.has("Status") && message.field("Status") == "Error");
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn they_count_what_clients_have_sent_and_seen() {
    // "a delivery is a message for one receiver, private ones and announcements too; refusals are
    // all `Status Error`; disconnects are all departures, `bye` too; clients_total are those who
    // were let in".
    let room = Room::with(&["--max-clients", "5"]);
    let mut operator = room.operator();
    let mut peers: Vec<_> = (0..5).map(|_| room.server.connect()).collect();
    wait_for(&mut operator, "clients", 5);
    let mut seen = Seen::default();
    let mut refused = room.server.connect();
    assert_eq!(refused.read_message().field("Status"), "Error");
    operator.ok("say welcome");
    let file = |id, to| {
        message(&format!("Message-Type chat\nMessage-ID {id}{to}\nContent-Type txt"), "file")
    };
    let session = [
        &chat(1, "to all")[..],
        &message("Message-Type chat\nMessage-ID 2\nTo 2", "to one"),
        &message("Message-Type chat\nMessage-ID 3\nTo 99", "to nobody"),
        &file(4, ""),
        &file(5, "\nTo 1"),
        &message("Message-Type fetch\nMessage-ID 6", "1"),
        &message("Message-Type query\nMessage-ID 7", "wrong"),
        &message("Message-Type nickname\nMessage-ID 8", "Ann"),
    ]
    .concat();
    for peer in &mut peers {
        peer.send(&session);
    }
    // Each session has 2 public and 2 private messages.
    wait_for(&mut operator, "messages_private", 10);
    wait_for(&mut operator, "refusals", 11);
    assert_eq!(operator.stat("messages_public"), 11);
    assert_eq!(operator.stat("deliveries"), 5 + 5 * (2 * 4 + 2));
    assert_eq!((operator.stat("files_staged"), operator.stat("bytes_staged")), (10, 40));
    operator.ok("kick 5 bye");
    let kicked = peers.pop().unwrap();
    seen.read_to_end(kicked);
    let bye = b"Message-Type bye\nMessage-ID 9\n\n";
    for peer in &mut peers {
        peer.send(bye);
    }
    for peer in peers {
        seen.read_to_end(peer);
    }
    wait_for(&mut operator, "clients", 0);
    assert_eq!(operator.stat("clients_total"), 5);
    assert_eq!(operator.stat("disconnects"), 5);
    assert_eq!(operator.stat("deliveries"), seen.relays);
    // The newcomer that was refused has one too.
    assert_eq!(operator.stat("refusals"), seen.errors + 1);
    assert_eq!(operator.stat("bytes_out"), seen.bytes);
    assert_eq!(operator.stat("bytes_in"), (5 * session.len() + 4 * bye.len()) as u64);
    assert_eq!(operator.stat("bytes_waiting"), 0);
}

#[test]
fn bytes_out_counts_what_went_through_queues_and_files_too() {
    let room = Room::with(&["--queue-limit", "64M"]);
    let mut sender = room.server.join();
    let mut slow = room.server.join_with_small_buffer();
    let mut operator = room.operator();
    let before = operator.stat("bytes_out");
    sender.share("bin", vec![7; 3 << 20]).ok();
    for _ in 0..20 {
        sender.say_to(2, "x".repeat(60_000)).ok();
    }
    let own = operator.stat("bytes_out");
    assert!(own > before);
    slow.send("Message-Type fetch\nMessage-ID 1\nContent-Length 1\n\n1");
    slow.end_input();
    let got = slow.read_to_end().len() as u64;
    assert!(got > (3 << 20) + 20 * 60_000);
    // Behind what the sender was answered nothing went to anybody else.
    let responses: u64 = sender_bytes(21);
    wait_for(&mut operator, "bytes_out", before + responses + got);
}

/// How long the sender's responses are: a share, and private texts with IDs from 3 on.
fn sender_bytes(count: u64) -> u64 {
    let response = |id: u64, file: &str| {
        format!(
            "Status Ok\r\nMessage-Type chat\r\nMessage-ID {id}\r\n{file}Content-Type text\r\n\
             Content-Length 0\r\n\r\n"
        )
        .len() as u64
    };
    response(2, "File-ID 1\r\n") + (3..2 + count).map(|id| response(id, "")).sum::<u64>()
}
