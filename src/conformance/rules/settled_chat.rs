//! What each message does, as it is settled where the draft is silent (P4): UIDs, queries, nicknames, texts, `To`.

use super::settled;
use super::settled_fatal::is_fatal;
use super::settled_nicknames::unless_ascii;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check, Stop};
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    settled(
        ("query-form", "P4", "query lists UIDs, numbers in ascending order, a line each"),
        query_form,
    ),
    settled(("query-self", "P4", "query self is answered with the asker's own UID"), query_self),
    settled(
        ("uid-ascending", "P4", "a client that connects gets a UID above all before"),
        uid_ascending,
    ),
    settled(
        ("uid-before-query", "P4", "a client is active as soon as it connects, without a query"),
        uid_before_query,
    ),
    settled(
        ("silent-hears", "P4", "a client that has said nothing yet gets what is said"),
        silent_hears,
    ),
    settled(
        ("query-names", "P4", "query names lists UIDs and nicknames, ascending by UID"),
        query_names,
    ),
    settled(("query-empty", "P4", "a query with an empty body lists the UIDs"), query_empty),
    settled(
        ("query-unknown", "P4", "any other query is refused, and the reason names those there are"),
        query_unknown,
    ),
    settled(
        ("leaves-at-once", "P4", "a client that closes without bye is listed no longer, at once"),
        leaves_at_once,
    ),
    settled(("text-default", "P4", "a chat without a Content-Type is a text"), text_default),
    settled(("text-utf8", "P4", "a text may be UTF-8; what is not is refused"), text_utf8),
    settled(
        ("text-controls", "P4", "control characters but tab, LF and CR LF are refused in a text"),
        text_controls,
    ),
    settled(
        ("text-limit", "P4", "a text of the largest size is relayed, one byte more refused"),
        text_limit,
    ),
    settled(("to-self", "P4", "one's own UID is a UID like any other"), to_self),
    settled(("to-ignored", "P4", "To is ignored in all messages but chat"), to_ignored),
    settled(
        (
            "cause-never",
            "P4",
            "a text to a UID never assigned is refused: no such client has connected",
        ),
        cause_never,
    ),
    settled(("cause-bye", "P4", "of a client that said bye a sender is told so"), cause_bye),
    settled(
        ("cause-closed", "P4", "of a client that closed the connection a sender is told so"),
        cause_closed,
    ),
    settled(
        ("cause-reset", "P4", "of a client whose connection was reset a sender is told so"),
        cause_reset,
    ),
    settled(
        ("cause-malformed", "P4", "of a client that sent no message a sender is told so"),
        cause_malformed,
    ),
];

fn query_form(case: &Case<'_>) -> Check {
    let (_first, _second, mut asker) = case.known()?;
    let response = asker.ask_ok(&Request::query())?;
    asker.field(&response, "Content-Type", "text")?;
    let text = response.text();
    let listed: Option<Vec<u64>> = text.lines().map(|line| line.parse().ok()).collect();
    let is_ascending = listed.is_some_and(|uids| uids.is_sorted_by(|a, b| a < b));
    let want = "UIDs in ascending order, each on a line of its own";
    asker.must(is_ascending && text.ends_with('\n'), &response, want)
}

fn query_self(case: &Case<'_>) -> Check {
    let (mut first, mut second, _) = case.known()?;
    for client in [&mut first, &mut second] {
        let response = client.ask_ok(&Request::query_for("self"))?;
        let uid = client.uid.clone();
        client.body(&response, &format!("{uid}\n"))?;
    }
    Ok(())
}

fn uid_ascending(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let before = watcher.uids()?;
    let highest = before.iter().filter_map(|uid| uid.parse().ok()).max().unwrap_or(0_u64);
    let leaver = case.join_known(&mut watcher)?;
    let left = leaver.uid.parse().unwrap_or(0);
    leaver.close();
    let next = case.join_known(&mut watcher)?;
    let above = highest.max(left);
    if next.uid.parse().is_ok_and(|uid: u64| uid > above) {
        return Ok(());
    }
    Err(watcher.broken(&next.uid, &format!("a UID above {above}")))
}

