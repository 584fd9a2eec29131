//! Long answers: one thread makes them all, one at a time.
//!
//! What has been made and is not in a queue yet is counted nowhere. So it is one answer, however many
//! ask (P5). And it is made in one thread's memory: an allocator keeps what each thread has freed for
//! itself, and many threads would keep an answer each.

use std::fmt;
use std::io;
use std::sync::Weak;

use super::Service;
use crate::limits::STACK_BYTES;
use crate::supervisor;
use crate::sync::channel::{Receiver, Sender, bounded, unbounded};

/// What makes an answer and flushes it. It waits for no client.
type Make = Box<dyn FnOnce(&Service) + Send>;

/// An answer that is to be made.
struct Order {
    make: Make,
    /// Dropped when it is made.
    _made: Sender<()>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").finish_non_exhaustive()
    }
}

/// To the thread that makes long answers.
#[derive(Debug)]
pub(super) struct Answers(Sender<Order>);

/// What that thread takes: from each session one at a time.
pub(super) struct Orders(Receiver<Order>);

impl Answers {
    pub(super) fn new() -> (Answers, Orders) {
        let (orders, taken) = unbounded();
        (Answers(orders), Orders(taken))
    }

    /// Has an answer made, in its turn, and waits until it is.
    pub(super) fn make(&self, make: Make) {
        let (made, waiting) = bounded::<()>(0);
        // The thread ends together with what it serves.
        if self.0.send(Order { make, _made: made }).is_ok() {
            // Nothing is ever sent: the end of the channel is what is waited for.
            let _ = waiting.recv();
        }
    }
}

impl Orders {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn start(self, service: Weak<Service>) -> io::Result<()> {
        supervisor::spawn("answer", STACK_BYTES, move || self.carry_out(&service))
    }

    fn carry_out(&self, service: &Weak<Service>) {
        for order in self.0.iter() {
            let Some(service) = service.upgrade() else { return };
            let Order { make, _made } = order;
            make(&service);
        }
    }
}
