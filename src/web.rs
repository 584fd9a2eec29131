//! A browser's side of one connection, as bytes: the HTTP request that it begins with, the answers,
//! and the frames of a WebSocket.
//!
//! Nothing in here knows a socket, a thread or a clock: a session feeds it what has come and writes
//! what it encodes. It says nothing of messages either: over a WebSocket go the bytes of MCMP as one
//! stream each way, and where frames begin and end means nothing. `addresses` alone asks the system.
//!
//! | module | owns |
//! |---|---|
//! | [`http`] | what a connection speaks, the head of a request, who is let in, the answers |
//! | [`page`] | the page itself, in three files |
//! | [`addresses`] | where others reach this server, for the person who has started it |
//! | [`websocket`] | frames, both ways, and what the peer is answered that breaks their rules |

pub mod addresses;
pub mod http;
pub mod page;
pub mod websocket;
