//! How client messages are read (§1.1, §2.1).

use super::draft;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::peer::Needs;
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(
        ("reads-linefeed", "§2.1.1", "a linefeed alone marks the end of a header line"),
        reads_linefeed,
    ),
    draft(
        (
            "reads-examples",
            "§3.1.1",
            "the space and the CR of the draft's examples are no part of a value",
        ),
        reads_examples,
    ),
    draft(
        ("query-without-body", "§2.1", "a message may have no body, and no Content-Length"),
        query_without_body,
    ),
    draft(
        ("body-by-length", "§2.1.2", "Content-Length alone marks the end of a body"),
        body_by_length,
    ),
    draft(
        ("length-in-bytes", "§2.1.1.2", "Content-Length counts bytes, and is kept to the last one"),
        length_in_bytes,
    ),
    draft(
        ("one-segment", "§1.1", "messages that arrive in one piece are each answered"),
        one_segment,
    ),
    draft(
        ("others-unhindered", "§1.1", "half a message of one client holds no other one up"),
        others_unhindered,
    ),
    draft(
        ("many-segments", "§1.1", "a message that arrives in pieces is one message"),
        many_segments,
    ),
];

fn reads_with(case: &Case<'_>, ending: &str) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let response = speaker.ask_raw(Request::query().encode(1, ending))?;
    speaker.must(response.is_ok(), &response, "Status Ok")?;
    let text = case.text();
    let response = speaker.ask_raw(Request::chat(&text).encode(2, ending))?;
    speaker.must(response.is_ok(), &response, "Status Ok").needs("public-ok")?;
    speaker.field(&response, "Message-ID", "2").needs("response-inherits")?;
    listener.hear(&text)?;
    Ok(())
}

fn reads_linefeed(case: &Case<'_>) -> Check {
    reads_with(case, "\n")
}

fn reads_examples(case: &Case<'_>) -> Check {
    reads_with(case, " \r\n")
}

fn query_without_body(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let bytes =
        [Request::query().encode(1, case.ending()), Request::query().encode(2, case.ending())];
    client.send(bytes.concat());
    for _ in 0..2 {
        let response = client.response("a response to each query")?;
        client.must(response.is_ok(), &response, "Status Ok")?;
    }
    Ok(())
}

fn body_by_length(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = format!("{}\n\nMessage-Type bye\nMessage-ID 9\n\nStatus Ok\n", case.text());
    speaker.ask_ok(&Request::chat(&text)).needs("public-ok")?;
    listener.hear(&text)?;
    speaker.ask_ok(&Request::query())?;
    Ok(())
}

fn length_in_bytes(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    for end in ["", " ", "\n", "\r\n"] {
        let text = case.text() + end;
        speaker.ask_ok(&Request::chat(&text)).needs("public-ok")?;
        listener.hear(&text)?;
    }
    Ok(())
}

fn one_segment(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let texts = [case.text(), case.text(), case.text()];
    let flight: Vec<u8> =
        texts.iter().flat_map(|text| speaker.encode(&Request::chat(text))).collect();
    speaker.send(flight);
    for text in &texts {
        let response = speaker.response("a response to each message")?;
        speaker.must(response.is_ok(), &response, "Status Ok").needs("public-ok")?;
        listener.hear(text)?;
    }
    Ok(())
}

fn many_segments(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let bytes = speaker.encode(&Request::chat(&text));
    // Whenever the other client has an answer, the piece before has arrived.
    for piece in bytes.chunks(5) {
        speaker.send(piece);
        listener.ask(&Request::query()).needs("others-unhindered")?;
    }
    let response = speaker.response("a response")?;
    speaker.must(response.is_ok(), &response, "Status Ok").needs("public-ok")?;
    listener.hear(&text)?;
    let text = case.text();
    for byte in speaker.encode(&Request::chat(&text)).chunks(1) {
        speaker.send(byte);
    }
    let response = speaker.response("a response to a message that came byte by byte")?;
    speaker.must(response.is_ok(), &response, "Status Ok").needs("public-ok")?;
    listener.hear(&text)?;
    Ok(())
}

fn others_unhindered(case: &Case<'_>) -> Check {
    let (mut half, mut other) = case.pair()?;
    let bytes = half.encode(&Request::chat(case.text()));
    let (last, first) = (bytes.len() - 1, bytes.len() / 2);
    let mut joined = Vec::new();
    for piece in [&bytes[..first], &bytes[first..last - 3], &bytes[last - 3..last]] {
        half.send(piece);
        other.ask_ok(&Request::query())?;
        joined.push(case.join()?);
    }
    half.send(&bytes[last..]);
    half.response("a response to the message once it is whole")?;
    // Nor does a file that is still arriving.
    let bytes = half.encode(&Request::share("txt", case.text()));
    half.send(&bytes[..bytes.len() / 2]);
    other.ask_ok(&Request::query())?;
    half.send(&bytes[bytes.len() / 2..]);
    half.response("a response to the file once it is whole")?;
    Ok(())
}
