//! Strangers in a room where Ann and Tom talk: whatever they send, in whatever pieces, and however
//! they leave, the conversation is untouched; and what they said as the protocol has it comes
//! to Ann and to Tom, all of it, once, in order. A third one hears the same in the extended form.
//! Some strangers are on a WebSocket, and what they say comes in frames.
//!
//! The server is in the same process, the connections are real. A panic in any thread ends the run.

mod framing;
mod judge;
mod stranger;
mod witness;

use std::io::{self, Write};
use std::mem;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use multichat::client::{Client, Content, Event, Extra, Relay, SharedFile, Timeouts};
use multichat::ids::{FileId, Uid};
use multichat::server::{Config, RunningServer, Server};
use multichat::text::Extension;

use self::stranger::{Due, Stranger};
use self::witness::Witness;

/// How long anything may take that should come at once.
const DEADLINE: Duration = Duration::from_secs(20);
const TIMEOUTS: Timeouts = Timeouts { connect: DEADLINE, answer: DEADLINE };

/// The server's limits.
const MAX_TEXT: u64 = 1000;
const MAX_FILE: u64 = 10_000;

/// In the input, the byte before one of these; any other byte behind it, and both are sent.
const STEP: u8 = 0xff;
const END_INPUT: u8 = 0;
const RESET: u8 = 1;
const CLOSE: u8 = 2;
const ONE_MORE: u8 = 3;
const READ: u8 = 4;
const CONVERSE: u8 = 5;
/// The next piece is sent as it is, by one that sends frames.
const BARE: u8 = 6;
/// Another stranger comes, on a WebSocket: what it sends goes into frames. Each of these cuts its
/// request somewhere else.
const FRAMED: RangeInclusive<u8> = 8..=15;

/// The bytes are sent as they are, and [`STEP`] says what happens in between.
pub(crate) fn run(data: &[u8]) {
    static ROOM: Mutex<Option<Room>> = Mutex::new(None);
    ROOM.lock().expect("nothing has failed before").get_or_insert_with(Room::open).face(data);
}

struct Room {
    address: SocketAddr,
    ann: Friend,
    tom: Friend,
    witness: Witness,
    /// How many conversations there were.
    said: u64,
    last_uid: Uid,
    _server: RunningServer,
}

impl Room {
    fn open() -> Room {
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            stage_limit: 64 << 10,
            max_text: MAX_TEXT,
            max_file: MAX_FILE,
            queue_limit: 16 << 10,
            stall_timeout: Duration::from_secs(2),
            ..Config::default()
        };
        let server = Server::bind(config).expect("listen");
        let address = server.addresses()[0];
        let server = server.run().expect("accept");
        let (ann, tom) = (Friend::join(address, 1), Friend::join(address, 2));
        let witness = Witness::join(address);
        Room { address, ann, tom, witness, said: 0, last_uid: Uid(3), _server: server }
    }

    fn face(&mut self, data: &[u8]) {
        let mut gone = Vec::new();
        let mut here = Vec::new();
        let mut stranger = self.welcome();
        let mut rest = data;
        while let Some(at) = rest.iter().position(|&byte| byte == STEP) {
            stranger.send(&rest[..at]);
            let (step, behind) = rest[at..].split_at(rest.len().min(at + 2) - at);
            rest = behind;
            match step[1..] {
                [END_INPUT] => stranger.end_input(),
                [RESET] => gone.push(mem::replace(&mut stranger, self.welcome()).reset()),
                [CLOSE] => gone.push(mem::replace(&mut stranger, self.welcome()).close()),
                [ONE_MORE] if here.len() < 3 => {
                    here.push(mem::replace(&mut stranger, self.welcome()));
                }
                [READ] => stranger.read_some(),
                [CONVERSE] => self.converse(),
                [BARE] => stranger.go_bare(),
                [step] if FRAMED.contains(&step) && here.len() < 3 => {
                    here.push(mem::replace(&mut stranger, self.welcome()));
                    stranger.begin_framing(usize::from(step - FRAMED.start()));
                }
                _ => stranger.send(step),
            }
        }
        stranger.send(rest);
        here.push(stranger);
        gone.extend(here.into_iter().map(Stranger::leave));
        // Every client that connected before it has joined before it.
        let usher = Client::connect(&[self.address], TIMEOUTS, |_| {}).expect("connect");
        self.last_uid.0 += 1;
        assert_eq!(usher.own_uid().expect("an answer"), Some(self.last_uid));
        drop(usher);
        let alone = || self.ann.uids() == "1\n2\n3\n";
        assert!(soon(alone), "the strangers have not left: {}", self.ann.uids());
        // One that a write has found gone has left, and what it sent before is still read.
        self.ann.hear(due_to(Uid(1), &gone).count());
        self.tom.hear(due_to(Uid(2), &gone).count());
        self.converse();
        self.exchange_file();
        self.compare(&gone);
        self.witness.expect_order();
    }

    fn welcome(&mut self) -> Stranger {
        self.last_uid.0 += 1;
        Stranger::come(self.address, self.last_uid)
    }

    /// Compares what Ann and Tom have heard from strangers with what is due.
    fn compare(&mut self, gone: &[Due]) {
        let (ann, tom) = (mem::take(&mut self.ann.heard), mem::take(&mut self.tom.heard));
        let public = |heard: &[Relay]| -> Vec<Relay> {
            heard.iter().filter(|relay| relay.to.is_none()).cloned().collect()
        };
        assert_eq!(public(&ann), public(&tom), "Ann and Tom have not heard the same");
        for (friend, heard) in [(Uid(1), &ann), (Uid(2), &tom)] {
            for stranger in gone {
                let from = |relay: &&Relay| relay.from == stranger.uid;
                let due: Vec<_> = stranger.relays_for(friend).cloned().collect();
                let came: Vec<_> = heard.iter().filter(from).map(without_file_id).collect();
                assert_eq!(came, due, "client {friend} has heard something else");
            }
            let due = due_to(friend, gone).count();
            assert_eq!(heard.len(), due, "client {friend} has heard more: {heard:?}");
        }
    }

    /// One says something to all, and the other answers in private.
    fn converse(&mut self) {
        self.said += 1;
        let (asked, answered) = (format!("{}?", self.said), format!("{}!", self.said));
        self.ann.say(None, &asked);
        self.tom.expect(&text(1, None, &asked));
        self.tom.say(Some(1), &answered);
        self.ann.expect(&text(2, Some(1), &answered));
    }

    fn exchange_file(&mut self) {
        let bytes = self.said.to_le_bytes();
        let extension = Extension::parse(b"bin").expect("an extension");
        let file = SharedFile { extension: &extension, name: None, len: 8 };
        let shared = self.ann.client.share(Some(Uid(2)), &file, &mut &bytes[..], &mut |_| {});
        let id = shared.expect("a share");
        let relay = self.tom.next();
        assert_eq!((relay.from, relay.content), (Uid(1), Content::File(id)));
        let fetched = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink(Arc::clone(&fetched));
        self.tom.client.fetch(id, move |_| Ok(Box::new(sink))).expect("a fetch");
        assert_eq!(*fetched.lock().expect("the sink has not failed"), bytes);
    }
}

