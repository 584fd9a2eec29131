//! The stage on real directories.

use std::io::Read;

use super::*;

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
    arrival.commit(extension(kind), TOM)
}

fn fetched(stage: &Stage, id: u64, asker: Uid) -> Result<Vec<u8>, StageError> {
    let (staged, file) = stage.fetch(FileId(id), asker)?;
    let mut bytes = Vec::new();
    (&*file).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, staged.len);
    Ok(bytes)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_fetched_as_it_was_shared() {
    let stage = Stage::open(None, 1000).unwrap();
    assert_eq!(share(&stage, b"\0binary\xff", "jpg", None), Ok(FileId(1)));
    assert_eq!(share(&stage, b"", "tar.gz", None), Ok(FileId(2)));
    assert_eq!(fetched(&stage, 1, EVE), Ok(b"\0binary\xff".to_vec()));
    assert_eq!(fetched(&stage, 2, EVE), Ok(Vec::new()));
    assert_eq!(fetched(&stage, 3, EVE), Err(StageError::NoSuchFile { id: FileId(3) }));
}

#[test]
fn a_private_file_is_for_its_receiver_and_its_sender_alone() {
    let stage = Stage::open(None, 1000).unwrap();
    let id = share(&stage, b"secret", "txt", Some(ANN)).unwrap();
    assert_eq!(fetched(&stage, id.0, ANN), Ok(b"secret".to_vec()));
    assert_eq!(fetched(&stage, id.0, TOM), Ok(b"secret".to_vec()));
    assert_eq!(fetched(&stage, id.0, EVE), Err(StageError::NoSuchFile { id }));
    assert_eq!(stage.list(EVE), []);
    assert_eq!(stage.list(ANN).len(), 1);
}

#[test]
fn the_oldest_make_room_and_one_being_fetched_is_read_to_its_end() {
    let stage = Stage::open(None, 10).unwrap();
    share(&stage, b"aaaa", "a", None).unwrap();
    share(&stage, b"bbbb", "b", None).unwrap();
    let (_, open) = stage.fetch(FileId(1), EVE).unwrap();
    share(&stage, b"cccc", "c", None).unwrap();
    assert_eq!(fetched(&stage, 1, EVE), Err(StageError::NoSuchFile { id: FileId(1) }));
    assert_eq!(fetched(&stage, 2, EVE), Ok(b"bbbb".to_vec()));
    assert_eq!(names(&stage.dir), ["2.b", "3.c"]);
    let mut bytes = Vec::new();
    (&*open).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"aaaa");
    // As large as the limit: room for nothing else.
    share(&stage, b"dddddddddd", "d", None).unwrap();
    assert_eq!(names(&stage.dir), ["4.d"]);
}

#[test]
fn what_is_arriving_is_held_to_the_same_limit_and_leaves_nothing_behind() {
    let stage = Stage::open(None, 10).unwrap();
    let mut first = stage.begin(None).unwrap();
    first.write(b"123456").unwrap();
    let mut second = stage.begin(None).unwrap();
    assert_eq!(second.write(b"12345"), Err(StageError::Busy));
    drop(second);
    drop(first);
    assert_eq!(names(&stage.dir), [""; 0]);
    assert_eq!(stage.state.lock().arriving, 0);
    assert_eq!(share(&stage, b"0123456789", "x", None), Ok(FileId(1)));
    assert_eq!(stage.state.lock().arriving, 0);
}

#[test]
fn public_files_survive_a_restart_and_private_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::open(Some(dir.path()), 1000).unwrap();
    share(&stage, b"public", "jpg", None).unwrap();
    share(&stage, b"private", "jpg", Some(ANN)).unwrap();
    // A server that dies in the middle of an arrival.
    let mut arrival = stage.begin(None).unwrap();
    arrival.write(b"half").unwrap();
    arrival.len = 0;
    std::mem::forget(arrival);
    drop(stage);
    assert_eq!(names(dir.path()), [".arriving.3", ".private.2.jpg", "1.jpg"]);

    let stage = Stage::open(Some(dir.path()), 1000).unwrap();
    assert_eq!(names(dir.path()), ["1.jpg"]);
    assert_eq!(fetched(&stage, 1, TOM), Ok(b"public".to_vec()));
    assert_eq!(stage.list(ANN)[0].1.from, Uid(0));
    assert_eq!(fetched(&stage, 2, ANN), Err(StageError::NoSuchFile { id: FileId(2) }));
    assert_eq!(share(&stage, b"next", "txt", None), Ok(FileId(3)));
    stage.close();
    assert_eq!(names(dir.path()), ["1.jpg", "3.txt"]);
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
    ];
    for name in strange.iter().chain(&["12.tar.gz"]) {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    fs::create_dir(dir.path().join("5.dir")).unwrap();
    std::os::unix::fs::symlink("12.tar.gz", dir.path().join("6.link")).unwrap();
    let stage = Stage::open(Some(dir.path()), 1000).unwrap();
    let listed: Vec<_> =
        stage.list(TOM).into_iter().map(|(id, file)| (id.0, file.extension)).collect();
    assert_eq!(listed, [(12, extension("tar.gz"))]);
    assert_eq!(share(&stage, b"next", "txt", None), Ok(FileId(13)));
    for name in strange {
        assert!(dir.path().join(name).exists(), "{name} was touched");
    }
}

