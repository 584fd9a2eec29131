//! Private ping-pong: 50 pairs, each of which has one text under way. It goes to the partner, and
//! comes back as the partner's own.

use std::time::{Duration, Instant};

use super::dialect::{Dialect, Frame};
use super::generator::{Generator, STALL};
use super::mcmp::ONE_OVER;
use super::peers::ACKNOWLEDGING;
use super::report::{Cell, Section, Wanted, median, ratio};
use super::subject::{Running, Subject, own_cpu};
use super::{Bench, Outcome, fail, text};

const PAIRS: usize = 50;

/// How long a round is; then what is under way is waited for.
const ROUND: Duration = Duration::from_secs(1);

struct Round {
    /// Round trips a second.
    rate: f64,
    /// The subject's processor time a round trip, in µs.
    cpu: f64,
    /// The generator's, in µs.
    own_cpu: f64,
}

#[derive(Clone, Default)]
struct Player {
    /// The number of the last text that it sent.
    said: u32,
    /// The number of the last text that was answered, where there are answers.
    answered: u32,
    /// The number of the last text that it got.
    heard: u32,
}

struct Party {
    running: Running,
    generator: Generator,
    /// Partners stand side by side; the one with the even number serves.
    players: Vec<Player>,
}

impl Party {
    fn start(subject: Subject) -> Outcome<Party> {
        let running = (subject.start)(2 * PAIRS)?;
        let generator = Generator::with_members(&subject, &running, 2 * PAIRS)?;
        let players = vec![Player::default(); 2 * PAIRS];
        Ok(Party { running, generator, players })
    }

    fn say(&mut self, player: usize) {
        self.players[player].said += 1;
        let number = self.players[player].said;
        let say = |dialect: &mut dyn Dialect, out: &mut Vec<u8>| {
            dialect.private(player, number, player ^ 1, out);
        };
        self.generator.send(player, say);
    }

    fn is_done(&self) -> bool {
        let answers = self.generator.dialect().answers();
        self.players.iter().enumerate().all(|(index, player)| {
            player.heard == self.players[index ^ 1].said
                && (!answers || player.answered == player.said)
        })
    }

    fn round(&mut self) -> Outcome<Round> {
        let (cpu, own) = (self.running.cpu()?, own_cpu()?);
        let start = Instant::now();
        let mut trips = 0;
        for server in (0..2 * PAIRS).step_by(2) {
            self.say(server);
        }
        while !self.is_done() {
            let Party { generator, players, .. } = self;
            let mut hit = Vec::new();
            let heard = generator.poll(STALL, |member, frame| {
                match frame {
                    Frame::Text(text) => {
                        hear(players, member, text)?;
                        hit.push(member);
                    }
                    Frame::Answer(number) => answered(&mut players[member], member, number)?,
                    _ => {}
                }
                Ok(())
            })?;
            if !heard {
                return self.stalled();
            }
            let is_over = start.elapsed() >= ROUND;
            for player in hit {
                let serves = player % 2 == 0;
                trips += u32::from(serves);
                if !(serves && is_over) {
                    self.say(player);
                }
            }
        }
        let trips = f64::from(trips);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / trips;
        Ok(Round {
            rate: trips / start.elapsed().as_secs_f64(),
            cpu: each(self.running.cpu()? - cpu),
            own_cpu: each(own_cpu()? - own),
        })
    }

    fn stalled<T>(&self) -> Outcome<T> {
        let late = self
            .players
            .iter()
            .enumerate()
            .filter(|(index, player)| player.heard != self.players[index ^ 1].said);
        let late: Vec<_> = late.map(|(index, _)| index).collect();
        fail(format!("nothing comes; texts for these members are missing: {late:?}"))
    }
}

/// A text has come: the next of the partner's, or something is wrong.
fn hear(players: &mut [Player], member: usize, text: &[u8]) -> Outcome<()> {
    players[member].heard += 1;
    let expected = (member ^ 1, players[member].heard);
    let heard = text::read(text)?;
    if heard != expected || expected.1 > players[member ^ 1].said {
        return fail(format!("member {member} gets text {heard:?}, and not {expected:?}"));
    }
    Ok(())
}

fn answered(player: &mut Player, member: usize, number: u32) -> Outcome<()> {
    player.answered += 1;
    if number != player.answered || number > player.said {
        return fail(format!("member {member} is answered {number}, and not {}", player.answered));
    }
    Ok(())
}

/// Measures all subjects.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "ping-pong",
        "50 pairs, a private 100-byte text each way; CPU is the server's, µs a round trip",
        &["pairs"],
        &[("round trips/s", 0), ("x floor", 2), ("CPU µs", 2), ("x floor", 2), ("generator µs", 2)],
    );
    bench.say("ping-pong");
    let end = |mut party: Party| {
        party.generator.settle()?;
        party.running.stop()
    };
    let mut subjects = bench.subjects.clone();
    if subjects.iter().any(|subject| subject.name == "nats-server") {
        subjects.push(ACKNOWLEDGING);
    }
    subjects.push(ONE_OVER);
    let results = bench.interleave(&subjects, Party::start, Party::round, end)?;
    bench.compare("ping-pong", "CPU µs", &results, |round: &Round| round.cpu);
    bench.compare("ping-pong", "round trips/s", &results, |round: &Round| round.rate);
    for result in &results {
        let of = |figure: fn(&Round) -> f64| median(result.rounds.iter().map(figure));
        let to_floor =
            |figure: fn(&Round) -> f64| ratio(&result.rounds, &results[0].rounds, figure);
        let cells = vec![
            Cell::new(of(|round| round.rate)),
            Cell::new(to_floor(|round| round.rate)),
            Cell::new(of(|round| round.cpu)),
            Cell::new(to_floor(|round| round.cpu)),
            Cell::new(of(|round| round.own_cpu)),
        ];
        section.row(&[PAIRS.to_string()], result.name, cells, result.failure.clone());
    }
    // Of figures of the same round: the rates are in the first column, the CPU in the third.
    let compare = |column: usize, other: &str| {
        section.last("multichatd", column).zip(section.last(other, column)).map(|(a, b)| a / b)
    };
    let what = |what: &str| format!("ping-pong, 50 pairs: {what}");
    let verbose = ACKNOWLEDGING.name;
    let (rate, cpu) = (compare(0, verbose), compare(2, verbose));
    let one_over = compare(2, ONE_OVER.name).map(f64::recip);
    for wanted in [
        Wanted::at_least(what("round trips/s"), compare(0, "nats-server"), 1.0, "x nats-server"),
        Wanted::at_least(what("round trips/s"), rate, 1.1, "x nats-server that answers, too"),
        Wanted::at_most(what("CPU"), cpu, 0.8, "x nats-server that answers, too"),
        Wanted::at_most(what("CPU beside one queue over its limit"), one_over, 1.2, "x without"),
    ] {
        bench.report.want(wanted);
    }
    bench.report.add(section);
    Ok(())
}
