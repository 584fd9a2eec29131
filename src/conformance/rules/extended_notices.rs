//! Notices: who comes and goes (E2).

use super::extended;
use super::extended_form::{is_public, is_time, join_extended, speaker_and_listener};
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    extended(
        ("notice-form", "E2", "a notice has From, Sender-Nickname, Time and a body of one line"),
        notice_form,
    ),
    extended(
        ("notice-joined", "E2", "a client's first nickname is noticed as joined"),
        notice_joined,
    ),
    extended(
        ("notice-nickname", "E2", "another nickname is noticed, Sender-Nickname is the old one"),
        notice_nickname,
    ),
    extended(("notice-same", "E2", "setting the same nickname again is no news"), notice_same),
    extended(
        ("notice-left", "E2", "a client with a nickname that leaves is noticed, with the cause"),
        notice_left,
    ),
    extended(("notice-not-self", "E2", "no client gets a notice about itself"), notice_not_self),
    extended(
        ("notice-nameless", "E2", "a client without a nickname comes and goes unnoticed"),
        notice_nameless,
    ),
    extended(
        ("notice-order", "E2", "a client's relays stand between joined and left"),
        notice_order,
    ),
    extended(("notice-uncounted", "E2", "Sequence does not count notices"), notice_uncounted),
];

/// Waits for a notice about a client.
fn notice(listener: &mut Peer, uid: &str, start: &str) -> Check<Message> {
    let want = format!("a notice that begins with {start:?}");
    listener.relay(&want, |message| {
        message.is("notice")
            && message.field("From") == Some(uid)
            && message.text().starts_with(start)
    })
}

/// A client whose UID is known, and an extended one.
fn known_and_listener(case: &Case<'_>) -> Check<(Peer, Peer)> {
    let mut listener = join_extended(case)?;
    let client = case.join_known(&mut listener)?;
    Ok((client, listener))
}

fn notice_form(case: &Case<'_>) -> Check {
    const NOTICE: [&str; 6] =
        ["Message-Type", "From", "Sender-Nickname", "Time", "Content-Type", "Content-Length"];
    let (mut client, mut listener) = known_and_listener(case)?;
    client.ask_ok(&Request::nickname("Tom"))?;
    let notice = notice(&mut listener, &client.uid, "")?;
    listener.must(notice.names() == NOTICE, &notice, &NOTICE.join(", "))?;
    listener.field(&notice, "Sender-Nickname", "Tom")?;
    listener.field(&notice, "Content-Type", "text")?;
    let has_time = notice.field("Time").is_some_and(is_time);
    listener.must(has_time, &notice, "Time, such as 2026-11-26T09:41:00.123Z")?;
    let is_line = notice.text().ends_with('\n') && notice.text().lines().count() == 1;
    listener.must(is_line, &notice, "a body of one line")
}

fn notice_joined(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = known_and_listener(case)?;
    client.ask_ok(&Request::nickname("Tom"))?;
    let notice = notice(&mut listener, &client.uid, "")?;
    listener.body(&notice, "joined\n")
}

fn notice_nickname(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = known_and_listener(case)?;
    client.ask_ok(&Request::nickname("Tom"))?;
    client.ask_ok(&Request::nickname("Thomas"))?;
    let notice = notice(&mut listener, &client.uid, "nickname")?;
    listener.body(&notice, "nickname Thomas\n")?;
    listener.field(&notice, "Sender-Nickname", "Tom")
}

/// Whether this is a notice about a client.
fn is_about(uid: &str) -> impl Fn(&Message) -> bool + use<> {
    let uid = uid.to_owned();
    move |message| message.is("notice") && message.field("From") == Some(&uid)
}

fn notice_same(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = known_and_listener(case)?;
    client.ask_ok(&Request::nickname("Tom"))?;
    notice(&mut listener, &client.uid, "").needs("notice-joined")?;
    client.ask_ok(&Request::nickname("Tom"))?;
    listener.quiet("no notice of the same nickname", is_about(&client.uid))
}

fn notice_left(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = known_and_listener(case)?;
    client.ask_ok(&Request::nickname("Tom"))?;
    client.post(&Request::bye());
    let left = notice(&mut listener, &client.uid, "left")?;
    listener.body(&left, "left: it said bye\n")?;
    listener.field(&left, "Sender-Nickname", "Tom")?;
    let mut client = case.join_known(&mut listener)?;
    client.ask_ok(&Request::nickname("Ann"))?;
    let uid = client.uid.clone();
    client.end_input();
    let left = notice(&mut listener, &uid, "left")?;
    listener.body(&left, "left: it closed the connection\n")
}

fn notice_not_self(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let mut client = case.join_known(&mut watcher)?;
    case.feature("extended")?;
    client.ask_ok(&Request::query_for("extended")).needs("extended-answer")?;
    client.ask_ok(&Request::nickname("Tom"))?;
    client.ask_ok(&Request::nickname("Thomas"))?;
    let is_about = is_about(&client.uid);
    client.quiet("no notice about itself", is_about)
}

fn notice_nameless(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = known_and_listener(case)?;
    client.ask(&Request::chat(case.text()))?;
    let uid = client.uid.clone();
    client.leave()?;
    listener.quiet("no notice of a client without a nickname", is_about(&uid))
}

fn notice_order(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = known_and_listener(case)?;
    let text = case.text();
    let flight = [
        client.encode(&Request::nickname("Tom")),
        client.encode(&Request::chat(&text)),
        client.encode(&Request::bye()),
    ];
    client.send(flight.concat());
    let uid = client.uid.clone();
    let is_his = |message: &Message| message.field("From") == Some(&uid);
    let want = "joined, then what was said, then left";
    let first = listener.relay(want, is_his)?;
    listener.body(&first, "joined\n")?;
    let second = listener.relay(want, is_his)?;
    listener.body(&second, &text)?;
    let third = listener.relay(want, is_his)?;
    listener.must(third.text().starts_with("left"), &third, "left")
}

fn notice_uncounted(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    let mut last = None;
    for name in ["Tom", "Thomas", "Tom"] {
        let text = case.text();
        speaker.ask(&Request::chat(&text))?;
        speaker.ask_ok(&Request::nickname(name))?;
        // Others may say something as well; whatever comes counts up by one.
        loop {
            let relay = listener.relay("a public relay", is_public)?;
            let sequence = relay.number("Sequence");
            let follows = last.is_none() || sequence == last.map(|last: u64| last + 1);
            listener.must(follows, &relay, "the next Sequence, whatever notices came between")?;
            last = sequence;
            if relay.body == text.as_bytes() {
                break;
            }
        }
    }
    Ok(())
}
