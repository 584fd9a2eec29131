//! The disk: full, read-only, or gone.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{errors, is_root, said, started_as_other_user};
use crate::common::{MARK, Peer, Server, pattern};

const CANNOT_STORE: &str = "the server could not store the file; nothing was relayed";

/// A small file system of its own.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, and said so, where this user may not mount one.
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"], dir.path());
        if !mounted {
            eprintln!("skipped: this user may not mount a file system");
        }
        mounted.then_some(SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn stage(&self) -> PathBuf {
        self.path().join("stage")
    }

    /// Takes all of the room that is left, as somebody else's file does.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut ballast = File::create(&path).expect("create a file");
        let error = loop {
            if let Err(error) = ballast.write_all(&[b'x'; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        path
    }

    fn remount(&self, how: &str) {
        assert!(run("mount", &["-o", &format!("remount,{how}")], self.path()), "remount {how}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        assert!(run("umount", &["-l"], self.path()), "umount has failed");
    }
}

fn run(program: &str, options: &[&str], path: &Path) -> bool {
    let output = Command::new(program).args(options).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

/// How many files there are in a stage, hidden ones included, but for its mark.
fn visible_and_hidden(stage: &Path) -> usize {
    let entries = fs::read_dir(stage).expect("read the stage");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name != MARK).count()
}

fn start_on(stage: &Path) -> Server {
    Server::with(&["--stage", stage.to_str().expect("UTF-8")])
}

/// Nothing can be stored: `tom` is told so each time, and the others hear of nothing but his texts.
#[track_caller]
fn cannot_share(tom: &mut Peer, ann: &mut Peer) {
    for nth in 0..3 {
        assert_eq!(tom.share("bin", pattern(1, 100_000)).reason(), CANNOT_STORE);
        tom.say(format!("{nth}")).ok();
        assert_eq!(ann.relay().text(), nth.to_string());
    }
}

/// It can be shared and fetched again.
#[track_caller]
fn can_share(tom: &mut Peer, ann: &mut Peer) {
    let content = pattern(2, 100_000);
    let id = tom.share("bin", &content).ok().number("File-ID");
    assert_eq!(ann.relay().number("File-ID"), id);
    assert_eq!(ann.fetch(id).ok().body, content);
}

/// The trouble was said once, and once that it was over.
#[track_caller]
fn said_once(server: Server) {
    let log = server.stop();
    assert_eq!(errors(&log), 1, "{log:#?}");
    assert_eq!(said(&log, "files can be stored again"), 1, "{log:#?}");
}

#[test]
fn a_file_larger_than_what_is_left_of_the_disk_leaves_nothing_behind() {
    // An unwritable disk is a `Status Error` for that share, and the server goes on.
    let Some(disk) = SmallDisk::mount() else { return };
    let server = start_on(&disk.stage());
    let (mut tom, mut ann) = (server.join(), server.join());
    for _ in 0..3 {
        assert_eq!(tom.share("bin", pattern(1, 2 << 20)).reason(), CANNOT_STORE);
    }
    ann.expect_nothing();
    // The half of the disk that was free before is free again.
    let small = pattern(2, 500_000);
    assert_eq!(tom.share("bin", &small).ok().number("File-ID"), 1);
    assert_eq!(ann.relay().number("File-ID"), 1);
    assert_eq!(ann.fetch(1).ok().body, small);
    assert_eq!(visible_and_hidden(&disk.stage()), 1);
    said_once(server);
}

#[test]
fn a_full_disk_refuses_files_until_there_is_room_again() {
    // Filled by somebody else, and emptied: the server recovers by itself. Not for each change is a line
    // in the log: the trouble may come and go with the size of files.
    let Some(disk) = SmallDisk::mount() else { return };
    let server = start_on(&disk.stage());
    let (mut tom, mut ann) = (server.join(), server.join());
    for _ in 0..3 {
        let ballast = disk.fill();
        cannot_share(&mut tom, &mut ann);
        fs::remove_file(ballast).expect("remove a file");
        can_share(&mut tom, &mut ann);
    }
    said_once(server);
}

#[test]
fn a_disk_that_becomes_read_only_refuses_files_until_it_can_be_written_again() {
    // As Linux does with a disk that fails. What was staged before can be fetched all the while.
    let Some(disk) = SmallDisk::mount() else { return };
    let server = start_on(&disk.stage());
    let (mut tom, mut ann) = (server.join(), server.join());
    let id = tom.share("bin", "before").ok().number("File-ID");
    ann.relay();
    disk.remount("ro");
    cannot_share(&mut tom, &mut ann);
    assert_eq!(ann.fetch(id).ok().text(), "before");
    disk.remount("rw");
    can_share(&mut tom, &mut ann);
    said_once(server);
}

/// Where the server keeps its files: the only directory that it has made for itself.
fn private_stage(server: &Server) -> PathBuf {
    let mut dirs = fs::read_dir(server.temp()).expect("read the temporary directory");
    let stage = dirs.next().expect("a stage").expect("an entry").path();
    assert!(dirs.next().is_none(), "more than a stage");
    stage
}

#[test]
fn a_stage_that_is_removed_under_the_server_is_made_again() {
    // By hand, or by whatever tidies up /tmp. The file that is arriving meanwhile is lost.
    let top = tempfile::tempdir().expect("a temporary directory");
    let asked_for = top.path().join("stage");
    for server in [start_on(&asked_for), Server::start()] {
        let is_private = fs::read_dir(server.temp()).expect("read it").count() > 0;
        let stage = if is_private { private_stage(&server) } else { asked_for.clone() };
        let mode = fs::metadata(&stage).expect("the stage is there").mode();
        let (mut tom, mut ann) = (server.join(), server.join());
        let id = tom.share("bin", "before").ok().number("File-ID");
        ann.relay();
        tom.send("Message-Type chat\nMessage-ID 9\nContent-Type bin\nContent-Length 10\n\nhalf-");
        server.wait_until("a file is arriving", || visible_and_hidden(&stage) == 2);
        fs::remove_dir_all(&stage).expect("remove the stage");
        tom.send("whole");
        assert_eq!(tom.response().reason(), CANNOT_STORE);
        for _ in 0..3 {
            let reason = format!("no file {id} is staged for you");
            assert!(ann.fetch(id).reason().starts_with(&reason));
        }
        can_share(&mut tom, &mut ann);
        assert_eq!(fs::metadata(&stage).expect("it is there again").mode(), mode);
        let log = server.stop();
        assert_eq!(errors(&log), 1, "{log:#?}");
        assert_eq!(said(&log, "file 1 was removed on disk"), 1, "{log:#?}");
    }
}

#[test]
fn a_stage_that_may_no_longer_be_written_refuses_files_until_it_may() {
    // By permissions, which hold for everybody but root.
    let server = if is_root() { started_as_other_user(1, "true") } else { Server::start() };
    let stage = private_stage(&server);
    let set_mode = |mode| {
        fs::set_permissions(&stage, Permissions::from_mode(mode)).expect("set permissions");
    };
    let (mut tom, mut ann) = (server.join(), server.join());
    let id = tom.share("bin", "before").ok().number("File-ID");
    ann.relay();
    set_mode(0o500);
    cannot_share(&mut tom, &mut ann);
    assert_eq!(ann.fetch(id).ok().text(), "before");
    // And now it may not even be looked at.
    set_mode(0);
    cannot_share(&mut tom, &mut ann);
    for _ in 0..3 {
        let unread = ann.fetch(id);
        assert_eq!(unread.reason(), "the server could not read the file; try again later");
    }
    set_mode(0o700);
    assert_eq!(ann.fetch(id).ok().text(), "before");
    can_share(&mut tom, &mut ann);
    let log = server.stop();
    assert_eq!(said(&log, "cannot be stored"), 1, "{log:#?}");
    assert_eq!(said(&log, "cannot be read"), 1, "{log:#?}");
    assert_eq!(errors(&log), 2, "{log:#?}");
}
