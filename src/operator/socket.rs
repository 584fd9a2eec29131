//! The socket's place in the file system: made for its owner alone, never stolen from a server that
//! answers, and removed at the end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::warn;
use rustix::fs::{CWD, Mode, RenameFlags, fchmod, renameat_with};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// Who may use it: its owner, and root.
const MODE: u32 = 0o600;

/// How many operators may wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket that listens at a path; removed from there when dropped.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: Arc<UnixListener>,
    pub(super) place: Place,
}

/// A path, and which file this server has put there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: FileNumber,
}

/// A device and an inode on it.
type FileNumber = (u64, u64);

impl Listening {
    /// Listens at `path`. A socket there that nobody answers is replaced.
    ///
    /// # Errors
    /// Where something else is there, or a server that answers, or no socket can be made.
    pub(super) fn bind(path: &Path) -> io::Result<Listening> {
        let stale = take_stale_away(path)?;
        let bound = bind_new(path);
        if let Some(stale) = stale {
            // Of no use to anybody, wherever it is.
            let _ = fs::remove_file(stale);
        }
        bound
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Wakes the thread that accepts; fails only where that has ended already.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        self.place.remove();
    }
}

impl Place {
    /// Removes the socket, unless somebody has put another file in its place.
    pub(super) fn remove(&self) {
        let is_own =
            fs::symlink_metadata(&self.path).is_ok_and(|found| number(&found) == self.file);
        if is_own && let Err(error) = fs::remove_file(&self.path) {
            warn!("{} cannot be removed: {error}", self.path.display());
        }
    }
}

fn number(file: &fs::Metadata) -> FileNumber {
    (file.dev(), file.ino())
}

/// Makes a socket that nobody but the owner could use at any moment: Linux gives the file the mode of
/// the socket that is bound to it, less the umask.
fn bind_new(path: &Path) -> io::Result<Listening> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    let made = fs::symlink_metadata(path)?;
    if made.permissions().mode() & 0o777 != MODE {
        // A umask that takes away even the owner's rights.
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    }
    socket.listen(BACKLOG)?;
    let place = Place { path: path.to_path_buf(), file: number(&made) };
    Ok(Listening { listener: Arc::new(socket.into()), place })
}

/// Moves a socket that nobody answers out of the way, and returns where to.
///
/// It is moved and not just removed: of two servers that start at the same time one alone gets it,
/// and one that gets the other's new socket puts it back.
fn take_stale_away(path: &Path) -> io::Result<Option<PathBuf>> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        there => there?,
    };
    if !there.file_type().is_socket() {
        return Err(taken("something that is no socket is there: name another path, or remove it"));
    }
    if !is_stale(path)? {
        return Err(taken("a server answers there already"));
    }
    let mut aside = OsString::from(path);
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let move_over = |from: &Path, to: &Path| {
        renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from)
    };
    match move_over(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        moved => moved?,
    }
    if fs::symlink_metadata(&aside).is_ok_and(|moved| number(&moved) != number(&there)) {
        move_over(&aside, path)?;
        return Err(taken("another server starts there at the same time"));
    }
    Ok(Some(aside))
}

/// Whether nobody listens on a socket, without waiting for anybody.
fn is_stale(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        // Somebody listens who is slow to accept.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        connected => connected.map(|()| false),
    }
}

fn taken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, why)
}