#[test]
fn a_directory_is_used_by_one_server_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::open(Some(dir.path()), 1000).unwrap();
    let error = Stage::open(Some(dir.path()), 1000).unwrap_err();
    assert_eq!(error.to_string(), "another multichatd uses it");
    drop(stage);
    Stage::open(Some(dir.path()), 1000).unwrap();
}

#[test]
fn a_directory_that_was_removed_is_made_again_and_lost_files_are_no_longer_staged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stage");
    let stage = Stage::open(Some(&path), 1000).unwrap();
    let id = share(&stage, b"lost", "txt", None).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(fetched(&stage, id.0, TOM), Err(StageError::NoSuchFile { id }));
    assert_eq!(stage.list(TOM), []);
    assert_eq!(share(&stage, b"next", "txt", None), Ok(FileId(2)));
    assert_eq!(fetched(&stage, 2, TOM), Ok(b"next".to_vec()));
    // The new one is locked like the one before.
    let error = Stage::open(Some(&path), 1000).unwrap_err();
    assert_eq!(error.to_string(), "another multichatd uses it");
}

#[test]
fn a_directory_that_another_server_has_taken_meanwhile_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stage");
    let stage = Stage::open(Some(&path), 1000).unwrap();
    fs::remove_dir_all(&path).unwrap();
    let other = Stage::open(Some(&path), 1000).unwrap();
    assert_eq!(share(&stage, b"x", "txt", None), Err(StageError::StoreFailed));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    assert_eq!(share(&other, b"x", "txt", None), Ok(FileId(1)));
    drop(other);
    assert_eq!(share(&stage, b"y", "txt", None), Ok(FileId(2)));
}

#[test]
fn a_directory_that_is_none_is_an_error_for_the_share_and_ends_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stage");
    let stage = Stage::open(Some(&path), 1000).unwrap();
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
    let stage = Stage::open(None, 1000).unwrap();
    let id = share(&stage, b"whole", "txt", None).unwrap();
    fs::write(stage.dir.join("1.txt"), "cut").unwrap();
    assert_eq!(fetched(&stage, id.0, TOM), Err(StageError::NoSuchFile { id }));
}

#[test]
fn the_temporary_directory_is_removed() {
    let stage = Stage::open(None, 1000).unwrap();
    share(&stage, b"x", "txt", None).unwrap();
    let dir = stage.dir.clone();
    assert!(dir.exists());
    stage.close();
    assert!(!dir.exists());
}

#[test]
fn no_file_put_there_by_hand_is_overwritten_or_makes_file_ids_wrap() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["18446744073709551614.jpg", "18446744073709551615.jpg", "2.bin"] {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    let stage = Stage::open(Some(dir.path()), 1000).unwrap();
    fs::write(dir.path().join("3.bin"), "mine").unwrap();
    assert_eq!(share(&stage, b"new", "bin", None), Ok(FileId(4)));
    for name in ["2.bin", "3.bin"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"mine", "{name}");
    }
}

#[test]
fn what_stands_in_a_files_place_is_neither_followed_nor_waited_for() {
    let stage = Stage::open(None, 1000).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "SECR").unwrap();
    let link = share(&stage, b"1234", "bin", None).unwrap();
    fs::remove_file(stage.dir.join("1.bin")).unwrap();
    std::os::unix::fs::symlink(secret.path(), stage.dir.join("1.bin")).unwrap();
    assert_eq!(fetched(&stage, link.0, TOM), Err(StageError::NoSuchFile { id: link }));
    let fifo = share(&stage, b"", "bin", None).unwrap();
    fs::remove_file(stage.dir.join("2.bin")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(stage.dir.join("2.bin")).status();
    assert!(made.unwrap().success());
    assert_eq!(fetched(&stage, fifo.0, TOM), Err(StageError::NoSuchFile { id: fifo }));
}

#[test]
fn a_private_file_is_private_on_disk() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::open(Some(dir.path()), 1000).unwrap();
    share(&stage, b"secret", "txt", Some(ANN)).unwrap();
    let found = fs::metadata(dir.path().join(".private.1.txt")).unwrap();
    assert_eq!(found.permissions().mode() & 0o077, 0);
}

#[test]
fn the_private_directory_is_private_on_disk() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::open(None, 1000).unwrap();
    assert_eq!(fs::metadata(&stage.dir).unwrap().permissions().mode() & 0o077, 0);
    stage.close();
}
