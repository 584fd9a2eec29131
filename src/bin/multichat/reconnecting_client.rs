//! The connection to the room as a command has it: it tells when the connection is lost, and makes it
//! again where that is wanted, and brings what was missed meanwhile.
//!
//! Owns the pauses between tries. Knows nothing of what is done with the connection.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use multichat::client::{Client, Event, Lost, Notice, Relay};
use parking_lot::{Condvar, Mutex};

use crate::Failure;
use crate::gate::Gate;
use crate::joining::{Joined, NotJoined, Pauses, Questions, Seen};
use crate::settings::{Settings, shown};
use crate::show::Age;

/// How long a server may take to close a connection after `bye` that it has not answered yet.
const JOINING_LIMIT: Duration = Duration::from_secs(1);

/// How long the next command may wait for a connection that this side has given up.
const REJOIN_LIMIT: Duration = Duration::from_secs(5);

/// What a command is told of its connection, in order.
pub(crate) enum ConnectionEvent {
    /// There is a connection for the first time.
    Joined(Arc<Joined>),
    /// There is a connection again; UIDs may have changed.
    JoinedAgain,
    /// Something was said or shared.
    Relay(Relay, Age),
    /// Another client has come, has gone, or has another nickname.
    Notice(Notice),
    /// Something about the connection that the person should know, fit to be shown.
    Status(String),
    /// There is no connection, and there will be none: why.
    Ended(String),
}

/// What hears of a connection.
pub(crate) type OnEvent = dyn Fn(ConnectionEvent) + Send + Sync;

/// A connection that is made again when it is lost, where that is wanted.
pub(crate) struct ReconnectingClient {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    questions: Questions,
    /// The nickname to be set on each connection.
    nickname: Mutex<Option<String>>,
    state: Mutex<State>,
    changed: Condvar,
    /// The connection that was made last: it may not have been answered yet.
    joining: Mutex<Weak<Client>>,
    on_event: Arc<OnEvent>,
}

/// What a connection brings.
struct Arrivals {
    /// Tells when and why the connection is lost.
    lost: Receiver<Lost>,
    gate: Arc<Gate>,
}

/// Where nothing came of the connection, what has arrived is not lost with it.
impl Drop for Arrivals {
    fn drop(&mut self) {
        self.gate.give_up();
    }
}

enum State {
    /// The first try is under way.
    Beginning,
    /// There is a connection, and what was said before is still being shown.
    Showing(Arc<Joined>),
    /// There is a connection.
    Joined(Arc<Joined>),
    /// There may be one again.
    Waiting,
    /// There will be none any more.
    Ended,
}

impl ReconnectingClient {
    /// Begins to connect, to set the nickname, and to watch; returns at once.
    ///
    /// `on_event` is called by the threads that read and watch. While it takes its time nothing is
    /// read, so it must not wait for a response.
    pub(crate) fn start(
        settings: Settings,
        questions: Questions,
        on_event: impl Fn(ConnectionEvent) + Send + Sync + 'static,
    ) -> Result<ReconnectingClient, Failure> {
        let shared = Arc::new(Shared {
            nickname: Mutex::new(settings.nickname.clone()),
            settings,
            questions,
            state: Mutex::new(State::Beginning),
            changed: Condvar::new(),
            joining: Mutex::new(Weak::new()),
            on_event: Arc::new(on_event),
        });
        let watching = Arc::clone(&shared);
        let started =
            thread::Builder::new().name("connection".to_string()).spawn(move || watching.watch());
        started.map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
        Ok(ReconnectingClient { shared })
    }

    /// The connection, if there is one at this moment.
    pub(crate) fn joined(&self) -> Option<Arc<Joined>> {
        match &*self.shared.state.lock() {
            State::Showing(joined) | State::Joined(joined) => Some(Arc::clone(joined)),
            State::Beginning | State::Waiting | State::Ended => None,
        }
    }

    /// The connection, as soon as there is one and what was said before is shown; `None` once there will be none any more.
    pub(crate) fn wait(&self) -> Option<Arc<Joined>> {
        let mut state = self.shared.state.lock();
        loop {
            match &*state {
                State::Joined(joined) => return Some(Arc::clone(joined)),
                State::Ended => return None,
                State::Beginning | State::Showing(_) | State::Waiting => {
                    self.shared.changed.wait(&mut state);
                }
            }
        }
    }

    /// Waits until the first try has come to something.
    pub(crate) fn wait_for_first_try(&self) {
        let mut state = self.shared.state.lock();
        while matches!(*state, State::Beginning) {
            self.shared.changed.wait(&mut state);
        }
    }

