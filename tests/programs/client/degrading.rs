//! The client with servers that know less: of the draft alone, or closing over what they do not know.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::fake::Fake;
use super::terminal::Terminal;
use super::{Output, multichat, names_in};
use crate::common::{DEADLINE, Peer, Process, ok_response};
use crate::lesson_server::draft;
use crate::lesson_server::faults::Faults;

/// A server of the draft alone.
fn draft_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address");
    let room = std::sync::Mutex::new(draft::Room::default());
    let server = Arc::new(draft::Server { room, faults: Faults::new(""), extras: None });
    thread::spawn(move || server.run(&listener));
    address
}

/// A server that closes the connection over a query with a body, and says hi to everybody; what was
/// said, and to which client, and how many connections there were.
fn curt_server() -> (SocketAddr, Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let connections = Arc::new(AtomicUsize::new(0));
    let (heard, counted) = (Arc::clone(&said), Arc::clone(&connections));
    let address = Fake::serve(move |client| {
        counted.fetch_add(1, Ordering::SeqCst);
        while let Some(asked) = client.next() {
            match (asked.message_type.as_str(), asked.body.as_slice()) {
                ("query", b"") => client.respond(&asked, "Ok", "7\n9\n"),
                ("query", _) | ("bye", _) => return,
                ("chat", _) => {
                    let to = asked.field("To").map(|to| format!(" to {to}")).unwrap_or_default();
                    assert_eq!(asked.field("File-Name"), None);
                    heard.lock().push(format!("{}{to}", asked.text()));
                    client.send(ok_response("chat", asked.id, "").replacen(
                        "Content",
                        "File-ID 3\r\nContent",
                        1,
                    ));
                    client.send(
                        "Message-Type chat\r\nFrom 9\r\nSender-Nickname Tom\r\nContent-Type text\r\n\
                         Content-Length 2\r\n\r\nhi",
                    );
                }
                ("fetch", _) => client.send(format!(
                    "Status Ok\r\nMessage-Type fetch\r\nMessage-ID {}\r\nContent-Type jpg\r\n\
                     Content-Length 4\r\n\r\nfile",
                    asked.id
                )),
                _ => client.respond(&asked, "Ok", asked.text()),
            }
        }
    });
    (address, said, connections)
}

#[test]
fn a_server_of_the_draft_gets_nothing_that_it_does_not_know() {
    // interface: all of it degrades silently on a server of the draft.
    let address = draft_server();
    let server = address.to_string();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("cat.jpg"), "meow").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = multichat(&server, arguments);
        command.current_dir(dir.path());
        Output::of(command)
    };
    assert_eq!(run(&["share", "cat.jpg"]).ok().len(), 1);
    assert_eq!(run(&["fetch", "1"]).ok(), ["1.jpg"]);
    assert_eq!(names_in(dir.path()), ["1.jpg", "cat.jpg"]);
    assert_eq!(run(&["who"]).ok().len(), 1);
    assert!(run(&["send", "hi"]).ok().is_empty());
    assert!(run(&["--history", "5", "--notices"]).ok().is_empty());
    assert!(run(&["--history", "5", "--json"]).ok().is_empty());

    let mut listener = Process::spawn(multichat(
        &server,
        &["--history", "5", "--notices", "listen", "--count", "1"],
    ));
    let mut terminal = Terminal::start_at(address, &["-n", "Ann"], &[]);
    terminal.wait_for("/help tells");
    let mut tom = Peer::connect(address);
    tom.set_nickname("Tom").ok();
    while listener.out.seen.is_empty() {
        tom.say("hello").ok();
        terminal.wait_for(" Tom: hello");
        listener.out.wait_for("hello");
    }
    assert!(listener.wait(DEADLINE).success());
    assert!(listener.log.seen.is_empty(), "{:?}", listener.log.seen);
    terminal.type_in("/history 5\r");
    terminal.wait_for("the server keeps no history");
    terminal.type_in("/msg Tom in private\r");
    let relay = tom.relay();
    assert_eq!(relay.text(), "in private");
    assert!(relay.has("To"), "{relay:?}");
    let text = terminal.text();
    assert_eq!(text.matches("* ").count(), 2, "nothing else is said of it:\n{text}");
}

