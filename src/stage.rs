//! The stage: shared files, from their arrival to their end (§2.3.3).
//!
//! A public file is `ID.EXTENSION` in the stage's directory, or `ID NAME` where its sharer gave it a
//! name, as a person can open it; a private one is hidden, and is deleted at the next start, since
//! UIDs begin again at 1. The total is bounded, and the oldest files make room for new ones.
//!
//! | file | owns |
//! |---|---|
//! | `names` | how files are called on disk |
//! | `ledger` | what is on disk, counted; no system call |
//! | `arrival` | a share, up to its File-ID |
//! | `fetch` | a staged file that is being sent |
//! | `open_files` | how many files are open at a time |
//! | `restart` | whose directory it is, and what an earlier run has left in it |
//!
//! Knows nothing of sockets and of the room; its locks are never held together with the room's.

mod arrival;
mod fetch;
mod ledger;
mod names;
mod open_files;
mod restart;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::{error, info, warn};
use rustix::fs::OFlags;
use rustix::io::Errno;
use tempfile::TempDir;

use self::arrival::Naming;
use self::fetch::{Counted, Progress};
use self::ledger::{Entry, Ledger, Removal};
use self::open_files::{OpenFile, Place, Places};
use self::restart::Claim;
use crate::ids::{FileId, Uid};
use crate::logging::LogThrottle;
use crate::reason::StageError;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Instant, Mutex, channel, thread};
use crate::text::{Extension, FileName};

pub use self::arrival::Arrival;
pub use self::fetch::Fetch;
pub use self::names::MARK;

/// The most files that are staged at a time: it bounds the listing and the directory.
pub const FILES_LIMIT: usize = 65_536;

/// How long a person who shares or fetches a file waits at the most until it can be: there is an answer
/// to be waited for.
const WAIT_LIMIT: Duration = Duration::from_secs(2);

/// How long the end of the server waits for a temporary stage to be removed.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// The sender of a file that was kept from an earlier run: a UID that is never assigned.
const EARLIER: Uid = Uid(0);

/// Shared files on disk.
#[derive(Debug)]
pub struct Stage {
    dir: PathBuf,
    /// The private temporary directory, where no other was asked for.
    temporary: Mutex<Option<TempDir>>,
    /// Whether files outlive the server.
    keeps: bool,
    /// Keeps other servers out of a directory that was asked for.
    lock: Mutex<Option<Claim>>,
    limit: u64,
    pace: Pace,
    /// Which File-ID comes next; held while a file gets its name.
    naming: Mutex<Naming>,
    shared: Arc<Shared>,
    /// For files that arrive, and for those that are fetched: neither takes the others' places.
    arriving_places: Arc<Places>,
    fetching_places: Arc<Places>,
    /// Whether the log has said that files cannot be stored, and not yet that they can be again.
    failing: AtomicBool,
    unwritable_said: LogThrottle,
    unreadable_said: LogThrottle,
}

/// What outlives a fetch: the stage itself need not.
#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// Told when there may be more room.
    freed: Condvar,
}

/// How much a share has to move in how long, lest it makes room for somebody else's (P5).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many bytes: half the queue limit.
    pub bytes: u64,
    /// In so long: the stall timeout.
    pub time: Duration,
}

impl Pace {
    /// How often who waits for room looks at the clocks.
    fn tick(self) -> Duration {
        (self.time / 16).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }
}

/// A file that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// What kind of file it is.
    pub extension: Extension,
    /// What its sharer called it, if anything (E4).
    pub name: Option<FileName>,
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
}

impl Stage {
    /// Opens the stage in `dir`, which is made where there is none, or in a private temporary
    /// directory that [`Stage::close`] removes. Holds at most `limit` bytes, and while files arrive
    /// and others are fetched to their end at most twice as many (P5).
    ///
    /// # Errors
    /// Where the directory cannot be made, read or written, another server uses it, or it holds
    /// something and is not marked as a stage by [`MARK`] (E5).
    pub fn open(dir: Option<&Path>, limit: u64, pace: Pace) -> io::Result<Stage> {
        let (dir, temporary, lock) = match dir {
            Some(dir) => {
                fs::create_dir_all(dir).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => io::Error::other("it is no directory"),
                    _ => error,
                })?;
                (dir.to_path_buf(), None, Some(restart::claim(dir)?))
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
        let found = restart::scan(&dir)?;
        let stage = Stage {
            keeps: temporary.is_none(),
            temporary: Mutex::new(temporary),
            dir,
            lock: Mutex::new(lock),
            limit,
            pace,
            naming: Mutex::new(Naming::new(found.last_id)),
            shared: Arc::new(Shared {
                ledger: Mutex::new(Ledger::new(limit, pace)),
                freed: Condvar::new(),
            }),
            arriving_places: Places::new(usize::MAX),
            fetching_places: Places::new(usize::MAX),
            failing: AtomicBool::new(false),
            unwritable_said: LogThrottle::default(),
            unreadable_said: LogThrottle::default(),
        };
        stage.take_up(found);
        Ok(stage)
    }

