//! `listen`: prints what arrives.

use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::Failure;
use crate::joining::Questions;
use crate::output::{self, complain};
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::Settings;
use crate::show::{Age, Style, json, line};
use crate::transcript::Transcript;

/// How many messages may wait for standard output before no more is read: the server's queue for
/// this client is the place to wait in.
const WAITING_LIMIT: usize = 16;

/// What is listened for, and until when.
pub(crate) struct Wanted {
    pub(crate) as_json: bool,
    pub(crate) count: Option<usize>,
    pub(crate) timeout: Option<Duration>,
}

/// Prints what arrives, until enough has come, or the time is up, or the connection is lost.
pub(crate) fn run(settings: Settings, wanted: &Wanted) -> Result<(), Failure> {
    let until = wanted.timeout.map(|timeout| Instant::now() + timeout);
    let style = Style::of_command(&settings);
    let transcript = Transcript::open(&settings)?;
    output::watch_reader()?;
    let (send, events) = bounded(WAITING_LIMIT);
    let questions = Questions {
        // Where it may change, one wants to know it.
        uid: settings.reconnects,
        extended: true,
        history: settings.history.unwrap_or(0),
        place: settings.reconnects,
        ..Questions::default()
    };
    let has_notices = settings.notices.unwrap_or(false);
    let room = ReconnectingClient::start(settings, questions, move |event| {
        // Nobody listens any more where the program ends.
        let _ = send.send(event);
    })?;
    let mut left = wanted.count;
    while left != Some(0) {
        let event = match until {
            Some(until) => events.recv_deadline(until),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(ConnectionEvent::Relay(relay, age)) => {
                if let Some(transcript) = &transcript {
                    transcript.relay(&relay, age);
                }
                let shown = match wanted.as_json {
                    true => json::relay(&relay),
                    false => line::relay(&relay, age, style.at_this_width(), None),
                };
                output::print(&(shown + "\n"))?;
                // What was said before is not what is waited for.
                if age != Age::Old {
                    left = left.map(|left| left - 1);
                }
            }
            Ok(ConnectionEvent::Notice(notice)) if has_notices => {
                let shown = match wanted.as_json {
                    true => json::notice(&notice),
                    false => line::notice(&notice, style.at_this_width()),
                };
                output::print(&(shown + "\n"))?;
            }
            Ok(
                ConnectionEvent::Joined(_)
                | ConnectionEvent::JoinedAgain
                | ConnectionEvent::Notice(_),
            ) => {}
            Ok(ConnectionEvent::Status(what)) => complain(&what),
            Ok(ConnectionEvent::Ended(why)) => return Err(Failure::Run(why)),
            Err(_) => {
                drop(events);
                room.leave();
                return Err(Failure::Run(timed_out(wanted)));
            }
        }
    }
    // What else arrives is not wanted: the thread that reads must not wait to hand it on.
    drop(events);
    room.leave();
    Ok(())
}

fn timed_out(wanted: &Wanted) -> String {
    let seconds = wanted.timeout.unwrap_or_default().as_secs_f64();
    match wanted.count {
        Some(1) => format!("no message came within {seconds} s"),
        Some(count) => format!("{count} messages did not come within {seconds} s"),
        None => format!("stopped listening after {seconds} s"),
    }
}
