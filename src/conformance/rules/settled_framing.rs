//! How a header is read and written, as it is settled where the draft is silent (P1, P3).

use super::settled;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::finding::visible;
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    settled(
        ("wire-form", "P1", "header lines are written as name, one space, value, CR, LF"),
        wire_form,
    ),
    settled(("reads-cr-lf", "P1", "CR and LF without a space before them end a line"), reads_cr_lf),
    settled(
        ("reads-blanks", "P1", "spaces and tabs at the end of a line are dropped"),
        reads_blanks,
    ),
    settled(
        ("reads-wide-gap", "P1", "name and value are separated by one or more spaces or tabs"),
        reads_wide_gap,
    ),
    settled(
        ("reads-any-case", "P1", "field names, types and text are read in any case"),
        reads_any_case,
    ),
    settled(("reads-any-order", "P1", "fields are read in any order"), reads_any_order),
    settled(("reads-unknown-field", "P1", "unknown fields are ignored"), reads_unknown_field),
    settled(
        ("reads-empty-lines", "P1", "empty lines between messages are skipped"),
        reads_empty_lines,
    ),
    settled(
        ("numbers-to-2-64", "P1", "numbers are read up to 2^64-1, and none above"),
        numbers_to_2_64,
    ),
    settled(
        ("numbers-plain", "P1", "numbers are written back without leading zeros"),
        numbers_plain,
    ),
    settled(
        ("numbers-digits", "P1", "a number is decimal digits: no sign, no spaces within"),
        numbers_digits,
    ),
    settled(
        ("bodiless", "P1", "query and bye have no body where there is no Content-Length"),
        bodiless,
    ),
    settled(
        ("line-limit", "P1", "a header line of 1,024 bytes is read, one more byte is fatal"),
        line_limit,
    ),
    settled(("lines-limit", "P1", "a header of 32 lines is read, one more is fatal"), lines_limit),
    settled(
        ("short-body-limit", "P1", "the body of a query, fetch or nickname is at most 1,024 bytes"),
        short_body_limit,
    ),
    settled(
        (
            "short-body-blanks",
            "P1",
            "white space around the body of a query, fetch or nickname is dropped",
        ),
        short_body_blanks,
    ),
    settled(
        (
            "field-order",
            "P3",
            "the fields of relays and responses stand in the order of the examples",
        ),
        field_order,
    ),
    settled(("chat-ok-empty", "P3", "Status Ok for a chat has Content-Length 0"), chat_ok_empty),
    settled(
        ("share-ok-file-id", "P3", "the response to a shared file has the File-ID of its relay"),
        share_ok_file_id,
    ),
    settled(
        ("bye-writes-queued", "P3", "what is queued for a client that says bye is still written"),
        bye_writes_queued,
    ),
];

/// Sends a message as it stands and expects `Status Ok`.
fn is_read(client: &mut Peer, message: &str) -> Check<Message> {
    let response = client.ask_raw(message)?;
    client.must(response.is_ok(), &response, "Status Ok")?;
    Ok(response)
}

fn wire_form(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    speaker.ask(&Request::nickname("Tom")).needs("nickname-ok")?;
    let text = case.text();
    let content = case.file();
    let messages = [
        speaker.ask(&Request::chat(&text))?,
        listener.hear(&text).needs("public-relay")?,
        speaker.ask(&Request::share("jpg", &content))?,
        listener.hear_file("jpg", content.len()).needs("share-inherits")?,
        speaker.ask(&Request::fetch(case.nobody()))?,
    ];
    for message in messages {
        let lines = message.fields.iter().map(|(name, value)| format!("{name} {value}\r\n"));
        let form = lines.collect::<String>() + "\r\n";
        let want = visible(form.as_bytes());
        speaker.must(message.header == form.as_bytes(), &message, &want)?;
    }
    Ok(())
}

fn reads_cr_lf(case: &Case<'_>) -> Check {
    is_read(&mut case.connect()?, "Message-Type query\r\nMessage-ID 1\r\n\r\n")?;
    Ok(())
}

fn reads_blanks(case: &Case<'_>) -> Check {
    let mut client = case.connect()?;
    is_read(&mut client, "Message-Type query \t \nMessage-ID 1\t\r\n\n")?;
    is_read(&mut client, "Message-Type query  \r\nMessage-ID 2   \n \t\r\n")?;
    Ok(())
}

fn reads_wide_gap(case: &Case<'_>) -> Check {
    let mut client = case.connect()?;
    is_read(&mut client, "Message-Type   query\nMessage-ID\t1\n\n")?;
    is_read(&mut client, "Message-Type\t \tquery\nMessage-ID \t 2\n\n")?;
    Ok(())
}

