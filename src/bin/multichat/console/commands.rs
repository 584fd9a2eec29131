//! Lines that were entered, carried out one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use multichat::client::{Answer, Client, Failure};
use multichat::ids::{FileId, Uid};

use multichat::wire::parse_number;

use super::line::{Line, help};
use super::screen::Screen;
use crate::file::fetch::{self, NotFetched};
use crate::file::name::shown_path;
use crate::file::progress::Progress;
use crate::file::saving::Target;
use crate::file::share::Outgoing;
use crate::reconnecting_client::ReconnectingClient;
use crate::settings::{Settings, shown};
use crate::show::{TerminalSafe, sender};

/// Carries out what is entered.
pub(crate) struct Commands {
    settings: Settings,
    room: Arc<ReconnectingClient>,
    screen: Screen,
}

type Names = Vec<(Uid, Option<String>)>;

impl Commands {
    pub(crate) fn new(
        settings: Settings,
        room: Arc<ReconnectingClient>,
        screen: Screen,
    ) -> Commands {
        Commands { settings, room, screen }
    }

    pub(crate) fn screen(&self) -> Screen {
        self.screen.clone()
    }

    /// Says where the person is, and as whom, as far as the server tells.
    pub(crate) fn greet(&self) {
        let server = self.settings.server_name();
        let uid = self.room.uid();
        let names = self.room.client().and_then(|client| client.names().ok()).unwrap_or_default();
        let own = uid.and_then(|uid| names.iter().find(|(other, _)| *other == uid));
        let whom = match (own, uid) {
            (Some((uid, name)), _) => format!(" as {}", sender(*uid, name.as_deref())),
            (None, Some(uid)) => format!(" as {uid}"),
            (None, None) => String::new(),
        };
        let others = match names.len().saturating_sub(1) {
            0 => "nobody else is here".to_string(),
            1 => "one other is here".to_string(),
            count => format!("{count} others are here"),
        };
        self.screen.notice(&format!("joined {server}{whom}; {others}; /help tells more"));
    }

    pub(crate) fn carry_out(&mut self, line: Line) {
        match line {
            Line::Nothing | Line::Quit => {}
            Line::Help => self.screen.print(help()),
            Line::Wrong(what) => self.screen.notice(&TerminalSafe(&what).to_string()),
            line => match self.room.client() {
                Some(client) => {
                    if let Err(why) = self.ask(&client, line) {
                        self.screen.notice(&why);
                    }
                }
                None => self.screen.notice("there is no connection: this was not sent"),
            },
        }
    }

    /// Carries out what needs the server; an error is what to say.
    fn ask(&mut self, client: &Client, line: Line) -> Result<(), String> {
        match line {
            Line::Say(text) => self.say(client, self.settings.to, &text),
            Line::Msg(rest) => {
                let (to, text) = find_receiver(client, &rest)?;
                self.say(client, Some(to), text)
            }
            Line::Nick(name) => {
                let nickname =
                    client.set_nickname(&name).map_err(|failure| not("set", &failure))?;
                self.room.keep_nickname(&nickname);
                self.screen.notice(&format!("you are now {}", TerminalSafe(&nickname)));
                Ok(())
            }
            Line::Who => self.who(client),
            Line::Files => {
                let files = client.files().map_err(|failure| shown(&failure))?;
                let line = |file: &String| format!("    {}", TerminalSafe(file));
                self.list("no files", files.iter().map(line));
                Ok(())
            }
            Line::Share(rest) => self.share(client, &rest),
            Line::Get { id, file } => self.get(client, id, file),
            Line::Nothing | Line::Help | Line::Quit | Line::Wrong(_) => Ok(()),
        }
    }

    fn say(&self, client: &Client, to: Option<Uid>, text: &str) -> Result<(), String> {
        let answer: Answer =
            client.send_text(to, text.as_bytes()).map_err(|failure| not("sent", &failure))?;
        let missed = answer.text();
        if !missed.trim().is_empty() {
            self.screen.notice(&TerminalSafe(missed.trim()).to_string());
        }
        Ok(())
    }

    fn who(&self, client: &Client) -> Result<(), String> {
        let own = self.room.uid();
        let names = client.names().map_err(|failure| shown(&failure))?;
        let line = |(uid, name): &(Uid, Option<String>)| {
            let is_own = if own == Some(*uid) { " (you)" } else { "" };
            format!("    {}{is_own}", sender(*uid, name.as_deref()))
        };
        self.list("nobody", names.iter().map(line));
        Ok(())
    }

    fn list(&self, nothing: &str, lines: impl Iterator<Item = String>) {
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            self.screen.notice(nothing);
        } else {
            self.screen.print(lines.join("\n"));
        }
    }

    fn progress(&self) -> Progress {
        let screen = self.screen.clone();
        if self.settings.is_plain {
            Progress::in_quarters(move |line| screen.notice(&line))
        } else {
            Progress::in_place(move |line| screen.progress(line))
        }
    }

    fn share(&self, client: &Client, rest: &str) -> Result<(), String> {
        let (path, to) = match named_file(rest) {
            Some(path) => (path, None),
            None => match shlex::split(rest).as_deref() {
                Some([file]) => (expand(file), None),
                Some([file, whom]) => (expand(file), Some(find_client(client, whom)?)),
                Some(_) => return Err("/share: a file, and one UID at most".to_string()),
                None => return Err("/share: a quotation mark is not closed".to_string()),
            },
        };
        let file = Outgoing::open(&path)?;
        let id = file.share(client, to.or(self.settings.to), self.progress())?;
        self.screen.notice(&format!("{} is shared as file {id}", shown_path(&path)));
        Ok(())
    }

    fn get(&self, client: &Client, id: FileId, file: Option<String>) -> Result<(), String> {
        let target = file.map_or(Target::Named, |file| Target::File(expand(&file)));
        let saved = fetch::fetch(client, id, &target, self.progress());
        let saved = saved.map_err(|why| match why {
            NotFetched::Failed(why) => why,
            NotFetched::Stdout(error) => error.to_string(),
        })?;
        let path = match (saved, target) {
            (Some(path), _) | (None, Target::File(path)) => path,
            (None, _) => return Ok(()),
        };
        self.screen.notice(&format!("file {id} is saved as {}", shown_path(&path)));
        Ok(())
    }
}

