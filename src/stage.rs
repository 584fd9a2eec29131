//! The stage: shared files, from their arrival to their end (§2.3.3).
//!
//! A file is written under a hidden name while it arrives and renamed once it is whole, so a
//! half-written one never appears under a File-ID, whatever dies when. A public file is
//! `ID.EXTENSION`, as a person can open it; a private one is hidden (`.private.ID.EXTENSION`), and
//! is deleted at the next start, since UIDs begin again at 1. The total is bounded, and the oldest
//! files make room for new ones.
//!
//! Knows nothing of sockets and of the room; its lock is never held together with the room's.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{error, info, warn};
use rustix::fs::OFlags;
use rustix::io::Errno;
use tempfile::TempDir;

use crate::ids::{FileId, Uid};
use crate::logging::LogThrottle;
use crate::reason::StageError;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::text::Extension;
use crate::wire::parse_number;

/// The most files that are staged at a time: it bounds the listing and the directory.
pub const FILES_LIMIT: usize = 65_536;

/// The largest File-ID that is taken up at a restart: far more are left to go on from there.
const FILE_ID_LIMIT: u64 = u64::MAX / 2;

/// The sender of a file that was kept from an earlier run: a UID that is never assigned.
const EARLIER: Uid = Uid(0);

const ARRIVING: &str = ".arriving.";
const PRIVATE: &str = ".private.";

/// Shared files on disk.
#[derive(Debug)]
pub struct Stage {
    dir: PathBuf,
    /// The private temporary directory, where no other was asked for.
    temporary: Mutex<Option<TempDir>>,
    /// Whether files outlive the server.
    keeps: bool,
    /// Keeps other servers out of a directory that was asked for.
    lock: Mutex<Option<File>>,
    limit: u64,
    state: Mutex<State>,
    /// Whether the log has said that files cannot be stored, and not yet that they can be again.
    failing: AtomicBool,
    unwritable_said: LogThrottle,
    unreadable_said: LogThrottle,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<FileId, StagedFile>,
    last_id: u64,
    /// The bytes of all staged files.
    staged: u64,
    /// The bytes of all files that are still arriving.
    arriving: u64,
    last_arrival: u64,
}

/// A file that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// What kind of file it is.
    pub extension: Extension,
    /// Its size in bytes.
    pub len: u64,
    /// Who shared it; 0 for one kept from an earlier run.
    pub from: Uid,
    /// The only other client that may fetch it.
    pub to: Option<Uid>,
}

impl StagedFile {
    fn is_for(&self, asker: Uid) -> bool {
        self.to.is_none_or(|to| asker == to || asker == self.from)
    }

    fn name(&self, id: FileId) -> String {
        let hidden = if self.to.is_some() { PRIVATE } else { "" };
        format!("{hidden}{id}.{}", self.extension.as_str())
    }
}

impl Stage {
    /// Opens the stage in `dir`, which is made where there is none, or in a private temporary
    /// directory that [`Stage::close`] removes. Holds at most `limit` bytes.
    ///
    /// # Errors
    /// Where the directory cannot be made, read or written, or another server uses it.
    pub fn open(dir: Option<&Path>, limit: u64) -> io::Result<Stage> {
        let (dir, temporary, lock) = match dir {
            Some(dir) => {
                fs::create_dir_all(dir)?;
                (dir.to_path_buf(), None, Some(lock(dir)?))
            }
            None => {
                let for_nobody_else = fs::Permissions::from_mode(0o700);
                let temporary = tempfile::Builder::new()
                    .prefix("multichat-")
                    .permissions(for_nobody_else)
                    .tempdir()?;
                (temporary.path().to_path_buf(), Some(temporary), None)
            }
        };
        let state = State::default();
        let stage = Stage {
            keeps: temporary.is_none(),
            temporary: Mutex::new(temporary),
            dir,
            lock: Mutex::new(lock),
            limit,
            state: Mutex::new(state),
            failing: AtomicBool::new(false),
            unwritable_said: LogThrottle::default(),
            unreadable_said: LogThrottle::default(),
        };
        stage.scan()?;
        Ok(stage)
    }