fn reads_any_case(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let response = is_read(&mut speaker, "message-type QUERY\nMESSAGE-id 7\n\n")?;
    speaker.field(&response, "Message-Type", "query")?;
    let text = case.text();
    let len = text.len();
    let message = format!(
        "MESSAGE-TYPE Chat\nmessage-ID 8\ncontent-type TEXT\ncontent-LENGTH {len}\n\n{text}"
    );
    let response = is_read(&mut speaker, &message)?;
    speaker.lacks(&response, "File-ID")?;
    let relay = listener.hear(&text)?;
    listener.field(&relay, "Content-Type", "text")?;
    listener.lacks(&relay, "File-ID")?;
    listener.field(&relay, "Message-Type", "chat")
}

fn reads_any_order(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let len = text.len();
    let message = format!(
        "Content-Length {len}\nContent-Type text\nMessage-ID 7\nMessage-Type chat\n\n{text}"
    );
    is_read(&mut speaker, &message)?;
    listener.hear(&text)?;
    Ok(())
}

fn reads_unknown_field(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let text = case.text();
    let len = text.len();
    let message = format!(
        "Message-Type chat\nX-Colour blue\nMessage-ID 7\nContent-Length {len}\nMood 1\t2\n\n{text}"
    );
    is_read(&mut speaker, &message)?;
    let relay = listener.hear(&text)?;
    listener.lacks(&relay, "X-Colour")?;
    listener.lacks(&relay, "Mood")
}

fn reads_empty_lines(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let chat = "Message-Type chat\nMessage-ID 1\nContent-Length 2\n\nhi";
    is_read(&mut client, &format!("\n{chat}"))?;
    is_read(&mut client, &format!("\r\n \n\t\n{chat}"))?;
    is_read(&mut client, "\n\n\nMessage-Type query\nMessage-ID 2\n\n")?;
    Ok(())
}

