//! `multichat check`: the rules against the built server, and the proof that they find what is
//! wrong: against a small server of the draft with one fault after another.

use std::collections::BTreeSet;
use std::io::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use multichat::conformance::{self, Level, Outcome, Rule, Target, rules};

use crate::common::Server;
use crate::lesson_server::draft;
use crate::lesson_server::faults::{self, Fault, Faults};

/// How long a step may take where the server under test is sound.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long one may take where a fault may be a hanging server, so that the tests end soon.
const SHORT_TIMEOUT: Duration = Duration::from_millis(600);

/// How many faulty servers are checked at a time.
const AT_A_TIME: usize = 8;

/// How many of the rules that judge a fault wrongly are told.
const TOLD: usize = 3;

/// What came of each rule.
type Outcomes = Vec<(&'static str, Outcome)>;

fn check(address: SocketAddr, timeout: Duration, level: Level) -> Outcomes {
    let target = Target { addresses: vec![address], timeout };
    let selected: Vec<&'static Rule> = rules::all().filter(|rule| rule.level <= level).collect();
    let mut outcomes = Vec::new();
    conformance::run(target, &selected, |rule, outcome| {
        let rule = selected.iter().find(|other| other.name == rule.name).expect("a rule");
        outcomes.push((rule.name, outcome.clone()));
        Ok::<(), Error>(())
    })
    .expect("a server to connect to");
    outcomes
}

fn broken(outcomes: &Outcomes) -> BTreeSet<&'static str> {
    let is_broken = |outcome: &Outcome| matches!(outcome, Outcome::Broken(_));
    outcomes.iter().filter(|(_, outcome)| is_broken(outcome)).map(|(name, _)| *name).collect()
}

/// Expects every rule to be kept, none skipped.
#[track_caller]
fn keeps_all(outcomes: &Outcomes) {
    let not: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome != Outcome::Kept).collect();
    assert!(not.is_empty(), "{not:#?}");
}

/// Starts a small server of the draft in this process. It goes on until the tests end.
fn lesson_server(fault: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = Arc::new(draft::Server {
        room: Default::default(),
        faults: Faults::new(fault),
        extras: None,
    });
    thread::spawn(move || server.run(&listener));
    address
}

/// What is wrong with what was found of one fault, if anything is.
fn misjudged(fault: &Fault, outcomes: &Outcomes) -> Option<String> {
    let (fault, rule, others) = fault;
    let broken = broken(outcomes);
    let known = |name: &&str| name != rule && !others.contains(name);
    let more: Vec<_> = broken.iter().copied().filter(known).collect();
    if broken.contains(rule) && more.is_empty() {
        return None;
    }
    let told = |(name, outcome): &(&str, Outcome)| match outcome {
        Outcome::Broken(finding) => format!("{name}:\n{finding}\n"),
        other => format!("{name}: {other:?}\n"),
    };
    let told: String = outcomes
        .iter()
        .filter(|(name, _)| name == rule || more.contains(name))
        .take(TOLD)
        .map(told)
        .collect();
    Some(format!("\n{fault} breaks {rule}, {broken:?} fail:\n{told}"))
}

/// Expects each fault to be found by the rule that it breaks, and by no other but those named.
/// Several servers are checked at a time, since most of it is waiting.
#[track_caller]
fn are_found(faults: &[Fault], level: Level, start: impl Fn(&str) -> SocketAddr + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = String::new();
        while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcomes = check(start(fault.0), SHORT_TIMEOUT, level);
            wrong += &misjudged(fault, &outcomes).unwrap_or_default();
        }
        wrong
    };
    let wrong: String = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn this_server_keeps_every_rule_of_the_draft() {
    // §1.2 to §3.4.
    let server = Server::with(&["--quiet"]);
    let outcomes = check(server.address, TIMEOUT, Level::Draft);
    keeps_all(&outcomes);
}

#[test]
fn the_lesson_server_keeps_every_rule_of_the_draft() {
    // §1.2 to §3.4: it is what a class begins with.
    let outcomes = check(lesson_server(""), TIMEOUT, Level::Draft);
    keeps_all(&outcomes);
}

#[test]
fn every_fault_against_the_draft_is_found_by_the_rule_that_it_breaks() {
    // Each rule of the draft has a fault that it finds: rules that nothing breaks prove nothing.
    are_found(faults::DRAFT, Level::Draft, lesson_server);
    let tried: BTreeSet<_> = faults::DRAFT.iter().map(|(_, rule, _)| *rule).collect();
    let rules = rules::all().filter(|rule| rule.level == Level::Draft).map(|rule| rule.name);
    let untried: Vec<_> = rules.filter(|name| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "no fault tries {untried:?}");
}
