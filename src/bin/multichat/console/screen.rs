//! What waits to be shown: bounded, so that a flood costs no memory, and nobody but the thread that
//! shows it ever waits for the terminal.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use multichat::client::{Content, Notice, Relay};
use parking_lot::{Condvar, Mutex};

use crate::show::{self, Age};

/// How many messages may wait to be shown, and how many bytes they may have together. One more, and
/// the oldest is not shown, but counted.
const RELAYS_LIMIT: usize = 1000;
const RELAYS_BYTES_LIMIT: usize = 4 << 20;

/// What a message costs beside its text, in bytes.
const RELAY_BYTES: usize = 256;

/// About how much is shown at a time, in bytes.
const BATCH_BYTES: usize = 32 * 1024;

/// Something to be shown.
#[derive(Debug)]
pub(crate) enum Piece {
    /// What was said or shared.
    Relay(Relay, Age),
    /// News of another client.
    News(Notice),
    /// What the server has said unasked, or about the connection: of the program's own, but as many
    /// as the server wants.
    Notice(String),
    /// What a person has asked for.
    Text(String),
    /// How far something is: the next one takes its place.
    Progress(String),
    /// So many lines are not shown.
    NotShown(u64),
}

impl Piece {
    /// What it costs to keep it, in bytes.
    fn cost(&self) -> usize {
        RELAY_BYTES
            + match self {
                Piece::Relay(relay, _) => relay.text_len(),
                Piece::News(notice) => notice.text_len(),
                Piece::Notice(text) | Piece::Text(text) | Piece::Progress(text) => text.len(),
                Piece::NotShown(_) => 0,
            }
    }

    /// How many lines it would be; 0 for what is always shown.
    fn lines(&self) -> u64 {
        match self {
            Piece::Relay(Relay { content: Content::Text(text), .. }, _) => {
                text.trim_end_matches('\n').matches('\n').count() as u64 + 1
            }
            Piece::Relay(..) | Piece::News(_) | Piece::Notice(_) => 1,
            Piece::Text(_) | Piece::Progress(_) | Piece::NotShown(_) => 0,
        }
    }
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// How many of them may be left out, and what these cost.
    relays: usize,
    relays_bytes: usize,
    /// There will be nothing more.
    is_closed: bool,
}

impl Queue {
    fn push(&mut self, piece: Piece) {
        if piece.lines() > 0 {
            self.relays += 1;
            self.relays_bytes += piece.cost();
        }
        match (&piece, self.pieces.back_mut()) {
            (Piece::Progress(_), Some(last @ Piece::Progress(_))) => *last = piece,
            _ => self.pieces.push_back(piece),
        }
        // One message alone may wait, however long it is.
        while self.relays > 1
            && (self.relays > RELAYS_LIMIT || self.relays_bytes > RELAYS_BYTES_LIMIT)
        {
            self.leave_out();
        }
    }

    /// Counts the oldest message instead of showing it.
    fn leave_out(&mut self) {
        let Some(at) = self.pieces.iter().position(|piece| piece.lines() > 0) else { return };
        let lines = self.pieces[at].lines();
        self.note_taken(at);
        match at.checked_sub(1).and_then(|before| self.pieces.get_mut(before)) {
            Some(Piece::NotShown(count)) => {
                *count += lines;
                self.pieces.remove(at);
            }
            _ => self.pieces[at] = Piece::NotShown(lines),
        }
    }

    fn note_taken(&mut self, at: usize) {
        if self.pieces[at].lines() > 0 {
            self.relays -= 1;
            self.relays_bytes -= self.pieces[at].cost();
        }
    }

    /// As much as is shown at a time.
    fn take_batch(&mut self) -> Vec<Piece> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && !self.pieces.is_empty() {
            self.note_taken(0);
            let Some(piece) = self.pieces.pop_front() else { break };
            bytes += piece.cost();
            batch.push(piece);
        }
        batch
    }
}

/// Where to show something.
#[derive(Clone)]
pub(crate) struct Screen {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// For a thread that waits for pieces alone.
    changed: Condvar,
    /// Why the program has to end, if it has to.
    ended: Mutex<Option<String>>,
    /// Wakes the thread that waits for keys as well.
    wake: UnixStream,
    is_awake: AtomicBool,
}

