//! The client's command line: what is asked for, and the exit status.

mod clean;
mod command;
mod console;
mod file;
mod gate;
mod joining;
mod options;
mod output;
mod receiver;
mod reconnecting_client;
mod settings;
mod show;
mod signals;
mod transcript;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use multichat::args::{self, UsageError};

use self::command::{check, fetch, files, json_lines, lines, listen, operator, send, share, who};
use self::console::terminal;
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
    // A check of clients ends by a signal, with a status of its own.
    if !matches!(command, Command::Check(_)) {
        signals::watch()?;
    }
    match command {
        Command::Check(wanted) => check::run(&settings, &wanted),
        Command::Send { text, cleans } => send::run(&settings, text.as_deref(), cleans),
        Command::Share(sources, extension) => share::run(&settings, &sources, extension.as_ref()),
        Command::Fetch(id, target) => fetch::run(&settings, id, &target),
        Command::Who { as_json } => who::run(&settings, as_json),
        Command::Files { as_json } => files::run(&settings, as_json),
        Command::Listen(wanted) => listen::run(settings, &wanted),
        Command::Operator { path, command } => operator::run(&settings, &path, command.as_deref()),
        Command::Room { as_json: true, .. } => json_lines::run(settings),
        Command::Room { .. } if io::stdin().is_terminal() => console::run(settings),
        Command::Room { cleans, .. } => lines::run(settings, cleans),
    }
}
