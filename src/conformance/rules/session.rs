//! Joining, the list of clients, and responses (§1.3.7, §2.2, §2.3.1).

use super::{draft, standard_asks};
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::FIELDS;
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(
        ("query-answered", "§2.3.1.2", "a client that connects and sends a query gets an answer"),
        query_answered,
    ),
    draft(
        ("several-clients", "§1.1", "more than two clients take part at a time"),
        several_clients,
    ),
    draft(
        ("uid-assigned", "§2.3.1.2", "every client that connects is assigned a UID of its own"),
        uid_assigned,
    ),
    draft(
        (
            "query-lists-active",
            "§1.2 R5",
            "a query is answered with the UIDs of all active clients",
        ),
        query_lists_active,
    ),
    draft(
        ("response-each", "§1.3.7", "each message but bye gets a response, and only one"),
        response_each,
    ),
    draft(
        ("response-status", "§2.2.1.2", "a response has a Status, which is Ok or Error"),
        response_status,
    ),
    draft(
        ("response-inherits", "§2.2.1.2", "a response carries the Message-ID of its message"),
        response_inherits,
    ),
    draft(
        ("response-type", "§2.2.1.2", "a response carries the Message-Type of its message"),
        response_type,
    ),
    draft(
        ("response-content-type", "§2.2", "a response has a Content-Type, text but for a file"),
        response_content_type,
    ),
    draft(
        ("response-length", "§2.2.1.2", "a response has the Content-Length of its body"),
        response_length,
    ),
    draft(
        ("response-fields", "§2.2.1.2", "a response has no fields that the draft does not list"),
        response_fields,
    ),
    draft(
        (
            "response-own",
            "§2.2",
            "a response goes to the sender of its message, and to nobody else",
        ),
        response_own,
    ),
    draft(
        ("response-ascii", "§2.2.2.2", "the body of a response to chat and query is ASCII"),
        response_ascii,
    ),
];

fn query_answered(case: &Case<'_>) -> Check {
    let mut client = case.connect()?;
    client.ask_ok(&Request::query())?;
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn several_clients(case: &Case<'_>) -> Check {
    let mut clients = [case.join()?, case.join()?, case.join()?, case.join()?];
    for client in &mut clients {
        client.ask_ok(&Request::query())?;
    }
    Ok(())
}

fn uid_assigned(case: &Case<'_>) -> Check {
    let mut watcher = case.join()?;
    let first = case.join_known(&mut watcher)?;
    let second = case.join_known(&mut watcher)?;
    let want = "two UIDs for two clients";
    if first.uid == second.uid {
        return Err(watcher.broken(&format!("{} for both", first.uid), want));
    }
    Ok(())
}

fn query_lists_active(case: &Case<'_>) -> Check {
    let (mut first, second, mut third) = case.known()?;
    for asker in [&mut first, &mut third] {
        let response = asker.ask(&Request::query())?;
        let listed: Vec<String> = response
            .text()
            .split(|c: char| c.is_whitespace() || c == ',')
            .map(str::to_owned)
            .collect();
        let want = format!("a list with {} in it", second.uid);
        asker.must(listed.contains(&second.uid), &response, &want)?;
    }
    let own = first.uid.clone();
    let listed = first.uids()?;
    if !listed.contains(&own) {
        let want = format!("a list with {own}, the asker itself, in it");
        return Err(first.broken(&listed.join(" "), &want));
    }
    Ok(())
}

fn response_each(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for request in standard_asks(case) {
        let id = client.post(&request);
        let response = client.response(&format!("a response to message {id}"))?;
        let marker = client.post(&Request::query());
        let next = client.response(&format!("a response to message {marker}"))?;
        let is_second = next.number("Message-ID") == Some(id)
            && next.field("Message-Type") == response.field("Message-Type");
        client.must(!is_second, &next, &format!("one response to message {id}"))?;
    }
    Ok(())
}

fn response_status(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for request in standard_asks(case) {
        let response = client.ask(&request)?;
        let status = response.field("Status");
        client.must(matches!(status, Some("Ok" | "Error")), &response, "Status Ok or Error")?;
    }
    Ok(())
}

fn response_inherits(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let response = client.ask_raw(Request::query().encode(1_000_000, case.ending()))?;
    client.field(&response, "Message-ID", "1000000")?;
    for request in standard_asks(case) {
        let id = client.post(&request);
        let response = client.response("a response")?;
        client.field(&response, "Message-ID", &id.to_string())?;
    }
    Ok(())
}

fn response_type(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let types = ["query", "chat", "nickname", "fetch"];
    for (request, message_type) in standard_asks(case).into_iter().zip(types) {
        let response = client.ask(&request)?;
        client.field(&response, "Message-Type", message_type)?;
    }
    Ok(())
}

fn response_content_type(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for request in standard_asks(case) {
        let response = client.ask(&request)?;
        // A file has a type of its own, also where there should be none.
        let is_text = response.field("Content-Type") == Some("text");
        let is_file = response.is("fetch") && response.is_ok() && response.has("Content-Type");
        client.must(is_text || is_file, &response, "Content-Type text")?;
    }
    Ok(())
}

fn response_length(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for request in standard_asks(case) {
        let response = client.ask(&request)?;
        let has_length = response.number("Content-Length").is_some();
        client.must(has_length, &response, "a Content-Length")?;
        // A wrong one shows at the next response, which does not begin where it should.
        client.ask(&Request::query())?;
    }
    Ok(())
}

fn response_fields(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for request in standard_asks(case) {
        let response = client.ask(&request)?;
        for name in response.names() {
            let is_foreign = ["From", "To", "Sender-Nickname"].contains(&name);
            let is_known = FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
            client.must(is_known && !is_foreign, &response, &format!("no {name}"))?;
        }
    }
    Ok(())
}

fn response_own(case: &Case<'_>) -> Check {
    let (mut client, mut other) = case.pair()?;
    let ids = 500_001..500_005;
    for (id, request) in ids.clone().zip(standard_asks(case)) {
        client.ask_raw(request.encode(id, case.ending()))?;
    }
    let response = other.ask(&Request::query())?;
    let is_foreign = response.number("Message-ID").is_some_and(|id| ids.contains(&id));
    other.must(!is_foreign, &response, "the response to one's own query, and no other one")
}

fn response_ascii(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for request in [Request::query(), Request::chat(case.text())] {
        let response = client.ask(&request)?;
        client.must(response.body.is_ascii(), &response, "a body in ASCII")?;
    }
    Ok(())
}
