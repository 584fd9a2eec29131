//! Files on their way: what is shared from where, and what is saved where.
//!
//! A fetched file is named after its File-ID and an extension that was checked, or as the person
//! says; it is written under a temporary name beside, and gets its own once it is whole. One that
//! is there is never overwritten, unless the person names it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use multichat::client::{Client, Failure};
use multichat::ids::{FileId, Uid};
use multichat::text::{Extension, Shown};
use parking_lot::Mutex;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tempfile::NamedTempFile;

use crate::progress::Progress;
use crate::settings::shown;
use crate::signals;

/// What a file without an extension is shared as, and one with an extension that is none.
const NO_EXTENSION: &str = "bin";

/// The flag that opens a pipe without waiting for its other end. Of a regular file it means nothing.
const NO_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

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
fn checked_extension(extension: &str) -> Extension {
    let parse = |text: &str| Extension::parse(text.as_bytes());
    // The other one is an extension; a test says so.
    parse(extension).unwrap_or_else(|| parse(NO_EXTENSION).expect("bin is an extension"))
}

/// Where a fetched file goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// `FILE-ID.EXTENSION` in the working directory, if there is none.
    Named,
    /// Where the person says, whatever is there.
    File(PathBuf),
    Stdout,
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

/// A file that is being fetched. One that is dropped before it is finished leaves nothing behind.
enum Saving {
    /// What is no regular file (a pipe, a terminal) is written as it is.
    AsItIs,
    Temporary {
        file: NamedTempFile,
        path: PathBuf,
        overwrites: bool,
    },
}

impl Saving {
    fn begin(
        target: &Target,
        id: FileId,
        content_type: &str,
    ) -> io::Result<(Saving, Box<dyn Write + Send>)> {
        let mut permissions = fs::Permissions::from_mode(0o666); // less the umask
        let (path, overwrites) = match target {
            Target::Stdout => return Ok((Saving::AsItIs, Box::new(io::stdout()))),
            Target::File(path) => match fs::metadata(path) {
                Ok(found) if found.is_file() => {
                    // One that may not be written is not overwritten.
                    File::options().write(true).open(path).map_err(cannot_write(path))?;
                    permissions = found.permissions();
                    // Through a link, to what it stands for.
                    (fs::canonicalize(path).map_err(cannot_write(path))?, true)
                }
                Ok(_) => {
                    let file = open_as_it_is(path).map_err(cannot_write(path))?;
                    return Ok((Saving::AsItIs, Box::new(file)));
                }
                Err(_) if path.is_symlink() => {
                    let nowhere = io::Error::other("it is a link to what is not there");
                    return Err(cannot_write(path)(nowhere));
                }
                Err(_) => (path.clone(), true),
            },
            Target::Named => {
                let extension = checked_extension(content_type);
                let path = PathBuf::from(format!("{id}.{}", extension.as_str()));
                if fs::symlink_metadata(&path).is_ok() {
                    return Err(is_there(&path));
                }
                (path, false)
            }
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file = signals::make_unfinished(|| {
            tempfile::Builder::new()
                .prefix(".multichat-")
                .permissions(permissions)
                .tempfile_in(dir.unwrap_or(Path::new(".")))
        });
        let file = file.map_err(cannot_write(&path))?;
        let sink = file.reopen()?;
        Ok((Saving::Temporary { file, path, overwrites }, Box::new(sink)))
    }

    /// Gives the file its name, and returns it.
    fn finish(self) -> io::Result<Option<PathBuf>> {
        let Saving::Temporary { file, path, overwrites } = self else { return Ok(None) };
        let temporary = file.path().to_path_buf();
        let persisted =
            if overwrites { file.persist(&path) } else { file.persist_noclobber(&path) };
        signals::finished(&temporary);
        match persisted {
            Ok(_) => Ok(Some(path)),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(is_there(&path))
            }
            Err(failed) => Err(failed.error),
        }
    }
}

/// Opens what is no regular file to be written, without waiting for somebody to read a pipe.
fn open_as_it_is(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).custom_flags(NO_WAIT).open(path)?;
    let flags = fcntl_getfl(&file)?;
    // Writing may wait.
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Says what was to be written, and not under which other name it begins.
fn cannot_write(path: &Path) -> impl Fn(io::Error) -> io::Error {
    let path = shown_path(path);
    move |error| {
        // The system's answer, where what is around it tells of the temporary file.
        let system = error.get_ref().and_then(|around| around.source());
        let why = system.map_or_else(|| error.to_string(), ToString::to_string);
        io::Error::new(error.kind(), format!("cannot write {path}: {why}"))
    }
}

/// A path that a terminal can be shown.
pub(crate) fn shown_path(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

fn is_there(path: &Path) -> io::Error {
    let what = format!("{} is already there, and is not overwritten", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, what)
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
