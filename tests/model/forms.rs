//! Both forms of what is said to all: every member gets everything once and in one order, each in its
//! own form, and one that asks for the extended form gets that from its answer on.

use std::io::IoSlice;
use std::sync::Arc;

use super::super::outbox::Outbox;
use super::super::socket::Wait;
use super::super::socket::memory::MemorySocket;
use super::Delivery;
use crate::ids::Uid;
use crate::room::batch::{Batch, Form, Outcome, Segment, Sink};
use crate::room::{Added, Roster};
use crate::sync::thread;

use super::{check, check_unfair, delivery, expect_found, join, say_to};

const TALKERS: usize = 2;
const TEXTS: usize = 2;

/// What answers the one that asks for the extended form.
const ANSWER: &[u8] =
    b"Status Ok\r\nMessage-Type query\r\nMessage-ID 1\r\nContent-Length 0\r\n\r\n";

/// What a client has got, in order.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    /// A text, and its number where it is in the extended form.
    Text(String, Option<u64>),
    /// A response; whether it is to the query.
    Response(bool),
}

fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

/// All whole messages in these bytes.
fn messages(bytes: &[u8]) -> Vec<Got> {
    let mut rest = std::str::from_utf8(bytes).expect("all is text");
    let mut got = Vec::new();
    while let Some((header, behind)) = rest.split_once("\r\n\r\n") {
        let len = field(header, "Content-Length").expect("a length").parse().expect("a number");
        let Some((body, behind)) = behind.split_at_checked(len) else { break };
        got.push(if field(header, "Status").is_some() {
            Got::Response(field(header, "Message-Type") == Some("query"))
        } else {
            let number = field(header, "Sequence").map(|number| number.parse().expect("a number"));
            Got::Text(body.to_owned(), number)
        });
        rest = behind;
    }
    got
}

fn texts(got: &[Got]) -> Vec<&str> {
    let text = |got| match got {
        &Got::Text(ref text, _) => Some(text.as_str()),
        Got::Response(_) => None,
    };
    got.iter().filter_map(text).collect()
}

/// Asks for the extended form.
fn ask(delivery: &Delivery, outbox: &Arc<Outbox>) {
    let added = delivery.room().extend(outbox, |out| out.extend_from_slice(ANSWER), |_| true);
    assert!(matches!(added, Added::Unflushed(_)));
}

/// Each relay is in the form that the client had asked for by then, and has its number in that.
fn check_forms(got: &[Got], mut is_extended: bool) {
    for (number, got) in (1..).zip(got.iter().filter(|got| **got != Got::Response(false))) {
        match got {
            Got::Response(_) => is_extended = true,
            // The answer has been counted as well, where there was one before.
            Got::Text(text, told) => {
                assert_eq!(told.is_some(), is_extended, "{text} is in another form");
                let told = told.unwrap_or(number);
                assert!(told == number || told + 1 == number, "{text} has the number {told}");
            }
        }
    }
}

