//! The grammar in tables, each case read whole and again in pieces; what the server writes; and in
//! `properties`: what is encoded decodes to itself, and no input makes a reader panic or hold more
//! than its limits.

use std::io::{self, BufRead, BufReader, Read};

use super::client_message::{encode_client_message, parse_file_id, read_client_message};
use super::field::{LINE_LIMIT, LINES_LIMIT};
use super::*;
use crate::ids::{FileId, MessageId, Uid};
use crate::text::{Charset, Excerpt, Nickname};

mod file_name;
mod properties;
mod server_message;

/// Hands out its bytes in pieces of the given sizes, one after the other and again.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.next % self.sizes.len()].min(buffer.len());
        self.next += 1;
        let (piece, rest) = self.bytes.split_at(size.min(self.bytes.len()));
        buffer[..piece.len()].copy_from_slice(piece);
        self.bytes = rest;
        Ok(piece.len())
    }
}

fn in_pieces(bytes: &[u8], sizes: Vec<usize>) -> impl BufRead + '_ {
    BufReader::with_capacity(64, Pieces { bytes, sizes, next: 0 })
}

/// What became of one header.
#[derive(Debug, PartialEq)]
enum Read1 {
    Message(ClientMessage),
    Refused(MessageError, Inherited, u64),
    Fatal(HeaderError, Inherited),
    Ended(Inherited),
    Nothing,
}

fn read_one(input: &mut impl BufRead, accepts: Accepts) -> Read1 {
    let mut line = Vec::new();
    let read = read_client_message(input, &mut line, accepts);
    assert!(line.capacity() <= 4 * LINE_LIMIT, "the line buffer holds {}", line.capacity());
    match read {
        Ok(Some(Parsed::Message(message))) => Read1::Message(message),
        Ok(Some(Parsed::Refused { error, inherited, body_len })) => {
            Read1::Refused(error, inherited, body_len)
        }
        Ok(None) => Read1::Nothing,
        Err(Fault { error: ReadError::Refused(error), inherited }) => {
            Read1::Fatal(error, inherited)
        }
        Err(Fault { error: ReadError::Ended, inherited }) => Read1::Ended(inherited),
        Err(fault) => panic!("{fault:?}"),
    }
}

const DRAFT: Accepts = Accepts { extensions: Extensions::Off, charset: Charset::Utf8 };
const EXTENDED: Accepts = Accepts { extensions: Extensions::On, charset: Charset::Utf8 };

/// Reads `input` as any server does: see [`check_with`].
fn check(input: &[u8], expected: &Read1) {
    check_with(DRAFT, input, expected);
    check_with(EXTENDED, input, expected);
}

/// Reads `input` whole, byte by byte and in odd pieces; each time `expected` must come out.
fn check_with(accepts: Accepts, input: &[u8], expected: &Read1) {
    for sizes in [vec![usize::MAX], vec![1], vec![3, 1, 7]] {
        let got = read_one(&mut in_pieces(input, sizes.clone()), accepts);
        assert_eq!(&got, expected, "in pieces of {sizes:?}: {}", input.escape_ascii());
    }
}

fn inherited(message_type: MessageType, id: u64) -> Inherited {
    Inherited { message_type: Some(message_type), id: MessageId(id) }
}

const UNKNOWN: Inherited = Inherited { message_type: None, id: MessageId(0) };

fn message(request: Request, message_type: MessageType, id: u64, body_len: u64) -> Read1 {
    let inherited = inherited(message_type, id);
    Read1::Message(ClientMessage { request, inherited, body_len })
}

fn chat(to: Option<u64>, content_type: &str, id: u64, body_len: u64) -> Read1 {
    let content_type = ContentType::parse(content_type.as_bytes()).unwrap();
    let chat = Chat { to: to.map(Uid), content_type, file_name: None };
    message(Request::Chat(chat), MessageType::Chat, id, body_len)
}

