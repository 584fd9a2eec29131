//! Chaos: clients that chat, share, fetch, half-close, reset, stall, flood, storm, send garbage, vanish
//! and are kicked, at random, while observers watch and a person types a line now and then; and what must be
//! true at the end whatever they did.
//!
//! Seeded: `CHAOS_SEED=…` repeats what each client does (not how the system schedules them), and
//! `CHAOS_SECONDS=…` how long; `make chaos` runs it for a minute.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{LONG_DEADLINE, Peer, Server, ServerMessage, chat, message, pattern};
use crate::operator::Room;

const CLIENTS: u64 = 24;
const OBSERVERS: usize = 3;

const QUEUE_LIMIT: u64 = 256 << 10;

/// What a client may cost beside its queue: its buffers, a text that is arriving, its threads.
const FIXED_COST: u64 = 256 << 10;

/// How long an answer to the person who types may take beside what it takes in an empty room on the
/// same machine: less than a queue can stay over its limit, or a share lasts, which is 3 s here.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A small generator of numbers that can be repeated (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// What was said and confirmed: the texts of each sender, in order.
type Confirmed = Arc<Mutex<HashMap<String, Vec<String>>>>;

/// One client that comes, does something, and goes, again and again.
struct Client {
    number: u64,
    dice: Dice,
    lives: u64,
    confirmed: Confirmed,
}

impl Client {
    fn live(&mut self, room: &Room) {
        let server = &room.server;
        self.lives += 1;
        match self.dice.below(14) {
            0..=2 => self.talk(server),
            3 => self.share_and_fetch(server),
            4 => self.end_input_early(server),
            5 => self.reset_anywhere(server),
            6 => self.send_garbage(server),
            7 => self.stop_reading(server),
            8 => self.vanish_inside(server),
            9 => self.shout_and_reset(server),
            10 => self.flood(server),
            11 => self.fetch_slowly(server),
            12 => self.get_kicked(room),
            _ => self.talk_in_private(server),
        }
    }

    fn name(&self) -> String {
        format!("{}.{}", self.number, self.lives)
    }

    fn confirm(&self, text: String) {
        let mut confirmed = self.confirmed.lock().expect("no client has panicked");
        confirmed.entry(self.name()).or_default().push(text);
    }

    fn texts(&mut self) -> Vec<String> {
        let name = self.name();
        (0..1 + self.dice.below(30)).map(|count| format!("{name} {count}")).collect()
    }

    /// Says something, now and then all at once; every message gets its response, in order. Some
    /// ask for more than the draft has.
    fn talk(&mut self, server: &Server) {
        let mut peer = server.join();
        if self.dice.below(2) == 0 {
            peer.query("extended").ok();
            peer.query("history 10").ok();
        }
        peer.set_nickname(self.name()).ok();
        let texts = self.texts();
        let all: Vec<u8> = (0..).zip(&texts).flat_map(|(id, text)| chat(id, text)).collect();
        peer.send(&all);
        for (id, text) in (0..).zip(texts) {
            assert_eq!(peer.response().ok().number("Message-ID"), id);
            self.confirm(text);
        }
        if self.dice.below(2) == 0 {
            peer.send("Message-Type bye\nMessage-ID 1\n\n");
        }
    }

    fn talk_in_private(&mut self, server: &Server) {
        let mut peer = server.join();
        for uid in peer.uids() {
            let told = peer.say_to(uid, "in private");
            // It may have left meanwhile, and then that is what is told.
            assert!(told.field("Status") == "Ok" || told.reason().contains("has left"), "{told:?}");
        }
    }

    fn share_and_fetch(&mut self, server: &Server) {
        let mut peer = server.join();
        let len = [0, 1, 1000, 100_000][self.dice.below(4) as usize];
        let content = pattern(self.number as u32, len);
        let id = peer.share("bin", &content).ok().number("File-ID");
        assert!(peer.fetch(id).ok().body == content, "file {id} has changed");
    }

    fn end_input_early(&mut self, server: &Server) {
        let mut peer = server.connect();
        let texts = self.texts();
        let all: Vec<u8> = (0..).zip(&texts).flat_map(|(id, text)| chat(id, text)).collect();
        peer.send(&all);
        peer.end_input();
        let responses = peer.messages_to_end().into_iter().filter(|got| got.is_response());
        for (response, text) in responses.zip(&texts) {
            response.ok();
            self.confirm(text.clone());
        }
    }