/// Members talk to all. One has the plain form, one the extended one, one asks for it meanwhile;
/// of the talkers one has it as well. Sockets take so many bytes at a time, or all.
fn talk(capacity: Option<usize>, flush: impl Fn(&Delivery) + Copy + Send + 'static) {
    let delivery = delivery(1 << 20, 3);
    let socket = || capacity.map_or_else(MemorySocket::default, MemorySocket::with_capacity);
    let sockets = [socket(), socket(), socket()];
    let [_plain, extended, asking] = [0, 1, 2].map(|nth| join(&delivery, &sockets[nth]));
    ask(&delivery, &extended);
    flush(&delivery);
    let talkers: Vec<_> = (0..TALKERS)
        .map(|name| {
            let delivery = Arc::clone(&delivery);
            let sender = join(&delivery, &MemorySocket::default());
            thread::spawn(move || {
                if name == 0 {
                    ask(&delivery, &sender);
                }
                for nth in 0..TEXTS {
                    say_to(&delivery, &sender, None, &format!("{name}.{nth}"));
                    flush(&delivery);
                }
            })
        })
        .collect();
    let asker = {
        let delivery = Arc::clone(&delivery);
        thread::spawn(move || {
            ask(&delivery, &asking);
            flush(&delivery);
        })
    };
    for _ in 0..4 * TEXTS {
        sockets.iter().for_each(|socket| drop(socket.read()));
        thread::yield_now();
    }
    talkers.into_iter().for_each(|talker| talker.join().expect("a talker ends"));
    asker.join().expect("the asker ends");
    flush(&delivery);
    while delivery.membership().backlog.waiting() > 0 {
        sockets.iter().for_each(|socket| drop(socket.read()));
        thread::yield_now();
    }
    let [plain, extended, asking] = sockets.map(|socket| messages(&socket.sent()));
    let all = texts(&plain);
    assert_eq!(all.len(), TALKERS * TEXTS, "{plain:?}");
    for name in 0..TALKERS {
        let own = all.iter().filter(|text| text.starts_with(&format!("{name}.")));
        assert!(own.eq((0..TEXTS).map(|nth| format!("{name}.{nth}")).collect::<Vec<_>>().iter()));
    }
    check_forms(&plain, false);
    check_forms(&extended, false);
    check_forms(&asking, false);
    assert_eq!(texts(&extended), all, "two orders");
    assert_eq!(texts(&asking), all, "two orders");
    assert!(extended.contains(&Got::Response(true)) && asking.contains(&Got::Response(true)));
}

#[test]
fn everybody_gets_everything_once_in_one_order_and_in_its_own_form() {
    check(|| talk(Some(150), Delivery::flush_or_delegate));
    check_unfair(|| talk(None, Delivery::flush_or_delegate));
}

/// A flusher of its own, with sockets that take everything: it offers what `choose` makes of it.
struct Offering(fn(&Batch, &Outbox, &[Segment]) -> Vec<Segment>);

impl Sink for Offering {
    fn offer(&mut self, batch: &Batch, outbox: &Arc<Outbox>, segments: &[Segment]) {
        for segment in (self.0)(batch, outbox, segments) {
            let slices = [IoSlice::new(batch.bytes(&segment).expect("no file was added"))];
            outbox.socket().send(&slices, Wait::No, false).expect("it takes everything");
        }
    }

    fn note_talkers(&mut self, _count: usize, _first: Option<Uid>) {}

    fn look_at(&mut self, _outboxes: &[&Arc<Outbox>]) {}

    fn outcome(&mut self, _: Uid, _: Option<Uid>, _: &Roster) -> Outcome {
        Outcome::Reached
    }
}

fn flush_by(delivery: &Delivery, choose: fn(&Batch, &Outbox, &[Segment]) -> Vec<Segment>) {
    let _flusher = delivery.flusher.lock();
    while let Some((mut batch, roster)) = delivery.room().take_batch(Box::default) {
        batch.deliver(&roster, &mut Offering(choose));
    }
}

#[test]
fn a_batch_is_delivered_in_the_forms_of_its_own_time() {
    let as_it_is = |_: &Batch, _: &Outbox, segments: &[Segment]| segments.to_vec();
    check(move || talk(None, move |delivery| flush_by(delivery, as_it_is)));
}

#[test]
fn a_flusher_that_asks_for_the_form_of_the_moment_is_found() {
    // The mutation: a client that asked for the extended form behind a batch gets that of it.
    let of_the_moment = |batch: &Batch, outbox: &Outbox, segments: &[Segment]| match segments {
        [Segment::Public(Form::Plain, _)] if outbox.is_extended() => {
            let len = batch.public(Form::Extended).len();
            vec![Segment::Public(Form::Extended, 0..len)]
        }
        _ => segments.to_vec(),
    };
    expect_found("is in another form", || {
        let flush = move |delivery: &Delivery| flush_by(delivery, of_the_moment);
        shuttle::check_random(move || talk(None, flush), 10_000);
    });
}
