//! A client in the extended form, who hears all: whatever strangers do, `Sequence` has no gap, `Time`
//! does not go back, and notices stand where they belong.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use multichat::ids::Uid;
use multichat::wire::server_message::read_server_message;
use multichat::wire::{News, ServerMessage, Timestamp};

pub(super) struct Witness(JoinHandle<()>);

impl Witness {
    /// Joins, and hears all from another thread.
    pub(super) fn join(address: SocketAddr) -> Witness {
        let mut stream = TcpStream::connect(address).expect("connect");
        let query = b"Message-Type query\nMessage-ID 1\nContent-Length 8\n\nextended";
        stream.write_all(query).expect("send");
        let mut input = BufReader::new(stream);
        let (answer, _) = next(&mut input);
        assert!(matches!(answer, ServerMessage::Response { .. }), "{answer:?}");
        Witness(thread::spawn(move || Order::default().watch(input)))
    }

    /// Fails where it has seen something that must not be.
    pub(super) fn expect_order(&self) {
        assert!(!self.0.is_finished(), "the witness has seen something that must not be");
    }
}

fn next(input: &mut impl BufRead) -> (ServerMessage, String) {
    let message = read_server_message(input, &mut Vec::new()).expect("a message");
    let message = message.expect("the server does not close");
    let mut text = String::new();
    input.take(message.body_len()).read_to_string(&mut text).expect("a text");
    (message, text)
}

/// What the witness knows.
#[derive(Default)]
struct Order {
    last_sequence: Option<u64>,
    last_time: Option<Timestamp>,
    names: HashMap<Uid, String>,
}

impl Order {
    fn watch(mut self, mut input: impl BufRead) {
        loop {
            match next(&mut input) {
                (ServerMessage::Relay { to, from, nickname, sequence, time, .. }, _) => {
                    assert_eq!(sequence.is_none(), to.is_some(), "public ones are counted");
                    let expected = self.last_sequence.map_or(sequence, |last| Some(last + 1));
                    assert_eq!(sequence.or(expected), expected, "there is a gap");
                    self.last_sequence = sequence.or(self.last_sequence);
                    assert_eq!(self.names.get(&from), nickname.as_ref(), "client {from}");
                    self.tick(time);
                }
                (ServerMessage::Notice { from, nickname, time, .. }, text) => {
                    self.hear(from, nickname.expect("a nickname"), &text);
                    self.tick(time);
                }
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    fn hear(&mut self, from: Uid, nickname: String, text: &str) {
        let known = match News::parse(text) {
            Some(News::Joined) => self.names.insert(from, nickname).is_none(),
            Some(News::Nickname(new)) => {
                self.names.insert(from, new.to_owned()).is_some_and(|old| old == nickname)
            }
            Some(News::Left(_)) => self.names.remove(&from).is_some_and(|old| old == nickname),
            None => false,
        };
        assert!(known, "client {from}: {text}");
    }

    fn tick(&mut self, time: Option<Timestamp>) {
        assert!(time.is_some() && self.last_time <= time, "{time:?} behind {:?}", self.last_time);
        self.last_time = time;
    }
}
