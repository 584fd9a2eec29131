//! Files that are shared.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use multichat::args;
use multichat::ids::{FileId, Uid};
use multichat::text::Extension;

use super::name::{NO_WAIT, extension_of, shown_path};
use super::progress::Progress;
use crate::joining::Joined;
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
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let extension = extension_of(&name, extension);
        Ok(Outgoing { file, len: found.len(), extension, name: TerminalSafe(&name).to_string() })
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
        Ok(Outgoing { file, len, extension, name: "standard input".to_string() })
    }

    /// Shares it with all or with one; returns its File-ID.
    pub(crate) fn share(
        mut self,
        joined: &Joined,
        to: Option<Uid>,
        mut progress: Progress,
    ) -> Result<FileId, String> {
        if let Some(limit) = joined.features.max_file
            && self.len > limit
        {
            let (name, len) = (&self.name, self.len);
            return Err(format!(
                "{name}: not sent: its {len} bytes are over the server's limit of {limit} bytes"
            ));
        }
        progress.begin(&self.name, self.len);
        let mut on_progress = |bytes| progress.advance_to(bytes);
        let client = &joined.client;
        let shared = client.share(to, &self.extension, &mut self.file, self.len, &mut on_progress);
        progress.end();
        shared.map_err(|failure| format!("{}: {}", self.name, shown(&failure)))
    }
}
