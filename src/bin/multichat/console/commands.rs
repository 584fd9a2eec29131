//! Lines that were entered, carried out one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use multichat::client::Failure;
use multichat::ids::{FileId, Uid};
use multichat::wire::parse_number;

use super::acquaintances::Acquaintances;
use super::line::{Line, help};
use super::paths::{file_and_receiver, one_path};
use super::screen::Screen;
use crate::command::{files, missed, who};
use crate::file::fetch::{self, NotFetched};
use crate::file::name::shown_path;
use crate::file::progress::Progress;
use crate::file::saving::Target;
use crate::file::share::{Outgoing, Source, share_in_room};
use crate::joining::{Joined, namesakes};
use crate::receiver::{NamedReceiver, Names, candidates, only_one, split_nickname};
use crate::reconnecting_client::ReconnectingClient;
use crate::settings::{Settings, shown};
use crate::show::{Age, TerminalSafe, sender};
use crate::transcript::Transcript;

/// Carries out what is entered.
pub(crate) struct Commands {
    pub(crate) room: Arc<ReconnectingClient>,
    pub(crate) screen: Screen,
    pub(crate) acquaintances: Arc<Acquaintances>,
    pub(crate) transcript: Option<Arc<Transcript>>,
    /// Whether progress is told in lines.
    pub(crate) is_plain: bool,
    /// Whether something takes its time at the moment.
    pub(crate) is_busy: Arc<AtomicBool>,
}

/// What the person is told when joining.
pub(crate) fn greeting(settings: &Settings, joined: &Joined) -> String {
    let nothing = Vec::new();
    let names = joined.names.as_ref().unwrap_or(&nothing);
    let nickname = joined.nickname.as_ref().ok().and_then(Option::as_deref);
    let server = settings.server_name();
    let own = joined.uid.map(|uid| format!(" as {}", sender(uid, nickname))).unwrap_or_default();
    let others = match (names.len(), joined.uid) {
        (0, _) | (_, None) => String::new(),
        (1, _) => "; nobody else is here".to_string(),
        (2, _) => "; one other is here".to_string(),
        (count, _) => format!("; {} others are here", count - 1),
    };
    format!("joined {server}{own}{others}; /help tells more")
}

impl Commands {
    pub(crate) fn carry_out(&self, line: Line) {
        match line {
            Line::Nothing | Line::Quit | Line::Doubtful(..) => {}
            Line::Help => self.screen.print(help()),
            Line::Wrong(what) => self.screen.notice(&TerminalSafe(&what).to_string()),
            line => match self.room.joined() {
                Some(joined) => {
                    if let Err(why) = self.ask(&joined, line) {
                        self.screen.notice(&why);
                    }
                }
                None => self.screen.notice("there is no connection: this was not sent"),
            },
        }
    }

    /// Carries out what needs the server; an error is what to say.
    fn ask(&self, joined: &Joined, line: Line) -> Result<(), String> {
        match line {
            Line::Say(text) => self.say(joined, joined.to.clone()?, &text),
            Line::Msg(rest) => {
                let (to, text) = self.find_receiver(joined, &rest)?;
                self.say(joined, Some(to), text)
            }
            Line::Nick(name) => self.set_nickname(joined, &name),
            Line::Who => self.who(joined),
            Line::Files => self.files(joined),
            Line::History(count) => self.history(joined, count),
            Line::Share(rest) => self.busy(|| self.share(joined, &rest)),
            Line::Get { id, file } => self.busy(|| self.get(joined, id, file)),
            Line::Nothing | Line::Help | Line::Quit | Line::Doubtful(..) | Line::Wrong(_) => Ok(()),
        }
    }

