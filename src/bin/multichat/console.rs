//! The room on a terminal: lines are typed below, and what arrives is printed above.
//!
//! Three threads beside the connection's: this one edits lines, `commands` carries them out one
//! after the other, and `screen` prints. None but the editing one ever waits for the person, and so
//! the connection is read whatever the person does.

mod commands;
mod completion;
mod line;
mod screen;
pub(crate) mod terminal;

use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::unbounded;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext,
    EventHandler, KeyCode, KeyEvent, Modifiers, Movement, RepeatCount,
};

use self::commands::Commands;
use self::completion::Completion;
use self::line::Line;
use self::screen::Screen;
use self::terminal::Taken;
use crate::Failure;
use crate::command::listen;
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::Settings;
use crate::show::{self, Style};

const PROMPT: &str = "> ";

/// How many lines the history keeps.
const HISTORY_LINES: usize = 1000;

/// Joins the room, and leaves it when the person says so.
pub(crate) fn run(settings: Settings) -> Result<(), Failure> {
    terminal::keep();
    let settings = Settings { reconnects: true, ..settings };
    let mut editor = editor().map_err(|error| cannot_edit(&error))?;
    // Where the terminal cannot do it, lines are printed as they are.
    let printer = editor.create_external_printer().ok();
    let edits = printer.is_some();
    let (screen, printing) = Screen::start(printer)?;
    let style = Style {
        has_time: true,
        has_colour: listen::colours(&settings),
        has_bell: !settings.is_plain,
    };
    let arriving = screen.clone();
    let room = ReconnectingClient::join(settings.clone(), move |event| match event {
        ConnectionEvent::Relay(relay) => arriving.print(show::relay(&relay, style)),
        ConnectionEvent::Notice(what) | ConnectionEvent::Ended(what) => arriving.notice(&what),
    })?;
    let room = Arc::new(room);
    editor.set_helper(Some(Completion::new(Arc::clone(&room))));
    let commands = Commands::new(settings, Arc::clone(&room), screen);
    let edited = carry_out(&mut editor, edits, commands);
    room.leave();
    // The editor may hold what is still to be printed: without it, it is printed as it comes.
    drop(editor);
    drop(room);
    let _ = printing.join();
    edited
}

/// Reads lines, and has them carried out, until the person leaves.
fn carry_out(
    editor: &mut Editor<Completion, MemHistory>,
    edits: bool,
    mut commands: Commands,
) -> Result<(), Failure> {
    let (enter, entered) = unbounded();
    let screen = commands.screen();
    let worker = thread::Builder::new().name("commands".to_string()).spawn(move || {
        // Here, so that the person can type, and leave, while a slow server has not answered yet.
        commands.greet();
        for line in entered {
            commands.carry_out(line);
        }
    });
    let worker = worker.map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
    // Where the terminal edits the lines, it stays as it is.
    let taken = edits.then(Taken::take);
    let ended = loop {
        terminal::wait_if_ending();
        let typed = match editor.readline(PROMPT) {
            Ok(typed) => typed,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => break Ok(()),
            // A window's new size is the editor's own business.
            Err(ReadlineError::Signal(_)) => continue,
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                screen.notice("what was typed is not UTF-8: not sent");
                continue;
            }
            Err(error) => break Err(cannot_edit(&error)),
        };
        screen.entered();
        match Line::parse(&typed) {
            Line::Nothing => continue,
            Line::Quit => break Ok(()),
            line => {
                // The worker goes on for as long as this thread holds the other end.
                let _ = enter.send(line);
            }
        }
        // Kept in memory alone: what is said in a room is nobody's file.
        let _ = editor.add_history_entry(typed);
    };
    drop(enter);
    // Ctrl-C ends whoever does not want to wait for the rest.
    drop(taken);
    // What was entered is still carried out. It has said itself what went wrong.
    let _ = worker.join();
    ended
}

fn editor() -> rustyline::Result<Editor<Completion, MemHistory>> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_LINES)?
        .history_ignore_dups(true)?
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_auto_add_history(false);
    let ctrl_c = KeyEvent(KeyCode::Char('C'), Modifiers::CTRL);
    editor.bind_sequence(ctrl_c, EventHandler::Conditional(Box::new(DropLine)));
    if let Some(key) = terminal::suspend_key() {
        let key = KeyEvent::new(key, Modifiers::NONE);
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(Suspend)));
    }
    Ok(editor)
}

fn cannot_edit(error: &ReadlineError) -> Failure {
    Failure::Run(format!("cannot read from the terminal: {error}"))
}

/// Ctrl-C drops the line being typed; where there is none, it ends the program.
struct DropLine;

impl ConditionalEventHandler for DropLine {
    fn handle(
        &self,
        _event: &Event,
        _count: RepeatCount,
        _positive: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let is_empty = context.line().is_empty();
        Some(if is_empty { Cmd::Interrupt } else { Cmd::Kill(Movement::WholeBuffer) })
    }
}

/// Stops the program, as Ctrl-Z does. The editor's own way would leave the shell a terminal without echo.
struct Suspend;

impl ConditionalEventHandler for Suspend {
    fn handle(
        &self,
        _event: &Event,
        _count: RepeatCount,
        _positive: bool,
        _context: &EventContext<'_>,
    ) -> Option<Cmd> {
        terminal::suspend();
        Some(Cmd::Repaint)
    }
}
