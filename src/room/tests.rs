//! What each client gets, held against a room that simply appends to a list for each client.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::batch::{Form, Outcome, Segment, Sink};
use super::*;
use crate::delivery::backlog::Backlog;
use crate::delivery::socket::memory::MemorySocket;
use crate::ids::MessageId;
use crate::text::Charset;
use crate::wire::{Extra, MessageType, Notice, Response, Status, Timestamp};

fn join(room: &Room) -> Arc<Outbox> {
    room.join(outbox)
}

fn outbox(uid: Uid) -> Outbox {
    Outbox::new(uid, Arc::new(MemorySocket::default()), Backlog::new(usize::MAX))
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

    fn note_talkers(&mut self, _count: usize, _first: Option<Uid>) {}

    fn look_at(&mut self, _outboxes: &[&Arc<Outbox>]) {}

    fn outcome(&mut self, _sender: Uid, _to: Option<Uid>, _roster: &Roster) -> Outcome {
        Outcome::Reached
    }
}

fn flush(room: &Room, got: &mut Got) {
    if let Some((mut batch, roster)) = room.take_batch(Box::default) {
        batch.deliver(&roster, got);
    }
}

/// How many messages the rooms of these tests keep.
const KEPT: usize = 5;

/// The client that an event is about, by number; texts and names are numbered as well.
#[derive(Clone, Debug)]
enum Event {
    Join,
    Leave(usize),
    End(usize),
    Extend(usize),
    Name(usize, usize),
    Say(usize),
    Tell(usize, usize),
    Ask(usize),
    AskHistory(usize, u64, u64),
    Flush,
}

fn any_event() -> impl Strategy<Value = Event> {
    let who = || 0usize..6;
    prop_oneof![
        2 => Just(Event::Join),
        1 => who().prop_map(Event::Leave),
        1 => who().prop_map(Event::End),
        2 => who().prop_map(Event::Extend),
        3 => (who(), 0usize..3).prop_map(|(who, name)| Event::Name(who, name)),
        5 => who().prop_map(Event::Say),
        3 => (who(), who()).prop_map(|(from, to)| Event::Tell(from, to)),
        3 => who().prop_map(Event::Ask),
        1 => (who(), 1..9u64, 0..20u64).prop_map(|(who, count, after)| Event::AskHistory(who, count, after)),
        3 => Just(Event::Flush),
    ]
}

/// A room that simply appends to a list for each client.
#[derive(Default)]
struct SimpleRoom {
    members: Vec<SimpleMember>,
    sequence: u64,
    /// All that was said to all, and its number.
    said: Vec<(u64, Vec<u8>)>,
}

struct SimpleMember {
    outbox: Arc<Outbox>,
    is_active: bool,
    has_ended: bool,
    is_extended: bool,
    nickname: Option<Nickname>,
    sequence_before: u64,
    got: Vec<u8>,
}

impl SimpleRoom {
    fn join(&mut self, outbox: Arc<Outbox>) {
        self.members.push(SimpleMember {
            outbox,
            is_active: true,
            has_ended: false,
            is_extended: false,
            nickname: None,
            sequence_before: self.sequence,
            got: Vec::new(),
        });
    }

    fn relay(&self, from: usize, to: Option<usize>, text: &str, form: Form) -> Vec<u8> {
        let mut out = Vec::new();
        let sender = &self.members[from];
        let relay = Relay {
            to: to.map(|to| self.members[to].outbox.uid()),
            from: sender.outbox.uid(),
            nickname: sender.nickname.as_ref(),
            content: Content::Text(text.as_bytes()),
        };
        let sequence = to.is_none().then_some(self.sequence);
        let extra = Extra { file_name: None, sequence, time: no_time() };
        match form {
            Form::Plain => {
                relay.encode(&mut out);
            }
            Form::Extended => relay.encode_extended(&extra, &mut out),
        }
        out
    }

