//! What the server writes, byte for byte, and what a client makes of it.

use super::*;
use crate::text::FileName;
use crate::wire::server_message::{encode_refusal, read_server_message};

const TIME: &str = "2026-11-26T09:41:00.123Z";

fn time() -> Timestamp {
    Timestamp::parse(TIME.as_bytes()).unwrap()
}

fn name(name: &str) -> FileName {
    FileName::parse(name.as_bytes(), Charset::Utf8).unwrap()
}

fn tom() -> Nickname {
    Nickname::parse(b"Tom", Charset::Utf8).unwrap()
}

fn written(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    encode(&mut out);
    String::from_utf8(out).unwrap()
}

fn read(header: &str) -> Result<Option<ServerMessage>, ReadError> {
    read_server_message(&mut header.as_bytes(), &mut Vec::new())
}

#[test]
fn server_messages_are_written_as_the_draft_shows_them() {
    let tom = Nickname::parse(b"Tom", Charset::Utf8).unwrap();
    let jpg = ContentType::parse(b"jpg").unwrap();
    let ContentType::File(jpg) = jpg else { panic!("{jpg:?}") };
    let encoded = |relay: Relay<'_>| {
        let mut out = Vec::new();
        relay.encode(&mut out);
        String::from_utf8(out).unwrap()
    };
    let text = Content::Text(b"How are you?");
    let file = Content::File { id: FileId(10), extension: &jpg, len: 3000 };
    assert_eq!(
        encoded(Relay { to: None, from: Uid(9527), nickname: Some(&tom), content: text }),
        "Message-Type chat\r\nFrom 9527\r\nSender-Nickname Tom\r\nContent-Type text\r\n\
         Content-Length 12\r\n\r\nHow are you?"
    );
    assert_eq!(
        encoded(Relay { to: Some(Uid(12)), from: Uid(7), nickname: None, content: file }),
        "Message-Type chat\r\nTo 12\r\nFrom 7\r\nFile-ID 10\r\nContent-Type jpg\r\n\
         Content-Length 3000\r\n\r\n"
    );
    let response = Response {
        file_id: Some(FileId(10)),
        ..Response::text(Status::Ok, inherited(MessageType::Chat, 25))
    };
    let mut out = Vec::new();
    response.encode(b"", &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "Status Ok\r\nMessage-Type chat\r\nMessage-ID 25\r\nFile-ID 10\r\nContent-Type text\r\n\
         Content-Length 0\r\n\r\n"
    );
    let mut out = Vec::new();
    encode_refusal(UNKNOWN, &HeaderError::TooManyLines, &mut out);
    assert!(out.starts_with(b"Status Error\r\nMessage-Type unknown\r\nMessage-ID 0\r\n"));
    assert!(out.ends_with(b"\n"));
}

#[test]
fn the_extended_form_has_its_fields_between_those_of_the_draft() {
    // A text to all, a file to all, a file to one: File-Name, Sequence, Time, behind File-ID.
    let ContentType::File(pdf) = ContentType::parse(b"pdf").unwrap() else { panic!() };
    let (tom, plan) = (tom(), name("holiday plan.pdf"));
    let text = Content::Text(b"How are you?");
    let file = Content::File { id: FileId(10), extension: &pdf, len: 3000 };
    let relay = |to, content| Relay { to, from: Uid(7), nickname: Some(&tom), content };
    let extra = |file_name, sequence| Extra { file_name, sequence, time: time() };
    let from_tom = "Message-Type chat\r\nFrom 7\r\nSender-Nickname Tom\r\n";
    assert_eq!(
        written(|out| relay(None, text).encode_extended(&extra(None, Some(4711)), out)),
        format!(
            "{from_tom}Sequence 4711\r\nTime {TIME}\r\nContent-Type text\r\n\
             Content-Length 12\r\n\r\nHow are you?"
        )
    );
    assert_eq!(
        written(|out| relay(None, file).encode_extended(&extra(Some(&plan), Some(1)), out)),
        format!(
            "{from_tom}File-ID 10\r\nFile-Name holiday plan.pdf\r\nSequence 1\r\n\
             Time {TIME}\r\nContent-Type pdf\r\nContent-Length 3000\r\n\r\n"
        )
    );
    assert_eq!(
        written(|out| relay(Some(Uid(12)), file).encode_extended(&extra(None, None), out)),
        format!(
            "Message-Type chat\r\nTo 12\r\nFrom 7\r\nSender-Nickname Tom\r\nFile-ID 10\r\n\
             Time {TIME}\r\nContent-Type pdf\r\nContent-Length 3000\r\n\r\n"
        )
    );
    let fetched = Response {
        file_name: Some(&plan),
        content_type: "pdf",
        ..Response::text(Status::Ok, inherited(MessageType::Fetch, 80))
    };
    assert_eq!(
        written(|out| fetched.encode_header(3000, out)),
        "Status Ok\r\nMessage-Type fetch\r\nMessage-ID 80\r\nFile-Name holiday plan.pdf\r\n\
         Content-Type pdf\r\nContent-Length 3000\r\n\r\n"
    );
}

