//! Standard output and standard error.

use std::io::{self, Write};

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
        crate::signals::clean_up();
        let _ = emulate_default_handler(SIGPIPE);
        return Failure::Silent;
    }
    Failure::Run(format!("cannot write to standard output: {error}"))
}

/// Says one line on standard error.
pub(crate) fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "{NAME}: {what}");
}
