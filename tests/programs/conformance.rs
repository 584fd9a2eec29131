//! `multichat check`: the rules against the built server, and the proof that they find what is
//! wrong: against a small server of the draft with one fault after another.

#[cfg(feature = "client")]
pub(crate) mod command;
mod lens;
mod settled;
#[cfg(feature = "client")]
mod strangers;

use std::collections::BTreeSet;
use std::io::Error;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use multichat::conformance::{self, Level, Outcome, Rule, Target, rules};

use crate::common::Server;
use crate::lesson_server::catalogue::{self, Fault};
use crate::lesson_server::draft;
use crate::lesson_server::extended::Extras;
use crate::lesson_server::faults::Faults;

use self::settled::Lens;

/// How long a step may take where the server under test is sound.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long one may take where a fault may be a hanging server, so that the tests end soon.
const SHORT_TIMEOUT: Duration = Duration::from_millis(600);

/// How long one may take where the short one has not been enough.
const LONGER_TIMEOUT: Duration = Duration::from_secs(3);

/// How many faulty servers are checked at a time.
const AT_A_TIME: usize = 8;

/// How many of the rules that judge a fault wrongly are told.
const TOLD: usize = 3;

/// What came of each rule.
type Outcomes = Vec<(&'static str, Outcome)>;

/// Runs the rules of these levels.
fn check(address: SocketAddr, timeout: Duration, levels: RangeInclusive<Level>) -> Outcomes {
    check_rules(address, timeout, |rule| levels.contains(&rule.level))
}

/// Runs some rules.
fn check_rules(
    address: SocketAddr,
    timeout: Duration,
    is_wanted: impl Fn(&Rule) -> bool,
) -> Outcomes {
    let target = Target { addresses: vec![address], timeout };
    let selected: Vec<&'static Rule> = rules::all().filter(|rule| is_wanted(rule)).collect();
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
    start_lesson_server(fault, None)
}

/// The same with all that goes beyond the draft.
fn extended_lesson_server(fault: &str) -> SocketAddr {
    start_lesson_server(fault, Some(Extras::default()))
}

fn start_lesson_server(fault: &str, extras: Option<Extras>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server =
        Arc::new(draft::Server { room: Default::default(), faults: Faults::new(fault), extras });
    thread::spawn(move || server.run(&listener));
    address
}

/// What is wrong with what was found of a fault, if anything is.
fn misjudged(fault: &str, rule: &str, others: &[&str], outcomes: &Outcomes) -> Option<String> {
    let broken = broken(outcomes);
    let is_known = |name: &str| name == rule || others.contains(&name);
    let more: Vec<_> = broken.iter().copied().filter(|name| !is_known(name)).collect();
    if broken.contains(rule) && more.is_empty() {
        return None;
    }
    let told = |(name, outcome): &(&str, Outcome)| match outcome {
        Outcome::Broken(finding) => format!("{name}:\n{finding}\n"),
        other => format!("{name}: {other:?}\n"),
    };
    let told: String = outcomes
        .iter()
        .filter(|(name, _)| *name == rule || more.contains(name))
        .take(TOLD)
        .map(told)
        .collect();
    Some(format!("\n{fault} breaks {rule}, {broken:?} fail:\n{told}"))
}

/// Judges a fault once more, with patience, where a short deadline on a busy machine may have misled
/// the checker.
fn judged_twice(judge: impl Fn(Duration) -> Option<String>) -> Option<String> {
    judge(SHORT_TIMEOUT).and_then(|_| judge(LONGER_TIMEOUT))
}

/// Does some work for each of `items`, several at a time, since most of it is waiting; together
/// what they have to say.
fn each<T: Send>(items: Vec<T>, work: impl Fn(T) -> Option<String> + Sync) -> String {
    let items = Mutex::new(items);
    let next = || items.lock().expect("no panic").pop();
    let take = || {
        let mut said = String::new();
        while let Some(item) = next() {
            said += &work(item).unwrap_or_default();
        }
        said
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// Expects each fault of a small server to be found by the rule that it breaks, and by no other but
/// those named.
#[track_caller]
fn are_found(
    faults: &[Fault],
    levels: &RangeInclusive<Level>,
    start: impl Fn(&str) -> SocketAddr + Sync,
) {
    let wrong = each(faults.to_vec(), |(fault, rule, others)| {
        judged_twice(|timeout| {
            let outcomes = check(start(fault), timeout, levels.clone());
            misjudged(fault, rule, others, &outcomes)
        })
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// Expects each lens in front of the built server to be found.
#[track_caller]
fn are_seen(lenses: Vec<Lens>) {
    let wrong = each(lenses, |(rule, change, options, others)| {
        let server = Server::with(&[&["--quiet"], options].concat());
        let address = lens::put(change, server.address);
        judged_twice(|timeout| {
            let outcomes = check(address, timeout, Level::Settled..=Level::Settled);
            misjudged("the lens", rule, others, &outcomes)
        })
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn this_server_keeps_every_rule_of_the_draft() {
    // §1.2 to §3.4.
    let server = Server::with(&["--quiet"]);
    let outcomes = check(server.address, TIMEOUT, Level::Draft..=Level::Draft);
    keeps_all(&outcomes);
}

#[test]
fn this_server_keeps_every_settled_rule() {
    // P1 to P5.
    let server = Server::with(&["--quiet"]);
    let outcomes = check(server.address, TIMEOUT, Level::Settled..=Level::Settled);
    keeps_all(&outcomes);
}

#[test]
fn this_server_keeps_every_rule_beyond_the_draft() {
    // E1 to E4: its features list all of it, so that nothing is skipped.
    let server = Server::with(&["--quiet"]);
    let outcomes = check(server.address, TIMEOUT, Level::Extended..=Level::Extended);
    keeps_all(&outcomes);
}

/// Expects a server with these options to keep all rules but those that cannot be tried there.
#[track_caller]
fn keeps_all_but(options: &[&str], untried: &[&str]) {
    let server = Server::with(&[&["--quiet"], options].concat());
    let outcomes = check(server.address, TIMEOUT, Level::Draft..=Level::Extended);
    let is_broken = |outcome: &Outcome| matches!(outcome, Outcome::Broken(_));
    let broken: Vec<_> = outcomes.iter().filter(|(_, outcome)| is_broken(outcome)).collect();
    assert!(broken.is_empty(), "{options:?}: {broken:#?}");
    let is_skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
    let skipped: Vec<_> = outcomes.iter().filter(|(_, outcome)| is_skipped(outcome)).collect();
    let names: Vec<_> = skipped.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, untried, "{options:?}: {skipped:#?}");
}

#[test]
fn this_server_keeps_every_rule_that_its_options_leave() {
    // `--ascii` leaves out what needs other characters, `--history 0` the history, and limits that
    // are too high cannot be tried.
    let ascii = ["text-utf8", "nickname-utf8", "nickname-joiners", "file-name-utf8"];
    keeps_all_but(&["--ascii"], &ascii);
    let history: Vec<_> = rules::all()
        .map(|rule| rule.name)
        .filter(|name| name.starts_with("history-") || *name == "query-words")
        .collect();
    keeps_all_but(&["--history", "0"], &history);
    keeps_all_but(&["--max-text", "2M", "--history", "2000"], &["text-limit", "history-kept"]);
    keeps_all_but(&["--max-text", "1k", "--max-file", "1M", "--history", "30"], &[]);
}

#[test]
fn checkers_at_one_server_do_not_mislead_each_other() {
    // Others may be in the room, and say and share what they like.
    let server = Server::with(&["--quiet"]);
    let wrong = each(vec![(); 4], |()| {
        let outcomes = check(server.address, TIMEOUT, Level::Draft..=Level::Settled);
        let broken = broken(&outcomes);
        (!broken.is_empty()).then(|| format!("{broken:?}: {outcomes:#?}"))
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_lesson_server_keeps_every_rule_of_the_draft() {
    // §1.2 to §3.4: it is what a class begins with.
    let outcomes = check(lesson_server(""), TIMEOUT, Level::Draft..=Level::Draft);
    keeps_all(&outcomes);
}

#[test]
fn every_fault_against_the_draft_is_found_by_the_rule_that_it_breaks() {
    // Each rule of the draft has a fault that it finds: rules that nothing breaks prove nothing.
    are_found(catalogue::DRAFT, &(Level::Draft..=Level::Draft), lesson_server);
}

#[test]
fn every_fault_beyond_the_draft_is_found_by_the_rule_that_it_breaks() {
    // E1 to E4.
    are_found(catalogue::EXTENDED, &(Level::Extended..=Level::Extended), extended_lesson_server);
}

#[test]
fn every_rule_has_a_fault_that_it_finds() {
    // A rule that nothing breaks proves nothing.
    let faults = [catalogue::DRAFT, catalogue::SETTLED, catalogue::EXTENDED].concat();
    let mut tried: BTreeSet<_> = faults.iter().map(|(_, rule, _)| *rule).collect();
    let lenses = [settled::framing(), settled::errors(), settled::chat(), settled::files()];
    tried.extend(lenses.iter().flatten().map(|(rule, ..)| *rule));
    let untried: Vec<_> =
        rules::all().map(|rule| rule.name).filter(|name| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "no fault tries {untried:?}");
    for (fault, rule, _) in catalogue::SETTLED {
        let outcomes =
            check_rules(lesson_server(fault), SHORT_TIMEOUT, |other| other.name == *rule);
        assert!(matches!(outcomes[..], [(_, Outcome::Broken(_))]), "{fault}: {outcomes:?}");
    }
}

#[test]
fn the_extended_lesson_server_keeps_every_rule_beyond_the_draft() {
    // E1 to E4, and it still is a server of the draft.
    let address = extended_lesson_server("");
    keeps_all(&check(address, TIMEOUT, Level::Draft..=Level::Draft));
    keeps_all(&check(address, TIMEOUT, Level::Extended..=Level::Extended));
}

#[test]
fn every_fault_against_the_settled_framing_is_found() {
    // P1, P3.
    are_seen(settled::framing());
}

#[test]
fn every_fault_against_the_settled_errors_is_found() {
    // P2.
    are_seen(settled::errors());
}

#[test]
fn every_fault_against_the_settled_chat_is_found() {
    // P4.
    are_seen(settled::chat());
}

#[test]
fn every_fault_against_settled_files_and_promises_is_found() {
    // P4, P5.
    are_seen(settled::files());
}
