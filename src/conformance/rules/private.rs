//! Private texts (§2.3.2.1), and what a sender is told where one cannot be delivered (§2.3.4).

use super::draft;
use super::public::hides_address;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(("private-relay", "§2.3.2.1", "a text with To is relayed to that client"), private_relay),
    draft(
        ("private-exclusive", "§2.3.2.1", "a text with To is relayed to nobody else"),
        private_exclusive,
    ),
    draft(
        ("private-ok", "§2.3.2.1", "the sender of a private text that is delivered gets Status Ok"),
        private_ok,
    ),
    draft(
        ("private-from", "§2.3.2.1", "the relay of a private text has From, the sender's UID"),
        private_from,
    ),
    draft(("private-to", "§2.2.1.1", "the relay of a private text inherits To"), private_to),
    draft(("uid-stays", "§2.3.1.2", "a client keeps its UID when others leave"), uid_stays),
    draft(
        ("private-unknown", "§2.2.1.3", "a text to a UID that nobody has gets Status Error"),
        private_unknown,
    ),
    draft(
        (
            "private-undelivered",
            "§2.3.2.1",
            "a private text that cannot be delivered goes to nobody else",
        ),
        private_undelivered,
    ),
    draft(
        ("private-left", "§2.3.2.1", "a text to a client that said bye gets Status Error"),
        private_left,
    ),
    draft(
        (
            "private-closed",
            "§2.3.4",
            "a text to a client that closed without bye gets Status Error",
        ),
        private_closed,
    ),
    draft(
        (
            "private-reset",
            "§2.3.2.1",
            "a text to a client whose connection was reset gets Status Error",
        ),
        private_reset,
    ),
    draft(
        (
            "query-drops-closed",
            "§2.1.1.2",
            "a client that closed without bye is listed no longer, once relays to it fail",
        ),
        query_drops_closed,
    ),
    draft(
        ("error-reason", "§2.2.1.3", "Status Error comes with the reason, as text"),
        error_reason,
    ),
    draft(
        ("reason-no-address", "§1.2 R4", "the reason of a failure tells no address of a client"),
        reason_no_address,
    ),
];

/// A private text from the first to the second client, and its relay.
fn delivered(case: &Case<'_>) -> Check<(Peer, Peer, Message)> {
    case.rests_on("private-relay")?;
    let (mut speaker, mut listener, _) = case.known()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text).to(&listener.uid))?;
    let relay = listener.hear(&text).needs("private-relay")?;
    Ok((speaker, listener, relay))
}

fn private_relay(case: &Case<'_>) -> Check {
    let (mut first, mut second, _) = case.known()?;
    for _ in 0..2 {
        let text = case.text();
        first.ask(&Request::chat(&text).to(&second.uid))?;
        second.hear(&text)?;
        std::mem::swap(&mut first, &mut second);
    }
    Ok(())
}

fn private_exclusive(case: &Case<'_>) -> Check {
    let (mut speaker, listener, mut other) = case.known()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text).to(&listener.uid))?;
    let is_it = |message: &Message| message.body == text.as_bytes();
    other.quiet("nothing: the text is for another client", is_it)?;
    speaker.quiet("nothing: the text is for another client", is_it)
}

fn private_ok(case: &Case<'_>) -> Check {
    let (mut speaker, listener, _) = case.known()?;
    speaker.ask_ok(&Request::chat(case.text()).to(&listener.uid))?;
    Ok(())
}

fn private_from(case: &Case<'_>) -> Check {
    let (speaker, listener, relay) = delivered(case)?;
    listener.field(&relay, "From", &speaker.uid)
}

fn private_to(case: &Case<'_>) -> Check {
    let (_, listener, relay) = delivered(case)?;
    listener.field(&relay, "To", &listener.uid)
}

