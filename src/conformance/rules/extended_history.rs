//! The history and file names (E3, E4).

use super::extended;
use super::extended_form::{join_extended, speaker_and_listener};
use super::settled_errors::is_fatal;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
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
    extended(
        ("file-name-relay", "E4", "an extended relay has the File-Name of the share"),
        file_name_relay,
    ),
    extended(
        ("file-name-fetch", "E2", "the response to a fetch has File-Name behind Message-ID"),
        file_name_fetch,
    ),
    extended(
        ("file-name-files", "E4", "query files has the name behind From, for an extended client"),
        file_name_files,
    ),
    extended(("file-name-trim", "E4", "white space around a File-Name is dropped"), file_name_trim),
    extended(("file-name-utf8", "E4", "a File-Name may be UTF-8"), file_name_utf8),
    extended(("file-name-200", "E4", "a File-Name has 1 to 200 bytes"), file_name_200),
    extended(
        ("file-name-no-path", "E4", "a File-Name that could be a path is refused"),
        file_name_no_path,
    ),
    extended(
        (
            "file-name-characters",
            "E4",
            "control characters, separators and turns of direction are refused",
        ),
        file_name_characters,
    ),
    extended(
        ("file-name-bytes", "E4", "a File-Name that is not UTF-8 is refused"),
        file_name_bytes,
    ),
    extended(("file-name-twice", "E4", "File-Name twice in a header is refused"), file_name_twice),
    extended(("file-name-empty", "E4", "File-Name without a value is fatal"), file_name_empty),
    extended(("file-name-first", "E4", "a message may not begin with File-Name"), file_name_first),
    extended(
        ("file-name-elsewhere", "E4", "where no file is shared File-Name is not looked at"),
        file_name_elsewhere,
    ),
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

/// A share with this name, from the second client; and its relay, as the extended first one gets it.
fn named(case: &Case<'_>, name: &str) -> Check<([Peer; 2], Message, Vec<u8>)> {
    case.feature("file-name")?;
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    let content = case.file();
    speaker.ask_ok(&Request::share("pdf", &content).field("File-Name", name))?;
    let relay = listener.hear_file("pdf", content.len())?;
    Ok(([speaker, listener], relay, content))
}

fn file_name_relay(case: &Case<'_>) -> Check {
    let ([mut speaker, mut listener], relay, _) = named(case, "holiday plan.pdf")?;
    listener.field(&relay, "File-Name", "holiday plan.pdf")?;
    let content = case.file();
    speaker.ask_ok(&Request::share("pdf", &content))?;
    let relay = listener.hear_file("pdf", content.len())?;
    listener.lacks(&relay, "File-Name")
}

fn file_name_fetch(case: &Case<'_>) -> Check {
    let ([_, mut listener], relay, content) = named(case, "holiday plan.pdf")?;
    let response = listener.ask_ok(&Request::fetch(relay.field("File-ID").unwrap_or_default()))?;
    listener.field(&response, "File-Name", "holiday plan.pdf")?;
    let place = response.names().iter().position(|name| *name == "File-Name");
    listener.must(place == Some(3), &response, "File-Name behind Message-ID")?;
    listener.must(response.body == content, &response, "the file")
}

fn file_name_files(case: &Case<'_>) -> Check {
    let ([mut speaker, mut listener], relay, content) = named(case, "holiday plan.pdf")?;
    let [id, from] = ["File-ID", "From"].map(|name| relay.field(name).unwrap_or_default());
    let plain = format!("{id} pdf {} {from}", content.len());
    let full = format!("{plain} holiday plan.pdf");
    for (client, line) in [(&mut listener, full), (&mut speaker, plain)] {
        let response = client.ask_ok(&Request::query_for("files"))?;
        let is_there = response.text().lines().any(|listed| listed == line);
        client.must(is_there, &response, &format!("a line {line:?}"))?;
    }
    Ok(())
}

fn file_name_trim(case: &Case<'_>) -> Check {
    let ([_, listener], relay, _) = named(case, " \t holiday plan.pdf \t")?;
    let line = "\nFile-Name holiday plan.pdf\r\n";
    let is_plain = String::from_utf8_lossy(&relay.header).contains(line);
    listener.must(is_plain, &relay, "File-Name holiday plan.pdf, without the white space")
}

fn file_name_utf8(case: &Case<'_>) -> Check {
    let name = "Pl\u{e4}ne \u{5f20}\u{4f1f}.pdf";
    let ([_, listener], relay, _) = named(case, name)?;
    listener.field(&relay, "File-Name", name)
}

/// Shares whose name is to be refused, in words that name the field; the session goes on.
fn refuses(case: &Case<'_>, names: &[&str]) -> Check {
    case.feature("file-name")?;
    let mut client = case.join()?;
    for name in names {
        let response = client.ask(&Request::share("pdf", "x").field("File-Name", *name))?;
        client.reason(&response, &["File-Name"])?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn file_name_200(case: &Case<'_>) -> Check {
    let longest = "x".repeat(200);
    let ([_, listener], relay, _) = named(case, &longest)?;
    listener.field(&relay, "File-Name", &longest)?;
    refuses(case, &[&"x".repeat(201)])
}

fn file_name_no_path(case: &Case<'_>) -> Check {
    refuses(case, &["a/b.pdf", "/etc/passwd", "a\\b.pdf", ".", ".."])
}

fn file_name_characters(case: &Case<'_>) -> Check {
    refuses(
        case,
        &[
            "a\x1b[2J",
            "a\x07b",
            "a\x7fb",
            "a\u{2028}b",
            "a\u{2029}b",
            "\u{202e}fdp.x",
            "a\u{200f}b",
        ],
    )
}

fn file_name_bytes(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let mut client = case.join()?;
    let share = b"Message-Type chat\nMessage-ID 1\nContent-Type pdf\nFile-Name a\xffb\nContent-Length 1\n\nx";
    let response = client.ask_raw(share)?;
    client.reason(&response, &["File-Name"])?;
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn file_name_twice(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let mut client = case.join()?;
    let share = Request::share("pdf", "x").field("File-Name", "a.pdf").field("File-Name", "b.pdf");
    let response = client.ask(&share)?;
    client.reason(&response, &["File-Name"])?;
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn file_name_empty(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let share =
        "Message-Type chat\nMessage-ID 1\nContent-Type pdf\nFile-Name \nContent-Length 1\n\nx";
    is_fatal(&mut case.join()?, share, &["File-Name"])
}

fn file_name_first(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let share =
        "File-Name a.pdf\nMessage-Type chat\nMessage-ID 1\nContent-Type pdf\nContent-Length 1\n\nx";
    is_fatal(&mut case.join()?, share, &["File-Name"])
}

fn file_name_elsewhere(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    let text = case.text();
    speaker.ask_ok(&Request::chat(&text).field("File-Name", "../.."))?;
    let relay = listener.hear(&text)?;
    listener.lacks(&relay, "File-Name")?;
    speaker.ask_ok(&Request::query().field("File-Name", "../.."))?;
    Ok(())
}