fn numbers_to_2_64(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let largest = u64::MAX.to_string();
    let response = is_read(&mut client, &format!("Message-Type query\nMessage-ID {largest}\n\n"))?;
    client.field(&response, "Message-ID", &largest)?;
    let padded = format!("Message-Type query\nMessage-ID 000{largest}\n\n");
    let response = is_read(&mut client, &padded)?;
    client.field(&response, "Message-ID", &largest)?;
    let above = "18446744073709551616";
    let response = client.ask_raw(format!("Message-Type query\nMessage-ID {above}\n\n"))?;
    client.refused(&response)?;
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn numbers_plain(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for (sent, written) in [("0042", "42"), ("0", "0"), ("000", "0")] {
        let message = format!("Message-Type query\nMessage-ID {sent}\n\n");
        let response = is_read(&mut client, &message)?;
        client.field(&response, "Message-ID", written)?;
    }
    case.rests_on("private-relay")?;
    let mut listener = case.join_known(&mut client)?;
    let (text, uid) = (case.text(), listener.uid.clone());
    let len = text.len();
    let message =
        format!("Message-Type chat\nMessage-ID 1\nTo 000{uid}\nContent-Length 00{len}\n\n{text}");
    is_read(&mut client, &message)?;
    let relay = listener.hear(&text)?;
    listener.field(&relay, "To", &uid)?;
    listener.field(&relay, "Content-Length", &len.to_string())
}

fn numbers_digits(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for number in ["+1", "-1", "1 2", "0x1", "1.0", "one"] {
        let response = client.ask_raw(format!("Message-Type query\nMessage-ID {number}\n\n"))?;
        client.reason(&response, &["Message-ID"])?;
        client.field(&response, "Message-ID", "0")?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn bodiless(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.send("Message-Type query\nMessage-ID 1\n\nMessage-Type bye\nMessage-ID 2\n\n");
    let response = client.response("a response to the query")?;
    client.must(response.is_ok(), &response, "Status Ok")?;
    client.end("the end of the connection")
}

fn line_limit(case: &Case<'_>) -> Check {
    let message = |len: usize| {
        let field = format!("X-Filler {}", "x".repeat(len - "X-Filler ".len()));
        format!("Message-Type query\nMessage-ID 1\n{field}\r\n\r\n")
    };
    let mut client = case.join()?;
    is_read(&mut client, &message(1024))?;
    super::settled_fatal::is_fatal(&mut client, &message(1025), &["1024"])
}

fn lines_limit(case: &Case<'_>) -> Check {
    let message = |lines: usize| {
        let filler: String = (2..lines).map(|line| format!("X-Line {line}\n")).collect();
        format!("Message-Type query\nMessage-ID 1\n{filler}\n")
    };
    let mut client = case.join()?;
    is_read(&mut client, &message(32))?;
    super::settled_fatal::is_fatal(&mut client, &message(33), &["32"])
}

fn short_body_limit(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    for message_type in ["query", "fetch", "nickname"] {
        let header = format!("Message-Type {message_type}\nMessage-ID 1\nContent-Length 1025\n\n");
        let response = client.ask_raw(header)?;
        client.reason(&response, &["1024"])?;
        client.send(" ".repeat(1025));
        client.ask_ok(&Request::query())?;
    }
    // As long as it may be: white space around it is dropped.
    is_read(
        &mut client,
        &format!("Message-Type query\nMessage-ID 1\nContent-Length 1024\n\n{}", " ".repeat(1024)),
    )?;
    Ok(())
}

fn short_body_blanks(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let response = speaker.ask_ok(&Request::nickname(" \t\r\nTom\r\n "))?;
    speaker.body(&response, "Tom")?;
    let uid = speaker.ask_ok(&Request::query_for("self")).needs("query-self")?;
    let again = speaker.ask_ok(&Request::query_for("\tself\r\n"))?;
    speaker.must(again.body == uid.body, &again, "the same as without the white space")?;
    let content = case.file();
    speaker.ask_ok(&Request::share("jpg", &content)).needs("share-ok")?;
    let relay = listener.hear_file("jpg", content.len()).needs("share-inherits")?;
    let id = format!(" {}\n", relay.field("File-ID").unwrap_or_default());
    let response = listener.ask_ok(&Request::fetch(id))?;
    listener.must(response.body == content, &response, "the file")
}

/// The fields must be exactly these, in this order.
fn has_fields(client: &Peer, message: &Message, fields: &[&str]) -> Check {
    client.must(message.names() == fields, message, &format!("the fields {}", fields.join(", ")))
}

fn field_order(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    const TEXT: [&str; 5] =
        ["Message-Type", "From", "Sender-Nickname", "Content-Type", "Content-Length"];
    const PRIVATE_FILE: [&str; 7] = [
        "Message-Type",
        "To",
        "From",
        "Sender-Nickname",
        "File-ID",
        "Content-Type",
        "Content-Length",
    ];
    const RESPONSE: [&str; 5] =
        ["Status", "Message-Type", "Message-ID", "Content-Type", "Content-Length"];
    let (mut speaker, mut listener, _) = case.known()?;
    let response = speaker.ask_ok(&Request::nickname("Tom")).needs("nickname-ok")?;
    has_fields(&speaker, &response, &RESPONSE)?;
    let text = case.text();
    let response = speaker.ask(&Request::chat(&text))?;
    has_fields(&speaker, &response, &RESPONSE)?;
    let relay = listener.hear(&text).needs("public-relay")?;
    has_fields(&listener, &relay, &TEXT)?;
    let content = case.file();
    speaker.ask(&Request::share("jpg", &content).to(&listener.uid))?;
    let relay = listener.hear_file("jpg", content.len()).needs("share-inherits")?;
    has_fields(&listener, &relay, &PRIVATE_FILE)?;
    let response = speaker.ask(&Request::fetch(case.nobody()))?;
    has_fields(&speaker, &response, &RESPONSE)
}

fn chat_ok_empty(case: &Case<'_>) -> Check {
    let mut speaker = case.join()?;
    let response = speaker.ask_ok(&Request::chat(case.text())).needs("public-ok")?;
    speaker.field(&response, "Content-Length", "0")
}

fn share_ok_file_id(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let content = case.file();
    let response = speaker.ask_ok(&Request::share("jpg", &content)).needs("share-ok")?;
    let relay = listener.hear_file("jpg", content.len()).needs("share-inherits")?;
    speaker.field(&response, "File-ID", relay.field("File-ID").unwrap_or_default())?;
    let fields =
        ["Status", "Message-Type", "Message-ID", "File-ID", "Content-Type", "Content-Length"];
    has_fields(&speaker, &response, &fields)
}

fn bye_writes_queued(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let chats: Vec<u8> = (0..20).flat_map(|_| client.encode(&Request::chat(case.text()))).collect();
    let bye = client.encode(&Request::bye());
    client.send([chats, bye].concat());
    for _ in 0..20 {
        let response = client.response("a response to each chat before bye")?;
        client.must(response.is_ok(), &response, "Status Ok")?;
    }
    client.end("the end of the connection")
}