fn uid_before_query(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let before = watcher.uids()?;
    let _silent = case.connect()?;
    case.until(|| {
        let after = watcher.uids()?;
        match after.iter().any(|uid| !before.contains(uid)) {
            true => Ok(()),
            false => {
                Err(watcher.broken(&after.join(" "), "one UID more: another client has connected"))
            }
        }
    })
}

fn silent_hears(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    case.rests_on("uid-before-query")?;
    let mut speaker = case.join()?;
    let before = speaker.uids()?;
    let mut silent = case.connect()?;
    // Connections are taken in the order in which they were made.
    let _next = case.join()?;
    let mut new = speaker.uids()?;
    new.retain(|uid| !before.contains(uid));
    let (public, private) = (case.text(), case.text());
    speaker.ask_ok(&Request::chat(&public))?;
    silent.hear(&public)?;
    // One of them is its own; others may have come as well.
    for uid in new {
        speaker.ask(&Request::chat(&private).to(&uid))?;
    }
    silent.hear(&private)?;
    Ok(())
}

fn query_names(case: &Case<'_>) -> Check {
    let (mut named, nameless, mut asker) = case.known()?;
    named.ask_ok(&Request::nickname("Tom Sawyer")).needs("nickname-ok")?;
    let response = asker.ask_ok(&Request::query_for("names"))?;
    let text = response.text();
    let lines: Vec<&str> = text.lines().collect();
    let uid = |line: &&str| line.split(' ').next().and_then(|uid| uid.parse::<u64>().ok());
    for line in [format!("{} Tom Sawyer", named.uid), nameless.uid.clone()] {
        let want = format!("a line {line:?}");
        asker.must(lines.contains(&line.as_str()), &response, &want)?;
    }
    let is_ascending = lines.is_sorted_by(|a, b| uid(a) < uid(b));
    asker.must(is_ascending && text.ends_with('\n'), &response, "UIDs in ascending order")
}

fn query_empty(case: &Case<'_>) -> Check {
    let (first, _second, mut asker) = case.known()?;
    let response = asker.ask_ok(&Request::query_for(""))?;
    let text = response.text();
    let want = format!("a list with {} in it", first.uid);
    asker.must(text.lines().any(|line| line == first.uid), &response, &want)
}

