//! What every command needs to know of the server and of the person, and how it connects.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use multichat::args::{self, Address};
use multichat::client::{Client, Event, Timeouts};
use multichat::server::PORT;

use crate::joining::NotJoined;
use crate::receiver::NamedReceiver;
use crate::show::TerminalSafe;

/// How long the server may take to close the connection after `bye`.
pub(crate) const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What every command needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) server: Address,
    pub(crate) nickname: Option<String>,
    /// The receiver of texts and files; everybody, if there is none.
    pub(crate) to: Option<NamedReceiver>,
    /// Whether a connection that is lost, or cannot be made, is tried again.
    pub(crate) reconnects: bool,
    /// Whether there are to be no colours, no bars, no bell, and no line editing.
    pub(crate) is_plain: bool,
    /// Whether the time stands before each line that arrives.
    pub(crate) has_times: bool,
    /// How many public messages of before are shown on joining; `None` where the person has not said.
    pub(crate) history: Option<u64>,
    /// Whether it is said who comes and goes; `None` where the person has not said.
    pub(crate) notices: Option<bool>,
    /// Whether files are shared under their names, where the server takes names.
    pub(crate) tells_names: bool,
    /// Where what is said is kept.
    pub(crate) log: Option<PathBuf>,
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
        let addresses = self.server.resolve(PORT).map_err(|error| self.unreachable(&error, ""))?;
        let connected = Client::connect(&addresses, Timeouts::default(), on_event);
        connected.map_err(|error| {
            let is_link_local = |address: &std::net::SocketAddr| match address.ip() {
                IpAddr::V6(ip) => ip.is_unicast_link_local(),
                IpAddr::V4(_) => false,
            };
            let has_zone = self.server.host.as_deref().is_some_and(|host| host.contains('%'));
            let needs_zone = !has_zone && addresses.iter().any(is_link_local);
            let hint =
                if needs_zone { "; name the interface as well, such as fe80::1%eth0" } else { "" };
            self.unreachable(&error, hint)
        })
    }

    fn unreachable(&self, error: &std::io::Error, hint: &str) -> NotJoined {
        let (server, why) = (self.server_name(), args::why(error));
        NotJoined::Unreachable(format!("cannot connect to {server}: {why}{hint}"))
    }
}

/// What the server has said, as it may be shown.
pub(crate) fn shown(said: &impl fmt::Display) -> String {
    TerminalSafe(&said.to_string()).to_string()
}
