//! What the program can be asked for on its command line, one command a file.

pub(crate) mod check;
pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod json_lines;
pub(crate) mod lines;
pub(crate) mod listen;
pub(crate) mod operator;
pub(crate) mod send;
pub(crate) mod share;
pub(crate) mod who;

use multichat::client::{self, Answer};

use crate::Failure;
use crate::joining::NotJoined;
use crate::settings::shown;
use crate::show::TerminalSafe;

impl From<NotJoined> for Failure {
    fn from(why: NotJoined) -> Failure {
        Failure::Run(why.to_string())
    }
}

/// What the server has refused, or why the connection has ended.
fn refused(failure: client::Failure) -> Failure {
    Failure::Run(shown(&failure))
}

/// Which receivers a message has not reached, and why, where it has reached others.
pub(crate) fn missed(answer: &Answer) -> Option<String> {
    let missed = answer.text();
    let missed = missed.trim();
    (!missed.is_empty()).then(|| TerminalSafe(missed).to_string())
}
