//! What an earlier run has left in the stage's directory, and whose directory it is (E5).

use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use log::warn;
use rustix::fs::lgetxattr;

use super::ledger::Entry;
use super::names::{self, MARK, Parsed};
use super::{EARLIER, StagedFile};
use crate::ids::FileId;
use crate::text::Visible;

/// A directory that this server alone has, until dropped.
#[derive(Debug)]
pub(super) struct Claim(File);

impl Claim {
    /// The directory itself.
    pub(super) fn dir(&self) -> &File {
        &self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Not only by closing it: a process that is being started may have a copy of the descriptor.
        let _ = self.0.unlock();
    }
}

/// Takes a directory for this server alone. An empty one is marked.
///
/// # Errors
/// Where another server has it, or where it is not a stage: it holds something and has no mark.
pub(super) fn claim(dir: &Path) -> io::Result<Claim> {
    let lock = Claim(lock(dir)?);
    match fs::symlink_metadata(dir.join(MARK)) {
        Ok(found) if found.is_file() => Ok(lock),
        Ok(_) => {
            Err(io::Error::other(format!("{MARK} in it, which marks a stage, is no plain file")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::read_dir(dir)?.next().is_some() {
                return Err(not_a_stage());
            }
            mark(dir)?;
            Ok(lock)
        }
        Err(error) => Err(error),
    }
}

fn not_a_stage() -> io::Error {
    io::Error::other(format!(
        "it is not empty, and no {MARK} marks it as a server's own, where old files are deleted to \
         make room for new ones: name a new or empty directory, or make that file in it, where this \
         is the stage of an older server"
    ))
}

/// Makes the mark, for good: it is to be there when the power fails, as the files are.
fn mark(dir: &Path) -> io::Result<()> {
    let mark = File::options().write(true).create_new(true).open(dir.join(MARK))?;
    mark.sync_all()?;
    File::open(dir)?.sync_all()
}

/// Makes sure that no other server uses the directory: it is locked itself.
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

/// What was found in a directory.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: BTreeMap<FileId, Entry>,
    /// The largest File-ID that was given.
    pub(super) last_id: u64,
}

/// Looks for staged files, and removes what is of no use to this run: private files, since UIDs
/// begin again at 1, and what was arriving. Leaves everything else alone.
///
/// # Errors
/// Where the directory cannot be read, or something in it not be removed.
pub(super) fn scan(dir: &Path) -> io::Result<Found> {
    let mut last_id = 0;
    let mut found: BTreeMap<FileId, Candidate> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let private = names::parse_private(name);
        if private.is_some() || names::is_arriving(name) {
            if entry.file_type()?.is_file() {
                remove_left_over(&entry)?;
                last_id = last_id.max(private.map_or(0, |id| id.0));
            }
        } else if let Some(parsed) = names::parse(name)
            && let Some(metadata) = plain_file(&entry)?
        {
            let id = parsed.id;
            last_id = last_id.max(id.0);
            let candidate = Candidate { name: name.into(), parsed, metadata };
            match found.remove(&id) {
                Some(other) => found.insert(id, candidate.staged_one(other, dir)),
                None => found.insert(id, candidate),
            };
        }
    }
    let files = found.into_iter().map(|(id, candidate)| (id, candidate.entry())).collect();
    Ok(Found { files, last_id })
}

/// What an entry of a directory is; `None` where it is no plain file, or is gone by now.
fn plain_file(entry: &DirEntry) -> io::Result<Option<Metadata>> {
    match entry.metadata() {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove_left_over(entry: &DirEntry) -> io::Result<()> {
    match fs::remove_file(entry.path()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let name = entry.file_name();
            let name = Visible(&name.to_string_lossy()).to_string();
            Err(io::Error::new(error.kind(), format!("{name} cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}

/// A file that is named as a staged one.
#[derive(Debug)]
struct Candidate {
    name: Box<str>,
    parsed: Parsed,
    metadata: Metadata,
}

impl Candidate {
    /// The one of two with the same File-ID that was shared, or else the older one; the other is left
    /// alone.
    fn staged_one(self, other: Candidate, dir: &Path) -> Candidate {
        let order = |candidate: &Candidate| (!candidate.was_shared(dir), candidate.age());
        let (staged, other) =
            if order(&self) > order(&other) { (other, self) } else { (self, other) };
        warn!(
            "stage: \"{}\" has the same File-ID as \"{}\", and is left alone",
            Visible(&other.name),
            Visible(&staged.name)
        );
        staged
    }

    /// Whether the file itself says that it was shared under its File-ID.
    fn was_shared(&self, dir: &Path) -> bool {
        let mut value = [0; 20];
        let path = dir.join(&*self.name);
        let len = lgetxattr(path, names::FILE_ID_ATTRIBUTE, &mut value);
        len.is_ok_and(|len| value[..len] == *self.parsed.id.to_string().as_bytes())
    }

    /// What tells the older one of two files.
    ///
    /// A file that was put there by hand may have been written long ago, and keep that time. When it
    /// got its name here is later than when the staged one got its own, and is the time of the last
    /// change of its inode. Within a tick of the system's clock, inodes are numbered upwards, mostly:
    /// so this is for file systems without attributes, and for files that were copied.
    fn age(&self) -> (i64, i64, i64, i64, u64) {
        let found = &self.metadata;
        (found.ctime(), found.ctime_nsec(), found.mtime(), found.mtime_nsec(), found.ino())
    }

    fn entry(self) -> Entry {
        let Parsed { id, extension, name } = self.parsed;
        let stored_as = (*self.name != *names::plain(id, &extension, false)).then_some(self.name);
        let len = self.metadata.len();
        let staged = Arc::new(StagedFile { extension, name, len, from: EARLIER, to: None });
        Entry { staged, stored_as }
    }
}