#[test]
fn a_server_that_closes_over_a_question_is_connected_to_once_more_and_asked_none() {
    // interface: where a server closes the connection over a `query` with a body, the client connects
    // once more and asks none.
    let (address, said, connections) = curt_server();
    let server = address.to_string();
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("cat.jpg"), "meow").unwrap();
    let run = |arguments: &[&str], expected: usize| {
        connections.store(0, Ordering::SeqCst);
        let mut command = multichat(&server, arguments);
        command.current_dir(dir.path());
        let output = Output::of(command);
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{arguments:?}");
        output
    };
    assert!(run(&["send", "hello"], 1).ok().is_empty());
    assert_eq!(run(&["share", "cat.jpg"], 2).ok(), ["3"]);
    assert_eq!(run(&["fetch", "7"], 2).ok(), ["7.jpg"]);
    assert_eq!(run(&["who"], 2).ok(), ["7", "9"]);
    run(&["files"], 2).failed(1, "the server does not list files");
    run(&["-t", "Tom", "send", "x"], 2).failed(1, "nobody here is known to be called Tom");
    assert!(run(&["--history", "5", "--notices"], 2).ok().is_empty());
    run(&["--history", "5", "listen", "--timeout", "0.3"], 2).failed(1, "stopped listening");
    assert_eq!(*said.lock(), ["hello", "meow"]);

    let mut command = multichat(&server, &["--json"]);
    command.stdin(Stdio::piped());
    let mut process = Process::spawn(command);
    process.stdin().write_all(b"{\"text\": \"x\", \"to\": \"Tom\"}\n{\"text\": \"y\"}\n").unwrap();
    assert_eq!(process.wait(DEADLINE).code(), Some(1));
    assert!(process.out.seen[0].contains("known to be called Tom"), "{:?}", process.out.seen);
    assert!(process.log.seen.is_empty(), "{:?}", process.log.seen);
    assert_eq!(said.lock().last().map(String::as_str), Some("y"));
}

#[test]
fn a_nickname_that_has_come_can_be_written_to_where_no_question_may_be_asked() {
    // interface: `/msg NICK` knows the nicknames of relays that have come, also where the server has
    // no `names`.
    let (address, said, connections) = curt_server();
    let mut terminal = Terminal::start_at(address, &["-n", "Ann"], &[]);
    terminal.wait_for("/help tells");
    terminal.type_in("/msg Tom too early\r");
    terminal.wait_for("nobody here is known to be called Tom: not sent");
    terminal.type_in("hello\r");
    terminal.wait_for("9 Tom: hi");
    terminal.type_in("/msg Tom in private\r");
    terminal.type_in("/who\r");
    terminal.wait_for("7\n9 Tom\n");
    terminal.type_in("/files\r");
    terminal.wait_for("the server does not list files");
    terminal.type_in("/msg T\t");
    terminal.wait_for_line("> /msg Tom");
    assert_eq!(*said.lock(), ["hello", "in private to 9"]);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert!(!terminal.text().contains("connected again"), "{}", terminal.text());
}

#[test]
fn a_command_that_ends_before_it_has_joined_says_bye_all_the_same() {
    // §2.3.4: the client says bye, and sends nothing behind it; whatever it waits for meanwhile.
    let (told, sessions) = crossbeam_channel::unbounded();
    let address = Fake::serve(move |client| {
        client.begin();
        client
            .send("Message-Type chat\r\nFrom 7\r\nContent-Type text\r\nContent-Length 2\r\n\r\nhi");
        let mut asked = Vec::new();
        while let Some(message) = client.next() {
            let is_bye = message.message_type == "bye";
            asked.push(message);
            if is_bye {
                // Now that it has left it is told that it could have asked for more.
                client.respond(&asked[0], "Ok", "extended\nhistory 9\n");
                break;
            }
        }
        while let Some(message) = client.next() {
            asked.push(message);
        }
        let asked: Vec<_> = asked.into_iter().map(|it| it.message_type).collect();
        let _ = told.send(asked.join(" "));
    });
    let listen = ["listen", "--count", "1"];
    assert_eq!(Output::of(multichat(&address.to_string(), &listen)).ok(), ["7: hi"]);
    assert_eq!(sessions.recv_timeout(DEADLINE).as_deref(), Ok("query bye"));
    let mut terminal = Terminal::start_at(address, &["--history", "0"], &[]);
    terminal.wait_for("7: hi");
    terminal.type_in("\x04");
    assert_eq!(terminal.wait_for_end(), 0);
    assert_eq!(sessions.recv_timeout(DEADLINE).as_deref(), Ok("query query query bye"));
}