    fn reset_anywhere(&mut self, server: &Server) {
        let mut peer = server.connect();
        let whole = message("Message-Type chat\nMessage-ID 1\nContent-Type bin", pattern(1, 5000));
        let end = self.dice.below(whole.len() as u64) as usize;
        peer.try_send(&whole[..end]);
        peer.reset();
    }

    fn send_garbage(&mut self, server: &Server) {
        let mut peer = server.connect();
        let len = self.dice.below(2000) as usize;
        // No message begins so, whatever comes after it.
        peer.try_send(b"?");
        peer.try_send(pattern(self.dice.below(1 << 30) as u32, len));
        peer.try_send(b"\n");
        let got = peer.read_to_any_end();
        assert!(got.windows(12).any(|part| part == b"Status Error"), "{}", got.escape_ascii());
    }

    /// Asks for much and reads nothing of it, and is gone before or after it is cut off.
    fn stop_reading(&mut self, server: &Server) {
        let mut peer = Peer::connect_with_small_buffer(server.address);
        let asks = b"Message-Type query\nMessage-ID 1\n\n".repeat(500);
        for _ in 0..self.dice.below(20) {
            if !peer.try_send(&asks) {
                break;
            }
        }
    }

    /// Says something long to all, and is gone before it is answered; again and again.
    fn shout_and_reset(&mut self, server: &Server) {
        for nth in 0..self.dice.below(20) {
            let mut peer = server.connect();
            let text = format!("{} {nth} {}", self.name(), "x".repeat(20_000));
            peer.try_send(chat(nth, text));
            peer.reset();
        }
    }

    /// Talks to all as fast as it can, reading its responses.
    fn flood(&mut self, server: &Server) {
        let mut peer = server.join();
        peer.deadline = LONG_DEADLINE;
        let text = |nth: u64| format!("{} flood {nth} {}", self.name(), "x".repeat(5000));
        let texts: Vec<_> = (0..1 + self.dice.0 % 60).map(text).collect();
        let all: Vec<u8> = (0..).zip(&texts).flat_map(|(id, text)| chat(id, text)).collect();
        let responses = texts.len();
        let came = thread::scope(|scope| {
            let mut writer = peer.writer();
            scope.spawn(move || std::io::Write::write_all(&mut writer, &all));
            (0..responses).map(|_| peer.response()).collect::<Vec<_>>()
        });
        came.into_iter().for_each(|response| drop(response.ok()));
        texts.into_iter().for_each(|text| self.confirm(text));
    }

    /// Fetches a file, reads little of it, and talks to itself meanwhile.
    fn fetch_slowly(&mut self, server: &Server) {
        let mut peer = server.join();
        let id = peer.share("bin", pattern(self.number as u32, 2_000_000)).ok().number("File-ID");
        let mut peer = server.join_with_small_buffer();
        peer.try_send(message("Message-Type fetch\nMessage-ID 1", id.to_string()));
        let note =
            message(&format!("Message-Type chat\nMessage-ID 1\nTo {}", peer.uid), "x".repeat(9000));
        let mut writer = peer.writer();
        writer.set_write_timeout(Some(Duration::from_millis(300))).expect("set a write timeout");
        for _ in 0..self.dice.below(60) {
            if std::io::Write::write_all(&mut writer, &note).is_err() || !peer.read_some(1000) {
                break;
            }
        }
    }

    /// Is removed by the operator in the midst of something; it can read why, and what had been
    /// answered by then was relayed.
    fn get_kicked(&mut self, room: &Room) {
        let mut peer = room.server.join();
        peer.deadline = LONG_DEADLINE;
        peer.set_nickname(self.name()).ok();
        let text = |nth: u64| format!("{} kicked {nth} {}", self.name(), "x".repeat(2000));
        let texts: Vec<_> = (0..self.dice.0 % 100).map(text).collect();
        let all: Vec<u8> = (0..).zip(&texts).flat_map(|(id, text)| chat(id, text)).collect();
        let end = self.dice.below(all.len() as u64 + 1) as usize;
        let got = thread::scope(|scope| {
            let mut writer = peer.writer();
            scope.spawn(move || std::io::Write::write_all(&mut writer, &all[..end]));
            let kicked = room.operator().ask(&format!("kick {} {}", peer.uid, self.name()));
            kicked.expect("it is here until then");
            peer.messages_to_any_end()
        });
        let mut responses: Vec<_> = got.into_iter().filter(|got| got.is_response()).collect();
        let last = responses.pop().expect("the operator's word");
        assert_eq!(last.reason(), format!("the operator has removed you: {}", self.name()));
        for (response, text) in responses.into_iter().zip(texts) {
            response.ok();
            self.confirm(text);
        }
    }

