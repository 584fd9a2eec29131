//! Without a command and without a terminal: each line of standard input is a message, and what
//! arrives goes to standard output.

use std::io::{self, BufRead, Read};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use multichat::client::{Answer, BODY_LIMIT, Failure as Refused};
use multichat::ids::Uid;

use crate::Failure;
use crate::output::{self, complain};
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::{Settings, shown};
use crate::show::{self, Style, TerminalSafe};

/// How many lines may be on their way without a response.
const WINDOW: usize = 64;

/// How many events may wait for standard output before no more is read.
const WAITING_LIMIT: usize = 16;

/// What the thread that prints is told.
enum Step {
    Connection(ConnectionEvent),
    /// A line was not sent, or not to everybody; whether that is a failure, and why.
    Missed(bool, String),
    /// A line was not confirmed: the connection was lost for good, and why.
    Lost(String),
    /// All lines are sent and answered, or standard input cannot be read.
    Done(io::Result<()>),
}

/// Sends what comes from standard input and prints what arrives.
///
/// One thread sends and another prints, so that neither waits for the other: a client that did not
/// read while it sends could be taken for one that has stopped reading.
pub(crate) fn run(settings: Settings) -> Result<(), Failure> {
    let style = Style { has_colour: super::listen::colours(&settings), ..Style::default() };
    let (to, reconnects) = (settings.to, settings.reconnects);
    let (say, steps) = bounded(WAITING_LIMIT);
    let on_event = say.clone();
    let room = ReconnectingClient::start(settings, move |event| {
        let _ = on_event.send(Step::Connection(event));
    })?;
    let sender = thread::Builder::new().name("sender".to_string()).spawn(move || {
        let sent = send_lines(&room, to, reconnects, &say);
        room.leave();
        // The printing thread has ended where the connection was lost.
        let _ = say.send(Step::Done(sent));
    });
    sender.map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
    print_steps(&steps, style)
}

fn print_steps(steps: &Receiver<Step>, style: Style) -> Result<(), Failure> {
    let mut has_failed = false;
    let mut lost = None;
    loop {
        match steps.recv() {
            Ok(Step::Connection(ConnectionEvent::Relay(relay))) => {
                output::print(&(show::relay(&relay, style) + "\n"))?;
            }
            Ok(Step::Connection(ConnectionEvent::Notice(what))) => complain(&what),
            Ok(Step::Connection(ConnectionEvent::Ended(why))) => return Err(Failure::Run(why)),
            Ok(Step::Missed(is_failure, why)) => {
                has_failed |= is_failure;
                complain(&why);
            }
            Ok(Step::Lost(why)) => lost = Some(why),
            Ok(Step::Done(Err(error))) => {
                return Err(Failure::Run(format!("cannot read standard input: {error}")));
            }
            Ok(Step::Done(Ok(()))) | Err(_) => {
                return match lost {
                    Some(why) => Err(Failure::Run(why)),
                    None if has_failed => Err(Failure::Silent),
                    None => Ok(()),
                };
            }
        }
    }
}

/// Sends each line, and waits for the last responses. Ends early where the connection is lost for
/// good.
fn send_lines(
    room: &ReconnectingClient,
    to: Option<Uid>,
    reconnects: bool,
    say: &Sender<Step>,
) -> io::Result<()> {
    // A token is taken for each line, and comes back with its response.
    let (give_back, tokens) = bounded(WINDOW);
    for _ in 0..WINDOW {
        let _ = give_back.send(());
    }
    if room.wait_for_client().is_none() {
        return Ok(());
    }
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(BODY_LIMIT).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            line.pop_if(|last| *last == b'\r');
        }
        if tokens.recv().is_err() {
            break;
        }
        let Some(client) = room.wait_for_client() else { return Ok(()) };
        let (give_back, say) = (give_back.clone(), say.clone());
        client.send_text_then(to, &line, move |answer| {
            if let Some(missed) = missed(answer, reconnects) {
                let _ = say.send(missed);
            }
            let _ = give_back.send(());
        });
    }
    for _ in 0..WINDOW {
        if tokens.recv().is_err() {
            break;
        }
    }
    Ok(())
}

/// What is to be said of an answer.
fn missed(answer: Result<Answer, Refused>, reconnects: bool) -> Option<Step> {
    match answer {
        Ok(answer) => {
            let missed = answer.text();
            let missed = missed.trim();
            (!missed.is_empty()).then(|| Step::Missed(false, TerminalSafe(missed).to_string()))
        }
        // The end of the connection is told by itself, and there is more to come behind it.
        Err(Refused::Lost(_)) if reconnects => {
            let why = "a line was sent and not confirmed: it may not have arrived".to_string();
            Some(Step::Missed(true, why))
        }
        Err(Refused::Lost(lost)) => Some(Step::Lost(shown(&lost))),
        Err(failure) => Some(Step::Missed(true, shown(&failure))),
    }
}
