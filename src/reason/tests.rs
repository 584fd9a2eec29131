//! All the words, held as they are: a change of wording is a change of this table.

use std::fmt::Display;

use super::*;
use crate::text::{Excerpt, FileNameError};
use crate::wire::error::BodyKind;
use crate::wire::field::{Extensions, Field, MessageType};

fn quote(input: &str) -> Excerpt {
    Excerpt::of(input.as_bytes())
}

/// Checks each value's words; a reason is one line of printable ASCII without a full stop (R4).
#[track_caller]
fn check<E: Display>(cases: &[(E, &str)]) {
    for (value, expected) in cases {
        let words = value.to_string();
        assert_eq!(words, *expected);
        assert!(words.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{words:?}");
        assert!(words.ends_with(" .. ") || words.ends_with("..") || !words.ends_with('.'));
        assert!(words.len() <= 400, "{words:?}");
    }
}

#[test]
fn each_error_of_a_header_has_its_words() {
    // P2: what was got, what was expected, what to do.
    use HeaderError as E;
    check(&[
        (E::LineTooLong, "a header line is over the limit of 1024 bytes"),
        (E::TooManyLines, "the header is over the limit of 32 lines; an empty line ends it"),
        (
            E::Colon {
                line: quote("Message-Type: chat"),
                field: Field::MessageType,
                value: quote("chat"),
            },
            "\"Message-Type: chat\": no colon in this protocol, write \"Message-Type chat\"",
        ),
        (
            E::UnknownFirstField { line: quote("u?") },
            "\"u?\" does not begin a message: expected header lines such as Message-Type chat, \
             Message-ID 1 and Content-Length 5, then an empty line, then the 5 bytes hello; if \
             these are stray bytes after a body, the last Content-Length was too small",
        ),
        (
            E::BadFieldName { name: quote("a_b") },
            "\"a_b\" is not a field name: expected letters, digits and - (an empty line goes \
             between header and body)",
        ),
        (
            E::NoValue { name: quote("To") },
            "To has no value: write the name, a space and the value",
        ),
        (
            E::Control { byte: 7 },
            "control character 0x07 in the header: only printable ASCII is allowed",
        ),
        (
            E::Control { byte: 0x16 },
            "control character 0x16 in the header: only printable ASCII is allowed \
             (TLS begins like that, and is not spoken here: use http://, not https://)",
        ),
        (
            E::NotAscii { name: quote("X") },
            "the value of X is not ASCII: only ASCII is allowed in a header",
        ),
        (
            E::RepeatedLength,
            "Content-Length is repeated: without it the end of the body is not known, so give it \
             once",
        ),
        (
            E::BadLength { value: quote("-2") },
            "Content-Length \"-2\" is not a number of bytes: expected decimal digits, at most \
             18446744073709551615",
        ),
        (
            E::NoLength { message_type: MessageType::Chat },
            "chat needs Content-Length: without it the end of the body is not known",
        ),
        (
            E::UnknownTypeNoLength { value: quote("shout") },
            "Message-Type \"shout\" is unknown: expected chat, query, fetch, nickname or bye; and \
             Content-Length is missing: without it the end of the body is not known",
        ),
        (
            E::NoTypeNoLength,
            "Message-Type is missing: expected chat, query, fetch, nickname or bye; and \
             Content-Length is missing: without it the end of the body is not known",
        ),
        (
            E::BadServerMessage(MessageError::Missing { field: Field::From }),
            "From is missing: it is mandatory",
        ),
    ]);
}

#[test]
fn each_error_of_a_message_has_its_words() {
    // P2, P4.
    use MessageError as E;
    check(&[
        (
            E::Missing { field: Field::MessageType },
            "Message-Type is missing: expected chat, query, fetch, nickname or bye",
        ),
        (E::Missing { field: Field::MessageId }, "Message-ID is missing: it is mandatory"),
        (E::Repeated { field: Field::To }, "To is repeated: give it once"),
        (
            E::UnknownType { value: quote("shout") },
            "Message-Type \"shout\" is unknown: expected chat, query, fetch, nickname or bye",
        ),
        (
            E::BadNumber { field: Field::To, value: quote("Tom") },
            "To \"Tom\" is not a number: expected decimal digits, at most 18446744073709551615",
        ),
        (
            E::BadContentType { value: quote("a/b") },
            "Content-Type \"a/b\" is neither text nor a filename extension: expected letters, \
             digits, _ + - and single dots within, at most 32 bytes",
        ),
        (
            E::BodyTooLong { declared: 70_000, limit: 65_536, kind: BodyKind::Text },
            "Content-Length 70000 is over the limit of 65536 bytes for a text",
        ),
        (
            E::BodyTooLong { declared: 70_000, limit: 60_000, kind: BodyKind::File },
            "Content-Length 70000 is over the limit of 60000 bytes for a file",
        ),
        (
            E::BodyTooLong {
                declared: 1025,
                limit: 1024,
                kind: BodyKind::Short(MessageType::Query),
            },
            "Content-Length 1025 is over the limit of 1024 bytes for a query body",
        ),
        (
            E::UnknownQuery { body: quote("who"), extensions: Extensions::Off },
            "query \"who\" is unknown: expected no body (UIDs), self, names or files",
        ),
        (
            E::UnknownQuery { body: quote("who"), extensions: Extensions::On },
            "query \"who\" is unknown: expected no body (UIDs), self, names, files, features, \
             extended, history N or history N after K",
        ),
        (
            E::BadHistory { body: quote("history x") },
            "query \"history x\" does not say which part of the history: expected history N or \
             history N after K, decimal digits for both, N at least 1",
        ),
        (
            E::BadFileId { value: quote("x") },
            "\"x\" is not a File-ID: expected decimal digits in the body of a fetch",
        ),
    ]);
}

#[test]
fn each_error_of_a_nickname_has_its_words() {
    // P4, nickname.
    use NicknameError as E;
    check(&[
        (
            E::Empty,
            "the nickname shows nothing: expected 1 to 64 bytes of text, at least one visible character",
        ),
        (E::TooLong { len: 65 }, "a nickname of 65 bytes is over the limit of 64 bytes"),
        (E::NotUtf8, "the nickname is not UTF-8 text"),
        (
            E::CutsCharacter { len: 2, rest: None },
            "Content-Length 2 ends inside a character: it counts bytes, not characters",
        ),
        (
            E::CutsCharacter { len: 2, rest: Some(1) },
            "Content-Length 2 ends inside a character: it counts bytes, not characters; the rest \
             of the line has 1 byte",
        ),
        (E::NotAscii, "the nickname is not ASCII, and this server takes ASCII alone"),
        (
            E::Character { character: '\u{202e}' },
            "U+202E may not stand in a nickname: one line, no control characters, nothing that \
             turns the direction of text",
        ),
        (
            E::Invisible { character: '\u{200b}' },
            "U+200B shows nothing where it stands in the nickname: joiners may stand between \
             letters that they change and inside an emoji, variation selectors behind an emoji or \
             an ideograph, and nothing else that is invisible",
        ),
    ]);
}

#[test]
fn each_error_of_a_file_name_has_its_words() {
    // P2: what was got, what was expected.
    use FileNameError as E;
    check(&[
        (E::Empty, "File-Name is empty: expected 1 to 200 bytes of text"),
        (E::TooLong { len: 201 }, "File-Name of 201 bytes is over the limit of 200 bytes"),
        (E::NotUtf8, "File-Name is not UTF-8 text"),
        (E::NotAscii, "File-Name is not ASCII, and this server takes ASCII alone"),
        (E::Dots, "File-Name names a directory: expected the name of a file, not . or .."),
        (
            E::Character { character: '/' },
            "File-Name holds /: expected the name alone, without its directories",
        ),
        (
            E::Character { character: '\u{7}' },
            "U+0007 may not stand in File-Name: one line, no control characters, nothing that \
             turns the direction of text",
        ),
    ]);
}

#[test]
fn each_error_of_a_text_has_its_words() {
    // P4, chat.
    use TextError as E;
    check(&[
        (E::NotUtf8 { at: 2 }, "the text is not UTF-8 at byte 2; share a file to send other bytes"),
        (
            E::CutsCharacter { at: 1, len: 2, rest: None },
            "Content-Length 2 ends inside a character, at byte 1 of the text: it counts bytes, not \
             characters",
        ),
        (
            E::CutsCharacter { at: 1, len: 2, rest: Some(4) },
            "Content-Length 2 ends inside a character, at byte 1 of the text: it counts bytes, not \
             characters; the rest of the line has 4 bytes",
        ),
        (
            E::CutsLineEnding { len: 6 },
            "Content-Length 6 ends inside a line ending, between carriage return and linefeed: it \
             counts both, so give 7 with the linefeed or 5 without the two",
        ),
        (
            E::NotAscii { at: 2 },
            "the text is not ASCII at byte 2, and this server takes ASCII alone",
        ),
        (
            E::Character { at: 1, character: '\r' },
            "a carriage return without a linefeed after it at byte 1 of the text",
        ),
        (
            E::Character { at: 0, character: '\u{1b}' },
            "control character U+001B at byte 0 of the text: only tab and line endings are allowed",
        ),
    ]);
}

#[test]
fn each_error_of_the_room_and_of_the_stage_has_its_words() {
    // §2.3.2.1, §2.3.4; P4.
    use RoomError as R;
    use StageError as S;
    check(&[
        (
            Refusal::from(R::NeverConnected { uid: Uid(12) }),
            "no client 12 has connected; query lists the active UIDs",
        ),
        (
            R::HasLeft { uid: Uid(12), cause: Some(Cause::SaidBye) }.into(),
            "client 12 has left: it said bye",
        ),
        (R::HasLeft { uid: Uid(12), cause: None }.into(), "client 12 has left"),
        (
            R::ReachedNobody { uid: Uid(12), cause: Cause::Reset }.into(),
            "the message reached nobody: client 12 has left: the connection was reset",
        ),
        (R::HistoryOff.into(), "this server keeps no history (--history 0)"),
        (R::Muted.into(), "the operator has muted you"),
        (R::Hushed.into(), "the operator has the floor"),
        (
            S::NoSuchFile { id: FileId(3) }.into(),
            "no file 3 is staged for you; query with the body files lists yours",
        ),
        (
            S::LargerThanStage { declared: 20, limit: 10 }.into(),
            "Content-Length 20 is over the limit of 10 bytes for all staged files",
        ),
        (
            S::Busy.into(),
            "too much is being shared at the moment for the stage's limit; try again later",
        ),
        (
            S::ShareTooSlow.into(),
            "the file came too slowly, and made room for others that were shared at the same time; \
             share it again",
        ),
        (
            S::TooManyOpen.into(),
            "too many files are being shared and fetched at the moment; try again later",
        ),
        (S::StoreFailed.into(), "the server could not store the file; nothing was relayed"),
        (S::FetchFailed.into(), "the server could not read the file; try again later"),
        (MessageError::Repeated { field: Field::To }.into(), "To is repeated: give it once"),
        (NicknameError::NotUtf8.into(), "the nickname is not UTF-8 text"),
    ]);
}

#[test]
fn each_fatal_reason_has_its_words() {
    // P2.
    use Fatal as F;
    check(&[
        (
            F::Header(HeaderError::LineTooLong),
            "a header line is over the limit of 1024 bytes; the connection is closed",
        ),
        (
            F::EndedInHeader,
            "the connection ended inside a header: an empty line ends a header; nothing was relayed; the \
             connection is closed",
        ),
        (
            F::EndedInBody { missing: 7, declared: 20 },
            "the connection ended 7 bytes short of Content-Length 20; nothing was relayed; the \
             connection is closed",
        ),
        (
            F::Silent { waited: Duration::from_secs(120) },
            "nothing came for 120 seconds inside a message; nothing was relayed; the \
             connection is closed",
        ),
        (
            F::Stopping,
            "the server is stopping; the message was not whole and was not relayed; the \
             connection is closed",
        ),
        (
            F::Admission(AdmissionError::RoomFull { limit: 1000 }),
            "the room is full: 1000 clients are connected; try again later; the \
             connection is closed",
        ),
        (
            F::Admission(AdmissionError::HostFull { limit: 40 }),
            "40 clients are connected from your address, which is the limit; try again later; the \
             connection is closed",
        ),
        (
            F::Admission(AdmissionError::NoResources),
            "the server has no room for another client at the moment; try again later; the \
             connection is closed",
        ),
    ]);
}

#[test]
fn each_cause_has_the_words_of_the_protocol() {
    // P4, chat: "how it left".
    check(&[
        (Cause::SaidBye, "it said bye"),
        (Cause::Closed, "it closed the connection"),
        (Cause::Reset, "the connection was reset"),
        (Cause::Vanished, "the connection timed out"),
        (Cause::StoppedReading, "it stopped reading"),
        (Cause::ReadTooSlowly, "it read too slowly"),
        (Cause::Malformed, "it sent something that is not a message"),
        (Cause::Silent, "it fell silent inside a message"),
        (Cause::Removed, "the operator removed it"),
        (Cause::ServerFailed, "the server failed to serve it"),
        (Cause::ServerStopped, "the server stopped"),
    ]);
}

/// Does not compile once an enum has another variant: then the tables above want another row.
#[expect(dead_code, reason = "it is there to be compiled")]
fn every_variant_has_a_row(reason: &Fatal, refusal: &Refusal, cause: Cause) {
    match reason {
        Fatal::Header(error) => match error {
            HeaderError::LineTooLong
            | HeaderError::TooManyLines
            | HeaderError::Colon { .. }
            | HeaderError::UnknownFirstField { .. }
            | HeaderError::BadFieldName { .. }
            | HeaderError::NoValue { .. }
            | HeaderError::Control { .. }
            | HeaderError::NotAscii { .. }
            | HeaderError::RepeatedLength
            | HeaderError::BadLength { .. }
            | HeaderError::NoLength { .. }
            | HeaderError::UnknownTypeNoLength { .. }
            | HeaderError::NoTypeNoLength
            | HeaderError::BadServerMessage(_) => {}
        },
        Fatal::EndedInHeader
        | Fatal::EndedInBody { .. }
        | Fatal::Silent { .. }
        | Fatal::Stopping
        | Fatal::Admission(
            AdmissionError::RoomFull { .. }
            | AdmissionError::HostFull { .. }
            | AdmissionError::NoResources,
        ) => {}
    }
    match refusal {
        Refusal::Message(error) => match error {
            MessageError::Missing { .. }
            | MessageError::Repeated { .. }
            | MessageError::UnknownType { .. }
            | MessageError::BadNumber { .. }
            | MessageError::BadContentType { .. }
            | MessageError::BodyTooLong { .. }
            | MessageError::UnknownQuery { .. }
            | MessageError::BadHistory { .. }
            | MessageError::BadFileId { .. } => {}
            MessageError::Nickname(
                NicknameError::Empty
                | NicknameError::TooLong { .. }
                | NicknameError::NotUtf8
                | NicknameError::CutsCharacter { .. }
                | NicknameError::NotAscii
                | NicknameError::Character { .. }
                | NicknameError::Invisible { .. },
            ) => {}
            MessageError::FileName(
                FileNameError::Empty
                | FileNameError::TooLong { .. }
                | FileNameError::NotUtf8
                | FileNameError::NotAscii
                | FileNameError::Dots
                | FileNameError::Character { .. },
            ) => {}
            MessageError::Text(
                TextError::NotUtf8 { .. }
                | TextError::CutsCharacter { .. }
                | TextError::CutsLineEnding { .. }
                | TextError::NotAscii { .. }
                | TextError::Character { .. },
            ) => {}
        },
        Refusal::Room(
            RoomError::NeverConnected { .. }
            | RoomError::HasLeft { .. }
            | RoomError::ReachedNobody { .. }
            | RoomError::HistoryOff
            | RoomError::Muted
            | RoomError::Hushed,
        )
        | Refusal::Stage(
            StageError::NoSuchFile { .. }
            | StageError::LargerThanStage { .. }
            | StageError::Busy
            | StageError::ShareTooSlow
            | StageError::TooManyOpen
            | StageError::StoreFailed
            | StageError::FetchFailed,
        ) => {}
    }
    match cause {
        Cause::SaidBye
        | Cause::Closed
        | Cause::Reset
        | Cause::Vanished
        | Cause::StoppedReading
        | Cause::ReadTooSlowly
        | Cause::Malformed
        | Cause::Silent
        | Cause::Removed
        | Cause::ServerFailed
        | Cause::ServerStopped => {}
    }
}
