//! A small server of the draft, for lessons and for the proof that `multichat check` checks.
//!
//! `draft.rs` is the server; `extended.rs` what goes beyond the draft. Each fault of `catalogue.rs`
//! breaks one rule; `faults.rs` has what it changes. `cargo run --example lesson_server` starts it.

#![allow(missing_docs, unreachable_pub)]

pub mod catalogue;
pub mod draft;
pub mod extended;
pub mod faults;
