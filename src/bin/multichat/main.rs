//! The client's command line: what is asked for, and the exit status.

#[path = "command/check.rs"]
mod check;
mod console;
mod link;
mod listen;
mod once;
mod options;
mod output;
mod pipe;
mod progress;
mod saving;
mod settings;
mod show;
mod signals;
mod terminal;
mod transfer;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use multichat::args::{self, UsageError};

use self::options::{Command, Invocation};

/// The program's name, as it signs its errors.
const NAME: &str = "multichat";

/// Why the program ends without success.
enum Failure {
    /// The command line is wrong.
    Usage(UsageError),
    /// What was tried, and why it failed.
    Run(String),
    /// It has been said already, or there is nothing to say.
    Silent,
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Failure {
        Failure::Usage(error)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => {
            // Where standard error is closed, the exit status has to do.
            let _ = writeln!(io::stderr(), "{NAME}: {error}\ntry '{NAME} --help'");
            ExitCode::from(args::USAGE_STATUS)
        }
        Err(Failure::Run(error)) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
        Err(Failure::Silent) => ExitCode::FAILURE,
    }
}

fn run() -> Result<(), Failure> {
    let (settings, command) = match options::parse()? {
        Invocation::Print(text) => return output::print(&text),
        Invocation::Run(settings, command) => (settings, command),
    };
    if let Command::Check(wanted) = command {
        return check::run(&settings, &wanted);
    }
    signals::watch()?;
    match command {
        Command::Check(_) => Ok(()),
        Command::Send(text) => once::send(&settings, text.as_deref()),
        Command::Share(files) => once::share(&settings, &files),
        Command::Fetch(id, target) => once::fetch(&settings, id, &target),
        Command::Who => once::who(&settings),
        Command::Files => once::files(&settings),
        Command::Listen(wanted) => listen::run(settings, &wanted),
        Command::Room if io::stdin().is_terminal() && io::stdout().is_terminal() => {
            console::run(settings)
        }
        Command::Room => pipe::run(settings),
    }
}
