//! Files on their way: what is shared from where, and what is fetched where.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use multichat::client::{Client, Failure};
use multichat::ids::{FileId, Uid};
use multichat::text::{Extension, Shown};
use parking_lot::Mutex;
use rustix::fs::OFlags;

use crate::progress::Progress;
use crate::saving::{Saving, Target};
use crate::settings::shown;

/// What a file without an extension is shared as, and one with an extension that is none.
const NO_EXTENSION: &str = "bin";

/// The flag that opens a pipe without waiting for its other end. Of a regular file it means nothing.
pub(crate) const NO_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

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
        Ok(Outgoing { file, len: found.len(), extension, name: Shown(&name).to_string() })
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

/// The `Content-Type` of a file by this name. `text` would make it a message, so it is `txt`.
fn extension_of(name: &str) -> Extension {
    let stem_and_extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    let extension = match stem_and_extension {
        Some((stem, last)) if is_tar(stem) => format!("tar.{last}"),
        Some((_, last)) if last.eq_ignore_ascii_case("text") => "txt".to_string(),
        Some((_, last)) => last.to_string(),
        None => NO_EXTENSION.to_string(),
    };
    checked_extension(&extension)
}

fn is_tar(stem: &str) -> bool {
    stem.rsplit_once('.').is_some_and(|(stem, last)| !stem.is_empty() && last == "tar")
}

/// An extension, if it is one; a file of any kind otherwise.
pub(crate) fn checked_extension(extension: &str) -> Extension {
    let parse = |text: &str| Extension::parse(text.as_bytes());
    // The other one is an extension; a test says so.
    parse(extension).unwrap_or_else(|| parse(NO_EXTENSION).expect("bin is an extension"))
}

/// Why a file was not fetched.
pub(crate) enum NotFetched {
    /// Fit to be shown.
    Failed(String),
    /// Standard output does not take it.
    Stdout(io::Error),
}

/// Fetches a file; returns its name where it got one of its own.
pub(crate) fn fetch(
    client: &Client,
    id: FileId,
    target: &Target,
    mut progress: Progress,
) -> Result<Option<PathBuf>, NotFetched> {
    let opened = Arc::new(Mutex::new(None));
    let (keep, wanted) = (Arc::clone(&opened), target.clone());
    let answer = client.fetch(id, move |content_type, len| {
        let (saving, file) = Saving::begin(&wanted, id, content_type)?;
        *keep.lock() = Some(saving);
        progress.begin(&format!("file {id}"), len);
        Ok(Box::new(Sink { file, progress, written: 0 }))
    });
    let saving = opened.lock().take();
    let failed = |what: String| Err(NotFetched::Failed(format!("file {id}: {what}")));
    match answer {
        Ok(_) => match saving.map_or(Ok(None), Saving::finish) {
            Ok(name) => Ok(name.filter(|_| matches!(target, Target::Named))),
            Err(error) => failed(error.to_string()),
        },
        Err(Failure::Local(error)) if matches!(target, Target::Stdout) => {
            Err(NotFetched::Stdout(error))
        }
        Err(failure) => failed(shown(&failure)),
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

/// A path that a terminal can be shown.
pub(crate) fn shown_path(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shared_as_what_its_name_says() {
        let check = |name: &str, expected: &str| {
            assert_eq!(extension_of(name).as_str(), expected, "{name:?}");
        };
        check("cat.jpg", "jpg");
        check("a.b.pdf", "pdf");
        check("x.tar.gz", "tar.gz");
        check(".tar.gz", "gz");
        check("tar.gz", "gz");
        check("notes.text", "txt");
        check("README", "bin");
        check(".profile", "bin");
        check("end.", "bin");
        check("a.b c", "bin");
        check("a.\u{e4}", "bin");
    }

    #[test]
    fn what_is_no_extension_never_gets_into_a_name() {
        for hostile in ["../x", "a/b", "", ".", "..", "a..b", "x\u{1b}[2J"] {
            assert_eq!(checked_extension(hostile).as_str(), "bin", "{hostile:?}");
        }
        assert_eq!(checked_extension("tar.gz").as_str(), "tar.gz");
    }
}