impl Screen {
    /// A screen, and the end of a pipe at which the thread that shows it is woken.
    pub(crate) fn new() -> io::Result<(Screen, UnixStream)> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Shared {
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
            ended: Mutex::new(None),
            wake,
            is_awake: AtomicBool::new(false),
        };
        Ok((Screen { shared: Arc::new(shared) }, woken))
    }

    /// Shows what was said or shared.
    pub(crate) fn relay(&self, relay: Relay, age: Age) {
        self.push(Piece::Relay(relay, age));
    }

    /// Shows news of another client.
    pub(crate) fn news(&self, notice: Notice) {
        self.push(Piece::News(notice));
    }

    /// Shows something of the program's own about the connection.
    pub(crate) fn unasked(&self, what: &str) {
        self.push(Piece::Notice(notice(what)));
    }

    /// Shows a line that a person waits for, or several.
    pub(crate) fn print(&self, text: String) {
        self.push(Piece::Text(text));
    }

    /// Shows something of the program's own that a person waits for.
    pub(crate) fn notice(&self, what: &str) {
        self.print(notice(what));
    }

    /// Shows how far something is, in place of what was said of it before.
    pub(crate) fn progress(&self, line: String) {
        self.push(Piece::Progress(line));
    }

    /// Ends the program.
    pub(crate) fn end(&self, why: String) {
        *self.shared.ended.lock() = Some(why);
        self.wake_now();
    }

    /// Why the program has to end, if it has to.
    pub(crate) fn ended(&self) -> Option<String> {
        self.shared.ended.lock().take()
    }

    /// What is to be shown next; empty if there is nothing.
    pub(crate) fn take_batch(&self) -> Vec<Piece> {
        // First, so that a piece that comes meanwhile wakes again.
        self.shared.is_awake.store(false, Ordering::SeqCst);
        self.shared.queue.lock().take_batch()
    }

    /// Whether something waits to be shown.
    pub(crate) fn has_pieces(&self) -> bool {
        !self.shared.queue.lock().pieces.is_empty()
    }

    /// What is to be shown next, as soon as there is something; `None` once there will be nothing.
    pub(crate) fn wait_for_batch(&self) -> Option<Vec<Piece>> {
        let mut queue = self.shared.queue.lock();
        loop {
            let batch = queue.take_batch();
            if !batch.is_empty() {
                return Some(batch);
            }
            if queue.is_closed {
                return None;
            }
            self.shared.changed.wait(&mut queue);
        }
    }

    /// There will be nothing more to be shown.
    pub(crate) fn close(&self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.changed.notify_all();
    }

    fn push(&self, piece: Piece) {
        self.shared.queue.lock().push(piece);
        self.shared.changed.notify_all();
        self.wake();
    }

    /// Wakes the thread that shows, whatever it has taken for the last reason to wake.
    pub(crate) fn wake_now(&self) {
        self.shared.is_awake.store(false, Ordering::SeqCst);
        self.wake();
    }

    /// Wakes the thread that shows, if it is not awake.
    fn wake(&self) {
        if !self.shared.is_awake.swap(true, Ordering::SeqCst) {
            // A full pipe wakes as well.
            let _ = (&self.shared.wake).write(&[0]);
        }
    }
}

/// Something of the program's own.
fn notice(what: &str) -> String {
    format!("{}* {what}", show::time("%H:%M "))
}

/// How many lines are not shown, as a person reads it.
pub(crate) fn not_shown(lines: u64) -> String {
    let digits = lines.to_string();
    let mut grouped = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let noun = if lines == 1 { "line" } else { "lines" };
    format!("\u{2026} {grouped} {noun} not shown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use multichat::client::Extra;
    use multichat::ids::Uid;

    fn relay(text: &str) -> Piece {
        let relay = Relay {
            to: None,
            from: Uid(7),
            nickname: None,
            content_type: "text".to_string(),
            len: text.len() as u64,
            content: Content::Text(text.to_string()),
            extra: Extra::default(),
        };
        Piece::Relay(relay, Age::New)
    }

    fn all(queue: &mut Queue) -> Vec<String> {
        let mut shown = Vec::new();
        loop {
            let batch = queue.take_batch();
            if batch.is_empty() {
                return shown;
            }
            shown.extend(batch.into_iter().map(|piece| match piece {
                Piece::Relay(Relay { content: Content::Text(text), .. }, _) => text,
                Piece::Relay(..) => "file".to_string(),
                Piece::News(_) => "news".to_string(),
                Piece::Notice(text) | Piece::Text(text) | Piece::Progress(text) => text,
                Piece::NotShown(lines) => not_shown(lines),
            }));
        }
    }

    #[test]
    fn of_a_flood_the_newest_is_shown_and_the_rest_is_counted() {
        let mut queue = Queue::default();
        queue.push(Piece::Text("asked for".to_string()));
        for nth in 0..5711 {
            queue.push(relay(&nth.to_string()));
            if nth == 100 {
                queue.push(Piece::Text("asked for too".to_string()));
            }
        }
        let shown = all(&mut queue);
        assert_eq!(
            shown[..4],
            [
                "asked for",
                "\u{2026} 101 lines not shown",
                "asked for too",
                "\u{2026} 4,610 lines not shown"
            ]
        );
        assert_eq!(shown[4], "4711");
        assert_eq!(shown.len(), 4 + RELAYS_LIMIT);
        assert_eq!((queue.relays, queue.relays_bytes), (0, 0));
    }

    #[test]
    fn few_long_messages_are_bounded_as_well() {
        let mut queue = Queue::default();
        let long = "line\n".repeat(100_000);
        for _ in 0..100 {
            queue.push(relay(&long));
            let bytes: usize = queue.pieces.iter().map(Piece::cost).sum();
            assert!(bytes <= RELAYS_BYTES_LIMIT + RELAY_BYTES, "{bytes}");
        }
        assert_eq!(all(&mut queue)[0], "\u{2026} 9,200,000 lines not shown");
    }

    #[test]
    fn progress_takes_the_place_of_what_was_said_of_it() {
        let mut queue = Queue::default();
        for percent in 0..100 {
            queue.push(Piece::Progress(format!("{percent} %")));
        }
        assert_eq!(all(&mut queue), ["99 %"]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(not_shown(1), "\u{2026} 1 line not shown");
        assert_eq!(not_shown(999), "\u{2026} 999 lines not shown");
        assert_eq!(not_shown(4711), "\u{2026} 4,711 lines not shown");
        assert_eq!(not_shown(1_234_567), "\u{2026} 1,234,567 lines not shown");
    }
}
