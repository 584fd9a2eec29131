//! Idle clients: how fast they connect, what each costs, and whether others can talk to them; and
//! a crowd that connects at once.

use std::fs;
use std::time::{Duration, Instant};

use super::fanout::talk;
use super::generator::Generator;
use super::report::{Cell, Section, Wanted, median};
use super::subject::{Running, Subject};
use super::tally::Tally;
use super::{Bench, Outcome, Rounds, fail};

const COUNTS: [usize; 3] = [1000, 5000, 10_000];

/// The most clients of a server that tells each of them of each newcomer.
const ANNOUNCED: usize = 1000;

/// How many connect at once: a school's worth of them.
const CROWD: usize = 200;

/// How long one member talks to all the idle ones.
const TALK: Duration = Duration::from_secs(1);

/// Measures all cases.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "idle clients",
        "each connected and answered once, 100 at a time; then one of them talks to all. kB (1,024 bytes) a client; \
         the kernel's includes the generator's ends",
        &["clients"],
        &[
            ("connects/s", 0),
            ("CPU µs", 1),
            ("resident kB", 1),
            ("kernel kB", 1),
            ("k deliveries/s", 0),
            ("resident kB", 1),
        ],
    );
    for count in COUNTS {
        bench.say(&format!("idle: {count} clients"));
        for result in hold(bench, &bench.subjects.clone(), count)? {
            section.row(&[count.to_string()], result.name, cells(&result.rounds), result.failure);
        }
    }
    let what = "idle, 10,000 clients, after they have been talked to: resident".to_string();
    let measured = section.last("multichatd", 5);
    bench.report.want(Wanted::at_most(what, measured, 16.0, "kB each"));
    bench.report.add(section);
    crowd(bench)
}

/// What idle clients came to, each.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    /// A second.
    connects: f64,
    /// The server's processor time, in µs.
    cpu: f64,
    /// In kB.
    pub(crate) resident: f64,
    kernel: f64,
    /// Deliveries a second, where one of them talks to all.
    rate: f64,
    /// The server's processor time for each of them, in µs.
    delivery_cpu: f64,
    /// Resident memory after that, in kB.
    pub(crate) talked_to: f64,
}

fn cells(rounds: &[Held]) -> Vec<Cell> {
    let of = |figure: fn(&Held) -> f64| Cell::new(median(rounds.iter().map(figure)));
    vec![
        of(|held| held.connects),
        of(|held| held.cpu),
        of(|held| held.resident),
        of(|held| held.kernel),
        of(|held| held.rate / 1e3),
        of(|held| held.talked_to),
    ]
}

/// Holds so many idle clients of each subject, in each round those of a new server.
pub(crate) fn hold(
    bench: &mut Bench,
    subjects: &[Subject],
    count: usize,
) -> Outcome<Vec<Rounds<Held>>> {
    let results =
        bench.interleave(subjects, Ok, |&mut subject| hold_once(subject, count), |_| Ok(()))?;
    let name = format!("idle, {count}");
    bench.compare(&name, "connects/s", &results, |held: &Held| held.connects);
    bench.compare(&name, "CPU to connect, µs", &results, |held: &Held| held.cpu);
    bench.compare(&name, "resident kB", &results, |held: &Held| held.resident);
    bench.compare(&name, "talked to, kB", &results, |held: &Held| held.talked_to);
    bench.compare(&name, "deliveries/s", &results, |held: &Held| held.rate);
    bench.compare(&name, "CPU µs a delivery", &results, |held: &Held| held.delivery_cpu);
    Ok(results)
}

