//! The rules over [`crate::delivery`], each with a test that names it, on real sockets.

#![cfg(not(shuttle))]

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;

use socket2::SockRef;

use super::backpressure::ChatCost;
use super::outbox::Outbox;
use super::socket::Connection;
use super::socket::memory::MemorySocket;
use super::*;
use crate::admission::Admission;
use crate::ids::{MessageId, Uid};
use crate::reason::{Cause, RoomError};
use crate::room::{Added, ChatToAdd};
use crate::supervisor::tests::assert_ends_process;
use crate::web::websocket::FrameHeader;
use crate::wire::{Content, Inherited, MessageType};

const DEADLINE: Duration = Duration::from_secs(10);

fn delivery(queue: usize, stall_timeout: Duration) -> Arc<Delivery> {
    let limits =
        Limits { queue, queue_total: usize::MAX, text: 65_536, stall_timeout, history: 100 };
    Delivery::start(limits, Threads::new(100)).unwrap()
}

/// A client that has joined, and its own end of the connection.
fn join(delivery: &Delivery) -> (Arc<Outbox>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = SockRef::from(&listener);
    socket.set_tcp_notsent_lowat(128 * 1024).unwrap();
    socket.set_write_timeout(Some(stall::tick(delivery.limits.stall_timeout))).unwrap();
    let peer = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(4096).unwrap();
    peer.connect(&listener.local_addr().unwrap().into()).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let admission = Admission::new(1, None);
    let slot = admission.take_slot([127, 0, 0, 1].into(), Duration::ZERO).unwrap();
    let (stream, address) = listener.accept().unwrap();
    let connection = Connection::new(stream, slot, address);
    (delivery.membership().join(connection), peer.into())
}

fn say(delivery: &Delivery, sender: &Arc<Outbox>, to: Option<Uid>, text: &str, id: u64) {
    let inherited = Inherited { message_type: Some(MessageType::Chat), id: MessageId(id) };
    let chat =
        ChatToAdd { to, content: Content::Text(text.as_bytes()), file_name: None, inherited };
    let added = delivery.room().chat(sender, None, chat, |_| true).unwrap();
    assert!(matches!(added, Added::Unflushed(_)));
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
        delivery.flush_blocking();
        assert!(!receiver.is_lost());
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
                    delivery.flush_or_delegate();
                }
                reader
            })
        })
        .collect();
    let readers: Vec<_> = speakers.into_iter().map(|thread| thread.join().unwrap()).collect();
    let (last, _keep) = join(&delivery);
    say(&delivery, &last, None, "end", 1);
    delivery.flush_or_delegate();

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
        delivery.flush_blocking();
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
        delivery.flush_blocking();
    }
    let seen = read_until(&mut healthy, "\r\n\r\ntext 99");
    assert_eq!(texts(&seen).len(), 100);
    assert!(!stalled.is_lost(), "cut off after {:?}", before.elapsed());
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
    delivery.flush_or_delegate();
    let told = read_until(&mut own, "reset\n");
    assert!(told.starts_with("Status Error\r\nMessage-Type chat\r\nMessage-ID 1\r\n"), "{told}");
    assert!(
        told.ends_with("reached nobody: client 2 has left: the connection was reset\n"),
        "{told}"
    );

    // Private.
    let receiver = gone(&delivery);
    say(&delivery, &sender, Some(receiver.uid()), "you?", 2);
    delivery.flush_or_delegate();
    let told = read_until(&mut own, "reset\n");
    assert!(told.starts_with("Status Error\r\nMessage-Type chat\r\nMessage-ID 2\r\n"), "{told}");
    assert!(told.ends_with("\r\n\r\nclient 3 has left: the connection was reset\n"), "{told}");

    // Public, and another one got it.
    let (_, mut other) = join(&delivery);
    gone(&delivery);
    say(&delivery, &sender, None, "still there?", 3);
    delivery.flush_or_delegate();
    assert_eq!(texts(&read_until(&mut other, "there?")), ["still there?"]);
    let told = read_until(&mut own, "reset\n");
    assert!(told.starts_with("Status Ok\r\nMessage-Type chat\r\nMessage-ID 3\r\n"), "{told}");
    assert!(told.ends_with("\r\n\r\nclient 5 has left: the connection was reset\n"), "{told}");
    assert_eq!(delivery.room().uids(), [Uid(1), Uid(4)]);
}

