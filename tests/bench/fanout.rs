//! Fan-out: some members talk to all the others, as fast as these take it.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use super::generator::{Generator, STALL};
use super::mcmp::MULTICHATD;
use super::report::{Cell, Section, Wanted, median, ratio};
use super::subject::{Running, Subject, own_cpu};
use super::tally::Tally;
use super::{Bench, Outcome};

/// How long members talk in a round; then what is under way is waited for.
const ROUND: Duration = Duration::from_millis(500);

/// How long they talk before it counts.
const WARM_UP: Duration = Duration::from_millis(100);

/// With more deliveries under way, the floor would take a minute for a round. It does the same
/// whatever is under way, so it is then measured with one text in flight alone; peers are not
/// measured at all.
const UNDER_WAY_LIMIT: usize = 100_000;

#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Case {
    pub(crate) members: usize,
    pub(crate) senders: usize,
    pub(crate) window: usize,
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Case { members, senders, window } = self;
        let plural = if *senders == 1 { "" } else { "s" };
        write!(f, "{members} members, {senders} sender{plural}, {window} in flight")
    }
}

/// What a round came to.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    /// Deliveries a second.
    pub(crate) rate: f64,
    /// The subject's processor time a delivery, in µs.
    pub(crate) cpu: f64,
    /// The generator's, in µs.
    own_cpu: f64,
}

/// A subject with its room.
pub(crate) struct Party {
    running: Running,
    generator: Generator,
    tally: Tally,
}

impl Party {
    pub(crate) fn start(subject: Subject, case: Case) -> Outcome<Party> {
        let running = (subject.start)(case.members)?;
        let generator = Generator::with_members(&subject, &running, case.members)?;
        let tally = Tally::new(&generator, case.senders, case.window);
        let mut party = Party { running, generator, tally };
        party.round(WARM_UP)?;
        Ok(party)
    }

    pub(crate) fn round(&mut self, length: Duration) -> Outcome<Round> {
        talk(&self.running, &mut self.generator, &mut self.tally, length)
    }

    /// Waits until all that was sent has come, and ends the subject.
    pub(crate) fn end(mut self) -> Outcome<()> {
        self.generator.settle()?;
        self.running.stop()
    }
}

/// Has the members talk for so long, and waits until everybody has everything.
pub(crate) fn talk(
    running: &Running,
    generator: &mut Generator,
    tally: &mut Tally,
    length: Duration,
) -> Outcome<Round> {
    let (cpu, own, deliveries) = (running.cpu()?, own_cpu()?, tally.deliveries());
    let start = Instant::now();
    loop {
        let free = tally.take_free();
        if start.elapsed() < length {
            for sender in free {
                tally.say(generator, sender);
            }
        } else {
            tally.give_back(free);
            if tally.is_done() {
                break;
            }
        }
        if !generator.poll(STALL, |member, frame| tally.count(member, frame))? {
            return tally.stalled();
        }
    }
    let elapsed = start.elapsed();
    let deliveries = (tally.deliveries() - deliveries) as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / deliveries;
    Ok(Round {
        rate: deliveries / elapsed.as_secs_f64(),
        cpu: each(running.cpu()? - cpu),
        own_cpu: each(own_cpu()? - own),
    })
}

/// Measures all cases; `BENCH_FANOUT=100/10/1` one of them, to be profiled.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "fan-out",
        "100-byte texts to all others; CPU is the server's, µs a delivery",
        &["members", "senders", "in flight"],
        &[
            ("k deliveries/s", 0),
            ("x floor", 2),
            ("CPU µs", 3),
            ("x floor", 2),
            ("generator µs", 3),
        ],
    );
    let only = env::var("BENCH_FANOUT").ok().filter(|only| !only.is_empty());
    for members in [10, 100, 1000] {
        for senders in [1, 10, 100] {
            let mut floor = Vec::new();
            for window in [1, 64] {
                let case = Case { members, senders, window };
                let name = format!("{members}/{senders}/{window}");
                if senders <= members && only.as_ref().is_none_or(|only| *only == name) {
                    measure(bench, &mut section, case, &mut floor)?;
                }
            }
        }
    }
    bench.report.add(section);
    Ok(())
}

/// Measures a case, and compares it with `floor`, which is measured as well where there is time.
fn measure(
    bench: &mut Bench,
    section: &mut Section,
    case: Case,
    floor: &mut Vec<Round>,
) -> Outcome<()> {
    let Case { members, senders, window } = case;
    let labels = [members, senders, window].map(|label| label.to_string());
    bench.say(&format!("fan-out: {case}"));
    let is_small = members * senders * window <= UNDER_WAY_LIMIT;
    let subjects = if is_small { &bench.subjects } else { &vec![MULTICHATD] };
    let end = Party::end;
    let start = |subject| Party::start(subject, case);
    let results = bench.interleave(subjects, start, |party| party.round(ROUND), end)?;
    if is_small {
        floor.clone_from(&results[0].rounds);
    }
    let name = format!("fan-out, {members}/{senders}/{window}");
    bench.compare(&name, "CPU µs", &results, |round: &Round| round.cpu);
    bench.compare(&name, "deliveries/s", &results, |round: &Round| round.rate);
    for result in &results {
        let of = |figure: fn(&Round) -> f64| median(result.rounds.iter().map(figure));
        let to_floor = |figure: fn(&Round) -> f64| ratio(&result.rounds, floor, figure);
        let cells = vec![
            Cell::new(of(|round| round.rate / 1e3)),
            Cell::new(to_floor(|round| round.rate)),
            Cell::new(of(|round| round.cpu)),
            Cell::new(to_floor(|round| round.cpu)),
            Cell::new(of(|round| round.own_cpu)),
        ];
        section.row(&labels, result.name, cells, result.failure.clone());
    }
    wanted(bench, case, section);
    Ok(())
}

/// What it must reach.
fn wanted(bench: &mut Bench, case: Case, section: &Section) {
    let last = |subject: &str, column: usize| section.last(subject, column);
    let what = |figure: &str| format!("fan-out, {case}: {figure}");
    let (rate, cpu) = ("deliveries/s", "CPU a delivery");
    match (case.members, case.senders, case.window) {
        (100, 1, 1) => {
            bench.report.want(Wanted::at_most(what(cpu), last("multichatd", 3), 1.1, "x floor"));
        }
        (100, 10, 1) => {
            bench.report.want(Wanted::at_least(what(rate), last("multichatd", 1), 4.0, "x floor"));
        }
        (100, 1, 64) => {
            let own = last("multichatd", 2);
            bench.report.want(Wanted::at_most(what(cpu), own, 0.10, "µs"));
            if let (Some(own), Some(other)) = (own, last("inspircd", 2)) {
                let ratio = Some(own / other);
                bench.report.want(Wanted::at_most(what(cpu), ratio, 0.67, "x inspircd"));
            }
        }
        (1000, 100, _) => {
            bench.report.want(Wanted::at_least(what(rate), last("multichatd", 1), 10.0, "x floor"));
        }
        _ => {}
    }
}
