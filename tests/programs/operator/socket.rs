//! Where the socket is, whose it is, and how long.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;

use super::{Operator, Room};
use crate::common::{Server, multichatd};

fn start_at(path: &Path) -> Output {
    let options = ["--listen", "127.0.0.1:0", "--control", path.to_str().expect("a path in UTF-8")];
    multichatd(&options).output().expect("run the server")
}

#[track_caller]
fn fails_at(path: &Path, why: &str) {
    let output = start_at(path);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let tried = format!("multichatd: cannot make the operator's socket {}: ", path.display());
    assert!(said.starts_with(&tried) && said.contains(why), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn it_is_its_owners_alone_from_its_first_moment_whatever_the_umask() {
    // "a Unix stream socket at PATH, mode 0600 (from its first moment)".
    for umask in ["0", "022", "0777"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        let (looks, is_over) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut modes = Vec::new();
                looks.wait();
                loop {
                    // A busy machine may give it no other look than the last.
                    let is_last = is_over.load(Ordering::Acquire);
                    if let Ok(found) = fs::symlink_metadata(&path) {
                        modes.push(found.permissions().mode() & 0o7777);
                    }
                    modes.dedup();
                    if is_last {
                        return modes;
                    }
                }
            });
            looks.wait();
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
            shell.arg(multichatd(&[]).get_program()).env_remove("RUST_LOG");
            shell.arg("--control").arg(&path);
            let _server = Server::started_by(shell);
            Operator::connect(&path).ok("who");
            is_over.store(true, Ordering::Release);
            let mut modes = watcher.join().unwrap();
            // A umask that takes the owner's own rights away opens it to nobody for a moment.
            modes.retain(|&mode| umask != "0777" || mode != 0);
            assert_eq!(modes, [0o600], "umask {umask}");
        });
    }
}

#[test]
fn it_is_removed_at_the_end() {
    // "removed at the end", and nothing else is left beside it.
    for signal in [Signal::TERM, Signal::INT] {
        let mut room = Room::start();
        let _connected = room.operator();
        room.server.signal(signal);
        assert!(room.server.wait().success());
        assert_eq!(fs::read_dir(room.path.parent().unwrap()).unwrap().count(), 0);
    }
}

#[test]
fn what_somebody_else_has_put_in_its_place_is_not_removed() {
    let mut room = Room::start();
    fs::remove_file(&room.path).unwrap();
    fs::write(&room.path, "mine").unwrap();
    room.server.signal(Signal::TERM);
    assert!(room.server.wait().success());
    assert_eq!(fs::read(&room.path).unwrap(), b"mine");
}

#[test]
fn a_socket_that_nobody_answers_is_replaced() {
    // "A socket there that nobody answers is replaced": what a killed server leaves behind.
    let mut first = Room::start();
    first.server.kill();
    assert!(first.path.exists());
    let options = ["--control", first.path.to_str().unwrap()];
    let server = Server::with(&options);
    let _client = server.join();
    assert_eq!(Operator::connect(&first.path).ok("who").len(), 1);
    let mode = fs::symlink_metadata(&first.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read_dir(first.path.parent().unwrap()).unwrap().count(), 1);
    // One that is bound and not listened on is of no use either.
    drop(server);
    let left = first.path.with_file_name("left");
    drop(UnixListener::bind(&left).unwrap());
    let _server = Server::with(&["--control", left.to_str().unwrap()]);
    Operator::connect(&left).ok("who");
}

#[test]
fn a_server_that_answers_keeps_its_socket() {
    // "or a server that does answer, is an error at the start (status 1)".
    let room = Room::start();
    let mut before = room.operator();
    fails_at(&room.path, "a server answers there already");
    before.ok("who");
    room.operator().ok("who");
    // One that is slow to accept does answer: its queue is full.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slow");
    let slow = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    slow.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    slow.listen(0).unwrap();
    let _waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
    fails_at(&path, "a server answers there already");
}

#[test]
fn anything_else_that_is_there_is_left_alone() {
    // "anything else there … is an error at the start (status 1)".
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "mine").unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    for name in ["file", "directory", "link", "dangling"] {
        fails_at(&at(name), "something that is no socket is there");
        assert!(at(name).is_symlink() || at(name).exists(), "{name}");
    }
    assert_eq!(fs::read(at("file")).unwrap(), b"mine");
    let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
    fails_at(&at("datagrams"), "");
    assert!(at("datagrams").exists());
}

#[test]
fn a_path_that_cannot_be_used_is_an_error_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    fails_at(&dir.path().join("missing").join("control"), "No such file or directory");
    fails_at(&dir.path().join("x".repeat(120)), "");
    let output = multichatd(&["--control", ""]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "multichatd: --control : not a path\ntry 'multichatd --help'\n");
}