/// What client `friend` has to hear from strangers.
fn due_to(friend: Uid, gone: &[Due]) -> impl Iterator<Item = &Relay> {
    gone.iter().flat_map(move |stranger| stranger.relays_for(friend))
}

/// A client that keeps to the protocol.
struct Friend {
    client: Client,
    events: Receiver<Event>,
    /// What strangers have said to it, or to all.
    heard: Vec<Relay>,
}

impl Friend {
    fn join(address: SocketAddr, uid: u64) -> Friend {
        let (sender, events) = channel();
        let client = Client::connect(&[address], TIMEOUTS, move |event| {
            let _ = sender.send(event);
        });
        let friend = Friend { client: client.expect("connect"), events, heard: Vec::new() };
        assert_eq!(friend.client.own_uid().expect("an answer"), Some(Uid(uid)));
        friend
    }

    fn say(&self, to: Option<u64>, text: &str) {
        let answer = self.client.send_text(to.map(Uid), text.as_bytes()).expect("an answer");
        // It may not have reached strangers, and then that is told.
        let told = answer.text();
        assert!(!told.contains("client 1 ") && !told.contains("client 2 "), "{told}");
    }

    fn uids(&self) -> String {
        self.client.query("").expect("an answer").replace('\r', "")
    }

    /// The next message of the other friend.
    fn next(&mut self) -> Relay {
        loop {
            if let Some(relay) = self.listen() {
                return relay;
            }
        }
    }

    /// Waits until it has heard so much from strangers.
    fn hear(&mut self, count: usize) {
        while self.heard.len() < count {
            assert_eq!(self.listen(), None);
        }
    }

    /// Waits for a message: one of the other friend, or one to be noted.
    fn listen(&mut self) -> Option<Relay> {
        match self.events.recv_timeout(DEADLINE) {
            Ok(Event::Relay(relay)) if relay.from <= Uid(2) => Some(relay),
            Ok(Event::Relay(relay)) => {
                expect_harmless(&relay);
                self.heard.push(relay);
                None
            }
            other => panic!("{other:?}, not a message; from strangers: {:?}", self.heard),
        }
    }

    fn expect(&mut self, relay: &Relay) {
        assert_eq!(self.next(), *relay);
    }
}

fn text(from: u64, to: Option<u64>, text: &str) -> Relay {
    Relay {
        to: to.map(Uid),
        from: Uid(from),
        nickname: None,
        content_type: "text".to_string(),
        len: text.len() as u64,
        content: Content::Text(text.to_string()),
        extra: Extra::default(),
    }
}

/// What is compared: File-IDs depend on who is faster.
fn without_file_id(relay: &Relay) -> Relay {
    let mut relay = relay.clone();
    if let Content::File(id) = &mut relay.content {
        *id = FileId(0);
    }
    relay
}

/// Nothing in it moves a cursor, and it is as long as was said.
fn expect_harmless(relay: &Relay) {
    let is_control = |c: char| c.is_control() && !"\t\r\n".contains(c);
    if let Content::Text(text) = &relay.content {
        assert!(!text.contains(is_control) && text.len() as u64 == relay.len, "{relay:?}");
    }
    let one_line = [relay.nickname.as_deref().unwrap_or(""), &relay.content_type];
    assert!(one_line.iter().all(|text| !text.contains(char::is_control)), "{relay:?}");
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nothing panics here").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn soon(is_so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        if Instant::now() > until {
            return false;
        }
        thread::yield_now();
    }
    true
}
