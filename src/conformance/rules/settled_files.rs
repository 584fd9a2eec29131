//! Files, as settled where the draft is silent (P4), and promises that a stranger can see kept (P5).

use super::settled;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    settled(
        (
            "extension-form",
            "P4",
            "a file's Content-Type is letters, digits, _ + - and single dots within",
        ),
        extension_form,
    ),
    settled(
        ("extension-no-path", "P4", "a Content-Type that could be a path is refused"),
        extension_no_path,
    ),
    settled(("extension-32", "P4", "a Content-Type has at most 32 bytes"), extension_32),
    settled(
        ("file-limit", "P4", "a file over the limit is refused before it has come"),
        file_limit,
    ),
    settled(("share-empty", "P4", "a file may be empty"), share_empty),
    settled(
        ("share-cut", "P4", "a share that does not arrive whole leaves nothing behind"),
        share_cut,
    ),
    settled(
        (
            "query-files",
            "P4",
            "query files lists File-ID, Content-Type, Content-Length and From, ascending",
        ),
        query_files,
    ),
    settled(
        ("query-files-mine", "P4", "query files lists those files alone that the asker may fetch"),
        query_files_mine,
    ),
    settled(
        (
            "fetch-private",
            "P4",
            "a file sent to one client can be fetched by it and its sender alone",
        ),
        fetch_private,
    ),
    settled(
        (
            "fetch-same-words",
            "P4",
            "a file that never was and one for others are refused in the same words",
        ),
        fetch_same_words,
    ),
    settled(("fetch-digits", "P4", "the body of a fetch is a File-ID in digits"), fetch_digits),
    settled(
        ("order-of-public", "P5", "all clients see the public messages in the same order"),
        order_of_public,
    ),
    settled(
        (
            "ok-is-queued",
            "P5",
            "Status Ok for a chat means that the message is queued for its receivers",
        ),
        ok_is_queued,
    ),
    settled(
        (
            "end-of-input",
            "P5",
            "at the end of input all that is queued is still written, then it closes",
        ),
        end_of_input,
    ),
    settled(
        ("burst-arrives", "P5", "500 texts that are sent at once all arrive, in their order"),
        burst_arrives,
    ),
    settled(
        ("whole-counts", "P5", "what came whole before a connection ended is relayed"),
        whole_counts,
    ),
];

fn extension_form(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    for extension in ["JPG", "tar.gz", "c++", "7z", "x_y-z", "a.b.c"] {
        let content = case.file();
        speaker.ask_ok(&Request::share(extension, &content))?;
        listener.hear_file(extension, content.len())?;
    }
    Ok(())
}

