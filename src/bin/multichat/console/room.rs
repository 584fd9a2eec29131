//! The room on a terminal where lines are edited: keys are read, and what arrives is shown above the
//! line being typed, by one thread.

mod width;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use multichat::args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCONT, SIGWINCH};
use signal_hook::iterator::Signals;

use super::completion::Completion;
use super::editor::{Asked, Editor};
use super::keys::{Decoder, Key};
use super::printing::Printing;
use super::screen::{Piece, Screen};
use super::terminal::{self, Terminal};
use super::view::View;
use crate::Failure;
use crate::show::Style;

/// How long an escape character waits for what may belong to it.
const ESCAPE_PAUSE: Duration = Duration::from_millis(50);

/// How long a program that was continued may take to notice it.
const CONTINUE_LIMIT: Duration = Duration::from_millis(500);

/// How long what was written to standard output may take to appear, where that is a pipe to a program
/// that prints on the same terminal (`| tee log`).
const PIPE_LIMIT: Duration = Duration::from_millis(200);
const PIPE_PAUSE: Duration = Duration::from_millis(20);

/// A terminal with a line being typed.
pub(crate) struct Room {
    terminal: Terminal,
    screen: Screen,
    /// Where this thread is woken when there is something to be shown.
    woken: UnixStream,
    /// Whether the program was stopped, and continued since.
    was_continued: Arc<AtomicBool>,
    completion: Completion,
    printing: Printing,
    editor: Editor,
    view: View,
    decoder: Decoder,
    /// Keys that came while something else was waited for.
    keys: VecDeque<Key>,
    /// Whether the last row above the line tells how far something is.
    is_progress_last: bool,
    /// Whether the terminal is not known not to say where its cursor is.
    may_tell_cursor: bool,
    /// Whether what arrives goes to standard output, which is no terminal.
    is_redirected: bool,
}

impl Room {
    pub(crate) fn new(
        terminal: Terminal,
        (screen, woken): (Screen, UnixStream),
        completion: Completion,
        printing: Printing,
    ) -> Result<Room, Failure> {
        let was_continued = Arc::new(AtomicBool::new(false));
        watch_signals(Arc::clone(&was_continued), screen.clone())
            .map_err(|error| Failure::Run(format!("cannot watch for signals: {error}")))?;
        Ok(Room {
            editor: Editor::new(terminal.suspend_key()),
            terminal,
            screen,
            woken,
            was_continued,
            completion,
            printing,
            view: View::default(),
            decoder: Decoder::default(),
            keys: VecDeque::new(),
            is_progress_last: false,
            may_tell_cursor: true,
            is_redirected: !io::stdout().is_terminal(),
        })
    }

    /// Hands lines on as they are entered, until `enter` says that there are enough, or the person
    /// leaves.
    pub(crate) fn run(mut self, mut enter: impl FnMut(&str) -> bool) -> Result<(), Failure> {
        let ended = self.run_until_left(&mut enter);
        let below = self.view.leave();
        let _ = self.write(&below);
        ended
    }

