//! Fetched files, as they are saved.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::fake::Fake;
use super::{Output, multichat, names_in, run, wait_until};
use crate::common::Server;

/// Whether a program has opened something in a directory, under a name or without one.
fn has_opened(child: &Child, dir: &Path) -> bool {
    let dir = fs::canonicalize(dir).expect("the directory");
    let opened = fs::read_dir(format!("/proc/{}/fd", child.id())).expect("list its descriptors");
    let paths = opened.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    paths.into_iter().any(|path| path.starts_with(&dir))
}

/// Whether a file system knows files without a name.
fn knows_nameless_files(dir: &Path) -> bool {
    use rustix::fs::{Mode, OFlags, open};
    open(dir, OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR).is_ok()
}

/// The same without /proc, by way of which a file without a name gets one; `None`, and said so,
/// where this user may not hide it.
fn without_proc(command: &Command) -> Option<Command> {
    let hide = |then: &str| {
        let mut hidden = Command::new("unshare");
        let script = format!("mount -t tmpfs none /proc && {then}");
        hidden.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        hidden
    };
    if !hide("true").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not hide /proc");
        return None;
    }
    let mut hidden = hide("exec \"$@\"");
    hidden.arg(command.get_program()).args(command.get_args());
    hidden.current_dir(command.get_current_dir().expect("its working directory"));
    Some(hidden)
}

#[test]
fn an_interrupted_fetch_leaves_nothing_behind() {
    let address = Fake::serve(|client| {
        client.begin();
        while let Some(asked) = client.next() {
            if asked.message_type == "query" {
                client.respond(&asked, "Error", "what?\n");
                continue;
            }
            client.send(format!(
                "Status Ok\r\nMessage-Type fetch\r\nMessage-ID {}\r\nContent-Type jpg\r\n\
                 Content-Length 3000\r\n\r\nhalf of it",
                asked.id
            ));
            // `1` is cut short; `2` stands still.
            if asked.body == b"1" {
                return;
            }
        }
    });
    let dir = TempDir::new().unwrap();
    let fetch = |id: &str| {
        let mut command = multichat(&address.to_string(), &["fetch", id]);
        command.current_dir(dir.path());
        command
    };
    Output::of(fetch("1")).failed(1, "the connection ended inside a message");
    assert_eq!(names_in(dir.path()), [""; 0]);
    let interrupt = |mut command: Command, signal: Signal, is_nameless: bool| {
        let mut child = command.spawn().unwrap();
        // One without a name is tried first in any case.
        wait_until("it has begun to write", || {
            has_opened(&child, dir.path()) && names_in(dir.path()).is_empty() == is_nameless
        });
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
        assert_eq!(names_in(dir.path()), [""; 0]);
    };
    let is_nameless = knows_nameless_files(dir.path());
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT] {
        interrupt(fetch("2"), signal, is_nameless);
        if let Some(hidden) = without_proc(&fetch("2")) {
            interrupt(hidden, signal, false);
        }
    }
    if is_nameless {
        interrupt(fetch("2"), Signal::KILL, true);
    }
    // One that cannot be written is not waited for.
    fs::write(dir.path().join("2.jpg"), "mine").unwrap();
    Output::of(fetch("2")).failed(1, "2.jpg is already there");
    let mut full = fetch("2");
    full.args(["-o", "/dev/full"]);
    Output::of(full).failed(1, "No space left on device");
    assert_eq!(fs::read(dir.path().join("2.jpg")).unwrap(), b"mine");
}

#[test]
fn a_fetched_file_gets_its_name_where_files_cannot_be_without_one() {
    let server = Server::start();
    server.join().share("bin", "content\n").ok();
    let dir = TempDir::new().unwrap();
    let fetch = |options: &[&str]| {
        let arguments = [&["fetch", "1"], options].concat();
        let mut command = multichat(&server.address.to_string(), &arguments);
        command.current_dir(dir.path());
        without_proc(&command).map(Output::of)
    };
    let Some(fetched) = fetch(&[]) else { return };
    assert_eq!(fetched.ok(), ["1.bin"]);
    assert_eq!(fs::read(dir.path().join("1.bin")).unwrap(), b"content\n");
    let nowhere = fetch(&["-o", "nowhere/x"]).unwrap();
    nowhere.failed(1, "file 1: cannot write nowhere/x: No such file or directory");
    fs::write(dir.path().join("1.bin"), "mine").unwrap();
    fetch(&[]).unwrap().failed(1, "1.bin is already there, and is not overwritten");
    assert_eq!(fs::read(dir.path().join("1.bin")).unwrap(), b"mine");
    fetch(&["-o", "1.bin"]).unwrap().ok();
    assert_eq!(fs::read(dir.path().join("1.bin")).unwrap(), b"content\n");
    assert_eq!(names_in(dir.path()), ["1.bin"]);
}

#[test]
fn what_is_named_for_a_fetched_file_is_written_as_what_it_is() {
    let server = Server::start();
    let mut peer = server.join();
    peer.share("bin", "content\n").ok();
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let fetch_into = |name: &str| run(&server, &["fetch", "1", "-o", path(name).to_str().unwrap()]);

    // A link to standard output, which is a pipe.
    symlink("/proc/self/fd/1", path("out")).unwrap();
    assert_eq!(fetch_into("out").ok(), ["content"]);
    assert!(path("out").is_symlink());
    // A link to what is not there.
    symlink("nowhere", path("dangling")).unwrap();
    fetch_into("dangling").failed(1, "a link to what is not there");
    assert!(path("dangling").is_symlink() && !path("nowhere").exists());
    // A file keeps its rights, whatever new ones get, but for that to run as its owner.
    for mode in [0o600, 0o666, 0o4755] {
        fs::write(path("mine"), "old").unwrap();
        fs::set_permissions(path("mine"), Permissions::from_mode(mode)).unwrap();
        assert!(fetch_into("mine").ok().is_empty());
        assert_eq!(fs::read(path("mine")).unwrap(), b"content\n");
        assert_eq!(fs::metadata(path("mine")).unwrap().permissions().mode() & 0o7777, mode & 0o777);
    }
    // A pipe that nobody reads, or writes to.
    let made = Command::new("mkfifo").arg(path("fifo")).status().unwrap();
    assert!(made.success());
    fetch_into("fifo").failed(1, "cannot write");
    run(&server, &["share", path("fifo").to_str().unwrap()]).failed(1, "not a regular file");
}
