//! What comes out: a table that a person reads, and the same as JSON.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use serde_json::{Map, Value, json};

use super::{Outcome, halves};

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
    wanted: Vec<Wanted>,
    /// The other servers that were measured, and those that were not there.
    peers: Vec<String>,
    compared: Vec<Compared>,
}

/// A figure of this build beside that of the build before.
struct Compared {
    case: String,
    figure: &'static str,
    before: f64,
    after: f64,
    /// Of the same round.
    ratio: f64,
    quartiles: [f64; 2],
}

/// The table of one kind of case.
pub(crate) struct Section {
    title: &'static str,
    about: &'static str,
    /// What tells the cases apart.
    labels: &'static [&'static str],
    /// The figures, and their decimals.
    columns: &'static [(&'static str, usize)],
    rows: Vec<Row>,
}

struct Row {
    labels: Vec<String>,
    subject: &'static str,
    cells: Vec<Cell>,
    /// Why there are no figures, or no more.
    failure: Option<String>,
}

/// A figure; `None` where there is none.
#[derive(Clone, Copy)]
pub(crate) struct Cell(Option<f64>);

impl Cell {
    pub(crate) fn new(figure: f64) -> Cell {
        Cell(figure.is_finite().then_some(figure))
    }
}

impl Section {
    pub(crate) fn new(
        title: &'static str,
        about: &'static str,
        labels: &'static [&'static str],
        columns: &'static [(&'static str, usize)],
    ) -> Section {
        Section { title, about, labels, columns, rows: Vec::new() }
    }

    pub(crate) fn row(
        &mut self,
        labels: &[String],
        subject: &'static str,
        cells: Vec<Cell>,
        failure: Option<String>,
    ) {
        self.rows.push(Row { labels: labels.to_vec(), subject, cells, failure });
    }

    /// The last figure of a subject in a column, counted from 0.
    pub(crate) fn last(&self, subject: &str, column: usize) -> Option<f64> {
        self.rows.iter().rfind(|row| row.subject == subject)?.cells.get(column)?.0
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut object = Map::new();
            for (name, label) in self.labels.iter().zip(&row.labels) {
                object.insert((*name).to_string(), json!(label));
            }
            object.insert("subject".to_string(), json!(row.subject));
            let mut before = "";
            for ((name, _), cell) in self.columns.iter().zip(&row.cells) {
                // "x floor" stands behind what it is the ratio of.
                let is_ratio = name.starts_with("x ");
                let key = if is_ratio { format!("{before} {name}") } else { (*name).to_string() };
                object.insert(key, json!(cell.0));
                if !is_ratio {
                    before = name;
                }
            }
            if let Some(failure) = &row.failure {
                object.insert("failure".to_string(), json!(failure));
            }
            Value::Object(object)
        });
        json!({ "title": self.title, "about": self.about, "rows": rows.collect::<Vec<_>>() })
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}\n", self.title, self.about)?;
        for label in self.labels {
            write!(f, "{label}  ")?;
        }
        write!(f, "{:<12}", "")?;
        for (name, _) in self.columns {
            write!(f, "  {name:>8}")?;
        }
        writeln!(f)?;
        let mut before: &[String] = &[];
        for row in &self.rows {
            for (name, label) in self.labels.iter().zip(&row.labels) {
                let label = if before == row.labels { "" } else { label };
                write!(f, "{label:>width$}  ", width = name.chars().count())?;
            }
            before = &row.labels;
            write!(f, "{:<12}", row.subject)?;
            for ((name, decimals), cell) in self.columns.iter().zip(&row.cells) {
                let width = name.chars().count().max(8);
                match cell.0 {
                    Some(figure) => write!(f, "  {figure:>width$.decimals$}")?,
                    None => write!(f, "  {:>width$}", "-")?,
                }
            }
            writeln!(
                f,
                "{}",
                row.failure.as_ref().map_or(String::new(), |why| format!("  {why}"))
            )?;
        }
        Ok(())
    }
}

impl Compared {
    fn json(&self) -> Value {
        json!({
            "case": self.case,
            "figure": self.figure,
            "before": self.before,
            "after": self.after,
            "ratio": self.ratio,
            "quartiles": self.quartiles,
        })
    }
}

/// A figure that must be reached.
pub(crate) struct Wanted {
    what: String,
    measured: Option<f64>,
    limit: f64,
    unit: &'static str,
    is_upper: bool,
}

impl Wanted {
    pub(crate) fn at_most(
        what: String,
        measured: Option<f64>,
        limit: f64,
        unit: &'static str,
    ) -> Wanted {
        Wanted { what, measured, limit, unit, is_upper: true }
    }

    pub(crate) fn at_least(
        what: String,
        measured: Option<f64>,
        limit: f64,
        unit: &'static str,
    ) -> Wanted {
        Wanted { what, measured, limit, unit, is_upper: false }
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured: needs PEERS=1",
            Some(figure) if self.is_upper && figure <= self.limit => "met",
            Some(figure) if !self.is_upper && figure >= self.limit => "met",
            Some(_) => "NOT MET",
        }
    }

    fn bound(&self) -> &'static str {
        if self.is_upper { "at most" } else { "at least" }
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "measured": self.measured,
            "bound": self.bound(),
            "limit": self.limit,
            "unit": self.unit,
            "verdict": self.verdict(),
        })
    }
}

