//! A browser's side of one connection, as bytes: the HTTP request that it begins with, the answers,
//! and the frames of a WebSocket.
//!
//! Nothing in here knows a socket, a thread or a clock: a session feeds it what has come and writes
//! what it encodes. It says nothing of messages either: over a WebSocket go the bytes of MCMP as one
//! stream each way, and where frames begin and end means nothing. `addresses` alone asks the system.
//!
//! | module | owns |
//! |---|---|
//! | [`http`] | what a connection speaks, the request's head, whom it lets in, the answers |
//! | [`addresses`] | where others reach this server, for the person who has started it |
//! | [`websocket`] | frames, both ways, and what the peer is answered that breaks their rules |

pub mod addresses;
pub mod http;
pub mod websocket;