    fn say(&mut self, from: usize, text: &str) {
        self.sequence += 1;
        let plain = self.relay(from, None, text, Form::Plain);
        let extended = self.relay(from, None, text, Form::Extended);
        for (index, member) in self.members.iter_mut().enumerate() {
            if index != from && member.is_active {
                member.got.extend(if member.is_extended { &extended } else { &plain });
            }
        }
        self.said.push((self.sequence, extended));
    }

    fn tell(&mut self, from: usize, to: usize, text: &str) {
        let form = if self.members[to].is_extended { Form::Extended } else { Form::Plain };
        let relay = self.relay(from, Some(to), text, form);
        self.members[to].got.extend(relay);
    }

    fn notice(&mut self, about: usize, nickname: &Nickname, news: News<'_>) {
        let mut notice = Vec::new();
        let from = self.members[about].outbox.uid();
        Notice { from, nickname, time: no_time(), news }.encode(&mut notice);
        for (index, member) in self.members.iter_mut().enumerate() {
            if index != about && member.is_active && member.is_extended {
                member.got.extend(&notice);
            }
        }
    }

    fn set_nickname(&mut self, who: usize, nickname: &Nickname) {
        let old = self.members[who].nickname.replace(nickname.clone());
        match old {
            None => self.notice(who, nickname, News::Joined),
            Some(old) if old != *nickname => {
                self.notice(who, &old, News::Nickname(nickname.as_str()));
            }
            Some(_) => {}
        }
    }

    fn end(&mut self, who: usize) {
        self.members[who].has_ended = true;
        if let Some(nickname) = self.members[who].nickname.clone() {
            self.notice(who, &nickname, News::Left(&Cause::Closed.to_string()));
        }
    }

    fn history(&self, who: usize, count: u64, after: u64) -> Vec<Vec<u8>> {
        let before = self.members[who].sequence_before;
        let kept = self.said.iter().rev().take(KEPT);
        let found = kept.filter(|(sequence, _)| *sequence > after && *sequence <= before);
        let mut found: Vec<_> = found.take(count as usize).map(|(_, said)| said.clone()).collect();
        found.reverse();
        found
    }
}

fn no_time() -> Timestamp {
    Timestamp::from_millis(0)
}

/// The same with all times replaced by one.
fn without_times(bytes: &[u8]) -> String {
    let mut parts = std::str::from_utf8(bytes).expect("texts alone").split("\r\nTime ");
    let first = parts.next().unwrap_or_default().to_string();
    let len = no_time().to_string().len();
    parts.fold(first, |all, part| format!("{all}\r\nTime {}{}", no_time(), &part[len..]))
}

