//! The directory that keeps files across restarts.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::common::{Server, assert_same_bytes, pattern};

use super::visible;

fn start_over(stage: &Path) -> Server {
    Server::with(&["--stage", stage.to_str().expect("a path in UTF-8")])
}

#[test]
fn public_files_survive_a_restart_and_private_ones_do_not() {
    // Public files kept across a restart are listed with `From` 0, a UID that is never assigned;
    // private ones are deleted, since UIDs begin again at 1. File-IDs go on.
    let stage = tempdir().unwrap();
    let photo = pattern(1, 100_000);
    let mut server = start_over(stage.path());
    let (mut one, _two) = (server.join(), server.join());
    one.share("jpg", &photo).ok();
    one.share_to(2, "txt", "private").ok();
    one.share("tar.gz", "public").ok();
    server.signal(Signal::TERM);
    assert!(server.wait().success());

    let server = start_over(stage.path());
    let (mut one, mut two) = (server.join(), server.join());
    assert_eq!(visible(stage.path()), ["1.jpg", "3.tar.gz"]);
    for client in [&mut one, &mut two] {
        assert_eq!(client.query("files").ok().text(), "1 jpg 100000 0\n3 tar.gz 6 0\n");
        assert!(!client.fetch(2).reason().is_empty());
        assert_same_bytes(&client.fetch(1).ok().body, &photo);
        assert_eq!(client.fetch(3).ok().field("Content-Type"), "tar.gz");
    }
    assert_eq!(one.share("txt", "new").ok().number("File-ID"), 4);
    assert_eq!(two.query("files").ok().text(), "1 jpg 100000 0\n3 tar.gz 6 0\n4 txt 3 1\n");
}

#[test]
fn public_file_is_a_plain_file_named_by_its_id_and_extension() {
    // What is kept can be opened without the server: `10.jpg`.
    let stage = tempdir().unwrap();
    let server = start_over(stage.path());
    let mut sharer = server.join();
    let contents: Vec<_> = (1..=10).map(|seed| pattern(seed, 1000 * seed as usize)).collect();
    contents.iter().for_each(|content| drop(sharer.share("jpg", content).ok()));
    for (file_id, content) in (1..).zip(&contents) {
        assert_same_bytes(&fs::read(stage.path().join(format!("{file_id}.jpg"))).unwrap(), content);
    }
    assert_eq!(visible(stage.path()).len(), 10);
}

#[test]
fn stage_directory_is_made_if_it_is_not_there() {
    // `--stage DIR`: keep shared files in DIR.
    let top = tempdir().unwrap();
    let stage = top.path().join("files");
    let server = start_over(&stage);
    server.join().share("txt", "content").ok();
    assert_eq!(fs::read_to_string(stage.join("1.txt")).unwrap(), "content");
}

#[test]
fn half_a_file_never_appears_not_even_after_kill_9() {
    // A share that does not arrive whole leaves nothing behind, however the server ends.
    let stage = tempdir().unwrap();
    let mut server = start_over(stage.path());
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share("txt", "whole").ok();
    other.send(
        "Message-Type chat\nMessage-ID 1\nTo 1\nContent-Type bin\nContent-Length 9000000\n\n",
    );
    other.send(pattern(1, 8_000_000));
    sharer.send("Message-Type chat\nMessage-ID 1\nContent-Type bin\nContent-Length 9000000\n\n");
    sharer.send(pattern(2, 8_000_000));
    assert_eq!(visible(stage.path()), ["1.txt"]);
    server.kill();
    assert_eq!(visible(stage.path()), ["1.txt"]);

    let server = start_over(stage.path());
    let mut client = server.join();
    assert_eq!(client.query("files").ok().text(), "1 txt 5 0\n");
    let bytes: u64 = fs::read_dir(stage.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 1000, "{bytes} bytes are left in the stage");
    assert_eq!(client.fetch(1).ok().text(), "whole");
}

