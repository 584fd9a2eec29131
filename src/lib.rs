//! The reference implementation of the Multi-chat Messaging Protocol (MCMP).
//!
//! One room over TCP: public messages, private messages to a UID, nicknames, small files that the
//! server stages and clients fetch. A thread for each client reads it, blocking; shared state is
//! behind one lock; what a client's socket does not take goes through that client's channel to a
//! writer thread. `§` in these pages is a section of the Internet-Draft.
//!
//! | module | owns | does not touch |
//! |---|---|---|
//! | [`ids`] | the numbers of the protocol, each its own type | |
//! | [`wire`] | the grammar, both ways, for server and client | sockets, threads, clocks, files, state |
//! | [`text`] | nicknames, extensions, what a text may hold | I/O |
//! | [`reason`] | why a message is refused, how a client left; `wording` has the words | addresses, paths, errors of the system |
//! | [`room`] | who is active, who left and how, the order of messages | files, sockets, anything that waits |
//! | `batch` | what was said since the last flush, and who gets which bytes | locks, sockets |
//! | [`delivery`] | from the batch to the sockets, one thread at a time | contents of messages |
//! | [`outbox`] | one client's socket and queue, whose turn it is to write | the room |
//! | `writer` | a client's writer thread | the room's lock |
//! | `stall` | who has stopped reading or reads too slowly: one thread, asleep while nothing is under way | contents of messages |
//! | `kernel_queue` | how much of what was written has left this host | |
//! | [`stage`] | staged files, from arrival to eviction and restart | sockets, the room |
//! | `session` | one client from connect to close; `input` reads, `requests` carries out, `close` closes | grammar, listening |
//! | [`server`] | starting and stopping; `listen`, `accept`, and what all threads share (`shared`) | contents of messages |
//! | `refusal` | newcomers that are refused | |
//! | [`web`] | a browser's side of one connection: the HTTP request, the frames of a WebSocket | sockets, threads, clocks, messages |
//! | [`limits`] | what the system allows | |
//! | [`logging`] | the log, and that nobody waits for it | |
//! | [`client`] | the blocking client: requests, responses, what arrives in between | terminals, flags |
//! | [`args`] | sizes, addresses, times and usage errors of the command lines | everything else |
//!
//! # Invariants
//!
//! 1. `wire`, `text` and `reason` do no I/O of their own: a `&[u8]` is enough to test them.
//! 2. A chat is added for all its receivers in one hold of the room's lock: one order for everybody.
//! 3. Nothing waits under a lock of the room or of an outbox. The flusher's lock is held over system
//!    calls that do not wait. A session that fills a queue waits afterwards, holding nothing.
//! 4. A writer thread waits for its own queue and its own socket alone, so clients that flood each
//!    other cannot lock each other up.
//! 5. Locks are taken in the order flusher, room; and flusher, outbox, pressure. The stage's lock is
//!    never held together with another.
//! 6. Nothing is allocated by a declared length. A relay is encoded once; files are streamed, but that
//!    a small staged one is fetched like a text.
//! 7. Every way a thread can end, a panic included, takes its client out of the room with a cause.

mod admission;
pub mod args;
pub mod client;
pub mod delivery;
pub mod ids;
pub mod limits;
pub mod logging;
pub mod reason;
pub mod room;
pub mod server;
mod service;
mod session;
pub mod stage;
mod supervisor;
mod sync;
pub mod text;
pub mod web;
pub mod wire;
