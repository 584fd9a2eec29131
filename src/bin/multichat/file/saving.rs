//! Where a fetched file is saved: under no name, or a temporary one, until it is whole.
//!
//! It is named after its File-ID and the name that its sharer gave to it, or an extension, both of which
//! are checked; or as the person says. One that is there is never overwritten, unless the person names it.

use std::fs::{self, File, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use multichat::args;
use multichat::client::Incoming;
use multichat::ids::FileId;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, linkat};
use tempfile::{NamedTempFile, PersistError};

use super::name::{NO_WAIT, own_name, own_name_of_type, shown_path};
use crate::signals;

/// How a file without a name is opened, in the directory where it is to have one.
const NAMELESS: OFlags = OFlags::TMPFILE.union(OFlags::WRONLY).union(OFlags::CLOEXEC);

/// Where a fetched file goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// `FILE-ID NAME` in a directory, or `FILE-ID.EXTENSION`, if there is none.
    In(PathBuf),
    /// Where the person says, whatever is there.
    File(PathBuf),
    Stdout,
}

impl Target {
    /// In the working directory, under a name of its own.
    pub(crate) fn here() -> Target {
        Target::In(PathBuf::new())
    }

    /// At a path; in it, under a name of its own, where that is a directory.
    pub(crate) fn at(path: PathBuf) -> Target {
        if path.is_dir() { Target::In(path) } else { Target::File(path) }
    }
}

/// A file that is being fetched. One that is dropped before it is finished leaves nothing behind.
pub(crate) enum Saving {
    /// What is no regular file (a pipe, a terminal) is written as it is.
    AsItIs,
    Unfinished {
        file: Unfinished,
        path: PathBuf,
        /// What it is called where the file system does not take that name.
        otherwise: Option<PathBuf>,
        overwrites: bool,
    },
}

impl Saving {
    pub(crate) fn begin(
        target: &Target,
        id: FileId,
        incoming: Incoming<'_>,
    ) -> io::Result<(Saving, Box<dyn Write + Send>)> {
        let mut found_permissions = None;
        let mut otherwise = None;
        let (path, overwrites) = match target {
            Target::Stdout => {
                return Ok((Saving::AsItIs, Box::new(no_terminal(io::stdout())?)));
            }
            Target::File(path) => match fs::metadata(path) {
                Ok(found) if found.is_file() => {
                    // One that may not be written is not overwritten.
                    File::options().write(true).open(path).map_err(cannot_write(path))?;
                    // Not those that would run what has come as somebody else.
                    found_permissions = Some(Permissions::from_mode(found.mode() & 0o777));
                    // Through a link, to what it stands for.
                    (fs::canonicalize(path).map_err(cannot_write(path))?, true)
                }
                Ok(_) => {
                    let file = open_as_it_is(path).map_err(cannot_write(path))?;
                    let file = no_terminal(file).map_err(cannot_write(path))?;
                    return Ok((Saving::AsItIs, Box::new(file)));
                }
                Err(_) if path.is_symlink() => {
                    let nowhere = io::Error::other("it is a link to what is not there");
                    return Err(cannot_write(path)(nowhere));
                }
                Err(_) => (path.clone(), true),
            },
            Target::In(dir) => {
                let path = dir.join(own_name(id, incoming));
                if fs::symlink_metadata(&path).is_ok() {
                    return Err(is_there(&path));
                }
                otherwise = Some(dir.join(own_name_of_type(id, incoming.content_type)));
                (path, false)
            }
        };
        let permissions = found_permissions.clone();
        let permissions = permissions.unwrap_or_else(|| Permissions::from_mode(0o666));
        let file = Unfinished::make(dir_of(&path), &permissions).map_err(cannot_write(&path))?;
        let sink = file.open()?;
        if let Some(found) = found_permissions {
            // The umask is for new files.
            sink.set_permissions(found).map_err(cannot_write(&path))?;
        }
        Ok((Saving::Unfinished { file, path, otherwise, overwrites }, Box::new(sink)))
    }

