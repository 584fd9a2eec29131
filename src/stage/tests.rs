//! The stage on real directories.

use std::io::Read;

use super::*;
use crate::text::Charset;

const TOM: Uid = Uid(1);
const ANN: Uid = Uid(2);
const EVE: Uid = Uid(3);

fn extension(text: &str) -> Extension {
    Extension::parse(text.as_bytes()).unwrap()
}

fn share(stage: &Stage, bytes: &[u8], kind: &str, to: Option<Uid>) -> Result<FileId, StageError> {
    let mut arrival = stage.begin(to)?;
    for piece in bytes.chunks(7) {
        arrival.write(piece)?;
    }
    arrival.commit(extension(kind), None, TOM)
}

fn fetched(stage: &Stage, id: u64, asker: Uid) -> Result<Vec<u8>, StageError> {
    let (staged, fetch) = stage.fetch(FileId(id), asker, || (), || ())?;
    let mut bytes = Vec::new();
    fetch.file().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, staged.len);
    Ok(bytes)
}

/// A pace that nothing is too slow for in these tests.
const EASY: Pace = Pace { bytes: 1, time: Duration::from_secs(60) };

fn open(dir: Option<&Path>, limit: u64) -> io::Result<Stage> {
    Stage::open(dir, limit, EASY)
}

/// Makes a directory a stage, as the first server does that uses it.
fn mark(dir: &Path) {
    fs::write(dir.join(MARK), "").unwrap();
}

/// The names in a directory, but for the mark.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != MARK);
    names.sort();
    names
}

#[test]
fn a_file_is_fetched_as_it_was_shared() {
    let stage = open(None, 1000).unwrap();
    assert_eq!(share(&stage, b"\0binary\xff", "jpg", None), Ok(FileId(1)));
    assert_eq!(share(&stage, b"", "tar.gz", None), Ok(FileId(2)));
    assert_eq!(fetched(&stage, 1, EVE), Ok(b"\0binary\xff".to_vec()));
    assert_eq!(fetched(&stage, 2, EVE), Ok(Vec::new()));
    assert_eq!(fetched(&stage, 3, EVE), Err(StageError::NoSuchFile { id: FileId(3) }));
}

#[test]
fn a_private_file_is_for_its_receiver_and_its_sender_alone() {
    let stage = open(None, 1000).unwrap();
    let id = share(&stage, b"secret", "txt", Some(ANN)).unwrap();
    assert_eq!(fetched(&stage, id.0, ANN), Ok(b"secret".to_vec()));
    assert_eq!(fetched(&stage, id.0, TOM), Ok(b"secret".to_vec()));
    assert_eq!(fetched(&stage, id.0, EVE), Err(StageError::NoSuchFile { id }));
    assert_eq!(stage.list(EVE), []);
    assert_eq!(stage.list(ANN).len(), 1);
}

#[test]
fn the_oldest_make_room_and_one_being_fetched_is_read_to_its_end() {
    let stage = open(None, 10).unwrap();
    share(&stage, b"aaaa", "a", None).unwrap();
    share(&stage, b"bbbb", "b", None).unwrap();
    let (_, held) = stage.fetch(FileId(1), EVE, || (), || ()).unwrap();
    share(&stage, b"cccc", "c", None).unwrap();
    assert_eq!(fetched(&stage, 1, EVE), Err(StageError::NoSuchFile { id: FileId(1) }));
    assert_eq!(fetched(&stage, 2, EVE), Ok(b"bbbb".to_vec()));
    assert_eq!(names(&stage.dir), ["2.b", "3.c"]);
    let mut bytes = Vec::new();
    held.file().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"aaaa");
    drop(held);
    // As large as the limit: room for nothing else.
    share(&stage, b"dddddddddd", "d", None).unwrap();
    assert_eq!(names(&stage.dir), ["4.d"]);
}

