//! A stranger in a room where Ann and Tom talk: whatever it sends, in whatever pieces, and however
//! it leaves, their conversation is untouched, and both see the same.
//!
//! The server is in the same process, the connections are real. A panic in any thread ends the run.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use multichat::client::{Client, Content, Event, Relay, Timeouts};
use multichat::ids::Uid;
use multichat::server::{Config, Server};
use multichat::text::Extension;

/// How long anything may take that should come at once.
const DEADLINE: Duration = Duration::from_secs(20);
const TIMEOUTS: Timeouts = Timeouts { connect: DEADLINE, answer: DEADLINE };

/// In the input, the byte before one of these; any other byte behind it, and both are sent.
const STEP: u8 = 0xff;
const END_INPUT: u8 = 0;
const RESET: u8 = 1;
const CLOSE: u8 = 2;
const ONE_MORE: u8 = 3;
const READ: u8 = 4;
const CONVERSE: u8 = 5;

/// The bytes are sent as they are, and [`STEP`] says what happens in between.
pub(crate) fn run(data: &[u8]) {
    static ROOM: Mutex<Option<Room>> = Mutex::new(None);
    ROOM.lock().expect("nothing has failed before").get_or_insert_with(Room::open).face(data);
}

struct Room {
    address: SocketAddr,
    ann: Friend,
    tom: Friend,
    /// How many conversations there were.
    said: u64,
    _server: Server,
}

impl Room {
    fn open() -> Room {
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            stage_limit: 64 << 10,
            max_text: 1000,
            max_file: 10_000,
            queue_limit: 16 << 10,
            stall_timeout: Duration::from_secs(2),
            ..Config::default()
        };
        let server = Server::bind(config).expect("listen");
        server.run().expect("accept");
        let address = server.addresses().next().expect("an address");
        let (ann, tom) = (Friend::join(address, 1), Friend::join(address, 2));
        Room { address, ann, tom, said: 0, _server: server }
    }

    fn face(&mut self, data: &[u8]) {
        let mut strangers = vec![come(self.address)];
        let mut rest = data;
        while let Some(at) = rest.iter().position(|&byte| byte == STEP) {
            send(&strangers, &rest[..at]);
            let (step, behind) = rest[at..].split_at(rest.len().min(at + 2) - at);
            rest = behind;
            match step[1..] {
                [END_INPUT] => {
                    // Fails where the server has closed the connection already.
                    let _ = strangers.last().map(|stranger| stranger.shutdown(Shutdown::Write));
                }
                [RESET] => reset(strangers.pop()),
                [CLOSE] => drop(strangers.pop()),
                [ONE_MORE] => {}
                [READ] => read_some(&strangers),
                [CONVERSE] => self.converse(),
                _ => send(&strangers, step),
            }
            if matches!(step[1..], [RESET | CLOSE | ONE_MORE]) && strangers.len() < 4 {
                strangers.push(come(self.address));
            }
        }
        send(&strangers, rest);
        drop(strangers);
        // Whoever connected before it has joined before it.
        let usher = Client::connect(&[self.address], TIMEOUTS, |_| {}).expect("connect");
        usher.own_uid().expect("an answer");
        drop(usher);
        let alone = || self.ann.uids() == "1\n2\n";
        assert!(soon(alone), "the strangers have not left: {}", self.ann.uids());
        self.converse();
        self.exchange_file();
        assert_eq!(self.ann.heard, self.tom.heard, "Ann and Tom have not seen the same");
        self.ann.heard.clear();
        self.tom.heard.clear();
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
        let shared =
            self.ann.client.share(Some(Uid(2)), &extension, &mut &bytes[..], 8, &mut |_| {});
        let id = shared.expect("a share");
        let relay = self.tom.next();
        assert_eq!((relay.from, relay.content), (Uid(1), Content::File(id)));
        let fetched = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink(Arc::clone(&fetched));
        self.tom.client.fetch(id, move |_, _| Ok(Box::new(sink))).expect("a fetch");
        assert_eq!(*fetched.lock().expect("the sink has not failed"), bytes);
    }
}

/// A client that keeps to the protocol.
struct Friend {
    client: Client,
    events: Receiver<Event>,
    /// What strangers have said to all.
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
            match self.events.recv_timeout(DEADLINE).expect("a message") {
                Event::Relay(relay) if relay.from <= Uid(2) => return relay,
                Event::Relay(relay) => {
                    expect_harmless(&relay);
                    if relay.to.is_none() {
                        self.heard.push(relay);
                    }
                }
                other => panic!("{other:?}"),
            }
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
    }
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

fn come(address: SocketAddr) -> TcpStream {
    let stranger = TcpStream::connect(address).expect("connect");
    stranger.set_nodelay(true).expect("set an option");
    stranger.set_nonblocking(true).expect("set an option");
    stranger
}

/// Sends what the connection of the stranger who came last takes now.
fn send(strangers: &[TcpStream], bytes: &[u8]) {
    if let Some(mut stranger) = strangers.last() {
        let _ = stranger.write_all(bytes);
    }
}

fn read_some(strangers: &[TcpStream]) {
    if let Some(mut stranger) = strangers.last() {
        let _ = stranger.read(&mut [0; 4096]);
    }
}

/// Closes a connection with a reset.
fn reset(stranger: Option<TcpStream>) {
    if let Some(stranger) = stranger {
        socket2::SockRef::from(&stranger).set_linger(Some(Duration::ZERO)).expect("set an option");
    }
}

/// Waits for something that has to be so soon; `false` if it is not.
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