    /// Takes up what an earlier run has left.
    fn scan(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if !entry.file_type()?.is_file() {
                continue;
            }
            if let Some(hidden) = name.strip_prefix(PRIVATE) {
                if let Some((id, _)) = parse_name(hidden) {
                    state.last_id = state.last_id.max(id.0);
                    fs::remove_file(entry.path())?;
                }
            } else if name.starts_with(ARRIVING) {
                fs::remove_file(entry.path())?;
            } else if let Some((id, extension)) = parse_name(name) {
                let len = entry.metadata()?.len();
                let file = StagedFile { extension, len, from: EARLIER, to: None };
                if state.files.contains_key(&id) {
                    warn!("stage: two files with the File-ID {id}; one of them is left out");
                    continue;
                }
                state.last_id = state.last_id.max(id.0);
                state.staged += len;
                state.files.insert(id, file);
            }
        }
        let evicted = self.make_room(&mut state);
        drop(state);
        self.delete(&evicted);
        Ok(())
    }

    /// Takes the oldest files off the stage until the rest is within the limits.
    fn make_room(&self, state: &mut State) -> Vec<(FileId, StagedFile)> {
        let mut evicted = Vec::new();
        while state.staged > self.limit || state.files.len() > FILES_LIMIT {
            let Some((id, file)) = state.files.pop_first() else { break };
            state.staged -= file.len;
            evicted.push((id, file));
        }
        evicted
    }

    fn delete(&self, files: &[(FileId, StagedFile)]) {
        for (id, file) in files {
            // One that is being fetched is sent to its end: its descriptor keeps it.
            if let Err(error) = fs::remove_file(self.dir.join(file.name(*id)))
                && error.kind() != io::ErrorKind::NotFound
            {
                warn!("stage: file {id} cannot be removed: {error}");
            }
        }
    }

    /// The most bytes that can be staged together.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Begins the arrival of a file, for all or for one client; what is private is so on disk.
    ///
    /// # Errors
    /// [`StageError::StoreFailed`] where it cannot be written; the log says why.
    pub fn begin(&self, to: Option<Uid>) -> Result<Arrival<'_>, StageError> {
        let number = {
            let mut state = self.state.lock();
            state.last_arrival += 1;
            state.last_arrival
        };
        let path = self.dir.join(format!("{ARRIVING}{number}"));
        let mode = if to.is_some() { 0o600 } else { 0o666 }; // less the umask
        let create = || File::options().write(true).create_new(true).mode(mode).open(&path);
        let file = self.ensure_dir().and_then(|()| create());
        let file = file.map_err(|error| self.failed(&error))?;
        Ok(Arrival { stage: self, file: Some(file), path, len: 0, to })
    }

    /// Makes the directory again where somebody removed it under the running server, and locks the
    /// one that is there.
    fn ensure_dir(&self) -> io::Result<()> {
        let found = match fs::metadata(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_open() => {
                let mode = if self.keeps { 0o777 } else { 0o700 }; // less the umask
                DirBuilder::new().recursive(true).mode(mode).create(&self.dir)?;
                fs::metadata(&self.dir)?
            }
            found => found?,
        };
        let mut held = self.lock.lock();
        if let Some(locked) = &*held {
            let locked = locked.metadata()?;
            if (locked.dev(), locked.ino()) != (found.dev(), found.ino()) {
                *held = Some(lock(&self.dir)?);
            }
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.keeps || self.temporary.lock().is_some()
    }

    fn failed(&self, error: &io::Error) -> StageError {
        // Trouble may come and go with each file, where large ones do not fit and small ones do.
        if self.unwritable_said.is_due() {
            error!("stage: a shared file cannot be stored: {error}");
            self.failing.store(true, Ordering::Relaxed);
        }
        StageError::StoreFailed
    }

    /// Opens a file for `asker` (§2.3.3.2).
    ///
    /// # Errors
    /// [`StageError::NoSuchFile`] in the same words whether it never was, is no longer staged, or is
    /// not for the asker; [`StageError::FetchFailed`] where it cannot be read.
    pub fn fetch(&self, id: FileId, asker: Uid) -> Result<(StagedFile, Arc<File>), StageError> {
        let staged = self.state.lock().files.get(&id).filter(|file| file.is_for(asker)).cloned();
        let Some(staged) = staged else { return Err(StageError::NoSuchFile { id }) };
        // Whatever somebody has put in its place: a link is not followed, a pipe not waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let path = self.dir.join(staged.name(id));
        let opened = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let measured = opened.and_then(|file| Ok((file.metadata()?, file)));
        match measured {
            Ok((found, file)) if found.is_file() && found.len() == staged.len => {
                Ok((staged, Arc::new(file)))
            }
            Ok(_) => {
                warn!("stage: file {id} was changed on disk and is no longer staged");
                self.forget(id);
                Err(StageError::NoSuchFile { id })
            }
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                warn!("stage: file {id} was replaced on disk by a link and is no longer staged");
                self.forget(id);
                Err(StageError::NoSuchFile { id })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                warn!("stage: file {id} was removed on disk and is no longer staged");
                self.forget(id);
                Err(StageError::NoSuchFile { id })
            }
            Err(error) => {
                self.unreadable(id, &error);
                Err(StageError::FetchFailed)
            }
        }
    }

    /// Reads the whole of a file that [`Stage::fetch`] has opened.
    ///
    /// # Errors
    /// [`StageError::FetchFailed`] where it cannot be read, or has been cut short since.
    pub fn read(&self, id: FileId, file: &File, bytes: &mut [u8]) -> Result<(), StageError> {
        file.read_exact_at(bytes, 0).map_err(|error| {
            self.unreadable(id, &error);
            StageError::FetchFailed
        })
    }

    fn unreadable(&self, id: FileId, error: &io::Error) {
        if self.unreadable_said.is_due() {
            error!("stage: file {id} cannot be read: {error}");
        }
    }

    fn forget(&self, id: FileId) -> Option<StagedFile> {
        let mut state = self.state.lock();
        let file = state.files.remove(&id)?;
        state.staged -= file.len;
        Some(file)
    }

    /// Takes a file off the stage that nobody was told of.
    pub fn remove(&self, id: FileId) {
        if let Some(file) = self.forget(id) {
            self.delete(&[(id, file)]);
        }
    }

    /// The files that `asker` may fetch, ascending by File-ID.
    pub fn list(&self, asker: Uid) -> Vec<(FileId, StagedFile)> {
        let state = self.state.lock();
        let files = state.files.iter().filter(|(_, file)| file.is_for(asker));
        files.map(|(&id, file)| (id, file.clone())).collect()
    }

    /// Removes what is not to outlive the server.
    pub fn close(&self) {
        if let Some(temporary) = self.temporary.lock().take() {
            let path = temporary.path().to_path_buf();
            if let Err(error) = temporary.close() {
                warn!("stage: {} cannot be removed: {error}", path.display());
            }
        }
    }
}

