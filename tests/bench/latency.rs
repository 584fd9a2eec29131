//! Latency: one member talks at a fixed rate, and each delivery is timed, from before its text was
//! sent until it was read.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use super::dialect::Frame;
use super::generator::{Generator, STALL};
use super::report::{Cell, Section, Wanted, median};
use super::subject::{Running, Subject};
use super::tally::Tally;
use super::{Bench, Outcome, fail};

/// More texts under way than that, and the subject does not keep up with the rate.
const WINDOW: usize = 64;

#[derive(Clone, Copy)]
struct Case {
    members: usize,
    /// Texts a second.
    rate: u32,
    /// Texts a round.
    texts: u32,
}

const CASES: [Case; 2] =
    [Case { members: 100, rate: 50, texts: 100 }, Case { members: 1000, rate: 10, texts: 30 }];

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "latency, {} members, {} texts/s", self.members, self.rate)
    }
}

/// How long things took, in µs.
#[derive(Default)]
struct Times {
    /// To each receiver.
    each: Vec<f64>,
    /// To the last one, of each text.
    last: Vec<f64>,
}

struct Party {
    running: Running,
    generator: Generator,
    tally: Tally,
}

/// Measures all cases.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "latency",
        "µs from sending a text to each receiver, and to the last one, at a fixed rate",
        &["members", "texts/s"],
        &[
            ("each p50", 0),
            ("p99", 0),
            ("p99.9", 0),
            ("last p50", 0),
            ("x floor", 2),
            ("p99", 0),
            ("p99.9", 0),
        ],
    );
    for case in CASES {
        measure(bench, &mut section, case)?;
    }
    bench.report.add(section);
    Ok(())
}

fn measure(bench: &mut Bench, section: &mut Section, case: Case) -> Outcome<()> {
    bench.say(&case.to_string());
    let start = |subject: Subject| {
        let running = (subject.start)(case.members)?;
        let generator = Generator::with_members(&subject, &running, case.members)?;
        let tally = Tally::new(&generator, 1, WINDOW);
        Ok(Party { running, generator, tally })
    };
    let end = |mut party: Party| {
        party.generator.settle()?;
        party.running.stop()
    };
    let results = bench.interleave(&bench.subjects, start, |party| round(party, case), end)?;
    let middle = |times: &[f64]| median(times.iter().copied());
    bench
        .compare(&case.to_string(), "each p50, µs", &results, |times: &Times| middle(&times.each));
    bench
        .compare(&case.to_string(), "last p50, µs", &results, |times: &Times| middle(&times.last));
    let mut floor = f64::NAN;
    for (index, result) in results.into_iter().enumerate() {
        let mut all = Times::default();
        for mut times in result.rounds {
            all.each.append(&mut times.each);
            all.last.append(&mut times.last);
        }
        all.each.sort_by(f64::total_cmp);
        all.last.sort_by(f64::total_cmp);
        let last = percentile(&all.last, 50.0);
        if index == 0 {
            floor = last;
        }
        let cells = [
            percentile(&all.each, 50.0),
            percentile(&all.each, 99.0),
            percentile(&all.each, 99.9),
            last,
            last / floor,
            percentile(&all.last, 99.0),
            percentile(&all.last, 99.9),
        ];
        let labels = [case.members.to_string(), case.rate.to_string()];
        section.row(&labels, result.name, cells.map(Cell::new).into(), result.failure);
    }
    if case.members == 100 {
        let what = format!("{case}: p50 to the last receiver");
        let measured = section.last("multichatd", 4);
        bench.report.want(Wanted::at_most(what, measured, 1.15, "x floor"));
    }
    Ok(())
}

/// Times the texts of a round.
fn round(party: &mut Party, case: Case) -> Outcome<Times> {
    let Party { generator, tally, .. } = party;
    let mut times = Times::default();
    let pause = Duration::from_secs(1) / case.rate;
    let first = tally.said(0) + 1;
    // When each text was sent, and how many receivers it is still to reach.
    let mut sent: Vec<(Instant, usize)> = Vec::new();
    let mut due = Instant::now();
    let texts = case.texts as usize;
    let mut heard_at = Instant::now();
    loop {
        let now = Instant::now();
        if sent.len() < texts && due <= now {
            let mut free = tally.take_free();
            if free.pop().is_none() {
                return fail(format!("does not keep up: {WINDOW} texts are under way"));
            }
            tally.give_back(free);
            tally.say(generator, 0);
            sent.push((now, tally.receivers()));
            due += pause;
        }
        if sent.len() == texts && tally.is_done() {
            return Ok(times);
        }
        let patience = if sent.len() < texts { due.saturating_duration_since(now) } else { STALL };
        let heard = generator.poll(patience, |member, frame| {
            let Frame::Text(text) = frame else { return tally.count(member, frame) };
            let (_, number) = tally.delivered(member, text)?;
            let (sent_at, missing) = &mut sent[(number - first) as usize];
            let time = sent_at.elapsed().as_secs_f64() * 1e6;
            times.each.push(time);
            *missing -= 1;
            if *missing == 0 {
                times.last.push(time);
            }
            Ok(())
        })?;
        if heard || tally.is_done() {
            heard_at = Instant::now();
        } else if heard_at.elapsed() >= STALL {
            return tally.stalled();
        }
    }
}

/// Of sorted times, the one that so many percent do not exceed.
fn percentile(times: &[f64], percent: f64) -> f64 {
    // Small and not negative, so the cast keeps all of it.
    let rank = (times.len() as f64 * percent / 100.0).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