/// Shares that are to be refused, in words that name the field.
fn refuses(case: &Case<'_>, extensions: &[&str]) -> Check {
    let mut client = case.join()?;
    for extension in extensions {
        let response = client.ask(&Request::share(extension, case.file()))?;
        client.reason(&response, &["Content-Type"])?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn extension_no_path(case: &Case<'_>) -> Check {
    refuses(
        case,
        &[
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "a..b",
            ".jpg",
            "jpg.",
            "a b",
            "a:b",
            "~",
            "*",
        ],
    )
}

fn extension_32(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    client.ask_ok(&Request::share(&"x".repeat(32), case.file()))?;
    refuses(case, &[&"x".repeat(33)])
}

fn file_limit(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let limit = case.limit("max-file", 16 << 20);
    let len = limit + 1;
    let header =
        format!("Message-Type chat\nMessage-ID 1\nContent-Type jpg\nContent-Length {len}\n\n");
    let response = client.ask_raw(header)?;
    client.reason(&response, &["Content-Length", &limit.to_string()])
}

fn share_empty(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    speaker.ask_ok(&Request::share("empty", ""))?;
    let relay = listener.hear_file("empty", 0)?;
    let id = relay.field("File-ID").unwrap_or_default();
    let response = listener.ask_ok(&Request::fetch(id))?;
    listener.body(&response, "")
}

/// The lines of `query files`, as this client is told.
fn files(client: &mut Peer) -> Check<Vec<String>> {
    let response = client.ask_ok(&Request::query_for("files"))?;
    Ok(response.text().lines().map(str::to_owned).collect())
}

fn share_cut(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let before = files(&mut listener).needs("query-files")?;
    let bytes = speaker.encode(&Request::share("cut", case.file()));
    speaker.send(&bytes[..bytes.len() - 5]);
    speaker.end_input();
    let response = speaker.response("an error: the body ended early")?;
    speaker.refused(&response)?;
    speaker.end("the end of the connection")?;
    let is_cut = |message: &Message| message.field("Content-Type") == Some("cut");
    listener.quiet("nothing of it", is_cut)?;
    let after = files(&mut listener)?;
    match after.iter().find(|line| line.contains(" cut ") && !before.contains(line)) {
        None => Ok(()),
        Some(line) => Err(listener.broken(line, "no such file")),
    }
}

fn query_files(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener, _) = case.known()?;
    let mut lines = Vec::new();
    for extension in ["jpg", "tar.gz"] {
        let content = case.file();
        speaker.ask_ok(&Request::share(extension, &content)).needs("share-ok")?;
        let relay = listener.hear_file(extension, content.len()).needs("share-inherits")?;
        let id = relay.field("File-ID").unwrap_or_default();
        lines.push(format!("{id} {extension} {} {}", content.len(), speaker.uid));
    }
    for client in [&mut speaker, &mut listener] {
        let response = client.ask_ok(&Request::query_for("files"))?;
        client.field(&response, "Content-Type", "text")?;
        let text = response.text();
        let listed: Vec<&str> = text.lines().collect();
        for line in &lines {
            client.must(listed.contains(&line.as_str()), &response, &format!("a line {line:?}"))?;
        }
        let id = |line: &&str| line.split(' ').next().and_then(|id| id.parse::<u64>().ok());
        let is_ascending = listed.is_sorted_by(|a, b| id(a) < id(b)) && text.ends_with('\n');
        client.must(is_ascending, &response, "File-IDs in ascending order, a line each")?;
    }
    Ok(())
}

/// A file that the first client has shared with the second one alone, and its File-ID.
fn private_file(case: &Case<'_>) -> Check<([Peer; 3], String, Vec<u8>)> {
    let (mut speaker, mut listener, other) = case.known()?;
    let content = case.file();
    speaker.ask_ok(&Request::share("jpg", &content).to(&listener.uid)).needs("share-ok")?;
    let relay = listener.hear_file("jpg", content.len()).needs("share-private")?;
    let id = relay.field("File-ID").unwrap_or_default().to_owned();
    Ok(([speaker, listener, other], id, content))
}

fn query_files_mine(case: &Case<'_>) -> Check {
    let ([mut speaker, mut listener, mut other], id, _) = private_file(case)?;
    let is_it = |line: &String| line.split(' ').next() == Some(&id);
    for client in [&mut speaker, &mut listener] {
        let listed = files(client)?;
        if !listed.iter().any(is_it) {
            return Err(client.broken(&listed.join("; "), &format!("a line for file {id}")));
        }
    }
    match files(&mut other)?.iter().find(|line| is_it(line)) {
        None => Ok(()),
        Some(line) => Err(other.broken(line, "no line for another one's file")),
    }
}

fn fetch_private(case: &Case<'_>) -> Check {
    let (clients, id, content) = private_file(case)?;
    let [mut speaker, mut listener, mut other] = clients;
    for client in [&mut speaker, &mut listener] {
        let response = client.ask_ok(&Request::fetch(&id))?;
        client.must(response.body == content, &response, "the file")?;
    }
    for stranger in [&mut other, &mut case.join()?] {
        stranger.ask_refused(&Request::fetch(&id))?;
    }
    Ok(())
}

fn fetch_same_words(case: &Case<'_>) -> Check {
    let ([.., mut other], id, _) = private_file(case)?;
    let private = other.ask_refused(&Request::fetch(&id)).needs("fetch-private")?;
    let never = other.ask_refused(&Request::fetch(case.nobody())).needs("fetch-unknown")?;
    let words = never.text().replace(case.nobody(), &id);
    other.must(private.text() == words, &private, &format!("the reason {words:?}"))
}

fn fetch_digits(case: &Case<'_>) -> Check {
    let (mut client, mut listener) = case.pair()?;
    let bad = ["", "ten", "-1", "+1", "1 2", "1\n1", "1.0", "1.jpg", "../1", "0x1", "\u{661}"];
    for body in bad.into_iter().chain(["18446744073709551616"]) {
        let response = client.ask(&Request::fetch(body))?;
        client.reason(&response, &["File-ID"])?;
    }
    for id in ["0", "18446744073709551615"] {
        client.ask_refused(&Request::fetch(id))?;
    }
    let content = case.file();
    client.ask_ok(&Request::share("jpg", &content)).needs("share-ok")?;
    let relay = listener.hear_file("jpg", content.len()).needs("share-inherits")?;
    let id = relay.field("File-ID").unwrap_or_default();
    let response = listener.ask_ok(&Request::fetch(format!("{id:0>30}")))?;
    listener.must(response.body == content, &response, "the file: leading zeros do not count")
}

fn order_of_public(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut first, mut second) = case.pair()?;
    let (mut listener, mut other) = case.pair()?;
    let mut texts = Vec::new();
    for _ in 0..10 {
        for speaker in [&mut first, &mut second] {
            texts.push(case.text());
            speaker.post(&Request::chat(&texts[texts.len() - 1]));
        }
    }
    let is_one = |message: &Message| texts.iter().any(|text| message.body == text.as_bytes());
    for number in 1..=texts.len() {
        let want = format!("public message {number} of {}", texts.len());
        let here = listener.relay(&want, is_one)?;
        let there = other.relay(&want, is_one)?;
        let want = format!("what another client got as number {number}, {:?}", here.text());
        other.must(there.body == here.body, &there, &want)?;
    }
    Ok(())
}

