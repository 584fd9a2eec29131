//! The connection to the room as a command has it: told about when it is lost, and made again where
//! that is wanted.
//!
//! Owns the pauses between tries. Knows nothing of what is done with the connection.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use multichat::client::{Client, Event, Lost, Relay};
use multichat::ids::Uid;
use parking_lot::{Condvar, Mutex};

use crate::Failure;
use crate::settings::{LEAVE_LIMIT, NotJoined, Settings, introduce, shown};

/// The pause before the first new try, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a command is told of its connection, in order.
pub(crate) enum ConnectionEvent {
    /// Something has arrived.
    Relay(Relay),
    /// Something that the person should know, fit to be shown.
    Notice(String),
    /// The connection is lost for good, and why.
    Ended(String),
}

/// A connection that is made again when it is lost, where that is wanted.
pub(crate) struct ReconnectingClient {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    identity: Mutex<Identity>,
    state: Mutex<State>,
    changed: Condvar,
    on_event: Box<dyn Fn(ConnectionEvent) + Send + Sync>,
}

/// Who one is in the room.
struct Identity {
    /// The nickname to be set again.
    nickname: Option<String>,
    /// The UID, where the server has told it.
    uid: Option<Uid>,
}

enum State {
    /// There is a connection.
    Joined(Arc<Client>),
    /// There will be one again.
    Waiting,
    /// There will be none any more.
    Ended,
}

impl ReconnectingClient {
    /// Connects, sets the nickname, and starts to watch.
    ///
    /// `on_event` is called by the threads that read and watch. While it takes its time nothing is
    /// read, so it must not wait for a response, nor for the end of this.
    pub(crate) fn join(
        settings: Settings,
        on_event: impl Fn(ConnectionEvent) + Send + Sync + 'static,
    ) -> Result<ReconnectingClient, NotJoined> {
        let shared = Shared::new(settings, on_event);
        let lost = shared.join()?;
        let watching = Arc::clone(&shared);
        start_thread(move || watching.watch(lost)).map_err(NotJoined::Unreachable)?;
        Ok(ReconnectingClient { shared })
    }

    /// The same, but returns at once: events come meanwhile, and where it fails,
    /// [`ConnectionEvent::Ended`] says why.
    pub(crate) fn start(
        settings: Settings,
        on_event: impl Fn(ConnectionEvent) + Send + Sync + 'static,
    ) -> Result<ReconnectingClient, Failure> {
        let shared = Shared::new(settings, on_event);
        let joining = Arc::clone(&shared);
        let started = start_thread(move || match joining.join() {
            Ok(lost) => joining.watch(lost),
            Err(why) => joining.end(why.to_string()),
        });
        started.map_err(Failure::Run)?;
        Ok(ReconnectingClient { shared })
    }

    /// The connection, if there is one at this moment.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.shared.client()
    }

    /// The connection, as soon as there is one; `None` once there will be none any more.
    pub(crate) fn wait_for_client(&self) -> Option<Arc<Client>> {
        let mut state = self.shared.state.lock();
        loop {
            match &*state {
                State::Joined(client) => return Some(Arc::clone(client)),
                State::Ended => return None,
                State::Waiting => self.shared.changed.wait(&mut state),
            }
        }
    }

    /// The UID that the server has told, or tells now; `None` where it does not.
    pub(crate) fn uid(&self) -> Option<Uid> {
        let known = self.shared.identity.lock().uid;
        known.or_else(|| {
            let uid = self.client()?.own_uid().ok().flatten();
            self.shared.identity.lock().uid = uid;
            uid
        })
    }

    /// Remembers a nickname that has been set.
    pub(crate) fn keep_nickname(&self, nickname: &str) {
        self.shared.identity.lock().nickname = Some(nickname.to_string());
    }

    /// Says bye, and waits for the server to close the connection.
    pub(crate) fn leave(&self) {
        if let State::Joined(client) = self.shared.change(State::Ended) {
            client.leave(LEAVE_LIMIT);
        }
    }
}

fn start_thread(run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let started = thread::Builder::new().name("connection".to_string()).spawn(run);
    started.map(|_| ()).map_err(|error| format!("cannot start a thread: {error}"))
}

