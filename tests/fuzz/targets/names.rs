//! Any file names in the stage's directory, at a restart: no panic; what is listed is named as a
//! staged file is, and can be fetched; what is not the stage's own is left alone, then and when the
//! next file is shared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use multichat::ids::{FileId, Uid};
use multichat::stage::{MARK, Pace, Stage};
use multichat::text::Extension;
use multichat::wire::parse_number;

/// Each file's length, and the room that there is: for three.
const LEN: usize = 300;
const STAGE_LIMIT: u64 = 1000;

const NAMES_LIMIT: usize = 8;

/// The bytes are the names, and `/` ends each.
pub(crate) fn run(data: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let names = data.split(|&byte| byte == b'/').filter(|name| is_name(name)).take(NAMES_LIMIT);
    let files: BTreeMap<&[u8], Vec<u8>> =
        names.enumerate().map(|(nth, name)| (name, vec![b'a' + nth as u8; LEN])).collect();
    for (name, content) in &files {
        fs::write(path(dir.path(), name), content).expect("write the file");
    }
    fs::write(dir.path().join(MARK), "").expect("mark the directory");
    let pace = Pace { bytes: 1000, time: Duration::from_secs(1) };
    let stage = Stage::open(Some(dir.path()), STAGE_LIMIT, pace).expect("open the stage");
    let listed: Vec<FileId> = stage.list(Uid(1)).into_iter().map(|(id, _)| id).collect();
    for &id in &listed {
        let content = fetch(&stage, id);
        let mut of_that_id = files.iter().filter(|(name, _)| number(name) == Some(id));
        assert!(of_that_id.any(|(_, expected)| *expected == content), "file {id}");
    }
    let oldest = listed.iter().copied().min();
    for (name, content) in &files {
        match fs::read(path(dir.path(), name)) {
            Ok(found) => assert_eq!(found, *content),
            // Of an earlier run, and of no use to this one.
            Err(_) if name.starts_with(b".private.") || name.starts_with(b".arriving.") => {}
            // Gone to make room, the oldest first.
            Err(_) => {
                assert_eq!(listed.len(), STAGE_LIMIT as usize / LEN, "{}", name.escape_ascii());
                let id = number(name).expect("a File-ID");
                assert!(oldest.is_some_and(|oldest| id < oldest), "{}", name.escape_ascii());
            }
        }
    }
    share(&stage);
    for (name, content) in &files {
        let found = fs::read(path(dir.path(), name));
        assert!(found.is_err() || found.is_ok_and(|found| found == *content), "overwritten");
    }
}

/// Shares a file: it has to get an ID that no other has.
fn share(stage: &Stage) {
    let before: Vec<_> = stage.list(Uid(1)).into_iter().map(|(id, _)| id).collect();
    let mut arrival = stage.begin(None).expect("room for a file");
    arrival.write(b"new").expect("write the file");
    let extension = Extension::parse(b"jpg").expect("an extension");
    let id = arrival.commit(extension, None, Uid(1)).expect("a File-ID");
    assert!(before.iter().all(|&other| other < id));
    assert_eq!(fetch(stage, id), b"new");
}

fn fetch(stage: &Stage, id: FileId) -> Vec<u8> {
    let (staged, fetch) = stage.fetch(id, Uid(1), || (), || ()).expect("fetch what is listed");
    let mut content = Vec::new();
    fetch.file().read_to_end(&mut content).expect("read the file");
    assert_eq!(staged.len, content.len() as u64);
    content
}

/// The number that a name begins with.
fn number(name: &[u8]) -> Option<FileId> {
    let digits = name.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
    parse_number(digits).map(FileId)
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.contains(&0) && name != b"." && name != b".."
}

fn path(dir: &Path, name: &[u8]) -> PathBuf {
    dir.join(OsStr::from_bytes(name))
}
