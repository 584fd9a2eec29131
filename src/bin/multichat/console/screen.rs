//! What is printed above the line being typed, one piece after the other.
//!
//! A thread of its own prints: the editor takes what is printed only while a line is edited, and
//! neither the connection nor a command may wait for a person.

use std::io::{self, Write};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustyline::ExternalPrinter;

use crate::Failure;
use crate::show;

/// Goes up to the line before, and clears it.
const OVER_LAST_LINE: &str = "\x1b[A\r\x1b[2K";

/// Where to print.
#[derive(Clone)]
pub(crate) struct Screen {
    pieces: Sender<Piece>,
}

enum Piece {
    Text(String),
    /// How far something is: the next one takes its place.
    Progress(String),
    /// The person has entered a line: it stands below all that was printed.
    Entered,
}

impl Screen {
    /// Starts the thread that prints; it ends when the last screen is dropped.
    pub(crate) fn start(
        printer: Option<impl ExternalPrinter + Send + 'static>,
    ) -> Result<(Screen, JoinHandle<()>), Failure> {
        // Without a bound: what waits in here waits for a terminal, for the moment between two
        // lines that are edited.
        let (pieces, printed) = unbounded();
        let thread = thread::Builder::new()
            .name("screen".to_string())
            .spawn(move || print_all(&printed, printer))
            .map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
        Ok((Screen { pieces }, thread))
    }

    /// Prints a line, or several.
    pub(crate) fn print(&self, text: String) {
        self.say(Piece::Text(text));
    }

    /// Prints something of the program's own.
    pub(crate) fn notice(&self, what: &str) {
        self.print(format!("{}* {what}", show::time()));
    }

    /// Prints how far something is, in place of what was said of it before.
    pub(crate) fn progress(&self, line: String) {
        self.say(Piece::Progress(line));
    }

    /// Notes that the person has entered a line.
    pub(crate) fn entered(&self) {
        self.say(Piece::Entered);
    }

    fn say(&self, piece: Piece) {
        // The thread ends only after the last screen.
        let _ = self.pieces.send(piece);
    }
}

fn print_all(pieces: &Receiver<Piece>, mut printer: Option<impl ExternalPrinter>) {
    let mut is_last_progress = false;
    for piece in pieces {
        let (text, is_progress) = match piece {
            Piece::Text(text) => (text, false),
            Piece::Progress(line) if is_last_progress => (format!("{OVER_LAST_LINE}{line}"), true),
            Piece::Progress(line) => (line, true),
            Piece::Entered => {
                is_last_progress = false;
                continue;
            }
        };
        is_last_progress = is_progress;
        let text = text + "\n";
        // A terminal that takes nothing any more has gone, and a signal will say so.
        let _ = match &mut printer {
            Some(printer) => printer.print(text).is_ok(),
            None => io::stdout().write_all(text.as_bytes()).is_ok(),
        };
    }
}
