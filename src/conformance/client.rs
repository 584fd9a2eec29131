//! The other side: what a client does, told by a server of the draft that serves one at a time.

mod rules;
mod server;

use super::case::{Check, Stop};
use super::finding::{Finding, visible};
use super::{Outcome, Rule, Subject, Tally};

pub use self::server::serve;

/// The longest that is kept of a body, in bytes; the rest of it is counted.
const BODY_KEPT: usize = 64 * 1024;

/// How many messages of a client are kept; the rest of them are answered alone.
const MESSAGES_KEPT: usize = 10_000;

/// The fault of a message inside which the connection ended.
const ENDED: &str = "the end of the connection inside the message";

/// One message of a client, as it came.
#[derive(Clone, Debug, Default)]
pub struct ClientMessage {
    /// The header's lines without their ends.
    pub lines: Vec<Vec<u8>>,
    /// Names and values, of those lines that are fields.
    pub fields: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// How many bytes of the body came.
    pub body_len: u64,
    /// Why it is no whole message, if it is none.
    pub fault: Option<String>,
}

impl ClientMessage {
    /// A field's first value.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether its `Message-Type` is this one.
    pub fn is(&self, message_type: &str) -> bool {
        self.field("Message-Type").is_some_and(|value| value.eq_ignore_ascii_case(message_type))
    }

    fn show(&self) -> String {
        let mut bytes = Vec::new();
        for line in &self.lines {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        let shown = visible(&bytes);
        match &self.fault {
            Some(fault) => format!("{shown} ({fault})"),
            None => shown,
        }
    }
}

/// How a client's connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It was closed in order.
    #[default]
    Closed,
    /// It was reset, or failed otherwise.
    Reset,
    /// It fell silent inside a message.
    Silent,
}

/// All that a client did.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Its messages, in the order they came.
    pub messages: Vec<ClientMessage>,
    /// What came behind `bye`.
    pub behind_bye: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// How many messages had come when a relay was sent before a response.
    pub relay_at: Option<usize>,
}

impl Session {
    /// The first of its messages of which this does not hold breaks the rule. What is no message
    /// breaks the rule that says so, and no other one.
    fn all(&self, want: &str, holds: impl Fn(&ClientMessage) -> bool) -> Check {
        self.everything(want, |message| message.fault.is_some() || holds(message))
    }

    /// The same of all that came, messages or not.
    fn everything(&self, want: &str, holds: impl Fn(&ClientMessage) -> bool) -> Check {
        match self.messages.iter().find(|message| !holds(message)) {
            None => Ok(()),
            Some(message) => Err(broken(&message.show(), want)),
        }
    }

    /// The same of its messages of one type; the rule is skipped where there are none.
    fn all_of(
        &self,
        message_type: &str,
        want: &str,
        holds: impl Fn(&ClientMessage) -> bool,
    ) -> Check {
        if !self.messages.iter().any(|message| message.is(message_type)) {
            return Err(Stop::Skip(format!("the client sent no {message_type} message")));
        }
        self.all(want, |message| !message.is(message_type) || holds(message))
    }

    fn said_bye(&self) -> bool {
        self.messages.iter().any(|message| message.is("bye"))
    }
}

fn broken(got: &str, want: &str) -> Stop {
    let (got, want) = (got.to_owned(), want.to_owned());
    Stop::Broken(Finding { sent: Vec::new(), got, want })
}

/// The rules of clients.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    rules::RULES.iter()
}

/// Judges what a client did, and tells of each rule.
///
/// # Errors
/// The report's own.
pub fn judge<E>(
    session: &Session,
    rules: &[&'static Rule],
    mut report: impl FnMut(&Rule, &Outcome) -> Result<(), E>,
) -> Result<Tally, E> {
    let mut tally = Tally::default();
    for rule in rules {
        let Subject::Client(check) = rule.check else { continue };
        let outcome = match check(session) {
            Ok(()) => Outcome::Kept,
            Err(Stop::Skip(why)) => Outcome::Skipped(why),
            Err(Stop::Broken(finding) | Stop::Unmet(_, finding)) => Outcome::Broken(finding),
        };
        tally.count(&outcome);
        report(rule, &outcome)?;
    }
    Ok(tally)
}