impl Display for Wanted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Wanted { what, limit, unit, .. } = self;
        let measured = self.measured.map_or("-".to_string(), |figure| format!("{figure:.2}"));
        let wanted = format!("{} {limit} {unit}", self.bound());
        writeln!(f, "{what:<66} {measured:>8}  {wanted:<22}  {}", self.verdict())
    }
}

impl Report {
    pub(crate) fn add(&mut self, section: Section) {
        print!("{section}");
        self.sections.push(section);
    }

    pub(crate) fn note_peer(&mut self, peer: String) {
        eprintln!("{peer}");
        self.peers.push(peer);
    }

    pub(crate) fn want(&mut self, wanted: Wanted) {
        self.wanted.push(wanted);
    }

    /// Compares a figure of this build with that of the build before: the ratio is taken round by
    /// round, and is the mean (geometric) of the medians of both halves of the rounds, in which the
    /// two have changed places.
    pub(crate) fn compare<R>(
        &mut self,
        case: &str,
        figure: &'static str,
        after: &[R],
        before: &[R],
        of: impl Fn(&R) -> f64,
    ) {
        let ratios = after.iter().zip(before).map(|(after, before)| of(after) / of(before));
        let ratios: Vec<f64> = ratios.collect();
        self.compared.push(Compared {
            case: case.to_string(),
            figure,
            before: median(before.iter().map(&of)),
            after: median(after.iter().map(&of)),
            ratio: match ratios.split_at(halves(ratios.len())[0]) {
                (all, []) => median(all.iter().copied()),
                (one, other) => {
                    let [one, other] = [one, other].map(|half| median(half.iter().copied()));
                    (one * other).sqrt()
                }
            },
            quartiles: [0.25, 0.75].map(|part| quantile(&ratios, part)),
        });
    }

    fn print_compared(&self) {
        if self.compared.is_empty() {
            return;
        }
        println!(
            "\nbeside the build before; the ratio is of the same round; in brackets its quartiles\n"
        );
        println!("{:<44}  {:<20}  {:>9}  {:>9}  after/before", "case", "figure", "before", "after");
        for compared in &self.compared {
            let Compared { case, figure, before, after, ratio, quartiles: [low, high] } = compared;
            println!(
                "{case:<44}  {figure:<20}  {before:>9.3}  {after:>9.3}  \
                 {ratio:.3} ({low:.3} to {high:.3})"
            );
        }
    }

    /// Prints what was wanted, and writes everything to `target/bench.json`.
    pub(crate) fn finish(&self, rounds: usize) -> Outcome<()> {
        self.print_compared();
        println!("\nwhat it must reach, in this run\n");
        self.wanted.iter().for_each(|wanted| print!("{wanted}"));
        let (machine, date, command) = (machine()?, date()?, command());
        println!("\n{machine}\n{date}, {command}, medians of {rounds} interleaved rounds");
        if !self.peers.is_empty() {
            println!("{}", self.peers.join(", "));
        }
        let all = json!({
            "machine": machine,
            "date": date,
            "command": command,
            "version": env!("CARGO_PKG_VERSION"),
            "rounds": rounds,
            "peers": self.peers,
            "sections": self.sections.iter().map(Section::json).collect::<Vec<_>>(),
            "compared": self.compared.iter().map(Compared::json).collect::<Vec<_>>(),
            "wanted": self.wanted.iter().map(Wanted::json).collect::<Vec<_>>(),
        });
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench.json");
        fs::write(&path, serde_json::to_string_pretty(&all)? + "\n")?;
        println!("written to target/bench.json");
        Ok(())
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.len().saturating_sub(1) / 2, figures.len() / 2);
    match (figures.get(low), figures.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => f64::NAN,
    }
}

/// The figure below which such a part of all is (nearest rank).
fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Small and not negative, so the cast keeps all of it.
    let index = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The median of a figure's ratios to that of the floor in the same round.
pub(crate) fn ratio<R>(rounds: &[R], floor: &[R], figure: fn(&R) -> f64) -> f64 {
    median(rounds.iter().zip(floor).map(|(own, floor)| figure(own) / figure(floor)))
}

fn machine() -> Outcome<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split(' ').rev().nth(1));
    let gib = kib.and_then(|kib| kib.parse::<f64>().ok()).map_or(0.0, |kib| kib / (1 << 20) as f64);
    Ok(format!(
        "{}, {} cores, {gib:.0} GiB, Linux {}",
        model.map_or("unknown processor", |(_, name)| name),
        thread::available_parallelism()?,
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
    ))
}

fn date() -> Outcome<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_string())
}

/// What is to be typed for the same again.
fn command() -> String {
    let variables =
        ["PEERS", "BENCH_ROUNDS", "BENCH_ONLY", "BENCH_FANOUT"].into_iter().filter_map(|name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .map(|v| format!(" {name}={v}"))
        });
    format!("make bench{}", variables.collect::<String>())
}
