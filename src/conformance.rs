//! `multichat check`: does a server keep the protocol?
//!
//! A [`Rule`] is a value: a name that stays the same for ever, a level, the section that it is from,
//! one sentence, and a function that speaks with a server. [`run`] runs rules one after another, each
//! with connections and deadlines of its own, so that a server that hangs or answers with noise
//! breaks that rule, and the next one runs.
//!
//! Nothing of the server's own reader and writer is used in here: what they would agree upon between
//! themselves is what this is to find.
//!
//! | module | owns |
//! |---|---|
//! | [`message`] | a strict reader of server messages, of the draft alone |
//! | [`request`] | client messages |
//! | [`peer`] | one connection: deadlines, and how nothing comes (hung, closed, reset, flood, noise) |
//! | [`case`] | what a rule is given: connections, UIDs, the server's dialect and features |
//! | [`finding`] | what was sent, what came, what was wanted, with the bytes visible |
//! | [`rules`] | the rules |
//! | [`client`] | the other side: a server of the draft that says what a client does |
//! | [`report`] | the lines of `check`, and TAP |

pub mod case;
pub mod client;
pub mod finding;
pub mod message;
pub mod peer;
pub mod report;
pub mod request;
pub mod rules;

use std::fmt;

use self::case::{Case, Check, ServerUnderTest, Stop};
use self::finding::Finding;

pub use self::case::Target;

/// How much a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the draft says.
    Draft,
    /// What the draft leaves open, as README settles it.
    Settled,
    /// What goes beyond the draft, for servers that list it in their features.
    Extended,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Draft => "draft",
            Level::Settled => "settled",
            Level::Extended => "extended",
        })
    }
}

/// One sentence that a server keeps or breaks.
#[derive(Debug)]
pub struct Rule {
    /// What `--only` and `--skip` call it.
    pub name: &'static str,
    /// From which level on it counts.
    pub level: Level,
    /// Where it is from: § of the draft, P and E of what settles and extends it.
    pub section: &'static str,
    /// The rule itself.
    pub sentence: &'static str,
    check: Subject,
}

/// Who keeps or breaks a rule, and how that is found out.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Server(fn(&Case<'_>) -> Check),
    Client(fn(&client::Session) -> Check),
}

impl Rule {
    const fn new(
        level: Level,
        (name, section, sentence): (&'static str, &'static str, &'static str),
        check: Subject,
    ) -> Rule {
        Rule { name, level, section, sentence, check }
    }
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server keeps it.
    Kept,
    /// The server breaks it.
    Broken(Finding),
    /// It could not be checked, and why.
    Skipped(String),
}

/// How many rules came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were kept.
    pub kept: usize,
    /// How many were broken.
    pub broken: usize,
    /// How many could not be checked.
    pub skipped: usize,
}

impl Tally {
    /// Counts one more.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Kept => self.kept += 1,
            Outcome::Broken(_) => self.broken += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }
}

/// Runs rules against a server, one after another, and tells of each as it is done.
///
/// A rule takes at most four times the target's timeout.
///
/// # Errors
/// Where nobody answers there. The report's own error ends the run.
pub fn run<E: From<std::io::Error>>(
    target: Target,
    rules: &[&'static Rule],
    mut report: impl FnMut(&Rule, &Outcome) -> Result<(), E>,
) -> Result<Tally, E> {
    target.is_reachable()?;
    let server = ServerUnderTest::probe(target);
    let mut tally = Tally::default();
    for rule in rules {
        let Subject::Server(check) = rule.check else { continue };
        let checked = check(&server.case());
        let outcome = match checked {
            Ok(()) => Outcome::Kept,
            Err(Stop::Skip(why)) => Outcome::Skipped(why),
            Err(Stop::Broken(finding)) => {
                server.note_broken(rule.name, rule.name);
                Outcome::Broken(finding)
            }
            Err(Stop::Unmet(other, finding)) => match server.root_of(other) {
                Some(root) => {
                    server.note_broken(rule.name, root);
                    Outcome::Skipped(format!("it rests on {root}, which is broken"))
                }
                // The other rule was not run, or was kept: then this is the first that is known.
                None => {
                    server.note_broken(rule.name, rule.name);
                    Outcome::Broken(finding)
                }
            },
        };
        tally.count(&outcome);
        report(rule, &outcome)?;
    }
    Ok(tally)
}