#[test]
fn rule_5_what_flush_blocking_leaves_behind_waits_in_a_queue_and_arrives() {
    let delivery = delivery(64 << 20, DEADLINE);
    let (sender, _sender) = join(&delivery);
    let (receiver, mut stream) = join(&delivery);
    fill(&delivery, &sender, &receiver, 1 << 20);
    say(&delivery, &sender, Some(receiver.uid()), "after the queue", 1);
    say(&delivery, &sender, None, "public", 1);
    delivery.flush_blocking();
    assert!(!delivery.room().has_unflushed());
    let seen = read_until(&mut stream, "\r\n\r\npublic");
    let seen = texts(&seen);
    assert_eq!(seen[seen.len() - 2..], ["after the queue", "public"]);
    receiver.wait_drained();
    // The socket is the flusher's again.
    say(&delivery, &sender, None, "direct", 1);
    delivery.flush_or_delegate();
    assert_eq!(texts(&read_until(&mut stream, "direct")), ["direct"]);
}

#[test]
fn a_reader_that_stopped_is_cut_off_and_the_cause_is_remembered() {
    let delivery = delivery(64 << 20, Duration::from_millis(200));
    let (sender, _sender) = join(&delivery);
    let (stalled, _stream) = join(&delivery);
    fill(&delivery, &sender, &stalled, 1 << 20);
    stalled.wait_drained();
    assert!(stalled.is_lost());
    assert_eq!(delivery.room().cause_of(stalled.uid()), Some(Cause::StoppedReading));
}

#[test]
fn a_queue_over_its_limit_that_does_not_fall_is_cut_off_though_its_reader_reads() {
    let delivery = delivery(6 << 20, Duration::from_secs(1));
    let (sender, _sender) = join(&delivery);
    let (slow, mut stream) = join(&delivery);
    let uid = slow.uid();
    let text = "x".repeat(60_000);
    while slow.waiting() <= 8 << 20 {
        say(&delivery, &sender, Some(uid), &text, 1);
        delivery.flush_blocking();
    }
    assert!(delivery.backpressure().is_on());
    // A little, again and again: it reads, and the queue does not fall to half within the second.
    let reader = thread::spawn(move || {
        let mut buffer = [0; 2048];
        while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {
            thread::park_timeout(Duration::from_millis(5));
        }
    });
    delivery.backpressure().wait_until_clear(&slow, || false);
    assert_eq!(delivery.room().cause_of(uid), Some(Cause::ReadTooSlowly));
    reader.join().unwrap();
}

#[test]
fn where_no_thread_is_left_the_spare_one_writes_for_all_in_turn() {
    let limits = Limits {
        queue: 64 << 20,
        queue_total: usize::MAX,
        text: 65_536,
        stall_timeout: DEADLINE,
        history: 0,
    };
    let delivery = Delivery::start(limits, Threads::new(0)).unwrap();
    let (sender, _sender) = join(&delivery);
    let mut receivers: Vec<_> = (0..3).map(|_| join(&delivery)).collect();
    for (receiver, _) in &receivers {
        fill(&delivery, &sender, receiver, 1 << 20);
        say(&delivery, &sender, Some(receiver.uid()), "the end", 1);
        delivery.flush_blocking();
    }
    // One that is not read holds up none of the others.
    receivers.reverse();
    for (receiver, stream) in &mut receivers {
        assert!(read_until(stream, "\r\n\r\nthe end").len() > 1 << 20);
        receiver.wait_drained();
        assert!(!receiver.is_lost());
    }
}

/// A client in memory that has joined.
fn join_in_memory(delivery: &Delivery, socket: &MemorySocket) -> Arc<Outbox> {
    delivery.membership().join(Arc::new(socket.clone()))
}

fn text_of(socket: &MemorySocket) -> String {
    String::from_utf8(socket.sent()).unwrap()
}

#[test]
fn rule_4_a_receiver_that_talks_itself_is_looked_at_before_any_response() {
    let delivery = delivery(1 << 20, DEADLINE);
    let sockets: [MemorySocket; 3] = Default::default();
    let [first, gone, last] = [0, 1, 2].map(|nth| join_in_memory(&delivery, &sockets[nth]));
    // The receiver has said something in the same batch, and no write has found out yet.
    say(&delivery, &gone, Some(first.uid()), "still here", 1);
    say(&delivery, &first, Some(gone.uid()), "in private", 2);
    say(&delivery, &last, Some(gone.uid()), "in private", 3);
    say(&delivery, &last, None, "to all", 4);
    sockets[1].break_with(Cause::Reset);
    delivery.flush_or_delegate();
    for (socket, id) in [(&sockets[0], 2), (&sockets[2], 3)] {
        let told = text_of(socket);
        let expected = format!("Status Error\r\nMessage-Type chat\r\nMessage-ID {id}\r\n");
        assert!(told.contains(&expected), "{told}");
        assert!(told.contains("client 2 has left: the connection was reset\n"), "{told}");
    }
    // The public one has reached somebody else.
    assert!(text_of(&sockets[2]).contains("Status Ok\r\nMessage-Type chat\r\nMessage-ID 4\r\n"));
    assert_eq!(text_of(&sockets[0]).matches("to all").count(), 1);
}

