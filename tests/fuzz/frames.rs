//! See `targets/frames.rs`.
#![no_main]

#[path = "targets/frames.rs"]
mod frames;
#[path = "targets/naive_frames.rs"]
mod naive_frames;

libfuzzer_sys::fuzz_target!(|data: &[u8]| frames::run(data));