    /// Waits, where this side has given a connection up, until there is another one or the first try
    /// has failed.
    pub(crate) fn wait_for_another(&self, last: &Joined) {
        let until = Instant::now() + REJOIN_LIMIT;
        let mut state = self.shared.state.lock();
        let is_last = |state: &State| match state {
            State::Showing(joined) | State::Joined(joined) => std::ptr::eq(&**joined, last),
            State::Beginning => true,
            State::Waiting | State::Ended => false,
        };
        while last.client.is_lost() && is_last(&state) {
            if self.shared.changed.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    /// Remembers a nickname that has been set.
    pub(crate) fn keep_nickname(&self, nickname: &str) {
        *self.shared.nickname.lock() = Some(nickname.to_string());
    }

    /// The nickname that is set on each connection.
    pub(crate) fn nickname(&self) -> Option<String> {
        self.shared.nickname.lock().clone()
    }

    /// Says bye, and waits for the server to close the connection.
    pub(crate) fn leave(&self) {
        match self.shared.change(State::Ended) {
            State::Showing(joined) | State::Joined(joined) => joined.leave(),
            State::Beginning | State::Waiting => {
                let joining = self.shared.joining.lock().upgrade();
                if let Some(client) = joining.filter(|client| !client.is_lost()) {
                    client.leave(JOINING_LIMIT);
                }
            }
            State::Ended => {}
        }
    }
}

impl Shared {
    fn change(&self, next: State) -> State {
        let last = std::mem::replace(&mut *self.state.lock(), next);
        self.changed.notify_all();
        last
    }

    /// Changes the state, unless the connection is no longer wanted.
    fn change_if_wanted(&self, next: State) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, State::Ended) {
            return false;
        }
        *state = next;
        self.changed.notify_all();
        true
    }

    fn say(&self, what: String) {
        (self.on_event)(ConnectionEvent::Status(what));
    }

