//! The nicknames of messages that have arrived: known also where the server does not list any.

use std::collections::BTreeMap;

use multichat::client::Relay;
use multichat::ids::Uid;
use parking_lot::Mutex;

use crate::receiver::Names;

/// How many clients are known at a time; those who came first are forgotten first.
const LIMIT: usize = 1000;

/// Clients that have said something under a nickname.
#[derive(Debug, Default)]
pub(crate) struct Acquaintances(Mutex<BTreeMap<Uid, String>>);

impl Acquaintances {
    /// Notes who has said something.
    pub(crate) fn note(&self, relay: &Relay) {
        let Some(nickname) = &relay.nickname else { return };
        let mut known = self.0.lock();
        if known.get(&relay.from).is_some_and(|known| known == nickname) {
            return;
        }
        known.insert(relay.from, nickname.clone());
        if known.len() > LIMIT {
            known.pop_first();
        }
    }

    /// Forgets all: UIDs have changed.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }

    pub(crate) fn names(&self) -> Names {
        let known = self.0.lock();
        known.iter().map(|(uid, name)| (*uid, Some(name.clone()))).collect()
    }
}
