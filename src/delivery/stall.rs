//! The stall watch: who has stopped reading, who reads too slowly, and whose host has vanished.
//!
//! One thread looks at the clients that something is under way to, and disconnects those who do not
//! take it. What counts as taken is what has left this host: a socket that takes bytes into the
//! kernel's buffer says nothing of it, and so the kernel is asked. Time in which the server itself
//! did not run does not count, and neither does time in which no thread wrote for the client. While
//! nothing is under way the thread sleeps, so an idle server wakes no core. It waits for nobody, and
//! holds nobody up.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::membership::Membership;
use super::outbox::Outbox;
use super::tcp_info::{SocketStats, TcpInfo};
use crate::ids::Uid;
use crate::limits::STACK_BYTES;
use crate::reason::Cause;
use crate::supervisor;
use crate::sync::channel::{Receiver, Sender, unbounded};
use crate::sync::{Instant, thread};

/// How long a host may leave unanswered what the kernel sends it again and again: it has vanished
/// then. Keepalive, which finds it where nothing is under way, takes as long.
pub(crate) const SILENT_HOST_LIMIT: Duration = Duration::from_secs(110);

/// Between two looks so many ticks count at the most: what is more, the server did not run.
const TICKS_COUNTED: u32 = 2;

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
    /// Starts the thread; it ends with `membership`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn start(
        stall_timeout: Duration,
        membership: Weak<Membership>,
    ) -> io::Result<StallWatch> {
        let (watch, told) = StallWatch::new();
        let tcp_info = TcpInfo::open();
        supervisor::spawn("stall-watch", STACK_BYTES, move || {
            run(&told, &membership, &tcp_info, stall_timeout);
        })?;
        Ok(watch)
    }

    pub(super) fn new() -> (StallWatch, Receiver<Weak<Outbox>>) {
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

fn run(
    told: &Receiver<Weak<Outbox>>,
    membership: &Weak<Membership>,
    tcp_info: &TcpInfo,
    stall_timeout: Duration,
) {
    let mut watched: HashMap<Uid, Watched> = HashMap::new();
    while let Ok(first) = told.recv() {
        let mut first = Some(first);
        let mut clock = RunningClock::new(tick(stall_timeout));
        loop {
            // Before the first look as well: most of what is sent has arrived by then, and a client
            // that is sent to all the time is looked at once a tick, not once a message.
            thread::sleep(tick(stall_timeout));
            let Some(membership) = membership.upgrade() else { return };
            let now = clock.look();
            for outbox in first.take().into_iter().chain(told.try_iter()) {
                if let Some(there) = outbox.upgrade() {
                    watched.entry(there.uid()).or_insert(Watched::new(outbox));
                }
            }
            watched.retain(|_, client| client.look(now, stall_timeout, tcp_info, &membership));
            if watched.is_empty() {
                break;
            }
        }
        watched.shrink_to(64);
    }
}

/// Counts the time in which the server has run, for as long as anything is watched.
#[derive(Debug)]
struct RunningClock {
    counted: Duration,
    looked: Instant,
    /// The most that counts between two looks.
    most: Duration,
}

impl RunningClock {
    fn new(tick: Duration) -> RunningClock {
        RunningClock { counted: Duration::ZERO, looked: Instant::now(), most: tick * TICKS_COUNTED }
    }

    fn look(&mut self) -> Duration {
        self.look_at(Instant::now())
    }

    fn look_at(&mut self, now: Instant) -> Duration {
        self.counted += (now - self.looked).min(self.most);
        self.looked = now;
        self.counted
    }
}

/// A client that something may be under way to. The watch keeps no connection open.
#[derive(Debug)]
pub(super) struct Watched {
    outbox: Weak<Outbox>,
    taken: Option<TakenClock>,
    /// In a box: few clients ever need one, and all are watched while somebody talks to all.
    over: Option<Box<OverClock>>,
    file: FileWay,
    /// When it was looked at last.
    looked: Option<Duration>,
    /// Since when its host has answered nothing.
    silent_since: Option<Duration>,
}

impl Watched {
    pub(super) fn new(outbox: Weak<Outbox>) -> Watched {
        Watched {
            outbox,
            taken: None,
            over: None,
            file: FileWay::default(),
            looked: None,
            silent_since: None,
        }
    }

    /// Looks at the clocks; `false` where nothing is under way any more.
    pub(super) fn look(
        &mut self,
        now: Duration,
        timeout: Duration,
        tcp_info: &TcpInfo,
        membership: &Membership,
    ) -> bool {
        let Some(outbox) = self.outbox.upgrade() else { return false };
        let Some(output) = Output::look(&outbox, tcp_info) else { return false };
        let vanished = self.look_for_host(now, output.is_host_silent);
        let is_file_under_way = self.file.look(&outbox, &output);
        let unserved = if output.is_served() { Duration::ZERO } else { self.since_last(now) };
        self.looked = Some(now);
        let clock = self.taken.get_or_insert(TakenClock { taken: output.taken, since: now });
        if output.taken != clock.taken {
            membership.backlog.note_taken(outbox.uid());
        }
        let nothing_for = clock.look(now, output.taken, output.is_under_way());
        let over_for = self.look_at_queue(
            now,
            &Queue {
                episode: outbox.over(),
                taken: output.taken,
                unserved,
                is_file_under_way,
                enough: membership.backpressure.limit() as u64 / 2,
            },
        );
        let cause = vanished.or_else(|| end_of_patience(nothing_for, over_for, timeout));
        if let Some(cause) = cause {
            membership.disconnect(&outbox, cause);
        }
        cause.is_none()
    }

    fn since_last(&self, now: Duration) -> Duration {
        self.looked.map_or(Duration::ZERO, |last| now - last)
    }

    /// How long the queue has been over its limit for its reader's fault.
    fn look_at_queue(&mut self, now: Duration, queue: &Queue) -> Option<Duration> {
        let Some(episode) = queue.episode else {
            self.over = None;
            return None;
        };
        let clock = match &mut self.over {
            Some(clock) if clock.episode == episode => clock,
            over => {
                let clock = OverClock { episode, since: now, taken: queue.taken };
                over.insert(Box::new(clock))
            }
        };
        clock.since += queue.unserved;
        if queue.is_file_under_way && queue.taken - clock.taken >= queue.enough {
            // Not too slow while the file moves: what waits behind it cannot fall.
            (clock.since, clock.taken) = (now, queue.taken);
        }
        Some(now.saturating_sub(clock.since))
    }

    /// Whether the client's host has vanished: it has been asked in vain for too long.
    fn look_for_host(&mut self, now: Duration, is_silent: bool) -> Option<Cause> {
        let since = is_silent.then(|| *self.silent_since.get_or_insert(now));
        self.silent_since = since;
        (now - since? >= SILENT_HOST_LIMIT).then_some(Cause::Vanished)
    }
}

/// What is under way to a client.
#[derive(Debug)]
struct Output {
    /// How many bytes it has taken.
    taken: u64,
    /// How many of what its socket has taken have not left this host.
    unsent: u64,
    /// Whether something waits in its queue, and whether a thread writes from there.
    waits: bool,
    has_writer: bool,
    is_host_silent: bool,
}

impl Output {
    /// Looks at the queue and then at the socket; `None` where nothing is under way, and then the
    /// watch is told anew of what is sent from here on.
    ///
    /// In this order: what leaves the queue in between is found in the socket.
    fn look(outbox: &Arc<Outbox>, tcp_info: &TcpInfo) -> Option<Output> {
        outbox.end_watch();
        if outbox.is_lost() {
            return None;
        }
        let (waits, has_writer) = (outbox.waiting() > 0, outbox.has_writer());
        let stats = outbox.socket().stats(tcp_info);
        let is_unacked = stats.is_some_and(|stats| stats.unacked_segments > 0);
        let SocketStats { sent_bytes, unsent_bytes, unanswered, .. } =
            // What the socket has taken must do.
            stats.unwrap_or(SocketStats { sent_bytes: outbox.taken(), ..SocketStats::default() });
        if !waits && unsent_bytes == 0 && !is_unacked {
            return None;
        }
        outbox.begin_watch();
        Some(Output {
            taken: sent_bytes,
            unsent: unsent_bytes,
            waits,
            has_writer,
            is_host_silent: unanswered > 0,
        })
    }

    /// Whether there is something that the client could take.
    fn is_under_way(&self) -> bool {
        self.unsent > 0 || (self.waits && self.has_writer)
    }

    /// Whether what waits is being written.
    fn is_served(&self) -> bool {
        !self.waits || self.is_under_way()
    }
}

/// A file on its way to a client, until its last byte has left this host.
#[derive(Debug, Default)]
struct FileWay {
    /// Whether it was not all in the socket when that was looked at last.
    is_in_queue: bool,
    /// What the client will have taken once it has taken all of the file, where that is known.
    end: Option<u64>,
}

impl FileWay {
    fn look(&mut self, outbox: &Outbox, output: &Output) -> bool {
        let was_in_queue = self.is_in_queue;
        self.is_in_queue = outbox.has_file_under_way();
        if was_in_queue && !self.is_in_queue {
            self.end = Some(output.taken + output.unsent);
        }
        self.is_in_queue || self.end.is_some_and(|end| output.taken < end)
    }
}

/// How a client's queue stands.
struct Queue {
    /// Which time it is over its limit.
    episode: Option<u64>,
    /// How many bytes the client has taken.
    taken: u64,
    /// For how long nobody wrote from it, since the last look.
    unserved: Duration,
    is_file_under_way: bool,
    /// How many bytes of a file are to be taken in each stall timeout.
    enough: u64,
}

/// How long a queue has been over its limit.
#[derive(Clone, Copy, Debug)]
struct OverClock {
    episode: u64,
    /// Since when, or since a file has last moved by enough.
    since: Duration,
    /// How many bytes the client had taken then.
    taken: u64,
}

/// How long a client has taken nothing.
#[derive(Clone, Copy, Debug)]
struct TakenClock {
    /// How many bytes it had taken when that was last seen to change.
    taken: u64,
    since: Duration,
}

impl TakenClock {
    /// `under_way`: there is something that it could take.
    fn look(&mut self, now: Duration, taken: u64, under_way: bool) -> Duration {
        if taken != self.taken || !under_way {
            *self = TakenClock { taken, since: now };
        }
        now - self.since
    }
}

/// Why a client is to be disconnected, if it is: by how long it has taken nothing, and how long its
/// queue has been over the limit.
fn end_of_patience(
    nothing_for: Duration,
    over_for: Option<Duration>,
    timeout: Duration,
) -> Option<Cause> {
    if nothing_for >= timeout {
        return Some(Cause::StoppedReading);
    }
    // One that has taken nothing for half of the time has perhaps stopped: that clock decides.
    let reads = nothing_for < timeout / 2;
    (reads && over_for.is_some_and(|time| time >= timeout)).then_some(Cause::ReadTooSlowly)
}

#[cfg(test)]
mod tests;
