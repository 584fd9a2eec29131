//! How a command joins: what it wants to know of the server is asked at once (`questions`), and the
//! connection is made again where the server does not take questions.

mod questions;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use multichat::client::{Client, Failure, Features, Lost, Relay, parse_names};
use multichat::ids::Uid;

use self::questions::{Answers, ask};
use crate::output::complain;
use crate::receiver::{NamedReceiver, Names};
use crate::settings::{LEAVE_LIMIT, Settings, shown};

pub(crate) use self::questions::{Questions, Seen};

/// The pause before the first new try, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection, and what the server has told on joining.
pub(crate) struct Joined {
    pub(crate) client: Arc<Client>,
    /// One's own UID, where the server has told it.
    pub(crate) uid: Option<Uid>,
    /// The clients that are here, where the server has told them.
    pub(crate) names: Option<Names>,
    pub(crate) features: Features,
    /// What was said before, the oldest first, where that was wanted; or what was missed.
    pub(crate) history: Vec<Relay>,
    /// How many public messages were missed that the server no longer keeps.
    pub(crate) forgotten: u64,
    /// Whether files are shared under their names.
    pub(crate) takes_names: bool,
    /// The nickname as the server has set it, or why it has not.
    pub(crate) nickname: Result<Option<String>, String>,
    /// The receiver that was named, or why it cannot be found.
    pub(crate) to: Result<Option<Uid>, String>,
    /// Whether the server goes on when it is asked what the draft does not have.
    takes_questions: bool,
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
    /// The operator has removed this client at once: to try again would undo that.
    Removed(String),
    /// It has refused the nickname.
    Nickname(String),
    /// The receiver is not here.
    Receiver(String),
}

impl fmt::Display for NotJoined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJoined::Unreachable(why) | NotJoined::Removed(why) | NotJoined::Receiver(why) => {
                why.fmt(f)
            }
            NotJoined::Nickname(reason) => write!(f, "the nickname was refused: {reason}"),
        }
    }
}

impl From<Lost> for NotJoined {
    fn from(lost: Lost) -> NotJoined {
        let why = shown(&lost);
        if lost.is_removal() { NotJoined::Removed(why) } else { NotJoined::Unreachable(why) }
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
            let connect = || Ok((Arc::new(self.connect(|_| {})?), ()));
            let joined = self.join_by(questions, None, self.nickname.as_deref(), connect);
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
    /// that the draft does not have, over another one, on which nothing is asked. What was said since
    /// `seen` was missed.
    pub(crate) fn join_by<T>(
        &self,
        questions: Questions,
        seen: Option<Seen>,
        nickname: Option<&str>,
        connect: impl Fn() -> Result<(Arc<Client>, T), NotJoined>,
    ) -> Result<(Joined, T), NotJoined> {
        let names = questions.names || matches!(self.to, Some(NamedReceiver::Nickname(_)));
        let questions = Questions { names, ..questions };
        let (client, rest) = connect()?;
        let mut takes_questions = false;
        let lost = match ask(&client, questions, seen, nickname, &mut takes_questions) {
            Ok(answers) => return Ok((self.joined(client, answers, true), rest)),
            Err(lost) => lost,
        };
        let has_answered = client.has_answered();
        drop((client, rest));
        let may_be_the_questions =
            !lost.is_removal() && matches!(lost, Lost::Closed | Lost::Reset | Lost::Refused(_));
        let why = NotJoined::from(lost);
        let has_asked = questions.needs_any() && has_answered && !takes_questions;
        if !(may_be_the_questions && has_asked) {
            return Err(why);
        }
        let (client, rest) = connect().map_err(|_| why)?;
        match ask(&client, Questions::default(), None, nickname, &mut takes_questions) {
            Ok(answers) => Ok((self.joined(client, answers, false), rest)),
            Err(lost) => Err(lost.into()),
        }
    }

    fn joined(&self, client: Arc<Client>, answers: Answers, takes_questions: bool) -> Joined {
        let Answers { features, uid, names, nickname, history, forgotten } = answers;
        let to = self.to.as_ref().map(|to| to.find(names.as_ref().unwrap_or(&Vec::new())));
        Joined {
            client,
            uid,
            names,
            features,
            history,
            forgotten,
            takes_names: features.file_name && self.tells_names,
            nickname,
            to: to.transpose(),
            takes_questions,
            has_left: AtomicBool::new(false),
        }
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

    /// The clients that are here, with their nicknames where the server tells them.
    pub(crate) fn list_clients(&self) -> Result<Names, Failure> {
        if self.takes_questions {
            return self.client.names();
        }
        let listed = parse_names(&self.client.query("")?);
        listed.ok_or(Failure::NoAnswer("the server's list of clients is not one"))
    }

    /// The files that can be fetched, a line each, as the server lists them.
    pub(crate) fn list_files(&self) -> Result<Vec<String>, Failure> {
        match self.takes_questions {
            true => self.client.files(),
            false => Err(Failure::NoAnswer("the server does not list files")),
        }
    }

    /// Asks what the draft does not have, for `limit` at the most; `None` where there is no answer.
    pub(crate) fn query_within(&self, what: &str, limit: Duration) -> Option<String> {
        if !self.takes_questions {
            return None;
        }
        self.client.query_within(what, limit).ok()
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
