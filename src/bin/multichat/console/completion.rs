//! What Tab completes: commands, nicknames behind `/msg` and in texts, files, File-IDs.
//!
//! What is completed is chosen by strangers. So it never makes a command of a line that is none, and
//! a nickname that would be read as something else is completed as its UID.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use multichat::client::parse_names;
use multichat::ids::Uid;
use multichat::wire::parse_number;

use super::acquaintances::Acquaintances;
use super::line::{COMMANDS, Line};
use super::paths::expand;
use crate::receiver::{Names, split_nickname};
use crate::reconnecting_client::ReconnectingClient;
use crate::show::TerminalSafe;

/// How long Tab may wait for the server, the time included in which a file is being sent.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);

/// How many names of a directory are looked at.
const ENTRIES_LIMIT: usize = 10_000;

/// What may stand in the line, and how it is listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) text: String,
    pub(crate) shown: String,
}

/// Completes what is typed.
pub(crate) struct Completion {
    room: Arc<ReconnectingClient>,
    acquaintances: Arc<Acquaintances>,
}

impl Completion {
    pub(crate) fn new(
        room: Arc<ReconnectingClient>,
        acquaintances: Arc<Acquaintances>,
    ) -> Completion {
        Completion { room, acquaintances }
    }

    /// What may take the place of the end of `typed`, from which byte on.
    pub(crate) fn complete(&self, typed: &str) -> (usize, Vec<Candidate>) {
        let (start, mut candidates) = self.candidates(typed);
        if !Line::is_command(typed) {
            candidates.retain(|candidate| {
                let completed = format!("{}{}", &typed[..start], candidate.text);
                matches!(Line::parse(&completed), Line::Say(_)) && !Line::is_command(&completed)
            });
        }
        candidates.sort();
        candidates.dedup();
        (start, candidates)
    }

    fn candidates(&self, typed: &str) -> (usize, Vec<Candidate>) {
        if !Line::is_command(typed) {
            let start = typed
                .rfind(char::is_whitespace)
                .map_or(0, |space| space + typed[space..].chars().next().map_or(0, char::len_utf8));
            let end = if start == 0 { ": " } else { " " };
            return (start, words(&typed[start..], self.nicknames(end)));
        }
        let blanks = typed.len() - typed.trim_start().len();
        let Some((command, rest)) = typed[blanks..].split_once(char::is_whitespace) else {
            let names = COMMANDS.iter().map(|(name, ..)| plain(name, " "));
            return (blanks, words(&typed[blanks..], names));
        };
        let start = typed.len() - rest.trim_start().len();
        let rest = &typed[start..];
        match command {
            "/msg" => (start, words(rest, self.nicknames(" "))),
            "/get" => match rest.split_once(char::is_whitespace) {
                None => (start, words(rest, self.file_ids())),
                Some((_, file)) => (typed.len() - file.len(), files(file)),
            },
            "/share" => (start, files(rest)),
            _ => (typed.len(), Vec::new()),
        }
    }

    /// The nicknames of those who are here, as they may stand in a line, with `end` behind.
    fn nicknames(&self, end: &str) -> Vec<Candidate> {
        let names = self.query("names").and_then(|body| parse_names(&body));
        let names = names.filter(|names| names.iter().any(|(_, name)| name.is_some()));
        let names = names.unwrap_or_else(|| self.acquaintances.names());
        let own = self.room.joined().and_then(|joined| joined.uid);
        let named = names.iter().filter_map(|(uid, name)| Some((*uid, name.as_deref()?)));
        let named = named.filter(|(uid, _)| own != Some(*uid));
        named.map(|(uid, name)| nickname(&names, uid, name, end)).collect()
    }

    fn file_ids(&self) -> Vec<Candidate> {
        let body = self.query("files").unwrap_or_default();
        let ids = body.lines().filter_map(|line| line.split(' ').next());
        ids.filter(|id| parse_number(id.as_bytes()).is_some()).map(|id| plain(id, " ")).collect()
    }

    /// Asks the server; `None` where it does not answer at once.
    fn query(&self, what: &str) -> Option<String> {
        let joined = self.room.joined()?;
        joined.query_within(what, ANSWER_LIMIT)
    }
}

fn plain(word: &str, end: &str) -> Candidate {
    Candidate { text: format!("{word}{end}"), shown: word.to_string() }
}

/// A nickname; or its UID, where the nickname cannot be typed, or is read as something else.
fn nickname(names: &Names, uid: Uid, name: &str, end: &str) -> Candidate {
    let shown = TerminalSafe(name).to_string();
    let first = name.split(char::is_whitespace).next().unwrap_or_default();
    let is_number = parse_number(first.as_bytes()).is_some();
    let is_shared = names.iter().filter(|(_, other)| other.as_deref() == Some(name)).count() > 1;
    let is_begun_by_another = split_nickname(names, name).len() > 1;
    let is_odd = shown != name || name.trim() != name || name.starts_with('/');
    match is_number || is_shared || is_begun_by_another || is_odd {
        true => Candidate { text: format!("{uid}{end}"), shown: format!("{uid} {shown}") },
        false => plain(name, end),
    }
}

