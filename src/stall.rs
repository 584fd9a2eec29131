//! The stall watch: who has stopped reading, who reads too slowly, and whose host has vanished.
//!
//! One thread looks at the clients for whom something is under way, and disconnects those who do not
//! take it. What counts as taken is what has left this host: a socket that takes bytes into the
//! kernel's buffer says nothing of it, and so the kernel is asked. While nothing is under way the
//! thread sleeps, so an idle server wakes no core. It waits for nobody, and holds nobody up.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::delivery::Delivery;
use crate::ids::Uid;
use crate::kernel_queue::KernelQueue;
use crate::limits::STACK_BYTES;
use crate::outbox::Outbox;
use crate::reason::Cause;

/// How long a host may leave unanswered what the kernel sends it again and again: it has vanished
/// then. Keepalive, which finds it where nothing is under way, takes as long.
pub(crate) const SILENT_HOST_LIMIT: Duration = Duration::from_secs(110);

/// How often the clocks are looked at: often enough for a timeout of half a second, rarely enough
/// to cost nothing at ten. Also the send timeout of every socket.
pub(crate) fn tick(stall_timeout: Duration) -> Duration {
    (stall_timeout / 16).clamp(Duration::from_millis(5), Duration::from_millis(500))
}

/// Where the watch is told of clients that were sent something.
#[derive(Debug)]
pub(crate) struct StallWatch {
    news: Sender<Weak<Outbox>>,
}

impl StallWatch {
    /// The watch, and what its thread is to be started with.
    pub(crate) fn new() -> (StallWatch, Receiver<Weak<Outbox>>) {
        let (news, told) = unbounded();
        (StallWatch { news }, told)
    }

    /// Notes that something was sent to a client, or waits for it. Costs a look at a flag, mostly.
    pub(crate) fn note(&self, outbox: &Arc<Outbox>) {
        if outbox.begin_watch() {
            // The thread ends only together with what it watches for.
            let _ = self.news.send(Arc::downgrade(outbox));
        }
    }
}

/// Starts the thread; it ends with `delivery`.
///
/// # Errors
/// Where no thread can be started.
pub(crate) fn start(told: Receiver<Weak<Outbox>>, delivery: Weak<Delivery>) -> io::Result<()> {
    let builder = thread::Builder::new().name("stall-watch".to_string()).stack_size(STACK_BYTES);
    let kernel_queue = KernelQueue::open();
    builder.spawn(move || watch(&told, &delivery, &kernel_queue)).map(|_| ())
}

fn watch(told: &Receiver<Weak<Outbox>>, delivery: &Weak<Delivery>, kernel_queue: &KernelQueue) {
    let mut watched: HashMap<Uid, Watched> = HashMap::new();
    while let Ok(first) = told.recv() {
        let mut first = Some(first);
        loop {
            let Some(pause) = delivery.upgrade().map(|there| tick(there.stall_timeout())) else {
                return;
            };
            // Before the first look as well: most of what is sent has arrived by then, and whoever
            // is sent to all the time is looked at once a tick, not once a message.
            thread::sleep(pause);
            let Some(delivery) = delivery.upgrade() else { return };
            let now = Instant::now();
            for outbox in first.take().into_iter().chain(told.try_iter()) {
                if let Some(there) = outbox.upgrade() {
                    watched.entry(there.uid()).or_insert(Watched::new(outbox));
                }
            }
            watched.retain(|_, client| client.look(now, kernel_queue, &delivery));
            if watched.is_empty() {
                break;
            }
        }
        watched.shrink_to(64);
    }
}

/// A client for whom something may be under way. The watch keeps no connection open.
struct Watched {
    outbox: Weak<Outbox>,
    clock: Option<Clock>,
    /// Since when its host has answered nothing.
    silent_since: Option<Instant>,
}

impl Watched {
    fn new(outbox: Weak<Outbox>) -> Watched {
        Watched { outbox, clock: None, silent_since: None }
    }

    /// Looks at the clocks; `false` where nothing is under way any more.
    fn look(&mut self, now: Instant, kernel_queue: &KernelQueue, delivery: &Delivery) -> bool {
        let Some(outbox) = self.outbox.upgrade() else { return false };
        // Before the kernel is asked: what is sent behind this line is told anew.
        outbox.end_watch();
        if outbox.is_broken() {
            return false;
        }
        let output = kernel_queue.ask(outbox.stream());
        let (taken, under_way) = match output {
            Some(output) => (output.sent_bytes, output.unsent_bytes > 0 || outbox.is_being_sent()),
            // What the socket has taken must do.
            None => (outbox.taken(), outbox.is_being_sent()),
        };
        let unacked = output.is_some_and(|output| output.unacked_segments > 0);
        if !under_way && !unacked && outbox.waiting() == 0 {
            return false;
        }
        outbox.begin_watch();
        let is_silent = output.is_some_and(|output| output.unanswered > 0);
        let vanished = self.look_for_host(now, is_silent);
        let clock = self.clock.get_or_insert(Clock { taken, since: now });
        if taken != clock.taken && outbox.has_file_under_way() {
            // Not too slow while the file moves: what waits behind it cannot fall. Seen here and not
            // by the writer, whose system call may take longer than the timeout, and moves all the while.
            delivery.pressure().excuse(outbox.uid());
        }
        let over_since = delivery.pressure().over_since(outbox.uid());
        let timeout = delivery.stall_timeout();
        let cause = vanished.or_else(|| clock.look(now, taken, under_way, over_since, timeout));
        if let Some(cause) = cause {
            delivery.cut(&outbox, cause);
        }
        cause.is_none()
    }

