//! Features and the extended form (E1, E2).

use super::extended;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

/// What `features` may list, in its order.
const FEATURES: [&str; 8] =
    ["self", "names", "files", "extended", "history", "file-name", "max-text", "max-file"];

/// What only a connection that has asked for the extended form gets.
const NEW_FIELDS: [&str; 3] = ["File-Name", "Sequence", "Time"];

pub(super) const RULES: &[Rule] = &[
    extended(
        ("features-form", "E1", "features are NAME or NAME VALUE, a line each, in their order"),
        features_form,
    ),
    extended(
        ("features-limits", "E1", "history, max-text and max-file are numbers"),
        features_limits,
    ),
    extended(
        ("features-started", "E1", "started is a time in UTC with three decimals"),
        features_started,
    ),
    extended(
        ("query-words", "E1", "the words of a query are separated by one or more blanks"),
        query_words,
    ),
    extended(
        (
            "query-names-all",
            "E1",
            "a query that is none of those known is refused, naming them all",
        ),
        query_names_all,
    ),
    extended(
        ("extended-answer", "E2", "query extended is answered with extended"),
        extended_answer,
    ),
    extended(
        ("extended-again", "E2", "asking again is answered again and changes nothing"),
        extended_again,
    ),
    extended(
        ("plain-unchanged", "E2", "a connection that did not ask gets nothing new"),
        plain_unchanged,
    ),
    extended(
        (
            "extended-behind",
            "E2",
            "every relay behind the response is extended, and none before it",
        ),
        extended_behind,
    ),
    extended(
        ("relay-time", "E2", "an extended relay has Time, in UTC with three decimals"),
        relay_time,
    ),
    extended(
        (
            "relay-sequence",
            "E2",
            "public relays have Sequence, without a gap, texts and files alike",
        ),
        relay_sequence,
    ),
    extended(("private-no-sequence", "E2", "a private relay has no Sequence"), private_no_sequence),
    extended(
        (
            "relay-new-order",
            "E2",
            "File-Name, Sequence and Time stand before Content-Type, in this order",
        ),
        relay_new_order,
    ),
    extended(
        ("responses-unchanged", "E2", "the response to a file's sharer stays as it is"),
        responses_unchanged,
    ),
];

/// A client in the extended form.
pub(super) fn join_extended(case: &Case<'_>) -> Check<Peer> {
    case.feature("extended")?;
    let mut client = case.join()?;
    client.ask_ok(&Request::query_for("extended")).needs("extended-answer")?;
    Ok(client)
}

/// A plain client that speaks, and an extended one that listens.
pub(super) fn speaker_and_listener(case: &Case<'_>) -> Check<(Peer, Peer)> {
    let listener = join_extended(case)?;
    Ok((case.join()?, listener))
}

/// Whether this is a time such as 2026-11-26T09:41:00.123Z.
pub(super) fn is_time(text: &str) -> bool {
    let form = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, like)| match like {
            'd' => c.is_ascii_digit(),
            like => c == like,
        })
}

fn features_form(case: &Case<'_>) -> Check {
    case.feature("self")?;
    let mut client = case.join()?;
    let response = client.ask_ok(&Request::query_for("features"))?;
    client.field(&response, "Content-Type", "text")?;
    let text = response.text();
    client.must(text.ends_with('\n'), &response, "lines, each ended by a linefeed")?;
    let listed: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    let known = |name: &&&str| FEATURES.contains(*name) || **name == "started";
    let places: Vec<_> = listed
        .iter()
        .filter(known)
        .map(|name| FEATURES.iter().position(|feature| feature == name).unwrap_or(FEATURES.len()))
        .collect();
    let want = format!("some of {} and started, in this order", FEATURES.join(", "));
    client.must(places.is_sorted_by(|a, b| a < b), &response, &want)?;
    let words = text.lines().all(|line| !line.is_empty() && line.trim() == line);
    client.must(words, &response, "NAME or NAME VALUE, a line each")
}

