//! Public texts and their relays (§2.2, §2.3.2.2).

use super::draft;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::{FIELDS, Message};
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(
        (
            "public-relay",
            "§2.3.2.2",
            "a public text reaches every other client, and not its sender",
        ),
        public_relay,
    ),
    draft(("public-ok", "§2.3.2.2", "the sender of a public text gets Status Ok"), public_ok),
    draft(
        ("public-alone", "§2.3.2.2", "where nobody else is there, a public text gets Status Ok"),
        public_alone,
    ),
    draft(("relay-type", "§2.2.1.1", "a relay has the Message-Type chat"), relay_type),
    draft(("relay-from", "§2.3.2.2", "a relay has From, the sender's UID"), relay_from),
    draft(
        ("relay-content-type", "§2.2.1.1", "a relay inherits the Content-Type"),
        relay_content_type,
    ),
    draft(("relay-length", "§2.2.1.1", "a relay inherits the Content-Length"), relay_length),
    draft(("relay-body", "§2.2.2.1", "a relay inherits the body as it is"), relay_body),
    draft(
        ("relay-fields", "§2.2.1.1", "a relay has no fields that the draft does not list"),
        relay_fields,
    ),
    draft(
        ("relay-public-no-to", "§2.3.2.2", "the relay of a public text has no To"),
        relay_public_no_to,
    ),
    draft(
        ("relay-nameless", "§2.3.1.3", "without a nickname a relay has no Sender-Nickname"),
        relay_nameless,
    ),
    draft(
        ("relay-order", "§1.1", "what one client says reaches another in the order said"),
        relay_order,
    ),
    draft(
        ("only-chat-relayed", "§2.1.1.2", "query, nickname and fetch messages are not relayed"),
        only_chat_relayed,
    ),
    draft(
        ("header-lines", "§1.3.5", "a header is lines of ASCII, names spelled as in the draft"),
        header_lines,
    ),
    draft(("no-address", "§1.2 R4", "no client is told another one's address or port"), no_address),
];

fn public_relay(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let mut other = case.join()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    listener.hear(&text)?;
    other.hear(&text)?;
    let is_it = |message: &Message| message.body == text.as_bytes();
    speaker.quiet("no relay to the sender itself", is_it)?;
    listener.quiet("one relay, not two", is_it)
}

fn public_ok(case: &Case<'_>) -> Check {
    let (mut speaker, _listener) = case.pair()?;
    speaker.ask_ok(&Request::chat(case.text()))?;
    Ok(())
}

fn public_alone(case: &Case<'_>) -> Check {
    let mut speaker = case.join()?;
    case.alone(&mut speaker)?;
    let text = case.text();
    speaker.ask_ok(&Request::chat(&text)).needs("public-ok")?;
    // Discarded: a client that comes later does not get it.
    case.join()?.quiet("nothing that was said before", |message| message.body == text.as_bytes())
}

/// A text, and its relay as another client gets it.
fn relayed(case: &Case<'_>) -> Check<(Message, Peer)> {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    Ok((relay, listener))
}

fn relay_type(case: &Case<'_>) -> Check {
    let (relay, listener) = relayed(case)?;
    listener.field(&relay, "Message-Type", "chat")
}

fn relay_from(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut first, mut second, mut listener) = case.known()?;
    for speaker in [&mut first, &mut second] {
        let text = case.text();
        speaker.ask(&Request::chat(&text))?;
        let relay = listener.hear(&text).needs("public-relay")?;
        listener.field(&relay, "From", &speaker.uid)?;
    }
    Ok(())
}

fn relay_content_type(case: &Case<'_>) -> Check {
    let (relay, listener) = relayed(case)?;
    listener.field(&relay, "Content-Type", "text")
}

fn relay_length(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    // Whatever its length says, and whatever is read as its body.
    let is_relay = |message: &Message| !message.is_response() && text.starts_with(&*message.text());
    let relay = listener.relay("a relay of the text", is_relay)?;
    listener.field(&relay, "Content-Length", &text.len().to_string())
}

fn relay_body(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    for body in [" a  b ", "two\nlines\n", "Tab\tand \"quotes\" & <marks> %s \\n 100%"] {
        let text = format!("{}{body}", case.text());
        speaker.ask(&Request::chat(&text))?;
        listener.hear(&text)?;
    }
    Ok(())
}

fn relay_fields(case: &Case<'_>) -> Check {
    let (relay, listener) = relayed(case)?;
    for name in relay.names() {
        let is_foreign = ["Status", "Message-ID"].iter().any(|own| own.eq_ignore_ascii_case(name));
        let is_known = FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
        listener.must(is_known && !is_foreign, &relay, &format!("no {name}"))?;
    }
    Ok(())
}

fn relay_public_no_to(case: &Case<'_>) -> Check {
    let (relay, listener) = relayed(case)?;
    listener.lacks(&relay, "To")
}

fn relay_nameless(case: &Case<'_>) -> Check {
    let (relay, listener) = relayed(case)?;
    listener.lacks(&relay, "Sender-Nickname")
}

fn relay_order(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let texts: Vec<String> = (0..20).map(|_| case.text()).collect();
    let flight: Vec<u8> =
        texts.iter().flat_map(|text| speaker.encode(&Request::chat(text))).collect();
    speaker.send(flight);
    for text in &texts {
        let want = format!("{text:?} next");
        let ours = |message: &Message| texts.iter().any(|text| message.body == text.as_bytes());
        let relay = listener.relay(&want, ours)?;
        listener.must(relay.body == text.as_bytes(), &relay, &want)?;
    }
    Ok(())
}

fn only_chat_relayed(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let name = case.text();
    speaker.ask(&Request::query())?;
    speaker.ask(&Request::nickname(&name))?;
    speaker.ask(&Request::fetch(case.nobody()))?;
    let mentions = |message: &Message| {
        !message.is("chat") || message.body == name.as_bytes() || message.text() == case.nobody()
    };
    listener.quiet("nothing, since nobody has said anything", mentions)
}

fn header_lines(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let response = speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    for message in [response, relay] {
        speaker.must(message.header.is_ascii(), &message, "a header of ASCII")?;
        for name in message.names() {
            let spelled = FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name));
            let Some(spelled) = spelled else { continue };
            speaker.must(name == *spelled, &message, &format!("{spelled}, as it is spelled"))?;
        }
    }
    Ok(())
}

fn no_address(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    let list = listener.ask(&Request::query())?;
    for message in [relay, list] {
        hides_address(&listener, &message, (&speaker.host(), speaker.port()))?;
    }
    Ok(())
}

/// A message must tell neither the address nor the port of another client.
pub(super) fn hides_address(client: &Peer, message: &Message, other: (&str, u16)) -> Check {
    let (host, port) = (other.0, other.1.to_string());
    let mut said = message.header.clone();
    // What the rules say themselves, or what they share, may look like a port.
    if message.is_response() {
        said.extend_from_slice(&message.body);
    }
    let said = String::from_utf8_lossy(&said);
    let mut words = said.split(|c: char| !c.is_ascii_alphanumeric());
    client.must(!said.contains(host), message, "no address of another client")?;
    client.must(!words.any(|word| word == port), message, "no port of another client")
}
