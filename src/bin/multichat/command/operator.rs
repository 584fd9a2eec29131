//! `operator`: commands for the operator's socket of a server, from the command line, from standard
//! input, or as they are typed.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use multichat::args;

use crate::Failure;
use crate::clean::without_mark;
use crate::console::completion::Candidate;
use crate::console::{self, prompt};
use crate::output;
use crate::settings::Settings;
use crate::show::TerminalSafe;

/// Commands that take a UID, and so have clients offered behind them.
const OF_CLIENTS: [&str; 4] = ["kick", "ban", "mute", "unmute"];

/// Carries out one command, or those of standard input.
pub(crate) fn run(settings: &Settings, path: &Path, command: Option<&str>) -> Result<(), Failure> {
    let mut operator = Operator::connect(path)?;
    match command {
        Some(command) => operator.carry_out(command.trim()),
        None if io::stdin().is_terminal() && console::may_edit(settings) => operator.ask(),
        None => operator.read_commands(),
    }
}

/// A connection to the socket.
struct Operator {
    stream: BufReader<UnixStream>,
}

/// What the server says to a command.
struct Answer {
    lines: Vec<String>,
    /// Why there is none.
    error: Option<String>,
}

impl Operator {
    fn connect(path: &Path) -> Result<Operator, Failure> {
        let stream = UnixStream::connect(path).map_err(|error| {
            let why = args::why(&error);
            Failure::Run(format!("cannot reach the operator's socket {}: {why}", path.display()))
        })?;
        Ok(Operator { stream: BufReader::new(stream) })
    }

    /// Sends a command, and waits for its answer.
    fn answer(&mut self, command: &str) -> Result<Answer, Failure> {
        let lost = |error: io::Error| {
            Failure::Run(format!("the connection has failed: {}", args::why(&error)))
        };
        self.stream.get_mut().write_all(format!("{command}\n").as_bytes()).map_err(lost)?;
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).map_err(lost)? == 0 {
                return Err(Failure::Run("the server has closed the connection".to_string()));
            }
            // A nickname may hold much, and what answers may be any program.
            let line = String::from_utf8_lossy(&line);
            let line = TerminalSafe(line.trim_end_matches(['\r', '\n'])).to_string();
            if let Some(error) = line.strip_prefix("error: ") {
                return Ok(Answer { lines, error: Some(error.to_string()) });
            }
            let is_last = line == "ok";
            lines.push(line);
            if is_last {
                return Ok(Answer { lines, error: None });
            }
        }
    }

    /// Carries out a command: its answer goes to standard output, a refusal is a failure.
    fn carry_out(&mut self, command: &str) -> Result<(), Failure> {
        let Answer { lines, error } = self.answer(command)?;
        output::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        error.map_or(Ok(()), |error| Err(Failure::Run(error)))
    }

    /// Carries out the commands of standard input, all of them: the status tells of a refusal.
    fn read_commands(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for line in io::stdin().lock().split(b'\n') {
            let line = line.map_err(|error| {
                Failure::Run(format!("cannot read standard input: {}", args::why(&error)))
            })?;
            let line = String::from_utf8_lossy(without_mark(&line)).into_owned();
            let command = line.trim();
            if command.is_empty() {
                continue;
            }
            let Answer { lines, error } = self.answer(command)?;
            output::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
            if let Some(error) = error {
                output::complain(&error);
                result = Err(Failure::Silent);
            }
        }
        result
    }

    /// Asks for commands on the terminal, until the person leaves or the server has stopped.
    fn ask(&mut self) -> Result<(), Failure> {
        let commands: Vec<String> =
            self.answer("help")?.lines.iter().filter_map(|line| word_of(line)).collect();
        prompt::run(
            self,
            |operator, typed| operator.complete(&commands, typed),
            |operator, line| {
                let mut shown = String::new();
                for command in line.lines().map(str::trim).filter(|line| !line.is_empty()) {
                    if matches!(command, "quit" | "exit") {
                        return Ok(None);
                    }
                    let Answer { lines, error } = operator.answer(command)?;
                    lines.iter().for_each(|line| shown += &format!("{line}\n"));
                    error.iter().for_each(|error| shown += &format!("error: {error}\n"));
                    if command == "stop" && error.is_none() {
                        return Ok(None);
                    }
                }
                Ok(Some(shown))
            },
        )
    }

    /// What may take the place of the end of `typed`, from which byte on: a command, or behind one
    /// what it takes.
    fn complete(&mut self, commands: &[String], typed: &str) -> (usize, Vec<Candidate>) {
        let start = typed.rfind(' ').map_or(0, |at| at + 1);
        let offered = match typed[..start].trim() {
            "" => commands.iter().map(|name| (name.clone(), name.clone())).collect(),
            name if OF_CLIENTS.contains(&name) => self.clients(),
            "unban" => self.offered("bans", |line| Some((line.to_string(), line.to_string()))),
            _ => Vec::new(),
        };
        let fitting = offered.into_iter().filter(|(text, _)| text.starts_with(&typed[start..]));
        let candidate = |(text, shown)| Candidate { text: format!("{text} "), shown };
        (start, fitting.map(candidate).collect())
    }

    /// The UIDs of the clients, and with each the nickname.
    fn clients(&mut self) -> Vec<(String, String)> {
        self.offered("who", |line| {
            let mut fields = line.splitn(5, ' ');
            let uid = fields.next()?.to_string();
            let shown = format!("{uid} {}", fields.nth(3)?);
            Some((uid, shown))
        })
    }

    fn offered(
        &mut self,
        command: &str,
        offer: impl Fn(&str) -> Option<(String, String)>,
    ) -> Vec<(String, String)> {
        let lines = self.answer(command).map_or_else(|_| Vec::new(), |answer| answer.lines);
        lines.iter().filter(|line| *line != "ok").filter_map(|line| offer(line)).collect()
    }
}

fn word_of(line: &str) -> Option<String> {
    line.split(' ').next().filter(|word| *word != "ok").map(str::to_string)
}
