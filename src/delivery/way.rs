//! How what is for a client goes out: held as long as it is not known what the client speaks, then
//! as it is, or in the frames of a WebSocket.

use crate::sync::atomic::{AtomicU8, Ordering};

/// How what is for a client goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It waits in the queue, and nobody writes from there.
    Held,
    /// The bytes of MCMP as they are.
    Raw,
    /// In frames.
    Framed,
    /// Not at all: it was a request for a page.
    Withdrawn,
}

const HELD: u8 = 0;
/// Raw, and nothing was written yet.
const FRESH: u8 = 1;
const RAW: u8 = 2;
const FRAMED: u8 = 3;
const WITHDRAWN: u8 = 4;

/// The way of one client. It is changed under the lock of its outbox, but for one thing: the flusher
/// notes that it is about to write for the first time.
#[derive(Debug)]
pub(super) struct WayCell(AtomicU8);

impl WayCell {
    pub(super) fn raw() -> WayCell {
        WayCell(AtomicU8::new(RAW))
    }

    pub(super) fn held() -> WayCell {
        WayCell(AtomicU8::new(HELD))
    }

    pub(super) fn get(&self) -> Way {
        decode(self.0.load(Ordering::Acquire))
    }

    /// The way of what is offered now: from here on, something may have been written.
    pub(super) fn begin_offer(&self) -> Way {
        match self.0.load(Ordering::Acquire) {
            FRESH => {
                let changed =
                    self.0.compare_exchange(FRESH, RAW, Ordering::AcqRel, Ordering::Acquire);
                changed.map_or_else(decode, |_| Way::Raw)
            }
            way => decode(way),
        }
    }

    /// Ends the hold of a client whose bytes go out as they are; `is_empty`: nothing was held.
    pub(super) fn set_raw(&self, is_empty: bool) {
        self.0.store(if is_empty { FRESH } else { RAW }, Ordering::Release);
    }

    pub(super) fn set_framed(&self) {
        self.0.store(FRAMED, Ordering::Release);
    }

    pub(super) fn set_withdrawn(&self) {
        self.0.store(WITHDRAWN, Ordering::Release);
    }

    /// Goes back to holding, where nothing was written yet.
    pub(super) fn hold_again(&self) -> bool {
        self.0.compare_exchange(FRESH, HELD, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

fn decode(way: u8) -> Way {
    match way {
        HELD => Way::Held,
        FRAMED => Way::Framed,
        WITHDRAWN => Way::Withdrawn,
        _ => Way::Raw,
    }
}