fn uid_stays(case: &Case<'_>) -> Check {
    for rule in ["public-relay", "private-relay", "bye-harms-nobody"] {
        case.rests_on(rule)?;
    }
    let (mut leaver, mut stayer, mut watcher) = case.known()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    let (public, private) = (case.text(), case.text());
    stayer.ask(&Request::chat(&public))?;
    let relay = watcher.hear(&public).needs("public-relay")?;
    watcher.must(relay.has("From"), &relay, "From").needs("relay-from")?;
    watcher.field(&relay, "From", &stayer.uid)?;
    watcher.ask(&Request::chat(&private).to(&stayer.uid))?;
    stayer.hear(&private)?;
    Ok(())
}

fn private_unknown(case: &Case<'_>) -> Check {
    let (mut speaker, _other) = case.pair()?;
    speaker.ask_refused(&Request::chat(case.text()).to(case.nobody()))?;
    speaker.ask_ok(&Request::query())?;
    Ok(())
}

fn private_undelivered(case: &Case<'_>) -> Check {
    let (mut speaker, mut other) = case.pair()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text).to(case.nobody()))?;
    other.quiet("nothing", |message| message.body == text.as_bytes())
}

fn private_left(case: &Case<'_>) -> Check {
    let (mut leaver, _other, mut speaker) = case.known()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    speaker.ask_refused(&Request::chat(case.text()).to(&leaver.uid))?;
    Ok(())
}

/// Sends texts to a client that is gone until the server notices: the first one after a close still
/// fits into the socket.
fn is_noticed(case: &Case<'_>, speaker: &mut Peer, gone: &str) -> Check {
    case.until(|| speaker.ask_refused(&Request::chat(case.text()).to(gone)).map(|_| ()))
}

fn private_closed(case: &Case<'_>) -> Check {
    let (leaver, _other, mut speaker) = case.known()?;
    let uid = leaver.uid.clone();
    leaver.close();
    is_noticed(case, &mut speaker, &uid)
}

fn private_reset(case: &Case<'_>) -> Check {
    let (leaver, _other, mut speaker) = case.known()?;
    let uid = leaver.uid.clone();
    leaver.reset();
    is_noticed(case, &mut speaker, &uid)
}

fn query_drops_closed(case: &Case<'_>) -> Check {
    case.rests_on("private-closed")?;
    let (leaver, _other, mut watcher) = case.known()?;
    let uid = leaver.uid.clone();
    leaver.close();
    case.until(|| {
        watcher.ask(&Request::chat(case.text()))?;
        let listed = watcher.uids()?;
        match listed.contains(&uid) {
            false => Ok(()),
            true => {
                let want = format!("a list without {uid}, who has closed");
                Err(watcher.broken(&listed.join(" "), &want))
            }
        }
    })
}

fn error_reason(case: &Case<'_>) -> Check {
    case.rests_on("private-left")?;
    let (mut leaver, _other, mut speaker) = case.known()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    for request in [
        Request::chat(case.text()).to(case.nobody()),
        Request::chat(case.text()).to(&leaver.uid),
        Request::fetch(case.nobody()),
    ] {
        let response = speaker.ask(&request)?;
        if response.is_ok() {
            continue;
        }
        speaker.field(&response, "Content-Type", "text")?;
        let says_something = response.body.iter().any(u8::is_ascii_alphabetic);
        speaker.must(says_something, &response, "the reason in the body")?;
        speaker.must(response.body.is_ascii(), &response, "a reason in ASCII")?;
    }
    Ok(())
}

fn reason_no_address(case: &Case<'_>) -> Check {
    for rule in ["no-address", "private-left", "private-closed"] {
        case.rests_on(rule)?;
    }
    let (mut leaver, closer, mut speaker) = case.known()?;
    let (host, ports) = (leaver.host(), [leaver.port(), closer.port()]);
    let uids = [leaver.uid.clone(), closer.uid.clone()];
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    closer.close();
    for (uid, port) in uids.iter().zip(ports) {
        let reason = case.until(|| speaker.ask_refused(&Request::chat(case.text()).to(uid)));
        hides_address(&speaker, &reason.needs("private-left")?, (&host, port))?;
    }
    Ok(())
}