fn ok_is_queued(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    for _ in 0..10 {
        let text = case.text();
        speaker.ask_ok(&Request::chat(&text))?;
        // What is asked for behind the response is answered behind the relay.
        let answer = listener.ask(&Request::query())?;
        let has_come = listener.take_relays().iter().any(|relay| relay.body == text.as_bytes());
        listener.must(has_come, &answer, &format!("the relay of {text:?} before this answer"))?;
    }
    Ok(())
}

fn end_of_input(case: &Case<'_>) -> Check {
    let mut client = case.connect()?;
    let flight: Vec<u8> =
        (0..20).flat_map(|_| client.encode(&Request::chat(case.text()))).collect();
    client.send(flight);
    client.end_input();
    for _ in 0..20 {
        let response = client.response("a response to each chat before the end of input")?;
        client.must(response.is_ok(), &response, "Status Ok")?;
    }
    client.end("the end of the connection")?;
    // Between messages it is no error.
    for end in ["", "\r\n\n", " \n"] {
        let mut client = case.join()?;
        client.send(end);
        client.end_input();
        client.end("the end of the connection, and no error")?;
    }
    Ok(())
}

fn burst_arrives(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let name = case.text();
    let texts: Vec<String> = (1..=500).map(|number| format!("{name} burst {number}")).collect();
    let flight: Vec<u8> =
        texts.iter().flat_map(|text| speaker.encode(&Request::chat(text))).collect();
    speaker.send(flight);
    for text in &texts {
        let want = format!("{text:?} next");
        let relay = listener.relay(&want, |message| message.text().starts_with(&name))?;
        listener.must(relay.body == text.as_bytes(), &relay, &want)?;
    }
    for text in &texts {
        let response = speaker.response(&format!("a response to {text:?}"))?;
        speaker.must(response.is_ok(), &response, "Status Ok")?;
    }
    Ok(())
}

fn whole_counts(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let mut listener = case.join()?;
    let mut speaker = case.connect()?;
    let texts = [case.text(), case.text(), case.text()];
    let flight: Vec<u8> =
        texts.iter().flat_map(|text| speaker.encode(&Request::chat(text))).collect();
    let half = speaker.encode(&Request::chat("never whole"));
    speaker.send([flight, half[..half.len() - 3].to_vec()].concat());
    speaker.close();
    for text in &texts {
        listener.hear(text)?;
    }
    listener
        .quiet("nothing that did not come whole", |message| message.text().starts_with("never w"))
}
