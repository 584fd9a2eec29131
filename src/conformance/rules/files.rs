//! Sharing and fetching files (§2.3.3, §3.2).

use super::draft;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::finding::visible;
use crate::conformance::message::Message;
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    draft(("share-ok", "§3.2.3", "the sharer of a file gets Status Ok"), share_ok),
    draft(
        ("share-relay", "§2.3.3.1", "the header of a shared file is relayed, with a File-ID"),
        share_relay,
    ),
    draft(("share-no-body", "§2.3.3.1", "the relay of a shared file has no body"), share_no_body),
    draft(
        (
            "share-inherits",
            "§2.2.1.1",
            "the relay of a file inherits its Content-Type and Content-Length",
        ),
        share_inherits,
    ),
    draft(("share-from", "§2.3.3.1", "the relay of a file has From, the sharer's UID"), share_from),
    draft(
        ("share-not-back", "§2.3.3.1", "the relay of a file does not go to its sharer"),
        share_not_back,
    ),
    draft(
        ("share-private", "§2.3.3.1", "a file with To is relayed to that client alone"),
        share_private,
    ),
    draft(
        ("share-unknown", "§2.3.2.1", "a file to a UID that nobody has gets Status Error"),
        share_unknown,
    ),
    draft(
        ("file-id-new", "§2.2.1.1", "each shared file has a File-ID of its own, and they go up"),
        file_id_new,
    ),
    draft(("text-no-file-id", "§2.2.1.1", "the relay of a text has no File-ID"), text_no_file_id),
    draft(("fetch-ok", "§2.3.3.2", "fetching a shared file gets Status Ok"), fetch_ok),
    draft(("fetch-bytes", "§3.2.5", "a fetched file is byte for byte the one shared"), fetch_bytes),
    draft(
        ("fetch-content-type", "§3.2.5", "the response to a fetch has the file's Content-Type"),
        fetch_content_type,
    ),
    draft(
        ("fetch-again", "§2.3.3.2", "a file can be fetched by several clients, and more than once"),
        fetch_again,
    ),
    draft(
        ("fetch-unknown", "§2.3.3.2", "fetching what is not staged gets Status Error"),
        fetch_unknown,
    ),
    draft(
        ("fetch-right-one", "§2.3.3.2", "of two files each is fetched by its own File-ID"),
        fetch_right_one,
    ),
    draft(
        ("fetch-sharer-gone", "§1.3.2", "a file can be fetched when its sharer has left"),
        fetch_sharer_gone,
    ),
    draft(
        ("share-alone", "§2.3.2.2", "where nobody else is there, a file is staged all the same"),
        share_alone,
    ),
];

const EXTENSION: &str = "jpg";

/// Shares `content`, and what the other client is told.
fn shared(
    case: &Case<'_>,
    speaker: &mut Peer,
    listener: &mut Peer,
    content: &[u8],
) -> Check<Message> {
    case.rests_on("share-inherits")?;
    speaker.ask_ok(&Request::share(EXTENSION, content)).needs("share-ok")?;
    listener.hear_file(EXTENSION, content.len()).needs("share-inherits")
}

fn file_id(listener: &Peer, relay: &Message) -> Check<String> {
    listener.must(relay.has("File-ID"), relay, "a File-ID").needs("share-relay")?;
    Ok(relay.field("File-ID").unwrap_or_default().to_owned())
}

/// Fetches a file, and compares it.
fn fetches(client: &mut Peer, file_id: &str, content: &[u8]) -> Check<Message> {
    let response = client.ask_ok(&Request::fetch(file_id)).needs("fetch-ok")?;
    if response.body != content {
        let same = response.body.iter().zip(content).take_while(|(got, sent)| got == sent).count();
        let got = format!(
            "{} bytes; from byte {same} on they are {}",
            response.body.len(),
            visible(&response.body[same..response.body.len().min(same + 16)])
        );
        let rest = visible(&content[same..content.len().min(same + 16)]);
        let want = format!("the {} bytes that were shared, there {rest}", content.len());
        return Err(client.broken(&got, &want));
    }
    Ok(response)
}

