//! The limit on the size of files (`ulimit -f`): beyond it a write fails as on a full disk, where the
//! system would end the program by SIGXFSZ.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{errors, said, started_behind};
use crate::common::{Server, multichatd, pattern};

#[test]
fn a_share_beyond_the_limit_on_the_size_of_files_is_refused_and_the_server_goes_on() {
    // P2: `Status Error` for that client. `ulimit -f` counts in blocks of 512 bytes.
    let server = started_behind("ulimit -f 64");
    let (mut tom, mut ann) = (server.join(), server.join());
    for _ in 0..3 {
        let refused = tom.share("bin", pattern(1, 100_000));
        assert!(refused.reason().contains("could not store the file"), "{refused:?}");
        tom.say("still here").ok();
        assert_eq!(ann.relay().text(), "still here");
    }
    let small = pattern(2, 30_000);
    let id = tom.share("bin", &small).ok().number("File-ID");
    assert_eq!(ann.relay().number("File-ID"), id);
    assert_eq!(ann.fetch(id).ok().body, small);
    let log = server.stop();
    assert_eq!(errors(&log), 1, "{log:#?}");
    assert_eq!(said(&log, "files can be stored again"), 1, "{log:#?}");
}

#[test]
fn a_log_file_that_may_not_grow_does_not_end_the_server() {
    // The log goes to standard error, which may be a file.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let mut shell = Command::new("sh");
    let script = format!("ulimit -f 8 && exec \"$@\" 2>{}", log.display());
    shell.args(["-c", &script, "sh"]).arg(multichatd(&[]).get_program()).arg("-vv");
    shell.env_remove("RUST_LOG");
    let server = Server::started_by(shell);
    let mut client = server.join();
    let len = |path: &Path| fs::metadata(path).expect("the log").len();
    (0..500).for_each(|nth| drop(client.say(format!("{nth}")).ok()));
    assert_eq!(len(&log), 8 * 512);
    client.say("still here").ok();
    assert!(server.stop().is_empty());
}