    /// Whether the client's host has vanished: it has been asked in vain for too long.
    fn look_for_host(&mut self, now: Instant, is_silent: bool) -> Option<Cause> {
        let since = is_silent.then(|| *self.silent_since.get_or_insert(now));
        self.silent_since = since;
        (now - since? >= SILENT_HOST_LIMIT).then_some(Cause::Vanished)
    }
}

/// How long a client has taken nothing.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// How many bytes it had taken when that was last seen to change.
    taken: u64,
    since: Instant,
}

impl Clock {
    /// Why the client is to be disconnected, if it is.
    ///
    /// `under_way`: there is something that it could take. `over_since`: since when its queue has
    /// been over the limit.
    fn look(
        &mut self,
        now: Instant,
        taken: u64,
        under_way: bool,
        over_since: Option<Instant>,
        timeout: Duration,
    ) -> Option<Cause> {
        if taken != self.taken || !under_way {
            *self = Clock { taken, since: now };
        }
        let nothing_for = now - self.since;
        if nothing_for >= timeout {
            return Some(Cause::StoppedReading);
        }
        // One that has taken nothing for half of the time has perhaps stopped: that clock decides.
        let reads = nothing_for < timeout / 2;
        let is_late =
            over_since.is_some_and(|since| now.saturating_duration_since(since) >= timeout);
        (reads && is_late).then_some(Cause::ReadTooSlowly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_cut_off_when_it_takes_nothing_or_stays_over_the_limit() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // What is seen at each second: bytes taken in all, whether more is under way, and since when
        // the queue is over the limit.
        type Look = (u64, u64, bool, Option<u64>);
        let cases: [(&str, &[Look], Option<Cause>); 8] = [
            (
                "takes something",
                &[(0, 0, true, None), (9, 1, true, None), (18, 2, true, None)],
                None,
            ),
            ("at the end", &[(0, 5, true, None), (9, 5, true, None)], None),
            ("stops", &[(0, 5, true, None), (10, 5, true, None)], Some(Cause::StoppedReading)),
            (
                "stops after a while",
                &[(0, 5, true, None), (9, 6, true, None), (19, 6, true, None)],
                Some(Cause::StoppedReading),
            ),
            (
                "has nothing to take for a while",
                &[(0, 5, true, None), (9, 5, false, None), (18, 5, true, None)],
                None,
            ),
            (
                "reads, and its queue does not fall",
                &[(0, 0, true, Some(0)), (6, 1, true, Some(0)), (10, 2, true, Some(0))],
                Some(Cause::ReadTooSlowly),
            ),
            (
                "its queue has fallen in between",
                &[(0, 0, true, Some(0)), (6, 1, true, Some(6)), (12, 2, true, Some(6))],
                None,
            ),
            (
                "has perhaps stopped",
                &[(0, 0, true, Some(0)), (4, 1, true, Some(0)), (12, 1, true, Some(0))],
                None,
            ),
        ];
        for (name, looks, expected) in cases {
            let (first, taken, ..) = looks[0];
            let mut clock = Clock { taken, since: at(first) };
            let mut cause = None;
            for &(second, taken, under_way, over) in looks {
                assert_eq!(cause, None, "{name}: too early");
                let timeout = Duration::from_secs(10);
                cause = clock.look(at(second), taken, under_way, over.map(at), timeout);
            }
            assert_eq!(cause, expected, "{name}");
        }
    }
    #[test]
    fn a_host_has_vanished_once_it_has_answered_nothing_for_too_long() {
        let start = Instant::now();
        // What is seen at which second: whether the host is silent, and whether it has vanished.
        let looks = [
            (0, false, false),
            (1, true, false),
            (110, true, false),
            (111, true, true),
            (112, false, false),
            (300, true, false),
            (409, true, false),
            (410, true, true),
        ];
        let mut watched = Watched::new(Weak::new());
        for (second, is_silent, has_vanished) in looks {
            let found = watched.look_for_host(start + Duration::from_secs(second), is_silent);
            assert_eq!(found, has_vanished.then_some(Cause::Vanished), "at {second} s");
        }
    }
}
