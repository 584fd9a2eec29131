//! The terminal's modes: as the person had them, and as they are while the program reads keys.
//!
//! The editor takes the terminal for each line, and gives it back between two of them. A key that
//! is typed just then must mean the same: no signal, no end of input, no second echo.

use std::io::{self, Write};

use parking_lot::Mutex;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Tells the terminal not to mark any more what is pasted, as the editor has asked it to.
const BRACKETED_PASTE_OFF: &[u8] = b"\x1b[?2004l";
const BRACKETED_PASTE_ON: &[u8] = b"\x1b[?2004h";

/// The terminal as it was before lines were edited on it.
static ORIGINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// Remembers the terminal as it is now, for [`give_back`].
pub(crate) fn keep() {
    *ORIGINAL.lock() = tcgetattr(io::stdin()).ok();
}

/// From now on every key waits for the editor as it was typed, also while that is not reading.
pub(crate) fn take() {
    if let Some(original) = &*ORIGINAL.lock() {
        let mut raw = original.clone();
        raw.make_raw();
        // What is printed meanwhile has lines as ever.
        raw.output_modes = original.output_modes;
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &raw);
    }
}

/// Puts the terminal back as the person had it.
pub(crate) fn give_back() {
    if let Some(original) = &*ORIGINAL.lock() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, original);
        let _ = io::stdout().write_all(BRACKETED_PASTE_OFF);
        let _ = io::stdout().flush();
    }
}

/// Stops the program until the person continues it; the terminal is the shell's meanwhile.
pub(crate) fn suspend() {
    give_back();
    let _ = kill_current_process_group(Signal::TSTP);
    take();
    let _ = io::stdout().write_all(BRACKETED_PASTE_ON);
    let _ = io::stdout().flush();
}
