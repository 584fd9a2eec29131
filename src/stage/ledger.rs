//! What the stage's directory holds, counted: staged files, those that are arriving, and those that
//! are leaving, which are staged no longer and still take up room.
//!
//! Pure bookkeeping behind one lock: no system call is made under it. What is to be done on disk is
//! returned, done without the lock, and noted when it is done; until then it is counted. So what is
//! counted is never less than what is on disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::fetch::Progress;
use super::open_files::OpenFile;
use super::{FILES_LIMIT, Pace, StagedFile, names};
use crate::ids::{FileId, Uid};
use crate::reason::StageError;
use crate::sync::Instant;

/// A staged file, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) staged: Arc<StagedFile>,
    /// Its name in the directory, where that is not `ID.EXTENSION`.
    pub(super) stored_as: Option<Box<str>>,
}

impl Entry {
    pub(super) fn file_name(&self, id: FileId) -> String {
        let plain = || names::plain(id, &self.staged.extension, self.staged.to.is_some());
        self.stored_as.as_deref().map_or_else(plain, str::to_string)
    }
}

/// A file that is to be removed from the directory; [`Ledger::end_removal`] when that is done.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) id: FileId,
    pub(super) file_name: String,
}

/// A share that was refused: its bytes and its place are to be given back, and
/// [`Ledger::end_discard`] then.
#[derive(Debug)]
pub(super) struct Discard {
    pub(super) number: u64,
    pub(super) open: Arc<OpenFile>,
}

/// Whether there is room for the next bytes of a share.
#[derive(Debug)]
pub(super) enum Room {
    /// There is, they are counted, and are to be written here.
    Taken(Arc<OpenFile>),
    /// There is none, nor will there be.
    Refused(StageError),
    /// There will be, once these are discarded.
    Discard(Vec<Discard>),
    /// There may be: others share, and are not slow.
    Crowded,
    /// What is fetched and staged no longer takes up so many bytes too many, beside what is about
    /// to be given back.
    Leaving(u64),
}

#[derive(Debug)]
struct Share {
    /// The file. Others have it for as long as they write to it and the share is held: so one that
    /// is refused is closed at once, whatever its sharer does.
    open: Option<Arc<OpenFile>>,
    /// How many bytes are counted for it.
    len: u64,
    /// Where it would be on the clock had it only moved as it has to; never ahead of the clock. It
    /// is too slow where it is a stall timeout behind.
    since: Instant,
    /// It waits for room, or for the disk: its sharer cannot be blamed.
    is_held: bool,
    fate: Fate,
}

/// What has become of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives, is whole, or comes to nothing by itself: its bytes count as arriving.
    Arriving,
    /// It was refused, and its bytes are being given back: until then they count as leaving.
    /// `is_over`: its own thread has done with it meanwhile.
    Refused { is_over: bool },
    /// They have been given back; where that has failed, its own thread tries again.
    Discarded,
}

impl Share {
    fn advance(&mut self, bytes: u64, pace: Pace, now: Instant) {
        let earned = pace.time.as_secs_f64() * bytes as f64 / pace.bytes.max(1) as f64;
        let (since, behind) = (self.since, now.saturating_duration_since(self.since));
        let is_behind = earned < behind.as_secs_f64();
        self.since = if is_behind { since + Duration::from_secs_f64(earned) } else { now };
    }

    fn is_too_slow(&self, pace: Pace, now: Instant) -> bool {
        !self.is_held
            && self.open.is_some()
            && now.saturating_duration_since(self.since) >= pace.time
    }
}

/// A file that is being fetched, or is leaving.
#[derive(Debug, Default)]
struct Fetched {
    len: u64,
    fetches: Vec<Arc<Progress>>,
    /// The file, as long as a fetch has it open.
    open: Weak<OpenFile>,
    /// It is staged no longer: its bytes are counted as leaving.
    is_leaving: bool,
    /// It is still to be removed from the directory.
    is_to_be_removed: bool,
}

impl Fetched {
    /// Whether nothing but time is needed until its bytes are given back.
    fn is_ending(&self) -> bool {
        self.fetches.iter().all(|fetch| fetch.is_ended())
    }
}

