//! The end of a session (§2.3.4, §3.4).

use super::draft;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::finding::visible;
use crate::conformance::message::{Message, Parsed};
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(("bye-closes", "§2.3.4", "behind bye the server closes the connection"), bye_closes),
    draft(("bye-silent", "§3.4.1", "bye gets no response"), bye_silent),
    draft(
        ("query-drops-left", "§2.1.1.2", "a client that said bye is listed no longer"),
        query_drops_left,
    ),
    draft(
        ("bye-is-last", "§2.3.4", "bye is not relayed, nor is what is sent behind it"),
        bye_is_last,
    ),
    draft(
        ("bye-harms-nobody", "§2.3.4", "the session of the others goes on when one says bye"),
        bye_harms_nobody,
    ),
    draft(
        ("uid-not-taken", "§2.3.1.2", "no client gets the UID of one that is here"),
        uid_not_taken,
    ),
    draft(
        (
            "close-harms-nobody",
            "§2.3.4",
            "the session of the others goes on when one closes without bye",
        ),
        close_harms_nobody,
    ),
    draft(
        (
            "reset-harms-nobody",
            "§2.3.4",
            "the session of the others goes on when a connection is reset",
        ),
        reset_harms_nobody,
    ),
];

fn bye_closes(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.post(&Request::bye());
    client.drain("the end of the connection")?;
    let mut client = case.connect()?;
    client.post(&Request::bye());
    client.drain("the end of the connection, also where bye is the first message")?;
    Ok(())
}

fn bye_silent(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.post(&Request::bye());
    let bytes = client.drain("the end of the connection").needs("bye-closes")?;
    let mut rest = bytes.as_slice();
    // Others in the room may have said something meanwhile.
    while let Parsed::Whole(message, used) = Message::parse(rest, false) {
        client.must(!message.is_response(), &message, "no response to bye")?;
        rest = &rest[used..];
    }
    match rest {
        [] => Ok(()),
        rest => Err(client.broken(&visible(rest), "nothing behind bye")),
    }
}

fn query_drops_left(case: &Case<'_>) -> Check {
    let (mut leaver, _other, mut watcher) = case.known()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    let listed = watcher.uids()?;
    if listed.contains(&leaver.uid) {
        let want = format!("a list without {}, who said bye", leaver.uid);
        return Err(watcher.broken(&listed.join(" "), &want));
    }
    Ok(())
}

fn bye_is_last(case: &Case<'_>) -> Check {
    let (mut leaver, mut listener) = case.pair()?;
    let text = case.text();
    let flight = [leaver.encode(&Request::bye()), leaver.encode(&Request::chat(&text))].concat();
    leaver.send(flight);
    leaver.drain("the end of the connection").needs("bye-closes")?;
    let is_unwanted = |message: &Message| message.is("bye") || message.body == text.as_bytes();
    listener.quiet("nothing, neither of bye nor of what came behind it", is_unwanted)
}

/// Whether two clients still hear each other.
fn goes_on(case: &Case<'_>, speaker: &mut Peer, listener: &mut Peer) -> Check {
    case.rests_on("public-relay")?;
    for _ in 0..3 {
        let text = case.text();
        speaker.ask_ok(&Request::chat(&text)).needs("public-ok")?;
        listener.hear(&text)?;
    }
    case.join()?;
    Ok(())
}

fn bye_harms_nobody(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let mut leaver = case.join()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    goes_on(case, &mut speaker, &mut listener)
}

fn close_harms_nobody(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    case.join()?.close();
    // One goes inside a message as well.
    let mut half = case.join()?;
    let bytes = half.encode(&Request::chat(case.text()));
    half.send(&bytes[..bytes.len() / 2]);
    half.close();
    goes_on(case, &mut speaker, &mut listener)
}

fn reset_harms_nobody(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    case.join()?.reset();
    goes_on(case, &mut speaker, &mut listener)
}

fn uid_not_taken(case: &Case<'_>) -> Check {
    case.rests_on("bye-harms-nobody")?;
    let (mut leaver, _second, mut watcher) = case.known()?;
    leaver.post(&Request::bye());
    leaver.drain("the end of the connection").needs("bye-closes")?;
    let before = watcher.uids()?;
    let _next = case.join()?;
    let after = watcher.uids()?;
    if after.iter().any(|uid| !before.contains(uid)) {
        return Ok(());
    }
    let got = format!("before: {}; after: {}", before.join(" "), after.join(" "));
    Err(watcher.broken(&got, "another UID for the client that has joined"))
}