#[test]
fn well_formed_headers_are_read_however_they_are_written() {
    let how_are_you = chat(None, "text", 22, 12);
    let draft =
        b"Message-Type chat \r\nMessage-ID 22 \r\nContent-Type text \r\nContent-Length 12 \r\n\r\n";
    check(draft, &how_are_you);
    check(b"Message-Type chat\nMessage-ID 22\nContent-Length 12\n\n", &how_are_you);
    check(
        b"\n\r\n \t\nmessage-type\tCHAT\t \nMESSAGE-ID \t 0022\nContent-length 012\n \r\n",
        &how_are_you,
    );
    check(
        b"Content-Length 12\nContent-Type TEXT\nMessage-ID 22\nMessage-Type chat\n\n",
        &how_are_you,
    );
    check(
        b"Message-ID 22\nColour blue and green\nX 1\nX 2\nMessage-Type chat\nContent-Length 12\n\n",
        &how_are_you,
    );
    check(
        b"Status Ok\nFrom x\nMessage-Type chat\nMessage-ID 22\nFile-ID -\nContent-Length 12\n\n",
        &how_are_you,
    );
    check(
        "Sender-Nickname Zo\u{eb}\nMessage-Type chat\nMessage-ID 22\nContent-Length 12\n\n"
            .as_bytes(),
        &how_are_you,
    );
    check(
        b"Message-Type chat\nMessage-ID 1\nTo 12\nContent-Type tar.gz\nContent-Length 3000\n\n",
        &chat(Some(12), "tar.gz", 1, 3000),
    );
    check(
        b"Message-Type query\nMessage-ID 18446744073709551615\n\n",
        &message(Request::Query, MessageType::Query, u64::MAX, 0),
    );
    check(
        b"Message-Type query\nMessage-ID 1\nTo nobody\nContent-Type ../x\nContent-Length 4\n\n",
        &message(Request::Query, MessageType::Query, 1, 4),
    );
    check(
        b"Message-Type fetch\nMessage-ID 80\nContent-Length 2\n\n",
        &message(Request::Fetch, MessageType::Fetch, 80, 2),
    );
    check(
        b"Message-Type nickname\nMessage-ID 1\nContent-Length 3\n\n",
        &message(Request::Nickname, MessageType::Nickname, 1, 3),
    );
    check(b"", &Read1::Nothing);
    check(b"\n\r\n\n   ", &Read1::Nothing);
}

#[test]
fn bye_is_honoured_whatever_else_is_wrong_with_it() {
    let bye = |id, body_len| {
        let inherited = inherited(MessageType::Bye, id);
        Read1::Message(ClientMessage { request: Request::Bye, inherited, body_len })
    };
    check(b"Message-Type bye\nMessage-ID 1000\n\n", &bye(1000, 0));
    check(b"Message-Type bye\n\n", &bye(0, 0));
    check(
        b"Message-Type bye\nMessage-ID x\nTo y\nTo z\nMessage-Type chat\nContent-Length 9\n\n",
        &bye(0, 9),
    );
    check(
        b"Message-Type bye\nMessage-ID 1\nContent-Length x\n\n",
        &Read1::Fatal(
            HeaderError::BadLength { value: Excerpt::of(b"x") },
            inherited(MessageType::Bye, 1),
        ),
    );
    check(b"Message-Type bye\nMessage-ID 1\n", &Read1::Ended(inherited(MessageType::Bye, 1)));
}

#[test]
fn what_is_wrong_with_a_well_formed_header_is_recoverable() {
    let of_chat = inherited(MessageType::Chat, 5);
    let cases: [(&str, MessageError, Inherited, u64); 13] = [
        (
            "Message-Type shout\nMessage-ID 5\nContent-Length 3\n\n",
            MessageError::UnknownType { value: Excerpt::of(b"shout") },
            Inherited { message_type: None, id: MessageId(5) },
            3,
        ),
        (
            "Message-ID 5\nContent-Length 3\n\n",
            MessageError::Missing { field: Field::MessageType },
            Inherited { message_type: None, id: MessageId(5) },
            3,
        ),
        (
            "Message-Type chat\nContent-Length 3\n\n",
            MessageError::Missing { field: Field::MessageId },
            inherited(MessageType::Chat, 0),
            3,
        ),
        (
            "Message-Type query\n\n",
            MessageError::Missing { field: Field::MessageId },
            inherited(MessageType::Query, 0),
            0,
        ),
        (
            "Message-Type chat\nMessage-ID -5\nContent-Length 3\n\n",
            MessageError::BadNumber { field: Field::MessageId, value: Excerpt::of(b"-5") },
            inherited(MessageType::Chat, 0),
            3,
        ),
        (
            "Message-Type chat\nMessage-ID 18446744073709551616\nContent-Length 3\n\n",
            MessageError::BadNumber {
                field: Field::MessageId,
                value: Excerpt::of(b"18446744073709551616"),
            },
            inherited(MessageType::Chat, 0),
            3,
        ),
        (
            "Message-Type chat\nMessage-ID 5\nTo Tom\nContent-Length 3\n\n",
            MessageError::BadNumber { field: Field::To, value: Excerpt::of(b"Tom") },
            of_chat,
            3,
        ),
        (
            "Message-Type chat\nMessage-ID 5\nTo 1 2\nContent-Length 3\n\n",
            MessageError::BadNumber { field: Field::To, value: Excerpt::of(b"1 2") },
            of_chat,
            3,
        ),
        (
            "Message-Type chat\nMessage-ID 5\nContent-Type a/b\nContent-Length 3\n\n",
            MessageError::BadContentType { value: Excerpt::of(b"a/b") },
            of_chat,
            3,
        ),
        (
            "Message-Type chat\nMessage-ID 5\nMessage-ID 6\nContent-Length 3\n\n",
            MessageError::Repeated { field: Field::MessageId },
            of_chat,
            3,
        ),
        (
            "Message-Type chat\nMessage-Type query\nMessage-ID 5\nContent-Length 3\n\n",
            MessageError::Repeated { field: Field::MessageType },
            of_chat,
            3,
        ),
        (
            "Message-Type query\nMessage-ID 5\nFrom 1\nfrom 1\n\n",
            MessageError::Repeated { field: Field::From },
            inherited(MessageType::Query, 5),
            0,
        ),
        (
            "Message-Type chat\nMessage-ID 5\nTo 1\nTo x\nContent-Length 18446744073709551615\n\n",
            MessageError::Repeated { field: Field::To },
            of_chat,
            u64::MAX,
        ),
    ];
    for (input, reason, inherited, body_len) in cases {
        check(input.as_bytes(), &Read1::Refused(reason, inherited, body_len));
    }
}

