//! What each client gets, held against a room that simply appends to a list for each client.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::batch::{Outcome, Segment, Sink};
use super::*;
use crate::delivery::backlog::Backlog;
use crate::delivery::socket::memory::MemorySocket;
use crate::ids::MessageId;
use crate::wire::{MessageType, Response, Status};

fn join(room: &Room) -> Arc<Outbox> {
    room.join(outbox)
}

fn outbox(uid: Uid) -> Outbox {
    Outbox::new(uid, Box::new(MemorySocket::default()), Backlog::new(usize::MAX))
}

fn inherited(id: u64) -> Inherited {
    Inherited { message_type: Some(MessageType::Chat), id: MessageId(id) }
}

/// Hands each client its bytes.
#[derive(Default)]
struct Got(BTreeMap<Uid, Vec<u8>>);

impl Sink for Got {
    fn offer(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]) {
        let got = self.0.entry(outbox.uid()).or_default();
        for segment in segments {
            got.extend_from_slice(batch.bytes(segment).expect("no file was added"));
        }
    }

    fn look_at_talkers(&mut self, _talkers: &[&Arc<Outbox>], _get: &[&Arc<Outbox>]) {}

    fn outcome(&mut self, _sender: Uid, _to: Option<Uid>, _roster: &Roster) -> Outcome {
        Outcome::Reached
    }
}

fn flush(room: &Room, got: &mut Got) {
    if let Some((mut batch, roster)) = room.take_batch(Batch::default) {
        batch.deliver(&roster, got);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Join,
    Leave(usize),
    Say(usize),
    Tell(usize, usize),
    Ask(usize),
    Flush,
}

fn any_event() -> impl Strategy<Value = Event> {
    let who = 0usize..6;
    prop_oneof![
        2 => Just(Event::Join),
        1 => who.clone().prop_map(Event::Leave),
        5 => who.clone().prop_map(Event::Say),
        3 => (who.clone(), who.clone()).prop_map(|(from, to)| Event::Tell(from, to)),
        3 => who.prop_map(Event::Ask),
        2 => Just(Event::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_client_gets_what_a_simple_room_would_give(
        events in proptest::collection::vec(any_event(), 1..60),
    ) {
        let room = Room::default();
        let mut all: Vec<Arc<Outbox>> = Vec::new();
        let mut active: Vec<Uid> = Vec::new();
        let mut expected: BTreeMap<Uid, Vec<u8>> = BTreeMap::new();
        let mut got = Got::default();
        let ok = |id| {
            let mut out = Vec::new();
            Response::text(Status::Ok, inherited(id)).encode(b"", &mut out);
            out
        };
        for (event, number) in events.into_iter().zip(1u64..) {
            let pick = |n: usize| (!all.is_empty()).then(|| Arc::clone(&all[n % all.len()]));
            let text = format!("text {number}");
            let relay = |to, from| {
                let mut out = Vec::new();
                let content = Content::Text(text.as_bytes());
                Relay { to, from, nickname: None, content }.encode(&mut out);
                out
            };
            match event {
                Event::Join if all.len() < 6 => {
                    let outbox = join(&room);
                    active.push(outbox.uid());
                    all.push(outbox);
                }
                Event::Join => {}
                Event::Leave(n) => if let Some(outbox) = pick(n) {
                    let was_active = active.contains(&outbox.uid());
                    prop_assert_eq!(room.leave(&outbox, Cause::Closed), was_active);
                    active.retain(|&uid| uid != outbox.uid());
                },
                // One that has left may still have said it before: its session reads on.
                Event::Say(n) => if let Some(sender) = pick(n) {
                    let content = Content::Text(text.as_bytes());
                    let chat = ChatToAdd { to: None, content, inherited: inherited(number) };
                    room.chat(&sender, None, chat, |_| true).unwrap();
                    for &uid in active.iter().filter(|&&uid| uid != sender.uid()) {
                        expected.entry(uid).or_default().extend(relay(None, sender.uid()));
                    }
                    expected.entry(sender.uid()).or_default().extend(ok(number));
                },
                Event::Tell(n, m) => if let (Some(sender), Some(to)) = (pick(n), pick(m)) {
                    let content = Content::Text(text.as_bytes());
                    let uid = to.uid();
                    let chat = ChatToAdd { to: Some(uid), content, inherited: inherited(number) };
                    let told = room.chat(&sender, None, chat, |_| true);
                    prop_assert_eq!(told.is_ok(), active.contains(&uid));
                    if told.is_ok() {
                        expected.entry(uid).or_default().extend(relay(Some(uid), sender.uid()));
                        expected.entry(sender.uid()).or_default().extend(ok(number));
                    }
                },
                Event::Ask(n) => if let Some(asker) = pick(n) {
                    room.respond(&asker, None, |out| out.extend_from_slice(text.as_bytes()), |_| true);
                    expected.entry(asker.uid()).or_default().extend_from_slice(text.as_bytes());
                },
                Event::Flush => flush(&room, &mut got),
            }
        }
        flush(&room, &mut got);
        let mut got = got.0;
        got.retain(|_, bytes| !bytes.is_empty());
        for uid in all.iter().map(|outbox| outbox.uid()) {
            let show = |bytes: &BTreeMap<Uid, Vec<u8>>| {
                String::from_utf8_lossy(bytes.get(&uid).map_or(&[], Vec::as_slice)).into_owned()
            };
            prop_assert_eq!(show(&got), show(&expected), "client {}", uid);
        }
    }
}

#[test]
fn uids_count_from_one_and_are_never_used_twice() {
    let room = Room::default();
    let first = join(&room);
    assert_eq!(first.uid(), Uid(1));
    assert!(room.leave(&first, Cause::SaidBye));
    assert_eq!(join(&room).uid(), Uid(2));
    assert_eq!(room.uids(), [Uid(2)]);
}

#[test]
fn the_first_cause_of_leaving_is_the_one_that_is_told() {
    let room = Room::default();
    let client = join(&room);
    let uid = client.uid();
    assert_eq!(room.check_receiver(uid), Ok(()));
    assert!(room.leave(&client, Cause::StoppedReading));
    assert!(!room.leave(&client, Cause::Closed));
    let cause = Some(Cause::StoppedReading);
    assert_eq!(room.check_receiver(uid), Err(RoomError::HasLeft { uid, cause }));
    for uid in [Uid(0), Uid(2), Uid(u64::MAX)] {
        assert_eq!(room.check_receiver(uid), Err(RoomError::NeverConnected { uid }));
    }
}

#[test]
fn of_those_who_left_long_ago_it_is_only_said_that_they_left() {
    let room = Room::default();
    let client = join(&room);
    let uid = client.uid();
    room.leave(&client, Cause::SaidBye);
    let mut state = room.state.lock();
    // As if that many others had come and gone since.
    for other in 0..LEFT_LIMIT as u64 {
        state.last_uid += 1;
        let outbox = outbox(Uid(uid.0 + 1 + other));
        let member = Member { outbox: Arc::new(outbox), nickname: None };
        let member_outbox = Arc::clone(&member.outbox);
        state.active.insert(member_outbox.uid(), member);
        drop(state);
        assert!(room.leave(&member_outbox, Cause::Closed));
        state = room.state.lock();
    }
    assert_eq!(state.left.len(), LEFT_LIMIT);
    assert_eq!(state.left_order.len(), LEFT_LIMIT);
    drop(state);
    assert_eq!(room.check_receiver(uid), Err(RoomError::HasLeft { uid, cause: None }));
}
