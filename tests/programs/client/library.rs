//! The client library, over real sockets.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use multichat::client::{Client, Content, Event, Failure, Lost, Relay, SharedFile, Timeouts};
use multichat::ids::{FileId, Uid};
use multichat::text::Extension;
use parking_lot::Mutex;

use super::fake::Fake;
use crate::common::{DEADLINE, Server, assert_same_bytes, pattern};

fn connect_with(address: SocketAddr, timeouts: Timeouts) -> (Client, Receiver<Event>) {
    let (send, events) = unbounded();
    let client = Client::connect(&[address], timeouts, move |event| {
        let _ = send.send(event);
    });
    (client.expect("connect to the server"), events)
}

fn connect(address: SocketAddr) -> (Client, Receiver<Event>) {
    connect_with(address, Timeouts::default())
}

/// What is told of a file without a name.
fn file(extension: &Extension, len: u64) -> SharedFile<'_> {
    SharedFile { extension, name: None, len }
}

#[track_caller]
fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(DEADLINE).expect("an event")
}

#[track_caller]
fn next_relay(events: &Receiver<Event>) -> Relay {
    match next(events) {
        Event::Relay(relay) => relay,
        other => panic!("expected a relay, there came {other:?}"),
    }
}

#[track_caller]
fn lost(events: &Receiver<Event>) -> Lost {
    match next(events) {
        Event::Lost(lost) => lost,
        other => panic!("expected the end of the connection, there came {other:?}"),
    }
}

