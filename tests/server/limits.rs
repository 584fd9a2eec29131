//! The limits of the system, each really reached: who is refused, and that it passes.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::common::{Peer, Process, Server, message, multichatd, pattern};

/// A server started by another command, which is given `program` and its arguments.
fn started_by(mut command: Command, program: &OsStr) -> (Process, SocketAddr) {
    command.arg(program).args(["--listen", "127.0.0.1:0"]).env_remove("RUST_LOG");
    let mut process = Process::spawn(command);
    let line = process.out.wait_for("listening on ");
    let address = line.trim_start_matches("listening on ").parse().expect("an address");
    (process, address)
}

#[test]
fn sixty_clients_under_a_limit_of_forty_descriptors() {
    // Out of descriptors: the newcomer is refused, a line in the log, nobody else harmed.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 40 && exec \"$@\"", "sh"]);
    let (mut server, address) = started_by(shell, multichatd(&[]).get_program());
    let mut admitted = Vec::new();
    let mut refused = 0;
    for _ in 0..60 {
        let mut peer = Peer::connect(address);
        let answer = peer.request(b"Message-Type query\nMessage-ID 1\nContent-Length 4\n\nself");
        if answer.field("Status") == "Ok" {
            admitted.push(peer);
        } else {
            assert!(answer.reason().starts_with("the room is full: "), "{answer:?}");
            refused += 1;
        }
    }
    assert_eq!((admitted.len(), refused), (24, 36));
    assert!(server.log.wait_for("at most 24 clients").contains("WARN"));
    server.log.wait_for("newcomers are refused");
    // All those who are in share at the same time: there are descriptors for some of them, the others
    // get an error, and the session goes on.
    for peer in &mut admitted {
        peer.send("Message-Type chat\nMessage-ID 2\nContent-Type bin\nContent-Length 10\n\nhalf-");
    }
    for peer in &mut admitted {
        peer.send("whole");
        let answer = peer.response();
        if answer.field("Status") != "Ok" {
            let failed = "the server could not store the file; nothing was relayed";
            assert_eq!(answer.reason(), failed);
        }
    }
    // And when they have gone, there is room for others, and for files.
    admitted.truncate(1);
    let mut left = admitted.pop().expect("one is left");
    while left.uids().len() > 1 {}
    let id = left.share("bin", pattern(1, 1000)).ok().number("File-ID");
    assert_eq!(left.fetch(id).ok().body, pattern(1, 1000));
    assert_eq!(Peer::connect(address).uids().len(), 2);
}

#[test]
fn newcomers_are_refused_and_nobody_harmed_when_there_are_no_threads_left() {
    // Out of threads: the newcomer is refused, a line in the log, no panic, nobody else harmed.
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can start the server as a user with few threads");
        return;
    }
    let mut other_user = Command::new("setpriv");
    let script = "ulimit -u 20 && exec \"$@\"";
    other_user.args(["--reuid=65533", "--clear-groups", "bash", "-c", script, "bash"]);
    // Where that user may not go through the directories up to the binary, it runs a copy of it.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let copy = dir.path().join("multichatd");
    std::fs::copy(multichatd(&[]).get_program(), &copy).expect("copy the server");
    open_to_all(dir.path());
    other_user.current_dir("/");
    let (mut server, address) = started_by(other_user, copy.as_os_str());

    let mut admitted = Vec::new();
    let mut refused = 0;
    for _ in 0..30 {
        let mut peer = Peer::connect(address);
        // One that is refused may be closed before its request has come.
        peer.try_send(message("Message-Type query\nMessage-ID 1", "self"));
        match peer.response() {
            answer if answer.field("Status") == "Ok" => admitted.push(peer),
            answer => {
                assert!(answer.reason().starts_with("the server has no room"), "{answer:?}");
                refused += 1;
            }
        }
    }
    assert!(admitted.len() > 5 && refused > 5, "{} admitted", admitted.len());
    assert!(server.log.wait_for("cannot start a thread").contains("ERROR"));
    // A fetch is written by a thread of its own; without one it has to wait its turn.
    let content = pattern(1, 1 << 20);
    let id = admitted[0].share("bin", &content).ok().number("File-ID");
    for peer in &mut admitted {
        assert_eq!(peer.fetch(id).ok().body, content);
    }
    admitted.truncate(1);
    while admitted[0].uids().len() > 1 {}
    assert_eq!(Peer::connect(address).uids().len(), 2);
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir, all).expect("set permissions");
}

/// A small file system of its own; `None` where this user may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "umount has failed");
    }
}

#[test]
fn a_full_disk_is_an_error_for_that_share_and_the_server_goes_on() {
    // A full or unwritable disk is a `Status Error` for that share, and the server goes on.
    let Some(disk) = SmallDisk::mount("1m") else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let stage = disk.0.path().join("stage");
    let mut server = Server::with(&["--stage", stage.to_str().expect("UTF-8")]);
    let mut tom = server.join();
    let mut ann = server.join();
    for _ in 0..3 {
        let failed = tom.share("bin", pattern(1, 2 << 20));
        assert_eq!(failed.reason(), "the server could not store the file; nothing was relayed");
    }
    ann.expect_nothing();
    let small = pattern(2, 500_000);
    let id = tom.share("bin", &small).ok().number("File-ID");
    assert_eq!(id, 1);
    assert_eq!(ann.relay().number("File-ID"), 1);
    assert_eq!(ann.fetch(1).ok().body, small);
    // Said once, and once more when it works again; what did not fit has left nothing behind.
    server.log().wait_for("files can be stored again");
    let errors = server.log().seen.iter().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 1, "{:#?}", server.log().seen);
    let names = std::fs::read_dir(&stage).expect("read the stage").count();
    assert_eq!(names, 1, "the file");
}
