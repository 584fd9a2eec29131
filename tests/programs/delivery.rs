//! Who gets what (§2.3.1, §2.3.2): joining and leaving, nicknames, texts, their order.

mod leaving;
mod nicknames;
mod order;
mod queries;
mod texts;

use crate::common::{Server, chat, message, ok_response};

#[test]
fn public_text_goes_to_every_other_active_client() {
    // §2.3.2.2: "processed by server as a public message and relayed to any other active clients".
    let server = Server::start();
    let mut clients: Vec<_> = (0..5).map(|_| server.join()).collect();
    clients[2].say("hello all").ok();
    for (nth, client) in clients.iter_mut().enumerate() {
        let came = client.sync();
        if nth == 2 {
            assert!(came.is_empty(), "the sender got its own text: {came:?}");
        } else {
            assert_eq!(came.len(), 1, "{came:?}");
            assert_eq!((came[0].field("From"), came[0].text()), ("3", "hello all"));
            assert!(!came[0].has("To") && !came[0].has("Message-ID"), "{came:?}");
        }
    }
}

#[test]
fn public_text_without_other_clients_is_ok() {
    // §2.3.2.2: "If there is no other active clients connected to chat room, the client message
    // shall be discarded, and also a response message with "Status Ok" should be generated".
    let server = Server::start();
    let mut alone = server.join();
    alone.send(chat(22, "anybody?"));
    alone.expect(ok_response("chat", 22, ""));
    let mut next = server.join();
    next.expect_nothing();
    alone.expect_nothing();
}

#[test]
fn client_that_has_said_nothing_gets_what_is_sent() {
    // §2.3.1.2: "Once connected to server, client shall be assigned a unique ID": it is active from
    // then on.
    let server = Server::start();
    let mut sender = server.join();
    let mut silent = server.connect();
    while sender.uids().len() < 2 {}
    sender.say("hello").ok();
    sender.say_to(2, "you too").ok();
    assert_eq!(silent.relay().text(), "hello");
    assert_eq!(silent.relay().text(), "you too");
}

#[test]
fn private_text_goes_to_its_receiver_alone() {
    // §2.3.2.1: "exclusively relayed to the client designated by UID", with a "From" field.
    let server = Server::start();
    let mut clients: Vec<_> = (0..4).map(|_| server.join()).collect();
    clients[0].say_to(3, "for you").ok();
    let relay = clients[2].relay();
    assert_eq!((relay.field("To"), relay.field("From"), relay.text()), ("3", "1", "for you"));
    clients.iter_mut().for_each(|client| client.expect_nothing());
}

#[test]
fn private_text_to_oneself_comes_back_before_its_response() {
    // §2.3.2.1 knows no exception: one's own UID is a UID like any other; the response follows the
    // relay.
    let server = Server::start();
    let (mut client, mut other) = (server.join(), server.join());
    client.send(message("Message-Type chat\nMessage-ID 7\nTo 1", "note"));
    client.expect(
        "Message-Type chat\r\nTo 1\r\nFrom 1\r\nContent-Type text\r\nContent-Length 4\r\n\r\nnote",
    );
    client.expect(ok_response("chat", 7, ""));
    other.expect_nothing();
}

#[test]
fn private_text_to_a_uid_never_assigned_is_refused() {
    // §2.3.2.1: "Status Error" with payload of failure reason.
    let server = Server::start();
    let (mut sender, mut other) = (server.join(), server.join());
    for uid in [0, 3, 12, u64::MAX] {
        let error = sender.say_to(uid, "hello?");
        let reason = error.reason();
        assert!(reason.contains(&uid.to_string()) && reason.contains("has connected"), "{error:?}");
    }
    other.expect_nothing();
}

#[test]
fn to_is_written_as_a_number() {
    // Numbers are written back without leading zeros.
    let server = Server::start();
    let (mut sender, mut receiver) = (server.join(), server.join());
    sender.request(message("Message-Type chat\nMessage-ID 1\nTo 0002", "hi")).ok();
    assert_eq!(receiver.relay().field("To"), "2");
}

#[test]
fn ok_means_that_the_text_was_queued_for_every_receiver() {
    // §2.2.1.3: "Status Ok" indicates the message has been successfully relayed: once it has come,
    // the text comes before the answer to anything that a receiver asks from then on.
    let server = Server::start();
    let mut sender = server.join();
    let mut receivers: Vec<_> = (0..10).map(|_| server.join()).collect();
    for round in 0..50 {
        sender.say(format!("text {round}")).ok();
        for receiver in &mut receivers {
            let came = receiver.sync();
            assert_eq!(came.len(), 1, "round {round}: {came:?}");
            assert_eq!(came[0].text(), format!("text {round}"));
        }
    }
}

#[test]
fn addresses_are_not_told_to_clients() {
    // R4: "client IP address and port number should not be shared by server to another client".
    let server = Server::start();
    let (mut one, mut other) = (server.join(), server.join());
    one.set_nickname("Tom").ok();
    one.share("txt", "content").ok();
    one.say("hi").ok();
    one.reset();
    other.wait_until_gone(1);
    let mut told: Vec<_> = other.sync();
    told.extend(["", "self", "names", "files"].map(|body| other.query(body)));
    told.push(other.say_to(1, "hi"));
    let told = format!("{told:?}");
    assert!(
        !told.contains("127.0.0") && !told.contains(&server.address.port().to_string()),
        "{told}"
    );
}
