//! What arrives and what is answered, as one JSON object a line.

use std::fmt::Write as _;

use jiff::Timestamp;
use multichat::client::{Content, News, Notice, Relay};
use serde_json::{Map, Value, json};

use super::Escaped;

/// A relay as one JSON object on one line; what the server has told of it in the extended form is there
/// where it has told it.
pub(crate) fn relay(relay: &Relay) -> String {
    let (kind, (key, content)) = match &relay.content {
        Content::Text(text) => ("text", ("text", json!(text))),
        Content::File(id) => ("file", ("file_id", json!(id.0))),
    };
    let known = json!({
        "kind": kind,
        "from": relay.from.0,
        "nickname": relay.nickname,
        "to": relay.to.map(|uid| uid.0),
        key: content,
        "content_type": relay.content_type,
        "bytes": relay.len,
    });
    let extra = &relay.extra;
    let told = [
        ("name", extra.file_name.as_deref().map(Value::from)),
        ("sequence", extra.sequence.map(Value::from)),
        ("sent", extra.time.map(|sent| sent.to_string().into())),
    ];
    timed(known, told)
}

/// News of another client as one JSON object on one line.
pub(crate) fn notice(notice: &Notice) -> String {
    let (event, told) = match notice.news() {
        News::Joined => ("joined", None),
        News::Nickname(nickname) => ("nickname", Some(("new_nickname", nickname))),
        News::Left(cause) => ("left", Some(("cause", cause))),
    };
    let known = json!({
        "kind": "notice",
        "event": event,
        "from": notice.from.0,
        "nickname": notice.nickname,
    });
    let (name, value) = told.unwrap_or_default();
    let sent = notice.time.map(|sent| sent.to_string().into());
    timed(known, [(name, told.map(|_| value.into())), ("sent", sent)])
}

/// An object on one line, with what is told, and the time of its arrival.
fn timed<const N: usize>(object: Value, told: [(&str, Option<Value>); N]) -> String {
    let mut object = match object {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    let told = told.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?)));
    object.extend(told);
    object.insert("time".to_string(), format!("{:.3}", Timestamp::now()).into());
    line(&Value::Object(object))
}

/// An object on one line, without its end, that a terminal can be shown.
pub(crate) fn line(object: &Value) -> String {
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
    use super::super::line::tests::text;
    use super::*;

    #[test]
    fn json_has_all_that_is_known() {
        let read: Value = serde_json::from_str(&relay(&text(None, Some(9), "a\nb"))).unwrap();
        assert_eq!(read["kind"], "text");
        assert_eq!(read["from"], 7);
        assert_eq!(read["to"], 9);
        assert_eq!(read["text"], "a\nb");
        assert_eq!(read["bytes"], 3);
        assert!(read["nickname"].is_null());
        for told in ["name", "sequence", "sent"] {
            assert!(read.get(told).is_none(), "{told}: the server has not told it");
        }
        assert!(read["time"].as_str().unwrap().ends_with('Z'), "{}", read["time"]);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_reads_back() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}a\r\u{2028}";
        let shown = relay(&text(Some(evil), None, evil));
        let obeyed =
            |c: char| c.is_control() || c == '\u{2028}' || multichat::text::turns_direction(c);
        assert!(!shown.contains(obeyed), "{shown:?}");
        let read: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["nickname"].as_str(), Some(evil));
        assert_eq!(read["text"].as_str(), Some(evil));
    }
}