    fn vanish_inside(&mut self, server: &Server) {
        let mut peer = server.connect();
        peer.try_send(
            "Message-Type chat\nMessage-ID 1\nContent-Type bin\nContent-Length 100000\n\nx",
        );
    }
}

/// Reads everything until it is told to stop, and then all that was queued by then: public texts.
fn observe(mut peer: Peer, stop: &AtomicBool) -> Vec<String> {
    peer.deadline = LONG_DEADLINE;
    let mut texts = Vec::new();
    loop {
        let last = stop.load(Ordering::SeqCst);
        let relays = peer.sync();
        assert!(relays.iter().all(|relay| !relay.has("Time")), "it has not asked for it");
        texts.extend(public_texts(&relays));
        if last {
            return texts;
        }
    }
}

fn public_texts(relays: &[ServerMessage]) -> Vec<String> {
    let is_text = |relay: &&ServerMessage| {
        let is_chat = relay.field("Message-Type") == "chat";
        is_chat && !relay.has("To") && !relay.has("File-ID")
    };
    relays.iter().filter(is_text).map(|relay| relay.text().to_owned()).collect()
}

/// The same in the extended form: there is no gap, and notices stand where they belong.
fn observe_extended(mut peer: Peer, stop: &AtomicBool) -> Vec<String> {
    peer.deadline = LONG_DEADLINE;
    let (mut texts, mut last_number) = (Vec::new(), None);
    let mut names: HashMap<u64, String> = HashMap::new();
    loop {
        let last = stop.load(Ordering::SeqCst);
        let relays = peer.sync();
        for relay in &relays {
            let from = relay.number("From");
            let name = relay.has("Sender-Nickname").then(|| relay.field("Sender-Nickname"));
            if relay.field("Message-Type") == "notice" {
                let (news, name) = (relay.text().trim_end(), name.expect("a name").to_owned());
                let known = match news.strip_prefix("nickname ") {
                    _ if news == "joined" => names.insert(from, name.clone()).is_none(),
                    Some(new) => names.insert(from, new.to_owned()) == Some(name),
                    None => names.remove(&from) == Some(name),
                };
                assert!(known, "client {from} {news}");
            } else {
                assert_eq!(names.get(&from).map(String::as_str), name, "{relay:?}");
                let number = relay.has("Sequence").then(|| relay.number("Sequence"));
                let is_next = last_number.is_none_or(|last| number.is_none_or(|n| n == last + 1));
                assert!(is_next, "{number:?} behind {last_number:?}");
                last_number = number.or(last_number);
            }
        }
        texts.extend(public_texts(&relays));
        if last {
            return texts;
        }
    }
}

/// Lets others stop when dropped.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Says a line every half second until it is told to stop; returns how long the slowest answer
/// took.
fn type_lines(mut person: Peer, stop: &AtomicBool) -> Duration {
    person.deadline = LONG_DEADLINE;
    let clock = crossbeam_channel::tick(Duration::from_millis(100));
    let mut slowest = Duration::ZERO;
    while !stop.load(Ordering::SeqCst) {
        // Reads all the time: what others say is not to wait before the answer.
        for _ in 0..5 {
            clock.recv().expect("a clock ticks for ever");
            person.sync();
        }
        // So seldom that it is within the smallest share there is, 1 KiB in a stall timeout: it is
        // never held, however many there are and whatever they do.
        let asked = Instant::now();
        person.say("typing a line").ok();
        slowest = slowest.max(asked.elapsed());
    }
    slowest
}

