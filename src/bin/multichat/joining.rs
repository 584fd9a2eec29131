//! How a command joins: what it wants to know of the server is asked in one flight, behind the query
//! that begins the session.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use multichat::client::{Client, Failure, Features, Lost, Outcome, parse_names, parse_own_uid};
use multichat::ids::Uid;

use crate::output::complain;
use crate::receiver::{NamedReceiver, Names};
use crate::settings::{LEAVE_LIMIT, Settings, shown};

/// The pause before the first new try, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a command wants to know when it joins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Questions {
    pub(crate) uid: bool,
    pub(crate) names: bool,
    pub(crate) features: bool,
}

/// A connection, and what the server has told on joining.
pub(crate) struct Joined {
    pub(crate) client: Client,
    /// One's own UID, where the server has told it.
    pub(crate) uid: Option<Uid>,
    /// The clients that are here, where the server has told them.
    pub(crate) names: Option<Names>,
    pub(crate) features: Features,
    /// The nickname as the server has set it, or why it has not.
    pub(crate) nickname: Result<Option<String>, String>,
    /// The receiver that was named, or why it cannot be found.
    pub(crate) to: Result<Option<Uid>, String>,
    has_left: AtomicBool,
}

/// Whatever ends a command, it says bye (§2.3.4).
impl Drop for Joined {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Why there is no connection to begin with.
#[derive(Clone, Debug)]
pub(crate) enum NotJoined {
    /// The server cannot be reached, or the connection was lost at once.
    Unreachable(String),
    /// It has refused the nickname.
    Nickname(String),
    /// The receiver is not here.
    Receiver(String),
}

impl fmt::Display for NotJoined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJoined::Unreachable(why) | NotJoined::Receiver(why) => why.fmt(f),
            NotJoined::Nickname(reason) => write!(f, "the nickname was refused: {reason}"),
        }
    }
}

/// The pauses between tries: a second, growing to half a minute.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Pauses {
        Pauses(FIRST_PAUSE)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

impl Settings {
    /// Joins for one command; what arrives meanwhile is dropped.
    pub(crate) fn join(&self, questions: Questions) -> Result<Joined, NotJoined> {
        let mut pauses = Pauses::new();
        loop {
            let joined = self
                .join_by(questions, self.nickname.as_deref(), || Ok((self.connect(|_| {})?, ())));
            match joined.and_then(|(joined, ())| joined.complete()) {
                Err(NotJoined::Unreachable(why)) if self.reconnects => {
                    let pause = pauses.next();
                    complain(&format!("{why}; trying again in {} s", pause.as_secs()));
                    thread::sleep(pause);
                }
                joined => return joined,
            }
        }
    }

    /// Joins over the connection that `connect` makes; where the server closes that over a question
    /// that the draft does not have, over another one, on which nothing is asked.
    pub(crate) fn join_by<T>(
        &self,
        questions: Questions,
        nickname: Option<&str>,
        connect: impl Fn() -> Result<(Client, T), NotJoined>,
    ) -> Result<(Joined, T), NotJoined> {
        let names = questions.names || matches!(self.to, Some(NamedReceiver::Nickname(_)));
        let questions = Questions { names, ..questions };
        let (client, rest) = connect()?;
        let asks = questions.uid || questions.names || questions.features;
        let client = match self.ask(questions, nickname, client) {
            Ok(joined) => return Ok((joined, rest)),
            Err((client, Lost::Closed | Lost::Reset | Lost::Refused(_)))
                if asks && client.has_answered() =>
            {
                client
            }
            Err((_, lost)) => return Err(NotJoined::Unreachable(shown(&lost))),
        };
        drop(client);
        let (client, rest) = connect()?;
        match self.ask(Questions::default(), nickname, client) {
            Ok(joined) => Ok((joined, rest)),
            Err((_, lost)) => Err(NotJoined::Unreachable(shown(&lost))),
        }
    }

    /// Asks all at once, and then reads the answers.
    fn ask(
        &self,
        questions: Questions,
        nickname: Option<&str>,
        client: Client,
    ) -> Result<Joined, (Client, Lost)> {
        let ask = |wanted: bool, what: &'static str| {
            wanted.then(|| sent(|on_answer| client.query_then(what, on_answer)))
        };
        let features = ask(questions.features, "features");
        let set = nickname.map(|name| sent(|on_answer| client.set_nickname_then(name, on_answer)));
        // Behind the nickname, so that one's own is listed.
        let uid = ask(questions.uid, "self");
        let names = ask(questions.names, "names");
        let answers = (|| {
            let features = features.map_or(Ok(None), answer_to)?;
            let set = set.map(|set| match outcome(&set) {
                Err(Failure::Lost(lost)) => Err(lost),
                set => Ok(set.map(|set| set.text()).map_err(|failure| shown(&failure))),
            });
            let uid = uid.map_or(Ok(None), answer_to)?;
            let names = names.map_or(Ok(None), answer_to)?;
            Ok((features, set.transpose()?, uid, names))
        })();
        let (features, set, uid, names) = match answers {
            Ok(answers) => answers,
            Err(lost) => return Err((client, lost)),
        };
        let names = names.and_then(|body| parse_names(&body));
        let to = self.to.as_ref().map(|to| to.find(names.as_ref().unwrap_or(&Vec::new())));
        Ok(Joined {
            client,
            uid: uid.and_then(|body| parse_own_uid(&body)),
            to: to.transpose(),
            names,
            features: features.map(|body| Features::parse(&body)).unwrap_or_default(),
            nickname: set.transpose(),
            has_left: AtomicBool::new(false),
        })
    }
}

impl Joined {
    /// Says bye, and waits for the server to close the connection.
    pub(crate) fn leave(&self) {
        if !self.has_left.swap(true, Ordering::SeqCst) && !self.client.is_lost() {
            self.client.leave(LEAVE_LIMIT);
        }
    }

    /// Leaves without a bye: what is still arriving is not waited for.
    pub(crate) fn give_up(&self) {
        self.has_left.store(true, Ordering::SeqCst);
    }

    /// Fails where the nickname was refused, or the receiver is not here.
    pub(crate) fn complete(self) -> Result<Joined, NotJoined> {
        match (&self.nickname, &self.to) {
            (Err(reason), _) => Err(NotJoined::Nickname(reason.clone())),
            (_, Err(why)) => Err(NotJoined::Receiver(why.clone())),
            _ => Ok(self),
        }
    }

    /// The other clients that have the nickname that was set.
    pub(crate) fn namesakes(&self) -> Vec<Uid> {
        match (&self.nickname, self.uid) {
            (Ok(Some(nickname)), Some(uid)) => {
                namesakes(self.names.as_ref().unwrap_or(&Vec::new()), uid, nickname)
            }
            _ => Vec::new(),
        }
    }
}

/// The clients but `uid` that are called `nickname`.
pub(crate) fn namesakes(names: &Names, uid: Uid, nickname: &str) -> Vec<Uid> {
    let others = names.iter().filter(|(other, _)| *other != uid);
    let same = others.filter(|(_, name)| name.as_deref() == Some(nickname));
    same.map(|(other, _)| *other).collect()
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

/// The body of an answer; `None` where the server does not know the question.
fn answer_to(answered: Receiver<Outcome>) -> Result<Option<String>, Lost> {
    match outcome(&answered) {
        Ok(answer) => Ok(Some(answer.text())),
        Err(Failure::Lost(lost)) => Err(lost),
        Err(_) => Ok(None),
    }
}