impl Shared {
    fn new(
        settings: Settings,
        on_event: impl Fn(ConnectionEvent) + Send + Sync + 'static,
    ) -> Arc<Shared> {
        let identity = Identity { nickname: settings.nickname.clone(), uid: None };
        Arc::new(Shared {
            settings,
            identity: Mutex::new(identity),
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
            on_event: Box::new(on_event),
        })
    }

    /// Connects for the first time, and sets the nickname.
    fn join(self: &Arc<Self>) -> Result<Receiver<Lost>, NotJoined> {
        let (client, lost) = self.connect()?;
        self.introduce(&client)?;
        self.change_if_wanted(State::Joined(Arc::new(client)));
        Ok(lost)
    }

    /// Says that there will be no connection any more, if it is still wanted.
    fn end(&self, why: String) {
        if self.change_if_wanted(State::Ended) {
            (self.on_event)(ConnectionEvent::Ended(why));
        }
    }

    fn client(&self) -> Option<Arc<Client>> {
        match &*self.state.lock() {
            State::Joined(client) => Some(Arc::clone(client)),
            State::Waiting | State::Ended => None,
        }
    }

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

    fn notice(&self, what: String) {
        (self.on_event)(ConnectionEvent::Notice(what));
    }

    /// Connects; the receiver tells when and why the connection is lost.
    fn connect(self: &Arc<Self>) -> Result<(Client, Receiver<Lost>), NotJoined> {
        let (say_lost, lost) = bounded(1);
        let shared = Arc::clone(self);
        let client = self.settings.connect(move |event| match event {
            Event::Relay(relay) => (shared.on_event)(ConnectionEvent::Relay(relay)),
            Event::Refusal(reason) => shared.notice(shown(&reason)),
            Event::Lost(lost) => {
                // Nobody waits for it where this was a try that failed.
                let _ = say_lost.send(lost);
            }
        })?;
        Ok((client, lost))
    }

    /// Sets the nickname that was asked for.
    fn introduce(&self, client: &Client) -> Result<(), NotJoined> {
        let nickname = self.identity.lock().nickname.clone();
        introduce(client, nickname.as_deref())
    }

    fn watch(self: Arc<Self>, mut lost: Receiver<Lost>) {
        while let Ok(how) = lost.recv() {
            let why = shown(&how);
            if !self.settings.reconnects {
                return self.end(why);
            }
            if !self.change_if_wanted(State::Waiting) {
                return;
            }
            self.notice(why);
            match self.connect_again() {
                Some(next) => lost = next,
                None => return,
            }
        }
    }

    /// Tries until there is a connection; `None` where it is no longer wanted.
    fn connect_again(self: &Arc<Self>) -> Option<Receiver<Lost>> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.notice(format!("trying again in {} s", pause.as_secs()));
            if !self.pause(pause) {
                return None;
            }
            match self.try_again() {
                Ok(lost) => return lost,
                Err(why) => self.notice(why.to_string()),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Connects as before, with the nickname, and says what has changed; `None` where that is no
    /// longer wanted.
    fn try_again(self: &Arc<Self>) -> Result<Option<Receiver<Lost>>, NotJoined> {
        let (client, lost) = self.connect()?;
        match self.introduce(&client) {
            Err(refused @ NotJoined::Nickname(_)) => self.notice(refused.to_string()),
            introduced => introduced?,
        }
        let uid = client.own_uid().map_err(|failure| NotJoined::Unreachable(shown(&failure)))?;
        let last = std::mem::replace(&mut self.identity.lock().uid, uid);
        // First, so that whoever reads that there is a connection can use it.
        if !self.change_if_wanted(State::Joined(Arc::new(client))) {
            return Ok(None);
        }
        self.notice(match (last, uid) {
            (Some(last), Some(uid)) if last == uid => format!("connected again, with UID {uid}"),
            (Some(last), Some(uid)) => {
                format!("connected again: your UID has changed from {last} to {uid}")
            }
            (None, Some(uid)) => format!("connected again: your UID is now {uid}"),
            (_, None) => "connected again: your UID has changed".to_string(),
        });
        Ok(Some(lost))
    }

    /// Waits; `false` where the connection is no longer wanted.
    fn pause(&self, pause: Duration) -> bool {
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
