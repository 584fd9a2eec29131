//! See `targets/request.rs`.
#![no_main]

#[path = "targets/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::run(data));
