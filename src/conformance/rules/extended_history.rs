//! The history (E3).

use super::extended;
use super::extended_form::join_extended;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check, Stop};
use crate::conformance::finding::visible;
use crate::conformance::message::{Message, Parsed};
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    extended(
        (
            "history-before",
            "E3",
            "history N is what was said before the asker connected, and no more",
        ),
        history_before,
    ),
    extended(
        ("history-oldest-first", "E3", "the history begins with the oldest"),
        history_oldest_first,
    ),
    extended(
        (
            "history-form",
            "E3",
            "the history is relays in the extended form, texts with their bodies",
        ),
        history_form,
    ),
    extended(
        ("history-kept", "E3", "as many messages are kept as features say, and no more"),
        history_kept,
    ),
    extended(("history-count", "E3", "history N is the last N"), history_count),
    extended(
        ("history-after", "E3", "history N after K has those alone whose Sequence is above K"),
        history_after,
    ),
    extended(("history-empty", "E3", "where there are none the body is empty"), history_empty),
    extended(("history-more", "E3", "asking for more than there is is no error"), history_more),
    extended(
        ("history-public", "E3", "private messages and notices are not in the history"),
        history_public,
    ),
    extended(
        ("history-refused", "E3", "N is a number from 1 on, K a number; all else is refused"),
        history_refused,
    ),
    extended(("history-again", "E3", "asked again, the history is the same"), history_again),
    extended(
        ("history-no-gap", "E3", "history and what arrives fit without a gap or a duplicate"),
        history_no_gap,
    ),
    extended(("history-times", "E3", "Time never goes back within the history"), history_times),
];

/// The answer to a query for history, taken apart.
fn history(client: &mut Peer, ask: &str) -> Check<Vec<Message>> {
    let response = client.ask_ok(&Request::query_for(ask))?;
    let mut rest = response.body.as_slice();
    let mut relays = Vec::new();
    while !rest.is_empty() {
        match Message::parse(rest, false) {
            Parsed::Whole(relay, used) => {
                rest = &rest[used..];
                relays.push(relay);
            }
            Parsed::Partial(why) | Parsed::Noise(why) => {
                let got = format!("{} ({why})", visible(rest));
                return Err(client.broken(&got, "relays, one behind the other"));
            }
        }
    }
    Ok(relays)
}

/// Says some texts, and leaves.
fn said(case: &Case<'_>, count: usize) -> Check<Vec<String>> {
    case.feature("history")?;
    let mut speaker = case.join()?;
    let texts: Vec<String> = (0..count).map(|_| case.text()).collect();
    for text in &texts {
        speaker.ask_ok(&Request::chat(text)).needs("public-ok")?;
    }
    Ok(texts)
}

fn bodies(relays: &[Message]) -> Vec<String> {
    relays.iter().map(|relay| relay.text().into_owned()).collect()
}

/// What the history is, in words.
fn told(relays: &[Message]) -> String {
    let told: Vec<String> = relays.iter().map(|relay| format!("{:?}", relay.text())).collect();
    if told.is_empty() { "an empty history".to_owned() } else { told.join(", ") }
}

fn history_before(case: &Case<'_>) -> Check {
    let texts = said(case, 2)?;
    let mut speaker = case.join()?;
    let mut asker = case.join()?;
    let later = case.text();
    speaker.ask_ok(&Request::chat(&later)).needs("public-ok")?;
    asker.hear(&later).needs("public-relay")?;
    let relays = history(&mut asker, "history 20")?;
    let found = bodies(&relays);
    if texts.iter().all(|text| found.contains(text)) && !found.contains(&later) {
        return Ok(());
    }
    let want = format!("{texts:?} in it, and {later:?} not");
    Err(asker.broken(&told(&relays), &want))
}

fn history_oldest_first(case: &Case<'_>) -> Check {
    let texts = said(case, 3)?;
    let mut asker = case.join()?;
    let relays = history(&mut asker, "history 20")?;
    let mut found = bodies(&relays);
    found.retain(|text| texts.contains(text));
    if found == texts {
        return Ok(());
    }
    Err(asker.broken(&told(&relays), &format!("{texts:?}, in this order")))
}

fn history_form(case: &Case<'_>) -> Check {
    case.feature("history")?;
    let mut speaker = case.join()?;
    speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    let (text, content) = (case.text(), case.file());
    speaker.ask_ok(&Request::chat(&text)).needs("public-ok")?;
    speaker.ask_ok(&Request::share("jpg", &content)).needs("share-ok")?;
    drop(speaker);
    let mut asker = case.join()?;
    let relays = history(&mut asker, "history 20")?;
    let is_text = |relay: &&Message| relay.body == text.as_bytes();
    let is_file = |relay: &&Message| {
        relay.is_file_relay() && relay.number("Content-Length") == Some(content.len() as u64)
    };
    for relay in [relays.iter().find(is_text), relays.iter().find(is_file)] {
        let want = "both the text and the file, as relays";
        let Some(relay) = relay else { return Err(asker.broken(&told(&relays), want)) };
        asker.field(relay, "Message-Type", "chat")?;
        asker.field(relay, "Sender-Nickname", "Tom")?;
        for name in ["From", "Sequence", "Time"] {
            asker.must(relay.has(name), relay, &format!("{name}: the extended form"))?;
        }
    }
    Ok(())
}

