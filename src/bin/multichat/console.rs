//! The room for a person at a terminal: lines are typed below, and what arrives is shown above.
//!
//! Three threads beside the connection's: this one reads keys and shows what has arrived (`room`),
//! `commands` carries out what is entered, one line after the other, and one hears of signals. None
//! but the first ever waits for the terminal, and so the connection is read whatever the person does.
//!
//! - `keys`, `buffer`, `history`, `editor`, `view`: the line being typed. They know no terminal.
//! - `terminal`: its modes and its size. `screen`: what waits to be shown, bounded.
//! - `line`: what a line asks for. `completion`: what Tab offers. `commands`: carries lines out.
//! - `prompt`: lines that are asked for where there is no room. `plain`: the room where the terminal edits the lines itself.

mod acquaintances;
mod buffer;
mod commands;
pub(crate) mod completion;
mod editor;
mod history;
mod keys;
mod line;
mod paths;
mod plain;
mod printing;
pub(crate) mod prompt;
mod room;
mod screen;
pub(crate) mod terminal;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Sender, unbounded};

use self::acquaintances::Acquaintances;
use self::commands::{Commands, also, greeting};
use self::completion::Completion;
use self::line::Line;
use self::printing::Printing;
use self::room::Room;
use self::screen::Screen;
use self::terminal::Terminal;
use crate::Failure;
use crate::joining::Questions;
use crate::options::variable;
use crate::output;
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::Settings;
use crate::show::{Age, TerminalSafe};
use crate::transcript::Transcript;

/// How many messages of before are shown where the person does not say.
const SHOWN_HISTORY: u64 = 20;

/// Joins the room, and leaves it when the person says so.
pub(crate) fn run(settings: Settings) -> Result<(), Failure> {
    let settings = Settings { reconnects: true, ..settings };
    let transcript = Transcript::open(&settings)?.map(Arc::new);
    output::watch_reader()?;
    let cannot_start = |error| Failure::Run(format!("cannot start: {error}"));
    let (screen, woken) = Screen::new().map_err(cannot_start)?;
    let acquaintances = Arc::new(Acquaintances::default());
    let room = join(&settings, &screen, &acquaintances, transcript.clone())?;
    let terminal = if may_edit(&settings) { Terminal::take() } else { None };
    let style = room::style(&settings, terminal.is_some());
    let printing = || Printing::new(style, Arc::clone(&room));
    let is_busy = Arc::new(AtomicBool::new(false));
    let commands = Commands {
        room: Arc::clone(&room),
        screen: screen.clone(),
        acquaintances: Arc::clone(&acquaintances),
        transcript,
        is_plain: terminal.is_none(),
        is_busy: Arc::clone(&is_busy),
    };
    let (enter, entered) = unbounded();
    let worker = spawn("commands", move || {
        commands.room.wait_for_first_try();
        for line in entered {
            commands.carry_out(line);
        }
    })?;
    let mut entering = Entering { enter, screen: screen.clone(), is_busy, doubtful: None };
    let print_rest = |printing: Printing| {
        let screen = screen.clone();
        spawn("screen", move || printing.print_all(&screen))
    };
    let (ended, printer) = match terminal {
        Some(terminal) => {
            let completion = Completion::new(Arc::clone(&room), acquaintances);
            let edited = Room::new(terminal, (screen.clone(), woken), completion, printing())?;
            let ended = edited.run(|line| entering.enter(line));
            // The terminal is the person's again: Ctrl-C ends what still takes its time.
            (ended, print_rest(printing())?)
        }
        None => {
            let printer = print_rest(printing())?;
            (plain::read_lines(&screen, &woken, |line| entering.enter(line)), printer)
        }
    };
    drop(entering);
    if room.joined().is_none() {
        // Nothing that waits for a connection can be carried out, and nobody waits for that.
        room.leave();
    }
    // What was entered is still carried out, and says itself what goes wrong.
    let _ = worker.join();
    room.leave();
    screen.close();
    let _ = printer.join();
    ended
}

/// Whether lines are to be edited here, and the terminal can do what that needs.
pub(crate) fn may_edit(settings: &Settings) -> bool {
    let cannot = ["dumb", "cons25", "emacs"];
    let terminal = variable("TERM");
    !settings.is_plain && terminal.is_some_and(|terminal| !cannot.contains(&terminal.as_str()))
}

fn join(
    settings: &Settings,
    screen: &Screen,
    acquaintances: &Arc<Acquaintances>,
    transcript: Option<Arc<Transcript>>,
) -> Result<Arc<ReconnectingClient>, Failure> {
    let (screen, acquaintances) = (screen.clone(), Arc::clone(acquaintances));
    let questions = Questions {
        uid: true,
        names: true,
        features: true,
        extended: true,
        history: settings.history.unwrap_or(SHOWN_HISTORY),
        place: true,
    };
    let on_event = {
        let settings = settings.clone();
        move |event| match event {
            ConnectionEvent::Joined(joined) => {
                let others = joined.namesakes();
                screen.notice(&greeting(&settings, &joined));
                match &joined.nickname {
                    Ok(Some(nickname)) if !others.is_empty() => {
                        let nickname = TerminalSafe(nickname);
                        screen.notice(&format!("you are {nickname}{}", also(&others)));
                    }
                    Ok(Some(_)) | Err(_) => {}
                    Ok(None) => screen.notice("you have no nickname: /nick NAME sets one"),
                }
            }
            ConnectionEvent::JoinedAgain => acquaintances.forget(),
            ConnectionEvent::Relay(relay, age) => {
                // Those who spoke before may have gone.
                if age != Age::Old {
                    acquaintances.note(&relay);
                }
                if let Some(transcript) = &transcript {
                    transcript.relay(&relay, age);
                }
                screen.relay(relay, age);
            }
            ConnectionEvent::Notice(notice) => {
                acquaintances.heed(&notice);
                if settings.notices.unwrap_or(true) {
                    screen.news(notice);
                }
            }
            ConnectionEvent::Status(what) => screen.unasked(&what),
            ConnectionEvent::Ended(why) => screen.end(why),
        }
    };
    ReconnectingClient::start(settings.clone(), questions, on_event).map(Arc::new)
}

/// Takes lines as they are entered.
struct Entering {
    enter: Sender<Line>,
    screen: Screen,
    is_busy: Arc<AtomicBool>,
    /// A line that was not said, since it may have been meant as a command: entered once more, it is.
    doubtful: Option<String>,
}

impl Entering {
    /// Takes a line; `false` where the person leaves.
    fn enter(&mut self, typed: &str) -> bool {
        let doubtful = self.doubtful.take();
        let line = match Line::parse(typed) {
            Line::Nothing => return true,
            Line::Quit => return false,
            Line::Doubtful(text, _) if doubtful.as_ref() == Some(&text) => Line::Say(text),
            Line::Doubtful(text, hint) => {
                self.screen.notice(&format!("not sent: {hint}; enter it once more to say it"));
                self.doubtful = Some(text);
                return true;
            }
            line => line,
        };
        if self.is_busy.load(Ordering::Relaxed) {
            self.screen.notice("this waits until the file is through");
        }
        // The worker goes on for as long as this is here.
        let _ = self.enter.send(line);
        true
    }
}

fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, Failure> {
    let started = thread::Builder::new().name(name.to_string()).spawn(run);
    started.map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))
}