    /// Gives the file its name, and returns it.
    pub(crate) fn finish(self) -> io::Result<Option<PathBuf>> {
        let Saving::Unfinished { file, path, otherwise, overwrites } = self else {
            return Ok(None);
        };
        let Unnamed { error, file } = match file.finish(&path, overwrites) {
            Ok(()) => return Ok(Some(path)),
            Err(unnamed) => unnamed,
        };
        match (error.kind(), file, otherwise) {
            (io::ErrorKind::AlreadyExists, ..) => Err(is_there(&path)),
            // A file system may not take what a stranger calls a file.
            (_, Some(file), Some(path)) => {
                Saving::Unfinished { file, path, otherwise: None, overwrites }.finish()
            }
            _ => Err(cannot_write(&path)(error)),
        }
    }
}

/// A file that did not get its name; there still, where it may get another one.
pub(crate) struct Unnamed {
    error: io::Error,
    file: Option<Unfinished>,
}

/// A file that is not whole, and not yet under its name.
pub(crate) enum Unfinished {
    /// Under no name at all: whatever ends the program, nothing is left of it.
    Nameless(File),
    /// Under a temporary one, where the file system knows no other way. Signals remove it, but for
    /// SIGKILL.
    Temporary(NamedTempFile),
}

impl Unfinished {
    /// Makes one where it is to be when it is whole, with these permissions less the umask.
    fn make(dir: &Path, permissions: &Permissions) -> io::Result<Unfinished> {
        if let Some(file) = make_nameless(dir, permissions) {
            return Ok(Unfinished::Nameless(file));
        }
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(permissions.mode());
        let make = || temporary().make_in(dir, |path| options.open(path));
        signals::make_unfinished(make).map(Unfinished::Temporary)
    }

    fn open(&self) -> io::Result<File> {
        match self {
            Unfinished::Nameless(file) => file.try_clone(),
            Unfinished::Temporary(file) => file.reopen(),
        }
    }

    /// Gives it its name, in place of what has that name or not.
    fn finish(self, path: &Path, overwrites: bool) -> Result<(), Unnamed> {
        let named = match self {
            Unfinished::Temporary(named) => named,
            Unfinished::Nameless(file) if overwrites => {
                // Only a file with a name can take the place of another.
                let make =
                    |temporary: &Path| link(&file, temporary).and_then(|()| file.try_clone());
                let made = signals::make_unfinished(|| temporary().make_in(dir_of(path), make));
                made.map_err(|error| Unnamed { error, file: None })?
            }
            Unfinished::Nameless(file) => {
                return link(&file, path)
                    .map_err(|error| Unnamed { error, file: Some(Unfinished::Nameless(file)) });
            }
        };
        let temporary = named.path().to_path_buf();
        let persisted =
            if overwrites { named.persist(path) } else { named.persist_noclobber(path) };
        match persisted {
            Ok(_) => {
                signals::finished(&temporary);
                Ok(())
            }
            Err(PersistError { error, file }) => {
                Err(Unnamed { error, file: Some(Unfinished::Temporary(file)) })
            }
        }
    }
}

/// How a file is called that is not whole.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".multichat-");
    builder
}

/// Makes a file without a name that can be given one, where the system can do that.
fn make_nameless(dir: &Path, permissions: &Permissions) -> Option<File> {
    let mode = Mode::from_raw_mode(permissions.mode());
    let file = File::from(rustix::fs::open(dir, NAMELESS, mode).ok()?);
    // It is named by way of that directory.
    fs::metadata(as_a_path(&file)).is_ok().then_some(file)
}

/// Names a file that has no name.
fn link(file: &File, path: &Path) -> io::Result<()> {
    Ok(linkat(CWD, as_a_path(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

fn as_a_path(file: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

/// The directory that a path names something in.
fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a terminal: bytes of a stranger's could drive it.
pub(crate) fn no_terminal<T: IsTerminal>(file: T) -> io::Result<T> {
    match file.is_terminal() {
        true => Err(io::Error::other("it is a terminal, which the file's bytes could drive")),
        false => Ok(file),
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

/// Says what was to be written.
fn cannot_write(path: &Path) -> impl Fn(io::Error) -> io::Error {
    let path = shown_path(path);
    move |error| io::Error::new(error.kind(), format!("cannot write {path}: {}", args::why(&error)))
}

fn is_there(path: &Path) -> io::Error {
    let what = format!("{} is already there, and is not overwritten", shown_path(path));
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}