/// Lets one thing happen in both rooms.
fn happen(event: Event, number: u64, room: &Room, simple: &mut SimpleRoom, got: &mut Got) {
    let text = format!("text {number}");
    let ok = || {
        let mut out = Vec::new();
        Response::text(Status::Ok, inherited(number)).encode(b"", &mut out);
        out
    };
    let respond = |out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
    let is_here = |who: usize, simple: &SimpleRoom| {
        let index = who % simple.members.len().max(1);
        simple
            .members
            .get(index)
            .filter(|member| !member.has_ended)
            .map(|member| (index, Arc::clone(&member.outbox)))
    };
    let content = Content::Text(text.as_bytes());
    match event {
        Event::Join if simple.members.len() < 6 => simple.join(join(room)),
        Event::Join => {}
        Event::Leave(who) => {
            if let Some((index, outbox)) = is_here(who, simple) {
                assert_eq!(room.leave(&outbox, Cause::Closed), simple.members[index].is_active);
                simple.members[index].is_active = false;
            }
        }
        Event::End(who) => {
            if let Some((index, outbox)) = is_here(who, simple)
                && !simple.members[index].is_active
            {
                room.end(&outbox);
                simple.end(index);
            }
        }
        Event::Extend(who) => {
            if let Some((index, outbox)) = is_here(who, simple) {
                room.extend(&outbox, respond, |_| true);
                let member = &mut simple.members[index];
                member.got.extend_from_slice(text.as_bytes());
                member.is_extended |= member.is_active;
            }
        }
        Event::Name(who, name) => {
            if let Some((index, outbox)) = is_here(who, simple) {
                let nickname = Nickname::parse(format!("name {name}").as_bytes(), Charset::Utf8);
                let nickname = nickname.expect("a nickname");
                room.set_nickname(&outbox, &nickname, respond, |_, _| true);
                simple.set_nickname(index, &nickname);
                simple.members[index].got.extend_from_slice(text.as_bytes());
            }
        }
        // One that has left may still have said it before: its session reads on.
        Event::Say(who) => {
            if let Some((index, sender)) = is_here(who, simple) {
                let chat =
                    ChatToAdd { to: None, content, file_name: None, inherited: inherited(number) };
                let nickname = simple.members[index].nickname.clone();
                room.chat(&sender, nickname.as_ref(), chat, |_| true).expect("a room");
                simple.say(index, &text);
                simple.members[index].got.extend(ok());
            }
        }
        Event::Tell(who, to) => {
            if let (Some((index, sender)), Some((to, receiver))) =
                (is_here(who, simple), is_here(to, simple))
            {
                let chat_to = Some(receiver.uid());
                let chat = ChatToAdd {
                    to: chat_to,
                    content,
                    file_name: None,
                    inherited: inherited(number),
                };
                let nickname = simple.members[index].nickname.clone();
                let told = room.chat(&sender, nickname.as_ref(), chat, |_| true);
                assert_eq!(told.is_ok(), simple.members[to].is_active);
                if told.is_ok() {
                    simple.tell(index, to, &text);
                    simple.members[index].got.extend(ok());
                }
            }
        }
        Event::Ask(who) => {
            if let Some((index, asker)) = is_here(who, simple) {
                room.respond(&asker, None, respond, |_| true);
                simple.members[index].got.extend_from_slice(text.as_bytes());
            }
        }
        Event::AskHistory(who, count, after) => {
            if let Some((index, asker)) = is_here(who, simple)
                && simple.members[index].is_active
            {
                let history = room.history(asker.uid(), count, after).expect("it is on");
                let encoded = |kept: &Kept| {
                    let mut out = Vec::new();
                    kept.encode(&mut out);
                    without_times(&out)
                };
                let history: Vec<_> = history.iter().map(encoded).collect();
                let expected = simple.history(index, count, after);
                let expected: Vec<_> = expected.iter().map(|said| without_times(said)).collect();
                assert_eq!(history, expected, "history {count} after {after}");
            }
        }
        Event::Flush => flush(room, got),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_client_gets_what_a_simple_room_would_give(
        events in proptest::collection::vec(any_event(), 1..80),
    ) {
        let room = Room::new(KEPT);
        let mut simple = SimpleRoom::default();
        let mut got = Got::default();
        for (event, number) in events.into_iter().zip(1u64..) {
            happen(event, number, &room, &mut simple, &mut got);
        }
        flush(&room, &mut got);
        for member in simple.members {
            let uid = member.outbox.uid();
            let got = got.0.get(&uid).map_or(&[][..], Vec::as_slice);
            let (got, expected) = (without_times(got), without_times(&member.got));
            prop_assert_eq!(got, expected, "client {}", uid);
        }
    }
}

#[test]
fn where_nobody_asked_nothing_is_encoded_in_the_extended_form() {
    // E6: a room in which nobody has asked pays next to nothing.
    let room = Room::new(KEPT);
    let (sender, other) = (join(&room), join(&room));
    let say = || {
        let content = Content::Text(b"text");
        let chat = ChatToAdd { to: None, content, file_name: None, inherited: inherited(1) };
        room.chat(&sender, None, chat, |_| true).expect("a room");
        let (batch, _) = room.take_batch(Box::default).expect("something was said");
        (batch.public(Form::Plain).len(), batch.public(Form::Extended).len())
    };
    assert!(matches!(say(), (1.., 0)));
    room.extend(&other, |_| {}, |_| true);
    assert!(matches!(say(), (1.., 1..)));
    assert!(room.leave(&other, Cause::Closed));
    assert!(matches!(say(), (1.., 0)));
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
        let member = Member { outbox: Arc::new(outbox), nickname: None, sequence_before: 0 };
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
