//! What bad input gets (P1, P2): an error, and a session that goes on.

use super::settled;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    settled(
        ("refused-goes-on", "P2", "behind a message that is refused the session goes on"),
        refused_goes_on,
    ),
    settled(
        (
            "refused-at-once",
            "P2",
            "a body declared too long is refused before it has come, then dropped",
        ),
        refused_at_once,
    ),
    settled(
        ("reason-line", "P2", "a reason is one line of plain text with its linefeed"),
        reason_line,
    ),
    settled(
        ("reason-names-field", "P2", "a reason names the field or the limit"),
        reason_names_field,
    ),
    settled(
        ("reason-no-inside", "P2", "a reason holds no address, port or path"),
        reason_no_inside,
    ),
    settled(
        ("error-inherits", "P2", "an error inherits type and ID, or says unknown and 0"),
        error_inherits,
    ),
    settled(("id-missing", "P2", "a message without a Message-ID is refused"), id_missing),
    settled(
        ("type-unknown", "P1", "an unknown Message-Type with a Content-Length is refused"),
        type_unknown,
    ),
    settled(
        ("field-repeated", "P1", "a repeated field is refused, the error inherits the first value"),
        field_repeated,
    ),
    settled(
        ("responses-order", "P2", "each message gets one response, in the order the messages came"),
        responses_order,
    ),
];

/// Sends what is refused, in these words; the session goes on.
fn is_refused(client: &mut Peer, message: &str, words: &[&str]) -> Check<Message> {
    let response = client.ask_raw(message)?;
    client.reason(&response, words)?;
    client.ask_ok(&Request::query())?;
    Ok(response)
}

fn refused_goes_on(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = "Message-Type chat\n\nnever to be relayed";
    let len = text.len();
    let chat =
        format!("Message-Type chat\nMessage-ID 1\nTo nobody\nContent-Length {len}\n\n{text}");
    is_refused(&mut speaker, &chat, &["To"])?;
    let text = case.text();
    speaker.ask_ok(&Request::chat(&text))?;
    listener.hear(&text)?;
    listener.quiet("nothing of what was refused", |message| message.text().contains("never to"))
}

fn refused_at_once(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let len = case.limit("max-text", 65_536) + 1;
    let header =
        format!("Message-Type chat\nMessage-ID 1\nContent-Type text\nContent-Length {len}\n\n");
    let response = client.ask_raw(&header)?;
    client.reason(&response, &["Content-Length"])?;
    if len <= 1 << 20 {
        client.send(vec![b'x'; len as usize]);
        client.ask_ok(&Request::query())?;
    }
    Ok(())
}

/// Errors of several kinds, each from a connection of its own.
fn errors(case: &Case<'_>) -> Check<(Vec<Message>, Peer)> {
    let mut client = case.join()?;
    let mut errors = Vec::new();
    for request in [
        Request::chat("hi").to(case.nobody()),
        Request::fetch(case.nobody()),
        Request::fetch("ten"),
        Request::nickname(""),
        Request::query_for("nonsense"),
    ] {
        let response = client.ask(&request)?;
        client.refused(&response)?;
        errors.push(response);
    }
    for fatal in ["nonsense\n\n", "Message-Type: chat\n\n", "Message-Type chat\nMessage-ID 1\n\n"] {
        let mut other = case.connect()?;
        let response = other.ask_raw(fatal)?;
        other.refused(&response)?;
        errors.push(response);
    }
    Ok((errors, client))
}

fn reason_line(case: &Case<'_>) -> Check {
    let (errors, client) = errors(case)?;
    for error in errors {
        client.field(&error, "Content-Type", "text")?;
        let text = error.text();
        let line = text.strip_suffix('\n');
        let is_line = line.is_some_and(|line| !line.is_empty() && !line.contains(char::is_control));
        client.must(is_line, &error, "a body of one line, ended by a linefeed")?;
    }
    Ok(())
}

fn reason_names_field(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let chat = "Message-Type chat\nMessage-ID 1\nContent-Length 2\n";
    is_refused(&mut client, &format!("{chat}To me\n\nhi"), &["To"])?;
    is_refused(&mut client, &format!("{chat}Content-Type ../x\n\nhi"), &["Content-Type"])?;
    is_refused(&mut client, "Message-Type query\nMessage-ID x\n\n", &["Message-ID"])?;
    is_refused(
        &mut client,
        "Message-Type say\nMessage-ID 4\nContent-Length 0\n\n",
        &["Message-Type"],
    )?;
    Ok(())
}