fn features_limits(case: &Case<'_>) -> Check {
    case.feature("max-text")?;
    case.feature("max-file")?;
    for name in ["history", "max-text", "max-file"] {
        // A server that keeps no history does not list it.
        let Ok(value) = case.feature(name) else { continue };
        if value.parse::<u64>().is_err() {
            return Err(case.join()?.broken(&format!("{name} {value}"), "a number"));
        }
    }
    Ok(())
}

fn features_started(case: &Case<'_>) -> Check {
    let value = case.feature("started")?;
    let mut client = case.join()?;
    if !is_time(&value) {
        return Err(client.broken(&value, "a time such as 2026-11-26T09:41:00.123Z"));
    }
    let response = client.ask_ok(&Request::query_for("features"))?;
    let line = format!("started {value}");
    let is_same = response.text().lines().any(|listed| listed == line);
    client.must(is_same, &response, &format!("the same time for every client: {value}"))
}

fn query_words(case: &Case<'_>) -> Check {
    case.feature("history")?;
    let mut client = case.join()?;
    for body in ["history 1", "history  1", "history\t 1", " history 1 \n", "history 1  after\t0"] {
        client.ask_ok(&Request::query_for(body))?;
    }
    for body in ["history1", "his tory 1", "self 1"] {
        client.ask_refused(&Request::query_for(body))?;
    }
    Ok(())
}

