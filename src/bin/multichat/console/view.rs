//! How the line being typed lies on the terminal's rows, and how it is drawn and taken off again.
//! Knows no terminal: what is to be written comes out as text.
//!
//! A terminal may lay out anew what it shows when its window changes its size, or cut it off. What
//! has arrived stands above, so never more rows are cleared than the line is sure to take.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::show::TerminalSafe;

/// A terminal that says that it is narrower is taken for one of this width, in columns.
const LEAST_COLUMNS: usize = 8;

/// What a person takes for a character, as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    /// Empty where a row ends.
    shown: String,
    /// How many columns it takes.
    width: usize,
}

impl Cell {
    fn of(grapheme: &str) -> Cell {
        if grapheme == "\n" {
            return Cell { shown: String::new(), width: 0 };
        }
        let shown = TerminalSafe(grapheme).to_string();
        let width = shown.width();
        // One that is joined from several is drawn in two columns.
        let width = if shown == grapheme { width.min(2) } else { width };
        Cell { shown, width }
    }

    fn ends_row(&self) -> bool {
        self.shown.is_empty()
    }
}

/// A place on the screen, counted from where the line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// A line as it lies on rows of so many columns.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// Where each cell begins, and one more for the end.
    places: Vec<Place>,
}

impl Layout {
    fn of(cells: &[Cell], columns: usize) -> Layout {
        let columns = columns.max(LEAST_COLUMNS);
        let mut places = Vec::with_capacity(cells.len() + 1);
        let mut next = Place::default();
        for cell in cells {
            if next.column + cell.width > columns {
                next = Place { row: next.row + 1, column: 0 };
            }
            places.push(next);
            next.column += cell.width;
            if cell.ends_row() {
                next = Place { row: next.row + 1, column: 0 };
            }
        }
        if next.column >= columns {
            next = Place { row: next.row + 1, column: 0 };
        }
        places.push(next);
        Layout { places }
    }

    /// Where the cursor stands that is before cell `nth`.
    fn cursor(&self, nth: usize) -> Place {
        self.places[nth]
    }

    fn end(&self) -> Place {
        self.places[self.places.len() - 1]
    }
}

/// What is drawn at the moment.
#[derive(Debug)]
struct Drawn {
    cells: Vec<Cell>,
    /// Before which cell the cursor is.
    cursor: usize,
    columns: usize,
}

/// Draws a line, and takes it off again.
#[derive(Debug, Default)]
pub(crate) struct View {
    drawn: Option<Drawn>,
}

impl View {
    /// Draws a line in place of the one that is there: `before` it a prompt. The cursor stands at
    /// `cursor`, in bytes of `text`. Where a line has more rows than the screen, those around the
    /// cursor are drawn.
    pub(crate) fn draw(
        &mut self,
        before: &str,
        text: &str,
        cursor: usize,
        (columns, rows): (usize, usize),
    ) -> String {
        let mut out = self.clear();
        let mut cells: Vec<Cell> = before.graphemes(true).map(Cell::of).collect();
        let cursor = cells.len() + text[..cursor].graphemes(true).count();
        cells.extend(text.graphemes(true).map(Cell::of));
        let (cells, cursor) = visible(cells, cursor, columns, rows);
        let layout = Layout::of(&cells, columns);
        for cell in &cells {
            out.push_str(if cell.ends_row() { "\r\n" } else { &cell.shown });
        }
        let (end, at) = (layout.end(), layout.cursor(cursor));
        if end.column == 0 && end.row > 0 && cells.last().is_some_and(|last| !last.ends_row()) {
            // The last row is full. A terminal goes to the next one with the next character alone.
            out.push_str(" \r");
        }
        // Behind the last character it stands already, however wide the terminal may be by now.
        if at != end {
            if end.row > at.row {
                let _ = write!(out, "\x1b[{}A", end.row - at.row);
            }
            out.push('\r');
            if at.column > 0 {
                let _ = write!(out, "\x1b[{}C", at.column);
            }
        }
        self.drawn = Some(Drawn { cells, cursor, columns });
        out
    }

