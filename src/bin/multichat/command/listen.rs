//! `listen`: prints what arrives.

use std::io::{self, IsTerminal};
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::Failure;
use crate::options::Wanted;
use crate::output::{self, complain};
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::Settings;
use crate::show::{self, Style};

/// How many messages may wait for standard output before no more is read: the server's queue for
/// this client is the place to wait in.
const WAITING_LIMIT: usize = 16;

/// Prints what arrives, until enough has come, or the time is up, or the connection is lost.
pub(crate) fn run(settings: Settings, wanted: &Wanted) -> Result<(), Failure> {
    let until = wanted.timeout.map(|timeout| Instant::now() + timeout);
    let style = Style { has_colour: colours(&settings), ..Style::default() };
    let (send, events) = bounded(WAITING_LIMIT);
    let room = ReconnectingClient::start(settings, move |event| {
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
            Ok(ConnectionEvent::Relay(relay)) => {
                let shown =
                    if wanted.as_json { show::json(&relay) } else { show::relay(&relay, style) };
                output::print(&(shown + "\n"))?;
                left = left.map(|left| left - 1);
            }
            Ok(ConnectionEvent::Notice(what)) => complain(&what),
            Ok(ConnectionEvent::Ended(why)) => return Err(Failure::Run(why)),
            Err(_) => {
                drop(events);
                room.leave();
                return Err(Failure::Run(timed_out(wanted)));
            }
        }
    }
    // What else arrives is not wanted: whoever reads for this client must not wait to hand it on.
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

/// Whether each sender has a colour.
pub(crate) fn colours(settings: &Settings) -> bool {
    !settings.is_plain
        && crate::options::variable("NO_COLOR").is_none()
        && crate::options::variable("TERM").is_none_or(|terminal| terminal != "dumb")
        && io::stdout().is_terminal()
}
