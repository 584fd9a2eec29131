//! What is asked on joining, in two flights: what every server may know behind the query that begins
//! the session, and what goes beyond the draft once the server has listed it.

use crossbeam_channel::{Receiver, bounded};
use multichat::client::{
    Client, Failure, Features, Lost, Outcome, Relay, parse_names, parse_own_uid,
};
use multichat::ids::Uid;
use multichat::wire::Timestamp;

use crate::receiver::Names;
use crate::settings::shown;

/// What a command wants to know when it joins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Questions {
    pub(crate) uid: bool,
    pub(crate) names: bool,
    pub(crate) features: bool,
    /// Whether it takes the extended form, where the server has it.
    pub(crate) extended: bool,
    /// How many of the public messages that were said before, where the server keeps a history.
    pub(crate) history: u64,
    /// Whether it wants to know later what it has missed.
    pub(crate) place: bool,
}

impl Questions {
    fn needs_features(self) -> bool {
        self.features || self.extended || self.history > 0 || self.place
    }

    /// Whether it wants to know what the draft does not tell.
    pub(super) fn needs_any(self) -> bool {
        self.uid || self.names || self.needs_features()
    }

    /// What is asked of the history, if anything.
    fn of_history(self, features: &Features, seen: Option<Seen>) -> Option<Wanted> {
        let kept = features.history?.max(1);
        match (seen, features.started) {
            (Some(seen), Some(started)) if started == seen.started => {
                Some(Wanted::Missed { count: kept, after: seen.last })
            }
            // The server was started again meanwhile: all that it keeps is new.
            (Some(_), Some(_)) => Some(Wanted::Missed { count: kept, after: 0 }),
            _ if self.history > 0 => Some(Wanted::Shown { count: self.history }),
            _ => self.place.then_some(Wanted::Place),
        }
    }
}

/// What is wanted of the history.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// All that was said behind a message.
    Missed { count: u64, after: u64 },
    /// The last messages, for the reader.
    Shown { count: u64 },
    /// The number of the last one alone.
    Place,
}

impl Wanted {
    fn ask(self, client: &Client) -> Receiver<Result<Vec<Relay>, Failure>> {
        let (count, after) = match self {
            Wanted::Missed { count, after } => (count, Some(after)),
            Wanted::Shown { count } => (count, None),
            Wanted::Place => (1, None),
        };
        let (say, answered) = bounded(1);
        client.history_then(count, after, move |relays| {
            // The asker may have given up, and ended the connection.
            let _ = say.send(relays);
        });
        answered
    }

    /// How many messages are missing before those that the server still keeps, of which `first` is the
    /// `Sequence` of the oldest.
    fn forgotten(self, first: Option<u64>) -> u64 {
        match (self, first) {
            // A server may say any numbers.
            (Wanted::Missed { after, .. }, Some(first)) => {
                first.saturating_sub(after).saturating_sub(1)
            }
            _ => 0,
        }
    }
}

/// How far a connection had come in the order of public messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When its server was started: the order begins anew with it.
    started: Timestamp,
    last: u64,
}

impl Seen {
    /// By a connection that has ended; `None` where the server has not told enough.
    pub(crate) fn by(client: &Client, features: &Features) -> Option<Seen> {
        Some(Seen { started: features.started?, last: client.place()? })
    }
}

/// What the server has told.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) features: Features,
    pub(super) uid: Option<Uid>,
    pub(super) names: Option<Names>,
    /// The nickname as the server has set it, or why it has not.
    pub(super) nickname: Result<Option<String>, String>,
    pub(super) history: Vec<Relay>,
    pub(super) forgotten: u64,
}

/// Sets the nickname, asks what is wanted, and waits for the answers.
///
/// `takes_questions` is set once the server has answered one that the draft does not have.
///
/// # Errors
/// How the connection was lost meanwhile.
pub(super) fn ask(
    client: &Client,
    questions: Questions,
    seen: Option<Seen>,
    nickname: Option<&str>,
    takes_questions: &mut bool,
) -> Result<Answers, Lost> {
    let ask = |wanted: bool, what: &'static str| {
        wanted.then(|| sent(|on_answer| client.query_then(what, on_answer)))
    };
    let features = ask(questions.needs_features(), "features");
    let set = nickname.map(|name| sent(|on_answer| client.set_nickname_then(name, on_answer)));
    // Behind the nickname, so that one's own is listed.
    let uid = ask(questions.uid, "self");
    let names = ask(questions.names, "names");
    let features = answer_to(features)?;
    *takes_questions |= features.is_some();
    let features = features.map(|body| Features::parse(&body)).unwrap_or_default();
    let extended = ask(questions.extended && features.extended, "extended");
    let wanted = questions.of_history(&features, seen);
    let history = wanted.map(|wanted| wanted.ask(client));
    let nickname = set.map_or(Ok(Ok(None)), |set| match outcome(&set) {
        Err(Failure::Lost(lost)) => Err(lost),
        set => Ok(set.map(|set| Some(set.text())).map_err(|failure| shown(&failure))),
    })?;
    let uid = answer_to(uid)?;
    *takes_questions |= uid.is_some();
    let uid = uid.and_then(|body| parse_own_uid(&body));
    let names = answer_to(names)?.and_then(|body| parse_names(&body));
    answer_to(extended)?;
    let history = history.map_or(Ok(Vec::new()), relays_in)?;
    let first = history.first().and_then(|relay| relay.extra.sequence);
    let forgotten = wanted.map_or(0, |wanted| wanted.forgotten(first));
    let history = if matches!(wanted, Some(Wanted::Place)) { Vec::new() } else { history };
    Ok(Answers { features, uid, names, nickname, history, forgotten })
}

/// Sends a request; its outcome comes out of the channel.
fn sent(send: impl FnOnce(Box<dyn FnOnce(Outcome) + Send>)) -> Receiver<Outcome> {
    let (say, outcome) = bounded(1);
    send(Box::new(move |answer| {
        // The asker may have given up, and ended the connection.
        let _ = say.send(answer);
    }));
    outcome
}

fn outcome(answered: &Receiver<Outcome>) -> Outcome {
    answered.recv().unwrap_or(Err(Failure::Lost(Lost::Closed)))
}

/// The body of the answer to a question; `None` where it was not asked, or the server does not know it.
fn answer_to(asked: Option<Receiver<Outcome>>) -> Result<Option<String>, Lost> {
    match asked.map(|answered| outcome(&answered)) {
        Some(Ok(answer)) => Ok(Some(answer.text())),
        Some(Err(Failure::Lost(lost))) => Err(lost),
        Some(Err(_)) | None => Ok(None),
    }
}

/// What a server has told of its history; nothing, where it has refused to.
fn relays_in(answered: Receiver<Result<Vec<Relay>, Failure>>) -> Result<Vec<Relay>, Lost> {
    match answered.recv().unwrap_or(Err(Failure::Lost(Lost::Closed))) {
        Ok(relays) => Ok(relays),
        Err(Failure::Lost(lost)) => Err(lost),
        Err(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_kept_is_counted_whatever_numbers_a_server_says() {
        let forgotten = |after, first| Wanted::Missed { count: 100, after }.forgotten(first);
        assert_eq!(forgotten(1, Some(2)), 0);
        assert_eq!(forgotten(1, Some(5)), 3);
        assert_eq!(forgotten(0, Some(u64::MAX)), u64::MAX - 1);
        for (after, first) in
            [(u64::MAX, Some(1)), (u64::MAX, Some(u64::MAX)), (5, Some(2)), (5, None)]
        {
            assert_eq!(forgotten(after, first), 0, "after {after}, first {first:?}");
        }
    }
}
