//! Files that are shared.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use multichat::client::Client;
use multichat::ids::{FileId, Uid};
use multichat::text::Extension;

use super::name::{NO_WAIT, extension_of, shown_path};
use super::progress::Progress;
use crate::settings::shown;
use crate::show::TerminalSafe;

/// A file that can be shared.
pub(crate) struct Outgoing {
    file: File,
    len: u64,
    extension: Extension,
    /// Its name, fit to be shown.
    name: String,
}

impl Outgoing {
    /// Opens a file, and finds out what it is.
    pub(crate) fn open(path: &Path) -> Result<Outgoing, String> {
        let failed = |why: &dyn fmt::Display| format!("cannot share {}: {why}", shown_path(path));
        // Without waiting for the other end, where it is a pipe.
        let file = File::options().read(true).custom_flags(NO_WAIT).open(path);
        let file = file.map_err(|error| failed(&error))?;
        let found = file.metadata().map_err(|error| failed(&error))?;
        if !found.is_file() {
            return Err(failed(&"not a regular file"));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let extension = extension_of(&name);
        Ok(Outgoing { file, len: found.len(), extension, name: TerminalSafe(&name).to_string() })
    }

    /// Shares it with all or with one; returns its File-ID.
    pub(crate) fn share(
        mut self,
        client: &Client,
        to: Option<Uid>,
        mut progress: Progress,
    ) -> Result<FileId, String> {
        progress.begin(&self.name, self.len);
        let mut on_progress = |bytes| progress.advance_to(bytes);
        let shared = client.share(to, &self.extension, &mut self.file, self.len, &mut on_progress);
        progress.end();
        shared.map_err(|failure| format!("{}: {}", self.name, shown(&failure)))
    }
}
