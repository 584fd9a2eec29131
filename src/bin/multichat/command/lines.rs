//! Without a command and without a terminal: each line of standard input is a message, and what
//! arrives goes to standard output.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use multichat::args;
use multichat::client::{Answer, BODY_LIMIT, Failure as Refused};

use super::missed;
use crate::Failure;
use crate::clean::{clean, without_mark};
use crate::joining::Questions;
use crate::output::{self, complain};
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::{Settings, shown};
use crate::show::{Style, line};
use crate::transcript::Transcript;

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
pub(crate) fn run(settings: Settings, cleans: bool) -> Result<(), Failure> {
    let style = Style::of_command(&settings);
    let reconnects = settings.reconnects;
    let transcript = Transcript::open(&settings)?.map(Arc::new);
    output::watch_reader()?;
    let (say, steps) = bounded(WAITING_LIMIT);
    let on_event = say.clone();
    let uid = settings.reconnects || transcript.is_some();
    let questions = Questions {
        uid,
        extended: true,
        history: settings.history.unwrap_or(0),
        place: reconnects,
        ..Questions::default()
    };
    let has_notices = settings.notices.unwrap_or(false);
    let room = ReconnectingClient::start(settings, questions, move |event| {
        let _ = on_event.send(Step::Connection(event));
    })?;
    let lines =
        Lines { room, say: say.clone(), reconnects, cleans, transcript: transcript.clone() };
    let sender = thread::Builder::new().name("sender".to_string()).spawn(move || {
        let sent = lines.send_all();
        lines.room.leave();
        // The printing thread has ended where the connection was lost.
        let _ = say.send(Step::Done(sent));
    });
    sender.map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
    print_steps(&steps, style, has_notices, transcript.as_deref())
}

fn print_steps(
    steps: &Receiver<Step>,
    style: Style,
    has_notices: bool,
    transcript: Option<&Transcript>,
) -> Result<(), Failure> {
    let mut has_failed = false;
    let mut lost = None;
    loop {
        match steps.recv() {
            Ok(Step::Connection(ConnectionEvent::Ended(why))) => return Err(Failure::Run(why)),
            Ok(Step::Connection(event)) => print_event(event, style, has_notices, transcript)?,
            Ok(Step::Missed(is_failure, why)) => {
                has_failed |= is_failure;
                complain(&why);
            }
            Ok(Step::Lost(why)) => lost = Some(why),
            Ok(Step::Done(Err(error))) => {
                let why = args::why(&error);
                return Err(Failure::Run(format!("cannot read standard input: {why}")));
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

fn print_event(
    event: ConnectionEvent,
    style: Style,
    has_notices: bool,
    transcript: Option<&Transcript>,
) -> Result<(), Failure> {
    match event {
        ConnectionEvent::Relay(relay, age) => {
            if let Some(transcript) = transcript {
                transcript.relay(&relay, age);
            }
            output::print(&(line::relay(&relay, age, style.at_this_width(), None) + "\n"))
        }
        ConnectionEvent::Notice(notice) if has_notices => {
            output::print(&(line::notice(&notice, style.at_this_width()) + "\n"))
        }
        ConnectionEvent::Status(what) => {
            complain(&what);
            Ok(())
        }
        ConnectionEvent::Notice(_)
        | ConnectionEvent::Joined(_)
        | ConnectionEvent::JoinedAgain
        | ConnectionEvent::Ended(_) => Ok(()),
    }
}

/// Reads the next line, without its end; `false` at the end of input. A byte order mark at the start
/// of all is dropped.
pub(super) fn read_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    is_first: bool,
) -> io::Result<bool> {
    line.clear();
    if input.take(BODY_LIMIT).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    }
    if is_first {
        let mark_len = line.len() - without_mark(line).len();
        line.drain(..mark_len);
    }
    Ok(true)
}

/// The lines of standard input on their way.
struct Lines {
    room: ReconnectingClient,
    say: Sender<Step>,
    reconnects: bool,
    cleans: bool,
    transcript: Option<Arc<Transcript>>,
}

impl Lines {
    /// Sends each line, and waits for the last responses. Ends early where the connection is lost for
    /// good.
    fn send_all(&self) -> io::Result<()> {
        // A token is taken for each line, and comes back with its response.
        let (give_back, tokens) = bounded(WINDOW);
        for _ in 0..WINDOW {
            let _ = give_back.send(());
        }
        if self.room.wait().is_none() {
            return Ok(());
        }
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        let mut is_first = true;
        while read_line(&mut input, &mut line, is_first)? {
            is_first = false;
            if tokens.recv().is_err() || !self.send(&line, &give_back) {
                return Ok(());
            }
        }
        for _ in 0..WINDOW {
            if tokens.recv().is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Sends a line; `false` where there is no connection any more.
    fn send(&self, line: &[u8], give_back: &Sender<()>) -> bool {
        let Some(joined) = self.room.wait() else { return false };
        let to = match &joined.to {
            Ok(to) => *to,
            Err(why) => {
                let _ = self.say.send(Step::Missed(true, why.clone()));
                let _ = give_back.send(());
                return true;
            }
        };
        let cleaned = self.cleans.then(|| clean(line).into_bytes());
        let text = cleaned.as_deref().unwrap_or(line);
        if let Some(transcript) = &self.transcript {
            let nickname = joined.nickname.as_ref().ok().and_then(Option::as_deref);
            transcript.said(joined.uid, nickname, to, &String::from_utf8_lossy(text));
        }
        let (give_back, say, reconnects) = (give_back.clone(), self.say.clone(), self.reconnects);
        joined.client.send_text_then(to, text, move |answer| {
            if let Some(not_said) = not_said(answer, reconnects) {
                let _ = say.send(not_said);
            }
            let _ = give_back.send(());
        });
        true
    }
}

/// What the person is to be told of an answer.
fn not_said(answer: Result<Answer, Refused>, reconnects: bool) -> Option<Step> {
    match answer {
        Ok(answer) => missed(&answer).map(|missed| Step::Missed(false, missed)),
        // The end of the connection is told by itself, and there is more to come behind it.
        Err(Refused::Lost(_)) if reconnects => {
            let why = "a line was sent and not confirmed: it may not have arrived".to_string();
            Some(Step::Missed(true, why))
        }
        Err(Refused::Lost(lost)) => Some(Step::Lost(shown(&lost))),
        Err(failure) => Some(Step::Missed(true, shown(&failure))),
    }
}