#[test]
fn private_file_is_gone_after_kill_9_and_a_restart() {
    // Private files are deleted: whoever gets the same UID next must not be able to fetch them.
    let stage = tempdir().unwrap();
    let mut server = start_over(stage.path());
    let (mut one, _two) = (server.join(), server.join());
    one.share_to(2, "txt", "private").ok();
    server.kill();
    let server = start_over(stage.path());
    let (mut one, mut two) = (server.join(), server.join());
    for client in [&mut one, &mut two] {
        assert_eq!(client.query("files").ok().text(), "");
        assert!(!client.fetch(1).reason().is_empty());
    }
    assert_eq!(visible(stage.path()), [""; 0]);
}

#[test]
fn files_that_the_server_did_not_stage_are_left_alone() {
    // The directory belongs to whoever runs the server: only what the server named is listed, and
    // nothing else is touched.
    let stage = tempdir().unwrap();
    let own = ["notes.txt", "README", "x.1.jpg", "1", "01.jpg", "-1.jpg", "0.jpg"];
    own.iter().for_each(|name| fs::write(stage.path().join(name), "mine").unwrap());
    fs::create_dir(stage.path().join("7.jpg")).unwrap();
    let server = start_over(stage.path());
    let mut client = server.join();
    assert_eq!(client.query("files").ok().text(), "");
    client.share("txt", "content").ok();
    for name in own {
        assert_eq!(fs::read_to_string(stage.path().join(name)).unwrap(), "mine", "{name}");
    }
    assert!(stage.path().join("7.jpg").is_dir());
}

#[test]
fn stage_limit_holds_for_what_was_kept_too() {
    // The stage holds at most `--stage-limit` bytes: the oldest make room.
    let stage = tempdir().unwrap();
    let mut server = start_over(stage.path());
    let mut sharer = server.join();
    (1..=5).for_each(|seed| drop(sharer.share("bin", pattern(seed, 1000)).ok()));
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let server =
        Server::with(&["--stage-limit", "2500", "--stage", stage.path().to_str().unwrap()]);
    let mut client = server.join();
    assert_eq!(client.query("files").ok().text(), "4 bin 1000 0\n5 bin 1000 0\n");
    client.share("bin", pattern(6, 1000)).ok();
    assert_eq!(client.query("files").ok().text(), "5 bin 1000 0\n6 bin 1000 1\n");
    assert_eq!(visible(stage.path()), ["5.bin", "6.bin"]);
}

#[test]
fn stage_that_cannot_be_written_refuses_the_share_and_the_room_goes_on() {
    // §2.2.1.3: "Status Error" with the reason, which tells nothing of the server's directories.
    let top = tempdir().unwrap();
    let stage = top.path().join("stage");
    let server = start_over(&stage);
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share("txt", "before").ok();
    other.relay();
    fs::rename(&stage, top.path().join("away")).unwrap();
    fs::write(&stage, "in the way").unwrap();
    let error = sharer.share("txt", "during");
    assert!(!error.reason().contains(top.path().to_str().unwrap()), "{error:?}");
    assert!(!sharer.share("bin", pattern(1, 3_000_000)).reason().is_empty());
    sharer.say("still here").ok();
    assert_eq!(other.relay().text(), "still here");
    assert_eq!(other.query("files").ok().text(), "1 txt 6 1\n");
    fs::remove_file(&stage).unwrap();
    fs::rename(top.path().join("away"), &stage).unwrap();
    sharer.share("txt", "after").ok();
    assert_eq!(other.relay().field("Content-Type"), "txt");
    assert_eq!(other.fetch(1).ok().text(), "before");
}

#[test]
fn staged_file_that_somebody_has_deleted_is_refused_and_the_room_goes_on() {
    // The operator may tidy up by hand: a fetch is then an error as for any file that is no longer
    // staged.
    let stage = tempdir().unwrap();
    let server = start_over(stage.path());
    let mut client = server.join();
    client.share("txt", "content").ok();
    fs::remove_file(stage.path().join("1.txt")).unwrap();
    assert!(!client.fetch(1).reason().is_empty());
    assert_eq!(client.share("txt", "next").ok().number("File-ID"), 2);
    assert_eq!(client.fetch(2).ok().text(), "next");
}
