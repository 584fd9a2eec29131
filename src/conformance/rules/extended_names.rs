//! File names (E4).

use super::extended;
use super::extended_form::speaker_and_listener;
use super::settled_fatal::is_fatal;
use super::settled_nicknames::unless_ascii;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check};
use crate::conformance::message::Message;
use crate::conformance::peer::Peer;
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    extended(
        ("file-name-relay", "E4", "an extended relay has the File-Name of the share"),
        file_name_relay,
    ),
    extended(
        ("file-name-fetch", "E2", "the response to a fetch has File-Name behind Message-ID"),
        file_name_fetch,
    ),
    extended(
        ("file-name-files", "E4", "query files has the name behind From, for an extended client"),
        file_name_files,
    ),
    extended(("file-name-trim", "E4", "white space around a File-Name is dropped"), file_name_trim),
    extended(("file-name-utf8", "E4", "a File-Name may be UTF-8"), file_name_utf8),
    extended(("file-name-200", "E4", "a File-Name has 1 to 200 bytes"), file_name_200),
    extended(
        ("file-name-no-path", "E4", "a File-Name that could be a path is refused"),
        file_name_no_path,
    ),
    extended(
        (
            "file-name-characters",
            "E4",
            "control characters, separators and turns of direction are refused",
        ),
        file_name_characters,
    ),
    extended(
        ("file-name-bytes", "E4", "a File-Name that is not UTF-8 is refused"),
        file_name_bytes,
    ),
    extended(("file-name-twice", "E4", "File-Name twice in a header is refused"), file_name_twice),
    extended(("file-name-empty", "E4", "File-Name without a value is fatal"), file_name_empty),
    extended(("file-name-first", "E4", "a message may not begin with File-Name"), file_name_first),
    extended(
        ("file-name-elsewhere", "E4", "where no file is shared File-Name is not looked at"),
        file_name_elsewhere,
    ),
];

/// A share with this name, from the second client; and its relay, as the extended first one gets it.
fn named(case: &Case<'_>, name: &str) -> Check<([Peer; 2], Message, Vec<u8>)> {
    case.feature("file-name")?;
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    let content = case.file();
    speaker.ask_ok(&Request::share("pdf", &content).field("File-Name", name))?;
    let relay = listener.hear_file("pdf", content.len())?;
    Ok(([speaker, listener], relay, content))
}

fn file_name_relay(case: &Case<'_>) -> Check {
    let ([mut speaker, mut listener], relay, _) = named(case, "holiday plan.pdf")?;
    listener.field(&relay, "File-Name", "holiday plan.pdf")?;
    let content = case.file();
    speaker.ask_ok(&Request::share("pdf", &content))?;
    let relay = listener.hear_file("pdf", content.len())?;
    listener.lacks(&relay, "File-Name")
}

fn file_name_fetch(case: &Case<'_>) -> Check {
    let ([_, mut listener], relay, content) = named(case, "holiday plan.pdf")?;
    let response = listener.ask_ok(&Request::fetch(relay.field("File-ID").unwrap_or_default()))?;
    listener.field(&response, "File-Name", "holiday plan.pdf")?;
    let place = response.names().iter().position(|name| *name == "File-Name");
    listener.must(place == Some(3), &response, "File-Name behind Message-ID")?;
    listener.must(response.body == content, &response, "the file")
}

fn file_name_files(case: &Case<'_>) -> Check {
    let ([mut speaker, mut listener], relay, content) = named(case, "holiday plan.pdf")?;
    let [id, from] = ["File-ID", "From"].map(|name| relay.field(name).unwrap_or_default());
    let plain = format!("{id} pdf {} {from}", content.len());
    let full = format!("{plain} holiday plan.pdf");
    for (client, line) in [(&mut listener, full), (&mut speaker, plain)] {
        let response = client.ask_ok(&Request::query_for("files"))?;
        let is_there = response.text().lines().any(|listed| listed == line);
        client.must(is_there, &response, &format!("a line {line:?}"))?;
    }
    Ok(())
}

fn file_name_trim(case: &Case<'_>) -> Check {
    let ([_, listener], relay, _) = named(case, " \t holiday plan.pdf \t")?;
    let line = "\nFile-Name holiday plan.pdf\r\n";
    let is_plain = String::from_utf8_lossy(&relay.header).contains(line);
    listener.must(is_plain, &relay, "File-Name holiday plan.pdf, without the white space")
}

fn file_name_utf8(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let request = Request::share("pdf", "x").field("File-Name", "\u{e4}.pdf");
    unless_ascii(&mut case.join()?, &request)?;
    // Bytes are counted, not characters.
    let longest = "\u{fc}".repeat(100);
    for name in ["Pl\u{e4}ne \u{5f20}\u{4f1f}.pdf", &longest] {
        let ([_, listener], relay, _) = named(case, name)?;
        listener.field(&relay, "File-Name", name)?;
    }
    refuses(case, &[&"\u{fc}".repeat(101)])
}

/// Shares whose name is to be refused, in words that name the field; the session goes on.
fn refuses(case: &Case<'_>, names: &[&str]) -> Check {
    case.feature("file-name")?;
    let mut client = case.join()?;
    for name in names {
        let response = client.ask(&Request::share("pdf", "x").field("File-Name", *name))?;
        client.reason(&response, &["File-Name"])?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn file_name_200(case: &Case<'_>) -> Check {
    let longest = "x".repeat(200);
    let ([_, listener], relay, _) = named(case, &longest)?;
    listener.field(&relay, "File-Name", &longest)?;
    refuses(case, &[&"x".repeat(201)])
}

fn file_name_no_path(case: &Case<'_>) -> Check {
    refuses(case, &["a/b.pdf", "/etc/passwd", "a\\b.pdf", ".", ".."])
}

fn file_name_characters(case: &Case<'_>) -> Check {
    refuses(
        case,
        &[
            "a\x1b[2J",
            "a\x07b",
            "a\x7fb",
            "a\u{2028}b",
            "a\u{2029}b",
            "\u{202e}fdp.x",
            "a\u{200f}b",
        ],
    )
}

fn file_name_bytes(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let mut client = case.join()?;
    let share = b"Message-Type chat\nMessage-ID 1\nContent-Type pdf\nFile-Name a\xffb\nContent-Length 1\n\nx";
    let response = client.ask_raw(share)?;
    client.reason(&response, &["File-Name"])?;
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn file_name_twice(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let mut client = case.join()?;
    let share = Request::share("pdf", "x").field("File-Name", "a.pdf").field("File-Name", "b.pdf");
    let response = client.ask(&share)?;
    client.reason(&response, &["File-Name"])?;
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn file_name_empty(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let share =
        "Message-Type chat\nMessage-ID 1\nContent-Type pdf\nFile-Name \nContent-Length 1\n\nx";
    is_fatal(&mut case.join()?, share, &["File-Name"])
}

fn file_name_first(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let share =
        "File-Name a.pdf\nMessage-Type chat\nMessage-ID 1\nContent-Type pdf\nContent-Length 1\n\nx";
    is_fatal(&mut case.join()?, share, &["File-Name"])
}

fn file_name_elsewhere(case: &Case<'_>) -> Check {
    case.feature("file-name")?;
    let (mut speaker, mut listener) = speaker_and_listener(case)?;
    let text = case.text();
    speaker.ask_ok(&Request::chat(&text).field("File-Name", "../.."))?;
    let relay = listener.hear(&text)?;
    listener.lacks(&relay, "File-Name")?;
    speaker.ask_ok(&Request::query().field("File-Name", "../.."))?;
    Ok(())
}
