//! Places in the room: how many clients may be there, in all and from one address.
//!
//! Some addresses have none: those that the operator has banned. A client takes a place from the moment it is let in until its connection is closed: what is still
//! written to it behind `bye` counts as long. Knows nobody above.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::reason::{AdmissionError, Removal};
use crate::sync::{Condvar, Instant, Mutex};

/// Who has a place.
#[derive(Debug)]
pub(crate) struct Admission {
    max_clients: usize,
    max_per_host: Option<usize>,
    slots: Mutex<Slots>,
    /// The addresses that are let in no more, and what is said to those who come from there.
    banned: Mutex<BTreeMap<IpAddr, Removal>>,
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
        Arc::new(Admission {
            max_clients,
            max_per_host,
            slots: Mutex::default(),
            banned: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Lets nobody in from `host` any more, but says why.
    pub(crate) fn ban(&self, host: IpAddr, why: Removal) {
        self.banned.lock().insert(host.to_canonical(), why);
    }

    /// Lifts a ban; `false` where there was none.
    pub(crate) fn unban(&self, host: IpAddr) -> bool {
        self.banned.lock().remove(&host.to_canonical()).is_some()
    }

    /// What is said to those who come from `host`, where it is banned.
    pub(crate) fn ban_of(&self, host: IpAddr) -> Option<Removal> {
        self.banned.lock().get(&host.to_canonical()).cloned()
    }

    /// The banned addresses, IPv4 before IPv6, ascending.
    pub(crate) fn bans(&self) -> Vec<IpAddr> {
        self.banned.lock().keys().copied().collect()
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
    fn an_address_is_banned_in_whichever_form_it_comes() {
        let admission = Admission::new(3, None);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        let why = Removal { text: "enough".into() };
        admission.ban(mapped, why.clone());
        assert_eq!((admission.ban_of(ONE), admission.ban_of(OTHER)), (Some(why), None));
        assert_eq!(admission.bans(), [ONE]);
        assert!(admission.unban(mapped) && !admission.unban(ONE));
        assert_eq!(admission.ban_of(mapped), None);
    }

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
