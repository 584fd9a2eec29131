//! A file on its way to the stage: from its first byte to its File-ID.
//!
//! It is written under a hidden name, and renamed once it is whole. Whatever dies when, half a file
//! never has a File-ID, and a whole one that was renamed is found at a restart.
//!
//! Two locks, and no system call under the ledger's:
//!
//! 1. The ledger's lock is for counting. A share is counted before it is written, a file is leaving
//!    until it is gone. So a hung disk keeps nobody from fetching another file, or from listing.
//! 2. The lock of the names is held over a commit: choose a File-ID that nothing in the directory
//!    has, rename, count the file as staged. Two commits come one behind the other, so File-IDs are
//!    staged in ascending order, and what a commit evicts is always older than what it stages.
//! 3. What is evicted is removed behind both locks. Its File-ID is never used again while the server
//!    runs, so no commit can put another file under the name that is about to be removed. A fetch
//!    that has found it before finds it, or finds that it is gone: both are right.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, XattrFlags, fsetxattr, renameat_with};

use super::ledger::{Discard, Entry, Room};
use super::open_files::{OpenFile, Place};
use super::{Stage, StagedFile, WAIT_LIMIT, names};
use crate::ids::{FileId, Uid};
use crate::reason::StageError;
use crate::sync::Instant;
use crate::text::{Extension, FileName};

/// A directory of so many entries is read for every file that is staged. A larger one is read for a
/// tenth of the time at the most, so that to share empty files costs nobody a processor: what others
/// put there may be noticed that much later.
const QUICK_LOOK_ENTRIES: usize = 4096;

/// Which File-IDs are taken.
#[derive(Debug, Default)]
pub(super) struct Naming {
    /// The last one that was given.
    pub(super) last_id: u64,
    /// Larger ones that something in the directory has, as it was when it was looked at last.
    taken: BTreeSet<u64>,
    /// When that was, and how long it took, where there are many entries.
    looked: Option<(Instant, Duration)>,
}

impl Naming {
    pub(super) fn new(last_id: u64) -> Naming {
        Naming { last_id, ..Naming::default() }
    }

    /// Looks which larger File-IDs are taken in the directory.
    fn look(&mut self, dir: &Path) -> io::Result<()> {
        if let Some((last, took)) = self.looked
            && last.elapsed() < took * 10
        {
            return Ok(());
        }
        let start = Instant::now();
        self.taken.clear();
        let mut count = 0;
        for entry in fs::read_dir(dir)? {
            count += 1;
            let number = names::number(entry?.file_name().as_bytes());
            self.taken.extend(number.filter(|&number| number > self.last_id));
        }
        let is_large = count > QUICK_LOOK_ENTRIES;
        self.looked = is_large.then(|| (Instant::now(), start.elapsed()));
        Ok(())
    }

    fn next(&self, id: u64) -> u64 {
        let mut next = id + 1;
        while self.taken.contains(&next) {
            next += 1;
        }
        next
    }
}

/// A file that is arriving; one that is dropped before it is whole leaves nothing behind.
#[derive(Debug)]
pub struct Arrival<'a> {
    stage: &'a Stage,
    number: u64,
    len: u64,
    to: Option<Uid>,
    is_staged: bool,
}

