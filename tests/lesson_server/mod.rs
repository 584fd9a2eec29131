//! A small server of the draft, for lessons and for the proof that `multichat check` checks.

#![allow(missing_docs, unreachable_pub)]

pub mod draft;
pub mod extended;
pub mod faults;
