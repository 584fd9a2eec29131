//! Who is here, and the three ends of a connection: leaving, being lost, being disconnected.
//!
//! Below everything that writes: the flusher, the writer threads and the stall watch find out how a
//! client has ended and say so here, and none of them knows the others.

use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use super::backlog::Backlog;
use super::backpressure::Backpressure;
use super::outbox::Outbox;
use super::socket::Socket;
use crate::ids::Uid;
use crate::reason::{Cause, Removal, RoomError};
use crate::room::Room;
use crate::stats::Stats;
use crate::sync;
use crate::wire::Inherited;
use crate::wire::server_message::encode_refusal;

/// How long the thread that reads a client waits for one that writes to say why the connection is
/// gone: that one has its error already, and has at the most lost its processor since.
const CAUSE_WAIT: Duration = Duration::from_millis(20);

/// The room, and how its members come and go.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) room: Room,
    pub(crate) backpressure: Backpressure,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) stats: Stats,
    /// How long the largest relay may be, in bytes.
    pub(crate) largest: usize,
}

impl Membership {
    /// Makes a newcomer active, under the next UID (§2.3.1.2).
    pub(crate) fn join(&self, socket: Arc<dyn Socket>) -> Arc<Outbox> {
        self.room.join(|uid| Outbox::new(uid, socket, Arc::clone(&self.backlog)))
    }

    /// The same for one of which it is not known yet what it speaks: what is for it is held.
    pub(crate) fn join_held(&self, socket: Arc<dyn Socket>) -> Arc<Outbox> {
        self.room.join(|uid| Outbox::new(uid, socket, Arc::clone(&self.backlog)).held())
    }

    /// Takes a newcomer out of the room that was a request for a page: it was never anybody, and
    /// what was held for it is dropped.
    pub(crate) fn withdraw(&self, outbox: &Arc<Outbox>) {
        if self.room.withdraw(outbox) {
            outbox.set_withdrawn();
            self.backpressure.clear(outbox);
        }
    }

    /// Takes a client out of the room, with the cause that later senders are told; the first cause
    /// wins. What was queued for it before is still its own.
    pub(crate) fn leave(&self, outbox: &Arc<Outbox>, cause: Cause) {
        if cause == Cause::Closed && outbox.socket().find_loss().is_some() {
            self.wait_for_cause(outbox);
        }
        self.take_out(outbox, cause);
    }

    fn take_out(&self, outbox: &Arc<Outbox>, cause: Cause) {
        if !self.room.leave(outbox, cause) {
            return;
        }
        let uid = outbox.uid();
        if cause.is_cut() {
            warn!("client {uid}: disconnected: {cause}");
        } else {
            info!("client {uid}: left: {cause}");
        }
        self.backpressure.clear(outbox);
    }

    /// Takes a client out of the room for the operator, with last words that are flushed like
    /// anything: its session is woken from whatever it waits for, says nothing more, and closes the
    /// connection so that they can be read.
    ///
    /// # Errors
    /// Where no such client is active.
    pub(crate) fn remove(&self, uid: Uid, words: &Removal) -> Result<(), RoomError> {
        let last = |out: &mut Vec<u8>| encode_refusal(Inherited::default(), words, out);
        let outbox = self.room.remove(uid, last)?;
        info!("client {uid}: left: {}", Cause::Removed);
        self.stats.count_refusals(1);
        // What it waits for: queues of others or its own, a file on its way, its next byte.
        self.backpressure.clear(&outbox);
        self.backpressure.wake();
        outbox.wake();
        outbox.socket().end_input();
        Ok(())
    }

    /// Lets another thread say why a connection is gone, if it is about to.
    ///
    /// The kernel tells of a reset once, to the one of reader and writer that asks first; to the
    /// other one the connection looks closed. Only the client's own session comes here, holding
    /// nothing.
    fn wait_for_cause(&self, outbox: &Outbox) {
        sync::give_way(CAUSE_WAIT, || self.room.cause_of(outbox.uid()).is_some());
    }

    /// A write has failed: the client is gone. Its session goes on to read what came before.
    pub(crate) fn mark_lost(&self, outbox: &Arc<Outbox>, cause: Cause) {
        // Of a close the session has said so before a write could fail, nearly always. Where it has
        // not, the kernel has told the session of a reset, or a `sendfile` that had sent a part has
        // kept it to itself. A thread that writes waits for nobody to find out.
        let cause = if cause == Cause::Closed { Cause::Reset } else { cause };
        // In this order: a thread that is woken finds the cause recorded.
        self.take_out(outbox, cause);
        outbox.set_lost();
        self.backpressure.clear(outbox);
    }

    /// Disconnects a client: wakes what reads from it or writes to it, and resets the connection
    /// when they have let go of it.
    pub(crate) fn disconnect(&self, outbox: &Arc<Outbox>, cause: Cause) {
        self.mark_lost(outbox, cause);
        outbox.disconnect();
        self.backpressure.wake();
    }

    /// Disconnects clients until no more waits for all of them together than may.
    pub(crate) fn limit_backlog(&self) {
        while let Some(worst) = self.backlog.worst() {
            self.disconnect(&worst, Cause::StoppedReading);
        }
    }
}
