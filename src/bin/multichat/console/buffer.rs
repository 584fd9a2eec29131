//! The line being typed, and how it is edited. Knows no terminal.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// The longest line, in bytes: far more than a server takes for a text.
const LIMIT: usize = 1 << 20;

/// How many steps can be undone, and up to which length of the line, in bytes.
const UNDO_STEPS: usize = 100;
const UNDO_LIMIT: usize = 16 * 1024;

/// A line being typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    text: String,
    /// Where the next character goes, in bytes.
    cursor: usize,
    /// What was removed last.
    removed: String,
    /// The line as it was before each step, and where the cursor stood.
    before: Vec<(String, usize)>,
    /// Whether the last step was a character that was typed: the next one belongs to it.
    was_typed: bool,
}

/// Which characters a word consists of.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    /// Letters and digits.
    Alphanumeric,
    /// All but white space.
    Blank,
}

impl Word {
    fn has(self, c: char) -> bool {
        match self {
            Word::Alphanumeric => c.is_alphanumeric(),
            Word::Blank => !c.is_whitespace(),
        }
    }
}

impl Buffer {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Takes the line, and begins a new one.
    pub(crate) fn take(&mut self) -> String {
        self.before.clear();
        self.was_typed = false;
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts another line in its place.
    pub(crate) fn set(&mut self, text: String) {
        self.note();
        self.cursor = text.len();
        self.text = text;
    }

    /// Inserts a text at the cursor, as far as there is room.
    pub(crate) fn insert(&mut self, text: &str) {
        let room = LIMIT.saturating_sub(self.text.len());
        let text = &text[..text.floor_char_boundary(room)];
        let is_typed = text.chars().nth(1).is_none() && !text.contains(char::is_whitespace);
        if !(is_typed && self.was_typed) {
            self.note();
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        self.was_typed = is_typed;
    }

    /// Replaces what stands between `start` and the cursor.
    pub(crate) fn replace_from(&mut self, start: usize, text: &str) {
        self.note();
        self.text.replace_range(start..self.cursor, text);
        self.cursor = start + text.len();
    }

    pub(crate) fn remove_before(&mut self) {
        self.note();
        let start = self.before_cursor();
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }

    pub(crate) fn remove_behind(&mut self) {
        self.note();
        let end = self.behind_cursor();
        self.text.drain(self.cursor..end);
    }

    pub(crate) fn go_left(&mut self) {
        self.go(self.before_cursor());
    }

    pub(crate) fn go_right(&mut self) {
        self.go(self.behind_cursor());
    }

    pub(crate) fn go_word_left(&mut self) {
        self.go(self.word_start(Word::Alphanumeric));
    }

    pub(crate) fn go_word_right(&mut self) {
        self.go(self.word_end(Word::Alphanumeric));
    }

    pub(crate) fn go_to_start(&mut self) {
        self.go(0);
    }

    pub(crate) fn go_to_end(&mut self) {
        self.go(self.text.len());
    }

    pub(crate) fn remove_to_start(&mut self) {
        self.remove(0, self.cursor);
    }

    pub(crate) fn remove_to_end(&mut self) {
        self.remove(self.cursor, self.text.len());
    }

    pub(crate) fn remove_word_before(&mut self, word: Word) {
        self.remove(self.word_start(word), self.cursor);
    }

    pub(crate) fn remove_word_behind(&mut self) {
        self.remove(self.cursor, self.word_end(Word::Alphanumeric));
    }

    /// Inserts what was removed last.
    pub(crate) fn put_back(&mut self) {
        let removed = self.removed.clone();
        self.was_typed = false;
        self.insert(&removed);
    }

    /// Exchanges the two characters before the cursor, or around it.
    pub(crate) fn exchange(&mut self) {
        if self.cursor == 0 {
            return;
        }
        let end = self.behind_cursor();
        self.go(end);
        let middle = self.before_cursor();
        let start = boundary_before(&self.text, middle);
        if start == middle {
            return;
        }
        self.note();
        let first = self.text[start..middle].to_string();
        self.text.replace_range(start..middle, "");
        self.text.insert_str(start + end - middle, &first);
    }

    /// Takes the last step back.
    pub(crate) fn undo(&mut self) {
        if let Some((text, cursor)) = self.before.pop() {
            (self.text, self.cursor, self.was_typed) = (text, cursor, false);
        }
    }

    fn go(&mut self, cursor: usize) {
        self.cursor = cursor;
        self.was_typed = false;
    }

    fn remove(&mut self, start: usize, end: usize) {
        if start == end {
            return;
        }
        self.note();
        self.removed = self.text.drain(start..end).collect();
        self.cursor = start;
    }

    /// Notes the line before a step.
    fn note(&mut self) {
        self.was_typed = false;
        if self.text.len() > UNDO_LIMIT {
            return;
        }
        if self.before.len() == UNDO_STEPS {
            self.before.remove(0);
        }
        self.before.push((self.text.clone(), self.cursor));
    }

    fn before_cursor(&self) -> usize {
        boundary_before(&self.text, self.cursor)
    }

    fn behind_cursor(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(0, str::len) + self.cursor
    }

    fn word_start(&self, word: Word) -> usize {
        let before = &self.text[..self.cursor];
        let trimmed = before.trim_end_matches(|c| !word.has(c));
        trimmed.trim_end_matches(|c| word.has(c)).len()
    }

    fn word_end(&self, word: Word) -> usize {
        let behind = &self.text[self.cursor..];
        let trimmed = behind.trim_start_matches(|c| !word.has(c));
        self.text.len() - trimmed.trim_start_matches(|c| word.has(c)).len()
    }
}

/// Where the character begins that ends at `at`, as a person counts characters.
fn boundary_before(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    // The text is there whole, so that there is no error.
    cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with `|` where the cursor is.
    fn buffer(line: &str) -> Buffer {
        let (before, behind) = line.split_once('|').expect("a cursor");
        let mut buffer = Buffer::default();
        buffer.insert(behind);
        buffer.go_to_start();
        buffer.insert(before);
        buffer
    }

    fn line(buffer: &Buffer) -> String {
        let (before, behind) = buffer.text.split_at(buffer.cursor);
        format!("{before}|{behind}")
    }

    #[test]
    fn steps_do_what_they_are_called() {
        let check = |before: &str, step: fn(&mut Buffer), expected: &str| {
            let mut edited = buffer(before);
            step(&mut edited);
            assert_eq!(line(&edited), expected, "{before:?}");
            assert!(edited.text.is_char_boundary(edited.cursor));
        };
        check("ab|c", |it| it.insert("x\u{fc}"), "abx\u{fc}|c");
        check("ab|c", Buffer::remove_before, "a|c");
        check("|abc", Buffer::remove_before, "|abc");
        check("ab|c", Buffer::remove_behind, "ab|");
        check("abc|", Buffer::remove_behind, "abc|");
        check("ab|c", Buffer::go_left, "a|bc");
        check("ab|c", Buffer::go_right, "abc|");
        check("abc|", Buffer::go_right, "abc|");
        check("one two|", Buffer::go_word_left, "one |two");
        check("|one two", Buffer::go_word_right, "one| two");
        check("one|, two", Buffer::go_word_right, "one, two|");
        check("ab|c", Buffer::go_to_start, "|abc");
        check("ab|c", Buffer::go_to_end, "abc|");
        check("ab|c", Buffer::remove_to_start, "|c");
        check("ab|c", Buffer::remove_to_end, "ab|");
        check("a b.c |d", |it| it.remove_word_before(Word::Blank), "a |d");
        check("a b.c|d", |it| it.remove_word_before(Word::Alphanumeric), "a b.|d");
        check("a| b.c", Buffer::remove_word_behind, "a|.c");
        check("ab|", Buffer::exchange, "ba|");
        check("a|b", Buffer::exchange, "ba|");
        check("|ab", Buffer::exchange, "|ab");
        check("a|", Buffer::exchange, "a|");
    }

    #[test]
    fn a_character_is_what_a_person_takes_for_one() {
        // e with an accent of its own; a family; a flag.
        for character in
            ["e\u{301}", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "\u{1f1e9}\u{1f1ea}"]
        {
            let mut edited = buffer(&format!("x{character}|"));
            edited.go_left();
            assert_eq!(line(&edited), format!("x|{character}"));
            edited.remove_behind();
            assert_eq!(line(&edited), "x|");
        }
    }

    #[test]
    fn what_is_removed_can_be_put_back_and_steps_can_be_undone() {
        let mut edited = buffer("one two|");
        edited.remove_word_before(Word::Blank);
        edited.go_to_start();
        edited.put_back();
        assert_eq!(line(&edited), "two|one ");
        edited.undo();
        assert_eq!(line(&edited), "|one ");
        for c in "abc".chars() {
            edited.insert(&c.to_string());
        }
        edited.undo();
        assert_eq!(line(&edited), "|one ");
        edited.undo();
        assert_eq!(line(&edited), "one two|");
        for _ in 0..10 {
            edited.undo();
        }
        assert_eq!(line(&edited), "|");
    }

    #[test]
    fn a_line_has_an_end() {
        let mut edited = Buffer::default();
        for _ in 0..5 {
            edited.insert(&"\u{20ac}".repeat(100_000));
        }
        assert!(edited.text.len() <= LIMIT && edited.text.len() > LIMIT - 3);
    }
}
