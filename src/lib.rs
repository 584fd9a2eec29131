//! The reference implementation of the Multi-chat Messaging Protocol (MCMP).
//!
//! One room over TCP: public messages, private messages to a UID, nicknames, small files that the
//! server stages and clients fetch. A thread for each client reads it, blocking; shared state is
//! behind one lock; what a client's socket does not take goes through that client's channel to a
//! writer thread. `§` in these pages is a section of the Internet-Draft; `P1` to `P5` are the parts
//! of what this project settles where the draft is silent: framing ([`wire`]), bad input
//! ([`reason`]), what the server writes ([`wire::server_message`]), what each message does
//! ([`wire::client_message`], [`text`], [`stage`]), and [promises](#promises-p5).
//!
//! # The map
//!
//! A module names only modules above it in this table.
//!
//! | module | owns | does not touch |
//! |---|---|---|
//! | `sync` | locks, atomics, threads, channels, the clock; those of a model checker under `cfg(shuttle)` | everything else |
//! | [`ids`] | the numbers of the protocol, each its own type | |
//! | [`args`] | sizes, addresses, times and usage errors of the command lines | |
//! | `supervisor` | what happens when a thread panics that all clients share | |
//! | [`limits`] | what the system allows: descriptors, threads | |
//! | [`signals`] | which signals stop a program, and which one must not | |
//! | [`logging`] | the log, and that nobody waits for it | |
//! | [`text`] | nicknames, extensions, names of files, what a text may hold | I/O |
//! | [`wire`] | the grammar, both ways, for server and client; its first lines list its files | sockets, threads, clocks, files, state |
//! | [`reason`] | every refusal and every cause, and in `wording` the words for them | addresses, paths, errors of the system |
//! | [`web`] | a browser's side of one connection: the HTTP request, the page, the frames of a WebSocket | sockets, threads, clocks, messages |
//! | `admission` | places in the room: how many clients, in all and from one address | sockets |
//! | [`stage`] | staged files, from arrival to eviction and restart; its first lines list its files | sockets, the room |
//! | `delivery::socket`, `tcp_info` | a client as delivery sees it; what has left this host | queues, messages |
//! | [`delivery::outbox`], `chunk`, `way`, `backlog` | one client's socket and queue, and whose turn it is to write; held, raw or framed; what waits for all | the room |
//! | `delivery::backpressure` | which queues are over the limit, and which senders wait | sockets |
//! | [`room`], `room::state`, `room::batch`, `room::history` | who is active, how others left, the one order; who gets which bytes of it (`batch::view`), and in which form; what was said last | sockets, anything that waits |
//! | `delivery::membership` | the three ends of a connection: leaving, being lost, being disconnected | |
//! | `delivery::{writer, stall, flusher}` | what sockets did not take; who takes nothing; what was said | each other |
//! | [`delivery`] | from the batch to the sockets: who flushes, for everybody | contents of messages |
//! | [`server::Config`] | what a server is asked to be | |
//! | `stats` | what is counted for the operator | locks |
//! | `service` | what all sessions share; `answers` makes long answers, one at a time | |
//! | `session` | one client from its first byte to its close: what it speaks (`sniff`), its request (`page`), its frames (`frames`); one kind of message a file | grammar, listening |
//! | [`server`] | listening, letting in, refusing, stopping | contents of messages |
//! | `operator` | the operator's socket; `command` has the commands | grammar |
//! | [`client`] | the blocking client: requests, responses, what arrives in between | terminals, flags |
//! | [`conformance`] | the rules of the protocol as values, and whether a server or a client keeps them | everything else: it has a reader of its own |
//!
//! # The way of a chat
//!
//! 1. `session::input` reads bytes; [`wire::client_message`] makes a header of them, or an error.
//! 2. `session::chat` asks `delivery::backpressure` whether the sender may add so much to the queues
//!    that the chat is for, and waits where it may not; then it reads the body and looks at the text.
//! 3. [`room::Room`] adds the relay for all its receivers, and the response behind it, to the batch:
//!    one hold of one lock, so one order for everybody. Where somebody gets the extended form, or the
//!    history keeps it, it is encoded in that form as well, and counted.
//! 4. Before the session waits for its next byte it flushes ([`delivery`]): one thread at a time takes
//!    the batch and offers it to every socket ([`delivery`]'s flusher is the batch's sink).
//! 5. What a socket does not take waits in that client's [`delivery::outbox`], for its writer thread.
//!    `delivery::stall` disconnects a client that takes nothing, or too little, for too long.
//!
//! # Promises (P5)
//!
//! L is the queue limit (`--queue-limit`), the stall timeout `--stall-timeout`.
//!
//! | promise | kept by |
//! |---|---|
//! | From one sender to one receiver in the order sent; public messages in one order for all; responses in the order of the requests | [`room`], `room::batch` |
//! | `Status Ok` for a chat: it is queued for every client that it was for; `Status Error` with the cause where the relay found out that it reached nobody | `delivery::flusher` |
//! | A queue with more than L waiting is *over* until it has fallen to L/2. A sender that would add more than its share to it waits, before the body of its chat is read. Every client that was active then has the same share of what fills the queue to 2 L, at least 1 KiB, and all others have one together; shares begin anew each stall timeout | `delivery::backpressure`, `session::chat` |
//! | A client whose own queue is over is not read | `session` |
//! | Never more than 2 L and one message (or L and 1 KiB for each client) waits for one client, bookkeeping included; never more than `--queue-total` for all together: where more would wait, the one that has taken nothing for longest is disconnected | `delivery::flusher`, `delivery::backlog` |
//! | A client that has taken nothing for the stall timeout is disconnected, and one that was over for as long, unless a file moves to it at L/2 in a stall timeout. Taken is what has left this host. Time in which the server did not run, or nobody wrote for the client, does not count | `delivery::stall`, `tcp_info` |
//! | What is for a client that has said nothing yet is held for half a second, or until it is known that it does not speak HTTP. A request for a page was never anybody | `session::sniff`, [`delivery::outbox`] |
//! | A connection takes a place until it is closed, a request for a page until its answer | `admission`, `delivery::socket` |
//! | What a client sent whole before its connection broke counts; end of input is not end of output | `session`, `session::close` |
//! | Memory is bounded by the limits, never by what a peer declares, and never by how many have come and gone | `session::input`, [`room`] |
//! | The disk holds at most twice the stage's limit | [`stage`] |
//! | A host that has vanished is found within two minutes; inside a message, 120 s of silence end it | `server::listen`, `delivery::stall`, `session::input` |
//! | At a stop nobody is let in any more, and what is queued is written for 5 s at the most | [`server`], `session::close` |
//!
//! # Invariants
//!
//! 1. `wire`, `text` and `reason` do no I/O of their own: a `&[u8]` is enough to test them.
//! 2. A chat is added for all its receivers in one hold of the room's lock.
//! 3. Nothing waits under a lock, and a push never blocks. The flusher's lock is held over system
//!    calls that do not wait. A session that must wait holds nothing.
//! 4. A writer thread waits for its own queue and its own socket alone, so clients that flood each
//!    other cannot lock each other up.
//! 5. Locks are taken in this order: flusher, outbox, room, backpressure, backlog. The stage's come
//!    last: names, places for open files, ledger. Nothing is called out of the stage while one of them is held, and no system
//!    call is made under the ledger's, which every fetch and every listing needs.
//! 6. Nothing is allocated by a declared length. A relay is encoded at most once for each form; files are streamed, except
//!    that a small staged one is fetched like a text.
//! 7. Every way a client's thread can end, a panic included, takes that client out of the room with a
//!    cause. A thread that all share and that panics ends the process with status 70 and a line in
//!    the log (`supervisor`): a server that half works is worse than one that is started again.
//! 8. No arrow points up: see the map.

mod admission;
pub mod args;
pub mod client;
pub mod conformance;
pub mod delivery;
pub mod ids;
pub mod limits;
pub mod logging;
mod operator;
pub mod reason;
pub mod room;
pub mod server;
mod service;
mod session;
pub mod signals;
pub mod stage;
mod stats;
mod supervisor;
mod sync;
pub mod text;
pub mod web;
pub mod wire;