fn history_kept(case: &Case<'_>) -> Check {
    let kept = case.feature("history")?.parse().unwrap_or(0);
    if kept > 1000 {
        return Err(Stop::Skip(format!("{kept} messages are kept: too many to try")));
    }
    let mut speaker = case.join()?;
    let texts: Vec<String> = (0..kept + 2).map(|_| case.text()).collect();
    let flight: Vec<u8> =
        texts.iter().flat_map(|text| speaker.encode(&Request::chat(text))).collect();
    speaker.send(flight);
    for text in &texts {
        let response = speaker.response(&format!("a response to {text:?}"))?;
        speaker.must(response.is_ok(), &response, "Status Ok").needs("public-ok")?;
    }
    let mut asker = case.join()?;
    let relays = history(&mut asker, &format!("history {}", kept + 100))?;
    if relays.len() == kept {
        return Ok(());
    }
    Err(asker.broken(&format!("{} messages", relays.len()), &format!("{kept} messages")))
}

fn history_count(case: &Case<'_>) -> Check {
    said(case, 4)?;
    let mut asker = case.join()?;
    let all = history(&mut asker, "history 50")?;
    let two = history(&mut asker, "history 2")?;
    if all.len() >= 4 && two == all[all.len() - 2..] {
        return Ok(());
    }
    let want = format!("the last two of {}", told(&all));
    Err(asker.broken(&told(&two), &want))
}

fn history_after(case: &Case<'_>) -> Check {
    said(case, 4)?;
    let mut asker = case.join()?;
    let all = history(&mut asker, "history 50")?;
    let middle = all.len().saturating_sub(3);
    let after = all.get(middle).and_then(|relay| relay.number("Sequence")).unwrap_or(0);
    let some = history(&mut asker, &format!("history 50 after {after}"))?;
    let one = history(&mut asker, &format!("history 1 after {after}"))?;
    if all.len() >= 4 && some == all[middle + 1..] && one == all[all.len() - 1..] {
        return Ok(());
    }
    let want = format!("what stands behind Sequence {after} in {}", told(&all));
    Err(asker.broken(&format!("{}; the last one: {}", told(&some), told(&one)), &want))
}

fn history_empty(case: &Case<'_>) -> Check {
    said(case, 1)?;
    let mut asker = case.join()?;
    let response = asker.ask_ok(&Request::query_for(format!("history 5 after {}", u64::MAX)))?;
    asker.field(&response, "Content-Type", "text")?;
    asker.body(&response, "")
}

fn history_more(case: &Case<'_>) -> Check {
    let texts = said(case, 1)?;
    let mut asker = case.join()?;
    for ask in ["history 1000000", "history 18446744073709551615", "history 00100 after 0"] {
        let relays = history(&mut asker, ask)?;
        if bodies(&relays).last() != texts.last() && !bodies(&relays).contains(&texts[0]) {
            return Err(asker.broken(&told(&relays), &format!("{:?} in it", texts[0])));
        }
    }
    Ok(())
}

fn history_public(case: &Case<'_>) -> Check {
    case.feature("history")?;
    let (mut speaker, receiver, _) = case.known()?;
    let (private, public) = (case.text(), case.text());
    speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    speaker.ask_ok(&Request::chat(&private).to(&receiver.uid)).needs("private-ok")?;
    speaker.ask_ok(&Request::chat(&public)).needs("public-ok")?;
    let mut asker = case.join()?;
    let relays = history(&mut asker, "history 50")?;
    let is_wrong =
        |relay: &Message| relay.is("notice") || relay.has("To") || relay.body == private.as_bytes();
    match relays.iter().find(|relay| is_wrong(relay)) {
        None => Ok(()),
        Some(relay) => asker.must(false, relay, "public relays alone"),
    }
}

fn history_refused(case: &Case<'_>) -> Check {
    case.feature("history")?;
    let mut client = case.join()?;
    for body in [
        "history",
        "history 0",
        "history -1",
        "history x",
        "history 1 after",
        "history 1 after x",
        "history 1 after 2 3",
        "history after 2",
        "history 1 before 2",
        "history 1 2",
        "history 18446744073709551616",
    ] {
        let response = client.ask(&Request::query_for(body))?;
        client.reason(&response, &["history"])?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn history_again(case: &Case<'_>) -> Check {
    said(case, 2)?;
    let mut asker = case.join()?;
    let first = history(&mut asker, "history 10")?;
    let mut speaker = case.join()?;
    speaker.ask_ok(&Request::chat(case.text())).needs("public-ok")?;
    case.feature("extended")?;
    asker.ask_ok(&Request::query_for("extended")).needs("extended-answer")?;
    let second = history(&mut asker, "history 10")?;
    if first == second {
        return Ok(());
    }
    Err(asker.broken(&told(&second), &format!("the same as before: {}", told(&first))))
}

fn history_no_gap(case: &Case<'_>) -> Check {
    said(case, 2)?;
    let mut asker = join_extended(case)?;
    let mut speaker = case.join()?;
    let text = case.text();
    speaker.ask_ok(&Request::chat(&text)).needs("public-ok")?;
    let relay = asker.relay("the first public relay", |message| {
        !message.is_response() && message.has("Sequence")
    })?;
    let relays = history(&mut asker, "history 5")?;
    let last = relays.last().and_then(|relay| relay.number("Sequence")).unwrap_or(0);
    let want = format!("Sequence {}, behind the {last} of the history", last + 1);
    asker.must(relay.number("Sequence") == Some(last + 1), &relay, &want)
}

fn history_times(case: &Case<'_>) -> Check {
    said(case, 3)?;
    let mut asker = case.join()?;
    let relays = history(&mut asker, "history 100")?;
    let times: Vec<_> = relays.iter().map(|relay| relay.field("Time")).collect();
    match times.is_sorted() && !times.contains(&None) {
        true => Ok(()),
        false => Err(asker.broken(&format!("{times:?}"), "times that never go back")),
    }
}
