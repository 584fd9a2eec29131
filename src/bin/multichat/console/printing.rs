//! How what waits on the screen is shown.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::screen::{Piece, Screen, not_shown};
use crate::reconnecting_client::ReconnectingClient;
use crate::show::{Style, line};

/// The bell rings at most so often, whatever arrives.
const BELL_PAUSE: Duration = Duration::from_secs(1);

/// Shows pieces as lines.
pub(crate) struct Printing {
    pub(crate) style: Style,
    room: Arc<ReconnectingClient>,
    rang: Option<Instant>,
}

impl Printing {
    pub(crate) fn new(style: Style, room: Arc<ReconnectingClient>) -> Printing {
        Printing { style, room, rang: None }
    }

    /// A piece as it is shown, without its line's end.
    pub(crate) fn shown(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Relay(relay, age) => {
                let may_ring = self.rang.is_none_or(|rang| rang.elapsed() >= BELL_PAUSE);
                let style = Style { has_bell: self.style.has_bell && may_ring, ..self.style };
                let nickname = self.room.nickname();
                let shown = line::relay(&relay, age, style, nickname.as_deref());
                if shown.starts_with('\x07') {
                    self.rang = Some(Instant::now());
                }
                shown
            }
            Piece::News(notice) => line::notice(&notice, self.style),
            Piece::Notice(text) | Piece::Text(text) | Piece::Progress(text) => {
                line::wrapped(text, self.style)
            }
            Piece::NotShown(lines) => not_shown(lines),
        }
    }

    /// Prints what comes, line after line, until there will be nothing more.
    pub(crate) fn print_all(mut self, screen: &Screen) {
        while let Some(batch) = screen.wait_for_batch() {
            let mut text = String::new();
            for piece in batch {
                text.push_str(&self.shown(piece));
                text.push('\n');
            }
            let mut stdout = io::stdout().lock();
            // A terminal that takes nothing any more has gone, and a signal will say so.
            let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        }
    }
}