fn share_ok(case: &Case<'_>) -> Check {
    let (mut speaker, _listener) = case.pair()?;
    speaker.ask_ok(&Request::share(EXTENSION, case.file()))?;
    speaker.ask_ok(&Request::query())?;
    Ok(())
}

/// The relay of a file that has at least its type or its length left.
fn hear_any(listener: &mut Peer, extension: &str, len: usize, want: &str) -> Check<Message> {
    listener.relay(want, |message| {
        message.field("Content-Type") == Some(extension)
            || (message.has("File-ID") && message.number("Content-Length") == Some(len as u64))
    })
}

fn share_relay(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let (extension, content) = (case.extension(), case.file());
    speaker.ask_ok(&Request::share(&extension, &content)).needs("share-ok")?;
    let relay = hear_any(&mut listener, &extension, content.len(), "a relay with a File-ID")?;
    listener.must(relay.number("File-ID").is_some(), &relay, "a File-ID, a number")?;
    listener.must(relay.is("chat"), &relay, "Message-Type chat").needs("relay-type")
}

fn share_no_body(case: &Case<'_>) -> Check {
    case.rests_on("share-relay")?;
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    let (extension, content) = (case.extension(), case.file());
    speaker.ask(&Request::share(&extension, &content)).needs("share-ok")?;
    hear_any(&mut listener, &extension, content.len(), "a relay of the file")
        .needs("share-relay")?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    // What stands between the two relays would be a body.
    listener.relay("the header of the file, and behind it the next relay", |message| {
        message.body == text.as_bytes()
    })?;
    Ok(())
}

fn share_inherits(case: &Case<'_>) -> Check {
    case.rests_on("share-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    for _ in 0..2 {
        let (extension, content) = (case.extension(), case.file());
        speaker.ask(&Request::share(&extension, &content)).needs("share-ok")?;
        let relay = hear_any(&mut listener, &extension, content.len(), "a relay of the file")
            .needs("share-no-body")?;
        listener.field(&relay, "Content-Type", &extension)?;
        listener.field(&relay, "Content-Length", &content.len().to_string())?;
    }
    Ok(())
}

fn share_from(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener, _) = case.known()?;
    speaker.ask(&Request::nickname("Tom")).needs("nickname-ok")?;
    let relay = shared(case, &mut speaker, &mut listener, &case.file())?;
    listener.field(&relay, "From", &speaker.uid)
}

fn is_file(len: usize) -> impl Fn(&Message) -> bool {
    move |message| message.is_file_relay() && message.number("Content-Length") == Some(len as u64)
}

fn share_not_back(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let content = case.file();
    shared(case, &mut speaker, &mut listener, &content)?;
    speaker.quiet("no relay to the sharer itself", is_file(content.len()))
}

fn share_private(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener, mut other) = case.known()?;
    let content = case.file();
    speaker.ask_ok(&Request::share(EXTENSION, &content).to(&listener.uid)).needs("share-ok")?;
    let relay = listener.hear_file(EXTENSION, content.len()).needs("share-inherits")?;
    listener.field(&relay, "To", &listener.uid).needs("private-to")?;
    other.quiet("nothing: the file is for another client", is_file(content.len()))
}

fn share_alone(case: &Case<'_>) -> Check {
    let mut sharer = case.join()?;
    case.alone(&mut sharer)?;
    let content = case.file();
    let response = sharer.ask_ok(&Request::share(EXTENSION, &content)).needs("share-ok")?;
    // A server of the draft does not tell the sharer its File-ID.
    if let Some(id) = response.field("File-ID") {
        fetches(&mut case.join()?, id, &content).needs("fetch-bytes")?;
    }
    Ok(())
}