#[test]
fn public_files_survive_a_restart_and_private_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    share(&stage, b"public", "jpg", None).unwrap();
    share(&stage, b"private", "jpg", Some(ANN)).unwrap();
    // A server that dies in the middle of an arrival.
    let mut arrival = stage.begin(None).unwrap();
    arrival.write(b"half").unwrap();
    std::mem::forget(arrival);
    drop(stage);
    assert_eq!(names(dir.path()), [".arriving.3", ".private.2.jpg", "1.jpg"]);

    let stage = open(Some(dir.path()), 1000).unwrap();
    assert_eq!(names(dir.path()), ["1.jpg"]);
    assert_eq!(fetched(&stage, 1, TOM), Ok(b"public".to_vec()));
    assert_eq!(stage.list(ANN)[0].1.from, Uid(0));
    assert_eq!(fetched(&stage, 2, ANN), Err(StageError::NoSuchFile { id: FileId(2) }));
    assert_eq!(share(&stage, b"next", "txt", None), Ok(FileId(3)));
    stage.close();
    assert_eq!(names(dir.path()), ["1.jpg", "3.txt"]);
}

#[test]
fn a_closed_stage_is_free_though_a_child_process_has_a_copy_of_its_lock() {
    // Between the fork and the exec of any program that is started at the same time.
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    let _copy = stage.lock.lock().as_ref().unwrap().dir().try_clone().unwrap();
    assert!(open(Some(dir.path()), 1000).is_err());
    drop(stage);
    open(Some(dir.path()), 1000).unwrap();
}

#[test]
fn a_restart_takes_up_nothing_but_its_own_names() {
    let dir = tempfile::tempdir().unwrap();
    let strange = [
        "notes",
        "notes.txt",
        "0.jpg",
        "007.jpg",
        "1",
        "1.",
        "1..x",
        "x.1",
        "1.a b",
        "-1.jpg",
        "18446744073709551616.jpg",
        ".private.x.jpg",
        ".arriving.notes",
        "3 README",
        "3  blank.txt",
    ];
    mark(dir.path());
    for name in strange.iter().chain(&["12.tar.gz", "11 holiday plan.pdf"]) {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    fs::create_dir(dir.path().join("5.dir")).unwrap();
    std::os::unix::fs::symlink("12.tar.gz", dir.path().join("6.link")).unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    let listed: Vec<_> =
        stage.list(TOM).into_iter().map(|(id, file)| (id.0, file.extension.clone())).collect();
    assert_eq!(listed, [(11, extension("pdf")), (12, extension("tar.gz"))]);
    assert_eq!(share(&stage, b"next", "txt", None), Ok(FileId(13)));
    for name in strange {
        assert!(dir.path().join(name).exists(), "{name} was touched");
    }
}

#[test]
fn a_directory_is_used_by_one_server_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    let error = open(Some(dir.path()), 1000).unwrap_err();
    assert_eq!(error.to_string(), "another multichatd uses it");
    drop(stage);
    open(Some(dir.path()), 1000).unwrap();
}

#[test]
fn a_directory_that_was_removed_is_made_again_and_lost_files_are_no_longer_staged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stage");
    let stage = open(Some(&path), 1000).unwrap();
    let id = share(&stage, b"lost", "txt", None).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(fetched(&stage, id.0, TOM), Err(StageError::NoSuchFile { id }));
    assert_eq!(stage.list(TOM), []);
    assert_eq!(share(&stage, b"next", "txt", None), Ok(FileId(2)));
    assert_eq!(fetched(&stage, 2, TOM), Ok(b"next".to_vec()));
    // The new one is locked like the one before.
    let error = open(Some(&path), 1000).unwrap_err();
    assert_eq!(error.to_string(), "another multichatd uses it");
}