    /// Takes the line off; the cursor stands where it began.
    pub(crate) fn clear(&mut self) -> String {
        match self.drawn.take() {
            Some(drawn) => {
                clear_from(Layout::of(&drawn.cells, drawn.columns).cursor(drawn.cursor).row)
            }
            None => String::new(),
        }
    }

    /// Leaves the line where it is; the cursor goes to the row below it.
    pub(crate) fn leave(&mut self) -> String {
        let Some(drawn) = self.drawn.take() else { return String::new() };
        let layout = Layout::of(&drawn.cells, drawn.columns);
        let below = layout.end().row - layout.cursor(drawn.cursor).row;
        let down = if below > 0 { format!("\x1b[{below}B") } else { String::new() };
        // The last row is empty where the one before it is full.
        if layout.end() == (Place { row: layout.end().row, column: 0 }) && layout.end().row > 0 {
            return down + "\r";
        }
        down + "\r\n"
    }

    /// Forgets what is drawn: the screen was cleared, or is somebody else's.
    pub(crate) fn forget(&mut self) {
        self.drawn = None;
    }

    /// Where the cursor is, if a line is drawn.
    pub(crate) fn cursor(&self) -> Option<Place> {
        let drawn = self.drawn.as_ref()?;
        Some(Layout::of(&drawn.cells, drawn.columns).cursor(drawn.cursor))
    }

    /// In how many columns the line is drawn, if one is.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.drawn.as_ref().map(|drawn| drawn.columns)
    }

    /// Where the cursor can be once the terminal has so many columns: where the terminal lays out
    /// anew what it shows, and where it does not.
    pub(crate) fn after_resize(&self, columns: usize) -> Option<Resized> {
        let drawn = self.drawn.as_ref()?;
        let anew = Layout::of(&drawn.cells, columns).cursor(drawn.cursor);
        let mut kept = Layout::of(&drawn.cells, drawn.columns).cursor(drawn.cursor);
        kept.column = kept.column.min(columns.saturating_sub(1));
        Some(Resized { anew, kept })
    }

    /// Takes the line off, where the cursor is so many rows below its beginning.
    pub(crate) fn clear_after_resize(&mut self, rows: usize) -> String {
        self.drawn = None;
        clear_from(rows)
    }
}

/// Where the cursor may be when the terminal's size has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resized {
    anew: Place,
    kept: Place,
}

impl Resized {
    /// Whether the cursor's column tells which it is.
    pub(crate) fn is_told_by_column(self) -> bool {
        self.anew.row != self.kept.row && self.anew.column != self.kept.column
    }

    /// How many rows are the line's above the cursor, which is in this column, from 0; `None` where it
    /// cannot be there.
    pub(crate) fn rows_by_column(self, column: usize) -> Option<usize> {
        let is_there = |place: &Place| place.column == column;
        [self.anew, self.kept].iter().find(|place| is_there(place)).map(|place| place.row)
    }

    /// How many rows are sure to be the line's above the cursor, wherever it is.
    pub(crate) fn least_rows(self) -> usize {
        self.anew.row.min(self.kept.row)
    }
}

fn clear_from(rows: usize) -> String {
    let up = if rows > 0 { format!("\x1b[{rows}A") } else { String::new() };
    up + "\r\x1b[J"
}