    /// Leaves descriptors to others: at most so many files are open at a time, at least one that
    /// arrives and one that is fetched. Without this there is no limit.
    pub fn limit_open_files(&mut self, limit: usize) {
        let arriving = (limit / 2).max(1);
        self.arriving_places = Places::new(arriving);
        self.fetching_places = Places::new(limit.saturating_sub(arriving).max(1));
    }

    /// Stages what an earlier run has left, as far as there is room.
    fn take_up(&self, found: restart::Found) {
        let count = found.files.len();
        let mut ledger = self.shared.ledger.lock();
        let removals = ledger.take_up(found.files);
        let (bytes, removed) = (ledger.staged(), removals.len());
        drop(ledger);
        if count > 0 {
            let kept = count - removed;
            info!("stage: files of an earlier run that can be fetched: {kept}, {bytes} bytes");
        }
        if removed > 0 {
            warn!("stage: older files that are over its limits, and are removed: {removed}");
        }
        self.remove_files(removals);
    }

    /// Removes files that were taken off the stage; to be called without a lock.
    fn remove_files(&self, removals: Vec<Removal>) {
        for removal in removals {
            // One that is being fetched is sent to its end: its descriptor keeps it.
            match self.remove_plain_file(&removal.file_name) {
                Ok(()) => self.shared.ledger.lock().end_removal(removal.id),
                Err(error) => {
                    let id = removal.id;
                    self.shared.ledger.lock().retry_removal(removal);
                    warn!("stage: file {id} cannot be removed: {error}");
                }
            }
        }
        self.shared.freed.notify_all();
    }

    /// Removes a file; what is none, a link say, somebody else has put in its place.
    fn remove_plain_file(&self, name: &str) -> io::Result<()> {
        let path = self.dir.join(name);
        let removed = match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => Ok(()),
            found => found.and_then(|_| fs::remove_file(&path)),
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// The most bytes that can be staged together.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Begins the arrival of a file, for all or for one client; what is private is so on disk. Where
    /// too many files are open, the slowest share gives up its place if it is too slow; else this one waits, for two
    /// seconds at the most.
    ///
    /// # Errors
    /// [`StageError::TooManyOpen`] where they still are; [`StageError::StoreFailed`] where it cannot be
    /// written; the log says why.
    pub fn begin(&self, to: Option<Uid>) -> Result<Arrival<'_>, StageError> {
        let place = self.arriving_place()?;
        let mode = if to.is_some() { 0o600 } else { 0o666 }; // less the umask
        let made = self.ensure_dir().and_then(|()| {
            loop {
                let number = self.shared.ledger.lock().next_share();
                let path = self.arriving_path(number);
                match File::options().write(true).create_new(true).mode(mode).open(path) {
                    // Somebody has put one there by hand.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => return made.map(|file| (number, file)),
                }
            }
        });
        let (number, file) = made.map_err(|error| self.failed(&error))?;
        Ok(Arrival::new(self, number, file, to, place))
    }

    fn arriving_path(&self, number: u64) -> PathBuf {
        self.dir.join(names::arriving(number))
    }

    /// Makes the directory again where somebody removed it under the running server, and claims the
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
            let locked = locked.dir().metadata()?;
            if (locked.dev(), locked.ino()) != (found.dev(), found.ino()) {
                *held = Some(restart::claim(&self.dir)?);
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

    fn succeeded(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            info!("stage: files can be stored again");
        }
    }

    /// Looks for a file that `asker` may fetch (§2.3.3.2).
    ///
    /// # Errors
    /// [`StageError::NoSuchFile`] in the same words whether it never was, is no longer staged, or is
    /// not for the asker.
    pub fn find(&self, id: FileId, asker: Uid) -> Result<Arc<StagedFile>, StageError> {
        let ledger = self.shared.ledger.lock();
        let entry = ledger.find(id, asker).ok_or(StageError::NoSuchFile { id })?;
        Ok(Arc::clone(&entry.staged))
    }

    /// Opens a file for `asker` (§2.3.3.2), once for all who fetch it at the same time. It is
    /// counted against the disk until the last reference to it is dropped. `end` is called, by a
    /// thread that shares a file and holds no lock, where it was removed meanwhile, is the slowest,
    /// and its room is needed: it is to disconnect the asker. Where too many files are open it
    /// calls `before_waiting` and waits, for two seconds at the most.
    ///
    /// # Errors
    /// As [`Stage::find`]; [`StageError::TooManyOpen`] where they still are;
    /// [`StageError::FetchFailed`] where it cannot be read.
    pub fn fetch(
        &self,
        id: FileId,
        asker: Uid,
        end: impl Fn() + Send + Sync + 'static,
        before_waiting: impl FnOnce(),
    ) -> Result<(Arc<StagedFile>, Arc<Fetch>), StageError> {
        let progress = Progress::new(Instant::now(), Box::new(end));
        let mut ledger = self.shared.ledger.lock();
        let entry = ledger.find(id, asker).cloned().ok_or(StageError::NoSuchFile { id })?;
        ledger.begin_fetch(id, entry.staged.len, &progress);
        drop(ledger);
        let counted = Counted { shared: Arc::clone(&self.shared), id, progress };
        let is_open = || self.shared.ledger.lock().open_file(id);
        let open = match self.fetching_places.take(self.patience(), before_waiting, is_open) {
            Ok(place) => self.open_in(place, id, &entry)?,
            Err(open) => open.ok_or(StageError::TooManyOpen)?,
        };
        Ok((entry.staged, Arc::new(Fetch::new(open, counted))))
    }

