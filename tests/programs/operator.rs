//! The operator's socket (README, "The operator"): each command, and that nobody else is delayed.

mod commands;
mod extended;
mod lines;
mod removal;
mod silence;
mod socket;
mod stats;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::{DEADLINE, Server};

/// A server with an operator's socket.
pub(crate) struct Room {
    pub(crate) server: Server,
    pub(crate) path: PathBuf,
    /// Where the socket is; removed behind the server.
    _dir: TempDir,
}

impl Room {
    pub(crate) fn start() -> Room {
        Room::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Room {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("control");
        let control = ["--control", path.to_str().expect("a path in UTF-8")];
        Room { server: Server::with(&[&control, options].concat()), path, _dir: dir }
    }

    #[track_caller]
    pub(crate) fn operator(&self) -> Operator {
        Operator::connect(&self.path)
    }
}

/// A connection of an operator.
pub(crate) struct Operator {
    stream: BufReader<UnixStream>,
}

impl Operator {
    #[track_caller]
    fn connect(path: &Path) -> Operator {
        let stream = UnixStream::connect(path).expect("connect to the operator's socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("set a read timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("set a write timeout");
        Operator { stream: BufReader::new(stream) }
    }

    #[track_caller]
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("send to the server");
    }

    fn end_input(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).expect("shut down the sending side");
    }

    /// The next line; `None` at the end.
    #[track_caller]
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("read from the server in time");
        if line.is_empty() { None } else { Some(line.trim_end_matches('\n').to_owned()) }
    }

    /// The next answer: its lines, or why there are none.
    #[track_caller]
    fn answer(&mut self) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                Some(line) if line == "ok" => return Ok(lines),
                Some(line) => match line.strip_prefix("error: ") {
                    Some(reason) => {
                        assert!(lines.is_empty(), "lines before an error: {lines:?}");
                        return Err(reason.to_owned());
                    }
                    None => lines.push(line),
                },
                None => panic!("the connection ended inside an answer: {lines:?}"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, command: &str) -> Result<Vec<String>, String> {
        self.send(format!("{command}\n"));
        self.answer()
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, command: &str) -> Vec<String> {
        self.ask(command).unwrap_or_else(|reason| panic!("{command}: {reason}"))
    }

    #[track_caller]
    fn refused(&mut self, command: &str) -> String {
        self.ask(command).expect_err(command)
    }

    /// All that comes up to the end of the connection.
    #[track_caller]
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).expect("read up to the end in time");
        rest
    }

    /// A number of `stats`.
    #[track_caller]
    fn stat(&mut self, name: &str) -> u64 {
        let lines = self.ok("stats");
        let value = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {lines:?}"))
    }
}
