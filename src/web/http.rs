//! What a connection speaks, and the one HTTP request of one that speaks HTTP.
//!
//! [`FirstLine`] tells whether the first line is HTTP, [`Head`] takes the request up to its empty
//! line, [`decide`] says what it gets, and [`answer`] encodes that. A body is never read.
//!
//! A web site that a member visits must not become a member itself: so `Origin`, where there is one,
//! must be this very server, and `Host` a name that nobody outside can make point here.

pub mod answer;
mod decision;
mod first_line;
mod head;
mod host;
mod refusal;

#[cfg(test)]
mod tests;

pub use decision::{Decision, decide};
pub use first_line::{Dialect, FirstLine};
pub use head::{Head, Progress};
pub use host::{Host, Names, parse_name};
pub use refusal::Refusal;

/// The longest head in bytes: the request line and all others with their line endings, without the
/// empty line behind them.
pub const HEAD_LIMIT: usize = 16 * 1024;

/// The largest number of lines in a head: the request line and all others, without the empty one.
pub const HEAD_LINES_LIMIT: usize = 64;
