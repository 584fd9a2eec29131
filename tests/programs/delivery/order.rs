//! In which order messages come (§1.1).

use std::io::Write;
use std::thread;

use crate::common::{Peer, Server, ServerMessage, chat, message};

const CLIENTS: u64 = 20;
const TEXTS: u64 = 500;

/// The sender and the text of a relay.
fn spoken(relay: &ServerMessage) -> (u64, String) {
    (relay.number("From"), relay.text().to_owned())
}

/// Sends all texts without waiting, and meanwhile reads what the others send and the responses, in
/// their order.
fn talk(mut client: Peer) -> (u64, Vec<(u64, String)>) {
    let mut writer = client.writer();
    let mut heard = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            for nth in 0..TEXTS {
                writer.write_all(&chat(nth, format!("text {nth}"))).expect("send to the server");
            }
        });
        let mut responses = 0;
        for _ in 0..TEXTS * CLIENTS {
            let message = client.read_message();
            if message.is_response() {
                assert_eq!(message.ok().number("Message-ID"), responses);
                responses += 1;
            } else {
                heard.push(spoken(&message));
            }
        }
    });
    client.expect_nothing();
    (client.uid, heard)
}

#[test]
fn everybody_sees_public_texts_in_the_same_order_none_lost_none_twice() {
    // §1.1: "in-order message delivery": from each sender in the order sent, and for all receivers
    // in the same order.
    let server = Server::start();
    let mut watcher = server.join();
    let clients: Vec<_> = (0..CLIENTS).map(|_| server.join()).collect();
    let (order, heard) = thread::scope(|scope| {
        let talking: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(|| talk(client))).collect();
        let order: Vec<_> = (0..CLIENTS * TEXTS).map(|_| spoken(&watcher.relay())).collect();
        (order, talking.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>())
    });
    for (uid, heard) in &heard {
        let of_others = order.iter().filter(|(sender, _)| sender != uid);
        assert!(of_others.eq(heard), "client {uid} saw another order than the watcher");
        let of_one: Vec<_> =
            order.iter().filter(|(sender, _)| sender == uid).map(|(_, text)| text).collect();
        let sent: Vec<_> = (0..TEXTS).map(|nth| format!("text {nth}")).collect();
        assert!(of_one.iter().copied().eq(&sent), "the texts of client {uid} came as {of_one:?}");
    }
}

#[test]
fn public_private_and_shared_of_one_sender_come_in_the_order_sent() {
    // §1.1: in-order delivery, whatever is delivered.
    let server = Server::start();
    let (mut sender, mut receiver) = (server.join(), server.join());
    let mut session = Vec::new();
    for nth in 0..100 {
        let header = format!("Message-Type chat\nMessage-ID {nth}");
        session.extend(message(&header, "public"));
        session.extend(message(&format!("{header}\nTo 2"), "private"));
        session.extend(message(&format!("{header}\nContent-Type txt"), "public file"));
        session.extend(message(&format!("{header}\nContent-Type txt\nTo 2"), "private file"));
    }
    sender.send_while_reading(&session, 400);
    for nth in 0..100 {
        let came: [_; 4] = std::array::from_fn(|_| receiver.relay());
        assert_eq!((came[0].text(), came[0].has("To")), ("public", false));
        assert_eq!((came[1].text(), came[1].has("To")), ("private", true));
        assert_eq!((came[2].number("File-ID"), came[2].has("To")), (2 * nth + 1, false));
        assert_eq!((came[3].number("File-ID"), came[3].has("To")), (2 * nth + 2, true));
    }
    receiver.expect_nothing();
}

#[test]
fn two_clients_that_talk_to_each_other_privately_lose_nothing() {
    // §2.3.2.1, both ways at once: neither waits for the other to read.
    let server = Server::start();
    let (one, two) = (server.join(), server.join());
    let talk_to = |mut client: Peer, uid: u64| {
        let text = "x".repeat(2000);
        let header = |nth| format!("Message-Type chat\nMessage-ID {nth}\nTo {uid}");
        let session: Vec<_> = (0..2000).flat_map(|nth| message(&header(nth), &text)).collect();
        let came = client.send_while_reading(&session, 4000);
        let ids = came
            .iter()
            .filter(|message| message.is_response())
            .map(|response| response.number("Message-ID"));
        assert!(ids.eq(0..2000));
        assert!(came.iter().all(|message| message.is_response() || message.text() == text));
    };
    thread::scope(|scope| {
        scope.spawn(|| talk_to(one, 2));
        talk_to(two, 1);
    });
}