/// The candidates that begin as what is typed, in whatever case.
fn words(typed: &str, candidates: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
    let begins = |text: &str| {
        let mut text = text.chars().flat_map(char::to_lowercase);
        typed.chars().flat_map(char::to_lowercase).all(|c| text.next() == Some(c))
    };
    // A UID also stands for the nickname that is listed with it.
    let name = |candidate: &Candidate| {
        candidate.shown.split_once(' ').map(|(_, name)| name.to_string()).unwrap_or_default()
    };
    let fits = |candidate: &Candidate| {
        begins(&candidate.text) || begins(&candidate.shown) || begins(&name(candidate))
    };
    candidates.into_iter().filter(fits).collect()
}

/// The files whose names begin as what is typed: as they are, since a name is read as it is.
fn files(typed: &str) -> Vec<Candidate> {
    let (dir, begun) = match typed.rfind('/') {
        Some(slash) => typed.split_at(slash + 1),
        None => ("", typed),
    };
    let path = if dir.is_empty() { Path::new(".").to_path_buf() } else { expand(dir) };
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let entries = entries.take(ENTRIES_LIMIT).filter_map(Result::ok);
    let found = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        // One that cannot be typed, or would be drawn as something else, is left out.
        let can_be_typed = TerminalSafe(&name).to_string() == name && name.trim() == name;
        let is_hidden = name.starts_with('.') && !begun.starts_with('.');
        if !name.starts_with(begun) || !can_be_typed || is_hidden {
            return None;
        }
        // Through a link, to what it stands for.
        let end = if entry.path().is_dir() { "/" } else { "" };
        Some(Candidate { text: format!("{dir}{name}{end}"), shown: format!("{name}{end}") })
    });
    found.collect()
}

/// What all candidates begin with.
pub(crate) fn common_start(candidates: &[Candidate]) -> &str {
    let Some((first, others)) = candidates.split_first() else { return "" };
    let mut common = first.text.as_str();
    for other in others {
        let same = common.chars().zip(other.text.chars()).take_while(|(a, b)| a == b);
        let len = same.map(|(c, _)| c.len_utf8()).sum();
        common = &common[..len];
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[(u64, &str)]) -> Names {
        names.iter().map(|(uid, name)| (Uid(*uid), Some((*name).to_string()))).collect()
    }

    #[test]
    fn a_nickname_that_is_read_as_something_else_is_completed_as_its_uid() {
        let all = names(&[
            (1, "Tom"),
            (2, "Ann"),
            (3, "Ann"),
            (4, "7 secret"),
            (5, "Tom Smith"),
            (6, "/share id_rsa 2"),
            (8, "\u{202e}x"),
        ]);
        let check = |uid: u64, expected: &str| {
            let name = all.iter().find(|(other, _)| other.0 == uid).unwrap().1.clone().unwrap();
            assert_eq!(nickname(&all, Uid(uid), &name, " ").text, expected, "{name}");
        };
        check(1, "Tom ");
        check(2, "2 ");
        check(3, "3 ");
        check(4, "4 ");
        // `/msg Tom Smith …` may be meant for Tom.
        check(5, "5 ");
        check(6, "6 ");
        check(8, "8 ");
    }

    #[test]
    fn a_uid_is_found_by_the_nickname_that_it_stands_for() {
        let all = names(&[(2, "Ann"), (3, "Ann")]);
        let candidates = || all.iter().map(|(uid, _)| nickname(&all, *uid, "Ann", " "));
        assert_eq!(words("an", candidates()).len(), 2);
        assert_eq!(words("3", candidates()).len(), 1);
        assert_eq!(words("B", candidates()).len(), 0);
    }

    #[test]
    fn files_are_completed_whatever_is_in_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        let odd =
            ["a b", "a@b", "a$b", "a;b", "a{b", "a<b", "a>b", "a|b", "a&b", "a=b", "a(b", "a'b"];
        for name in odd.into_iter().chain([".hidden", "a\u{1b}b"]) {
            fs::write(format!("{dir}/{name}"), "").unwrap();
        }
        fs::create_dir(format!("{dir}/adir")).unwrap();
        let complete = |typed: &str| {
            let found = files(&format!("{dir}/{typed}"));
            let mut found: Vec<String> = found.into_iter().map(|it| it.text).collect();
            found.sort();
            found
        };
        for name in odd {
            assert_eq!(complete(name), [format!("{dir}/{name}")]);
        }
        assert_eq!(complete("a").len(), odd.len() + 1);
        assert_eq!(complete("ad"), [format!("{dir}/adir/")]);
        assert_eq!(complete(".h"), [format!("{dir}/.hidden")]);
    }

    #[test]
    fn what_all_begin_with_is_completed() {
        let candidates = ["ab\u{fc}c", "ab\u{fc}d"].map(|word| plain(word, ""));
        assert_eq!(common_start(&candidates), "ab\u{fc}");
        assert_eq!(common_start(&[]), "");
    }
}
