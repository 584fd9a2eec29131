//! The rules, by what they are about.
//!
//! A rule on which others rest stands before them: where it fails, they are skipped.

mod ending;
mod extended_form;
mod extended_history;
mod extended_names;
mod extended_notices;
mod files;
mod nicknames;
mod private;
mod public;
mod reading;
mod session;
mod settled_chat;
mod settled_errors;
mod settled_fatal;
mod settled_files;
mod settled_framing;
mod settled_nicknames;

use super::case::{Case, Check};
use super::request::Request;
use super::{Level, Rule, Subject};

/// All rules, of all levels, in the order in which they are run.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let groups = [
        session::RULES,
        public::RULES,
        reading::RULES,
        ending::RULES,
        private::RULES,
        nicknames::RULES,
        files::RULES,
        settled_framing::RULES,
        settled_errors::RULES,
        settled_fatal::RULES,
        settled_chat::RULES,
        settled_nicknames::RULES,
        settled_files::RULES,
        extended_form::RULES,
        extended_notices::RULES,
        extended_history::RULES,
        extended_names::RULES,
    ];
    groups.into_iter().flatten()
}

type Sentence = (&'static str, &'static str, &'static str);

const fn draft(sentence: Sentence, check: fn(&Case<'_>) -> Check) -> Rule {
    Rule::new(Level::Draft, sentence, Subject::Server(check))
}

const fn settled(sentence: Sentence, check: fn(&Case<'_>) -> Check) -> Rule {
    Rule::new(Level::Settled, sentence, Subject::Server(check))
}

const fn extended(sentence: Sentence, check: fn(&Case<'_>) -> Check) -> Rule {
    Rule::new(Level::Extended, sentence, Subject::Server(check))
}

/// One message of each kind that gets a response.
fn standard_asks(case: &Case<'_>) -> [Request; 4] {
    [
        Request::query(),
        Request::chat(case.text()),
        Request::nickname("Tom"),
        Request::fetch(case.nobody()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_can_be_typed_and_sentences_are_short() {
        let mut names: Vec<_> = all().map(|rule| rule.name).collect();
        for rule in all() {
            let typed = |c: char| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit();
            assert!(rule.name.len() <= 24 && rule.name.chars().all(typed), "{}", rule.name);
            assert!(rule.sentence.len() <= 90, "{}: {}", rule.name, rule.sentence);
            let of = match rule.level {
                Level::Draft => "§",
                Level::Settled => "P",
                Level::Extended => "E",
            };
            assert!(rule.section.starts_with(of), "{}", rule.name);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
