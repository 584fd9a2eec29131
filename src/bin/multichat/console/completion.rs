//! What Tab completes: commands, nicknames, files, File-IDs.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use multichat::client::parse_names;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::line::COMMANDS;
use crate::reconnecting_client::ReconnectingClient;
use crate::show::TerminalSafe;

/// How long Tab may wait for the server to say who is here.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// Completes what is typed.
pub(crate) struct Completion {
    room: Arc<ReconnectingClient>,
    files: FilenameCompleter,
}

impl Completion {
    pub(crate) fn new(room: Arc<ReconnectingClient>) -> Completion {
        Completion { room, files: FilenameCompleter::new() }
    }

    /// Asks the server; `None` where it does not answer at once.
    fn query(&self, what: &str) -> Option<String> {
        let (answer, answered) = bounded(1);
        self.room.client()?.query_then(what, move |result| {
            // Nobody waits for it any more where it came late.
            let _ = answer.send(result);
        });
        answered.recv_timeout(ANSWER_LIMIT).ok()?.ok().map(|answer| answer.text())
    }

    /// The nicknames of those who are here, each once. One that could not be typed is left out.
    fn nicknames(&self) -> Vec<String> {
        let names = self.query("names").and_then(|body| parse_names(&body)).unwrap_or_default();
        let mut nicknames: Vec<String> = names.into_iter().filter_map(|(_, name)| name).collect();
        nicknames.retain(|name| TerminalSafe(name).to_string() == *name);
        nicknames.sort();
        nicknames.dedup();
        nicknames
    }

    fn file_ids(&self) -> Vec<String> {
        let body = self.query("files").unwrap_or_default();
        body.lines().filter_map(|line| line.split(' ').next()).map(str::to_string).collect()
    }
}

/// Those of `words` that begin with `typed`, each with `end` behind it.
fn matching(typed: &str, words: impl IntoIterator<Item = String>, end: &str) -> Vec<Pair> {
    let words = words.into_iter().filter(|word| word.starts_with(typed));
    words.map(|word| Pair { replacement: word.clone() + end, display: word }).collect()
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..pos];
        let Some((first, rest)) = typed.split_once(' ') else {
            if typed.starts_with('/') {
                let names = COMMANDS.iter().map(|(name, ..)| (*name).to_string());
                return Ok((0, matching(typed, names, " ")));
            }
            return Ok((0, matching(typed, self.nicknames(), ": ")));
        };
        let start = pos - rest.len();
        match first {
            "/msg" => Ok((start, matching(rest, self.nicknames(), " "))),
            "/get" if !rest.contains(' ') => Ok((start, matching(rest, self.file_ids(), " "))),
            "/share" | "/get" => {
                let (start, mut files) = self.files.complete(line, pos, context)?;
                for file in &mut files {
                    file.display = TerminalSafe(&file.display).to_string();
                }
                // One that cannot be typed would be drawn as it is.
                files
                    .retain(|file| TerminalSafe(&file.replacement).to_string() == file.replacement);
                Ok((start, files))
            }
            _ if first.starts_with('/') => Ok((pos, Vec::new())),
            _ => {
                let start = typed.rfind(' ').map_or(0, |space| space + 1);
                Ok((start, matching(&typed[start..], self.nicknames(), " ")))
            }
        }
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}
