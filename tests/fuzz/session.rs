//! See `targets/session.rs`. Now and then it is also seen that no thread and no descriptor is left of
//! the strangers; not in `make test`, where other tests run in the same process.
#![no_main]

#[path = "targets/naive_frames.rs"]
mod naive_frames;
#[path = "targets/session.rs"]
mod session;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static INPUTS: AtomicU64 = AtomicU64::new(0);
    static QUIET: OnceLock<(Vec<String>, Vec<PathBuf>)> = OnceLock::new();
    session::run(data);
    if INPUTS.fetch_add(1, Ordering::Relaxed) % 256 == 0 {
        let quiet = QUIET.get_or_init(|| {
            // Idle writer threads end after a second.
            thread::sleep(Duration::from_secs(3));
            threads_and_descriptors()
        });
        let as_before = session::soon(|| {
            let (threads, descriptors) = threads_and_descriptors();
            threads.len() <= quiet.0.len() && descriptors.len() <= quiet.1.len()
        });
        assert!(as_before, "{:?}, not {quiet:?}", threads_and_descriptors());
    }
});

/// The names of this process's threads, and what its descriptors are; but for pipes, which are the
/// fuzzer's own.
fn threads_and_descriptors() -> (Vec<String>, Vec<PathBuf>) {
    let entries = |path| fs::read_dir(path).expect("a directory").map(|entry| entry.expect("one"));
    // One may end meanwhile.
    let thread = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    let descriptor = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
    let threads = entries("/proc/self/task").filter_map(thread);
    let descriptors = entries("/proc/self/fd").filter_map(descriptor);
    let not_pipes = |what: &PathBuf| !what.to_string_lossy().starts_with("pipe:");
    (threads.collect(), descriptors.filter(not_pipes).collect())
}
