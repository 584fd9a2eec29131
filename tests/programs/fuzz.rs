//! What fuzzing has kept, through the fuzz targets themselves.

#[path = "../fuzz/targets/frames.rs"]
mod frames;
#[path = "../fuzz/targets/naive_frames.rs"]
mod naive_frames;
#[path = "../fuzz/targets/names.rs"]
mod names;
#[path = "../fuzz/targets/reader.rs"]
mod reader;
#[path = "../fuzz/targets/request.rs"]
mod request;
#[path = "../fuzz/targets/session.rs"]
mod session;

use std::fs;

/// Gives a target each input of its corpus.
#[track_caller]
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = format!("{}/tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut inputs = 0;
    for entry in fs::read_dir(&corpus).expect("a corpus") {
        let path = entry.expect("an input").path();
        // Shown where the target panics.
        eprintln!("{}", path.display());
        run(&fs::read(&path).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 0, "no input in {corpus}");
}

#[test]
fn messages_that_fuzzing_has_kept_are_read_the_same_in_every_split() {
    replay("reader", reader::run);
}

#[test]
fn names_that_fuzzing_has_kept_harm_no_stage() {
    replay("names", names::run);
}

#[test]
fn strangers_that_fuzzing_has_kept_harm_no_conversation() {
    replay("session", session::run);
}

#[test]
fn requests_that_fuzzing_has_kept_are_decided_the_same_in_every_split() {
    replay("request", request::run);
}

#[test]
fn frames_that_fuzzing_has_kept_are_read_as_by_a_naive_reader() {
    replay("frames", frames::run);
}
