//! A window that changes its width: what has arrived stays, and the line being typed is drawn anew.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Room;
use crate::console::keys::Key;

/// How long a window may take to come to its size, and a terminal to say where its cursor is.
const RESIZE_PAUSE: Duration = Duration::from_millis(50);
const CURSOR_LIMIT: Duration = Duration::from_secs(1);

/// How often it is looked again while a window's size does not stay, or the cursor is where it cannot
/// be yet.
const RESIZE_TRIES: usize = 10;

/// How long a terminal that has another width already may take to say so.
const WIDTH_LIMIT: Duration = Duration::from_secs(1);

impl Room {
    /// Draws the line anew, where the window has another width than when it was drawn.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let columns = self.terminal.size().0;
        match self.view.columns() {
            Some(drawn) if drawn != columns => self.resize(),
            _ => Ok(()),
        }
    }

    /// Makes sure that the line is where it was drawn, before what has arrived is put in its place: a
    /// terminal may have laid out anew what it shows, and not yet have said that its width is another.
    pub(super) fn find_line(&mut self) -> io::Result<()> {
        let Some(place) = self.view.cursor() else { return Ok(()) };
        if self.editor.text().is_empty() {
            return Ok(());
        }
        match self.ask_for_cursor()? {
            Some(column) if column != place.column => {}
            _ => return Ok(()),
        }
        let until = Instant::now() + WIDTH_LIMIT;
        while self.view.columns() == Some(self.terminal.size().0) && Instant::now() < until {
            thread::sleep(RESIZE_PAUSE);
        }
        self.settle()
    }

    /// Takes the line off, and draws it anew. What has arrived is above it, and stays: how many rows
    /// the line takes depends on the terminal, which is asked where its cursor is.
    fn resize(&mut self) -> io::Result<()> {
        let mut rows = 0;
        for _ in 0..RESIZE_TRIES {
            let columns = self.wait_for_width();
            if self.view.columns() == Some(columns) {
                return Ok(());
            }
            let Some(resized) = self.view.after_resize(columns) else { return Ok(()) };
            let told = match resized.is_told_by_column() {
                true => self.ask_for_cursor()?.map(|column| resized.rows_by_column(column)),
                false => None,
            };
            rows = told.flatten().unwrap_or(resized.least_rows());
            // Where the terminal says neither of what it can be, it is not done yet.
            if self.terminal.size().0 == columns && told != Some(None) {
                break;
            }
        }
        let cleared = self.view.clear_after_resize(rows);
        self.write(&cleared)?;
        self.draw()
    }

    /// The terminal's width, once it stays as it is: a window is mostly drawn to its size.
    fn wait_for_width(&self) -> usize {
        let mut columns = self.terminal.size().0;
        for _ in 0..RESIZE_TRIES {
            thread::sleep(RESIZE_PAUSE);
            let last = std::mem::replace(&mut columns, self.terminal.size().0);
            if last == columns {
                break;
            }
        }
        columns
    }

    /// The cursor's column, from 0, if the terminal tells it.
    fn ask_for_cursor(&mut self) -> io::Result<Option<usize>> {
        if !self.may_tell_cursor {
            return Ok(None);
        }
        self.write("\x1b[6n")?;
        let until = Instant::now() + CURSOR_LIMIT;
        loop {
            while let Some(key) = self.decoder.next(false) {
                match key {
                    Key::CursorColumn(column) => return Ok(column.checked_sub(1)),
                    key => self.keys.push_back(key),
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.read(Some(left))? {
                self.may_tell_cursor = false;
                return Ok(None);
            }
        }
    }
}