    /// How long a person waits for a place.
    fn patience(&self) -> Duration {
        self.pace.time.min(WAIT_LIMIT)
    }

    /// Opens a file, for others who fetch it as well.
    fn open_in(
        &self,
        place: Place,
        id: FileId,
        entry: &Entry,
    ) -> Result<Arc<OpenFile>, StageError> {
        let file = self.open_staged(id, &entry.file_name(id), entry.staged.len)?;
        let open = Arc::new(OpenFile { file, _place: place });
        self.shared.ledger.lock().set_open_file(id, &open);
        self.fetching_places.look_again();
        Ok(open)
    }

    fn open_staged(&self, id: FileId, name: &str, len: u64) -> Result<File, StageError> {
        // Whatever somebody has put in its place: a link is not followed, a pipe not waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let path = self.dir.join(name);
        let opened = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let measured = opened.and_then(|file| Ok((file.metadata()?, file)));
        let what = match measured {
            Ok((found, file)) if found.is_file() && found.len() == len => return Ok(file),
            Ok(_) => "changed on disk",
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                "replaced on disk by a link"
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => "removed on disk",
            Err(error) => {
                self.unreadable(id, &error);
                return Err(StageError::FetchFailed);
            }
        };
        // Unless it has made room for another one in between.
        if self.shared.ledger.lock().forget(id) {
            warn!("stage: file {id} was {what} and is no longer staged");
        }
        Err(StageError::NoSuchFile { id })
    }

    /// Reads the whole of a file that [`Stage::fetch`] has opened.
    ///
    /// # Errors
    /// [`StageError::FetchFailed`] where it cannot be read, or has been cut short since.
    pub fn read(&self, id: FileId, fetch: &Fetch, bytes: &mut [u8]) -> Result<(), StageError> {
        fetch.file().read_exact_at(bytes, 0).map_err(|error| {
            self.unreadable(id, &error);
            StageError::FetchFailed
        })
    }

    fn unreadable(&self, id: FileId, error: &io::Error) {
        if self.unreadable_said.is_due() {
            error!("stage: file {id} cannot be read: {error}");
        }
    }

    /// Takes a file off the stage; `false` where there is none. Those who are fetching it get it all.
    pub fn remove(&self, id: FileId) -> bool {
        let removal = self.shared.ledger.lock().remove(id);
        let is_there = removal.is_some();
        self.remove_files(removal.into_iter().collect());
        is_there
    }

    /// How many files are staged, and their bytes.
    pub fn staged(&self) -> (usize, u64) {
        let ledger = self.shared.ledger.lock();
        (ledger.count(), ledger.staged())
    }

    /// The files that `asker` may fetch, ascending by File-ID.
    pub fn list(&self, asker: Uid) -> Vec<(FileId, Arc<StagedFile>)> {
        let ledger = self.shared.ledger.lock();
        let files = ledger.files().filter(|(_, file)| file.is_for(asker));
        files.map(|(id, file)| (id, Arc::clone(file))).collect()
    }

    /// Lets nobody wait for room any more: the server stops.
    pub fn begin_close(&self) {
        self.shared.ledger.lock().stop();
        self.shared.freed.notify_all();
    }

    /// Removes what is not to outlive the server; what is private first. Where a slow disk takes
    /// longer than [`CLOSE_LIMIT`] the rest is left behind, and the log says where.
    pub fn close(&self) {
        let Some(temporary) = self.temporary.lock().take() else { return };
        let path = temporary.path().to_path_buf();
        let (done, closed) = channel::bounded(1);
        let removing = thread::Builder::new().name("remove".to_string()).spawn(move || {
            let _ = done.send(remove(temporary));
        });
        let result = removing.and_then(|_| {
            closed.recv_timeout(CLOSE_LIMIT).unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "there are too many files for now"))
            })
        });
        if let Err(error) = result {
            warn!("stage: {} cannot be removed: {error}", path.display());
        }
    }
}

/// Removes a temporary stage, what is hidden first: private files, and those that were arriving.
fn remove(temporary: TempDir) -> io::Result<()> {
    for entry in fs::read_dir(temporary.path())? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            // What is left is tried again with all the rest.
            let _ = fs::remove_file(entry.path());
        }
    }
    temporary.close()
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
