//! Bare terminals: whatever a client sends, in whatever field, nothing of it reaches another client,
//! comes back in a reason or stands in the log as something that a terminal obeys.

use crate::common::{Peer, Server, ServerMessage, message, show};

/// What no terminal may get: every control character, in every way to write it, what breaks lines and
/// what turns the direction of text, and sequences of them as attacks use them.
fn attacks() -> Vec<Vec<u8>> {
    let c0 = (0..0x20).chain([0x7f]).filter(|byte| !b"\t\n".contains(byte)).map(|byte| vec![byte]);
    let c1_as_bytes = (0x80..=0x9f).map(|byte| vec![byte]);
    let c1_as_utf8 = ('\u{80}'..='\u{9f}').map(|c| c.to_string().into_bytes());
    let others = ('\u{61c}'..='\u{2069}').filter(|&c| turns_or_breaks(c));
    let others = others.map(|c| c.to_string().into_bytes());
    let sequences = [
        "\x1b[2J\x1b[H",
        "\x1b]0;owned\x07",
        "\x1b]52;c;b3duZWQ=\x07",
        "\x1bP+q544e\x1b\\",
        "\u{9b}31m",
        "\u{9d}0;owned\u{9c}",
        "\r\x1b[K[2026-01-01T00:00:00Z ERROR] forged",
        "\n[2026-01-01T00:00:00Z ERROR] forged",
        "\r\n[2026-01-01T00:00:00Z ERROR] forged",
        "\u{2028}[2026-01-01T00:00:00Z ERROR] forged",
        "\r\nFrom 1\r\nSender-Nickname forged",
    ];
    let sequences = sequences.map(|text| text.as_bytes().to_vec());
    c0.chain(c1_as_bytes).chain(c1_as_utf8).chain(others).chain(sequences).collect()
}

/// Line and paragraph separators, and Unicode's bidirectional controls, in its own words.
fn turns_or_breaks(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'].contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c);
    turns || ['\u{2028}', '\u{2029}'].contains(&c)
}

/// What a client can fill with bytes of its own, and the messages that do so: the bytes stand for `@`
/// in the header, or are the body.
const FIELDS: [(&str, &str); 16] = [
    ("first line", "@"),
    ("name", "Message-Type chat\nMessage-ID 1\nX@ y"),
    ("value", "Message-Type chat\nMessage-ID 1\nX @"),
    ("Message-Type", "Message-Type @\nMessage-ID 1"),
    ("Message-ID", "Message-Type chat\nMessage-ID @"),
    ("To", "Message-Type chat\nMessage-ID 1\nTo @"),
    ("From", "Message-Type chat\nMessage-ID 1\nFrom @"),
    ("Sender-Nickname", "Message-Type chat\nMessage-ID 1\nSender-Nickname @"),
    ("File-ID", "Message-Type chat\nMessage-ID 1\nFile-ID @"),
    ("Content-Type", "Message-Type chat\nMessage-ID 1\nContent-Type @"),
    ("Content-Length", "Message-Type chat\nMessage-ID 1\nContent-Length @\nX y"),
    ("text", "Message-Type chat\nMessage-ID 1"),
    ("private text", "Message-Type chat\nMessage-ID 1\nTo 1"),
    ("query", "Message-Type query\nMessage-ID 1"),
    ("fetch", "Message-Type fetch\nMessage-ID 1"),
    ("nickname", "Message-Type nickname\nMessage-ID 1"),
];

fn fill(header: &str, attack: &[u8]) -> Vec<u8> {
    match header.split_once('@') {
        Some((before, after)) => {
            let rest = message(after, "hi");
            [before.as_bytes(), attack, &rest].concat()
        }
        None => message(header, attack),
    }
}

/// Nothing in a message is obeyed by a terminal: no control character but line endings and tabs, in
/// all of it; nothing that breaks lines or turns text but in a text, which people write in every
/// direction.
#[track_caller]
fn is_harmless(case: &str, message: &ServerMessage) {
    let is_text = !message.is_response();
    for (name, value) in &message.fields {
        let is_bad = |c: char| c.is_control() || turns_or_breaks(c);
        assert!(!name.contains(is_bad) && !value.contains(is_bad), "{case}: {message:?}");
    }
    let body = message.text().replace("\r\n", "\n");
    let is_bad =
        |c: char| c.is_control() && !['\n', '\t'].contains(&c) || !is_text && turns_or_breaks(c);
    assert!(!body.contains(is_bad), "{case}: {message:?}");
}

/// Sends an attack in each field, by a client of its own that chats when it is done.
fn attack_in_each_field(server: &Server, victim: &mut Peer, attack: &[u8]) {
    for (field, header) in FIELDS {
        let case = format!("{} in {field}", show(attack));
        let mut attacker = server.connect();
        attacker.send(fill(header, attack));
        // As the nickname, where it was one, would be told.
        attacker.send(message("Message-Type chat\nMessage-ID 2", "done"));
        attacker.end_input();
        let answers = attacker.messages_to_end();
        assert!(!answers.is_empty(), "{case}: no answer");
        let told = victim.sync();
        let listed = [victim.query("names"), victim.query("files")];
        answers.iter().chain(&told).chain(&listed).for_each(|message| is_harmless(&case, message));
    }
}

#[test]
fn nothing_that_a_client_sends_is_obeyed_by_anothers_terminal_or_forges_a_line_of_the_log() {
    // Many of the readers are bare terminals; and the log is read on one as well.
    let server = Server::with_log_filter(&["-vv"], Some("trace"));
    let mut victim = server.join();
    assert_eq!(victim.uid, 1);
    let attacks = attacks();
    assert_eq!(attacks.len(), 31 + 32 + 32 + 14 + 11);
    for attack in &attacks {
        attack_in_each_field(&server, &mut victim, attack);
        attack_in_each_field(&server, &mut victim, &[b"a", &attack[..], b"b"].concat());
    }
    // The victim has joined, all of them have come and gone, and nothing else is to be told.
    let cases = 2 * attacks.len() * FIELDS.len();
    let log = server.stop();
    for line in &log {
        let is_bad = |c: char| c.is_control() || turns_or_breaks(c) || c == '\u{fffd}';
        assert!(!line.contains(is_bad), "{line:?}");
        // The time, and a level that none of this is: what is forged stands behind it, if at all.
        let mut levels = ["Z WARN ] ", "Z INFO ] ", "Z DEBUG] ", "Z TRACE] "].into_iter();
        assert!(line.starts_with('[') && levels.any(|it| line[20..].starts_with(it)), "{line:?}");
    }
    let joined = log.iter().filter(|line| line.contains(": joined from 127.0.0.1")).count();
    assert_eq!(joined, 1 + cases);
}
