//! The terminal's modes: as the person had them, and as they are while the program reads keys.
//!
//! The editor takes the terminal for each line, and gives it back between two of them. A key that
//! is typed just then must mean the same: no signal, no end of input, no second echo.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::{
    OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

/// Tells the terminal not to mark any more what is pasted, as the editor has asked it to.
const BRACKETED_PASTE_OFF: &str = "\x1b[?2004l";
const BRACKETED_PASTE_ON: &str = "\x1b[?2004h";

/// The value of a special code that no key stands for.
const NO_KEY: u8 = 0;

/// How often a program that goes on in the background looks whether it has the terminal again.
const BACKGROUND_PAUSE: Duration = Duration::from_millis(100);

/// How long the editor may take, where a signal ends the program, to go to the next line or to end
/// the last: it sets the terminal then.
const EDITOR_PAUSE: Duration = Duration::from_millis(50);

/// The terminal as it was before lines were edited on it.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// A signal ends the program.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Remembers the terminal as it is now, for [`give_back`].
pub(crate) fn keep() {
    *ORIGINAL.lock() = tcgetattr(io::stdin()).ok();
}

/// The key that stops a program on this terminal, if there is one: Ctrl-Z, mostly.
pub(crate) fn suspend_key() -> Option<char> {
    let original = ORIGINAL.lock();
    let code = original.as_ref()?.special_codes[SpecialCodeIndex::VSUSP];
    (code != NO_KEY).then(|| char::from(code))
}

/// While this lives, every key waits for the editor as it was typed, also while that is not reading.
pub(crate) struct Taken(());

impl Taken {
    pub(crate) fn take() -> Taken {
        set_raw();
        Taken(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn set_raw() {
    if let Some(original) = &*ORIGINAL.lock() {
        let mut raw = original.clone();
        raw.make_raw();
        // What is printed meanwhile has lines as ever.
        raw.output_modes = original.output_modes;
        // The editor would stop the program without giving the terminal back.
        raw.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &raw);
    }
}

/// Puts the terminal back as the person had it, unless it is somebody else's at the moment.
fn give_back() {
    if let Some(original) = &*ORIGINAL.lock()
        && is_in_foreground()
    {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, original);
        write(BRACKETED_PASTE_OFF);
    }
}

/// The same, for good: a signal ends the program.
pub(crate) fn end() {
    IS_ENDING.store(true, Ordering::SeqCst);
    give_back();
    if ORIGINAL.lock().is_some() {
        thread::sleep(EDITOR_PAUSE);
        give_back();
    }
}

/// Returns unless a signal ends the program.
pub(crate) fn wait_if_ending() {
    while IS_ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Stops the program until the person continues it; the terminal is the shell's meanwhile.
pub(crate) fn suspend() {
    give_back();
    let _ = kill_current_process_group(Signal::TSTP);
    while !is_in_foreground() {
        thread::sleep(BACKGROUND_PAUSE);
    }
    set_raw();
    write(BRACKETED_PASTE_ON);
}

/// Whether the terminal is this program's: whoever sets it from the background is stopped for it.
fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

fn write(sequence: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
}