fn share_unknown(case: &Case<'_>) -> Check {
    let (mut sharer, mut other) = case.pair()?;
    let extension = case.extension();
    sharer.ask_refused(&Request::share(&extension, case.file()).to(case.nobody()))?;
    let is_it = |message: &Message| message.field("Content-Type") == Some(&extension);
    other.quiet("nothing", is_it)
}

fn file_id_new(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let mut last = None;
    for _ in 0..3 {
        let relay = shared(case, &mut speaker, &mut listener, &case.file())?;
        let id = relay.number("File-ID");
        listener.must(id > last, &relay, &format!("a File-ID above {}", last.unwrap_or(0)))?;
        last = id;
    }
    Ok(())
}

fn text_no_file_id(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    shared(case, &mut speaker, &mut listener, &case.file())?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let is_text = |message: &Message| message.number("Content-Length") == Some(text.len() as u64);
    let relay = listener.relay("a relay of the text", is_text).needs("public-relay")?;
    listener.lacks(&relay, "File-ID")
}

fn fetch_ok(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let relay = shared(case, &mut speaker, &mut listener, &case.file())?;
    let id = file_id(&listener, &relay)?;
    listener.ask_ok(&Request::fetch(id))?;
    listener.ask_ok(&Request::query())?;
    Ok(())
}

fn fetch_bytes(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    for content in [case.file(), [0xff, 0, b'\n', b'\r'].repeat(20_000), case.file()] {
        let relay = shared(case, &mut speaker, &mut listener, &content)?;
        let id = file_id(&listener, &relay)?;
        fetches(&mut listener, &id, &content)?;
    }
    Ok(())
}

fn fetch_content_type(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let relay = shared(case, &mut speaker, &mut listener, &case.file())?;
    let id = file_id(&listener, &relay)?;
    let response = listener.ask_ok(&Request::fetch(id)).needs("fetch-ok")?;
    listener.field(&response, "Content-Type", EXTENSION)
}

fn fetch_again(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let mut other = case.join()?;
    let content = case.file();
    let relay = shared(case, &mut speaker, &mut listener, &content)?;
    let id = file_id(&listener, &relay)?;
    fetches(&mut listener, &id, &content).needs("fetch-bytes")?;
    for client in [&mut listener, &mut other, &mut speaker] {
        let response = client.ask_ok(&Request::fetch(&id))?;
        client.must(response.body == content, &response, "the file again")?;
    }
    let mut late = case.join()?;
    late.ask_ok(&Request::fetch(&id))?;
    Ok(())
}

fn fetch_unknown(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    let response = client.ask_refused(&Request::fetch(case.nobody()))?;
    client.field(&response, "Message-Type", "fetch").needs("response-type")?;
    client.ask_ok(&Request::query()).needs("response-each")?;
    Ok(())
}

fn fetch_right_one(case: &Case<'_>) -> Check {
    let (mut speaker, mut listener) = case.pair()?;
    let contents = [case.file(), case.file()];
    let mut ids = Vec::new();
    for content in &contents {
        let relay = shared(case, &mut speaker, &mut listener, content)?;
        ids.push(file_id(&listener, &relay)?);
    }
    for (id, content) in ids.iter().zip(&contents) {
        fetches(&mut listener, id, content).needs("fetch-bytes")?;
    }
    Ok(())
}

fn fetch_sharer_gone(case: &Case<'_>) -> Check {
    let (mut sharer, mut listener) = case.pair()?;
    let content = case.file();
    let relay = shared(case, &mut sharer, &mut listener, &content)?;
    let id = file_id(&listener, &relay)?;
    sharer.post(&Request::bye());
    sharer.drain("the end of the connection").needs("bye-closes")?;
    // It was fetched by nobody before.
    case.rests_on("fetch-ok")?;
    let response = listener.ask_ok(&Request::fetch(&id))?;
    listener.must(response.body == content, &response, "the file").needs("fetch-bytes")
}