#[test]
fn notices_tell_who_comes_and_goes_and_decode_to_themselves() {
    let (tom, time) = (tom(), time());
    let cases = [
        (News::Joined, "joined\n"),
        (News::Nickname("Thomas"), "nickname Thomas\n"),
        (News::Left("it said bye"), "left: it said bye\n"),
    ];
    for (news, body) in cases {
        let notice = Notice { from: Uid(7), nickname: &tom, time, news };
        let len = body.len();
        let encoded = written(|out| notice.encode(out));
        assert_eq!(
            encoded,
            format!(
                "Message-Type notice\r\nFrom 7\r\nSender-Nickname Tom\r\nTime {TIME}\r\n\
                 Content-Type text\r\nContent-Length {len}\r\n\r\n{body}"
            )
        );
        let nickname = Some("Tom".to_string());
        let (time, len) = (Some(time), len as u64);
        let expected = ServerMessage::Notice { from: Uid(7), nickname, time, len };
        assert_eq!(read(&encoded).unwrap(), Some(expected));
        assert_eq!(News::parse(body), Some(news));
    }
    assert_eq!(News::parse("joined\r\n"), Some(News::Joined));
    assert_eq!(News::parse("renamed the room\n"), None);
}

#[test]
fn what_a_client_does_not_know_is_skipped() {
    // Fields and types of servers that are newer, or other than this one.
    let relay = "Message-Type chat\nFrom 7\nColour red\nSequence many\nTime noon\nTime later\n\
                 Content-Length 2\n\n";
    let expected = ServerMessage::Relay {
        to: None,
        from: Uid(7),
        nickname: None,
        file_id: None,
        file_name: None,
        sequence: None,
        time: None,
        content_type: "text".to_string(),
        len: 2,
    };
    assert_eq!(read(relay).unwrap(), Some(expected));
    for (header, len) in [
        ("Message-Type poll\nFrom 7\nFile-ID 3\nContent-Length 9\n\n", 9),
        ("Message-Type poll\n\n", 0),
    ] {
        let message = read(header).unwrap().unwrap();
        assert_eq!((message.body_len(), message), (len, ServerMessage::Unknown { len }));
    }
}

#[test]
fn a_server_message_that_lacks_what_it_needs_is_malformed() {
    let missing = |field| HeaderError::BadServerMessage(MessageError::Missing { field });
    let cases = [
        ("Message-Type chat\nContent-Length 2\n\n", missing(Field::From)),
        ("Message-Type chat\nFrom 7\n\n", missing(Field::ContentLength)),
        ("Message-Type notice\nFrom 7\n\n", missing(Field::ContentLength)),
        ("Message-Type notice\nContent-Length 2\n\n", missing(Field::From)),
        ("Message-Type query\nContent-Length 2\n\n", missing(Field::Status)),
        ("Status Ok\nMessage-Type chat\n\n", missing(Field::MessageId)),
        (
            "Status Ok\nMessage-ID 1\nMessage-ID 1\n\n",
            HeaderError::BadServerMessage(MessageError::Repeated { field: Field::MessageId }),
        ),
    ];
    for (header, expected) in cases {
        match read(header) {
            Err(ReadError::Refused(error)) => assert_eq!(error, expected, "{header:?}"),
            other => panic!("{header:?}: {other:?}"),
        }
    }
}

#[test]
fn the_answer_to_history_decodes_to_its_relays() {
    let tom = tom();
    let mut body = Vec::new();
    for (sequence, text) in [(1, "one"), (2, "two\n")] {
        let content = Content::Text(text.as_bytes());
        let relay = Relay { to: None, from: Uid(7), nickname: Some(&tom), content };
        let extra = Extra { file_name: None, sequence: Some(sequence), time: time() };
        relay.encode_extended(&extra, &mut body);
    }
    let messages = query::parse_history_answer(&body, 9).unwrap();
    let texts: Vec<&[u8]> = messages.iter().map(|(_, text)| *text).collect();
    assert_eq!(texts, [&b"one"[..], b"two\n"]);
    assert!(query::parse_history_answer(b"", 9).unwrap().is_empty());
    let cut = query::parse_history_answer(&body[..body.len() - 1], 9);
    assert!(matches!(cut, Err(ReadError::Ended)), "{cut:?}");
}
