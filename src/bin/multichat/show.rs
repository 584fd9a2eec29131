//! What arrives, as lines for a person and as JSON for a script.
//!
//! Nothing that arrives can move the cursor, set a title, ring or turn the direction of the text:
//! such characters are written as escapes, in nicknames, texts and types alike.

use std::fmt::Write as _;

use jiff::{Timestamp, ZonedDateTime};
use multichat::client::{Content, Relay};
use multichat::ids::Uid;
pub(crate) use multichat::text::{Shown as TerminalSafe, Visible as Escaped};
use serde_json::json;

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Whether the time of arrival stands before each line.
    pub(crate) has_time: bool,
    /// Whether each sender has a colour.
    pub(crate) has_colour: bool,
    /// Whether a private message rings the bell.
    pub(crate) has_bell: bool,
}

/// What further lines of a text begin with.
const INDENT: &str = "    ";

/// Colours of senders, by their UIDs: those that can be read on a dark and on a light ground.
const COLOURS: [u8; 6] = [31, 32, 33, 34, 35, 36];

/// A relay as one line or, where the text has several, more; without the last line's end.
pub(crate) fn relay(relay: &Relay, style: Style) -> String {
    let mut line = String::new();
    if style.has_bell && relay.to.is_some() {
        line.push('\x07');
    }
    if style.has_time {
        line.push_str(&time());
    }
    let sender = sender(relay.from, relay.nickname.as_deref());
    if style.has_colour {
        // The remainder is below 6, so the cast keeps all of it.
        let colour = COLOURS[(relay.from.0 % COLOURS.len() as u64) as usize];
        let _ = write!(line, "\x1b[{colour}m{sender}\x1b[0m");
    } else {
        line.push_str(&sender);
    }
    if relay.to.is_some() {
        line.push_str(" (to you)");
    }
    match &relay.content {
        Content::Text(text) => {
            let _ = write!(line, ": {}", text_lines(text));
        }
        Content::File(id) => {
            let kind = TerminalSafe(&relay.content_type);
            let _ = write!(line, " shared file {id} ({kind}, {} bytes)", relay.len);
        }
    }
    line
}

/// A client as people know it: its UID, and its nickname if there is one.
pub(crate) fn sender(uid: Uid, nickname: Option<&str>) -> String {
    match nickname {
        Some(nickname) => format!("{uid} {}", TerminalSafe(nickname)),
        None => uid.to_string(),
    }
}

/// The time of day, with a space behind it.
pub(crate) fn time() -> String {
    ZonedDateTime::now().strftime("%H:%M ").to_string()
}

fn text_lines(text: &str) -> String {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut shown = lines.next().map(|line| TerminalSafe(line).to_string()).unwrap_or_default();
    let mut further: Vec<&str> = lines.collect();
    // What ends with a line's end has no further line.
    further.pop_if(|last| last.is_empty());
    for line in further {
        let _ = write!(shown, "\n{INDENT}{}", TerminalSafe(line));
    }
    shown
}

/// A relay as one JSON object on one line.
pub(crate) fn json(relay: &Relay) -> String {
    let (kind, (key, content)) = match &relay.content {
        Content::Text(text) => ("text", ("text", json!(text))),
        Content::File(id) => ("file", ("file_id", json!(id.0))),
    };
    let object = json!({
        "kind": kind,
        "from": relay.from.0,
        "nickname": relay.nickname,
        "to": relay.to.map(|uid| uid.0),
        key: content,
        "content_type": relay.content_type,
        "bytes": relay.len,
        "time": format!("{:.3}", Timestamp::now()),
    });
    escape_rest(&object.to_string())
}

/// Escapes what JSON allows in a string and a terminal obeys.
fn escape_rest(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        let mut whole = [0; 4];
        if c != '\\' && Escaped(c.encode_utf8(&mut whole)).to_string().len() > c.len_utf8() {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use multichat::ids::FileId;

    fn text(nickname: Option<&str>, to: Option<u64>, text: &str) -> Relay {
        Relay {
            to: to.map(Uid),
            from: Uid(7),
            nickname: nickname.map(str::to_string),
            content_type: "text".to_string(),
            len: text.len() as u64,
            content: Content::Text(text.to_string()),
        }
    }

    #[test]
    fn a_relay_is_a_line_and_further_lines_are_indented() {
        let check = |arrived: &Relay, expected: &str| {
            assert_eq!(relay(arrived, Style::default()), expected);
        };
        check(&text(Some("Tom"), None, "How are you?"), "7 Tom: How are you?");
        check(&text(None, None, "hi"), "7: hi");
        check(&text(Some("Tom"), Some(9), "psst"), "7 Tom (to you): psst");
        check(&text(None, None, "a\nb\r\n\nc\n"), "7: a\n    b\n    \n    c");
        check(&text(None, None, "7 Tom: forged\n8: so"), "7: 7 Tom: forged\n    8: so");
        check(&text(None, None, ""), "7: ");
        let mut file = text(Some("Tom"), None, "");
        file.content = Content::File(FileId(10));
        (file.content_type, file.len) = ("jpg".to_string(), 3000);
        check(&file, "7 Tom shared file 10 (jpg, 3000 bytes)");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}a\r\u{2028}";
        let harmless = |shown: &str| {
            !shown.chars().any(|c| {
                c.is_control() || matches!(c, '\u{2028}') || multichat::text::turns_direction(c)
            })
        };
        let mut file = text(Some(evil), None, "");
        file.content = Content::File(FileId(10));
        file.content_type = evil.to_string();
        for arrived in [text(Some(evil), None, evil), text(None, Some(1), evil), file] {
            let shown = relay(&arrived, Style::default());
            assert!(harmless(&shown), "{shown:?}");
            let shown = json(&arrived);
            assert!(harmless(&shown), "{shown:?}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let name = arrived.nickname.as_deref();
            assert_eq!(read["nickname"].as_str(), name);
        }
        assert_eq!(
            relay(&text(None, None, "\u{1b}[2J\tx\\n"), Style::default()),
            "7: \\u{1b}[2J    x\\n"
        );
    }

    #[test]
    fn colour_and_bell_are_there_where_they_are_wanted() {
        let style = Style { has_time: false, has_colour: true, has_bell: true };
        assert_eq!(
            relay(&text(Some("T"), Some(1), "x"), style),
            "\x07\x1b[32m7 T\x1b[0m (to you): x"
        );
        assert_eq!(relay(&text(None, None, "x"), style), "\x1b[32m7\x1b[0m: x");
    }

    #[test]
    fn json_has_all_that_is_known() {
        let read: serde_json::Value =
            serde_json::from_str(&json(&text(None, Some(9), "a\nb"))).unwrap();
        assert_eq!(read["kind"], "text");
        assert_eq!(read["from"], 7);
        assert_eq!(read["to"], 9);
        assert_eq!(read["text"], "a\nb");
        assert_eq!(read["bytes"], 3);
        assert!(read["nickname"].is_null());
        assert!(read["time"].as_str().unwrap().ends_with('Z'), "{}", read["time"]);
    }
}