#[test]
fn a_writer_that_panics_takes_its_client_out_with_a_cause() {
    let delivery = delivery(1 << 20, DEADLINE);
    let sockets = [MemorySocket::default(), MemorySocket::with_capacity(10)];
    let [sender, receiver] = [0, 1].map(|nth| join_in_memory(&delivery, &sockets[nth]));
    say(&delivery, &sender, Some(receiver.uid()), "more than fits", 1);
    delivery.flush_blocking();
    sockets[1].panic_next();
    sockets[1].read();
    receiver.wait_drained();
    assert!(receiver.is_lost());
    assert_eq!(delivery.room().cause_of(receiver.uid()), Some(Cause::ServerFailed));
}

#[test]
fn a_flusher_that_panics_ends_the_process() {
    // A batch that was delivered in part is no state to go on from: its bytes may never be offered
    // again.
    let name = "delivery::tests::a_flusher_that_panics_ends_the_process";
    assert_ends_process(name, name, || {
        let delivery = delivery(1 << 20, DEADLINE);
        let sockets: [MemorySocket; 2] = Default::default();
        let [sender, _receiver] = [0, 1].map(|nth| join_in_memory(&delivery, &sockets[nth]));
        say(&delivery, &sender, None, "to all", 1);
        sockets[1].panic_next();
        delivery.flush_or_delegate();
    });
}

#[test]
fn the_spare_writer_that_panics_ends_the_process() {
    // It may write for everybody.
    let name = "delivery::tests::the_spare_writer_that_panics_ends_the_process";
    assert_ends_process(name, "writer", || {
        let limits = Limits {
            queue: 1 << 20,
            queue_total: usize::MAX,
            text: 65_536,
            stall_timeout: DEADLINE,
            history: 0,
        };
        let delivery = Delivery::start(limits, Threads::new(0)).unwrap();
        let sockets = [MemorySocket::default(), MemorySocket::with_capacity(10)];
        let [sender, receiver] = [0, 1].map(|nth| join_in_memory(&delivery, &sockets[nth]));
        say(&delivery, &sender, Some(receiver.uid()), "more than fits", 1);
        delivery.flush_blocking();
        sockets[1].panic_next();
        receiver.wait_drained();
    });
}

#[test]
fn the_stall_watch_that_panics_ends_the_process() {
    // Else no reader that has stopped would ever be found.
    let name = "delivery::tests::the_stall_watch_that_panics_ends_the_process";
    assert_ends_process(name, "stall-watch", || {
        let delivery = delivery(1 << 20, Duration::from_millis(100));
        let socket = MemorySocket::with_capacity(1000);
        let [sender, receiver] =
            [&MemorySocket::default(), &socket].map(|socket| join_in_memory(&delivery, socket));
        say(&delivery, &sender, Some(receiver.uid()), "it fits and is not read", 1);
        delivery.flush_blocking();
        socket.panic_when_looked_at();
        std::thread::park_timeout(DEADLINE);
    });
}

#[test]
fn what_waits_for_all_together_is_bounded_and_the_one_that_took_nothing_for_longest_goes() {
    let limits = Limits {
        queue: 1 << 20,
        queue_total: 300_000,
        text: 65_536,
        stall_timeout: DEADLINE,
        history: 0,
    };
    let delivery = Delivery::start(limits, Threads::new(100)).unwrap();
    let sender = join_in_memory(&delivery, &MemorySocket::default());
    let stalled: Vec<_> =
        (0..5).map(|_| join_in_memory(&delivery, &MemorySocket::with_capacity(1))).collect();
    let text = "x".repeat(60_000);
    for receiver in &stalled {
        say(&delivery, &sender, Some(receiver.uid()), &text, 1);
        delivery.flush_blocking();
        assert!(delivery.membership().backlog.waiting() <= 300_000);
    }
    let lost: Vec<_> = stalled.iter().map(|outbox| outbox.is_lost()).collect();
    assert_eq!(lost, [true, false, false, false, false]);
    assert_eq!(delivery.room().cause_of(stalled[0].uid()), Some(Cause::StoppedReading));
    // All of them gone, nothing is left over in the count.
    for receiver in &stalled {
        delivery.membership().disconnect(receiver, Cause::StoppedReading);
    }
    assert_eq!(delivery.membership().backlog.waiting(), 0);
}

