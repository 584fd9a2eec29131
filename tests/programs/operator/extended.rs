//! What clients in the extended form see of the operator.

use super::Room;

#[test]
fn an_announcement_has_its_sequence_and_is_kept_in_the_history() {
    // E3: "An announcement of the operator is kept like any public text."
    let room = Room::start();
    let mut extended = room.server.join();
    extended.query("extended").ok();
    let mut plain = room.server.join();
    let mut operator = room.operator();
    plain.say("one").ok();
    operator.ok("say two");
    plain.say("three").ok();
    for (sequence, from, text) in [(1, 2, "one"), (2, 0, "two"), (3, 2, "three")] {
        let relay = extended.relay();
        assert_eq!((relay.number("Sequence"), relay.number("From")), (sequence, from));
        assert_eq!(relay.text(), text);
        assert_eq!(relay.has("Sender-Nickname"), from == 0);
    }
    let announced = plain.relay();
    assert!(!announced.has("Sequence") && !announced.has("Time"), "{announced:?}");
    let mut late = room.server.join();
    let history = late.query("history 2").ok();
    let history = history.text();
    assert!(history.contains("From 0\r\nSender-Nickname operator\r\nSequence 2\r\n"), "{history}");
}

#[test]
fn others_are_told_that_the_operator_has_removed_one() {
    // E2: "`left: …`: the cause in the words of P4"; and nothing of that is a delivery.
    let room = Room::start();
    let (mut extended, mut kicked) = (room.server.join(), room.server.join());
    extended.query("extended").ok();
    kicked.set_nickname("Tom").ok();
    assert_eq!(extended.relay().text(), "joined\n");
    let mut operator = room.operator();
    operator.ok("kick 2 bye");
    let notice = extended.relay();
    assert_eq!((notice.field("Message-Type"), notice.number("From")), ("notice", 2));
    assert_eq!(notice.text(), "left: the operator removed it\n");
    assert_eq!(operator.stat("deliveries"), 0);
    // One that gets the extended form reads why in the form of the draft.
    operator.ok("kick 1 you too");
    assert_eq!(extended.read_message().reason(), "the operator has removed you: you too");
    extended.expect_end();
}