fn reason_no_inside(case: &Case<'_>) -> Check {
    let (errors, client) = errors(case)?;
    let (host, port) = (client.host(), client.port().to_string());
    for error in errors {
        let text = error.text();
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let is_clean = ![host.as_str(), "/tmp", "/var", "os error", "panicked", ".rs:"]
            .iter()
            .any(|inside| text.contains(inside));
        client.must(
            is_clean && !words.any(|word| word == port),
            &error,
            "nothing of the inside",
        )?;
    }
    Ok(())
}

fn error_inherits(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let check = |client: &mut Peer, message: &str, message_type: &str, id: &str| {
        let response = client.ask_raw(message)?;
        client.refused(&response)?;
        client.field(&response, "Message-Type", message_type)?;
        client.field(&response, "Message-ID", id)
    };
    check(&mut client, "Message-Type fetch\nMessage-ID 7\nContent-Length 1\n\nx", "fetch", "7")?;
    check(&mut client, "Message-Type fetch\nMessage-ID x\nContent-Length 1\n\nx", "fetch", "0")?;
    check(&mut client, "Message-Type say\nMessage-ID 8\nContent-Length 1\n\nx", "unknown", "8")?;
    check(&mut case.connect()?, "Message-Type chat\nMessage-ID 9\n\n", "chat", "9")?;
    check(&mut case.connect()?, "nonsense\n\n", "unknown", "0")
}

fn id_missing(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    is_refused(&mut client, "Message-Type query\n\n", &["Message-ID"])?;
    is_refused(&mut client, "Message-Type chat\nContent-Length 2\n\nhi", &["Message-ID"])?;
    Ok(())
}

fn type_unknown(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let message = "Message-Type say\nMessage-ID 1\nContent-Length 2\n\nhi";
    is_refused(&mut client, message, &["chat", "query", "fetch", "nickname", "bye"])?;
    is_refused(&mut client, "Message-ID 1\nContent-Length 2\n\nhi", &["Message-Type"])?;
    Ok(())
}

fn field_repeated(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = case.pair()?;
    let message = "Message-Type query\nMessage-ID 1\nMessage-ID 2\n\n";
    let response = is_refused(&mut client, message, &["Message-ID"])?;
    client.field(&response, "Message-ID", "1")?;
    let message = "Message-Type query\nmessage-type chat\nMessage-ID 1\nContent-Length 0\n\n";
    let response = is_refused(&mut client, message, &["Message-Type"])?;
    client.field(&response, "Message-Type", "query")?;
    let text = case.text();
    let len = text.len();
    for field in [
        "To 999999999",
        "Content-Type text",
        "From 1",
        "Sender-Nickname Tom",
        "File-ID 1",
        "Status Ok",
    ] {
        let name = field.split(' ').next().unwrap_or_default();
        let fields = format!("{field}\n{field}\n");
        let chat =
            format!("Message-Type chat\nMessage-ID 1\n{fields}Content-Length {len}\n\n{text}");
        is_refused(&mut client, &chat, &[name, "repeated"])?;
    }
    listener.quiet("nothing", |message| message.body == text.as_bytes())
}

fn responses_order(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let mut flight = String::new();
    for id in (0..30).step_by(3) {
        flight += &format!("Message-Type query\nMessage-ID {id}\n\n");
        flight += &format!("Message-Type fetch\nMessage-ID {}\nContent-Length 1\n\nx", id + 1);
        flight += &format!("Message-Type chat\nMessage-ID {}\nContent-Length 2\n\nhi", id + 2);
    }
    client.send(flight);
    for id in 0..30 {
        let response = client.response(&format!("the response to message {id}"))?;
        client.field(&response, "Message-ID", &id.to_string())?;
        client.must(
            response.is_ok() == (id % 3 != 1),
            &response,
            "an error for the fetches alone",
        )?;
    }
    client.ask_ok(&Request::query()).needs("query-answered")?;
    Ok(())
}