fn query_unknown(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for body in ["nonsense", "self names", "name"] {
        let response = client.ask(&Request::query_for(body))?;
        client.reason(&response, &["self", "names", "files"])?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn leaves_at_once(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let leaver = case.join_known(&mut watcher)?;
    let uid = leaver.uid.clone();
    leaver.close();
    case.until(|| {
        let listed = watcher.uids()?;
        match listed.contains(&uid) {
            false => Ok(()),
            true => {
                Err(watcher
                    .broken(&listed.join(" "), &format!("a list without {uid}, who has closed")))
            }
        }
    })
}

fn text_default(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let len = text.len();
    let response = speaker
        .ask_raw(format!("Message-Type chat\nMessage-ID 7777\nContent-Length {len}\n\n{text}"))?;
    speaker.must(response.is_ok(), &response, "Status Ok")?;
    let relay = listener.hear(&text)?;
    listener.field(&relay, "Content-Type", "text")
}

fn text_utf8(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text() + " \u{fc}ber \u{5f20} \u{1f600}\u{202e}";
    unless_ascii(&mut speaker, &Request::chat(&text))?;
    listener.hear(&text)?;
    for bytes in [b"caf\xe9".as_slice(), b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80"] {
        speaker.ask_refused(&Request::chat(bytes))?;
    }
    Ok(())
}

fn text_controls(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text() + "\ttab\nlines\r\nof both kinds\n";
    speaker.ask_ok(&Request::chat(&text))?;
    listener.hear(&text)?;
    for bad in ["a\x07", "a\x1b[31m", "a\0b", "a\x7f", "a\rb", "a\r", "a\u{9b}2J", "a\u{85}"] {
        speaker.ask_refused(&Request::chat(bad))?;
    }
    speaker.ask_ok(&Request::query())?;
    Ok(())
}

fn text_limit(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let limit = case.limit("max-text", 65_536);
    if limit > 1 << 20 {
        return Err(Stop::Skip(format!("a text may have {limit} bytes here: too many to try")));
    }
    let mut text = case.text();
    text.extend(std::iter::repeat_n('x', (limit as usize).saturating_sub(text.len())));
    speaker.ask_ok(&Request::chat(&text))?;
    let relay = listener.relay("a relay of the text", |message| message.body == text.as_bytes())?;
    listener.field(&relay, "Content-Length", &limit.to_string())?;
    let response = speaker.ask(&Request::chat(format!("{text}x")))?;
    speaker.reason(&response, &[&limit.to_string(), &(limit + 1).to_string()])?;
    listener.quiet("nothing of it", |message| message.body.starts_with(text.as_bytes()))?;
    speaker.ask_ok(&Request::query())?;
    Ok(())
}

fn to_self(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let mut client = case.join_known(&mut watcher)?;
    let (text, uid) = (case.text(), client.uid.clone());
    client.ask_ok(&Request::chat(&text).to(&uid))?;
    let is_it = |message: &Message| message.body == text.as_bytes();
    let Some(relay) = client.take_relays().into_iter().find(is_it) else {
        return Err(client.broken("the response", "the relay of the text, and then the response"));
    };
    client.field(&relay, "From", &uid)?;
    client.field(&relay, "To", &uid)?;
    watcher.quiet("nothing: it is for another client", is_it)
}

fn to_ignored(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for to in ["999999999", "me"] {
        client.ask_ok(&Request::query().to(to))?;
        client.ask_ok(&Request::nickname("Tom").to(to))?;
        let fetch = Request::fetch(case.nobody()).to(to);
        let response = client.ask(&fetch)?;
        client.reason(&response, &[case.nobody()])?;
    }
    client.send("Message-Type bye\nMessage-ID 1\nTo me\n\n");
    client.end("the end of the connection")
}

fn cause_never(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for uid in [case.nobody(), "0", "18446744073709551615"] {
        let response = client.ask(&Request::chat("hi").to(uid))?;
        client.reason(&response, &[uid, "has connected"])?;
    }
    Ok(())
}

/// What a sender is told of a client that has left.
fn is_told(case: &Case<'_>, speaker: &mut Peer, gone: &str, cause: &str) -> Check {
    // The sender may be faster than the news of the end.
    let told = case.until(|| {
        let response = speaker.ask(&Request::chat("hi").to(gone))?;
        speaker.refused(&response)?;
        Ok(response)
    })?;
    speaker.reason(&told, &[&format!("client {gone} has left"), cause])
}

fn cause_bye(case: &Case<'_>) -> Check {
    let (mut leaver, _other, mut speaker) = case.known()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection")?;
    is_told(case, &mut speaker, &leaver.uid, "it said bye")
}

fn cause_closed(case: &Case<'_>) -> Check {
    let mut speaker = case.join()?;
    let mut leaver = case.join_known(&mut speaker)?;
    let uid = leaver.uid.clone();
    leaver.end_input();
    is_told(case, &mut speaker, &uid, "it closed the connection")
}

fn cause_reset(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let leaver = case.join_known(&mut watcher)?;
    let uid = leaver.uid.clone();
    leaver.reset();
    // Not before it is noticed: a text that is written to it takes the news of the reset.
    case.until(|| {
        let listed = watcher.uids()?;
        match listed.contains(&uid) {
            false => Ok(()),
            true => {
                Err(watcher.broken(&listed.join(" "), "a list without the client that is gone"))
            }
        }
    })?;
    is_told(case, &mut watcher, &uid, "the connection was reset")
}

fn cause_malformed(case: &Case<'_>) -> Check {
    let (mut leaver, _other, mut speaker) = case.known()?;
    is_fatal(&mut leaver, "nonsense\n\n", &[]).needs("first-unknown-fatal")?;
    is_told(case, &mut speaker, &leaver.uid, "it sent something that is not a message")
}