/// What is on disk.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: u64,
    pace: Pace,
    files: BTreeMap<FileId, Entry>,
    shares: HashMap<u64, Share>,
    last_share: u64,
    fetched: HashMap<FileId, Fetched>,
    /// The bytes of all staged files, of all that are arriving, and of all that are leaving.
    staged: u64,
    arriving: u64,
    leaving: u64,
    /// What could not be removed, and is to be tried again.
    not_removed: Vec<Removal>,
    /// Nobody is to wait for room any more.
    is_stopping: bool,
}

impl Ledger {
    pub(super) fn new(limit: u64, pace: Pace) -> Ledger {
        Ledger {
            limit,
            pace,
            files: BTreeMap::new(),
            shares: HashMap::new(),
            last_share: 0,
            fetched: HashMap::new(),
            staged: 0,
            arriving: 0,
            leaving: 0,
            not_removed: Vec::new(),
            is_stopping: false,
        }
    }

    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
    }

    // Staged files

    /// Takes up what was found at the start, and returns what is to make room.
    pub(super) fn take_up(&mut self, found: BTreeMap<FileId, Entry>) -> Vec<Removal> {
        self.staged = found.values().map(|entry| entry.staged.len).sum();
        self.files = found;
        self.make_room()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (FileId, &Arc<StagedFile>)> {
        self.files.iter().map(|(&id, entry)| (id, &entry.staged))
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn find(&self, id: FileId, asker: Uid) -> Option<&Entry> {
        self.files.get(&id).filter(|entry| entry.staged.is_for(asker))
    }

    /// The bytes of all staged files.
    pub(super) fn staged(&self) -> u64 {
        self.staged
    }

    #[cfg(not(shuttle))]
    #[cfg(test)]
    pub(super) fn is_waiting(&self, number: u64) -> bool {
        self.shares.get(&number).is_some_and(|share| share.is_held)
    }

    /// All that is on disk.
    pub(super) fn total(&self) -> u64 {
        self.staged + self.arriving + self.leaving
    }

    /// Takes the oldest files off the stage until the rest is within the limits.
    fn make_room(&mut self) -> Vec<Removal> {
        let mut removals = std::mem::take(&mut self.not_removed);
        while self.staged > self.limit || self.files.len() > FILES_LIMIT {
            let Some((&oldest, _)) = self.files.first_key_value() else { break };
            removals.extend(self.remove(oldest));
        }
        removals
    }

    /// Takes a file off the stage, to be removed from the directory.
    pub(super) fn remove(&mut self, id: FileId) -> Option<Removal> {
        let entry = self.files.remove(&id)?;
        self.leave(id, entry.staged.len).is_to_be_removed = true;
        Some(Removal { id, file_name: entry.file_name(id) })
    }

    /// Takes a file off the stage that is no longer what it was, and leaves alone what is there now.
    /// Whether it was staged.
    pub(super) fn forget(&mut self, id: FileId) -> bool {
        let Some(entry) = self.files.remove(&id) else { return false };
        self.leave(id, entry.staged.len);
        self.give_back(id);
        true
    }

    fn leave(&mut self, id: FileId, len: u64) -> &mut Fetched {
        self.staged -= len;
        self.leaving += len;
        let fetched = self.fetched.entry(id).or_default();
        fetched.len = len;
        fetched.is_leaving = true;
        fetched
    }

    /// Notes that a file is gone from the directory.
    pub(super) fn end_removal(&mut self, id: FileId) {
        if let Some(fetched) = self.fetched.get_mut(&id) {
            fetched.is_to_be_removed = false;
        }
        self.give_back(id);
    }

    /// Notes that a file could not be removed: it is counted until it can be.
    pub(super) fn retry_removal(&mut self, removal: Removal) {
        self.not_removed.push(removal);
    }

    /// No longer counts a file that nothing keeps.
    fn give_back(&mut self, id: FileId) {
        if let Some(fetched) = self.fetched.get(&id)
            && fetched.fetches.is_empty()
            && !fetched.is_to_be_removed
        {
            if fetched.is_leaving {
                self.leaving -= fetched.len;
            }
            self.fetched.remove(&id);
        }
    }

    // Fetches

    /// Notes that a staged file is fetched, before it is opened: whatever becomes of it meanwhile, it
    /// is counted until [`Ledger::end_fetch`].
    pub(super) fn begin_fetch(&mut self, id: FileId, len: u64, progress: &Arc<Progress>) {
        let fetched = self.fetched.entry(id).or_default();
        fetched.len = len;
        fetched.fetches.push(Arc::clone(progress));
    }

    /// A file that is fetched, where one who does so has it open.
    pub(super) fn open_file(&self, id: FileId) -> Option<Arc<OpenFile>> {
        self.fetched.get(&id)?.open.upgrade()
    }

    /// Notes that one who fetches a file has opened it.
    pub(super) fn set_open_file(&mut self, id: FileId, open: &Arc<OpenFile>) {
        if let Some(fetched) = self.fetched.get_mut(&id) {
            fetched.open = Arc::downgrade(open);
        }
    }

    pub(super) fn end_fetch(&mut self, id: FileId, progress: &Arc<Progress>) {
        if let Some(fetched) = self.fetched.get_mut(&id) {
            fetched.fetches.retain(|other| !Arc::ptr_eq(other, progress));
        }
        self.give_back(id);
    }

    /// The slowest fetches of files that are leaving, until those have so many bytes; they count as
    /// ended, and [`Progress::end`] is to be called.
    ///
    /// A file that several fetch is given back when the last of them ends: so the fastest of them
    /// counts, and none is ended in vain.
    pub(super) fn end_slowest(&mut self, lacking: u64, now: Instant) -> Vec<Arc<Progress>> {
        let mut candidates: Vec<_> = self
            .fetched
            .values()
            .filter(|fetched| fetched.is_leaving && !fetched.is_ending())
            .map(|fetched| {
                let rates = fetched.fetches.iter().map(|fetch| fetch.rate(now, self.pace));
                (rates.fold(0.0, f64::max), fetched)
            })
            .collect();
        candidates.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut found = 0;
        let mut ended = Vec::new();
        for (_, fetched) in candidates {
            if found >= lacking {
                break;
            }
            found += fetched.len;
            ended.extend(fetched.fetches.iter().filter(|fetch| fetch.mark_ended()).cloned());
        }
        ended
    }

    // Shares

    /// A number for the next share.
    pub(super) fn next_share(&mut self) -> u64 {
        self.last_share += 1;
        self.last_share
    }

    pub(super) fn begin_share(&mut self, number: u64, open: OpenFile, now: Instant) {
        let open = Some(Arc::new(open));
        let share = Share { open, len: 0, since: now, is_held: false, fate: Fate::Arriving };
        self.shares.insert(number, share);
    }

    /// Counts the next bytes of a share, if there is room; the share is held until it is let go.
    pub(super) fn reserve(&mut self, number: u64, bytes: u64, now: Instant) -> Room {
        let Some(open) = self.shares.get(&number).and_then(|share| share.open.clone()) else {
            return Room::Refused(StageError::ShareTooSlow);
        };
        if self.arriving + bytes > self.limit {
            let lacking = self.arriving + bytes - self.limit;
            return self.make_room_for_share(number, lacking, now);
        }
        let total = self.total() + bytes;
        if total > self.limit.saturating_mul(2) {
            let ending = self.fetched.values().filter(|file| file.is_leaving && file.is_ending());
            let ending: u64 = ending.map(|fetched| fetched.len).sum();
            let lacking = total - self.limit.saturating_mul(2);
            return self.unless_stopping(Room::Leaving(lacking.saturating_sub(ending)));
        }
        self.arriving += bytes;
        if let Some(share) = self.shares.get_mut(&number) {
            share.len += bytes;
            share.is_held = true;
            share.advance(bytes, self.pace, now);
        }
        Room::Taken(open)
    }

    fn unless_stopping(&self, room: Room) -> Room {
        if self.is_stopping { Room::Refused(StageError::Busy) } else { room }
    }

    /// The slowest of the other shares make room, where there are enough that are too slow.
    fn make_room_for_share(&mut self, number: u64, lacking: u64, now: Instant) -> Room {
        let others = || {
            self.shares
                .iter()
                .filter(|(other, share)| **other != number && share.fate == Fate::Arriving)
                .filter(|(_, share)| share.len > 0)
        };
        let mut slow: Vec<_> =
            others().filter(|(_, share)| share.is_too_slow(self.pace, now)).collect();
        slow.sort_unstable_by_key(|(_, share)| share.since);
        let mut found = 0;
        let chosen: Vec<u64> = slow
            .iter()
            .take_while(|(_, share)| {
                let is_lacking = found < lacking;
                found += share.len;
                is_lacking
            })
            .map(|(other, _)| **other)
            .collect();
        if found >= lacking {
            return Room::Discard(chosen.iter().filter_map(|&other| self.refuse(other)).collect());
        }
        // One that is not held goes on, and so ends or becomes too slow, or is at its end. Where all are
        // held, one has to make room for the others: this one.
        if others().any(|(_, share)| !share.is_held) {
            return self.unless_stopping(Room::Crowded);
        }
        Room::Refused(StageError::Busy)
    }

    /// The slowest share gives up its place for somebody else's, where it is too slow.
    pub(super) fn make_place(&mut self, now: Instant) -> Option<Discard> {
        let slow = self.shares.iter().filter(|(_, share)| share.is_too_slow(self.pace, now));
        let (&slowest, _) = slow.min_by_key(|(_, share)| share.since)?;
        self.refuse(slowest)
    }

    fn refuse(&mut self, number: u64) -> Option<Discard> {
        let share = self.shares.get_mut(&number)?;
        let open = share.open.take()?;
        share.fate = Fate::Refused { is_over: false };
        self.arriving -= share.len;
        self.leaving += share.len;
        Some(Discard { number, open })
    }

    /// Notes that a refused share is closed, and whether its bytes are given back; they are counted
    /// for as long as its own thread can still see to that.
    pub(super) fn end_discard(&mut self, number: u64, is_given_back: bool) {
        let Some(share) = self.shares.get_mut(&number) else { return };
        let is_over = share.fate == Fate::Refused { is_over: true };
        share.fate = Fate::Discarded;
        if is_given_back {
            self.leaving -= std::mem::take(&mut share.len);
        }
        if is_over {
            self.end_share(number);
        }
    }

    /// Keeps a share from being refused while it waits for room; its time does not count.
    pub(super) fn hold(&mut self, number: u64) {
        if let Some(share) = self.shares.get_mut(&number) {
            share.is_held = true;
        }
    }

    /// Its sharer has to go on; the time for which it was held does not count.
    pub(super) fn let_go(&mut self, number: u64, held: Duration) {
        if let Some(share) = self.shares.get_mut(&number) {
            share.is_held = false;
            let since = share.since;
            share.since = since + held;
        }
    }

    /// Keeps a share that is whole from being refused, and returns its file.
    pub(super) fn begin_commit(&mut self, number: u64) -> Result<Arc<OpenFile>, StageError> {
        let share = self.shares.get_mut(&number).ok_or(StageError::ShareTooSlow)?;
        let open = share.open.clone().ok_or(StageError::ShareTooSlow)?;
        share.is_held = true;
        Ok(open)
    }

    /// Stages a file that has its name, and returns what is to make room for it.
    pub(super) fn commit(&mut self, number: u64, id: FileId, entry: Entry) -> Vec<Removal> {
        if let Some(share) = self.shares.remove(&number) {
            self.arriving -= share.len;
        }
        self.staged += entry.staged.len;
        self.files.insert(id, entry);
        self.make_room()
    }

    /// The file of a share that comes to nothing, unless that was given back already;
    /// [`Ledger::end_share`] is to follow.
    pub(super) fn close_share(&mut self, number: u64) -> Option<Arc<OpenFile>> {
        self.shares.get_mut(&number)?.open.take()
    }

    /// Notes that a share has come to nothing, and is gone from the directory. One that was refused is
    /// counted until [`Ledger::end_discard`].
    pub(super) fn end_share(&mut self, number: u64) {
        let Some(share) = self.shares.get_mut(&number) else { return };
        match share.fate {
            Fate::Refused { .. } => {
                share.fate = Fate::Refused { is_over: true };
                return;
            }
            Fate::Arriving => self.arriving -= share.len,
            Fate::Discarded => self.leaving -= share.len,
        }
        self.shares.remove(&number);
    }
}
