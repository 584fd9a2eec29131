//! The directory that keeps files across restarts.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::common::{
    DEADLINE, MARK, Process, Server, assert_same_bytes, message, multichatd, pattern,
};

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
    // Private files are deleted: a client that gets the same UID next must not be able to fetch them.
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
    // E5: in a marked directory what is not named as a staged file is, and what is no plain file, is
    // left alone, neither listed nor counted.
    let stage = tempdir().unwrap();
    fs::write(stage.path().join(MARK), "").unwrap();
    let own =
        ["notes.txt", "README", "x.1.jpg", "1", "01.jpg", "-1.jpg", "0.jpg", "3 README", "4 "];
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

/// The server does not start on this directory, and says why in one line.
#[track_caller]
fn does_not_start_on(stage: &Path) -> String {
    let dir = stage.to_str().expect("a path in UTF-8");
    let mut server = Process::spawn(multichatd(&["--listen", "127.0.0.1:0", "--stage", dir]));
    assert_eq!(server.wait(DEADLINE).code(), Some(1), "{:#?}", server.log.seen);
    assert_eq!(server.log.seen.len(), 1, "{:#?}", server.log.seen);
    assert!(server.log.seen[0].contains(dir), "{:#?}", server.log.seen);
    server.log.seen[0].clone()
}

#[test]
fn a_directory_that_is_not_the_servers_own_is_refused_and_nothing_in_it_is_touched() {
    // E5: "A directory that holds anything and has no mark is refused at the start (status 1)".
    let stage = tempdir().unwrap();
    let own = ["2019.pdf", "2021.tar.gz", "3.mp4", "1.jpg", ".private.4.jpg", ".arriving.5"];
    own.iter().for_each(|name| fs::write(stage.path().join(name), pattern(1, 1000)).unwrap());
    let why = does_not_start_on(stage.path());
    for part in ["not empty", MARK, "name a new or empty directory", "make that file"] {
        assert!(why.contains(part), "{part:?} in {why}");
    }
    for name in own {
        assert_eq!(fs::read(stage.path().join(name)).unwrap(), pattern(1, 1000), "{name}");
    }
    assert_eq!(fs::read_dir(stage.path()).unwrap().count(), own.len());
    // As the error says: with the mark it is a stage, of an older server say.
    fs::write(stage.path().join(MARK), "").unwrap();
    let server = start_over(stage.path());
    let listed = server.join().query("files").ok();
    let ids: Vec<_> = listed.text().lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids, ["1", "3", "2019", "2021"]);
}

#[test]
fn a_new_or_empty_directory_is_marked_and_can_be_used_again() {
    // E5: "it is made if it is not there, and marked by a file `.multichat-stage`".
    let top = tempdir().unwrap();
    let stage = top.path().join("a/new/one");
    for id in 1..=3 {
        let server = start_over(&stage);
        assert!(stage.join(MARK).is_file());
        assert_eq!(server.join().share("txt", "content").ok().number("File-ID"), id);
        let log = server.stop();
        let taken_up = log.iter().any(|line| line.contains("files of an earlier run"));
        assert_eq!(taken_up, id > 1, "{log:#?}");
    }
}

#[test]
fn what_is_removed_at_the_start_to_make_room_is_said_in_the_log() {
    // Nothing is deleted without a line in the log, at a start.
    let stage = tempdir().unwrap();
    fs::write(stage.path().join(MARK), "").unwrap();
    (1..=5).for_each(|id| fs::write(stage.path().join(format!("{id}.bin")), "12345").unwrap());
    let server = Server::with(&["--stage-limit", "12", "--stage", stage.path().to_str().unwrap()]);
    assert_eq!(visible(stage.path()), ["4.bin", "5.bin"]);
    let log = server.stop();
    assert!(
        log.iter().any(|line| line.contains("WARN") && line.contains("removed: 3")),
        "{log:#?}"
    );
}

#[test]
fn a_file_put_there_by_hand_never_takes_a_shared_files_id() {
    // E4: "A File-ID for which there is a file in the directory already, whatever it is, is
    // skipped"; E5: "Where two have the same number, the older one is the staged one".
    for _ in 0..10 {
        let stage = tempdir().unwrap();
        let put = |name: &str| fs::write(stage.path().join(name), "by hand").unwrap();
        let mut server = start_over(stage.path());
        let mut sharer = server.join();
        assert_eq!(sharer.share("txt", "shared").ok().number("File-ID"), 1);
        ["1.a", "1.zip", "1 z.txt", "2.png", "3 holiday plan.pdf", "4"].into_iter().for_each(put);
        fs::create_dir(stage.path().join("5.jpg")).unwrap();
        assert_eq!(sharer.share("txt", "shared").ok().number("File-ID"), 6);
        ["6.a", "6.zip"].into_iter().for_each(put);
        server.kill();
        let server = start_over(stage.path());
        let mut client = server.join();
        for id in [1, 6] {
            assert_eq!(client.fetch(id).ok().text(), "shared", "file {id}");
        }
        let listed = client.query("files").ok();
        assert_eq!(listed.text(), "1 txt 6 0\n2 png 7 0\n3 pdf 7 0\n6 txt 6 0\n");
        assert_eq!(client.share("txt", "next").ok().number("File-ID"), 7);
    }
}

#[test]
fn what_was_answered_is_there_after_kill_9_and_whatever_is_there_is_whole() {
    // In the middle of many shares, again and again in the same directory.
    let stage = tempdir().unwrap();
    let content = |id: u64, len: usize| pattern(id as u32, len);
    let mut answered: Vec<(u64, usize)> = Vec::new();
    for round in 0..4_usize {
        let mut server = start_over(stage.path());
        let mut reader = server.join();
        for &(id, len) in &answered {
            assert_same_bytes(&reader.fetch(id).ok().body, &content(len as u64, len));
        }
        let listed = reader.query("files").ok();
        for line in listed.text().lines() {
            let [id, _, len, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let len = len.parse().unwrap();
            let whole = content(len as u64, len);
            assert_same_bytes(&reader.fetch(id.parse().unwrap()).ok().body, &whole);
        }
        let (say, told) = mpsc::channel();
        let server = &mut server;
        let joined: Vec<_> = (0..4_usize).map(|_| server.join()).collect();
        thread::scope(|scope| {
            for (nth, mut sharer) in joined.into_iter().enumerate() {
                let say = say.clone();
                scope.spawn(move || {
                    for count in 0.. {
                        // Each length once.
                        let len = 1000 + round * 10_000 + count * 4 + nth;
                        let share = message(
                            "Message-Type chat\nMessage-ID 7\nContent-Type bin",
                            content(len as u64, len),
                        );
                        if !sharer.try_send(share) {
                            return;
                        }
                        match sharer.try_response() {
                            Some(response) => {
                                say.send((response.ok().number("File-ID"), len)).unwrap();
                            }
                            None => return,
                        }
                    }
                });
            }
            drop(say);
            answered.extend(told.iter().take(50 + 20 * round));
            server.kill();
            answered.extend(told.iter());
        });
    }
}