#[test]
fn a_header_that_leaves_the_end_unknown_is_fatal() {
    let of_chat = inherited(MessageType::Chat, 5);
    let begun = "Message-Type chat\nMessage-ID 5\n";
    let no_length = |message_type| HeaderError::NoLength { message_type };
    let first = |line: &[u8]| HeaderError::UnknownFirstField { line: Excerpt::of(line) };
    let cases: [(&[u8], HeaderError, Inherited); 14] = [
        (b"\n", no_length(MessageType::Chat), of_chat),
        (b"Content-Length x\n\n", HeaderError::BadLength { value: Excerpt::of(b"x") }, of_chat),
        (
            b"Content-Length 18446744073709551616\n\n",
            HeaderError::BadLength { value: Excerpt::of(b"18446744073709551616") },
            of_chat,
        ),
        (b"Content-Length 1\nContent-Length 1\n\n", HeaderError::RepeatedLength, of_chat),
        (
            b"Content-Length\n",
            HeaderError::NoValue { name: Excerpt::of(b"Content-Length") },
            of_chat,
        ),
        (b"Colour \t \n", HeaderError::NoValue { name: Excerpt::of(b"Colour") }, of_chat),
        (b"Host: example\n", HeaderError::BadFieldName { name: Excerpt::of(b"Host:") }, of_chat),
        (b"a_b c\n", HeaderError::BadFieldName { name: Excerpt::of(b"a_b") }, of_chat),
        (b" To 1\n", HeaderError::BadFieldName { name: Excerpt::of(b"") }, of_chat),
        (b"X a\x07b\n", HeaderError::Control { byte: 7 }, of_chat),
        (b"X a\rb\n", HeaderError::Control { byte: b'\r' }, of_chat),
        (b"X a\x7fb\n", HeaderError::Control { byte: 0x7f }, of_chat),
        (b"X \xc3\xa9\n", HeaderError::NotAscii { name: Excerpt::of(b"X") }, of_chat),
        (
            b"Sender-Nickname \xff\n",
            HeaderError::NotAscii { name: Excerpt::of(b"Sender-Nickname") },
            of_chat,
        ),
    ];
    for (rest, reason, inherited) in cases {
        check(&[begun.as_bytes(), rest].concat(), &Read1::Fatal(reason, inherited));
    }
    let first_cases: [(&[u8], HeaderError); 8] = [
        (b"hello\n", first(b"hello")),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", first(b"GET / HTTP/1.1")),
        (b"Colour blue\n", first(b"Colour blue")),
        (b"u?Message-Type chat\n", first(b"u?Message-Type chat")),
        (b"Message-Type\n", HeaderError::NoValue { name: Excerpt::of(b"Message-Type") }),
        (
            b"Message-Type: chat\n",
            HeaderError::Colon {
                line: Excerpt::of(b"Message-Type: chat"),
                field: Field::MessageType,
                value: Excerpt::of(b"chat"),
            },
        ),
        (
            b"message-id:7\n",
            HeaderError::Colon {
                line: Excerpt::of(b"message-id:7"),
                field: Field::MessageId,
                value: Excerpt::of(b"7"),
            },
        ),
        (b"To 1\n\n", HeaderError::NoTypeNoLength),
    ];
    for (input, reason) in first_cases {
        check(input, &Read1::Fatal(reason, UNKNOWN));
    }
    let shout = HeaderError::UnknownTypeNoLength { value: Excerpt::of(b"shout") };
    check(b"Message-Type shout\n\n", &Read1::Fatal(shout, UNKNOWN));
    check(
        b"Message-Type fetch\n\n",
        &Read1::Fatal(no_length(MessageType::Fetch), inherited(MessageType::Fetch, 0)),
    );
    check(
        b"Message-Type nickname\n\n",
        &Read1::Fatal(no_length(MessageType::Nickname), inherited(MessageType::Nickname, 0)),
    );
    // Noise is told before its linefeed comes.
    check(b"\x16\x03\x01\x02", &Read1::Fatal(HeaderError::Control { byte: 0x16 }, UNKNOWN));
}

