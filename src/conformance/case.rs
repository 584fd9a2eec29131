//! What one rule is given: a server, connections to it, and words of its own to say.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::{Finding, Record};
use super::message::{Message, Parsed};
use super::peer::{Needs, Peer, Terms};
use super::request::{LINE_ENDINGS, Request};

/// A rule ends after so many steps' time, however many steps it has.
const STEPS: u32 = 4;

/// How often a client is looked for in a room where others come and go.
const ATTEMPTS: usize = 10;

/// How long is waited before a server is asked again what it has not noticed yet.
const POLL: Duration = Duration::from_millis(10);

/// How a check goes on, or why it does not.
pub type Check<T = ()> = Result<T, Stop>;

/// Why a check ends early.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The rule is broken.
    Broken(Finding),
    /// What the rule rests on, another rule, does not hold.
    Unmet(&'static str, Finding),
    /// The rule cannot be checked here, and why.
    Skip(String),
}

/// Which server, and how patient to be with it.
#[derive(Clone, Debug)]
pub struct Target {
    /// All that its name stands for.
    pub addresses: Vec<SocketAddr>,
    /// How long one step may take.
    pub timeout: Duration,
}

impl Target {
    /// Whether anybody answers there, if only with a reset.
    ///
    /// # Errors
    /// Where nobody does.
    pub fn is_reachable(&self) -> io::Result<()> {
        match self.connect() {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(()),
        }
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// What the last one said.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, self.timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// What the draft leaves to a server, and all rules have to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The line ending that it understands: what is sent to it, but where a rule is about endings.
    pub ending: &'static str,
    /// Whether its response to a chat has the `Content-Length` of §3.1.3 and no body.
    pub is_ok_bare: bool,
}

/// A server under test, and what was learnt of it.
#[derive(Debug)]
pub struct ServerUnderTest {
    target: Target,
    dialect: Dialect,
    features: OnceCell<Vec<(String, String)>>,
    /// Whether it has closed behind every bye so far.
    is_patient: Rc<Cell<bool>>,
    /// The rules that were found broken so far or rest on one that was, and that one.
    broken: RefCell<Vec<(&'static str, &'static str)>>,
}

impl ServerUnderTest {
    /// Learns the server's dialect, in a step or a few.
    pub fn probe(target: Target) -> ServerUnderTest {
        let dialect = Dialect { ending: LINE_ENDINGS[0], is_ok_bare: false };
        let mut server = ServerUnderTest {
            target,
            dialect,
            features: OnceCell::new(),
            is_patient: Rc::new(Cell::new(true)),
            broken: RefCell::default(),
        };
        for ending in LINE_ENDINGS {
            server.dialect.ending = ending;
            if server.case().join().is_ok() {
                server.dialect.is_ok_bare = server.case().is_ok_bare().unwrap_or(false);
                return server;
            }
        }
        server.dialect = dialect;
        server
    }

    /// Notes that a rule is broken: `root` is itself, or the one that it rests on.
    pub fn note_broken(&self, rule: &'static str, root: &'static str) {
        self.broken.borrow_mut().push((rule, root));
    }

    /// The broken rule that is this one, or that it rests on.
    pub fn root_of(&self, rule: &str) -> Option<&'static str> {
        self.broken.borrow().iter().find(|(broken, _)| *broken == rule).map(|(_, root)| *root)
    }

    /// A case for one rule.
    pub fn case(&self) -> Case<'_> {
        Case {
            server: self,
            record: Rc::default(),
            rule_end: Instant::now() + self.target.timeout * STEPS,
        }
    }
}

/// One rule's run.
#[derive(Debug)]
pub struct Case<'a> {
    server: &'a ServerUnderTest,
    record: Rc<RefCell<Record>>,
    rule_end: Instant,
}

