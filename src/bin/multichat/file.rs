//! Files on their way: what is shared from where, and what is fetched where.
//!
//! `name` knows none of the others; `saving` and `progress` know neither `share` nor `fetch`.

pub(crate) mod fetch;
pub(crate) mod name;
pub(crate) mod progress;
pub(crate) mod saving;
pub(crate) mod share;