#[test]
fn headers_are_limited_in_lines_and_in_bytes_a_line() {
    let line_of = |len: usize, ending: &str| {
        let value = "v".repeat(len - 2);
        format!("Message-Type query\nX {value}{ending}Message-ID 1\n\n").into_bytes()
    };
    let query = message(Request::Query, MessageType::Query, 1, 0);
    let of_query = inherited(MessageType::Query, 0);
    check(&line_of(LINE_LIMIT, "\n"), &query);
    check(&line_of(LINE_LIMIT, "\r\n"), &query);
    check(&line_of(LINE_LIMIT + 1, "\n"), &Read1::Fatal(HeaderError::LineTooLong, of_query));
    check(&line_of(LINE_LIMIT + 1, "\r\n"), &Read1::Fatal(HeaderError::LineTooLong, of_query));
    check(&line_of(LINE_LIMIT, " \r\n"), &Read1::Fatal(HeaderError::LineTooLong, of_query));
    check(&line_of(50_000, ""), &Read1::Fatal(HeaderError::LineTooLong, of_query));

    let lines = |unknown: usize| {
        let unknown = "X 1\n".repeat(unknown);
        format!("Message-Type query\nMessage-ID 1\n{unknown}\n").into_bytes()
    };
    let of_query = inherited(MessageType::Query, 1);
    check(&lines(LINES_LIMIT - 2), &query);
    check(&lines(LINES_LIMIT - 1), &Read1::Fatal(HeaderError::TooManyLines, of_query));
}

#[test]
fn a_stream_that_ends_inside_a_header_is_not_a_clean_end() {
    for input in ["M", "Message-Type chat", "Message-Type chat\r"] {
        check(input.as_bytes(), &Read1::Ended(UNKNOWN));
    }
    let of_chat = inherited(MessageType::Chat, 0);
    for input in ["Message-Type chat\n", "Message-Type chat\nMess", "Message-Type chat\n \t"] {
        check(input.as_bytes(), &Read1::Ended(of_chat));
    }
}

#[test]
fn silence_between_messages_is_told_from_silence_inside_one() {
    struct Silent<'a>(&'a [u8]);
    impl Read for Silent<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }
    }
    for (sent, expected) in [("", false), ("\n\r\n", false), ("M", true), ("To 1\n", true)] {
        let mut input = BufReader::new(Silent(sent.as_bytes()));
        match read_client_message(&mut input, &mut Vec::new(), EXTENDED) {
            Err(Fault { error: ReadError::TimedOut { inside }, .. }) => {
                assert_eq!(inside, expected, "{sent:?}");
            }
            other => panic!("{sent:?}: {other:?}"),
        }
    }
}

#[test]
fn a_dead_connection_is_not_taken_for_a_silent_one() {
    // Keepalive ends a connection whose host has vanished with ETIMEDOUT, between messages as well.
    struct Dead;
    impl Read for Dead {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
    match read_client_message(&mut BufReader::new(Dead), &mut Vec::new(), EXTENDED) {
        Err(Fault { error: ReadError::Failed(_), .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn file_ids_are_digits_with_white_space_around() {
    assert_eq!(parse_file_id(b" 10\r\n"), Ok(FileId(10)));
    for body in [&b""[..], b"x", b"1 2", b"-1"] {
        let value = Excerpt::of(body);
        assert_eq!(parse_file_id(body), Err(MessageError::BadFileId { value }));
    }
}
