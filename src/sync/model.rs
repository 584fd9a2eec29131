//! The primitives of the model checker, with the interface of those of the system.
//!
//! A wait with a timeout may end at once, late, or not before it is woken: which of them, the
//! checker decides. So what the server does after a timeout is tried against everything that other
//! threads do meanwhile. The clock itself stands still.

use std::ops::{Add, Deref, DerefMut, Sub};
use std::sync::PoisonError;
use std::time::Duration;

use shuttle::rand::Rng;

pub(crate) use shuttle::sync::atomic;
pub(crate) use shuttle::thread;

/// Whether the checker lets a wait with a timeout end without being woken.
fn times_out() -> bool {
    thread::yield_now();
    shuttle::rand::thread_rng().gen_bool(0.5)
}

/// Lets other threads run before this one, for as long as the checker likes.
pub(crate) fn give_way(_length: Duration, is_done: impl Fn() -> bool) {
    while !is_done() && !times_out() {}
}

/// A moment of the model's own time, which stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Instant {
        Instant(Duration::ZERO)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, length: Duration) -> Instant {
        Instant(self.0 + length)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.0 - earlier.0
    }
}

/// A lock as `parking_lot` has it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard { lock: self, held: Some(held) })
    }
}

/// A held lock; empty only while it waits in a [`Condvar`].
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    lock: &'a Mutex<T>,
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    pub(crate) fn unlock_fair(guard: Self) {
        drop(guard);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_deref().expect("only a wait empties a guard, and it fills it again")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_deref_mut().expect("only a wait empties a guard, and it fills it again")
    }
}

/// A condition as `parking_lot` has it.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

/// Whether a wait ended without being woken.
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar(shuttle::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.held =
            guard.held.take().map(|held| self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets go of the lock and takes it again: the caller looks for itself what has changed.
    pub(crate) fn wait_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _length: Duration,
    ) -> WaitTimeoutResult {
        guard.held = None;
        let timed_out = times_out();
        guard.held = guard.lock.lock().held;
        WaitTimeoutResult(timed_out)
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_for(guard, Duration::ZERO)
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Channels as `crossbeam_channel` has them.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Condvar, Mutex, times_out};

    pub(crate) use crossbeam_channel::{
        RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError,
    };

    #[derive(Debug)]
    struct Channel<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
        capacity: usize,
    }

    #[derive(Debug)]
    struct State<T> {
        items: VecDeque<T>,
        senders: usize,
        receivers: usize,
    }

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        bounded(usize::MAX)
    }

    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let state = State { items: VecDeque::new(), senders: 1, receivers: 1 };
        let channel =
            Arc::new(Channel { state: Mutex::new(state), changed: Condvar::new(), capacity });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
            let mut state = self.0.state.lock();
            if state.receivers == 0 {
                return Err(TrySendError::Disconnected(item));
            }
            if state.items.len() >= self.0.capacity {
                return Err(TrySendError::Full(item));
            }
            state.items.push_back(item);
            drop(state);
            self.0.changed.notify_all();
            Ok(())
        }

        /// For channels without a limit.
        pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
            self.try_send(item).map_err(|error| SendError(error.into_inner()))
        }

        pub(crate) fn send_timeout(&self, item: T, _length: Duration) -> Result<(), SendError<T>> {
            self.send(item)
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Sender<T> {
            self.0.state.lock().senders += 1;
            Sender(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.state.lock().senders -= 1;
            self.0.changed.notify_all();
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            let mut state = self.0.state.lock();
            match state.items.pop_front() {
                Some(item) => Ok(item),
                None if state.senders == 0 => Err(TryRecvError::Disconnected),
                None => Err(TryRecvError::Empty),
            }
        }

        pub(crate) fn recv(&self) -> Result<T, RecvError> {
            let mut state = self.0.state.lock();
            loop {
                if let Some(item) = state.items.pop_front() {
                    return Ok(item);
                }
                if state.senders == 0 {
                    return Err(RecvError);
                }
                self.0.changed.wait(&mut state);
            }
        }

        pub(crate) fn recv_timeout(&self, _length: Duration) -> Result<T, RecvTimeoutError> {
            loop {
                match self.try_recv() {
                    Ok(item) => return Ok(item),
                    Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                    Err(TryRecvError::Empty) if times_out() => {
                        return Err(RecvTimeoutError::Timeout);
                    }
                    Err(TryRecvError::Empty) => {}
                }
            }
        }

        pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
            std::iter::from_fn(|| self.try_recv().ok())
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
            std::iter::from_fn(|| self.recv().ok())
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.0.state.lock().items.is_empty()
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Receiver<T> {
            self.0.state.lock().receivers += 1;
            Receiver(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.state.lock().receivers -= 1;
        }
    }
}