impl Case<'_> {
    /// Connects, and says nothing yet.
    ///
    /// # Errors
    /// Where no connection can be made.
    pub fn connect(&self) -> Check<Peer> {
        let ServerUnderTest { target, dialect, is_patient, .. } = self.server;
        let terms = Terms {
            record: Rc::clone(&self.record),
            dialect: *dialect,
            timeout: target.timeout,
            rule_end: self.rule_end,
            is_patient: Rc::clone(is_patient),
        };
        let connected = target.connect().and_then(|stream| Peer::new(stream, terms));
        connected.map_err(|error| {
            let got = format!("no connection: {error}");
            Stop::Broken(self.record.borrow().finding('A', &got, "a connection"))
        })
    }

    /// Joins the session: connects and sends a query (§2.3.1.2).
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn join(&self) -> Check<Peer> {
        let is_first = self.record.borrow().peers() == 0;
        let rule = if is_first { "query-answered" } else { "several-clients" };
        // It would hang here again, or whatever it did, in every rule.
        self.rests_on(rule)?;
        let joined = self.connect().and_then(|mut peer| {
            peer.ask_ok(&Request::query())?;
            Ok(peer)
        });
        joined.needs(rule)
    }

    /// Skips a rule where one that it rests on is known to be broken: what would be waited for in vain.
    ///
    /// # Errors
    /// Where it is.
    pub fn rests_on(&self, rule: &'static str) -> Check {
        if self.server.root_of(rule).is_some() {
            let finding = self.record.borrow().finding('A', "what it got before", rule);
            return Err(Stop::Unmet(rule, finding));
        }
        Ok(())
    }

    /// Two clients that have joined.
    ///
    /// # Errors
    /// Where one of them cannot.
    pub fn pair(&self) -> Check<(Peer, Peer)> {
        Ok((self.join()?, self.join()?))
    }

    /// A client whose UID is known: what `watcher` is told before and after it joins differs in it.
    ///
    /// # Errors
    /// Where it does not, or the room is too busy to tell.
    pub fn join_known(&self, watcher: &mut Peer) -> Check<Peer> {
        for _ in 0..ATTEMPTS {
            let before = watcher.uids().needs("query-answered")?;
            let mut peer = self.join()?;
            let after = watcher.uids().needs("query-answered")?;
            let new: Vec<_> = after.iter().filter(|uid| !before.contains(uid)).collect();
            match new[..] {
                [uid] => {
                    peer.uid = uid.clone();
                    return Ok(peer);
                }
                [] => {
                    let got = format!("before: {}; after: {}", before.join(" "), after.join(" "));
                    let want = "one UID more once another client has joined";
                    return Err(watcher.broken(&got, want)).needs("uid-assigned");
                }
                _ => {}
            }
        }
        Err(Stop::Skip("so many others come and go that no UID can be told apart".to_owned()))
    }

    /// Two clients whose UIDs are known, and a third one.
    ///
    /// # Errors
    /// Where one of them cannot join.
    pub fn known(&self) -> Check<(Peer, Peer, Peer)> {
        let mut watcher = self.join()?;
        let first = self.join_known(&mut watcher)?;
        let second = self.join_known(&mut watcher)?;
        Ok((first, second, watcher))
    }

    /// Makes sure that this client is the only one in the room, as its own query tells.
    ///
    /// # Errors
    /// Where others stay: the rule is skipped.
    pub fn alone(&self, client: &mut Peer) -> Check {
        let until = Instant::now() + self.server.target.timeout / 2;
        loop {
            let listed = client.uids().needs("query-answered")?;
            if listed.len() <= 1 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(Stop::Skip(format!("{} clients are in the room", listed.len())));
            }
            // Those of the rule before may still be leaving.
            thread::sleep(POLL);
        }
    }

    /// Tries until it is so, for a step's time: for what a server may take a moment to notice.
    ///
    /// # Errors
    /// What was found last.
    pub fn until<T>(&self, mut attempt: impl FnMut() -> Check<T>) -> Check<T> {
        let until = Instant::now() + self.server.target.timeout;
        loop {
            match attempt() {
                Ok(found) => return Ok(found),
                Err(stop) if Instant::now() > until => return Err(stop),
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// A text that nobody else says.
    pub fn text(&self) -> String {
        format!("check {:x}.{}", std::process::id(), next_number())
    }

    /// The content of a file that nobody else shares: all byte values, and a length of its own.
    pub fn file(&self) -> Vec<u8> {
        let number = next_number();
        let len = 600 + (std::process::id() as usize * 7919 + number * 131) % 3_500;
        // What could be mistaken for the end of a header, or of a text, is within.
        let bytes = b"\r\n\r\n\0\n".iter().copied();
        bytes.chain((6..len).map(|at| ((at + number) % 256) as u8)).collect()
    }

    /// The line ending that this server understands.
    pub fn ending(&self) -> &'static str {
        self.server.dialect.ending
    }

    /// A filename extension that nobody else uses.
    pub fn extension(&self) -> String {
        format!("x{:x}-{}", std::process::id(), next_number())
    }

    /// A UID that nobody has.
    pub fn nobody(&self) -> &'static str {
        "999999999"
    }

    /// The value of one of the server's `features` (E1); an empty one where it has none.
    ///
    /// # Errors
    /// Where the server does not list it: the rule is skipped.
    pub fn feature(&self, name: &str) -> Check<String> {
        let features = self.server.features.get_or_init(|| self.features().unwrap_or_default());
        match features.iter().find(|(feature, _)| feature == name) {
            Some((_, value)) => Ok(value.clone()),
            None if features.is_empty() => Err(Stop::Skip("the server has no features".to_owned())),
            None => Err(Stop::Skip("the server does not list it in features".to_owned())),
        }
    }

    fn features(&self) -> Check<Vec<(String, String)>> {
        let mut peer = self.server.case().join()?;
        let response = peer.ask_ok(&Request::query_for("features"))?;
        let text = response.text();
        let entry = |line: &str| {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        };
        Ok(text.lines().map(entry).collect())
    }

    /// A limit that the server tells of, or the usual one.
    pub fn limit(&self, name: &str, usual: u64) -> u64 {
        self.feature(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
    }

    /// Whether the response to a chat is followed at once by the next one, whatever its length says.
    fn is_ok_bare(&self) -> Check<bool> {
        let mut peer = self.join()?;
        let flight =
            [peer.encode(&Request::chat("How are you?")), peer.encode(&Request::query())].concat();
        peer.send(flight);
        while let Ok(came) = peer.more() {
            for is_bare in [false, true] {
                if responses(came, is_bare) == 2 {
                    return Ok(is_bare);
                }
            }
        }
        Ok(false)
    }
}

fn responses(mut bytes: &[u8], is_ok_bare: bool) -> usize {
    let mut count = 0;
    while let Parsed::Whole(message, used) = Message::parse(bytes, is_ok_bare) {
        bytes = &bytes[used..];
        count += usize::from(message.is_response());
    }
    count
}

/// A number that no other rule of this process gets.
fn next_number() -> usize {
    static NUMBERS: AtomicUsize = AtomicUsize::new(1);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}