    /// Says that there will be no connection any more, if it is still wanted.
    fn end(&self, why: String) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Ended) {
            // Under the lock: nobody finds that it has ended before why is told.
            (self.on_event)(ConnectionEvent::Ended(why));
            *state = State::Ended;
            self.changed.notify_all();
        }
    }

    /// Connects. What was said since `seen` was missed.
    fn join(
        &self,
        questions: Questions,
        seen: Option<Seen>,
    ) -> Result<(Joined, Arrivals), NotJoined> {
        let nickname = self.nickname.lock().clone();
        let connect = || self.connect(seen.is_some() || questions.history > 0, seen.is_some());
        self.settings.join_by(questions, seen, nickname.as_deref(), connect)
    }

    /// Connects; what arrives is held back where something of before is to be shown first.
    fn connect(
        &self,
        is_held: bool,
        is_repeated: bool,
    ) -> Result<(Arc<Client>, Arrivals), NotJoined> {
        self.expect_wanted()?;
        let (say_lost, lost) = bounded(1);
        let gate = Arc::new(Gate::new(Arc::clone(&self.on_event), is_held, is_repeated));
        let passing = Arc::clone(&gate);
        let client = self.settings.connect(move |event| match event {
            Event::Relay(relay) => passing.pass(ConnectionEvent::Relay(relay, Age::New)),
            Event::Notice(notice) => passing.pass(ConnectionEvent::Notice(notice)),
            Event::Refusal(reason) => passing.pass(ConnectionEvent::Status(shown(&reason))),
            Event::Lost(lost) => {
                // Nobody waits for it where this was a try that failed.
                let _ = say_lost.send(lost);
            }
        })?;
        let (client, arrivals) = (Arc::new(client), Arrivals { lost, gate });
        *self.joining.lock() = Arc::downgrade(&client);
        self.expect_wanted()?;
        Ok((client, arrivals))
    }

    /// Fails where there is to be no connection any more.
    fn expect_wanted(&self) -> Result<(), NotJoined> {
        match *self.state.lock() {
            State::Ended => Err(NotJoined::Unreachable(Lost::Left.to_string())),
            _ => Ok(()),
        }
    }

    /// Shows what was said before.
    fn show_past(&self, past: Vec<Relay>, age: Age) {
        for relay in past {
            (self.on_event)(ConnectionEvent::Relay(relay, age));
        }
    }

    fn watch(self: Arc<Self>) {
        let Some((mut joined, mut arrivals)) = self.join_first() else { return };
        while let Ok(how) = arrivals.lost.recv() {
            let (why, was_given_up) = (shown(&how), how == Lost::Abandoned);
            if how.is_removal() || (!self.settings.reconnects && !was_given_up) {
                return self.end(why);
            }
            // There will be another one at once, where this side has given it up.
            let next = if was_given_up { State::Beginning } else { State::Waiting };
            if !self.change_if_wanted(next) {
                return;
            }
            if !was_given_up {
                self.say(why);
            }
            match self.join_again(&joined, was_given_up) {
                Some(again) => (joined, arrivals) = again,
                None => return,
            }
        }
    }

    /// Tries until there is a connection; `None` where it is no longer wanted, or cannot be.
    fn join_first(&self) -> Option<(Arc<Joined>, Arrivals)> {
        let mut pauses = Pauses::new();
        loop {
            let joined = self.join(self.questions, None);
            match joined.and_then(|(joined, arrivals)| Ok((joined.complete()?, arrivals))) {
                Ok((mut joined, arrivals)) => {
                    let history = std::mem::take(&mut joined.history);
                    let joined = Arc::new(joined);
                    if !self.change_if_wanted(State::Showing(Arc::clone(&joined))) {
                        return None;
                    }
                    self.show_past(history, Age::Old);
                    (self.on_event)(ConnectionEvent::Joined(Arc::clone(&joined)));
                    return self.begin(joined, arrivals);
                }
                Err(NotJoined::Unreachable(why)) if self.settings.reconnects => {
                    if !self.change_if_wanted(State::Waiting) || !self.try_later(&mut pauses, &why)
                    {
                        return None;
                    }
                }
                Err(why) => {
                    self.end(why.to_string());
                    return None;
                }
            }
        }
    }

    /// Tries until there is a connection again; `None` where it is no longer wanted.
    fn join_again(&self, last: &Joined, at_once: bool) -> Option<(Arc<Joined>, Arrivals)> {
        let seen = Seen::by(&last.client, &last.features);
        // What was said before the first connection is shown, or was not wanted.
        let questions = Questions { history: 0, ..self.questions };
        let mut pauses = Pauses::new();
        if !at_once && !self.pause(&mut pauses, String::new()) {
            return None;
        }
        loop {
            match self.join(questions, seen) {
                Ok((joined, arrivals)) => return self.take_again(last, joined, arrivals),
                Err(NotJoined::Removed(why)) => {
                    self.end(why);
                    return None;
                }
                Err(why) => {
                    let is_wanted = self.change_if_wanted(State::Waiting);
                    if !is_wanted || !self.try_later(&mut pauses, &why.to_string()) {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes a connection that was made again, and says what has changed.
    fn take_again(
        &self,
        last: &Joined,
        mut joined: Joined,
        arrivals: Arrivals,
    ) -> Option<(Arc<Joined>, Arrivals)> {
        if let Err(reason) = &joined.nickname {
            self.say(NotJoined::Nickname(reason.clone()).to_string());
        }
        if let Err(why) = &joined.to {
            self.say(why.clone());
        }
        let missed = std::mem::take(&mut joined.history);
        let joined = Arc::new(joined);
        // First, so that a person who reads that there is a connection can use it.
        if !self.change_if_wanted(State::Showing(Arc::clone(&joined))) {
            return None;
        }
        (self.on_event)(ConnectionEvent::JoinedAgain);
        self.say(match (last.uid, joined.uid) {
            (Some(last), Some(uid)) if last == uid => format!("connected again, with UID {uid}"),
            (Some(last), Some(uid)) => {
                format!("connected again: your UID has changed from {last} to {uid}")
            }
            (None, Some(uid)) => format!("connected again: your UID is now {uid}"),
            (_, None) => "connected again: your UID has changed".to_string(),
        });
        match joined.forgotten {
            0 => {}
            1 => self.say("one message was missed that the server no longer keeps".to_string()),
            count => {
                self.say(format!("{count} messages were missed that the server no longer keeps"))
            }
        }
        self.show_past(missed, Age::Missed);
        self.begin(joined, arrivals)
    }

    /// Shows what has arrived since the connection was made, and from now on all that arrives; `None`
    /// where it is no longer wanted.
    fn begin(&self, joined: Arc<Joined>, arrivals: Arrivals) -> Option<(Arc<Joined>, Arrivals)> {
        arrivals.gate.open();
        let is_wanted = self.change_if_wanted(State::Joined(Arc::clone(&joined)));
        is_wanted.then_some((joined, arrivals))
    }

    /// Says why there is no connection, and waits; `false` where it is no longer wanted.
    fn try_later(&self, pauses: &mut Pauses, why: &str) -> bool {
        self.pause(pauses, format!("{why}; "))
    }

    fn pause(&self, pauses: &mut Pauses, why: String) -> bool {
        let pause: Duration = pauses.next();
        self.say(format!("{why}trying again in {} s", pause.as_secs()));
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while !matches!(*state, State::Ended) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return !matches!(*state, State::Ended);
            }
        }
        false
    }
}
