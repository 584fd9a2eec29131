//! The rules over [`crate::delivery`], each with a test that names it, on real sockets.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;

use super::*;
use crate::ids::MessageId;
use crate::wire::{Content, Inherited, MessageType};

const DEADLINE: Duration = Duration::from_secs(10);

fn delivery(queue: usize, stall_timeout: Duration) -> Arc<Delivery> {
    let limits = Limits { queue, stall_timeout };
    Delivery::start(limits, Threads::new(100)).unwrap()
}

/// A client that has joined, and its own end of the connection.
fn join(delivery: &Delivery) -> (Arc<Outbox>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = SockRef::from(&listener);
    socket.set_tcp_notsent_lowat(128 * 1024).unwrap();
    socket.set_write_timeout(Some(stall::tick(delivery.stall_timeout()))).unwrap();
    let peer = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(4096).unwrap();
    peer.connect(&listener.local_addr().unwrap().into()).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    (delivery.room.join(listener.accept().unwrap().0), peer.into())
}

fn say(delivery: &Delivery, sender: &Arc<Outbox>, to: Option<Uid>, text: &str, id: u64) {
    let inherited = Inherited { message_type: Some(MessageType::Chat), id: MessageId(id) };
    let content = Content::Text(text.as_bytes());
    delivery.room.chat(sender, None, to, content, inherited).unwrap();
}

/// Reads until `end` has come, and returns all as text.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while !got.ends_with(end.as_bytes()) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => got.extend_from_slice(&buffer[..count]),
            other => panic!("{other:?} after {}", got.escape_ascii()),
        }
    }
    String::from_utf8(got).unwrap()
}

/// The texts of relays, in order.
fn texts(relayed: &str) -> Vec<&str> {
    relayed.split("Message-Type chat\r\n").filter_map(|one| one.split("\r\n\r\n").nth(1)).collect()
}

/// Fills a client's socket and queue: until more than `bytes` wait.
fn fill(delivery: &Arc<Delivery>, sender: &Arc<Outbox>, receiver: &Outbox, bytes: usize) {
    let text = "x".repeat(60_000);
    while receiver.waiting() <= bytes {
        say(delivery, sender, Some(receiver.uid()), &text, 1);
        delivery.flush_all();
        assert!(!receiver.is_broken());
    }
}

#[test]
fn rule_2_the_order_of_the_batch_is_the_order_in_every_socket() {
    let delivery = delivery(1 << 20, DEADLINE);
    let (_, mut first) = join(&delivery);
    let (_, mut second) = join(&delivery);
    let barrier = Arc::new(Barrier::new(4));
    let speakers: Vec<_> = (0..4)
        .map(|speaker| {
            let (delivery, barrier) = (Arc::clone(&delivery), Arc::clone(&barrier));
            let (outbox, mut own) = join(&delivery);
            thread::spawn(move || {
                // Reads its own view, so that it is no stalled reader.
                let reader = thread::spawn(move || read_until(&mut own, "\r\n\r\nend"));
                barrier.wait();
                for number in 0..500 {
                    say(&delivery, &outbox, None, &format!("{speaker}-{number}"), number);
                    delivery.flush();
                }
                reader
            })
        })
        .collect();
    let readers: Vec<_> = speakers.into_iter().map(|thread| thread.join().unwrap()).collect();
    let (last, _keep) = join(&delivery);
    say(&delivery, &last, None, "end", 1);
    delivery.flush();

    let seen = read_until(&mut first, "\r\n\r\nend");
    let seen = texts(&seen);
    assert_eq!(seen.len(), 4 * 500 + 1);
    assert_eq!(texts(&read_until(&mut second, "\r\n\r\nend")), seen);
    for (speaker, reader) in readers.into_iter().enumerate() {
        let own = reader.join().unwrap();
        let prefix = format!("{speaker}-");
        // The responses to its own chats stand in between and hold no text.
        let others: Vec<_> = texts(&own).into_iter().filter(|text| !text.is_empty()).collect();
        let others: Vec<_> = others.iter().map(|t| t.split("Status").next().unwrap()).collect();
        let expected: Vec<_> =
            seen.iter().copied().filter(|text| !text.starts_with(&prefix)).collect();
        assert_eq!(others.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>(), expected);
        let mine: Vec<_> = seen.iter().filter(|text| text.starts_with(&prefix)).collect();
        assert_eq!(mine.len(), 500);
        assert!(mine.iter().zip(0..).all(|(text, number)| **text == format!("{prefix}{number}")));
    }
}

#[test]
fn rule_3_it_gives_way_only_where_several_talk() {
    let delivery = delivery(1 << 20, DEADLINE);
    let (first, _first) = join(&delivery);
    let (second, _second) = join(&delivery);
    let is_crowded_after = |talkers: &[&Arc<Outbox>], to: Option<Uid>| {
        for talker in talkers {
            say(&delivery, talker, to, "x", 1);
        }
        delivery.flush_all();
        delivery.flusher.lock().is_crowded()
    };
    is_crowded_after(&[&first], None);
    assert!(!is_crowded_after(&[&first, &first], None), "one member talks");
    assert!(!is_crowded_after(&[&first, &second], Some(first.uid())), "nobody talks to all");
    assert!(is_crowded_after(&[&second], None), "another one than before");
    assert!(is_crowded_after(&[&second, &first], None), "two at a time");
    is_crowded_after(&[&second], None);
    assert!(!is_crowded_after(&[&second], None), "one again");
}

