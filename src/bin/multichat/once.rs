//! The commands that ask once and leave: send, share, fetch, who, files.

use std::io::{self, Read};
use std::path::PathBuf;

use multichat::client::{self, BODY_LIMIT, Client};
use multichat::ids::FileId;
use multichat::text::Shown;

use crate::Failure;
use crate::output::{self, complain};
use crate::progress::Progress;
use crate::saving::Target;
use crate::settings::{LEAVE_LIMIT, NotJoined, Settings, shown};
use crate::show::sender;
use crate::transfer::{self, NotFetched, Outgoing};

impl From<NotJoined> for Failure {
    fn from(why: NotJoined) -> Failure {
        Failure::Run(why.to_string())
    }
}

/// What the server, or the connection, has said no to.
fn refused(failure: client::Failure) -> Failure {
    Failure::Run(shown(&failure))
}

fn leave(client: &Client) {
    client.leave(LEAVE_LIMIT);
}

/// Sends one text; standard input, whole, if none is given.
pub(crate) fn send(settings: &Settings, text: Option<&str>) -> Result<(), Failure> {
    let text = match text {
        Some(text) => text.as_bytes().to_vec(),
        None => read_standard_input()?,
    };
    let client = settings.join()?;
    let answer = client.send_text(settings.to, &text).map_err(refused)?;
    leave(&client);
    let missed = answer.text();
    if !missed.trim().is_empty() {
        // It reached others.
        complain(&Shown(missed.trim()).to_string());
    }
    Ok(())
}

fn read_standard_input() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(BODY_LIMIT + 1).read_to_end(&mut text);
    read.map_err(|error| Failure::Run(format!("cannot read standard input: {error}")))?;
    if text.len() as u64 > BODY_LIMIT {
        return Err(Failure::Run(format!(
            "standard input is over the limit of {BODY_LIMIT} bytes for a text"
        )));
    }
    Ok(text)
}

/// Shares files, and prints each File-ID. One that fails does not keep the others back.
pub(crate) fn share(settings: &Settings, paths: &[PathBuf]) -> Result<(), Failure> {
    let client = settings.join()?;
    let mut has_failed = false;
    for path in paths {
        let progress = Progress::on_stderr(settings.is_plain);
        let shared =
            Outgoing::open(path).and_then(|file| file.share(&client, settings.to, progress));
        match shared {
            Ok(id) => output::print(&format!("{id}\n"))?,
            Err(why) => {
                has_failed = true;
                complain(&why);
            }
        }
    }
    leave(&client);
    if has_failed { Err(Failure::Silent) } else { Ok(()) }
}

/// Saves a shared file, and prints its name where it got one of its own.
pub(crate) fn fetch(settings: &Settings, id: FileId, target: &Target) -> Result<(), Failure> {
    let client = settings.join()?;
    let progress = match target {
        Target::Stdout => Progress::None,
        Target::Named | Target::File(_) => Progress::on_stderr(settings.is_plain),
    };
    let saved = transfer::fetch(&client, id, target, progress).map_err(|why| match why {
        NotFetched::Failed(why) => Failure::Run(why),
        NotFetched::Stdout(error) => output::failed(&error),
    })?;
    if let Some(path) = saved {
        output::print(&format!("{}\n", path.display()))?;
    }
    leave(&client);
    Ok(())
}

/// One line a client: UID and nickname.
pub(crate) fn who(settings: &Settings) -> Result<(), Failure> {
    let client = settings.join()?;
    let clients = match client.names() {
        Err(client::Failure::Lost(_)) => {
            // A server of the draft need not understand more than the plain query.
            let again = settings.join()?;
            let body = again.query("").map_err(refused)?;
            let listed = client::parse_names(&body);
            listed.ok_or_else(|| Failure::Run("the server's list of clients is not one".into()))?
        }
        listed => {
            leave(&client);
            listed.map_err(refused)?
        }
    };
    let line = |(uid, name): &(_, Option<String>)| sender(*uid, name.as_deref()) + "\n";
    output::print(&clients.iter().map(line).collect::<String>())
}

/// One line a file: File-ID, Content-Type, Content-Length, From.
pub(crate) fn files(settings: &Settings) -> Result<(), Failure> {
    let client = settings.join()?;
    let files = client.files().map_err(refused)?;
    leave(&client);
    let line = |file: &String| format!("{}\n", Shown(file));
    output::print(&files.iter().map(line).collect::<String>())
}
