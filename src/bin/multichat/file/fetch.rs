//! Files that are fetched.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use multichat::args;
use multichat::client::{Client, Failure};
use multichat::ids::FileId;
use parking_lot::Mutex;

use super::progress::Progress;
use super::saving::{Saving, Target};
use crate::settings::shown;

/// Why a file was not fetched.
pub(crate) enum NotFetched {
    /// The server has refused it, or the connection has ended. Fit to be shown.
    Refused(String),
    /// It cannot be written; the rest of it may still be arriving. Fit to be shown.
    Unwritten(String),
    /// Standard output does not take it; the rest of it may still be arriving.
    Stdout(io::Error),
}

impl NotFetched {
    /// Why, as it may be shown.
    pub(crate) fn why(self) -> String {
        match self {
            NotFetched::Refused(why) | NotFetched::Unwritten(why) => why,
            NotFetched::Stdout(error) => args::why(&error),
        }
    }
}

/// Fetches a file; returns where it was saved, if it has a name there.
pub(crate) fn fetch(
    client: &Client,
    id: FileId,
    target: &Target,
    mut progress: Progress,
) -> Result<Option<PathBuf>, NotFetched> {
    let opened = Arc::new(Mutex::new(None));
    let (keep, wanted) = (Arc::clone(&opened), target.clone());
    let answer = client.fetch(id, move |incoming| {
        let (saving, file) = Saving::begin(&wanted, id, incoming)?;
        *keep.lock() = Some(saving);
        progress.begin(&format!("file {id}"), incoming.len);
        Ok(Box::new(Sink { file, progress, written: 0 }))
    });
    let saving = opened.lock().take();
    let unwritten =
        |error: io::Error| NotFetched::Unwritten(format!("file {id}: {}", args::why(&error)));
    match answer {
        Ok(_) => saving.map_or(Ok(None), Saving::finish).map_err(unwritten),
        Err(Failure::Local(error)) if matches!(target, Target::Stdout) => {
            Err(NotFetched::Stdout(error))
        }
        Err(Failure::Local(error)) => Err(unwritten(error)),
        Err(failure) => Err(NotFetched::Refused(format!("file {id}: {}", shown(&failure)))),
    }
}

/// Writes a file, and tells how far it is.
struct Sink {
    file: Box<dyn Write + Send>,
    progress: Progress,
    written: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        self.progress.advance_to(self.written);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.progress.end();
    }
}
