//! What is put in order before a signal ends the program: files that were not fetched to their end,
//! and the terminal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use multichat::signals::{stopping, survive_file_size_limit};
use parking_lot::Mutex;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::NamedTempFile;

use crate::{Failure, terminal};

/// Files that are being written under a temporary name.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Starts the thread that waits for signals, and lets a file that may not grow any more be an error.
pub(crate) fn watch() -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Run(format!("cannot watch for signals: {error}"));
    survive_file_size_limit().map_err(failed)?;
    let mut signals = Signals::new(stopping()).map_err(failed)?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            clean_up();
            let _ = emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".to_string()).spawn(wait).map(|_| ()).map_err(failed)
}

/// Removes what was not fetched to its end, and puts the terminal back.
pub(crate) fn clean_up() {
    for path in UNFINISHED.lock().drain(..) {
        let _ = fs::remove_file(path);
    }
    terminal::end();
}

/// Makes a file that is to be removed if the program ends before [`finished`].
pub(crate) fn make_unfinished(
    make: impl FnOnce() -> io::Result<NamedTempFile>,
) -> io::Result<NamedTempFile> {
    // Held meanwhile: no signal ends the program between the making and the noting.
    let mut unfinished = UNFINISHED.lock();
    let file = make()?;
    unfinished.push(file.path().to_path_buf());
    Ok(file)
}

/// Notes that a file is whole, or gone.
pub(crate) fn finished(path: &Path) {
    UNFINISHED.lock().retain(|other| other != path);
}