#[test]
fn a_directory_that_another_server_has_taken_meanwhile_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stage");
    let stage = open(Some(&path), 1000).unwrap();
    fs::remove_dir_all(&path).unwrap();
    let other = open(Some(&path), 1000).unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Err(StageError::StoreFailed));
    assert_eq!(names(&path), [""; 0]);
    assert_eq!(share(&other, b"x", "txt", None), Ok(FileId(1)));
    drop(other);
    assert_eq!(share(&stage, b"y", "txt", None), Ok(FileId(2)));
}

#[test]
fn a_directory_that_is_none_is_an_error_for_the_share_and_ends_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stage");
    let stage = open(Some(&path), 1000).unwrap();
    fs::remove_dir_all(&path).unwrap();
    fs::write(&path, "in the way").unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Err(StageError::StoreFailed));
    assert!(stage.failing.load(Ordering::Relaxed));
    fs::remove_file(&path).unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Ok(FileId(1)));
    assert!(!stage.failing.load(Ordering::Relaxed));
}

#[test]
fn a_file_that_was_changed_on_disk_is_no_longer_staged() {
    let stage = open(None, 1000).unwrap();
    let id = share(&stage, b"whole", "txt", None).unwrap();
    fs::write(stage.dir.join("1.txt"), "cut").unwrap();
    assert_eq!(fetched(&stage, id.0, TOM), Err(StageError::NoSuchFile { id }));
}

#[test]
fn the_temporary_directory_is_removed() {
    let stage = open(None, 1000).unwrap();
    share(&stage, b"x", "txt", None).unwrap();
    let dir = stage.dir.clone();
    assert!(dir.exists());
    stage.close();
    assert!(!dir.exists());
}

#[test]
fn no_file_put_there_by_hand_is_overwritten_or_makes_file_ids_wrap() {
    let dir = tempfile::tempdir().unwrap();
    mark(dir.path());
    for name in ["18446744073709551614.jpg", "18446744073709551615.jpg", "2.bin"] {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    let stage = open(Some(dir.path()), 1000).unwrap();
    fs::write(dir.path().join("3.bin"), "mine").unwrap();
    assert_eq!(share(&stage, b"new", "bin", None), Ok(FileId(4)));
    for name in ["2.bin", "3.bin"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"mine", "{name}");
    }
}

#[test]
fn what_stands_in_a_files_place_is_neither_followed_nor_waited_for() {
    let stage = open(None, 1000).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "SECR").unwrap();
    let link = share(&stage, b"1234", "bin", None).unwrap();
    fs::remove_file(stage.dir.join("1.bin")).unwrap();
    std::os::unix::fs::symlink(secret.path(), stage.dir.join("1.bin")).unwrap();
    assert_eq!(fetched(&stage, link.0, TOM), Err(StageError::NoSuchFile { id: link }));
    let fifo = share(&stage, b"", "bin", None).unwrap();
    fs::remove_file(stage.dir.join("2.bin")).unwrap();
    // Not by a program: its process would hold the locks of all tests for a moment.
    let (fifo_type, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, stage.dir.join("2.bin"), fifo_type, mode, 0).unwrap();
    assert_eq!(fetched(&stage, fifo.0, TOM), Err(StageError::NoSuchFile { id: fifo }));
}

#[test]
fn a_private_file_is_private_on_disk() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    share(&stage, b"secret", "txt", Some(ANN)).unwrap();
    let found = fs::metadata(dir.path().join(".private.1.txt")).unwrap();
    assert_eq!(found.permissions().mode() & 0o077, 0);
}

#[test]
fn the_private_directory_is_private_on_disk() {
    use std::os::unix::fs::PermissionsExt;
    let stage = open(None, 1000).unwrap();
    assert_eq!(fs::metadata(&stage.dir).unwrap().permissions().mode() & 0o077, 0);
    stage.close();
}