    fn run_until_left(&mut self, enter: &mut impl FnMut(&str) -> bool) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::Run(format!("cannot use the terminal: {}", args::why(&error)))
        };
        self.draw().map_err(failed)?;
        loop {
            terminal::wait_if_ending();
            if let Some(why) = self.screen.ended() {
                return Err(Failure::Run(why));
            }
            self.heed_signals().map_err(failed)?;
            self.show_batch().map_err(failed)?;
            while let Some(key) = self.keys.pop_front().or_else(|| self.decoder.next(false)) {
                if !self.press(key, enter).map_err(failed)? {
                    return Ok(());
                }
            }
            if !self.read(self.pause()).map_err(failed)? {
                return Ok(());
            }
        }
    }

    /// How long keys may be waited for.
    fn pause(&self) -> Option<Duration> {
        if self.screen.has_pieces() {
            Some(Duration::ZERO)
        } else if self.decoder.is_inside() {
            Some(ESCAPE_PAUSE)
        } else {
            None
        }
    }

    /// Waits for keys, or for something to be shown; `false` where the terminal has gone.
    fn read(&mut self, limit: Option<Duration>) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut polled =
            [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.woken, PollFlags::IN)];
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut polled, limit.as_ref()) {
            Ok(0) => {
                if let Some(key) = self.decoder.next(true) {
                    self.keys.push_back(key);
                }
                return Ok(true);
            }
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let [keys, wake] = polled.map(|polled| !polled.revents().is_empty());
        if wake {
            let mut drained = [0; 64];
            while matches!((&self.woken).read(&mut drained), Ok(count) if count > 0) {}
        }
        // A program that reads in the background is stopped.
        if !keys || !terminal::is_in_foreground() {
            return Ok(true);
        }
        let mut bytes = [0; 4096];
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.decoder.feed(&bytes[..count]);
                Ok(true)
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(true),
            // The terminal has gone, or is somebody else's for good.
            Err(rustix::io::Errno::IO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Does what a key asks for; `false` where the person leaves.
    fn press(&mut self, key: Key, enter: &mut impl FnMut(&str) -> bool) -> io::Result<bool> {
        // Late, but it does tell.
        self.may_tell_cursor |= matches!(key, Key::CursorColumn(_));
        let completion = &self.completion;
        match self.editor.press(key, |typed| completion.complete(typed)) {
            Asked::Nothing => {}
            Asked::Enter(line) => {
                let drawn = self.view.draw("> ", &line, line.len(), self.terminal.size());
                let below = self.view.leave();
                self.write(&(drawn + &below))?;
                self.is_progress_last = false;
                if !enter(&line) {
                    return Ok(false);
                }
            }
            Asked::List(listed) => {
                let listed: Vec<String> = listed.iter().map(|it| format!("    {it}")).collect();
                self.screen.print(listed.join("\n"));
            }
            Asked::ClearScreen => {
                self.view.forget();
                self.write("\x1b[H\x1b[2J")?;
            }
            Asked::Suspend => self.suspend()?,
            Asked::Leave => return Ok(false),
            Asked::Complain(what) => self.screen.notice(what),
        }
        self.draw()?;
        Ok(true)
    }

    fn draw(&mut self) -> io::Result<()> {
        self.settle()?;
        let size = self.terminal.size();
        let (prompt, text) = (self.editor.prompt(), self.editor.text());
        let drawn = self.view.draw(&prompt, text, self.editor.cursor(), size);
        self.write(&drawn)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        match self.terminal.write(text) {
            // Between two signals it may be somebody else's for a moment.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.terminal.write(text),
            written => written,
        }
    }

    /// Shows some of what waits, above the line.
    fn show_batch(&mut self) -> io::Result<()> {
        let batch = self.screen.take_batch();
        if batch.is_empty() {
            return Ok(());
        }
        self.settle()?;
        self.find_line()?;
        let columns = Some(self.terminal.size().0);
        let mut above = self.view.clear();
        let mut redirected = String::new();
        for piece in batch {
            let is_progress = matches!(piece, Piece::Progress(_));
            let has_arrived =
                matches!(piece, Piece::Relay(..) | Piece::News(_) | Piece::NotShown(_));
            let is_redirected = self.is_redirected && has_arrived;
            self.printing.style.columns = columns.filter(|_| !is_redirected);
            if is_redirected {
                redirected += &(self.printing.shown(piece) + "\n");
                continue;
            }
            if is_progress && self.is_progress_last {
                above.push_str("\x1b[A\r\x1b[2K");
            }
            self.is_progress_last = is_progress;
            above.push_str(&self.printing.shown(piece).replace('\n', "\r\n"));
            above.push_str("\r\n");
        }
        if redirected.is_empty() {
            let size = self.terminal.size();
            let (prompt, text) = (self.editor.prompt(), self.editor.text());
            above += &self.view.draw(&prompt, text, self.editor.cursor(), size);
            return self.write(&above);
        }
        self.write(&above)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(redirected.as_bytes()).and_then(|()| stdout.flush())?;
        drop(stdout);
        wait_for_pipe();
        self.draw()
    }

    fn heed_signals(&mut self) -> io::Result<()> {
        // What a shell has in the foreground meanwhile is not to be drawn on.
        if self.was_continued.swap(false, Ordering::SeqCst) || !terminal::is_in_foreground() {
            self.terminal.take_again();
            self.view.forget();
            self.draw()?;
        }
        self.settle()
    }

    /// Stops the program, until it is continued.
    fn suspend(&mut self) -> io::Result<()> {
        let below = self.view.leave();
        self.write(&below)?;
        self.terminal.suspend();
        let until = Instant::now() + CONTINUE_LIMIT;
        while !self.was_continued.swap(false, Ordering::SeqCst) && Instant::now() < until {
            thread::yield_now();
        }
        Ok(())
    }
}

/// Wakes the thread of the room when its window has another size, or when it was continued.
fn watch_signals(was_continued: Arc<AtomicBool>, screen: Screen) -> io::Result<()> {
    let mut signals = Signals::new([SIGCONT, SIGWINCH])?;
    let wait = move || {
        for signal in signals.forever() {
            if signal == SIGCONT {
                was_continued.store(true, Ordering::SeqCst);
            }
            screen.wake_now();
        }
    };
    thread::Builder::new().name("window".to_string()).spawn(wait).map(|_| ())
}

/// Waits until the reader of standard output has taken all, and a moment for it to show it.
fn wait_for_pipe() {
    let until = Instant::now() + PIPE_LIMIT;
    while matches!(rustix::io::ioctl_fionread(io::stdout()), Ok(count) if count > 0)
        && Instant::now() < until
    {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(PIPE_PAUSE);
}

/// How lines look in the room.
pub(crate) fn style(settings: &crate::settings::Settings, is_edited: bool) -> Style {
    let is_terminal = io::stdout().is_terminal();
    let columns = (is_edited && is_terminal).then(crate::show::columns).flatten();
    Style {
        time: Some("%H:%M "),
        has_colour: crate::show::has_colours(settings),
        has_bell: !settings.is_plain && is_terminal,
        columns,
    }
}