impl<'a> Arrival<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        number: u64,
        file: File,
        to: Option<Uid>,
        place: Place,
    ) -> Arrival<'a> {
        let open = OpenFile { file, _place: place };
        stage.shared.ledger.lock().begin_share(number, open, Instant::now());
        Arrival { stage, number, len: 0, to, is_staged: false }
    }

    /// Writes the next bytes. Waits for room where there is none, for about two seconds: others that
    /// share finish, or are too slow and make room.
    ///
    /// # Errors
    /// [`StageError::ShareTooSlow`] where it has made room for others, [`StageError::Busy`] where there
    /// is no room for it, [`StageError::StoreFailed`] where the disk does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        let open = self.reserve(bytes.len() as u64)?;
        self.len += bytes.len() as u64;
        let start = Instant::now();
        let written = (&open.file).write_all(bytes);
        // It may be refused from here on, and is to be closed then.
        drop(open);
        self.stage.shared.ledger.lock().let_go(self.number, start.elapsed());
        written.map_err(|error| self.stage.failed(&error))
    }

    /// Counts the next bytes once there is room, and returns where they are to be written; the share is
    /// held then until it is let go.
    fn reserve(&self, bytes: u64) -> Result<Arc<OpenFile>, StageError> {
        let start = Instant::now();
        let mut ledger = self.stage.shared.ledger.lock();
        match ledger.reserve(self.number, bytes, start) {
            Room::Taken(open) => Ok(open),
            Room::Refused(reason) => Err(reason),
            room => {
                ledger.hold(self.number);
                drop(ledger);
                let found = self.wait_for_room(room, bytes, start);
                let mut ledger = self.stage.shared.ledger.lock();
                ledger.let_go(self.number, start.elapsed());
                if found.is_ok() {
                    ledger.hold(self.number);
                }
                found
            }
        }
    }

    fn wait_for_room(
        &self,
        room: Room,
        bytes: u64,
        start: Instant,
    ) -> Result<Arc<OpenFile>, StageError> {
        let tick = self.stage.pace.tick();
        // Where the stall timeout is shorter, others are known by then to be too slow.
        let patience = self.stage.pace.time.min(WAIT_LIMIT) + 2 * tick;
        let (mut limit, mut has_tried) = (patience, false);
        let mut room = room;
        loop {
            let waited = start.elapsed();
            match room {
                Room::Taken(open) => return Ok(open),
                Room::Refused(reason) => return Err(reason),
                Room::Discard(discards) => self.stage.discard(discards),
                // A tick first: a fetch that is fast ends by itself. Once at least, however late: on a
                // busy machine the time may be over before this thread runs again.
                Room::Leaving(lacking)
                    if lacking > 0 && waited >= tick && (waited <= limit || !has_tried) =>
                {
                    let ended =
                        self.stage.shared.ledger.lock().end_slowest(lacking, Instant::now());
                    ended.iter().for_each(|fetch| fetch.end());
                    if !has_tried {
                        limit = limit.max(waited + patience / 2);
                        has_tried = true;
                    }
                }
                _ if waited > limit => return Err(StageError::Busy),
                Room::Leaving(_) | Room::Crowded => {}
            }
            let mut ledger = self.stage.shared.ledger.lock();
            room = ledger.reserve(self.number, bytes, Instant::now());
            if matches!(room, Room::Leaving(_) | Room::Crowded) {
                self.stage.shared.freed.wait_for(&mut ledger, tick);
                room = ledger.reserve(self.number, bytes, Instant::now());
            }
        }
    }

    /// How many bytes have arrived.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Stages the file, which is whole, under the name that its sharer gave it, and makes room for
    /// it (§2.3.3.1). A name that the file system refuses is kept all the same, beside it.
    ///
    /// # Errors
    /// [`StageError::ShareTooSlow`] where it has made room for others, [`StageError::StoreFailed`] where the
    /// disk does not take it.
    pub fn commit(
        mut self,
        extension: Extension,
        name: Option<FileName>,
        from: Uid,
    ) -> Result<FileId, StageError> {
        let stage = self.stage;
        let open = stage.shared.ledger.lock().begin_commit(self.number)?;
        if stage.keeps {
            // Else the name could be on disk before the bytes when the power fails.
            open.file.sync_all().map_err(|error| stage.failed(&error))?;
        }
        let staged = Arc::new(StagedFile { extension, name, len: self.len, from, to: self.to });
        let mut naming = stage.naming.lock();
        let (id, entry) =
            self.place(&mut naming, &open.file, staged).map_err(|error| stage.failed(&error))?;
        let removals = stage.shared.ledger.lock().commit(self.number, id, entry);
        drop(naming);
        self.is_staged = true;
        stage.shared.freed.notify_all();
        stage.remove_files(removals);
        stage.succeeded();
        Ok(id)
    }

    /// Gives the file a File-ID that nothing in the directory has, and the name that goes with it.
    fn place(
        &self,
        naming: &mut Naming,
        file: &File,
        staged: Arc<StagedFile>,
    ) -> io::Result<(FileId, Entry)> {
        if self.stage.keeps {
            naming.look(&self.stage.dir)?;
        }
        let mut entry = Entry { staged, stored_as: None };
        let mut id = FileId(naming.next(naming.last_id));
        loop {
            if self.stage.keeps {
                let value = id.to_string();
                // Where the file system knows no attributes, a file's age has to do.
                let set = XattrFlags::empty();
                let _ = fsetxattr(file, names::FILE_ID_ATTRIBUTE, value.as_bytes(), set);
            }
            match self.name(id, &mut entry) {
                Ok(()) => {
                    naming.last_id = id.0;
                    return Ok((id, entry));
                }
                // Put there since it was looked at: it is not overwritten.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    id = FileId(naming.next(id.0));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Names the file: as its sharer did, or, where the file system refuses that, by its File-ID
    /// and type alone. A private one is hidden, and has no need of a name.
    fn name(&self, id: FileId, entry: &mut Entry) -> io::Result<()> {
        let StagedFile { name, extension, to, .. } = &*entry.staged;
        let name = name.as_ref().filter(|_| to.is_none());
        if let Some(named) = name.map(|name| names::named(id, name, extension)) {
            match self.rename(&named) {
                Ok(()) => {
                    entry.stored_as = Some(named.into());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) => {}
            }
        }
        entry.stored_as = None;
        self.rename(&entry.file_name(id))
    }

    /// Renames the file, which replaces nothing.
    fn rename(&self, name: &str) -> io::Result<()> {
        let (from, to) = (self.stage.arriving_path(self.number), self.stage.dir.join(name));
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Not every file system knows how. Only those rename here who hold the lock of the names.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                match fs::symlink_metadata(&to) {
                    Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if self.is_staged {
            return;
        }
        let shared = &self.stage.shared;
        let path = self.stage.arriving_path(self.number);
        // Gone already where it was refused, or where the directory was removed.
        let _ = fs::remove_file(path);
        let open = shared.ledger.lock().close_share(self.number);
        if let Some(open) = open {
            give_back(open);
        }
        shared.ledger.lock().end_share(self.number);
        shared.freed.notify_all();
    }
}

impl Stage {
    /// Gives back the bytes and the places of shares that were refused; their own threads mostly wait
    /// for the next byte.
    fn discard(&self, discards: Vec<Discard>) {
        for Discard { number, open } in discards {
            let removed = fs::remove_file(self.arriving_path(number));
            let is_given_back = give_back(open) || removed.is_ok();
            self.shared.ledger.lock().end_discard(number, is_given_back);
        }
    }

    /// A place for a file that is to arrive. Waits where there is none, for two seconds at the most:
    /// others that share finish, or are too slow and make room.
    pub(super) fn arriving_place(&self) -> Result<Place, StageError> {
        let until = Instant::now() + self.patience();
        let nothing = || None::<()>;
        let (mut left, mut is_last) = (Duration::ZERO, false);
        loop {
            let wait = left.min(self.pace.tick());
            if let Ok(place) = self.arriving_places.take(wait, || (), nothing) {
                return Ok(place);
            }
            if is_last {
                return Err(StageError::TooManyOpen);
            }
            let now = Instant::now();
            left = until.saturating_duration_since(now);
            is_last = left.is_zero();
            let discard = self.shared.ledger.lock().make_place(now);
            self.discard(discard.into_iter().collect());
        }
    }
}

/// Closes a file that is removed, and empties it before: so its bytes are given back even where a child
/// process has a copy of its descriptor at the moment. Whether it could be emptied.
fn give_back(open: Arc<OpenFile>) -> bool {
    let is_empty = open.file.set_len(0).is_ok();
    drop(open);
    is_empty
}