#[test]
fn a_directory_that_holds_something_and_is_no_stage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let photo = dir.path().join("1.jpg");
    fs::write(&photo, "mine").unwrap();
    let error = open(Some(dir.path()), 1).unwrap_err().to_string();
    assert!(error.contains("not empty") && error.contains(MARK), "{error}");
    assert_eq!(names(dir.path()), ["1.jpg"]);
    // A mark that is none.
    fs::create_dir(dir.path().join(MARK)).unwrap();
    let error = open(Some(dir.path()), 1).unwrap_err().to_string();
    assert!(error.contains("no plain file"), "{error}");
    fs::remove_dir(dir.path().join(MARK)).unwrap();
    std::os::unix::fs::symlink(&photo, dir.path().join(MARK)).unwrap();
    assert!(open(Some(dir.path()), 1).is_err());
    assert_eq!(fs::read(&photo).unwrap(), b"mine");
    fs::remove_file(dir.path().join(MARK)).unwrap();
    mark(dir.path());
    assert_eq!(open(Some(dir.path()), 100).unwrap().list(TOM).len(), 1);
}

#[test]
fn an_empty_directory_is_marked_and_stays_a_stage() {
    let top = tempfile::tempdir().unwrap();
    let new = top.path().join("new");
    for dir in [&new, &top.path().join("deeper/still"), &new] {
        let stage = open(Some(dir), 100).unwrap();
        share(&stage, b"x", "txt", None).unwrap();
        assert!(dir.join(MARK).is_file());
    }
    assert_eq!(names(&new), ["1.txt", "2.txt"]);
}

#[test]
fn a_directory_that_is_no_stage_is_left_alone_at_run_time_too() {
    let top = tempfile::tempdir().unwrap();
    let dir = top.path().join("stage");
    let stage = open(Some(&dir), 100).unwrap();
    share(&stage, b"x", "txt", None).unwrap();
    fs::rename(&dir, top.path().join("away")).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("1.jpg"), "mine").unwrap();
    assert_eq!(share(&stage, b"y", "txt", None), Err(StageError::StoreFailed));
    assert_eq!(names(&dir), ["1.jpg"]);
    fs::remove_dir_all(&dir).unwrap();
    fs::rename(top.path().join("away"), &dir).unwrap();
    assert_eq!(share(&stage, b"y", "txt", None), Ok(FileId(2)));
    assert_eq!(fetched(&stage, 1, TOM), Ok(b"x".to_vec()));
}

fn file_name(text: &str) -> FileName {
    FileName::parse(text.as_bytes(), Charset::Utf8).unwrap()
}

/// Shares a file that has a name.
fn share_named(stage: &Stage, name: &str, kind: &str, to: Option<Uid>) -> FileId {
    let mut arrival = stage.begin(to).unwrap();
    arrival.write(name.as_bytes()).unwrap();
    arrival.commit(extension(kind), Some(file_name(name)), TOM).unwrap()
}

