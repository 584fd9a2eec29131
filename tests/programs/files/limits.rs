//! How large files may be, all together too, and shares that are cut short.

use std::fs;

use tempfile::tempdir;

use crate::common::{Server, assert_same_bytes, chat, pattern};

#[test]
fn file_may_have_16_mib_and_no_more() {
    // R2: "Small-sized file sharing is also supported": at most 16 MiB unless `--max-file` says
    // otherwise.
    let server = Server::start();
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share("bin", pattern(1, 16 << 20)).ok();
    let error = sharer.share("bin", pattern(2, (16 << 20) + 1));
    assert!(
        error.reason().contains("16777216") && error.reason().contains("16777217"),
        "{error:?}"
    );
    assert_eq!(other.query("files").ok().text(), "1 bin 16777216 1\n");
}

#[test]
fn max_file_sets_the_limit_of_a_file() {
    // `--max-file SIZE`: one shared file. The refusal goes out before the content has come.
    let server = Server::with(&["--max-file", "1k"]);
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share("bin", pattern(1, 1024)).ok();
    other.relay();
    sharer.send("Message-Type chat\nMessage-ID 5\nContent-Type bin\nContent-Length 1025\n\n");
    assert!(sharer.response().reason().contains("1024"));
    sharer.send([pattern(2, 1025), chat(6, "next")].concat());
    assert_eq!(sharer.response().ok().number("Message-ID"), 6);
    assert_eq!(other.relay().text(), "next");
    sharer.say("x".repeat(1025)).ok();
}

#[test]
fn oldest_files_make_room_for_new_ones() {
    // The stage holds at most `--stage-limit` bytes: "the oldest make room for new ones".
    let stage = tempdir().unwrap();
    let server = Server::with(&["--stage-limit", "10k", "--stage", stage.path().to_str().unwrap()]);
    let (mut sharer, mut other) = (server.join(), server.join());
    for seed in 1..=3 {
        sharer.share("bin", pattern(seed, 3 * 1024)).ok();
    }
    let listing =
        |ids: &[u64]| ids.iter().map(|id| format!("{id} bin 3072 1\n")).collect::<String>();
    assert_eq!(other.query("files").ok().text(), listing(&[1, 2, 3]));
    sharer.share("bin", pattern(4, 3 * 1024)).ok();
    assert_eq!(other.query("files").ok().text(), listing(&[2, 3, 4]));
    assert!(!other.fetch(1).reason().is_empty());
    assert_same_bytes(&other.fetch(2).ok().body, &pattern(2, 3 * 1024));
    sharer.share("big", pattern(5, 10 * 1024)).ok();
    assert_eq!(other.query("files").ok().text(), "5 big 10240 1\n");
    assert_same_bytes(&other.fetch(5).ok().body, &pattern(5, 10 * 1024));
    let names: Vec<_> =
        fs::read_dir(stage.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == "5.big"), "{names:?}");
    assert!(!names.iter().any(|name| name.to_str().unwrap().ends_with(".bin")), "{names:?}");
}

#[test]
fn file_larger_than_the_stage_is_refused_at_once() {
    // No room could ever be made for it, and none is.
    let server = Server::with(&["--stage-limit", "1000"]);
    let (mut sharer, mut other) = (server.join(), server.join());
    sharer.share("bin", pattern(1, 900)).ok();
    sharer.send("Message-Type chat\nMessage-ID 5\nContent-Type bin\nContent-Length 1001\n\n");
    assert!(sharer.response().reason().contains("1000"));
    sharer.send(pattern(2, 1001));
    sharer.say("next").ok();
    assert_eq!(other.query("files").ok().text(), "1 bin 900 1\n");
    sharer.share("bin", pattern(3, 1000)).ok();
    assert_eq!(other.query("files").ok().text(), "2 bin 1000 1\n");
}

#[test]
fn file_that_is_being_fetched_when_it_is_evicted_still_comes_whole() {
    // Its response has promised a Content-Length.
    let server = Server::with(&["--stage-limit", "9M"]);
    let (mut sharer, mut fetcher) = (server.join(), server.join_with_small_buffer());
    let content = pattern(1, 8 << 20);
    sharer.share("bin", &content).ok();
    fetcher.relay();
    fetcher.send("Message-Type fetch\nMessage-ID 1\nContent-Length 1\n\n1");
    // The server has begun to answer; the rest waits for the reader.
    fetcher.expect(
        "Status Ok\r\nMessage-Type fetch\r\nMessage-ID 1\r\n\
         Content-Type bin\r\nContent-Length 8388608\r\n\r\n",
    );
    sharer.share("bin", pattern(2, 8 << 20)).ok();
    assert!(!sharer.fetch(1).reason().is_empty());
    fetcher.expect(&content);
    assert_eq!(fetcher.relay().number("File-ID"), 2);
}

#[test]
fn shares_under_way_are_held_to_the_stage_limit_together() {
    // What is still arriving, all shares together, is held to the same limit, so that a disk cannot
    // be filled.
    let server = Server::with(&["--stage-limit", "10k"]);
    let mut sharers: Vec<_> = (0..5).map(|_| server.join()).collect();
    for sharer in &mut sharers {
        sharer.send("Message-Type chat\nMessage-ID 5\nContent-Type bin\nContent-Length 3000\n\n");
        sharer.send(pattern(1, 2999));
    }
    let mut refused = 0;
    for sharer in &mut sharers {
        sharer.send(b"x");
        let response = sharer.response();
        if response.field("Status") == "Error" {
            refused += 1;
            assert!(!response.reason().is_empty());
        }
    }
    // Some may have been let in after others were done; what is staged in the end is within the
    // limit in any case.
    assert!(refused <= 2, "{refused}");
    let listed = sharers[0].query("files").ok();
    let staged: u64 = listed
        .text()
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap().parse::<u64>().unwrap())
        .sum();
    assert!((9000..=10 * 1024).contains(&staged), "{staged}");
    sharers[0].share("bin", pattern(2, 10 * 1024)).ok();
}

#[test]
fn share_that_is_cut_short_leaves_nothing_behind() {
    // A share that does not arrive whole leaves nothing behind; neither an end of input nor a reset
    // does.
    let stage = tempdir().unwrap();
    let server = Server::with(&["--stage", stage.path().to_str().unwrap()]);
    let mut watcher = server.join();
    let files = |dir: &std::path::Path| fs::read_dir(dir).unwrap().count();
    let before = files(stage.path());
    for len in [0, 1, 1 << 20] {
        let mut sharer = server.connect();
        sharer
            .send("Message-Type chat\nMessage-ID 5\nContent-Type bin\nContent-Length 2000000\n\n");
        sharer.send(pattern(1, len));
        sharer.end_input();
        let error = sharer.read_message();
        assert!(error.reason().contains(&(2_000_000 - len).to_string()), "{error:?}");
        sharer.expect_end();
    }
    let mut reset = server.join();
    reset.send("Message-Type chat\nMessage-ID 5\nContent-Type bin\nContent-Length 2000000\n\n");
    reset.send(pattern(1, 1_000_000));
    let uid = reset.uid;
    reset.reset();
    watcher.wait_until_gone(uid);
    watcher.expect_nothing();
    assert_eq!(watcher.query("files").ok().text(), "");
    assert_eq!(files(stage.path()), before);
    assert_eq!(watcher.share("txt", "whole").ok().number("File-ID"), 1);
}
