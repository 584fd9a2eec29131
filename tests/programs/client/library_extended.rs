//! The client's library where the server has more than the draft: the extended form, notices, the
//! history, names of files (E2 to E4).

use std::io::{self, Write};
use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};
use multichat::client::{Client, Content, Event, Failure, News, Relay, SharedFile, Timeouts};
use multichat::ids::Uid;
use multichat::text::{Charset, Extension, FileName};
use parking_lot::Mutex;

use crate::common::{DEADLINE, Server};

fn connect(server: &Server) -> (Client, Receiver<Event>) {
    let (send, events) = unbounded();
    let client = Client::connect(&[server.address], Timeouts::default(), move |event| {
        let _ = send.send(event);
    });
    (client.expect("connect to the server"), events)
}

/// A client in the extended form.
fn connect_extended(server: &Server) -> (Client, Receiver<Event>) {
    let (client, events) = connect(server);
    assert!(client.features().expect("features").extended);
    assert_eq!(client.query("extended").expect("the extended form"), "extended\n");
    (client, events)
}

#[track_caller]
fn next_relay(events: &Receiver<Event>) -> Relay {
    match events.recv_timeout(DEADLINE).expect("an event") {
        Event::Relay(relay) => relay,
        other => panic!("expected a relay, there came {other:?}"),
    }
}

fn text_of(relay: &Relay) -> &str {
    match &relay.content {
        Content::Text(text) => text,
        Content::File(_) => panic!("a file: {relay:?}"),
    }
}

/// What a fetched file is written to.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn who_comes_and_goes_is_an_event() {
    // E2: notices.
    let server = Server::start();
    let (_client, events) = connect_extended(&server);
    let mut tom = server.join();
    tom.set_nickname("Tom").ok();
    tom.set_nickname("Thomas").ok();
    let uid = Uid(tom.uid);
    tom.bye();
    let expected = [
        ("Tom", News::Joined),
        ("Tom", News::Nickname("Thomas")),
        ("Thomas", News::Left("it said bye")),
    ];
    for (nickname, news) in expected {
        match events.recv_timeout(DEADLINE).expect("an event") {
            Event::Notice(notice) => {
                assert_eq!((notice.from, notice.nickname.as_deref()), (uid, Some(nickname)));
                assert_eq!(notice.news(), news);
                assert!(notice.time.is_some());
            }
            other => panic!("expected {news:?}, there came {other:?}"),
        }
    }
}

#[test]
fn a_client_knows_its_place_in_the_order_of_public_messages() {
    // E2, E3: told by relays, counted where nothing is told: one's own, and those in the draft's form.
    let server = Server::start();
    let mut tom = server.join();
    for text in ["one", "two"] {
        tom.say(text).ok();
    }
    let (client, events) = connect(&server);
    client.query("").expect("it is active");
    tom.say("three").ok();
    assert_eq!(next_relay(&events).extra.sequence, None);
    assert_eq!(client.place(), None);
    let history = client.history(10).expect("a history");
    assert_eq!(history.iter().map(text_of).collect::<Vec<_>>(), ["one", "two"]);
    let told: Vec<_> = history.iter().map(|relay| relay.extra.sequence).collect();
    assert_eq!(told, [Some(1), Some(2)]);
    assert!(history[0].extra.time.is_some_and(|time| Some(time) <= history[1].extra.time));
    assert_eq!(client.place(), Some(3), "one has arrived since");
    client.send_text(None, b"four").expect("an answer");
    client.send_text(Some(Uid(tom.uid)), b"in private").expect("an answer");
    assert_eq!(client.place(), Some(4));
    client.query("extended").expect("the extended form");
    tom.say("five").ok();
    let relay = next_relay(&events);
    assert_eq!((relay.extra.sequence, client.place()), (Some(5), Some(5)));
    assert_eq!(
        client.history(1).expect("a history").iter().map(text_of).collect::<Vec<_>>(),
        ["two"]
    );
    assert_eq!(client.place(), Some(5));
}

#[test]
fn a_server_without_a_history_says_so() {
    // E3: `--history 0` keeps nothing, and is refused with that reason.
    let server = Server::with(&["--history", "0"]);
    let (client, _events) = connect(&server);
    assert_eq!(client.features().expect("features").history, None);
    assert!(matches!(client.history(5), Err(Failure::Refused(_))));
    assert_eq!(client.place(), None);
}

#[test]
fn a_file_is_shared_and_fetched_with_its_name() {
    // E4: receivers in the extended form get it; so does one that fetches.
    let server = Server::start();
    let (tom, _tom_events) = connect(&server);
    let (ann, ann_events) = connect_extended(&server);
    let extension = Extension::parse(b"pdf").expect("an extension");
    let name = FileName::parse(b"holiday plan.pdf", Charset::Utf8).expect("a name");
    let file = SharedFile { extension: &extension, name: Some(&name), len: 7 };
    let id = tom.share(None, &file, &mut &b"content"[..], &mut |_| {}).expect("a File-ID");
    let relay = next_relay(&ann_events);
    assert_eq!(relay.extra.file_name.as_deref(), Some("holiday plan.pdf"));
    assert_eq!((relay.content, relay.extra.sequence), (Content::File(id), Some(1)));
    let line = format!("{id} pdf 7 1 holiday plan.pdf");
    assert_eq!(ann.files().expect("a list"), [line.as_str()]);
    assert_eq!(tom.files().expect("a list"), [&line[..line.find(" holiday").expect("a name")]]);
    for (client, name) in [(&ann, Some("holiday plan.pdf")), (&tom, None)] {
        let kept = Kept::default();
        let sink = kept.clone();
        let fetched = client.fetch(id, move |file| {
            assert_eq!((file.content_type, file.name, file.len), ("pdf", name, 7));
            Ok(Box::new(sink))
        });
        assert_eq!(fetched.expect("the file").file_name.as_deref(), name);
        assert_eq!(*kept.0.lock(), b"content");
    }
}
