//! Frames in tables, each case read whole, byte by byte and with every cut, with a time-out at each
//! cut; as properties; and beside tungstenite, which is another's reading of the RFC.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use proptest::prelude::*;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Error, Message};

use super::*;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A frame as a client may send it, or may not.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, Some(MASK));
    bytes.extend(masked(payload, MASK));
    bytes
}

fn header(first: u8, payload_len: u64, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = FrameHeader::binary(payload_len).as_ref().to_vec();
    bytes[0] = first;
    if let Some(mask) = mask {
        bytes[1] |= MASKED;
        bytes.extend(mask);
    }
    bytes
}

fn masked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// Hands out its bytes in pieces of the given sizes, one after the other and again, and a time-out
/// between two of them.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: &'a [usize],
    reads: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(2) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let size = self.sizes[self.reads / 2 % self.sizes.len()];
        let (piece, rest) = self.bytes.split_at(size.min(buffer.len()).min(self.bytes.len()));
        buffer[..piece.len()].copy_from_slice(piece);
        self.bytes = rest;
        Ok(piece.len())
    }
}

/// What came of a client's frames.
#[derive(Debug, PartialEq)]
struct Told {
    data: Vec<u8>,
    /// Payloads of the Pongs.
    pongs: Vec<Vec<u8>>,
    ending: Option<Ending>,
}

