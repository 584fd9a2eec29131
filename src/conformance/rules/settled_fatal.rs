//! What ends a session (P1, P2): an error that reaches its sender, and the end of the connection.

use super::settled;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::peer::Peer;
use crate::conformance::request::Request;

/// How every fatal reason ends.
const CLOSED: &str = "; the connection is closed\n";

pub(super) const RULES: &[Rule] = &[
    settled(
        ("first-unknown-fatal", "P1", "a message that begins with no field of the draft is fatal"),
        first_unknown_fatal,
    ),
    settled(
        ("stray-bytes-fatal", "P2", "stray bytes behind a body are fatal, and the reason says so"),
        stray_bytes_fatal,
    ),
    settled(
        ("colon-fatal", "P2", "Message-Type: chat is fatal, and the reason says why"),
        colon_fatal,
    ),
    settled(("no-value-fatal", "P1", "a field name without a value is fatal"), no_value_fatal),
    settled(
        ("field-name-fatal", "P1", "a field name of other than letters, digits and - is fatal"),
        field_name_fatal,
    ),
    settled(
        ("no-length-fatal", "P1", "chat, fetch and nickname without Content-Length are fatal"),
        no_length_fatal,
    ),
    settled(
        ("no-type-no-length-fatal", "P1", "no known Message-Type and no Content-Length is fatal"),
        no_type_no_length_fatal,
    ),
    settled(
        ("length-repeated-fatal", "P1", "a repeated Content-Length is fatal"),
        length_repeated_fatal,
    ),
    settled(
        ("length-bad-fatal", "P1", "a Content-Length that is no number is fatal"),
        length_bad_fatal,
    ),
    settled(
        ("header-ascii", "P1", "control characters and what is not ASCII in a header are fatal"),
        header_ascii,
    ),
    settled(("fatal-ends", "P2", "nothing behind a fatal error is read as messages"), fatal_ends),
    settled(
        (
            "fatal-reaches",
            "P2",
            "a fatal error reaches its sender, however much was sent behind it",
        ),
        fatal_reaches,
    ),
    settled(
        ("fatal-says-closed", "P2", "a fatal reason ends in \"; the connection is closed\""),
        fatal_says_closed,
    ),
    settled(
        ("http-never-read", "P1", "neither an HTTP request nor its body is read as messages"),
        http_never_read,
    ),
    settled(("bye-honoured", "P2", "bye is honoured whatever else is wrong with it"), bye_honoured),
    settled(
        (
            "cut-body",
            "P2",
            "where a body ends early nothing is relayed, and the error counts the bytes",
        ),
        cut_body,
    ),
    settled(("cut-header", "P2", "where a header ends early there is an error"), cut_header),
    settled(
        ("cut-refused-once", "P2", "a body that was refused already gets no second error"),
        cut_refused_once,
    ),
];

/// Sends what ends the session: an error that says these words, and the end of the connection.
pub(super) fn is_fatal(client: &mut Peer, message: &str, words: &[&str]) -> Check {
    let response = client.ask_raw(message)?;
    client.reason(&response, words)?;
    client.end("the end of the connection behind a fatal error")
}

/// The same for several, each on a connection of its own.
fn are_fatal(case: &Case<'_>, messages: &[(&str, &[&str])]) -> Check {
    for (message, words) in messages {
        is_fatal(&mut case.connect()?, message, words)?;
    }
    Ok(())
}

fn first_unknown_fatal(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("X-Colour blue\nMessage-Type query\nMessage-ID 1\n\n", &["X-Colour"]),
            ("hello\nMessage-Type query\nMessage-ID 1\n\n", &["hello"]),
        ],
    )
}

fn stray_bytes_fatal(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.send("Message-Type chat\nMessage-ID 1\nContent-Length 10\n\nHow are you?\n");
    let response = client.response("a response to the chat")?;
    client.must(response.is_ok(), &response, "Status Ok")?;
    let response = client.response("an error for the stray bytes")?;
    client.reason(&response, &["Content-Length was too small", "u?"])?;
    client.end("the end of the connection")
}

fn colon_fatal(case: &Case<'_>) -> Check {
    are_fatal(case, &[("Message-Type: chat\nMessage-ID: 1\n\n", &["colon", "Message-Type chat"])])
}

fn no_value_fatal(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("Message-Type query\nMessage-ID\n\n", &["Message-ID"]),
            ("Message-Type query\nMessage-ID 1\nX-Colour\n\n", &["X-Colour"]),
            ("Message-Type \nMessage-ID 1\n\n", &["Message-Type"]),
        ],
    )
}

fn field_name_fatal(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("Message-Type query\nX_Colour blue\nMessage-ID 1\n\n", &["X_Colour"]),
            ("Message-Type query\n<b> blue\nMessage-ID 1\n\n", &["<b>"]),
        ],
    )
}

fn no_length_fatal(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("Message-Type chat\nMessage-ID 1\n\n", &["Content-Length"]),
            ("Message-Type fetch\nMessage-ID 1\n\n", &["Content-Length"]),
            ("Message-Type nickname\nMessage-ID 1\n\n", &["Content-Length"]),
        ],
    )
}