    fn busy<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_busy.store(true, Ordering::Relaxed);
        let done = work();
        self.is_busy.store(false, Ordering::Relaxed);
        done
    }

    fn say(&self, joined: &Joined, to: Option<Uid>, text: &str) -> Result<(), String> {
        let answer = joined.client.send_text(to, text.as_bytes());
        let answer = answer.map_err(|failure| not("sent", &failure))?;
        if let Some(transcript) = &self.transcript {
            transcript.said(joined.uid, self.room.nickname().as_deref(), to, text);
        }
        if let Some(missed) = missed(&answer) {
            self.screen.notice(&missed);
        }
        Ok(())
    }

    fn set_nickname(&self, joined: &Joined, name: &str) -> Result<(), String> {
        let nickname = joined.client.set_nickname(name).map_err(|failure| not("set", &failure))?;
        self.room.keep_nickname(&nickname);
        let names = joined.list_clients().unwrap_or_default();
        let others = joined.uid.map(|uid| namesakes(&names, uid, &nickname)).unwrap_or_default();
        let nickname = TerminalSafe(&nickname);
        self.screen.notice(&format!("you are now {nickname}{}", also(&others)));
        Ok(())
    }

    fn who(&self, joined: &Joined) -> Result<(), String> {
        let names = self.names(joined)?;
        self.screen.print(who::list(&names, joined.uid).join("\n"));
        Ok(())
    }

    fn files(&self, joined: &Joined) -> Result<(), String> {
        let listed = joined.list_files().map_err(|failure| shown(&failure))?;
        match listed.as_slice() {
            [] => self.screen.notice("no files"),
            listed => self.screen.print(files::table(listed).join("\n")),
        }
        Ok(())
    }

    /// Shows what was said before this connection was made; all of it, where no number is given.
    fn history(&self, joined: &Joined, count: Option<u64>) -> Result<(), String> {
        let kept = joined.features.history.ok_or("the server keeps no history")?;
        let count = count.unwrap_or(kept.max(1));
        let relays = joined.client.history(count).map_err(|failure| shown(&failure))?;
        if relays.is_empty() {
            self.screen.notice("nothing was said before you came");
        }
        relays.into_iter().for_each(|relay| self.screen.relay(relay, Age::Old));
        Ok(())
    }

    /// Who is here; by the nicknames that have arrived, where the server tells none.
    fn names(&self, joined: &Joined) -> Result<Names, String> {
        let mut names = joined.list_clients().map_err(|failure| shown(&failure))?;
        if names.iter().all(|(_, name)| name.is_none()) {
            let known = self.acquaintances.names();
            for (uid, name) in &mut names {
                *name = known.iter().find(|(other, _)| other == uid).and_then(|it| it.1.clone());
            }
        }
        Ok(names)
    }

    fn progress(&self) -> Progress {
        let screen = self.screen.clone();
        if self.is_plain {
            Progress::in_quarters(move |line| screen.notice(&line))
        } else {
            Progress::in_place(move |line| screen.progress(line))
        }
    }

    fn share(&self, joined: &Joined, rest: &str) -> Result<(), String> {
        let (path, receiver) = file_and_receiver(rest).map_err(|why| format!("/share: {why}"))?;
        let to = match receiver {
            Some(receiver) => Some(self.find(joined, &receiver)?),
            None => joined.to.clone()?,
        };
        let file = Outgoing::open(&Source::File(path.clone()), None)?;
        let id = share_in_room(&self.room, joined, file, to, || self.progress())?;
        self.screen.notice(&format!("{} is shared as file {id}", shown_path(&path)));
        Ok(())
    }

    fn get(&self, joined: &Joined, id: FileId, file: Option<String>) -> Result<(), String> {
        let target = match file {
            Some(file) => Target::at(one_path(&file).map_err(|why| format!("/get: {why}"))?),
            None => Target::here(),
        };
        let saved = fetch::fetch(&joined.client, id, &target, self.progress());
        let saved = saved.map_err(NotFetched::why)?;
        if let Some(path) = saved {
            self.screen.notice(&format!("file {id} is saved as {}", shown_path(&path)));
        }
        Ok(())
    }

    /// The client that is meant: by its UID, or by a nickname that it alone has.
    fn find(&self, joined: &Joined, receiver: &str) -> Result<Uid, String> {
        match NamedReceiver::parse(receiver)? {
            NamedReceiver::Uid(uid) => Ok(uid),
            NamedReceiver::Nickname(nickname) => only_one(&self.names(joined)?, &nickname),
        }
    }

    /// The receiver of a private message, and its text. A nickname may hold blanks.
    fn find_receiver<'a>(&self, joined: &Joined, rest: &'a str) -> Result<(Uid, &'a str), String> {
        let (first, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if let Some(uid) = parse_number(first.as_bytes()) {
            return text_for(Uid(uid), text);
        }
        let names = self.names(joined)?;
        match split_nickname(&names, rest).as_slice() {
            [] => text_for(only_one(&names, first)?, text),
            [(nickname, text)] => text_for(only_one(&names, nickname)?, text),
            // A client that is called what a message is likely to begin with must not get it.
            several => Err(format!("not sent; say which UID: {}", candidates(&names, several))),
        }
    }
}

/// That others have the same nickname.
pub(crate) fn also(others: &[Uid]) -> String {
    match others {
        [] => String::new(),
        [other] => format!("; so is {other}: the UID tells you apart"),
        others => {
            let uids: Vec<String> = others.iter().map(Uid::to_string).collect();
            format!("; so are {}: the UID tells you apart", uids.join(", "))
        }
    }
}

fn not(what: &str, failure: &Failure) -> String {
    format!("not {what}: {}", shown(failure))
}

fn text_for(uid: Uid, text: &str) -> Result<(Uid, &str), String> {
    match text.trim_start() {
        "" => Err(format!("/msg {uid}: a text is missing")),
        text => Ok((uid, text)),
    }
}