#[test]
fn rule_3_a_reader_that_takes_nothing_holds_nobody_up() {
    let delivery = delivery(64 << 20, DEADLINE);
    let (sender, _sender) = join(&delivery);
    let (stalled, _stalled) = join(&delivery);
    let (_, mut healthy) = join(&delivery);
    fill(&delivery, &sender, &stalled, 4 << 20);
    let before = Instant::now();
    for number in 0..100 {
        say(&delivery, &sender, None, &format!("text {number}"), 1);
        delivery.flush_all();
    }
    let seen = read_until(&mut healthy, "\r\n\r\ntext 99");
    assert_eq!(texts(&seen).len(), 100);
    assert!(!stalled.is_broken(), "cut off after {:?}", before.elapsed());
}

#[test]
fn rule_4_the_sender_is_told_of_a_receiver_that_turned_out_to_be_gone() {
    let delivery = delivery(1 << 20, DEADLINE);
    let (sender, mut own) = join(&delivery);
    let gone = |delivery: &Delivery| {
        // No session reads this client, so the first to notice its reset is a relay.
        let (outbox, stream) = join(delivery);
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        outbox
    };
    // Public, and it was the only receiver.
    gone(&delivery);
    say(&delivery, &sender, None, "anybody?", 1);
    delivery.flush();
    let told = read_until(&mut own, "reset\n");
    assert!(told.starts_with("Status Error\r\nMessage-Type chat\r\nMessage-ID 1\r\n"), "{told}");
    assert!(
        told.ends_with("reached nobody: client 2 has left: the connection was reset\n"),
        "{told}"
    );

    // Private.
    let receiver = gone(&delivery);
    say(&delivery, &sender, Some(receiver.uid()), "you?", 2);
    delivery.flush();
    let told = read_until(&mut own, "reset\n");
    assert!(told.starts_with("Status Error\r\nMessage-Type chat\r\nMessage-ID 2\r\n"), "{told}");
    assert!(told.ends_with("\r\n\r\nclient 3 has left: the connection was reset\n"), "{told}");

    // Public, and another one got it.
    let (_, mut other) = join(&delivery);
    gone(&delivery);
    say(&delivery, &sender, None, "still there?", 3);
    delivery.flush();
    assert_eq!(texts(&read_until(&mut other, "there?")), ["still there?"]);
    let told = read_until(&mut own, "reset\n");
    assert!(told.starts_with("Status Ok\r\nMessage-Type chat\r\nMessage-ID 3\r\n"), "{told}");
    assert!(told.ends_with("\r\n\r\nclient 5 has left: the connection was reset\n"), "{told}");
    assert_eq!(delivery.room.uids(), [Uid(1), Uid(4)]);
}

#[test]
fn rule_5_what_flush_all_leaves_behind_waits_in_a_queue_and_arrives() {
    let delivery = delivery(64 << 20, DEADLINE);
    let (sender, _sender) = join(&delivery);
    let (receiver, mut stream) = join(&delivery);
    fill(&delivery, &sender, &receiver, 1 << 20);
    say(&delivery, &sender, Some(receiver.uid()), "after the queue", 1);
    say(&delivery, &sender, None, "public", 1);
    delivery.flush_all();
    assert!(!delivery.room.has_unflushed());
    let seen = read_until(&mut stream, "\r\n\r\npublic");
    let seen = texts(&seen);
    assert_eq!(seen[seen.len() - 2..], ["after the queue", "public"]);
    receiver.wait_drained();
    // The socket is the flusher's again.
    say(&delivery, &sender, None, "direct", 1);
    delivery.flush();
    assert_eq!(texts(&read_until(&mut stream, "direct")), ["direct"]);
}

#[test]
fn a_reader_that_stopped_is_cut_off_and_the_cause_is_remembered() {
    let delivery = delivery(64 << 20, Duration::from_millis(200));
    let (sender, _sender) = join(&delivery);
    let (stalled, _stream) = join(&delivery);
    fill(&delivery, &sender, &stalled, 1 << 20);
    stalled.wait_drained();
    assert!(stalled.is_broken());
    assert_eq!(delivery.room.cause_of(stalled.uid()), Some(Cause::StoppedReading));
}

#[test]
fn a_queue_over_its_limit_that_does_not_fall_is_cut_off_though_its_reader_reads() {
    let delivery = delivery(1 << 20, Duration::from_secs(1));
    let (sender, _sender) = join(&delivery);
    let (slow, mut stream) = join(&delivery);
    let uid = slow.uid();
    let text = "x".repeat(60_000);
    while slow.waiting() <= 8 << 20 {
        say(&delivery, &sender, Some(uid), &text, 1);
        delivery.flush_all();
    }
    assert!(delivery.pressure.is_on());
    // A little, again and again: it reads, and the queue does not fall to half within the second.
    let reader = thread::spawn(move || {
        let mut buffer = [0; 2048];
        while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {
            thread::park_timeout(Duration::from_millis(5));
        }
    });
    delivery.pressure.wait(|over| over == uid, || false);
    assert_eq!(delivery.room.cause_of(uid), Some(Cause::ReadTooSlowly));
    reader.join().unwrap();
}

#[test]
fn where_no_thread_is_left_the_spare_one_writes_for_all_in_turn() {
    let limits = Limits { queue: 64 << 20, stall_timeout: DEADLINE };
    let delivery = Delivery::start(limits, Threads::new(0)).unwrap();
    let (sender, _sender) = join(&delivery);
    let mut receivers: Vec<_> = (0..3).map(|_| join(&delivery)).collect();
    for (receiver, _) in &receivers {
        fill(&delivery, &sender, receiver, 1 << 20);
        say(&delivery, &sender, Some(receiver.uid()), "the end", 1);
        delivery.flush_all();
    }
    // In the order in which they were queued: the others are only then written to.
    for (receiver, stream) in &mut receivers {
        assert!(read_until(stream, "\r\n\r\nthe end").len() > 1 << 20);
        receiver.wait_drained();
        assert!(!receiver.is_broken());
    }
}
