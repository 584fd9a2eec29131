//! The benchmark: a load generator, the built server beside a floor that knows no protocol, and a
//! table. `make bench` runs it; `README.md` beside this file says how to read it.
//!
//! Every case checks that each delivery has arrived exactly once and in order, and fails with what
//! was missing where nothing comes any more.

mod dialect;
mod extended;
mod fanout;
mod files;
mod floor;
mod generator;
mod idle;
mod latency;
mod mcmp;
mod peers;
mod pingpong;
mod report;
mod subject;
mod tally;
mod text;
mod web;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use self::files::FileServer;
use self::report::Report;
use self::subject::{Candidate, Subject};

/// A result whose error is for the person who runs the benchmark.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(why.into().into())
}

/// How many rounds a case has, without `BENCH_ROUNDS`.
const ROUNDS: usize = 5;

type Cases = fn(&mut Bench) -> Outcome<()>;

/// What there is to be measured, as `BENCH_ONLY` names it.
const CASES: &[(&str, Cases)] = &[
    ("fan-out", fanout::run),
    ("latency", latency::run),
    ("ping-pong", pingpong::run),
    ("idle", idle::run),
    ("files", files::run),
    ("web", web::run),
    ("extended", extended::run),
];

/// What the cases have in common.
pub(crate) struct Bench {
    pub(crate) rounds: usize,
    /// Who is measured; the floor comes first.
    pub(crate) subjects: Vec<Subject>,
    pub(crate) file_servers: Vec<FileServer>,
    pub(crate) report: Report,
}

/// What a candidate's rounds came to, as far as it got.
pub(crate) struct Rounds<R> {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<R>,
    pub(crate) failure: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |argument: &str| arguments.iter().any(|given| given == argument);
    let done = if has(floor::ARGUMENT) {
        floor::run()
    } else if has(files::ARGUMENT) {
        files::run_floor()
    } else if has("--bench") {
        bench()
    } else {
        println!("not a test: `make bench` runs it");
        Ok(())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Outcome<()> {
    multichat::limits::raise_open_files();
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let rounds = set("BENCH_ROUNDS").map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let only: Option<Vec<String>> =
        set("BENCH_ONLY").map(|only| only.split([',', ' ']).map(str::to_string).collect());
    if let Some(unknown) = only.iter().flatten().find(|only| CASES.iter().all(|(n, _)| n != only)) {
        let known: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
        return fail(format!("BENCH_ONLY={unknown}: there are {}", known.join(", ")));
    }
    let mut bench = Bench {
        rounds: rounds.max(1),
        subjects: vec![floor::FLOOR, mcmp::MULTICHATD],
        file_servers: files::SERVERS.to_vec(),
        report: Report::default(),
    };
    if set("PEERS").is_some() {
        bench.invite_peers();
    }
    if mcmp::is_compared() {
        bench.subjects.push(mcmp::BEFORE);
        bench.file_servers.push(files::BEFORE);
    }
    for (name, run) in CASES {
        if only.as_ref().is_none_or(|only| only.iter().any(|only| only == name)) {
            run(&mut bench).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    bench.report.finish(bench.rounds)
}

impl Bench {
    /// Measures other servers as well, where they are installed.
    fn invite_peers(&mut self) {
        let mut is_there = |name: &str| {
            let found = peers::find(name).is_some();
            let version = peers::version(name);
            self.report.note_peer(if found { version } else { format!("no {name}: skipped") });
            found
        };
        self.subjects.extend(peers::PEERS.into_iter().filter(|peer| is_there(peer.name)));
        self.file_servers.extend(peers::FILE_PEERS.into_iter().filter(|peer| is_there(peer.name)));
    }

    /// Says what is being done, to a person who waits for the table.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{what}");
    }

    /// Has each candidate take part in a case: started, measured round by round in turn, so that
    /// whatever else the machine does meets all of them, and ended. Each round begins with the next one:
    /// it costs something to come first, and it saves something to come twice in a row. Where two builds
    /// are compared, all are started anew for the second half of the rounds, in which the two have
    /// changed places.
    ///
    /// A peer may fail; the floor and multichatd may not.
    pub(crate) fn interleave<C: Candidate, P, R>(
        &self,
        candidates: &[C],
        start: impl Fn(C) -> Outcome<P>,
        round: impl Fn(&mut P) -> Outcome<R>,
        end: impl Fn(P) -> Outcome<()>,
    ) -> Outcome<Vec<Rounds<R>>> {
        let mut all: Vec<(C, Option<P>, Rounds<R>)> = Vec::new();
        for &candidate in candidates {
            let (name, rounds) = (candidate.name(), Vec::new());
            all.push((candidate, None, Rounds { name, rounds, failure: None }));
        }
        let place_of = |name| candidates.iter().position(|candidate| candidate.name() == name);
        let mut order: Vec<usize> = (0..all.len()).collect();
        let mut parts = vec![self.rounds];
        let compared = place_of(mcmp::MULTICHATD.name).zip(place_of(mcmp::BEFORE.name));
        if compared.is_some() {
            parts = halves(self.rounds).into();
        }
        for rounds in parts.into_iter().filter(|&rounds| rounds > 0) {
            for &index in &order {
                let (candidate, party, results) = &mut all[index];
                if results.failure.is_none() {
                    *party = results.keep(*candidate, start(*candidate))?;
                }
            }
            for _ in 0..rounds {
                for &index in &order {
                    let (candidate, party, results) = &mut all[index];
                    let Some(running) = party else { continue };
                    match results.keep(*candidate, round(running))? {
                        Some(result) => results.rounds.push(result),
                        None => *party = None,
                    }
                }
                order.rotate_left(1.min(all.len()));
            }
            for (candidate, party, results) in &mut all {
                if let Some(party) = party.take() {
                    results.keep(*candidate, end(party))?;
                }
            }
            order = (0..all.len()).collect();
            if let Some((own, before)) = compared {
                order.swap(own, before);
            }
        }
        Ok(all.into_iter().map(|(_, _, results)| results).collect())
    }

    /// Compares a figure with that of the build before, where that is measured as well.
    pub(crate) fn compare<R>(
        &mut self,
        case: &str,
        figure: &'static str,
        results: &[Rounds<R>],
        of: impl Fn(&R) -> f64,
    ) {
        let rounds_of = |name| results.iter().find(|result| result.name == name);
        if let (Some(after), Some(before)) =
            (rounds_of(mcmp::MULTICHATD.name), rounds_of(mcmp::BEFORE.name))
        {
            self.report.compare(case, figure, &after.rounds, &before.rounds, of);
        }
    }
}

/// The rounds in two parts, the first one larger where it must be.
pub(crate) fn halves(rounds: usize) -> [usize; 2] {
    [rounds.div_ceil(2), rounds / 2]
}

impl<R> Rounds<R> {
    /// Notes why a peer has failed; that of others is the caller's.
    fn keep<T>(&mut self, candidate: impl Candidate, outcome: Outcome<T>) -> Outcome<Option<T>> {
        match outcome {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if candidate.is_peer() => {
                self.failure = Some(error.to_string());
                Ok(None)
            }
            Err(error) => fail(format!("{}: {error}", candidate.name())),
        }
    }
}
