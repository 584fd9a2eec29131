//! The programs as their users meet them: the built binaries, over real sockets.
//!
//! `§` numbers are the draft's; what the draft leaves open is tested as README settles it.

mod chaos;
mod cli;
#[cfg(feature = "client")]
mod client;
mod common;
mod conformance;
mod delivery;
mod draft;
mod extensions;
mod files;
mod framing;
mod fuzz;
#[path = "../lesson_server/mod.rs"]
mod lesson_server;
mod limits;
mod operator;
mod pressure;
mod shutdown;
mod strangers;
mod terminals;