fn not(what: &str, failure: &Failure) -> String {
    format!("not {what}: {}", shown(failure))
}

/// A file whose name was typed as it is, spaces and quotation marks included.
fn named_file(text: &str) -> Option<PathBuf> {
    let path = expand(text);
    path.is_file().then_some(path)
}

/// Puts the home directory in place of a tilde.
fn expand(name: &str) -> PathBuf {
    match (name.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => Path::new(name).to_path_buf(),
    }
}

/// The client that is meant: by its UID, or by a nickname that it alone has.
fn find_client(client: &Client, whom: &str) -> Result<Uid, String> {
    match parse_number(whom.as_bytes()) {
        Some(uid) => Ok(Uid(uid)),
        None => {
            let names = client.names().map_err(|failure| shown(&failure))?;
            only_one(&names, whom)
        }
    }
}

/// Whom a private message is for, and its text. A nickname may hold spaces.
fn find_receiver<'a>(client: &Client, rest: &'a str) -> Result<(Uid, &'a str), String> {
    let (first, text) = rest.split_once([' ', '\t', '\n']).unwrap_or((rest, ""));
    if let Some(uid) = parse_number(first.as_bytes()) {
        return text_for(Uid(uid), text);
    }
    let names = client.names().map_err(|failure| shown(&failure))?;
    match split_nickname(&names, rest).as_slice() {
        [] => text_for(only_one(&names, first)?, text),
        [(whom, text)] => text_for(only_one(&names, whom)?, text),
        // Whoever calls himself what a message is likely to begin with must not get it.
        several => Err(format!("not sent; say which UID: {}", candidates(&names, several))),
    }
}

fn text_for(uid: Uid, text: &str) -> Result<(Uid, &str), String> {
    match text.trim_start() {
        "" => Err(format!("/msg {uid}: a text is missing")),
        text => Ok((uid, text)),
    }
}

/// Splits off each nickname of somebody here that a text begins with.
fn split_nickname<'a>(names: &Names, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let nicknames = names.iter().filter_map(|(_, name)| name.as_deref());
    let found = nicknames.filter_map(|name| {
        let rest = text.strip_prefix(name)?;
        let ends = rest.is_empty() || rest.starts_with([' ', '\t', '\n']);
        ends.then(|| text.split_at(name.len()))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Those who may be meant, as `/who` shows them.
fn candidates(names: &Names, splits: &[(&str, &str)]) -> String {
    let is_meant = |name: &str| splits.iter().any(|(whom, _)| *whom == name);
    let meant = names.iter().filter(|(_, name)| name.as_deref().is_some_and(is_meant));
    let meant: Vec<String> = meant.map(|(uid, name)| sender(*uid, name.as_deref())).collect();
    meant.join(", ")
}

fn only_one(names: &Names, whom: &str) -> Result<Uid, String> {
    let named: Vec<Uid> = names
        .iter()
        .filter(|(_, name)| name.as_deref() == Some(whom))
        .map(|(uid, _)| *uid)
        .collect();
    let whom = TerminalSafe(whom);
    match named.as_slice() {
        [] => Err(format!("nobody here is called {whom}: not sent; /who lists who is here")),
        [uid] => Ok(*uid),
        several => {
            let uids: Vec<String> = several.iter().map(Uid::to_string).collect();
            Err(format!("several are called {whom}: not sent; say which UID: {}", uids.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let named = |uid, name: &str| (Uid(uid), Some(name.to_string()));
        vec![
            (Uid(1), None),
            named(2, "Tom"),
            named(3, "Tom Smith"),
            named(4, "Ann"),
            named(5, "Ann"),
        ]
    }

    #[test]
    fn every_nickname_that_may_be_meant_is_found() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            assert_eq!(split_nickname(&names(), text), expected, "{text:?}");
        };
        check("Tom hi", &[("Tom", " hi")]);
        check("Tom Smith hi", &[("Tom", " Smith hi"), ("Tom Smith", " hi")]);
        check("Ann hi", &[("Ann", " hi")]);
        check("Tomorrow", &[]);
        check("Bob hi", &[]);
        check("Tom", &[("Tom", "")]);
        let may_be = split_nickname(&names(), "Tom Smith hi");
        assert_eq!(candidates(&names(), &may_be), "2 Tom, 3 Tom Smith");
    }

    #[test]
    fn a_nickname_has_to_be_somebodys_alone() {
        assert_eq!(only_one(&names(), "Tom"), Ok(Uid(2)));
        assert!(only_one(&names(), "Ann").unwrap_err().ends_with("4, 5"));
        assert!(only_one(&names(), "Bob").unwrap_err().contains("nobody here is called Bob"));
    }
}
