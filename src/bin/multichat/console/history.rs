//! Lines that were entered before. Kept in memory alone: what is said in a room is nobody's file.

/// How many lines are kept.
const LINES_LIMIT: usize = 1000;

/// A line longer than this is not kept, in bytes.
const LINE_LIMIT: usize = 64 * 1024;

/// Lines that were entered before, and which of them is looked at.
#[derive(Debug, Default)]
pub(crate) struct History {
    lines: Vec<String>,
    /// Which line is looked at; the number of lines is the one being typed.
    at: usize,
    /// The line being typed, while another one is looked at.
    typed: String,
}

impl History {
    /// Keeps a line, unless it is the same as the last.
    pub(crate) fn add(&mut self, line: &str) {
        if line.len() <= LINE_LIMIT && self.lines.last().is_none_or(|last| last != line) {
            if self.lines.len() == LINES_LIMIT {
                self.lines.remove(0);
            }
            self.lines.push(line.to_string());
        }
        self.at = self.lines.len();
        self.typed.clear();
    }

    /// The line before the one that is looked at; `typed` is what stands there.
    pub(crate) fn older(&mut self, typed: &str) -> Option<String> {
        let older = self.at.checked_sub(1)?;
        if self.at == self.lines.len() {
            self.typed = typed.to_string();
        }
        self.at = older;
        Some(self.lines[older].clone())
    }

    /// The line behind the one that is looked at; the last is the one being typed.
    pub(crate) fn newer(&mut self) -> Option<String> {
        if self.at == self.lines.len() {
            return None;
        }
        self.at += 1;
        Some(self.lines.get(self.at).unwrap_or(&self.typed).clone())
    }

    /// The newest line before number `before` that contains `part`, and its number.
    pub(crate) fn find(&self, part: &str, before: usize) -> Option<(usize, &str)> {
        let lines = self.lines.iter().enumerate().take(before).rev();
        let found = lines.map(|(nth, line)| (nth, line.as_str()));
        found.into_iter().find(|(_, line)| line.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_looked_at_back_and_forth() {
        let mut history = History::default();
        assert_eq!(history.older("x"), None);
        for line in ["one", "two", "two", "three"] {
            history.add(line);
        }
        assert_eq!(history.older("typed").as_deref(), Some("three"));
        assert_eq!(history.older("three").as_deref(), Some("two"));
        assert_eq!(history.older("two").as_deref(), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer().as_deref(), Some("two"));
        assert_eq!(history.newer().as_deref(), Some("three"));
        assert_eq!(history.newer().as_deref(), Some("typed"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn lines_are_found_by_a_part_of_them() {
        let mut history = History::default();
        for line in ["one", "two", "three"] {
            history.add(line);
        }
        assert_eq!(history.find("o", usize::MAX), Some((1, "two")));
        assert_eq!(history.find("o", 1), Some((0, "one")));
        assert_eq!(history.find("x", usize::MAX), None);
    }

    #[test]
    fn no_more_is_kept_than_is_useful() {
        let mut history = History::default();
        history.add(&"x".repeat(LINE_LIMIT + 1));
        assert!(history.lines.is_empty());
        for nth in 0..LINES_LIMIT + 5 {
            history.add(&nth.to_string());
        }
        assert_eq!((history.lines.len(), history.lines[0].as_str()), (LINES_LIMIT, "5"));
    }
}
