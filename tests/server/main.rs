//! The server as its users meet it: the built binary, over real sockets.
//!
//! `§` numbers are the draft's; what the draft leaves open is tested as README settles it.

mod chaos;
mod cli;
mod common;
mod delivery;
mod draft;
mod files;
mod framing;
mod limits;
mod pressure;
mod shutdown;
