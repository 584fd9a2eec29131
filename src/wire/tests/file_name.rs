//! The field `File-Name` of a chat, for a server that offers it and for one that does not.

use super::*;
use crate::text::{FileName, FileNameError};

/// A header of a chat with these lines in it.
fn chat_with(lines: &[u8]) -> Vec<u8> {
    let begun = &b"Message-Type chat\nMessage-ID 5\nContent-Length 3\n"[..];
    [begun, lines, b"\n"].concat()
}

fn shared(name: Option<&str>) -> Read1 {
    let file_name = name.map(|name| FileName::parse(name.as_bytes(), Charset::Utf8).unwrap());
    let content_type = ContentType::parse(b"pdf").unwrap();
    let chat = Chat { to: None, content_type, file_name };
    message(Request::Chat(chat), MessageType::Chat, 5, 3)
}

fn refused(error: MessageError) -> Read1 {
    Read1::Refused(error, inherited(MessageType::Chat, 5), 3)
}

#[test]
fn a_file_may_have_a_name() {
    let file = |line: &[u8]| chat_with(&[b"Content-Type pdf\n", line, b"\n"].concat());
    let good: [(&[u8], &str); 6] = [
        (b"File-Name holiday plan.pdf", "holiday plan.pdf"),
        (b"FILE-NAME \t  Makefile \t ", "Makefile"),
        (b"file-name x\r", "x"),
        ("File-Name caf\u{e9} \u{1f600}.pdf".as_bytes(), "caf\u{e9} \u{1f600}.pdf"),
        ("File-Name \u{a0}x\u{3000}".as_bytes(), "x"),
        (b"File-Name ...", "..."),
    ];
    for (line, name) in good {
        check_with(EXTENDED, &file(line), &shared(Some(name)));
    }
    check_with(EXTENDED, &chat_with(b"Content-Type pdf\n"), &shared(None));
    let longest = "x".repeat(200);
    check_with(EXTENDED, &file(format!("File-Name {longest}").as_bytes()), &shared(Some(&longest)));
}

#[test]
fn a_name_that_is_none_is_refused_and_the_session_goes_on() {
    // Control characters and what is not UTF-8 in it too; and twice in one header.
    let character = |character| FileNameError::Character { character };
    let cases: [(&[u8], FileNameError); 12] = [
        (b"../x", character('/')),
        (b"a\\b", character('\\')),
        (b"a\x07b", character('\x07')),
        (b"a\0b", character('\0')),
        (b"a\tb", character('\t')),
        (b"a\rb", character('\r')),
        (b"\x1b[2J", character('\x1b')),
        ("a\u{2028}b".as_bytes(), character('\u{2028}')),
        ("a\u{202e}fdp".as_bytes(), character('\u{202e}')),
        (b"a\xffb", FileNameError::NotUtf8),
        (b"..", FileNameError::Dots),
        (&[b'x'; 201], FileNameError::TooLong { len: 201 }),
    ];
    for (value, error) in cases {
        let lines = [b"File-Name ", value, b"\nContent-Type pdf\n"].concat();
        check_with(EXTENDED, &chat_with(&lines), &refused(MessageError::FileName(error)));
    }
    let twice = b"File-Name a\nContent-Type pdf\nFile-Name b\x07\n";
    let repeated = MessageError::Repeated { field: Field::FileName };
    check_with(EXTENDED, &chat_with(twice), &refused(repeated));
    let ascii = Accepts { charset: Charset::Ascii, ..EXTENDED };
    let lines = "Content-Type pdf\nFile-Name caf\u{e9}\n".as_bytes();
    let error = MessageError::FileName(FileNameError::NotAscii);
    check_with(ascii, &chat_with(lines), &refused(error));
}

#[test]
fn a_name_matters_where_a_file_is_shared_alone() {
    for value in [&b"../x"[..], b"a\x07b", b"\xff", b".."] {
        let line = [b"File-Name ", value, b"\n"].concat();
        check_with(EXTENDED, &chat_with(&line), &chat(None, "text", 5, 3));
        let query = [b"Message-Type query\nMessage-ID 5\n", &line[..], b"\n"].concat();
        check_with(EXTENDED, &query, &message(Request::Query, MessageType::Query, 5, 0));
    }
}

#[test]
fn no_name_behind_file_name_is_fatal_and_no_message_begins_with_it() {
    let no_value = HeaderError::NoValue { name: Excerpt::of(b"File-Name") };
    let of_chat = inherited(MessageType::Chat, 5);
    for line in [&b"File-Name\n"[..], b"File-Name \t \r\n"] {
        check(&chat_with(line), &Read1::Fatal(no_value.clone(), of_chat));
    }
    let first = b"File-Name x\nMessage-Type chat\nMessage-ID 5\nContent-Length 3\n\n";
    let line = Excerpt::of(b"File-Name x");
    check(first, &Read1::Fatal(HeaderError::UnknownFirstField { line }, UNKNOWN));
    for field in ["Sequence 1", "Time 2026-11-26T09:41:00.123Z"] {
        let line = Excerpt::of(field.as_bytes());
        let first = format!("{field}\nMessage-Type bye\n\n");
        check(first.as_bytes(), &Read1::Fatal(HeaderError::UnknownFirstField { line }, UNKNOWN));
    }
    check(b"File-Name a\x07", &Read1::Fatal(HeaderError::Control { byte: 7 }, UNKNOWN));
}

#[test]
fn a_server_that_does_not_offer_names_takes_the_field_for_an_unknown_one() {
    // P1, unknown fields: ignored, however often; ASCII without control characters all the same.
    let lines = b"Content-Type pdf\nFile-Name ../x\nFile-Name y\n";
    check_with(DRAFT, &chat_with(lines), &shared(None));
    let of_chat = inherited(MessageType::Chat, 5);
    let control = Read1::Fatal(HeaderError::Control { byte: 7 }, of_chat);
    check_with(DRAFT, &chat_with(b"File-Name a\x07\n"), &control);
    let name = Excerpt::of(b"File-Name");
    let not_ascii = Read1::Fatal(HeaderError::NotAscii { name }, of_chat);
    check_with(DRAFT, &chat_with("File-Name \u{e9}\n".as_bytes()), &not_ascii);
    let name = Excerpt::of(b"File-Name:");
    let colon = Read1::Fatal(HeaderError::BadFieldName { name }, of_chat);
    check_with(DRAFT, &chat_with(b"File-Name: x\n"), &colon);
    let mistaken = HeaderError::Colon {
        line: Excerpt::of(b"File-Name: x"),
        field: Field::FileName,
        value: Excerpt::of(b"x"),
    };
    check_with(EXTENDED, &chat_with(b"File-Name: x\n"), &Read1::Fatal(mistaken, of_chat));
}

#[test]
fn fields_of_the_server_beyond_the_draft_are_unknown_in_a_client_message() {
    let lines = b"Sequence x\nSequence y\nTime noon\n";
    check(&chat_with(lines), &chat(None, "text", 5, 3));
}
