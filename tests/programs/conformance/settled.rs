//! Faults against what `wire` settles, each of them one lens in front of the built server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use multichat::conformance::message::Message;

use super::lens::{Change, got, says, sends, sent, sent_bytes, set, set_body};

/// A rule, the lens that breaks it, options of the server, and the rules that break with it.
pub(crate) type Lens = (&'static str, Change, &'static [&'static str], &'static [&'static str]);

/// A lens for each rule, that breaks no other one.
fn lens(rule: &'static str, change: Change) -> Lens {
    (rule, change, &[], &[])
}

/// A lens that cannot but break other rules, too.
fn wide_lens(rule: &'static str, change: Change, others: &'static [&'static str]) -> Lens {
    (rule, change, &[], others)
}

fn is_error(message: &Message, message_type: &str) -> bool {
    message.is_response() && !message.is_ok() && message.is(message_type)
}

/// Makes an error say nothing, where it is the one of this type and Message-ID.
fn says_nothing(message_type: &'static str, id: u64) -> Change {
    got(move |message, _| {
        if is_error(message, message_type) && message.number("Message-ID") == Some(id) {
            set_body(message, "no\n");
        }
    })
}

/// Lists a limit that is not the server's.
fn lists(feature: &'static str, limit: u64) -> Change {
    got(move |message, sent| {
        if message.is_response() && sent.ends_with("features") {
            let is_it = |line: &&str| line.split(' ').next() == Some(feature);
            let true_line = message.text().lines().find(is_it).map(str::to_owned);
            if let Some(line) = true_line {
                let body = message.text().replace(&line, &format!("{feature} {limit}"));
                set_body(message, &body);
            }
        }
    })
}

/// P1 and P3: reading and writing.
pub(crate) fn framing() -> Vec<Lens> {
    vec![
        lens("wire-form", Change::Ending(" \r\n")),
        lens("reads-cr-lf", sent("query\r\n", "queryx\r\n")),
        lens("reads-blanks", sent(" \t \n", " \t x\n")),
        lens("reads-wide-gap", sent("Message-Type   query", "Message-Type   x query")),
        lens("reads-any-case", sent("QUERY", "QUERX")),
        lens("reads-any-order", sent("ID 7\nMessage-Type chat", "ID 7\nMessage-Type chax")),
        lens("reads-unknown-field", sent("blue\nMessage-ID 7", "\nMessage-ID 7")),
        lens("reads-empty-lines", sent("\n\n\nMessage-Type query", "\nx\n\nMessage-Type query")),
        lens(
            "numbers-to-2-64",
            got(|message, _| {
                if message.number("Message-ID") == Some(u64::MAX) {
                    set(message, "Message-ID", &i64::MAX.to_string());
                }
            }),
        ),
        lens(
            "numbers-plain",
            got(|message, _| {
                if message.field("Message-ID") == Some("42") {
                    set(message, "Message-ID", "0042");
                }
            }),
        ),
        lens("numbers-digits", sent("Message-ID +1", "Message-ID 1")),
        lens("bodiless", sent("ID 1\n\nMessage-Type bye", "ID 1\n\nx\nMessage-Type bye")),
        lens("line-limit", sent("X-Filler xx", "X-Filler x")),
        lens("lines-limit", sent("X-Line 32\n", "")),
        lens("short-body-limit", sent("Content-Length 1025\n\n", "Content-Length 1024\n\n")),
        lens("short-body-blanks", sent("\tself\r\n", "\tselx\r\n")),
        lens(
            "field-order",
            got(|message, _| {
                if !message.is_response() {
                    message.fields.reverse();
                }
            }),
        ),
        lens(
            "chat-ok-empty",
            got(|message, _| {
                if message.is_response() && message.is("chat") && message.is_ok() {
                    set_body(message, "relayed\n");
                }
            }),
        ),
        lens(
            "share-ok-file-id",
            got(|message, _| {
                if message.is_response() {
                    message.fields.retain(|(name, _)| name != "File-ID");
                }
            }),
        ),
        lens(
            "bye-writes-queued",
            sends(|piece| {
                piece.starts_with("Message-Type chat").then_some(())?;
                let (chats, bye) = piece.split_at(piece.find("Message-Type bye")?);
                Some(format!("{bye}{chats}"))
            }),
        ),
    ]
}

/// P2: what bad input gets.
pub(crate) fn errors() -> Vec<Lens> {
    vec![
        lens("refused-goes-on", sent("To nobody\n", "To\n")),
        lens(
            "refused-at-once",
            sends(|piece| piece.ends_with("Content-Length 65537\n\n").then(String::new)),
        ),
        lens(
            "reason-line",
            got(|message, _| {
                if is_error(message, "query") {
                    let reason = message.text().trim_end().to_owned();
                    set_body(message, &reason);
                }
            }),
        ),
        lens("reason-names-field", says_nothing("unknown", 4)),
        lens(
            "reason-no-inside",
            got(|message, _| {
                if is_error(message, "nickname") {
                    let reason = message.text().trim_end().to_owned();
                    set_body(message, &format!("{reason} (os error 22)\n"));
                }
            }),
        ),
        lens(
            "error-inherits",
            got(|message, _| {
                if is_error(message, "unknown") && message.number("Message-ID") == Some(8) {
                    set(message, "Message-ID", "0");
                }
            }),
        ),
        lens("id-missing", sent("Message-Type query\n\n", "Message-Type query\nMessage-ID 5\n\n")),
        lens(
            "type-unknown",
            sent(
                "Message-Type say\nMessage-ID 1\nContent-Length 2",
                "Message-Type chat\nMessage-ID 1\nContent-Length 2",
            ),
        ),
        lens("field-repeated", sent("Message-ID 1\nMessage-ID 2", "Message-ID 1")),
        lens("first-unknown-fatal", sent("X-Colour blue\nMessage-Type", "Message-Type")),
        lens("stray-bytes-fatal", sent("Length 10\n\nHow are you?", "Length 12\n\nHow are you?")),
        lens(
            "colon-fatal",
            sent("Message-Type: chat\nMessage-ID: 1\n\n", "Message-Type query\nMessage-ID 1\n\n"),
        ),
        lens("no-value-fatal", sent("query\nMessage-ID\n\n", "query\nMessage-ID 1\n\n")),
        lens("field-name-fatal", sent("X_Colour", "X-Colour")),
        lens(
            "no-length-fatal",
            sent("Type fetch\nMessage-ID 1\n\n", "Type query\nMessage-ID 1\n\n"),
        ),
        lens(
            "no-type-no-length-fatal",
            sent("Type say\nMessage-ID 1\n\n", "Type query\nMessage-ID 1\n\n"),
        ),
        lens(
            "length-repeated-fatal",
            sent("Content-Length 2\nContent-Length 2", "Content-Length 2"),
        ),
        lens("length-bad-fatal", sent("Content-Length two", "Content-Length 2")),
        lens("header-ascii", sent("X-Colour \x1b[31m\n\n", "X-Colour red\n\n")),
        lens("fatal-ends", sent("nonsense\n\nMessage-Type", "Message-Type")),
        lens("fatal-reaches", Change::Resets("nonsense\nmore")),
        lens("fatal-says-closed", says("; the connection is closed", "")),
        lens(
            "http-never-read",
            sends(|piece| {
                piece
                    .starts_with("POST ")
                    .then(|| piece.split_once("\r\n\r\n").map(|(_, chat)| chat))?
                    .map(str::to_owned)
            }),
        ),
        lens("bye-honoured", sent("Message-Type bye\n\n", "Message-Type bye\nx\n\n")),
        lens("cut-body", says_nothing("chat", 99)),
        lens("cut-header", says_nothing("chat", 66)),
        lens(
            "cut-refused-once",
            Change::Twice(|message| {
                is_error(message, "chat") && message.number("Message-ID") == Some(55)
            }),
        ),
        lens(
            "responses-order",
            got(|message, _| {
                let other = match message.field("Message-ID") {
                    Some("22") => "23",
                    Some("23") => "22",
                    _ => return,
                };
                set(message, "Message-ID", other);
            }),
        ),
    ]
}

/// P4: UIDs, queries, nicknames and texts.
pub(crate) fn chat() -> Vec<Lens> {
    vec![
        lens(
            "query-form",
            got(|message, _| {
                let is_list =
                    message.body.iter().all(|byte| byte.is_ascii_digit() || *byte == b'\n');
                if message.is_response() && message.is("query") && is_list {
                    let reversed: String =
                        message.text().lines().rev().map(|line| format!("{line}\n")).collect();
                    set_body(message, &reversed);
                }
            }),
        ),
        wide_lens(
            "query-self",
            sent("Content-Length 4\n\nself", "Content-Length 0\n\n"),
            &["short-body-blanks"],
        ),
        lens("uid-before-query", Change::ConnectsLate),
        lens(
            "silent-hears",
            Change::Got(Box::new(|message, sent| message.is_response() || !sent.is_empty())),
        ),
        lens("query-names", sent("Content-Length 5\n\nnames", "Content-Length 0\n\n")),
        lens(
            "query-empty",
            sends(|piece| {
                let header = piece.strip_suffix("Content-Length 0\n\n")?;
                piece
                    .starts_with("Message-Type query\nMessage-ID")
                    .then(|| format!("{header}Content-Length 1\n\nx"))
            }),
        ),
        lens("query-unknown", sent("Content-Length 10\n\nself names", "Content-Length 0\n\n")),
        wide_lens(
            "leaves-at-once",
            Change::LeavesLate,
            &[
                "cause-closed",
                "cause-reset",
                "cut-body",
                "cut-header",
                "cut-refused-once",
                "end-of-input",
                "share-cut",
            ],
        ),
        lens("nickname-64", sent("Content-Length 65\n\nx", "Content-Length 64\n\n")),
        lens(
            "nickname-spaces",
            got(|message, _| {
                if message.field("Sender-Nickname") == Some("Tom  Sawyer of St. Petersburg") {
                    set(message, "Sender-Nickname", "Tom Sawyer of St. Petersburg");
                }
            }),
        ),
        lens(
            "nickname-utf8",
            got(|message, _| {
                if message.field("Sender-Nickname").is_some_and(|name| !name.is_ascii()) {
                    set(message, "Sender-Nickname", "???");
                }
            }),
        ),
        lens("nickname-one-line", sent("a\tb", "a b")),
        lens("nickname-direction", sent("\u{202e}moT", "xyzmoT")),
        lens("nickname-invisible", sent("To\u{200b}m", "Tommmm")),
        lens("nickname-joiners", sent("\u{2764}\u{fe0f}", "\u{2764}\x01\x01\x01")),
        lens("nickname-old-stays", sent("Tom\nTo 7", "Thomas 7")),
        lens("text-default", sent("Message-ID 7777\n", "Message-ID 7777\nContent-Type bin\n")),
        lens("text-utf8", sent_bytes(b"caf\xe9", b"cafe")),
        lens("text-controls", sent("a\x07", "ab")),
        ("text-limit", lists("max-text", 65_536), &["--max-text", "60000"], &[]),
        lens(
            "to-self",
            Change::Got(Box::new(|message, _| {
                message.is_response() || message.field("To") != message.field("From")
            })),
        ),
        lens(
            "to-ignored",
            sends(|piece| {
                let is_query = piece.starts_with("Message-Type query");
                is_query.then(|| piece.replace("To me\n", "To\n"))
            }),
        ),
        lens("cause-never", says("has connected", "is known")),
        lens("cause-bye", says("it said bye", "it left")),
        lens("cause-closed", says("it closed the connection", "it left")),
        lens("cause-reset", says("the connection was reset", "it left")),
        lens("cause-malformed", says("it sent something that is not a message", "it left")),
    ]
}

/// Adds what any client was told of the staged files to what every other one is told.
fn tells_all_files() -> Change {
    let known = Mutex::new(BTreeSet::new());
    got(move |message, sent| {
        if message.is_response() && message.is("query") && sent.ends_with("\n\nfiles") {
            let mut known = known.lock().expect("no panic");
            known.extend(message.text().lines().map(|line| format!("{line}\n")));
            let id = |line: &String| line.split(' ').next().and_then(|id| id.parse::<u64>().ok());
            let mut lines: Vec<_> = known.iter().cloned().collect();
            lines.sort_by_key(id);
            set_body(message, &lines.concat());
        }
    })
}

/// Gives every client what any other one has fetched.
fn gives_all_files() -> Change {
    let known = Mutex::new(BTreeMap::new());
    got(move |message, sent| {
        let id = sent.rsplit('\n').next().unwrap_or_default().to_owned();
        let mut known = known.lock().expect("no panic");
        if message.is_response() && message.is("fetch") {
            if message.is_ok() {
                known.insert(id, message.clone());
            } else if id.parse::<u64>().is_ok()
                && let Some(file) = known.get(&id)
            {
                *message = file.clone();
            }
        }
    })
}

/// P4 and P5: files and promises.
pub(crate) fn files() -> Vec<Lens> {
    vec![
        lens("extension-form", sent("Content-Type c++", "Content-Type c~~")),
        lens("extension-no-path", sent("Content-Type a..b", "Content-Type a.bb")),
        lens(
            "extension-32",
            sent(
                "Content-Type xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
                "Content-Type xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
            ),
        ),
        ("file-limit", lists("max-file", 16 << 20), &["--max-file", "8M"], &[]),
        lens("share-empty", sent("Content-Type empty", "Content-Type em/ty")),
        lens(
            "share-cut",
            Change::Sent(Box::new(|piece| {
                let is_cut = String::from_utf8_lossy(piece).contains("Content-Type cut");
                if is_cut { [piece, b"12345"].concat() } else { piece.to_vec() }
            })),
        ),
        lens(
            "query-files",
            got(|message, _| {
                if message.is_response() && message.is("query") {
                    let lines = message.text().replace(" tar.gz ", " tgz ");
                    set_body(message, &lines);
                }
            }),
        ),
        lens("query-files-mine", tells_all_files()),
        lens("fetch-private", gives_all_files()),
        wide_lens(
            "fetch-same-words",
            got(|message, sent| {
                let id = sent.rsplit('\n').next().unwrap_or_default();
                if is_error(message, "fetch") && id != "999999999" && id.parse::<u64>().is_ok() {
                    set_body(message, "it is not for you\n");
                }
            }),
            &["fetch-digits"],
        ),
        lens(
            "fetch-digits",
            got(|message, sent| {
                if is_error(message, "fetch") && sent.ends_with("\n-1") {
                    set(message, "Status", "Ok");
                }
            }),
        ),
        wide_lens("order-of-public", Change::Swaps, &["to-self"]),
        wide_lens("ok-is-queued", Change::RelaysLate, &["to-self"]),
        wide_lens(
            "end-of-input",
            Change::EndsWithInput,
            &["cut-body", "cut-header", "cut-refused-once", "share-cut"],
        ),
        lens(
            "burst-arrives",
            Change::Got(Box::new(|message, _| !message.body.ends_with(b"burst 321"))),
        ),
        lens("whole-counts", sends(|piece| piece.contains("never wh").then(String::new))),
    ]
}
