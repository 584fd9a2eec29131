//! Other servers, for comparison: Debian's packages, with their limits opened.
//!
//! What all of them need is here: a configuration in a directory of its own, a port, and some
//! patience until they listen. Their dialects are in the modules below.

mod irc;
mod mqtt;
mod nats;
mod nginx;

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::files::FileServer;
use super::subject::{Running, Subject};
use super::{Outcome, fail};

/// Servers that relay texts.
pub(crate) const PEERS: [Subject; 4] =
    [irc::NGIRCD, irc::INSPIRCD, mqtt::MOSQUITTO, nats::NATS_SERVER];

/// The same work: a server that acknowledges each message, too.
pub(crate) const ACKNOWLEDGING: Subject = nats::ACKNOWLEDGING;

/// A server of files.
pub(crate) const FILE_PEERS: [FileServer; 1] = [nginx::NGINX];

/// How many clients they are to allow.
const CLIENTS_LIMIT: usize = 20_000;

/// How long a peer may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a program is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Not in everybody's PATH, and where Debian puts servers.
    let directories = env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Which version of its package is installed.
pub(crate) fn version(program: &str) -> String {
    let asked = find(program).and_then(|path| {
        let output =
            Command::new("dpkg").arg("-S").arg(fs::canonicalize(path).ok()?).output().ok()?;
        let package = String::from_utf8(output.stdout).ok()?.split(':').next()?.to_string();
        let output =
            Command::new("dpkg-query").args(["-Wf", "${Version}", &package]).output().ok()?;
        String::from_utf8(output.stdout).ok()
    });
    format!("{program} {}", asked.unwrap_or_default())
}

/// Starts a peer: `configure` is given its directory and port, and returns what goes into its
/// configuration; `arguments` stand before the name of that file.
fn start(
    program: &str,
    arguments: &[&str],
    configure: impl FnOnce(&Path, u16) -> String,
) -> Outcome<Running> {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    // Free a moment ago; nobody else is to take it meanwhile.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let file = directory.path().join("peer.conf");
    fs::write(&file, configure(directory.path(), port))?;
    let log = directory.path().join("log");
    let child = Command::new(find(program).ok_or("not installed")?)
        .args(arguments)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(File::create(&log)?)
        .stderr(File::options().append(true).open(&log)?)
        .spawn()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let running = Running::new(child, address)?;
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            let log = fs::read_to_string(log)?;
            return fail(format!("does not listen: {}", log.trim().replace('\n', " | ")));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(running.with_directory(directory))
}