/// Makes sure that no other server uses the directory: it is locked itself, and holds no lock file.
fn lock(dir: &Path) -> io::Result<File> {
    let file = File::open(dir)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another multichatd uses it"))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Reads `ID.EXTENSION`, as this module writes it; `None` for any other name.
fn parse_name(name: &str) -> Option<(FileId, Extension)> {
    let (digits, extension) = name.split_once('.')?;
    let id = parse_number(digits.as_bytes())?;
    if id == 0 || id > FILE_ID_LIMIT || digits.starts_with('0') {
        return None;
    }
    Some((FileId(id), Extension::parse(extension.as_bytes())?))
}

/// A file that is arriving; one that is dropped before it is whole leaves nothing behind.
#[derive(Debug)]
pub struct Arrival<'a> {
    stage: &'a Stage,
    file: Option<File>,
    path: PathBuf,
    len: u64,
    to: Option<Uid>,
}

impl Arrival<'_> {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`StageError::Busy`] where all that is arriving would be over the stage's limit,
    /// [`StageError::StoreFailed`] where the disk does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        let mut state = self.stage.state.lock();
        if state.arriving + bytes.len() as u64 > self.stage.limit {
            return Err(StageError::Busy);
        }
        state.arriving += bytes.len() as u64;
        drop(state);
        self.len += bytes.len() as u64;
        let Some(file) = &mut self.file else { return Err(StageError::StoreFailed) };
        file.write_all(bytes).map_err(|error| self.stage.failed(&error))
    }

    /// How many bytes have arrived.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Stages the file, which is whole, and makes room for it.
    ///
    /// # Errors
    /// [`StageError::StoreFailed`] where the disk does not take it.
    pub fn commit(mut self, extension: Extension, from: Uid) -> Result<FileId, StageError> {
        let stage = self.stage;
        let Some(file) = self.file.take() else { return Err(StageError::StoreFailed) };
        if stage.keeps {
            // Else the name could be on disk before the bytes when the power fails.
            file.sync_all().map_err(|error| stage.failed(&error))?;
        }
        drop(file);
        let staged = StagedFile { extension, len: self.len, from, to: self.to };
        let mut state = stage.state.lock();
        let mut id = FileId(state.last_id + 1);
        while fs::symlink_metadata(stage.dir.join(staged.name(id))).is_ok() {
            // Somebody has put a file there by hand: it is not overwritten.
            id.0 += 1;
        }
        fs::rename(&self.path, stage.dir.join(staged.name(id)))
            .map_err(|error| stage.failed(&error))?;
        state.last_id = id.0;
        state.staged += staged.len;
        state.files.insert(id, staged);
        let evicted = stage.make_room(&mut state);
        drop(state);
        stage.delete(&evicted);
        if stage.failing.swap(false, Ordering::Relaxed) {
            info!("stage: files can be stored again");
        }
        Ok(id)
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.stage.state.lock().arriving -= self.len;
        // Gone already where it was staged.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
