//! The client: what was said while there was no connection (E3).

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::fake::Fake;
use super::terminal::{Terminal, peer_called};
use super::{multichat, wait_until};
use crate::common::{LONG_DEADLINE, Process, Server};

/// A way to a server that can be cut: what is under way on it is lost.
struct Cable {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    is_pulled: Arc<AtomicBool>,
}

impl Cable {
    fn to(server: &Server) -> Cable {
        let (to, listener) = (server.address, TcpListener::bind("127.0.0.1:0").expect("listen"));
        let address = listener.local_addr().expect("an address");
        let streams = Arc::new(Mutex::new(Vec::new()));
        let is_pulled = Arc::new(AtomicBool::new(false));
        let (kept, pulled) = (Arc::clone(&streams), Arc::clone(&is_pulled));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if pulled.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect(to).expect("connect to the server");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (clone(from), clone(to));
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                kept.lock().extend([near, far]);
            }
        });
        Cable { address, streams, is_pulled }
    }

    fn cut(&self) {
        for stream in self.streams.lock().drain(..) {
            // The other end may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Cuts it, and closes each new connection until it is put back.
    fn pull(&self) {
        self.is_pulled.store(true, Ordering::SeqCst);
        self.cut();
    }

    fn put_back(&self) {
        self.is_pulled.store(false, Ordering::SeqCst);
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a second handle")
}

/// Says numbers until it is told to stop; how many it has said.
fn flood(server: &Server, name: &str, stop: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let (mut peer, stop) = (peer_called(server, name), Arc::clone(stop));
    thread::spawn(move || {
        let mut said = 0;
        while !stop.load(Ordering::SeqCst) {
            peer.say(said.to_string()).ok();
            said += 1;
            // So that what is said in a second's outage is still kept.
            thread::sleep(Duration::from_millis(2));
        }
        said
    })
}

/// The texts of one sender, as they were printed.
fn texts_of(lines: &[Value], nickname: &str) -> Vec<String> {
    let his = lines.iter().filter(|line| line["nickname"] == nickname);
    his.map(|line| line["text"].as_str().expect("a text").to_string()).collect()
}

fn objects(process: &Process) -> Vec<Value> {
    process.out.seen.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Those numbers must be each one from 0 to the last.
#[track_caller]
fn expect_all(texts: &[String], count: usize) {
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let differs = texts.iter().zip(&expected).position(|(got, expected)| got != expected);
    assert!(
        texts == expected,
        "{} came, of {count}; they differ from {differs:?} on: {:?}",
        texts.len(),
        &texts[differs.unwrap_or(0).saturating_sub(3)..][..6.min(texts.len())]
    );
}

#[test]
fn nothing_is_missed_and_nothing_comes_twice_while_others_flood() {
    // E3; interface, "After a lost connection what was missed is fetched and shown, nothing twice".
    let server = Server::with(&["--history", "100000"]);
    let cable = Cable::to(&server);
    let mut ann = server.join();
    let address = cable.address.to_string();
    // With a history, nothing that arrives is printed before it has joined.
    let arguments = ["--reconnect", "--history", "1", "listen", "--json"];
    let mut listener = Process::spawn(multichat(&address, &arguments));
    // It speaks as well: what is its own has a place in the order too.
    let mut command = multichat(&address, &["--reconnect", "--json", "-n", "Bot"]);
    command.stdin(Stdio::piped());
    let mut bot = Process::spawn(command);
    let mut stdin = bot.stdin();
    wait_until("both are here", || ann.uids().len() == 3);
    ann.say("ready").ok();
    for process in [&mut listener, &mut bot] {
        process.out.wait_for("ready");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let floods = ["Tom", "Eve"].map(|name| flood(&server, name, &stop));
    let mut asked = 0;
    let mut say_and_wait = |bot: &mut Process| {
        for _ in 0..20 {
            writeln!(stdin, "{{\"text\": \"own {asked}.\", \"id\": {asked}}}").expect("ask");
            asked += 1;
        }
        bot.out.wait_for(&format!("\"id\":{},", asked - 1));
    };
    for round in 1..=3 {
        say_and_wait(&mut bot);
        cable.cut();
        for process in [&mut listener, &mut bot] {
            wait_until("it has connected again", || {
                process.log.wait_for("connected again");
                // One line each time.
                process.log.wait_for_line(2 * round);
                true
            });
        }
    }
    say_and_wait(&mut bot);
    stop.store(true, Ordering::SeqCst);
    let counts = floods.map(|flood| flood.join().expect("it was answered"));
    ann.say("the end").ok();
    listener.out.wait_for("the end");
    bot.out.wait_for("the end");

    let (heard, answered) = (objects(&listener), objects(&bot));
    for (name, count) in ["Tom", "Eve"].into_iter().zip(counts) {
        assert!(count > 100, "{count}");
        expect_all(&texts_of(&heard, name), count);
        expect_all(&texts_of(&answered, name), count);
    }
    // Where a place is told, it is the one behind the last: all that is public arrives, in one order.
    let mut place: Option<u64> = None;
    for line in &heard {
        let told = line["sequence"].as_u64();
        place = place.map(|place| place + 1);
        assert!(place.is_none() || told.is_none() || place == told, "not {place:?}: {line}");
        place = place.or(told);
    }
    assert!(place.is_some_and(|place| place as usize >= counts.iter().sum()), "{place:?}");
    // Of its own it hears what was not confirmed alone; the listener hears each once.
    let own = |id: &Value| answered.iter().any(|it| it["id"] == *id && it["status"] == "ok");
    for text in texts_of(&answered, "Bot") {
        let id: u64 = text[4..text.len() - 1].parse().expect("a number");
        assert!(!own(&id.into()), "it had been told that {text} was sent");
    }
    let mut of_bot = texts_of(&heard, "Bot");
    let count = of_bot.len();
    of_bot.dedup();
    assert!(count == of_bot.len() && count >= asked / 2, "{count} of {asked}");
}

#[test]
fn a_place_is_known_also_where_nothing_was_heard() {
    // interface: one that has seen no `Sequence` when the connection is lost knows its place from
    // `history 1`, asked on joining; where nothing was ever said, it is the beginning.
    for said in [0, 5] {
        let server = Server::start();
        let cable = Cable::to(&server);
        let mut tom = peer_called(&server, "Tom");
        (0..said).for_each(|number| drop(tom.say(format!("old {number}")).ok()));
        let (mut process, _stdin) = join_behind(&cable);
        cable.pull();
        wait_until("it is gone", || tom.uids().len() == 1);
        tom.say("missed").ok();
        cable.put_back();
        process.log.wait_for("connected again");
        tom.say("new").ok();
        process.out.wait_for("\"new\"");
        assert_eq!(texts(&process), ["missed", "new"]);
    }
}

/// A program behind a cable, once it has joined; it stays as long as its standard input.
fn join_behind(cable: &Cable) -> (Process, ChildStdin) {
    let mut command = multichat(&cable.address.to_string(), &["--reconnect", "--json"]);
    command.stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    let mut stdin = process.stdin();
    stdin.write_all(b"{\"query\": \"self\"}\n").expect("ask");
    process.out.wait_for("\"response\"");
    (process, stdin)
}

/// What was printed of what others have said.
fn texts(process: &Process) -> Vec<String> {
    let texts =
        objects(process).into_iter().filter_map(|it| it["text"].as_str().map(str::to_string));
    texts.collect()
}

#[test]
fn a_server_that_was_started_again_has_nothing_but_news() {
    // E3: `Sequence` begins again with `started`; what the new server keeps was said meanwhile.
    let mut server = Server::start();
    let address = server.address.to_string();
    let mut tom = peer_called(&server, "Tom");
    // With a history, nothing that arrives is printed before it has joined.
    let arguments = ["--reconnect", "--history", "1", "listen", "--count", "4"];
    let mut process = Process::spawn(multichat(&address, &arguments));
    wait_until("it has joined", || tom.uids().len() == 2);
    for text in ["one", "two"] {
        tom.say(text).ok();
        process.out.wait_for(text);
    }
    drop(tom);
    server.kill();
    process.log.wait_for("trying again in 1 s");
    let again = Server::with(&["--listen", &address]);
    let mut tom = peer_called(&again, "Tom");
    // The client may be back before or behind it: it is told once in any case.
    tom.say("meanwhile").ok();
    process.log.wait_for("connected again");
    tom.say("since then").ok();
    assert!(process.wait(LONG_DEADLINE).success());
    let heard: Vec<&str> =
        process.out.seen.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(heard, ["one", "two", "meanwhile", "since then"]);
}

#[test]
fn what_the_server_no_longer_keeps_is_counted() {
    // E3: it misses nothing that is still kept. That there is a gap is said.
    let server = Server::with(&["--history", "2"]);
    let cable = Cable::to(&server);
    let mut tom = peer_called(&server, "Tom");
    let (mut process, _stdin) = join_behind(&cable);
    tom.say("first").ok();
    process.out.wait_for("first");
    cable.pull();
    wait_until("it is gone", || tom.uids().len() == 1);
    for number in 1..=5 {
        tom.say(format!("missed {number}")).ok();
    }
    cable.put_back();
    process.log.wait_for("3 messages were missed that the server no longer keeps");
    process.out.wait_for("missed 5");
    assert_eq!(texts(&process), ["first", "missed 4", "missed 5"]);
}

#[test]
fn on_a_terminal_what_was_missed_is_shown_once() {
    // interface: after a lost connection what was missed is fetched and shown, nothing twice, one's
    // own neither.
    let server = Server::start();
    let cable = Cable::to(&server);
    let mut tom = peer_called(&server, "Tom");
    tom.say("of old").ok();
    let mut terminal = Terminal::start_at(cable.address, &["-n", "Ann"], &[]);
    terminal.wait_for("/help tells");
    terminal.wait_for("1 Tom: of old");
    terminal.type_in("my own words\r");
    assert_eq!(tom.relay().text(), "my own words");
    tom.say("first").ok();
    terminal.wait_for("1 Tom: first");
    cable.pull();
    terminal.wait_for("trying again in 1 s");
    wait_until("she is gone", || tom.uids().len() == 1);
    tom.say("Ann, where are you?").ok();
    tom.share("pdf", "content").ok();
    cable.put_back();
    terminal.wait_for("connected again");
    terminal.wait_for("1 Tom: Ann, where are you?\n");
    terminal.wait_for("1 Tom shared file 1 (pdf, 7 bytes)\n");
    tom.say("there you are").ok();
    terminal.wait_for("1 Tom: there you are");
    let text = terminal.text();
    for part in ["of old", "my own words", "first", "where are you?", "there you are"] {
        assert_eq!(text.matches(part).count(), 1, "{part}:\n{text}");
    }
    // It is news: not dimmed, and it rings.
    let came = String::from_utf8_lossy(&terminal.came).into_owned();
    let missed = came.lines().find(|line| line.contains("where are you?")).expect("the line");
    assert!(missed.contains("\x1b[7mAnn\x1b[0m, where") && came.contains('\x07'), "{missed:?}");
}

#[test]
fn a_connection_that_breaks_before_the_history_is_answered_loses_nothing() {
    // A server that has answered a question does not close over the next one: it is the connection.
    let relay = |sequence: u64, text: &str| {
        let time = "2026-11-26T09:41:00.123Z";
        let len = text.len();
        format!(
            "Message-Type chat\r\nFrom 7\r\nSequence {sequence}\r\nTime {time}\r\nContent-Type text\r\n\
             Content-Length {len}\r\n\r\n{text}"
        )
    };
    let connections = AtomicUsize::new(0);
    let address = Fake::serve(move |fake| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        while let Some(asked) = fake.next() {
            let is_history = asked.text().starts_with("history ");
            let answer = match asked.text() {
                "features" => {
                    "extended\nhistory 100\nstarted 2026-11-26T09:00:00.000Z\n".to_string()
                }
                "extended" => "extended\n".to_string(),
                "history 100 after 1" if number == 1 => return,
                "history 100 after 1" => relay(2, "two") + &relay(3, "three"),
                _ if is_history => String::new(),
                _ => "9\n".to_string(),
            };
            fake.respond(&asked, "Ok", &answer);
            if is_history && number == 0 {
                fake.send(relay(1, "one"));
                return;
            }
        }
    });
    let listen = ["--reconnect", "--history", "20", "listen", "--count", "3"];
    let mut process = Process::spawn(multichat(&address.to_string(), &listen));
    assert!(process.wait(LONG_DEADLINE).success(), "{:?}", process.log.seen);
    assert_eq!(process.out.seen, ["7: one", "7: two", "7: three"]);
}
