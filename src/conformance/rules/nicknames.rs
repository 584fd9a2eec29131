//! Nicknames (§2.3.1.3, §3.3).

use super::draft;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(("nickname-ok", "§3.3.2", "a nickname message gets Status Ok"), nickname_ok),
    draft(
        (
            "nickname-body",
            "§3.3.2",
            "the response to a nickname message has the nickname as its body",
        ),
        nickname_body,
    ),
    draft(
        ("nickname-relay", "§2.2", "a relay has Sender-Nickname, the sender's nickname"),
        nickname_relay,
    ),
    draft(
        ("nickname-private", "§2.2", "the relay of a private text has the Sender-Nickname too"),
        nickname_private,
    ),
    draft(
        ("nickname-change", "§2.3.1.3", "a nickname can be set again at any time"),
        nickname_change,
    ),
    draft(
        ("nickname-duplicate", "§2.3.1.3", "two clients may have the same nickname"),
        nickname_duplicate,
    ),
    draft(
        ("nickname-own", "§2.3.1.3", "a nickname is that of the client that has set it alone"),
        nickname_own,
    ),
];

fn nickname_ok(case: &Case<'_>) -> Check {
    case.join()?.ask_ok(&Request::nickname("Tom"))?;
    Ok(())
}

fn nickname_body(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let response = client.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    client.body(&response, "Tom")
}

/// Whether what `speaker` says is relayed with this nickname.
fn is_called(case: &Case<'_>, speaker: &mut Peer, listener: &mut Peer, name: &str) -> Check {
    case.rests_on("public-relay")?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    listener.field(&relay, "Sender-Nickname", name)
}

fn nickname_relay(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    is_called(case, &mut speaker, &mut listener, "Tom")
}

fn nickname_private(case: &Case<'_>) -> Check {
    case.rests_on("private-relay")?;
    let (mut speaker, mut listener, _) = case.known()?;
    speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    let text = case.text();
    speaker.ask(&Request::chat(&text).to(&listener.uid))?;
    let relay = listener.hear(&text).needs("private-relay")?;
    listener.field(&relay, "Sender-Nickname", "Tom")
}

fn nickname_change(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    is_called(case, &mut speaker, &mut listener, "Tom").needs("nickname-relay")?;
    speaker.ask_ok(&Request::nickname("Thomas"))?;
    is_called(case, &mut speaker, &mut listener, "Thomas")
}

fn nickname_duplicate(case: &Case<'_>) -> Check {
    let (mut first, mut second) = case.pair()?;
    first.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    second.ask_ok(&Request::nickname("Tom"))?;
    is_called(case, &mut first, &mut second, "Tom").needs("nickname-relay")?;
    is_called(case, &mut second, &mut first, "Tom")
}

fn nickname_own(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut first, mut second) = case.pair()?;
    first.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    let text = case.text();
    second.ask(&Request::chat(&text))?;
    let relay = first.hear(&text).needs("public-relay")?;
    let is_first = relay.field("Sender-Nickname") == Some("Tom");
    first.must(!is_first, &relay, "not the nickname of another client")
}
