//! What arrives, as lines for a person (`line`) and as JSON for a script (`json`).
//!
//! Nothing that arrives can move the cursor, set a title, ring or turn the direction of the text:
//! such characters are written as escapes, in nicknames, texts and types alike.

pub(crate) mod json;
pub(crate) mod line;

use std::io::{self, IsTerminal};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use multichat::client::Relay;
use multichat::ids::Uid;
pub(crate) use multichat::text::{Escaped, TerminalSafe};
use rustix::termios::tcgetwinsize;

use crate::options::variable;
use crate::settings::Settings;

/// Whether something is new to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It has just arrived.
    New,
    /// It was said while there was no connection.
    Missed,
    /// It was said before the reader came.
    Old,
}

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// The time of arrival before each line, in the words of `strftime`.
    pub(crate) time: Option<&'static str>,
    /// Whether each sender has a colour, and what concerns oneself stands out.
    pub(crate) has_colour: bool,
    /// Whether what concerns oneself rings the bell.
    pub(crate) has_bell: bool,
    /// How wide the terminal is, in columns: lines are wrapped at words. `None` does not wrap.
    pub(crate) columns: Option<usize>,
}

impl Style {
    /// How a command prints lines to standard output.
    pub(crate) fn of_command(settings: &Settings) -> Style {
        Style {
            time: settings.has_times.then_some("%H:%M:%S "),
            has_colour: has_colours(settings),
            has_bell: false,
            columns: columns(),
        }
    }

    /// The same, where a window may have changed its size.
    pub(crate) fn at_this_width(self) -> Style {
        Style { columns: self.columns.and(columns()), ..self }
    }
}

/// How wide the terminal is that standard output goes to, if it is one.
pub(crate) fn columns() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Whether there are colours on standard output.
pub(crate) fn has_colours(settings: &Settings) -> bool {
    may_colour(settings) && io::stdout().is_terminal()
}

/// Whether colours are wanted where there is a terminal.
pub(crate) fn may_colour(settings: &Settings) -> bool {
    !settings.is_plain
        && variable("NO_COLOR").is_none()
        && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A client as people know it: its UID, and its nickname if there is one.
pub(crate) fn sender(uid: Uid, nickname: Option<&str>) -> String {
    match nickname {
        Some(nickname) => format!("{uid} {}", TerminalSafe(nickname)),
        None => uid.to_string(),
    }
}

/// The time, in the words of `strftime`.
pub(crate) fn time(format: &str) -> String {
    ZonedDateTime::now().strftime(format).to_string()
}

/// The time of what is shown: of its arrival; where that tells nothing, when the server has taken it,
/// with the date if it was another day.
fn time_of(relay: &Relay, age: Age, format: &str) -> String {
    let sent = relay.extra.time.filter(|_| age != Age::New);
    let sent = sent.and_then(|sent| i64::try_from(sent.millis()).ok());
    let sent = sent.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let Some(sent) = sent.map(|sent| sent.to_zoned_datetime(TimeZone::system())) else {
        return time(format);
    };
    let is_today = sent.date() == ZonedDateTime::now().date();
    let date = if is_today || format.contains("%Y") { "" } else { "%Y-%m-%d " };
    sent.strftime(&format!("{date}{format}")).to_string()
}