fn no_type_no_length_fatal(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("Message-Type say\nMessage-ID 1\n\n", &["Content-Length"]),
            ("Message-ID 1\n\n", &["Message-Type"]),
        ],
    )
}

fn length_repeated_fatal(case: &Case<'_>) -> Check {
    let message = "Message-Type chat\nMessage-ID 1\nContent-Length 2\nContent-Length 2\n\nhi";
    are_fatal(case, &[(message, &["Content-Length"])])
}

fn length_bad_fatal(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("Message-Type chat\nMessage-ID 1\nContent-Length two\n\nhi", &["Content-Length"]),
            ("Message-Type chat\nMessage-ID 1\nContent-Length -2\n\nhi", &["Content-Length"]),
            ("Message-Type query\nMessage-ID 1\nContent-Length 2 2\n\nhi", &["Content-Length"]),
        ],
    )
}

fn header_ascii(case: &Case<'_>) -> Check {
    are_fatal(
        case,
        &[
            ("Message-Type query\nMessage-ID 1\nX-Colour \x1b[31m\n\n", &[]),
            ("Message-Type query\nMessage-ID 1\x7f\n\n", &[]),
            ("Message-Type query\nMessage-ID 1\nX-Colour gr\u{fc}n\n\n", &["X-Colour"]),
        ],
    )
}

fn fatal_ends(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let chat = speaker.encode(&Request::chat(&text));
    speaker.send([b"nonsense\n\n".as_slice(), &chat].concat());
    let response = speaker.response("an error")?;
    speaker.refused(&response)?;
    speaker.end("no more responses, and the end of the connection")?;
    listener.quiet("nothing of it", |message| message.body == text.as_bytes())
}

fn fatal_reaches(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.send(["nonsense\n".as_bytes(), &b"more and more \n".repeat(8192)].concat());
    let response = client.response("an error, however much was sent behind what is wrong")?;
    client.refused(&response)?;
    client.end("an end in order, not a reset")
}

fn fatal_says_closed(case: &Case<'_>) -> Check {
    for fatal in [
        "nonsense\n\n",
        "Message-Type: chat\n\n",
        "Message-Type chat\nMessage-ID 1\n\n",
        "Message-Type chat\nMessage-ID 1\nContent-Length x\n\n",
    ] {
        let mut client = case.connect()?;
        let response = client.ask_raw(fatal)?;
        client.refused(&response)?;
        let want = format!("a reason that ends in {CLOSED:?}");
        client.must(response.text().ends_with(CLOSED), &response, &want)?;
    }
    let mut client = case.join()?;
    let response = client.ask_refused(&Request::fetch(case.nobody()))?;
    let want = "a reason that does not say so: the session goes on";
    client.must(!response.text().contains("connection is closed"), &response, want)
}

fn http_never_read(case: &Case<'_>) -> Check {
    let mut listener = case.join()?;
    let text = case.text();
    let chat = format!("Message-Type chat\nMessage-ID 1\nContent-Length {}\n\n{text}", text.len());
    let len = chat.len();
    for request in ["POST / HTTP/1.1", "GET / HTTP/1.0", "PUT /x HTTP/1.1"] {
        let mut stranger = case.connect()?;
        stranger.send(format!("{request}\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{chat}"));
        stranger.end_input();
        stranger.drain("the end of the connection")?;
        listener.quiet("nothing of it", |message| message.body == text.as_bytes())?;
    }
    Ok(())
}

fn bye_honoured(case: &Case<'_>) -> Check {
    for bye in [
        "Message-Type bye\n\n",
        "Message-Type bye\nMessage-ID x\n\n",
        "Message-Type bye\nMessage-ID 1\nMessage-ID 1\nTo me\n\n",
        "Message-Type bye\nMessage-ID 1\nContent-Type ../..\nContent-Length 8\n\ngood bye",
    ] {
        let mut client = case.join()?;
        client.send(bye);
        client.end("no response, and the end of the connection")?;
    }
    Ok(())
}

fn cut_body(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let len = text.len() + 7;
    speaker.send(format!("Message-Type chat\nMessage-ID 99\nContent-Length {len}\n\n{text}"));
    speaker.end_input();
    let response = speaker.response("an error: the body ended early")?;
    speaker.reason(&response, &["7 bytes", &len.to_string()])?;
    speaker.field(&response, "Message-ID", "99")?;
    speaker.end("the end of the connection")?;
    listener.quiet("nothing of it", |message| message.text().contains(&text))
}

fn cut_header(case: &Case<'_>) -> Check {
    for message in
        ["Message-Type chat\nMessage-ID 66\nContent-Le", "Message-Type query\nMessage-ID 9\n"]
    {
        let mut client = case.join()?;
        client.send(message);
        client.end_input();
        let response = client.response("an error: the header ended early")?;
        client.reason(&response, &["header"])?;
        client.end("the end of the connection")?;
    }
    Ok(())
}

fn cut_refused_once(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.send("Message-Type chat\nMessage-ID 55\nTo me\nContent-Length 9\n\nhi");
    client.end_input();
    let response = client.response("an error")?;
    client.refused(&response)?;
    client.end("no second error, and the end of the connection")
}
