//! Places in the room: how many clients may be there, in all and from one address.
//!
//! A client takes a place from the moment it is let in until its connection is closed: what is still
//! written to it behind `bye` counts as long. Knows nobody above.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::reason::AdmissionError;
use crate::sync::{Condvar, Instant, Mutex};

/// Who has a place.
#[derive(Debug)]
pub(crate) struct Admission {
    max_clients: usize,
    max_per_host: Option<usize>,
    slots: Mutex<Slots>,
    /// Told when a place becomes free.
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Slots {
    taken: usize,
    by_host: HashMap<IpAddr, usize>,
}

impl Admission {
    /// At most `max_clients` at a time, and of them `max_per_host` from one address.
    pub(crate) fn new(max_clients: usize, max_per_host: Option<usize>) -> Arc<Admission> {
        let slots = Mutex::default();
        Arc::new(Admission { max_clients, max_per_host, slots, freed: Condvar::new() })
    }

    /// A place for a client from `host`; waits `patience` for one to become free.
    ///
    /// # Errors
    /// [`AdmissionError::RoomFull`] or [`AdmissionError::HostFull`].
    pub(crate) fn take_slot(
        self: &Arc<Admission>,
        host: IpAddr,
        patience: Duration,
    ) -> Result<ClientSlot, AdmissionError> {
        let until = Instant::now() + patience;
        let mut slots = self.slots.lock();
        while let Err(reason) = self.take(&mut slots, host) {
            if self.freed.wait_until(&mut slots, until).timed_out() {
                return Err(reason);
            }
        }
        Ok(ClientSlot { admission: Arc::clone(self), host })
    }

    fn take(&self, slots: &mut Slots, host: IpAddr) -> Result<(), AdmissionError> {
        if slots.taken >= self.max_clients {
            return Err(AdmissionError::RoomFull { limit: self.max_clients });
        }
        if let Some(limit) = self.max_per_host {
            let here = slots.by_host.entry(host).or_default();
            if *here >= limit {
                return Err(AdmissionError::HostFull { limit });
            }
            *here += 1;
        }
        slots.taken += 1;
        Ok(())
    }

    fn give_back(&self, host: IpAddr) {
        let mut slots = self.slots.lock();
        slots.taken -= 1;
        if let Some(here) = slots.by_host.get_mut(&host) {
            *here -= 1;
            if *here == 0 {
                slots.by_host.remove(&host);
            }
        }
        drop(slots);
        self.freed.notify_all();
    }

    /// Waits until a place has become free, for so long at the most.
    pub(crate) fn wait_for_room(&self, limit: Duration) {
        self.freed.wait_for(&mut self.slots.lock(), limit);
    }

    /// Waits until nobody has a place, or until the deadline; returns how many still have one.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let mut slots = self.slots.lock();
        while slots.taken > 0 {
            if self.freed.wait_until(&mut slots, deadline).timed_out() {
                break;
            }
        }
        slots.taken
    }
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct ClientSlot {
    admission: Arc<Admission>,
    host: IpAddr,
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        self.admission.give_back(self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_place_is_taken_until_it_is_dropped() {
        let admission = Admission::new(3, Some(2));
        let first = admission.take_slot(ONE, Duration::ZERO).unwrap();
        let second = admission.take_slot(ONE, Duration::ZERO).unwrap();
        let refused = admission.take_slot(ONE, Duration::ZERO).unwrap_err();
        assert_eq!(refused, AdmissionError::HostFull { limit: 2 });
        let _third = admission.take_slot(OTHER, Duration::ZERO).unwrap();
        let refused = admission.take_slot(OTHER, Duration::ZERO).unwrap_err();
        assert_eq!(refused, AdmissionError::RoomFull { limit: 3 });
        drop(first);
        let _again = admission.take_slot(OTHER, Duration::ZERO).unwrap();
        drop(second);
        assert_eq!(admission.wait_until_empty(Instant::now()), 2);
    }
}
