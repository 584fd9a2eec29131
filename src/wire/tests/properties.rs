//! What holds for any message and for any bytes.

use std::io::Read as _;

use proptest::prelude::*;

use super::*;
use crate::text::FileName;
use crate::wire::server_message::read_server_message;

fn any_content_type() -> impl Strategy<Value = ContentType> {
    prop_oneof![
        Just(ContentType::Text),
        "[A-Za-z0-9_+-]{1,10}(\\.[A-Za-z0-9_+-]{1,5}){0,3}".prop_filter_map("text", |value| {
            ContentType::parse(value.as_bytes()).filter(|parsed| *parsed != ContentType::Text)
        }),
    ]
}

fn any_file_name() -> impl Strategy<Value = Option<FileName>> {
    let name = "[^\\p{C}\\s]{1,20}( [^\\p{C}\\s]{1,20})?";
    name.prop_map(|name| FileName::parse(name.as_bytes(), Charset::Utf8).ok())
}

fn any_client_message() -> impl Strategy<Value = ClientMessage> {
    let chat = (proptest::option::of(any::<u64>()), any_content_type(), any_file_name()).prop_map(
        |(to, content_type, file_name)| {
            let is_file = content_type != ContentType::Text;
            let file_name = file_name.filter(|_| is_file);
            Request::Chat(Chat { to: to.map(Uid), content_type, file_name })
        },
    );
    let request = prop_oneof![
        (chat, Just(MessageType::Chat)),
        Just((Request::Query, MessageType::Query)),
        Just((Request::Fetch, MessageType::Fetch)),
        Just((Request::Nickname, MessageType::Nickname)),
        Just((Request::Bye, MessageType::Bye)),
    ];
    (request, any::<u64>(), any::<u64>()).prop_map(|((request, message_type), id, body_len)| {
        ClientMessage { request, inherited: inherited(message_type, id), body_len }
    })
}

proptest! {
    #[test]
    fn a_client_message_decodes_to_itself(
        message in any_client_message(),
        sizes in proptest::collection::vec(1usize..40, 1..8),
    ) {
        let mut encoded = Vec::new();
        encode_client_message(&message, &mut encoded);
        prop_assert_eq!(read_one(&mut in_pieces(&encoded, sizes), EXTENDED), Read1::Message(message));
    }

    #[test]
    fn a_relay_decodes_to_itself_in_either_form(
        to in proptest::option::of(any::<u64>()),
        from in any::<u64>(),
        nickname in proptest::option::of("[^\\p{C}\\s]{1,8}( [^\\p{C}\\s]{1,8})?"),
        content_type in any_content_type(),
        file_id in any::<u64>(),
        is_extended in any::<bool>(),
        name in any_file_name(),
        sequence in proptest::option::of(any::<u64>()),
        millis in any::<u64>(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        sizes in proptest::collection::vec(1usize..40, 1..8),
    ) {
        let nickname = nickname.and_then(|name| Nickname::parse(name.as_bytes(), Charset::Utf8).ok());
        let (content, is_file) = match &content_type {
            ContentType::Text => (Content::Text(&body), false),
            ContentType::File(extension) => {
                (Content::File { id: FileId(file_id), extension, len: body.len() as u64 }, true)
            }
        };
        let to = to.map(Uid);
        let relay = Relay { to, from: Uid(from), nickname: nickname.as_ref(), content };
        let time = Timestamp::from_millis(millis);
        let mut plain = Vec::new();
        let place = relay.encode(&mut plain);
        let extra = Extra { file_name: name.as_ref(), sequence, time };
        let mut extended = Vec::new();
        relay.encode_extended(&extra, &mut extended);
        let mut inserted = Vec::new();
        extra.insert(&plain, place, &mut inserted);
        prop_assert_eq!(&inserted, &extended);
        prop_assert_eq!(extended.len(), plain.len() + extra.encoded_len());
        let encoded = if is_extended { extended } else { plain };
        let mut input = in_pieces(&encoded, sizes);
        let expected = ServerMessage::Relay {
            to,
            from: Uid(from),
            nickname: nickname.map(|name| name.as_str().to_string()),
            file_id: is_file.then_some(FileId(file_id)),
            file_name: name.filter(|_| is_extended).map(|name| name.as_str().to_string()),
            sequence: sequence.filter(|_| is_extended),
            time: is_extended.then_some(time),
            content_type: content_type.as_str().to_string(),
            len: body.len() as u64,
        };
        let got = read_server_message(&mut input, &mut Vec::new()).unwrap().unwrap();
        prop_assert_eq!(got.body_len(), if is_file { 0 } else { body.len() as u64 });
        prop_assert_eq!(got, expected);
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        prop_assert_eq!(rest, if is_file { Vec::new() } else { body });
    }

    #[test]
    fn a_response_decodes_to_itself(
        ok in any::<bool>(),
        message_type in proptest::sample::select(vec![
            None, Some(MessageType::Chat), Some(MessageType::Query), Some(MessageType::Fetch),
            Some(MessageType::Nickname),
        ]),
        id in any::<u64>(),
        file_id in proptest::option::of(any::<u64>()),
        name in any_file_name(),
        content_type in any_content_type(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        sizes in proptest::collection::vec(1usize..40, 1..8),
    ) {
        let status = if ok { Status::Ok } else { Status::Error };
        let inherited = Inherited { message_type, id: MessageId(id) };
        let file_id = file_id.map(FileId);
        let mut encoded = Vec::new();
        let file_name = name.as_ref();
        Response { status, inherited, file_id, file_name, content_type: content_type.as_str() }
            .encode(&body, &mut encoded);
        let mut input = in_pieces(&encoded, sizes);
        let got = read_server_message(&mut input, &mut Vec::new()).unwrap().unwrap();
        let len = body.len() as u64;
        let content_type = content_type.as_str().to_string();
        let file_name = name.map(|name| name.as_str().to_string());
        let expected =
            ServerMessage::Response { status, inherited, file_id, file_name, content_type, len };
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn no_bytes_make_a_reader_panic_or_read_differently_in_pieces(
        bytes in proptest::collection::vec(
            prop_oneof![
                any::<u8>().prop_map(|byte| vec![byte]),
                proptest::sample::select(vec![
                    "Message-Type ", "Message-ID ", "File-Name ", "Content-Type jpg", "notice", "Content-Length ", "To ", "Status Ok", "chat",
                    "query", "\n", "\r\n", "1", ":", " ",
                ]).prop_map(|token| token.as_bytes().to_vec()),
            ],
            0..200,
        ),
        sizes in proptest::collection::vec(1usize..40, 1..8),
    ) {
        let bytes = bytes.concat();
        for accepts in [DRAFT, EXTENDED] {
            let whole = read_one(&mut &bytes[..], accepts);
            prop_assert_eq!(read_one(&mut in_pieces(&bytes, sizes.clone()), accepts), whole);
        }
        // Reading a server message from the same bytes must end as well, one way or the other.
        let _ = read_server_message(&mut in_pieces(&bytes, sizes), &mut Vec::new());
    }
}