#[test]
fn whatever_clients_do_order_completeness_and_the_server_remain() {
    let seed = setting("CHAOS_SEED", 20_181_016);
    let time = Duration::from_secs(setting("CHAOS_SECONDS", 3));
    eprintln!("CHAOS_SEED={seed} CHAOS_SECONDS={}", time.as_secs());
    let room = Room::with(&["--quiet", "--stall-timeout", "3", "--queue-limit", "256k"]);
    let server = &room.server;
    // What the machine itself costs, busy as it is.
    let empty = Server::with(&["--quiet"]);
    // For the first client that is kicked the server opens what it keeps.
    let threads = server.threads();
    let mut first = server.join();
    room.operator().ask("kick 1 bye").expect("it is here");
    first.read_to_any_end();
    server.wait_until("the first one has gone", || server.threads() == threads);
    let before = server.memory("VmHWM");
    let idle = (server.open_files(), server.threads());
    // Before the observers, who are to hear the last line as well.
    let (typed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let confirmed = Confirmed::default();
    let (lives, slowest, slowest_in_empty_room) = thread::scope(|scope| {
        // Whatever comes of this, nobody is waited for in vain.
        let _typed = SetOnDrop(&typed);
        let _stop = SetOnDrop(&stop);
        let observers: Vec<_> = (0..OBSERVERS)
            .map(|_| {
                let (peer, stop) = (server.join(), &stop);
                scope.spawn(move || observe(peer, stop))
            })
            .collect();
        let extended = {
            let (mut peer, stop) = (server.join(), &stop);
            peer.query("extended").ok();
            scope.spawn(move || observe_extended(peer, stop))
        };
        let typing = {
            let (person, typed) = (server.join(), &typed);
            scope.spawn(move || type_lines(person, typed))
        };
        let typing_alone = {
            let (person, typed) = (empty.join(), &typed);
            scope.spawn(move || type_lines(person, typed))
        };
        let begun = Instant::now();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (room, confirmed) = (&room, Arc::clone(&confirmed));
                scope.spawn(move || {
                    let dice = Dice((seed ^ (number + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                    let mut client = Client { number, dice, lives: 0, confirmed };
                    while begun.elapsed() < time {
                        client.live(room);
                    }
                    client.lives
                })
            })
            .collect();
        let lives: u64 = clients.into_iter().map(|client| client.join().expect("a client")).sum();
        typed.store(true, Ordering::SeqCst);
        let slowest = typing.join().expect("the person was answered");
        let alone = typing_alone.join().expect("the person was answered in an empty room");
        let observers = observers.into_iter().chain([extended]);
        // What those who have gone had said is still being carried out.
        server.wait_until("only the observers are here", || {
            room.operator().ok("who").len() <= OBSERVERS + 1
        });
        stop.store(true, Ordering::SeqCst);
        let seen: Vec<_> =
            observers.map(|observer| observer.join().expect("an observer")).collect();
        check(&seen, &confirmed.lock().expect("no client has panicked"));
        (lives, slowest, alone)
    });
    let took = format!(
        "the slowest answer to a line took {slowest:?}, in an empty room {slowest_in_empty_room:?}"
    );
    eprintln!("{took}");
    assert!(slowest < AT_ONCE + slowest_in_empty_room, "{took}");
    let grown = server.memory("VmHWM") - before;
    eprintln!("{lives} lives, {} kB more at the peak", grown >> 10);
    // A client has two connections at the most, of which one is being closed.
    let connections = 2 * CLIENTS + OBSERVERS as u64 + 2;
    let bound = connections * (2 * QUEUE_LIMIT + FIXED_COST);
    assert!(grown < bound, "{} kB more at the peak, not {} kB", grown >> 10, bound >> 10);

    // Nothing is left behind: no thread, no descriptor, no file that did not arrive whole.
    server.wait_until("threads and descriptors are as before", || {
        (server.open_files(), server.threads()) == idle
    });
    let mut last = server.join();
    assert_eq!(last.uids(), [last.uid]);
    let partial = fs::read_dir(server.temp())
        .expect("the temporary directories")
        .flat_map(|dir| fs::read_dir(dir.expect("a directory").path()).expect("the stage"))
        .filter(|entry| {
            let name = entry.as_ref().expect("a file").file_name();
            name.to_string_lossy().starts_with(".arriving")
        });
    assert_eq!(partial.count(), 0);
    assert!(room.server.stop().iter().all(|line| !line.contains("ERROR")));
}

/// One order for all; of each sender everything that was confirmed, once, in order.
fn check(seen: &[Vec<String>], confirmed: &HashMap<String, Vec<String>>) {
    for other in &seen[1..] {
        assert!(other == &seen[0], "two observers saw {} and {}", seen[0].len(), other.len());
    }
    let mut by_sender: HashMap<&str, Vec<&String>> = HashMap::new();
    for text in &seen[0] {
        by_sender.entry(text.split(' ').next().unwrap_or_default()).or_default().push(text);
    }
    for (sender, texts) in confirmed {
        let relayed = by_sender.get(sender.as_str()).map_or(&[][..], Vec::as_slice);
        assert!(relayed.iter().copied().eq(texts), "{sender}: {relayed:?}, not {texts:?}");
    }
}