/// The cells on as many rows as there are, around the cursor's.
fn visible(cells: Vec<Cell>, cursor: usize, columns: usize, rows: usize) -> (Vec<Cell>, usize) {
    let layout = Layout::of(&cells, columns);
    let rows = rows.max(1);
    if layout.end().row < rows {
        return (cells, cursor);
    }
    let at = layout.cursor(cursor).row;
    let first = at.saturating_sub(rows / 2).min(layout.end().row + 1 - rows);
    // One row less: the last one may end in a full row.
    let last = (first + rows - 1).max(at + 1);
    let is_shown = |nth: &usize| (first..last).contains(&layout.places[*nth].row);
    let shown: Vec<usize> = (0..cells.len()).filter(is_shown).collect();
    let start = shown.first().copied().unwrap_or(cells.len());
    let shown_cells: Vec<Cell> = shown.iter().map(|nth| cells[*nth].clone()).collect();
    let cursor = cursor.saturating_sub(start).min(shown_cells.len());
    (shown_cells, cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: usize, column: usize) -> Place {
        Place { row, column }
    }

    fn layout(text: &str, columns: usize) -> Layout {
        Layout::of(&text.graphemes(true).map(Cell::of).collect::<Vec<_>>(), columns)
    }

    #[test]
    fn a_line_lies_on_as_many_rows_as_it_needs() {
        let check = |text: &str, columns: usize, expected: Place| {
            assert_eq!(layout(text, columns).end(), expected, "{text:?} in {columns}");
        };
        check("", 10, place(0, 0));
        check("123456789", 10, place(0, 9));
        check("1234567890", 10, place(1, 0));
        check("12345678901", 10, place(1, 1));
        // A wide one does not fit the last column.
        check("123456789\u{5b57}", 10, place(1, 2));
        check("one\ntwo", 10, place(1, 3));
        check("one\n", 10, place(1, 0));
        check("1234567890\nx", 10, place(1, 1));
        check("\t\t\t", 10, place(1, 4));
        check("\u{1b}", 10, place(0, 6));
        check("e\u{301}", 10, place(0, 1));
        check("12345678", 1, place(1, 0));
    }

    #[test]
    fn what_cannot_be_drawn_is_drawn_as_an_escape() {
        let drawn = View::default().draw("> ", "a\u{1b}[2J\u{202e}", 0, (80, 24));
        assert_eq!(drawn, "> a\\u{1b}[2J\\u{202e}\r\x1b[2C");
    }

    #[test]
    fn a_line_is_cleared_from_where_it_begins() {
        let mut view = View::default();
        view.draw("> ", &"x".repeat(25), 25, (10, 24));
        assert_eq!(view.clear(), "\x1b[2A\r\x1b[J");
        assert_eq!(view.clear(), "");
        view.draw("> ", &"x".repeat(25), 0, (10, 24));
        assert_eq!(view.leave(), "\x1b[2B\r\n");
        view.draw("> ", "12345678", 8, (10, 24));
        assert_eq!(view.leave(), "\r");
    }

    #[test]
    fn where_the_cursor_is_after_a_resize_is_told_by_its_column() {
        let mut view = View::default();
        view.draw("> ", &"x".repeat(43), 43, (40, 24));
        // 45 columns: two rows before. Wider: one row, or still two.
        let resized = view.after_resize(100).unwrap();
        assert_eq!((resized.anew, resized.kept), (place(0, 45), place(1, 5)));
        assert!(resized.is_told_by_column());
        assert_eq!(resized.rows_by_column(45), Some(0));
        assert_eq!(resized.rows_by_column(5), Some(1));
        assert_eq!(resized.rows_by_column(7), None);
        // Not told: nothing above is cleared that may have arrived.
        assert_eq!(resized.least_rows(), 0);
        // Narrower: three rows, or two.
        let resized = view.after_resize(20).unwrap();
        assert_eq!((resized.anew, resized.kept), (place(2, 5), place(1, 5)));
        assert!(!resized.is_told_by_column());
        assert_eq!(resized.least_rows(), 1);
    }

    #[test]
    fn of_a_line_of_more_rows_than_the_screen_those_around_the_cursor_are_drawn() {
        let lines: String = (0..50).map(|nth| format!("line {nth}\n")).collect();
        for cursor in [0, lines.len() / 2, lines.len()] {
            let mut view = View::default();
            let drawn = view.draw("> ", &lines, cursor, (80, 10));
            assert!(drawn.matches("\r\n").count() < 10, "{drawn:?}");
            let row = lines[..cursor].matches('\n').count();
            if row < 50 {
                assert!(drawn.contains(&format!("line {row}")), "{drawn:?}");
            }
        }
        let mut view = View::default();
        view.draw("> ", &"x".repeat(5000), 5000, (80, 10));
        let drawn = view.drawn.as_ref().unwrap();
        assert!(Layout::of(&drawn.cells, 80).end().row < 10);
    }
}