/// Holds idle clients, and talks to them.
fn hold_once(subject: Subject, count: usize) -> Outcome<Held> {
    if count > ANNOUNCED && (subject.dialect)().announces() {
        return fail("tells everybody of every newcomer: left out");
    }
    let running = (subject.start)(count)?;
    let (before, kernel, cpu) = (running.memory("VmRSS")?, kernel_memory()?, running.cpu()?);
    let start = Instant::now();
    let mut generator = Generator::with_members(&subject, &running, count)?;
    let connects = count as f64 / start.elapsed().as_secs_f64();
    let each = |bytes: f64| bytes / count as f64;
    let more = |now: u64, before: u64| each((now as f64 - before as f64) / 1024.0);
    let cpu = each((running.cpu()? - cpu).as_secs_f64() * 1e6);
    let resident = more(running.memory("VmRSS")?, before);
    let kernel = more(kernel_memory()?, kernel);
    let mut tally = Tally::new(&generator, 1, 1);
    let talked = talk(&running, &mut generator, &mut tally, TALK)?;
    generator.settle()?;
    let talked_to = more(running.memory("VmRSS")?, before);
    running.stop()?;
    let (rate, delivery_cpu) = (talked.rate, talked.cpu);
    Ok(Held { connects, cpu, resident, kernel, rate, delivery_cpu, talked_to })
}

/// How much memory each of so many idle clients takes, in bytes.
pub(crate) fn resident(subject: Subject, count: usize) -> Outcome<f64> {
    let running = (subject.start)(count)?;
    let before = running.memory("VmRSS")?;
    let _generator = Generator::with_members(&subject, &running, count)?;
    let after = running.memory("VmRSS")?;
    running.stop()?;
    Ok((after as f64 - before as f64) / count as f64)
}

/// Has a crowd connect at once, and waits until each was answered.
fn crowd(bench: &mut Bench) -> Outcome<()> {
    bench.say("idle: a crowd");
    let start = |subject: Subject| Ok((subject, (subject.start)(CROWD)?));
    let round = |(subject, running): &mut (Subject, Running)| {
        let repeated = repeated_syns()?;
        let mut generator = Generator::new(subject)?;
        let start = Instant::now();
        generator.join(running.address, CROWD)?;
        Ok((start.elapsed().as_secs_f64() * 1e3, repeated_syns()? - repeated))
    };
    let end = |(_, running): (Subject, Running)| running.stop();
    let results = bench.interleave(&bench.subjects, start, round, end)?;
    let mut section = Section::new(
        "crowd",
        "all connect at once; ms until each was answered",
        &["clients"],
        &[("ms", 1), ("slowest", 1), ("repeated SYNs", 0)],
    );
    for result in results {
        let times = || result.rounds.iter().map(|&(time, _)| time);
        let repeated: u64 = result.rounds.iter().map(|&(_, repeated)| repeated).sum();
        let cells = vec![
            Cell::new(median(times())),
            Cell::new(times().fold(f64::NAN, f64::max)),
            Cell::new(repeated as f64),
        ];
        section.row(&[CROWD.to_string()], result.name, cells, result.failure);
    }
    let want = |what: &str, column, limit, unit| {
        let what = format!("{CROWD} clients connecting at once: {what}");
        Wanted::at_most(what, section.last("multichatd", column), limit, unit)
    };
    bench.report.want(want("until all have joined", 0, 50.0, "ms"));
    bench.report.want(want("repeated SYNs", 2, 0.0, "in all rounds"));
    bench.report.add(section);
    Ok(())
}

/// What the kernel holds for sockets, threads and their page tables, in bytes.
fn kernel_memory() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let counted = ["Slab", "KernelStack", "PageTables"];
    let kib = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        counted.contains(&name).then(|| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())?
    });
    Ok(kib.sum::<u64>() * 1024)
}

/// How many connections this host had to ask for again, since it has started.
fn repeated_syns() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/net/netstat")?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = lines.next().zip(lines.next()).ok_or("no TcpExt in /proc/net/netstat")?;
    let mut pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.find(|(name, _)| *name == "TCPSynRetrans");
    Ok(found.ok_or("no TCPSynRetrans in /proc/net/netstat")?.1.parse()?)
}