fn unframe(bytes: &[u8], sizes: &[usize], buffer_len: usize) -> Told {
    let pongs = RefCell::new(Vec::new());
    let pieces = Pieces { bytes, sizes, reads: 0 };
    let mut unframed = Unframed::new(pieces, |pong: ControlFrame| {
        assert_eq!(pong.as_ref()[0], 0x8A);
        pongs.borrow_mut().push(pong.as_ref()[2..].to_vec());
    });
    let mut data = Vec::new();
    let mut buffer = vec![0; buffer_len];
    let ending = loop {
        match unframed.read(&mut buffer) {
            Ok(0) => break unframed.ending(),
            Ok(len) => data.extend_from_slice(&buffer[..len]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(data.len() <= bytes.len());
    };
    // It stays ended.
    assert_eq!(unframed.read(&mut buffer).unwrap(), 0);
    assert_eq!(unframed.ending(), ending);
    Told { data, pongs: pongs.into_inner(), ending }
}

/// Reads `bytes` whole, byte by byte, into buffers of one byte, and with every cut.
#[track_caller]
fn check(name: &str, bytes: &[u8], data: &[u8], pings: &[&[u8]], ending: Ending) {
    let expected = Told {
        data: data.to_vec(),
        pongs: pings.iter().map(|ping| ping.to_vec()).collect(),
        ending: Some(ending),
    };
    assert_eq!(unframe(bytes, &[1], 64), expected, "{name}, byte by byte");
    assert_eq!(unframe(bytes, &[usize::MAX], 1), expected, "{name}, into one byte");
    // Of Pings that come at once the newest is answered.
    let newest: Vec<_> = expected.pongs.last().cloned().into_iter().collect();
    let whole = unframe(bytes, &[usize::MAX], 16 * 1024);
    assert_eq!(whole, Told { pongs: newest, ..expected }, "{name}, whole");
    for cut in 1..bytes.len() {
        let told = unframe(bytes, &[cut, usize::MAX], 16 * 1024);
        assert_eq!((&told.data, told.ending), (&whole.data, whole.ending), "{name}, cut at {cut}");
        assert_eq!(told.pongs.last(), whole.pongs.last(), "{name}, cut at {cut}");
    }
}

const fn closed(code: u16) -> Ending {
    Ending::Closed { answer: CloseCode(code) }
}

#[test]
fn data_is_unmasked_wherever_frames_begin_and_end() {
    // RFC 6455, 5.4 and 5.7
    let hello = frame(0x82, b"Hello");
    assert_eq!(hello[..], [0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    check("nothing", b"", b"", &[], Ending::Cut);
    check("one frame", &hello, b"Hello", &[], Ending::Cut);
    check("two", &[&hello[..], &hello].concat(), b"HelloHello", &[], Ending::Cut);
    check("cut in a header", &hello[..4], b"", &[], Ending::Cut);
    check("cut in a payload", &hello[..8], b"He", &[], Ending::Cut);
    check("an empty frame", &frame(0x82, b""), b"", &[], Ending::Cut);
    let fragments = [frame(0x02, b"Hel"), frame(0x00, b""), frame(0x80, b"lo")].concat();
    check("fragments", &fragments, b"Hello", &[], Ending::Cut);
    check(
        "fragments, then one",
        &[&fragments[..], &hello].concat(),
        b"HelloHello",
        &[],
        Ending::Cut,
    );
    for len in [125, 126, 127, 300] {
        let text: Vec<u8> = (0..len).map(|at| at as u8).collect();
        check(&format!("{len} bytes"), &frame(0x82, &text), &text, &[], Ending::Cut);
    }
    // Longer than it need be, and still plain.
    let mut long_form = vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5];
    long_form.extend(&hello[2..]);
    check("a long form", &long_form, b"Hello", &[], Ending::Cut);
    let huge = [header(0x82, u64::MAX >> 1, Some(MASK)), masked(b"Hello", MASK)].concat();
    check("2^63 - 1 bytes, cut", &huge, b"Hello", &[], Ending::Cut);
}

#[test]
fn a_large_frame_comes_out_as_it_went_in() {
    // RFC 6455, 5.2
    let text: Vec<u8> = (0..200_000u32).map(|at| (at * 7 % 251) as u8).collect();
    for sizes in [&[usize::MAX][..], &[1], &[3, 1, 4_096], &[65_537]] {
        let told = unframe(&frame(0x82, &text), sizes, 16 * 1024);
        assert!(told.data == text, "in pieces of {sizes:?}");
    }
}

#[test]
fn pings_are_answered_between_fragments_and_pongs_are_dropped() {
    // RFC 6455, 5.4, 5.5.2 and 5.5.3
    let check = |name, frames: &[Vec<u8>], data: &[u8], pings: &[&[u8]]| {
        check(name, &frames.concat(), data, pings, Ending::Cut);
    };
    check("a ping", &[frame(0x89, b"Hello")], b"", &[b"Hello"]);
    check("an empty ping", &[frame(0x89, b"")], b"", &[b""]);
    check("the longest ping", &[frame(0x89, &[7; 125])], b"", &[&[7; 125]]);
    let inside = [frame(0x02, b"Hel"), frame(0x89, b"1"), frame(0x89, b"2"), frame(0x80, b"lo")];
    check("pings inside a message", &inside, b"Hello", &[b"1", b"2"]);
    check("a pong", &[frame(0x8A, b"Hello"), frame(0x82, b"x")], b"x", &[]);
    check("a cut ping", &[frame(0x89, b"Hello")[..10].to_vec()], b"", &[]);
}

#[test]
fn a_close_is_answered_with_its_code() {
    // RFC 6455, 5.5.1 and 7.4
    let check = |payload: &[u8], code| {
        let bytes = [frame(0x82, b"hi"), frame(0x88, payload), frame(0x82, b"more")].concat();
        check(&payload.escape_ascii().to_string(), &bytes, b"hi", &[], closed(code));
    };
    check(b"", 1000);
    check(b"\x03", 1002);
    check(b"\x03\xE8", 1000);
    check(b"\x03\xE9going", 1001);
    check("\u{3E8}\u{20AC}".as_bytes(), 1002);
    check(b"\x03\xE8\xE2\x82\xAC", 1000);
    check(b"\x03\xE8\xE2\x82", 1007);
    check(b"\x03\xEC\xE2\x82", 1002);
    check(&[&[0x0B, 0xB8], &[b'x'; 123][..]].concat(), 3000);
    for code in [1000u16, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1014, 3000, 3999, 4000, 4999] {
        check(&code.to_be_bytes(), code);
    }
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check(&code.to_be_bytes(), 1002);
    }
}

#[test]
fn what_breaks_the_rules_ends_the_stream_where_it_stands() {
    // RFC 6455, 5.1, 5.2, 5.4, 5.5
    let check = |name, frames: &[Vec<u8>], violation| {
        let bytes = [&frame(0x82, b"hi")[..], &frames.concat(), &frame(0x82, b"more")].concat();
        check(name, &bytes, b"hi", &[], Ending::Violated(violation));
    };
    for first in [0xC2, 0xA2, 0x92, 0xF2, 0xC9, 0xC8, 0xC0, 0xC1, 0xB3] {
        check("a reserved bit", &[frame(first, b"x")], Violation::ReservedBits);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check("an unknown opcode", &[frame(0x80 | opcode, b"x")], Violation::UnknownOpcode(opcode));
    }
    for first in [0x08, 0x09, 0x0A] {
        check("a fragment of control", &[frame(first, b"")], Violation::FragmentedControl);
        check("a long one", &[frame(0x80 | first, &[0; 126])], Violation::LongControl);
        let long_form = [vec![0x80 | first, 0xFE, 0, 1], MASK.to_vec(), vec![0]].concat();
        check("a long form", &[long_form], Violation::LongControl);
    }
    check("a continuation", &[frame(0x80, b"x")], Violation::NothingToContinue);
    check("a continuation that goes on", &[frame(0x00, b"x")], Violation::NothingToContinue);
    for first in [0x02, 0x82, 0x01, 0x81] {
        let frames = [frame(0x02, b""), frame(first, b"x")];
        check("a message inside one", &frames, Violation::MessageInMessage);
    }
    for first in [0x82, 0x81, 0x89, 0x88] {
        check("no mask", &[header(first, 1, None), vec![b'x']], Violation::Unmasked);
    }
    check("2^63 bytes", &[header(0x82, 1 << 63, Some(MASK))], Violation::TooLong);
    check("2^64 - 1 bytes", &[header(0x82, u64::MAX, Some(MASK))], Violation::TooLong);
    check("a text", &[frame(0x81, b"Hello")], Violation::Text);
    check("a fragment of a text", &[frame(0x01, b"Hello")], Violation::Text);
}

#[test]
fn violations_have_codes_and_words() {
    // RFC 6455, 7.4.1
    let check = |violation: Violation, code, words: &str| {
        assert_eq!(Ending::Violated(violation).answer(), Some(CloseCode(code)), "{words}");
        assert_eq!(violation.to_string(), words);
    };
    check(Violation::ReservedBits, 1002, "a frame with reserved bits");
    check(Violation::UnknownOpcode(11), 1002, "a frame of opcode 11");
    check(Violation::FragmentedControl, 1002, "a control frame in fragments");
    check(Violation::LongControl, 1002, "a control frame of over 125 bytes");
    check(Violation::NothingToContinue, 1002, "a continuation of no message");
    check(Violation::MessageInMessage, 1002, "a new message inside another one");
    check(Violation::Unmasked, 1002, "a frame without a mask");
    check(Violation::TooLong, 1002, "a frame of 2^63 bytes or more");
    check(Violation::Text, 1003, "a text frame where binary ones are expected");
    assert_eq!(closed(4_000).answer(), Some(CloseCode(4_000)));
    assert_eq!(Ending::Cut.answer(), None);
}

#[test]
fn frames_to_a_client_are_unmasked_and_as_short_as_they_can_be() {
    // RFC 6455, 5.2 and 5.7
    let check = |len: u64, expected: &[u8]| {
        assert_eq!(FrameHeader::binary(len).as_ref(), expected, "{len}");
    };
    check(0, &[0x82, 0]);
    check(125, &[0x82, 125]);
    check(126, &[0x82, 126, 0, 126]);
    check(256, &[0x82, 126, 1, 0]);
    check(65_535, &[0x82, 126, 0xFF, 0xFF]);
    check(65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    check(u64::MAX >> 1, &[0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    let close = ControlFrame::close(CloseCode::GOING_AWAY);
    assert_eq!(close.as_ref(), [0x88, 2, 0x03, 0xE9]);
    assert_eq!(format!("{close:?}"), r"ControlFrame(\x88\x02\x03\xe9)");
}

#[test]
fn a_key_is_accepted_as_in_the_rfc() {
    // RFC 6455, 1.3
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/// What a client does, for the properties.
#[derive(Clone, Debug)]
enum Step {
    /// A message in fragments, each with what stands in front of it.
    Message(Vec<(Option<Control>, Vec<u8>)>),
    Control(Control),
}

#[derive(Clone, Debug)]
enum Control {
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn control() -> impl Strategy<Value = Control> {
    let payload = prop::collection::vec(any::<u8>(), 0..=CONTROL_PAYLOAD_LIMIT);
    (any::<bool>(), payload).prop_map(|(ping, payload)| {
        if ping { Control::Ping(payload) } else { Control::Pong(payload) }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 120..600),
    ];
    let fragments = prop::collection::vec((prop::option::of(control()), payload), 1..5);
    let step =
        prop_oneof![3 => fragments.prop_map(Step::Message), 1 => control().prop_map(Step::Control)];
    prop::collection::vec(step, 0..6)
}

/// The frames of `steps`, each under a mask of its own; and the data and the Pings in them.
fn framed(steps: &[Step], masks: &[[u8; 4]]) -> (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) {
    let (mut frames, mut data, mut pings) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = masks.iter().cycle();
    let mut put = |first: u8, payload: &[u8]| {
        let mask = *next.next().unwrap();
        frames.extend(header(first, payload.len() as u64, Some(mask)));
        frames.extend(masked(payload, mask));
        match first {
            0x89 => pings.push(payload.to_vec()),
            0x8A => {}
            _ => data.extend_from_slice(payload),
        }
    };
    let put_control = |put: &mut dyn FnMut(u8, &[u8]), control: &Control| match control {
        Control::Ping(payload) => put(0x89, payload),
        Control::Pong(payload) => put(0x8A, payload),
    };
    for step in steps {
        match step {
            Step::Control(control) => put_control(&mut put, control),
            Step::Message(fragments) => {
                for (at, (control, payload)) in fragments.iter().enumerate() {
                    control.iter().for_each(|control| put_control(&mut put, control));
                    let opcode = if at == 0 { BINARY } else { CONTINUATION };
                    let fin = if at + 1 == fragments.len() { FIN } else { 0 };
                    put(fin | opcode, payload);
                }
            }
        }
    }
    (frames, data, pings)
}

/// What a connection without a peer is for tungstenite: bytes to read, and what it writes.
#[derive(Default)]
struct Memory {
    input: io::Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How tungstenite, as the server, reads what a client has sent.
fn read_by_tungstenite(bytes: &[u8]) -> Told {
    let memory = Memory { input: io::Cursor::new(bytes.to_vec()), ..Memory::default() };
    let mut socket = WebSocket::from_raw_socket(memory, Role::Server, None);
    let mut told = Told { data: Vec::new(), pongs: Vec::new(), ending: None };
    let violated = |answer| Some(Ending::Closed { answer });
    told.ending = loop {
        match socket.read() {
            Ok(Message::Binary(data)) => told.data.extend_from_slice(&data),
            Ok(Message::Ping(payload)) => told.pongs.push(payload.to_vec()),
            Ok(Message::Text(_)) => break violated(CloseCode::UNSUPPORTED_DATA),
            Ok(Message::Close(None)) => break violated(CloseCode::NORMAL),
            Ok(Message::Close(Some(close))) => break violated(CloseCode(close.code.into())),
            Ok(_) => {}
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                break Some(Ending::Cut);
            }
            Err(Error::Utf8(_)) => break violated(CloseCode::INVALID_DATA),
            Err(Error::Protocol(_)) => break violated(CloseCode::PROTOCOL_ERROR),
            Err(error) => panic!("{error}"),
        }
    };
    told
}

/// Whether a Close has not both a wrong code and a wrong reason: the RFC does not say which comes
/// first.
fn has_one_mistake(payload: &[u8]) -> bool {
    match payload {
        [high, low, reason @ ..] => {
            CloseCode::from_wire(u16::from_be_bytes([*high, *low])).is_some()
                || str::from_utf8(reason).is_ok()
        }
        _ => true,
    }
}

/// Frames that may break a rule, and what tungstenite and the RFC agree upon: no control frame in a
/// long form, no Text (tungstenite takes them), and one ending alone.
fn last_words() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..20);
    let close = (any::<u16>(), "[a-z\u{20AC}]{0,5}")
        .prop_map(|(code, reason)| [&code.to_be_bytes()[..], reason.as_bytes()].concat());
    prop_oneof![
        Just(Vec::new()),
        close.prop_map(|payload| frame(0x88, &payload)),
        payload
            .clone()
            .prop_filter("one mistake", |payload| has_one_mistake(payload))
            .prop_map(|payload| frame(0x88, &payload)),
        (any::<u8>(), payload.clone())
            .prop_filter("no text", |(first, _)| first & 0x0F != TEXT)
            .prop_filter("one mistake", |(first, payload)| {
                first & 0x0F != CLOSE || has_one_mistake(payload)
            })
            .prop_map(|(first, payload)| frame(first, &payload)),
        (any::<u8>(), payload).prop_map(|(first, payload)| {
            [header(first, payload.len() as u64, None), payload].concat()
        }),
    ]
}

proptest! {
    #[test]
    fn unframing_inverts_framing(
        steps in steps(),
        masks in prop::collection::vec(any::<[u8; 4]>(), 1..4),
        sizes in prop::collection::vec(1usize..50, 1..6),
        buffer_len in 1usize..200,
    ) {
        // RFC 6455, 5
        let (frames, data, pings) = framed(&steps, &masks);
        let told = unframe(&frames, &sizes, buffer_len);
        prop_assert_eq!(told.data, data);
        prop_assert_eq!(told.ending, Some(Ending::Cut));
        prop_assert_eq!(told.pongs.last(), pings.last());
        // Some are left out, none is made up or out of order.
        let mut left = pings.iter();
        prop_assert!(told.pongs.iter().all(|pong| left.any(|ping| ping == pong)));
    }

    #[test]
    fn another_implementation_reads_a_client_in_the_same_way(
        steps in steps(),
        masks in prop::collection::vec(any::<[u8; 4]>(), 1..4),
        last_words in last_words(),
        sizes in prop::collection::vec(1usize..50, 1..6),
    ) {
        // RFC 6455, 5 and 7.4
        let (mut frames, ..) = framed(&steps, &masks);
        frames.extend(last_words);
        let told = unframe(&frames, &sizes, 64);
        let other = read_by_tungstenite(&frames);
        // Tungstenite gives no message that is not whole.
        prop_assert!(told.data.starts_with(&other.data));
        prop_assert_eq!(
            told.ending.and_then(Ending::answer),
            other.ending.and_then(Ending::answer),
            "{} {:?}", frames.escape_ascii(), told.ending
        );
        let mut left = other.pongs.iter();
        prop_assert!(told.pongs.iter().all(|pong| left.any(|ping| ping == pong)));
    }

    #[test]
    fn another_implementation_is_understood_and_understands(
        lens in prop::collection::vec(prop_oneof![0usize..300, 65_500usize..65_600], 0..4),
        sizes in prop::collection::vec(1usize..5_000, 1..6),
    ) {
        // RFC 6455, 5 and 7
        let texts: Vec<Vec<u8>> =
            lens.iter().map(|&len| (0..len).map(|at| (at * 7 % 251) as u8).collect()).collect();
        let mut client = WebSocket::from_raw_socket(Memory::default(), Role::Client, None);
        for text in &texts {
            client.send(Message::Ping(vec![1, 2].into())).unwrap();
            client.send(Message::Binary(text.clone().into())).unwrap();
        }
        client.close(None).unwrap();
        let told = unframe(&client.get_ref().output, &sizes, 4_096);
        prop_assert_eq!(told.ending, Some(closed(1000)));
        prop_assert!(told.data == texts.concat());
        prop_assert_eq!(told.pongs.is_empty(), texts.is_empty());

        let mut answer = Vec::new();
        for text in &texts {
            answer.extend_from_slice(FrameHeader::binary(text.len() as u64).as_ref());
            answer.extend_from_slice(text);
        }
        answer.extend_from_slice(ControlFrame::close(CloseCode::GOING_AWAY).as_ref());
        let memory = Memory { input: io::Cursor::new(answer), ..Memory::default() };
        let mut client = WebSocket::from_raw_socket(memory, Role::Client, None);
        for text in texts {
            prop_assert!(client.read().unwrap() == Message::Binary(text.into()));
        }
        let Message::Close(Some(close)) = client.read().unwrap() else { panic!("no close") };
        prop_assert_eq!(u16::from(close.code), 1001);
    }
}
