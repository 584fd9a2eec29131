//! What `check` prints: a line for each rule, and TAP 14.

use std::fmt::Write as _;

use super::{Outcome, Rule, Tally};

/// One line for a rule and what came of it; the finding below it where it is broken.
pub fn line(rule: &Rule, outcome: &Outcome) -> String {
    let line = |word: &str, said: &str| {
        format!("{word:<5} {:<9} {:<21} {said}\n", rule.section, rule.name)
    };
    match outcome {
        Outcome::Kept => line("ok", rule.sentence),
        Outcome::Skipped(why) => line("skip", why),
        Outcome::Broken(finding) => {
            let mut text = line("FAIL", rule.sentence);
            for part in finding.to_string().lines() {
                let _ = writeln!(text, "      {part}");
            }
            text
        }
    }
}

/// The last line.
pub fn summary(tally: Tally) -> String {
    let Tally { kept, broken, skipped } = tally;
    format!("{kept} ok, {broken} failed, {skipped} skipped\n")
}

/// The rules as a table.
pub fn list<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> String {
    let line = |rule: &Rule| {
        let Rule { level, section, name, sentence, .. } = rule;
        format!("{level:<8} {section:<9} {name:<21} {sentence}\n")
    };
    rules.into_iter().map(line).collect()
}

/// The beginning of TAP 14, for so many rules.
pub fn tap_plan(count: usize) -> String {
    format!("TAP version 14\n1..{count}\n")
}

/// A test point of TAP 14; `number` counts from 1.
pub fn tap_line(number: usize, rule: &Rule, outcome: &Outcome) -> String {
    let Rule { section, name, sentence, .. } = rule;
    // A number sign would begin a directive.
    let said = format!("{number} - {name} ({section}): {}", sentence.replace('#', "\\#"));
    match outcome {
        Outcome::Kept => format!("ok {said}\n"),
        Outcome::Skipped(why) => format!("ok {said} # SKIP {why}\n"),
        Outcome::Broken(finding) => {
            let mut text = format!("not ok {said}\n  ---\n");
            let sent: Vec<_> = finding.sent.iter().map(|sent| yaml(sent)).collect();
            let _ = writeln!(text, "  sent: [{}]", sent.join(", "));
            let _ = writeln!(text, "  got: {}", yaml(&finding.got));
            let _ = writeln!(text, "  want: {}\n  ...", yaml(&finding.want));
            text
        }
    }
}

/// A text as YAML has it in double quotes.
fn yaml(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
