//! The terminal: its modes, its size, and what is written to it.
//!
//! While lines are edited every key waits for the editor as it was typed; the terminal is given back
//! whatever ends or stops the program.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::{
    OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};

/// Asks the terminal to mark what is pasted, and not to do so any more.
const BRACKETED_PASTE_ON: &str = "\x1b[?2004h";
const BRACKETED_PASTE_OFF: &str = "\x1b[?2004l";

/// The value of a special code that no key stands for.
const NO_KEY: u8 = 0;

/// How often a program that goes on in the background looks whether it has the terminal again.
const BACKGROUND_PAUSE: Duration = Duration::from_millis(100);

/// The size of a terminal that does not tell its own, in columns and rows.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// The terminal as it was before lines were edited on it, and where it is written to.
static TAKEN: Mutex<Option<(Termios, File)>> = Mutex::new(None);

/// A signal ends the program.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// A terminal on which lines are edited. It is given back when this is dropped.
pub(crate) struct Terminal {
    file: File,
    /// The key that stops a program on this terminal, if there is one: Ctrl-Z, mostly.
    suspend_key: Option<char>,
}

impl Terminal {
    /// Takes the terminal that standard input is; `None` where there is none to be drawn on.
    pub(crate) fn take() -> Option<Terminal> {
        let file = open()?;
        let original = tcgetattr(io::stdin()).ok()?;
        let code = original.special_codes[SpecialCodeIndex::VSUSP];
        // Control characters alone: another key would be no letter of a text any more.
        let suspend_key = (code != NO_KEY && code < b' ').then(|| char::from(code + 0x40));
        *TAKEN.lock() = Some((original, file.try_clone().ok()?));
        set_raw();
        Some(Terminal { file, suspend_key })
    }

    /// Writes to the terminal; waits where it is stopped.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())
    }

    /// Its columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(&self.file) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            }
            _ => USUAL_SIZE,
        }
    }

    pub(crate) fn suspend_key(&self) -> Option<char> {
        self.suspend_key
    }

    /// Stops the program until the person continues it; the terminal is the shell's meanwhile.
    pub(crate) fn suspend(&self) {
        give_back();
        let _ = kill_current_process_group(Signal::TSTP);
        self.take_again();
    }

    /// Takes the terminal again, once it is this program's, after it was continued.
    pub(crate) fn take_again(&self) {
        while !is_in_foreground() {
            wait_if_ending();
            thread::sleep(BACKGROUND_PAUSE);
        }
        set_raw();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// What is drawn on: standard output, where that is a terminal, or else the terminal of this session.
fn open() -> Option<File> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return rustix::io::fcntl_dupfd_cloexec(&stdout, 0).ok().map(File::from);
    }
    let file = File::options().write(true).open("/dev/tty").ok()?;
    file.is_terminal().then_some(file)
}

fn set_raw() {
    let taken = TAKEN.lock();
    let Some((original, file)) = &*taken else { return };
    // Under the lock: a signal that ends the program has not given it back yet, or has the last word.
    if IS_ENDING.load(Ordering::SeqCst) {
        return;
    }
    let mut raw = original.clone();
    raw.make_raw();
    // What is printed meanwhile has lines as ever, and Ctrl-S stops it as ever.
    raw.output_modes = original.output_modes;
    raw.input_modes |= original.input_modes & rustix::termios::InputModes::IXON;
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, &raw);
    write_at_once(file, BRACKETED_PASTE_ON);
}

/// Puts the terminal back as the person had it, unless it is somebody else's at the moment.
fn give_back() {
    if let Some((original, file)) = &*TAKEN.lock()
        && is_in_foreground()
    {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, original);
        write_at_once(file, BRACKETED_PASTE_OFF);
    }
}

/// The same, for good: a signal ends the program.
pub(crate) fn end() {
    IS_ENDING.store(true, Ordering::SeqCst);
    give_back();
}

/// Returns unless a signal ends the program.
pub(crate) fn wait_if_ending() {
    while IS_ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Whether the terminal is this program's: one that sets it from the background is stopped for it. One
/// that has gone is nobody else's.
pub(crate) fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

/// Writes a few bytes, unless the terminal is stopped.
fn write_at_once(mut file: &File, sequence: &str) {
    let mut polled = [PollFd::new(file, PollFlags::OUT)];
    if matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1)) {
        let _ = file.write_all(sequence.as_bytes());
    }
}
