//! Files that are shared.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use multichat::args;
use multichat::client::{Failure, SharedFile};
use multichat::ids::{FileId, Uid};
use multichat::text::{Charset, Extension, FileName};

use super::name::{NO_WAIT, extension_of, shown_path};
use super::progress::Progress;
use crate::joining::Joined;
use crate::reconnecting_client::ReconnectingClient;
use crate::settings::shown;
use crate::show::TerminalSafe;

/// The longest standard input that is shared, in bytes, with a server that does not tell its limit.
const STDIN_LIMIT: u64 = 1 << 30;

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    /// Standard input, whole.
    Stdin,
}

/// A file that can be shared.
pub(crate) struct Outgoing {
    file: File,
    len: u64,
    extension: Extension,
    /// Its name, fit to be shown.
    name: String,
    /// Its name as it is told to the others; `None` where it has none that can be told.
    file_name: Option<FileName>,
}

impl Outgoing {
    /// Opens a file, and finds out what it is: by its name, or else `extension`.
    pub(crate) fn open(source: &Source, extension: Option<&Extension>) -> Result<Outgoing, String> {
        match source {
            Source::File(path) => Outgoing::open_file(path, extension)
                .map_err(|why| format!("cannot share {}: {why}", shown_path(path))),
            Source::Stdin => Outgoing::open_stdin(extension)
                .map_err(|error| format!("cannot share standard input: {}", args::why(&error))),
        }
    }

    fn open_file(path: &Path, extension: Option<&Extension>) -> Result<Outgoing, String> {
        let failed = |error: io::Error| args::why(&error);
        // Without waiting for the other end, where it is a pipe.
        let file = File::options().read(true).custom_flags(NO_WAIT).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() {
            let name = path.file_name().map(|name| shown_path(Path::new(name)));
            let name = name.unwrap_or_else(|| "all".to_string());
            return Err(format!("it is a directory; pack it first: tar -czf {name}.tar.gz {name}"));
        }
        if !found.is_file() {
            return Err("not a regular file".to_string());
        }
        let bytes = path.file_name().unwrap_or_default().as_bytes();
        let file_name = FileName::parse(bytes, Charset::Utf8).ok();
        let name = String::from_utf8_lossy(bytes);
        let extension = extension_of(&name, extension);
        let name = TerminalSafe(&name).to_string();
        Ok(Outgoing { file, len: found.len(), extension, name, file_name })
    }

    /// Keeps standard input in a file without a name: a share begins with its length.
    fn open_stdin(extension: Option<&Extension>) -> io::Result<Outgoing> {
        let mut file = tempfile::tempfile()?;
        let len = io::copy(&mut io::stdin().lock().take(STDIN_LIMIT + 1), &mut file)?;
        if len > STDIN_LIMIT {
            return Err(io::Error::other(format!("it is over the limit of {STDIN_LIMIT} bytes")));
        }
        file.rewind()?;
        let extension = extension_of("", extension);
        Ok(Outgoing { file, len, extension, name: "standard input".to_string(), file_name: None })
    }

    /// Shares it with all or with one, under its name where the server takes names; returns its File-ID.
    pub(crate) fn share(
        mut self,
        joined: &Joined,
        to: Option<Uid>,
        mut progress: Progress,
    ) -> Result<FileId, NotShared> {
        if let Some(limit) = joined.features.max_file
            && self.len > limit
        {
            let (name, len) = (&self.name, self.len);
            return Err(NotShared::because(format!(
                "{name}: not sent: its {len} bytes are over the server's limit of {limit} bytes"
            )));
        }
        if !joined.takes_names {
            self.file_name = None;
        }
        progress.begin(&self.name, self.len);
        let mut on_progress = |bytes| progress.advance_to(bytes);
        let (extension, name, len) = (&self.extension, self.file_name.as_ref(), self.len);
        let shared_file = SharedFile { extension, name, len };
        let shared = joined.client.share(to, &shared_file, &mut self.file, &mut on_progress);
        progress.end();
        shared.map_err(|failure| {
            let why = format!("{}: {}", self.name, shown(&failure));
            // Which names a server takes it tells by a refusal alone: one of ASCII takes few.
            let blames_name =
                matches!(&failure, Failure::Refused(why) if why.contains("File-Name"));
            let again = self.file_name.take().filter(|_| blames_name);
            let again = again.and_then(|_| self.file.rewind().ok()).map(|()| self);
            NotShared { why, again }
        })
    }
}

/// Shares a file over a connection that is made again where the file takes it with it; where the server
/// refuses the file's name, without it.
pub(crate) fn share_in_room(
    room: &ReconnectingClient,
    joined: &Joined,
    file: Outgoing,
    to: Option<Uid>,
    progress: impl Fn() -> Progress,
) -> Result<FileId, String> {
    let shared = file.share(joined, to, progress());
    // One that is refused while it is sent may take the connection with it.
    room.wait_for_another(joined);
    let Err(NotShared { why, again }) = shared else { return shared.map_err(|not| not.why) };
    let Some((file, joined)) = again.zip(room.joined()) else { return Err(why) };
    let shared = file.share(&joined, to, progress());
    room.wait_for_another(&joined);
    shared.map_err(|not| not.why)
}

/// Why a file was not shared.
pub(crate) struct NotShared {
    /// Fit to be shown.
    pub(crate) why: String,
    /// The file, now without a name, where it was the name that the server has refused.
    pub(crate) again: Option<Outgoing>,
}

impl NotShared {
    pub(crate) fn because(why: String) -> NotShared {
        NotShared { why, again: None }
    }
}
