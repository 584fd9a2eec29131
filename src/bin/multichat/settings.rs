//! What every command needs to know, and the connection that each begins with.

use std::fmt;
use std::time::Duration;

use crate::show::TerminalSafe;
use multichat::args::Address;
use multichat::client::{Client, Event, Failure, Timeouts};
use multichat::ids::Uid;
use multichat::server::PORT;

/// How long the server may take to close the connection after `bye`.
pub(crate) const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What every command needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) server: Address,
    pub(crate) nickname: Option<String>,
    /// Whom texts and files are for; everybody, if for nobody.
    pub(crate) to: Option<Uid>,
    /// Whether a lost connection is made again.
    pub(crate) reconnects: bool,
    /// Whether there are to be no colours, no bars and no bell.
    pub(crate) is_plain: bool,
}

/// Why there is no connection to begin with.
pub(crate) enum NotJoined {
    /// The server cannot be reached, or the connection was lost at once.
    Unreachable(String),
    /// It has refused the nickname.
    Nickname(String),
}

impl fmt::Display for NotJoined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJoined::Unreachable(why) => why.fmt(f),
            NotJoined::Nickname(reason) => write!(f, "the nickname was refused: {reason}"),
        }
    }
}

impl Settings {
    /// The server as it was asked for, with its port.
    pub(crate) fn server_name(&self) -> String {
        let host = self.server.host.as_deref().unwrap_or("localhost");
        let port = self.server.port.unwrap_or(PORT);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Connects, without a nickname yet.
    pub(crate) fn connect(
        &self,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> Result<Client, NotJoined> {
        let connected = self
            .server
            .resolve(PORT)
            .and_then(|addresses| Client::connect(&addresses, Timeouts::default(), on_event));
        connected.map_err(|error| {
            NotJoined::Unreachable(format!("cannot connect to {}: {error}", self.server_name()))
        })
    }

    /// Connects for one command, and sets the nickname; what arrives meanwhile is dropped.
    pub(crate) fn join(&self) -> Result<Client, NotJoined> {
        let client = self.connect(|_| {})?;
        introduce(&client, self.nickname.as_deref())?;
        Ok(client)
    }
}

/// Sets a nickname, if there is one.
pub(crate) fn introduce(client: &Client, nickname: Option<&str>) -> Result<(), NotJoined> {
    let Some(nickname) = nickname else { return Ok(()) };
    match client.set_nickname(nickname) {
        Ok(_) => Ok(()),
        Err(Failure::Refused(reason)) => Err(NotJoined::Nickname(shown(&reason))),
        Err(failure) => Err(NotJoined::Unreachable(shown(&failure))),
    }
}

/// What the server has said, as it may be shown.
pub(crate) fn shown(said: &impl fmt::Display) -> String {
    TerminalSafe(&said.to_string()).to_string()
}