#[test]
fn a_file_with_a_name_is_called_by_it_on_disk_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 10_000).unwrap();
    let long = "\u{e4}".repeat(100);
    let shared = [
        ("holiday plan.pdf", "pdf"),
        ("README", "txt"),
        ("x.tar.gz", "tar.gz"),
        (".profile", "bin"),
        (&long, "abcdefghijklmnopqrstuvwxyz-32.bit"),
    ];
    for (name, kind) in shared {
        let kind = &kind[..kind.len().min(32)];
        let id = share_named(&stage, name, kind, None);
        assert_eq!(fetched(&stage, id.0, EVE), Ok(name.as_bytes().to_vec()), "{name}");
        assert_eq!(stage.find(id, EVE).unwrap().name, Some(file_name(name)));
    }
    // One without a name between them, and a private file is hidden.
    assert_eq!(share(&stage, b"xx", "txt", None), Ok(FileId(6)));
    assert_eq!(share_named(&stage, "secret.txt", "txt", Some(ANN)), FileId(7));
    let on_disk = names(dir.path());
    assert_eq!(on_disk[0], ".private.7.txt");
    assert_eq!(
        on_disk[1..5],
        ["1 holiday plan.pdf", "2 README.txt", "3 x.tar.gz", "4 .profile.bin"]
    );
    assert!(on_disk[5].starts_with("5 \u{e4}") && on_disk[6] == "6.txt", "{on_disk:?}");
    drop(stage);

    let stage = open(Some(dir.path()), 10_000).unwrap();
    let listed: Vec<_> = stage.list(EVE).into_iter().map(|(id, file)| (id.0, file)).collect();
    let said: Vec<_> = listed
        .iter()
        .map(|(id, file)| (*id, file.name.as_ref().map(FileName::as_str), file.extension.as_str()))
        .collect();
    assert_eq!(
        said[..4],
        [
            (1, Some("holiday plan.pdf"), "pdf"),
            (2, Some("README.txt"), "txt"),
            (3, Some("x.tar.gz"), "tar.gz"),
            (4, Some(".profile.bin"), "bin"),
        ]
    );
    assert_eq!((said[5].0, said[5].1), (6, None));
    for (id, file) in &listed {
        assert_eq!(fetched(&stage, *id, EVE).unwrap().len() as u64, file.len);
    }
    // And made room for, like any other.
    drop(stage);
    let stage = open(Some(dir.path()), 1).unwrap();
    assert_eq!(stage.list(EVE), []);
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_file_id_that_anything_in_the_directory_has_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Ok(FileId(1)));
    // Put there while the server runs.
    for name in ["2.png", "3 holiday plan.pdf", "4", "6.", ".private.7.txt", "8 notes"] {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    fs::create_dir(dir.path().join("5.dir")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("9.link")).unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Ok(FileId(10)));
    fs::write(dir.path().join("11.png"), "mine").unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Ok(FileId(12)));
    assert_eq!(share(&stage, b"x", "txt", Some(ANN)), Ok(FileId(13)));
}

#[test]
fn a_file_put_there_by_hand_never_takes_a_shared_files_id() {
    let elsewhere = tempfile::tempdir().unwrap();
    let old = elsewhere.path().join("old");
    fs::write(&old, "older than the stage").unwrap();
    for nth in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let stage = open(Some(dir.path()), 1000).unwrap();
        for kind in ["txt", "a", "zz"] {
            share(&stage, b"shared", kind, None).unwrap();
        }
        for name in ["1.a", "1.zz", "2 a.txt", "3.png"] {
            fs::write(dir.path().join(name), "by hand").unwrap();
        }
        // Written long ago, and moved here now.
        fs::copy(&old, elsewhere.path().join("copy")).unwrap();
        fs::rename(elsewhere.path().join("copy"), dir.path().join("3.b")).unwrap();
        let moved = File::options().write(true).open(dir.path().join("3.b")).unwrap();
        moved.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        drop(stage);
        let stage = open(Some(dir.path()), 1000).unwrap();
        for id in 1..=3 {
            assert_eq!(fetched(&stage, id, EVE), Ok(b"shared".to_vec()), "file {id} of {nth}");
        }
        assert_eq!(stage.list(EVE).len(), 3);
        assert_eq!(names(dir.path()).len(), 8, "the others are left alone");
    }
}

#[test]
fn an_arriving_file_of_somebody_else_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 1000).unwrap();
    for number in 1..4 {
        fs::write(dir.path().join(format!(".arriving.{number}")), "mine").unwrap();
    }
    assert_eq!(share(&stage, b"x", "txt", None), Ok(FileId(1)));
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn a_file_that_cannot_be_removed_is_counted_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let stage = open(Some(dir.path()), 10).unwrap();
    share(&stage, b"12345678", "a", None).unwrap();
    let removal = stage.shared.ledger.lock().remove(FileId(1)).unwrap();
    stage.shared.ledger.lock().retry_removal(removal);
    assert_eq!(stage.shared.ledger.lock().total(), 8);
    share(&stage, b"x", "b", None).unwrap();
    assert_eq!(stage.shared.ledger.lock().total(), 1);
    assert_eq!(names(dir.path()), ["2.b"]);
}
