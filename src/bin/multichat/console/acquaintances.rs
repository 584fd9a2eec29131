//! The nicknames of messages that have arrived: known also where the server does not list any.

use std::collections::BTreeMap;

use multichat::client::{News, Notice, Relay};
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
        if let Some(nickname) = &relay.nickname {
            self.learn(relay.from, nickname);
        }
    }

    /// Notes who has come, is called otherwise, or has gone.
    pub(crate) fn heed(&self, notice: &Notice) {
        match (notice.news(), &notice.nickname) {
            (News::Joined, Some(nickname)) => self.learn(notice.from, nickname),
            (News::Nickname(nickname), _) => self.learn(notice.from, nickname),
            (News::Left(_), _) => {
                self.0.lock().remove(&notice.from);
            }
            (News::Joined, None) => {}
        }
    }

    fn learn(&self, uid: Uid, nickname: &str) {
        let mut known = self.0.lock();
        if known.get(&uid).is_some_and(|known| known == nickname) {
            return;
        }
        known.insert(uid, nickname.to_string());
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