#[test]
fn tiny_texts_count_with_what_they_cost_to_keep() {
    let delivery = delivery(1 << 20, DEADLINE);
    let sender = join_in_memory(&delivery, &MemorySocket::default());
    let stalled = join_in_memory(&delivery, &MemorySocket::with_capacity(1));
    for _ in 0..1000 {
        say(&delivery, &sender, Some(stalled.uid()), "x", 1);
        delivery.flush_blocking();
    }
    let relay =
        "Message-Type chat\r\nTo 2\r\nFrom 1\r\nContent-Type text\r\nContent-Length 1\r\n\r\nx";
    let bytes = 1000 * relay.len() - 1;
    assert!(stalled.waiting() >= bytes + 999 * 64, "{} of {bytes}", stalled.waiting());
    assert_eq!(delivery.membership().backlog.waiting(), stalled.waiting());
}

/// A newcomer in memory of which it is not known yet what it speaks.
fn join_held(delivery: &Delivery, socket: &MemorySocket) -> Arc<Outbox> {
    delivery.membership().join_held(Arc::new(socket.clone()))
}

#[test]
fn what_is_for_a_newcomer_is_held_until_it_is_released() {
    let delivery = delivery(1 << 20, DEADLINE);
    let socket = MemorySocket::default();
    let (sender, newcomer) =
        (join_in_memory(&delivery, &MemorySocket::default()), join_held(&delivery, &socket));
    say(&delivery, &sender, None, "one", 1);
    delivery.flush_blocking();
    say(&delivery, &sender, Some(newcomer.uid()), "two", 2);
    delivery.flush_blocking();
    assert_eq!(text_of(&socket), "");
    assert!(newcomer.waiting() > 0);
    delivery.release(&newcomer, false);
    newcomer.wait_drained();
    say(&delivery, &sender, None, "three", 3);
    delivery.flush_blocking();
    newcomer.wait_drained();
    assert_eq!(texts(&text_of(&socket)), ["one", "two", "three"]);
    assert!(!newcomer.hold_again(), "something was written");
    assert_eq!(delivery.membership().backlog.waiting(), 0);
}