fn query_names_all(case: &Case<'_>) -> Check {
    case.feature("extended")?;
    let mut client = case.join()?;
    for body in ["nonsense", "EXTENDED", "features all"] {
        let response = client.ask(&Request::query_for(body))?;
        let words = ["self", "names", "files", "features", "extended", "history"];
        client.reason(&response, &words)?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn extended_answer(case: &Case<'_>) -> Check {
    case.feature("extended")?;
    let mut client = case.join()?;
    let response = client.ask_ok(&Request::query_for("extended"))?;
    client.field(&response, "Content-Type", "text")?;
    client.body(&response, "extended\n")
}

fn extended_again(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    let response = listener.ask_ok(&Request::query_for("extended"))?;
    listener.body(&response, "extended\n")?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text)?;
    listener.must(relay.has("Time"), &relay, "a relay in the extended form").needs("relay-time")
}

fn lacks_new_fields(client: &Peer, message: &Message) -> Check {
    client.must(!message.is("notice"), message, "no notice")?;
    NEW_FIELDS.into_iter().try_for_each(|name| client.lacks(message, name))
}

fn plain_unchanged(case: &Case<'_>) -> Check {
    let (mut speaker, _extended) = speaker_and_listener(case)?;
    let mut plain = case.join()?;
    let text = case.text();
    let content = case.file();
    speaker.ask_ok(&Request::nickname("Tom"))?;
    speaker.ask_ok(&Request::nickname("Thomas"))?;
    speaker.ask(&Request::chat(&text))?;
    speaker.ask_ok(&Request::share("jpg", &content).field("File-Name", "cat.jpg"))?;
    speaker.post(&Request::bye());
    speaker.drain("the end of the connection").needs("bye-closes")?;
    let relay = plain.hear(&text)?;
    lacks_new_fields(&plain, &relay)?;
    let relay = plain.hear_file("jpg", content.len())?;
    lacks_new_fields(&plain, &relay)?;
    let fetched = plain.ask_ok(&Request::fetch(relay.field("File-ID").unwrap_or_default()))?;
    lacks_new_fields(&plain, &fetched)?;
    for message in plain.take_relays() {
        lacks_new_fields(&plain, &message)?;
    }
    Ok(())
}

fn extended_behind(case: &Case<'_>) -> Check {
    case.feature("extended")?;
    let (mut speaker, mut listener) = case.pair()?;
    let (before, behind) = (case.text(), case.text());
    speaker.ask(&Request::chat(&before))?;
    listener.ask_ok(&Request::query_for("extended")).needs("extended-answer")?;
    speaker.ask(&Request::chat(&behind))?;
    let relay = listener.hear(&before)?;
    lacks_new_fields(&listener, &relay)?;
    let relay = listener.hear(&behind)?;
    listener.must(relay.has("Time"), &relay, "Time").needs("relay-time")
}

fn relay_time(case: &Case<'_>) -> Check {
    let mut listener = join_extended(case)?;
    let (mut speaker, receiver, _) = case.known()?;
    let (public, private) = (case.text(), case.text());
    speaker.ask(&Request::chat(&public))?;
    let relay = listener.hear(&public)?;
    let has_time = |message: &Message| message.field("Time").is_some_and(is_time);
    listener.must(has_time(&relay), &relay, "Time, such as 2026-11-26T09:41:00.123Z")?;
    let mut receiver = receiver;
    receiver.ask_ok(&Request::query_for("extended"))?;
    speaker.ask(&Request::chat(&private).to(&receiver.uid))?;
    let relay = receiver.hear(&private)?;
    receiver.must(has_time(&relay), &relay, "Time in a private relay too")
}

/// What all relays of one's own text or file have in common.
pub(super) fn is_public(message: &Message) -> bool {
    message.is("chat") && !message.is_response() && !message.has("To")
}

fn relay_sequence(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    for _ in 0..3 {
        speaker.ask(&Request::chat(case.text()))?;
        speaker.ask(&Request::share("jpg", case.file()))?;
    }
    let mut last: Option<u64> = None;
    for number in 1..=6 {
        let want = format!("public relay {number} of 6");
        let relay = listener.relay(&want, is_public)?;
        let sequence = relay.number("Sequence");
        let want = last.map_or("a Sequence".to_owned(), |last| format!("Sequence {}", last + 1));
        let follows =
            sequence.is_some() && (last.is_none() || sequence == last.map(|last| last + 1));
        listener.must(follows, &relay, &want)?;
        last = sequence;
    }
    Ok(())
}

fn private_no_sequence(case: &Case<'_>) -> Check {
    case.feature("extended")?;
    let (mut speaker, mut receiver, _) = case.known()?;
    receiver.ask_ok(&Request::query_for("extended")).needs("extended-answer")?;
    let text = case.text();
    speaker.ask(&Request::chat(&text).to(&receiver.uid))?;
    let relay = receiver.hear(&text)?;
    receiver.lacks(&relay, "Sequence")
}

fn relay_new_order(case: &Case<'_>) -> Check {
    const TEXT: [&str; 7] = [
        "Message-Type",
        "From",
        "Sender-Nickname",
        "Sequence",
        "Time",
        "Content-Type",
        "Content-Length",
    ];
    const FILE: [&str; 9] = [
        "Message-Type",
        "From",
        "Sender-Nickname",
        "File-ID",
        "File-Name",
        "Sequence",
        "Time",
        "Content-Type",
        "Content-Length",
    ];
    case.feature("file-name")?;
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    let (text, content) = (case.text(), case.file());
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text)?;
    listener.must(relay.names() == TEXT, &relay, &TEXT.join(", "))?;
    speaker.ask(&Request::share("jpg", &content).field("File-Name", "cat.jpg"))?;
    let relay = listener.hear_file("jpg", content.len())?;
    listener.must(relay.names() == FILE, &relay, &FILE.join(", "))
}

fn responses_unchanged(case: &Case<'_>) -> Check {
    let mut client = join_extended(case)?;
    let _listener = case.join()?;
    let shared =
        client.ask_ok(&Request::share("jpg", case.file()).field("File-Name", "cat.jpg"))?;
    lacks_new_fields(&client, &shared)?;
    let said = client.ask_ok(&Request::chat(case.text()))?;
    lacks_new_fields(&client, &said)
}
