//! Standard output and standard error.

use std::io::{self, Write};
use std::thread;

use multichat::args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::{Failure, NAME};

/// Prints a whole text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| failed(&error))
}

/// What a failed write to standard output comes to: where nobody reads it any more, the program
/// ends as others do, by SIGPIPE and without a word.
pub(crate) fn failed(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        end_unread();
        return Failure::Silent;
    }
    Failure::Run(format!("cannot write to standard output: {}", args::why(error)))
}

fn end_unread() {
    crate::signals::clean_up();
    let _ = emulate_default_handler(SIGPIPE);
}

/// Ends the program as soon as nobody reads standard output any more, where that can be known: also
/// while there is nothing to be written.
pub(crate) fn watch_reader() -> Result<(), Failure> {
    let kind = fstat(io::stdout()).map(|found| FileType::from_raw_mode(found.st_mode));
    if !matches!(kind, Ok(FileType::Fifo | FileType::Socket)) {
        return Ok(());
    }
    let wait = || {
        let stdout = io::stdout();
        loop {
            // Asks for nothing: what is told is that it has ended, or cannot be written.
            let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
            match poll(&mut polled, None) {
                Ok(_) => return end_unread(),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    };
    let started = thread::Builder::new().name("output".to_string()).spawn(wait);
    started.map(|_| ()).map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))
}

/// Says one line on standard error.
pub(crate) fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "{NAME}: {what}");
}
