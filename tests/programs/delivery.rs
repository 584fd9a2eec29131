//! Who gets what (§2.3.1, §2.3.2): joining and leaving, nicknames, texts, their order.

mod leaving;
mod nicknames;
mod order;
mod queries;
mod texts;

use crate::common::Server;

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