#[test]
fn what_was_held_goes_out_in_one_frame_and_then_each_offer_in_one() {
    let delivery = delivery(1 << 20, DEADLINE);
    let socket = MemorySocket::default();
    let (sender, newcomer) =
        (join_in_memory(&delivery, &MemorySocket::default()), join_held(&delivery, &socket));
    // Released where nothing was for it, it can be held again.
    delivery.release(&newcomer, false);
    assert!(newcomer.hold_again());
    let relay = |text: &str| {
        let len = text.len();
        format!(
            "Message-Type chat\r\nFrom 1\r\nContent-Type text\r\nContent-Length {len}\r\n\r\n{text}"
        )
    };
    let framed = |payload: &str| {
        let header = FrameHeader::binary(payload.len() as u64);
        [header.as_ref(), payload.as_bytes()].concat()
    };
    for text in ["one", "two"] {
        say(&delivery, &sender, None, text, 1);
        delivery.flush_blocking();
    }
    delivery.release(&newcomer, true);
    newcomer.wait_drained();
    let mut expected = framed(&(relay("one") + &relay("two")));
    assert_eq!(socket.sent().escape_ascii().to_string(), expected.escape_ascii().to_string());
    // Several messages of one batch are one frame; a control frame stands between two.
    say(&delivery, &sender, None, "three", 1);
    say(&delivery, &sender, None, "four", 1);
    delivery.room().add_control(&newcomer, b"pong");
    say(&delivery, &sender, None, "five", 1);
    delivery.flush_blocking();
    newcomer.wait_drained();
    expected.extend(framed(&(relay("three") + &relay("four"))));
    expected.extend(b"pong");
    expected.extend(framed(&relay("five")));
    assert_eq!(socket.sent().escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_frame_whose_header_the_socket_takes_in_part_goes_on_behind_it() {
    let delivery = delivery(1 << 20, DEADLINE);
    for capacity in [1, 2, 3, 4, 5, 50] {
        let socket = MemorySocket::with_capacity(capacity);
        let (sender, newcomer) =
            (join_in_memory(&delivery, &MemorySocket::default()), join_held(&delivery, &socket));
        delivery.release(&newcomer, true);
        for text in ["x".repeat(200), "y".repeat(70_000)] {
            say(&delivery, &sender, Some(newcomer.uid()), &text, 1);
            delivery.flush_blocking();
        }
        while newcomer.waiting() > 0 {
            socket.read();
            thread::yield_now();
        }
        let (sent, mut payload) = (socket.sent(), Vec::new());
        let mut rest = &sent[..];
        while let [0x82, length, ..] = rest {
            let (start, len) = match length {
                126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
                127 => (10, u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize),
                len => (2, usize::from(*len)),
            };
            payload.extend_from_slice(&rest[start..start + len]);
            rest = &rest[start + len..];
        }
        assert!(rest.is_empty(), "{capacity}: no frame: {}", rest.escape_ascii());
        let text = String::from_utf8(payload).unwrap();
        assert_eq!(texts(&text), [&*"x".repeat(200), &*"y".repeat(70_000)], "{capacity}");
    }
}

#[test]
fn a_request_that_leaves_the_room_was_never_there() {
    let delivery = delivery(1 << 20, DEADLINE);
    let sockets: [MemorySocket; 2] = Default::default();
    let sender = join_in_memory(&delivery, &sockets[0]);
    let newcomer = join_held(&delivery, &sockets[1]);
    say(&delivery, &sender, None, "held", 1);
    delivery.flush_blocking();
    // Within a batch that is for it.
    say(&delivery, &sender, Some(newcomer.uid()), "in private", 2);
    say(&delivery, &sender, None, "to all", 3);
    delivery.membership().withdraw(&newcomer);
    delivery.flush_blocking();
    let told = text_of(&sockets[0]);
    assert!(told.contains("Status Error\r\nMessage-Type chat\r\nMessage-ID 2\r\n"), "{told}");
    let never = format!("{}\n", RoomError::NeverConnected { uid: newcomer.uid() });
    assert!(told.contains(&never), "{told}");
    assert_eq!(told.matches("Status Ok").count(), 2, "{told}");
    assert!(!told.contains("has left"), "{told}");
    assert_eq!(text_of(&sockets[1]), "");
    assert_eq!(
        delivery.room().check_receiver(newcomer.uid()),
        delivery
            .room()
            .check_receiver(Uid(9))
            .map_err(|_| RoomError::NeverConnected { uid: newcomer.uid() })
    );
    assert_eq!(delivery.room().uids(), [sender.uid()]);
    assert_eq!(delivery.membership().backlog.waiting(), 0);
}

/// How many texts of `bytes` each of `senders` may say to all in turns, before the first is held.
fn admitted(delivery: &Delivery, senders: impl Iterator<Item = u64>, bytes: usize) -> usize {
    let mut chats = senders.map(|uid| ChatCost::new(Uid(uid), None, bytes));
    chats.by_ref().take_while(|chat| delivery.backpressure().admit(&mut chat.clone())).count()
}

#[test]
fn each_member_has_a_share_and_all_others_have_one_together() {
    // P5: "every client that was active when the queue went over has the same share of it ... those
    // who come later have one such share together". So do those who had left, and whose last
    // messages are still being read: a storm of short connections is made of them.
    let limit = 800_000;
    let delivery = delivery(limit, DEADLINE);
    let sender = join_in_memory(&delivery, &MemorySocket::default());
    let reader = join_in_memory(&delivery, &MemorySocket::with_capacity(1));
    let gone: Vec<_> =
        (0..50).map(|_| join_in_memory(&delivery, &MemorySocket::default())).collect();
    gone.iter().for_each(|outbox| delivery.membership().leave(outbox, Cause::Reset));
    let other = join_in_memory(&delivery, &MemorySocket::default());
    while reader.over().is_none() {
        say(&delivery, &sender, Some(reader.uid()), &"x".repeat(20_000), 1);
        delivery.flush_blocking();
    }
    // Three are active, and a batch may stand in front of the queue.
    let share = (2 * limit - reader.waiting() - delivery.batch_limit()) / 3;
    let bytes = 10_000;
    let own = |uid: Uid| std::iter::repeat(uid.0);
    assert_eq!(admitted(&delivery, own(sender.uid()), bytes), share / bytes);
    assert_eq!(admitted(&delivery, own(other.uid()), bytes), share / bytes);
    assert_eq!(admitted(&delivery, gone.iter().map(|outbox| outbox.uid().0), bytes), share / bytes);
    assert_eq!(admitted(&delivery, 1000.., bytes), 0, "newcomers share with them");
    // What is not for this client is not held by it.
    let mut private = ChatCost::new(sender.uid(), Some(other.uid()), 10 * limit);
    assert!(delivery.backpressure().admit(&mut private));
    delivery.membership().disconnect(&reader, Cause::StoppedReading);
    assert_eq!(admitted(&delivery, own(sender.uid()).take(100), limit), 100);
}
