//! Lines that are asked for on a terminal, where nothing else is printed meanwhile: each is edited,
//! carried out, and answered before the next.

use std::io;

use multichat::args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::completion::Candidate;
use super::editor::{Asked, Editor};
use super::keys::{Decoder, Key};
use super::terminal::{self, Terminal};
use super::view::View;
use crate::Failure;

/// How long an escape character waits for what may belong to it.
const ESCAPE_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Asks for lines until `enter` wants no more, or the person leaves; what it returns is shown.
/// `complete` says what may take the place of the end of a line. Both work on `context`.
///
/// # Errors
/// What `enter` has failed with, or why the terminal cannot be used.
pub(crate) fn run<C>(
    context: &mut C,
    mut complete: impl FnMut(&mut C, &str) -> (usize, Vec<Candidate>),
    mut enter: impl FnMut(&mut C, &str) -> Result<Option<String>, Failure>,
) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::Run(format!("cannot use the terminal: {}", args::why(&error)));
    let Some(terminal) = Terminal::take() else {
        return Err(Failure::Run("cannot use the terminal".to_string()));
    };
    let mut editor = Editor::new(terminal.suspend_key());
    let (mut view, mut decoder) = (View::default(), Decoder::default());
    loop {
        let (prompt, cursor) = (editor.prompt(), editor.cursor());
        let drawn = view.draw(&prompt, editor.text(), cursor, terminal.size());
        terminal.write(&drawn).map_err(failed)?;
        let Some(key) = next_key(&mut decoder).map_err(failed)? else {
            return terminal.write(&view.leave()).map_err(failed);
        };
        let answer = match editor.press(key, |typed| complete(context, typed)) {
            Asked::Nothing => continue,
            Asked::Enter(line) => {
                let drawn = view.draw("> ", &line, line.len(), terminal.size()) + &view.leave();
                terminal.write(&drawn).map_err(failed)?;
                match enter(context, &line)? {
                    Some(answer) => answer,
                    None => return Ok(()),
                }
            }
            Asked::List(listed) => listed.iter().map(|it| format!("    {it}\n")).collect(),
            Asked::Complain(what) => format!("({what})\n"),
            Asked::ClearScreen => {
                view.forget();
                "\x1b[H\x1b[2J".to_string()
            }
            Asked::Suspend => {
                terminal.write(&view.leave()).map_err(failed)?;
                terminal.suspend();
                String::new()
            }
            Asked::Leave => return terminal.write(&view.leave()).map_err(failed),
        };
        let above = view.clear() + &answer;
        terminal.write(&above).map_err(failed)?;
    }
}

/// Waits for a key; `None` where the terminal has gone.
fn next_key(decoder: &mut Decoder) -> io::Result<Option<Key>> {
    let stdin = io::stdin();
    loop {
        terminal::wait_if_ending();
        if let Some(key) = decoder.next(false) {
            return Ok(Some(key));
        }
        let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut polled, decoder.is_inside().then_some(&ESCAPE_PAUSE)) {
            Ok(0) => match decoder.next(true) {
                Some(key) => return Ok(Some(key)),
                None => continue,
            },
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 4096];
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) | Err(Errno::IO) => return Ok(None),
            Ok(count) => decoder.feed(&bytes[..count]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