/// What is written to it can be looked at.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_text_reaches_the_others_and_is_answered() {
    let server = Server::start();
    let (tom, _tom_events) = connect(server.address);
    let (ann, ann_events) = connect(server.address);
    let (tom_uid, ann_uid) = (tom.own_uid().unwrap().unwrap(), ann.own_uid().unwrap().unwrap());
    assert_eq!(tom.set_nickname(" Tom ").unwrap(), "Tom");
    assert_eq!(tom.send_text(None, b"to all").unwrap().text(), "");
    assert_eq!(tom.send_text(Some(ann_uid), b"to you").unwrap().text(), "");
    let relay = next_relay(&ann_events);
    assert_eq!((relay.from, relay.nickname.as_deref(), relay.to), (tom_uid, Some("Tom"), None));
    assert_eq!(relay.content, Content::Text("to all".to_string()));
    let relay = next_relay(&ann_events);
    assert_eq!((relay.to, relay.content), (Some(ann_uid), Content::Text("to you".to_string())));
    let names = vec![(tom_uid, Some("Tom".to_string())), (ann_uid, None)];
    assert_eq!(ann.names().unwrap(), names);
    match tom.send_text(Some(Uid(99)), b"x") {
        Err(Failure::Refused(reason)) => assert!(reason.contains("no client 99"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(tom.send_text(None, b"still here").unwrap().text(), "");
}

#[test]
fn relays_that_arrive_before_a_response_are_not_lost() {
    let server = Server::start();
    let (client, events) = connect(server.address);
    let mut peer = server.join();
    for number in 0..100 {
        peer.say(number.to_string()).ok();
    }
    // All of them were queued before this was asked, so they come before its answer.
    client.query("").unwrap();
    let came: Vec<Event> = events.try_iter().collect();
    assert_eq!(came.len(), 100);
    for (number, event) in came.iter().enumerate() {
        match event {
            Event::Relay(relay) => {
                assert_eq!(relay.content, Content::Text(number.to_string()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn responses_are_matched_by_message_id_whatever_their_order() {
    let address = Fake::serve(|client| {
        client.begin();
        let asked: Vec<_> = (0..3).map(|_| client.next().expect("a request")).collect();
        for asked in asked.iter().rev() {
            client.respond(asked, "Ok", &format!("{}\n", asked.id));
            // To nothing that was asked: dropped.
            client.send("Status Ok\r\nMessage-ID 77\r\nContent-Length 3\r\n\r\nabc");
        }
        while client.next().is_some() {}
    });
    let (client, _events) = connect(address);
    let (send, answers) = unbounded();
    for number in 1..=3 {
        let send = send.clone();
        client.query_then("", move |answer| {
            let _ = send.send((number, answer.expect("an answer").text()));
        });
    }
    for number in [3, 2, 1] {
        let answer = answers.recv_timeout(DEADLINE).expect("an answer");
        // The first message of the session was another one.
        assert_eq!(answer, (number, format!("{}\n", number + 1)));
    }
}

#[test]
fn a_file_is_shared_and_fetched_as_it_was() {
    let server = Server::start();
    let (tom, _tom_events) = connect(server.address);
    let (ann, ann_events) = connect(server.address);
    let bytes = pattern(1, 5 << 20);
    let extension = Extension::parse(b"tar.gz").unwrap();
    let mut progress = Vec::new();
    let len = bytes.len() as u64;
    let id = tom
        .share(None, &file(&extension, len), &mut &bytes[..], &mut |bytes| progress.push(bytes))
        .unwrap();
    assert_eq!(progress.last(), Some(&len));
    let relay = next_relay(&ann_events);
    assert_eq!((relay.content, relay.len), (Content::File(id), len));
    assert_eq!(relay.content_type, "tar.gz");
    assert_eq!(ann.files().unwrap(), [format!("{id} tar.gz {len} {}", relay.from)]);
    let kept = Kept::default();
    let sink = kept.clone();
    let answer = ann.fetch(id, move |file| {
        assert_eq!((file.content_type, file.name, file.len), ("tar.gz", None, len));
        Ok(Box::new(sink))
    });
    assert_eq!(answer.unwrap().len, len);
    assert_same_bytes(&kept.0.lock(), &bytes);
    assert!(matches!(ann.fetch(FileId(99), |_| unreachable!()), Err(Failure::Refused(_))));
}

#[test]
fn a_file_that_is_refused_or_cannot_be_saved_leaves_the_connection_whole() {
    let server = Server::with(&["--max-file", "1k"]);
    let (client, _events) = connect(server.address);
    let extension = Extension::parse(b"bin").unwrap();
    let bytes = pattern(2, 1 << 20);
    let len = bytes.len() as u64;
    match client.share(None, &file(&extension, len), &mut &bytes[..], &mut |_| {}) {
        Err(Failure::Refused(reason)) => assert!(reason.contains("limit of 1024"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let id = client.share(None, &file(&extension, 1000), &mut &bytes[..1000], &mut |_| {}).unwrap();
    match client.fetch(id, |_| Err(io::Error::other("no room"))) {
        Err(Failure::Local(error)) => assert_eq!(error.to_string(), "no room"),
        other => panic!("{other:?}"),
    }
    assert!(client.own_uid().unwrap().is_some());
}

#[test]
fn a_large_file_that_is_refused_is_not_sent_to_its_end() {
    // P2: where the declared body is too long, the error goes out at once, before the body has come.
    let server = Server::with(&["--max-file", "1k"]);
    let extension = Extension::parse(b"bin").unwrap();
    let len = 100 << 20;
    let (client, events) = connect(server.address);
    let mut sent = 0;
    let shared =
        client.share(None, &file(&extension, len), &mut io::repeat(0), &mut |bytes| sent = bytes);
    match shared {
        Err(Failure::Refused(reason)) => assert!(reason.contains("limit of 1024"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(sent, 0);
    assert!(client.is_lost());
    assert_eq!(lost(&events), Lost::Abandoned);

    // An error that comes later, when much of it is sent.
    let address = Fake::serve(|client| {
        client.begin();
        let mut half = vec![0; 4 << 20];
        client.input().read_exact(&mut half).expect("half of it");
        let reason = "no room\n";
        client.send(format!(
            "Status Error\r\nMessage-Type chat\r\nMessage-ID 2\r\nContent-Type text\r\n\
             Content-Length {}\r\n\r\n{reason}",
            reason.len()
        ));
        let mut rest = Vec::new();
        let _ = client.input().read_to_end(&mut rest);
    });
    let (client, _events) = connect(address);
    let shared =
        client.share(None, &file(&extension, len), &mut io::repeat(0), &mut |bytes| sent = bytes);
    assert!(matches!(shared, Err(Failure::Refused(_))), "{shared:?}");
    assert!(sent < len, "all was sent");
}

#[test]
fn a_request_with_a_deadline_does_not_wait_for_a_file_that_is_being_sent() {
    // The server reads nothing: neither the connection's turn nor its room comes.
    let address = Fake::serve(|client| {
        client.begin();
        thread::park();
    });
    let (client, _events) = connect(address);
    let client = Arc::new(client);
    let (begun, sending) = unbounded();
    let sharing = Arc::clone(&client);
    thread::spawn(move || {
        let extension = Extension::parse(b"bin").expect("an extension");
        let len = 1 << 30;
        let _ = sharing.share(None, &file(&extension, len), &mut io::repeat(0), &mut |_| {
            let _ = begun.send(());
        });
    });
    sending.recv_timeout(DEADLINE).expect("some of it");
    let asked = Instant::now();
    assert!(matches!(client.query_within("names", Duration::from_millis(100)), Err(Failure::Busy)));
    client.leave(Duration::from_millis(100));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn messages_and_fields_that_the_draft_does_not_have_are_skipped() {
    let address = Fake::serve(|client| {
        client.begin();
        client.send(
            "Message-Type weather\r\nFrom 7\r\nContent-Type text\r\nContent-Length 7\r\n\r\nsunny!\n\
             Message-Type notice\r\nFrom 7\r\nContent-Type text\r\nContent-Length 6\r\n\r\nslept\n\
             Message-Type chat\r\nFrom 7\r\nWeather fine\r\n\
             Content-Type text\r\nContent-Length 2\r\n\r\nhi",
        );
        client.next();
    });
    let (_client, events) = connect(address);
    assert_eq!(next_relay(&events).content, Content::Text("hi".to_string()));
}

#[test]
fn a_file_that_becomes_shorter_while_it_is_shared_ends_the_connection() {
    let server = Server::start();
    let (client, events) = connect(server.address);
    let extension = Extension::parse(b"bin").unwrap();
    match client.share(None, &file(&extension, 1000), &mut &b"short"[..], &mut |_| {}) {
        Err(Failure::Local(error)) => assert!(error.to_string().contains("shorter"), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(lost(&events), Lost::Abandoned);
    assert!(server.join().query("files").ok().text().is_empty());
}

#[test]
fn a_server_that_stops_is_noticed_at_once() {
    let server = Server::start();
    let (client, events) = connect(server.address);
    client.own_uid().unwrap();
    server.stop();
    assert_eq!(lost(&events), Lost::Closed);
    assert!(matches!(client.query(""), Err(Failure::Lost(Lost::Closed))));
}

#[test]
fn a_full_room_is_told_as_such() {
    let server = Server::with(&["--max-clients", "1"]);
    let _seated = server.join();
    let (client, _events) = connect(server.address);
    match client.query("") {
        Err(Failure::Lost(Lost::Refused(reason))) => assert!(reason.contains("full"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_of_the_draft_is_enough() {
    // It knows the plain query alone, and refuses any other.
    let strict = Fake::serve(|client| {
        while let Some(asked) = client.next() {
            match asked.body.is_empty() {
                true => client.respond(&asked, "Ok", "9527\n9528\n"),
                false => client.respond(&asked, "Error", "what?\n"),
            }
        }
    });
    // It answers any query as the plain one.
    let lax = Fake::serve(|client| {
        while let Some(asked) = client.next() {
            client.respond(&asked, "Ok", "9527\n9528\n");
        }
    });
    for address in [strict, lax] {
        let (client, _events) = connect(address);
        assert_eq!(client.names().unwrap(), [(Uid(9527), None), (Uid(9528), None)]);
        assert_eq!(client.own_uid().unwrap(), None);
        assert!(client.files().is_err());
    }
}

#[test]
fn a_server_is_not_trusted_for_a_length_or_a_header() {
    let check = |bytes: &'static [u8], is_so: fn(&Lost) -> bool| {
        let address = Fake::serve(move |client| {
            client.begin();
            client.send(bytes);
        });
        let (_client, events) = connect(address);
        let lost = lost(&events);
        assert!(is_so(&lost), "{}: {lost:?}", bytes.escape_ascii());
    };
    check(b"", |lost| *lost == Lost::Closed);
    check(b"HTTP/1.1 400 Bad Request\r\n\r\n", |lost| matches!(lost, Lost::Malformed(_)));
    check(b"SSH-2.0-OpenSSH_9.2\r\n", |lost| matches!(lost, Lost::Malformed(_)));
    check(b"Message-Type chat\r\nFrom 1\r\nContent-Length 18446744073709551615\r\n\r\n", |lost| {
        *lost == Lost::TooLong(u64::MAX)
    });
    check(b"Message-Type chat\r\nFrom 1\r\nContent-Length 5\r\n\r\nabc", |lost| {
        *lost == Lost::CutShort
    });
    check(b"Message-Type chat\r\nFrom 1\r\n", |lost| *lost == Lost::CutShort);
    check(b"Status Maybe\r\nMessage-ID 1\r\n\r\n", |lost| matches!(lost, Lost::Malformed(_)));
    check(&[b'a'; 4096], |lost| matches!(lost, Lost::Malformed(_)));
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let address = Fake::serve(|client| while client.next().is_some() {});
    let timeouts = Timeouts { answer: Duration::from_millis(200), ..Timeouts::default() };
    let (client, events) = connect_with(address, timeouts);
    assert!(matches!(client.query(""), Err(Failure::Lost(Lost::TimedOut))));
    assert_eq!(lost(&events), Lost::TimedOut);
}

#[test]
fn a_silent_room_is_not_given_up() {
    let server = Server::start();
    let timeouts = Timeouts { answer: Duration::from_millis(50), ..Timeouts::default() };
    let (client, events) = connect_with(server.address, timeouts);
    client.own_uid().unwrap();
    // Several times as long as an answer may take: nothing comes, the end of the connection neither.
    assert!(events.recv_timeout(Duration::from_millis(300)).is_err());
    assert!(client.own_uid().unwrap().is_some());
}

#[test]
fn leaving_hands_on_what_still_arrives() {
    let server = Server::start();
    let (client, events) = connect(server.address);
    let uid = client.own_uid().unwrap().unwrap();
    let mut peer = server.join();
    peer.say("last words").ok();
    client.leave(DEADLINE);
    assert_eq!(next_relay(&events).content, Content::Text("last words".to_string()));
    assert_eq!(lost(&events), Lost::Closed);
    let refused = peer.say_to(uid.0, "too late");
    assert!(refused.reason().contains("it said bye"), "{refused:?}");
}

#[test]
fn an_answer_is_overdue_though_something_else_arrives_all_the_time() {
    let address = Fake::serve(|client| {
        client.next();
        let relay =
            "Message-Type chat\r\nFrom 7\r\nContent-Type text\r\nContent-Length 2\r\n\r\nhi";
        while client.try_send(relay) {}
    });
    let timeouts = Timeouts { answer: Duration::from_millis(300), ..Timeouts::default() };
    let client = Client::connect(&[address], timeouts, |_| {}).expect("connect to the server");
    assert!(matches!(client.query(""), Err(Failure::Lost(Lost::TimedOut))));
}

#[test]
fn an_answer_is_not_overdue_while_another_one_comes() {
    // A byte at a time, for longer than an answer may take, of a file that cannot be written.
    const LEN: usize = 40;
    let address = Fake::serve(|client| {
        client.begin();
        let asked = [client.next(), client.next()].map(|asked| asked.expect("a request"));
        let [fetch, query] =
            ["fetch", "query"].map(|what| asked.iter().find(|asked| asked.message_type == what));
        let (fetch, query) = (fetch.expect("a fetch"), query.expect("a query"));
        client.send(format!(
            "Status Ok\r\nMessage-Type fetch\r\nMessage-ID {}\r\nContent-Type jpg\r\n\
             Content-Length {LEN}\r\n\r\n",
            fetch.id
        ));
        let clock = crossbeam_channel::tick(Duration::from_millis(20));
        for _ in 0..LEN {
            clock.recv().expect("the time");
            client.send("x");
        }
        client.respond(query, "Ok", "7\n");
        client.next();
    });
    let timeouts = Timeouts { answer: Duration::from_millis(400), ..Timeouts::default() };
    let (client, _events) = connect_with(address, timeouts);
    thread::scope(|scope| {
        let fetched = scope.spawn(|| client.fetch(FileId(1), |_| Err(io::Error::other("full"))));
        let said = client.query("");
        assert_eq!(said.expect("the answer, late as it is"), "7\n");
        assert!(matches!(fetched.join().unwrap(), Err(Failure::Local(_))));
    });
}

#[test]
fn an_answer_to_something_else_is_none() {
    let address = Fake::serve(|client| {
        while let Some(mut asked) = client.next() {
            asked.message_type = "nickname".to_string();
            client.respond(&asked, "Ok", "Tom");
        }
    });
    let (client, _events) = connect(address);
    assert!(matches!(client.query(""), Err(Failure::NoAnswer(_))));
    // What was answered so is dropped whole.
    assert_eq!(client.set_nickname("Tom").unwrap(), "Tom");
}
