//! What each client gets, held against a room that simply appends to a list for each client.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};

use proptest::prelude::*;

use super::*;
use crate::batch::{Outcome, Segment, What, encode_chat_response};
use crate::ids::MessageId;
use crate::wire::{MessageType, Response, Status};

fn stream() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

fn inherited(id: u64) -> Inherited {
    Inherited { message_type: Some(MessageType::Chat), id: MessageId(id) }
}

/// Takes the batch and hands each client its bytes.
fn flush(room: &Room, got: &mut BTreeMap<Uid, Vec<u8>>) {
    let mut batch = Batch::default();
    let Some(roster) = room.take_batch(&mut batch) else { return };
    batch.sort();
    let mut with_pieces = Vec::new();
    for group in batch.groups() {
        let uid = batch.pieces(group.clone())[0].outbox.uid();
        with_pieces.push(uid);
        let active = roster.iter().any(|outbox| outbox.uid() == uid);
        let mut segments = Vec::new();
        let mut late = Vec::new();
        batch.view(group, active, &mut segments, |what| {
            let What::ChatResponse { inherited, file_id, .. } = what else { panic!("{what:?}") };
            let start = late.len();
            encode_chat_response(*inherited, *file_id, &Outcome::Reached, &mut late);
            start..late.len()
        });
        let bytes = got.entry(uid).or_default();
        for segment in segments {
            bytes.extend_from_slice(match segment {
                Segment::Public(range) => &batch.public()[range],
                Segment::Private(range) => &batch.private()[range],
                Segment::Late(range) => &late[range],
                Segment::File(_) => panic!("no file was added"),
            });
        }
    }
    for outbox in roster.iter().filter(|outbox| !with_pieces.contains(&outbox.uid())) {
        got.entry(outbox.uid()).or_default().extend_from_slice(batch.public());
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
        let mut got: BTreeMap<Uid, Vec<u8>> = BTreeMap::new();
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
                    let outbox = room.join(stream());
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
                    room.chat(&sender, None, None, content, inherited(number)).unwrap();
                    for &uid in active.iter().filter(|&&uid| uid != sender.uid()) {
                        expected.entry(uid).or_default().extend(relay(None, sender.uid()));
                    }
                    expected.entry(sender.uid()).or_default().extend(ok(number));
                },
                Event::Tell(n, m) => if let (Some(sender), Some(to)) = (pick(n), pick(m)) {
                    let content = Content::Text(text.as_bytes());
                    let uid = to.uid();
                    let told = room.chat(&sender, None, Some(uid), content, inherited(number));
                    prop_assert_eq!(told.is_ok(), active.contains(&uid));
                    if told.is_ok() {
                        expected.entry(uid).or_default().extend(relay(Some(uid), sender.uid()));
                        expected.entry(sender.uid()).or_default().extend(ok(number));
                    }
                },
                Event::Ask(n) => if let Some(asker) = pick(n) {
                    room.respond(&asker, |out| out.extend_from_slice(text.as_bytes()));
                    expected.entry(asker.uid()).or_default().extend_from_slice(text.as_bytes());
                },
                Event::Flush => flush(&room, &mut got),
            }
        }
        flush(&room, &mut got);
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
    let first = room.join(stream());
    assert_eq!(first.uid(), Uid(1));
    assert!(room.leave(&first, Cause::SaidBye));
    assert_eq!(room.join(stream()).uid(), Uid(2));
    assert_eq!(room.uids(), [Uid(2)]);
}

#[test]
fn the_first_cause_of_leaving_is_the_one_that_is_told() {
    let room = Room::default();
    let client = room.join(stream());
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
    let client = room.join(stream());
    let (uid, outbox) = (client.uid(), Arc::clone(&client));
    room.leave(&client, Cause::SaidBye);
    let mut state = room.state.lock();
    // As if that many others had come and gone since.
    for other in 0..LEFT_LIMIT as u64 {
        state.last_uid += 1;
        let outbox = Outbox::new(Uid(uid.0 + 1 + other), outbox.stream().try_clone().unwrap());
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
