//! What a key does to the line being typed. Knows no terminal.

use super::buffer::{Buffer, Word};
use super::completion::{Candidate, common_start};
use super::history::History;
use super::keys::Key;

const PROMPT: &str = "> ";

/// How many candidates are listed.
const LISTED_LIMIT: usize = 100;

/// What a key asks for that the editor cannot do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing but to draw the line.
    Nothing,
    /// The line is entered.
    Enter(String),
    /// To list these above the line.
    List(Vec<String>),
    /// To clear the screen.
    ClearScreen,
    /// To stop the program.
    Suspend,
    /// To leave.
    Leave,
    /// To say that something was not taken.
    Complain(&'static str),
}

/// A search in the history.
#[derive(Debug)]
struct Search {
    part: String,
    /// The number of the line that was found.
    at: usize,
    /// The line as it was before.
    typed: String,
}

/// A line being typed, with those before it.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    buffer: Buffer,
    history: History,
    search: Option<Search>,
    suspend_key: Option<char>,
}

impl Editor {
    /// An editor; `suspend_key` with the control key stops the program.
    pub(crate) fn new(suspend_key: Option<char>) -> Editor {
        Editor { suspend_key, ..Editor::default() }
    }

    pub(crate) fn prompt(&self) -> String {
        match &self.search {
            Some(search) => format!("(search \"{}\") ", search.part),
            None => PROMPT.to_string(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        self.buffer.text()
    }

    pub(crate) fn cursor(&self) -> usize {
        self.buffer.cursor()
    }

    /// Does what a key means; `complete` says what may take the place of the end of a line.
    pub(crate) fn press(
        &mut self,
        key: Key,
        complete: impl FnOnce(&str) -> (usize, Vec<Candidate>),
    ) -> Asked {
        if self.search.is_some() {
            if self.press_in_search(&key) {
                return Asked::Nothing;
            }
            self.search = None;
        }
        if self.edit(&key) {
            return Asked::Nothing;
        }
        match key {
            Key::Enter => return self.enter(),
            Key::Tab => return self.complete(complete),
            Key::Control(c) if Some(c) == self.suspend_key => return Asked::Suspend,
            Key::Control('C') if self.text().is_empty() => return Asked::Leave,
            // Ctrl-C drops the line being typed.
            Key::Control('C') => drop(self.buffer.take()),
            Key::Control('D') if self.text().is_empty() => return Asked::Leave,
            Key::Control('D') => self.buffer.remove_behind(),
            Key::Control('L') => return Asked::ClearScreen,
            Key::Control('R') => self.begin_search(),
            Key::Up | Key::Control('P') => {
                if let Some(older) = self.history.older(self.buffer.text()) {
                    self.buffer.set(older);
                }
            }
            Key::Down | Key::Control('N') => {
                if let Some(newer) = self.history.newer() {
                    self.buffer.set(newer);
                }
            }
            Key::Paste(text, was_cut) => {
                self.buffer.insert(&text);
                if was_cut {
                    return Asked::Complain("what was pasted is too long: its end is cut off");
                }
            }
            Key::NotUtf8 => return Asked::Complain("what was typed is not UTF-8: not taken"),
            _ => {}
        }
        Asked::Nothing
    }

    /// Does what a key means that concerns the line alone; `false` for another key.
    fn edit(&mut self, key: &Key) -> bool {
        let buffer = &mut self.buffer;
        match key {
            Key::Char(c) => buffer.insert(c.encode_utf8(&mut [0; 4])),
            Key::Backspace => buffer.remove_before(),
            Key::Delete => buffer.remove_behind(),
            Key::Left | Key::Control('B') => buffer.go_left(),
            Key::Right | Key::Control('F') => buffer.go_right(),
            Key::WordLeft | Key::Meta('b') => buffer.go_word_left(),
            Key::WordRight | Key::Meta('f') => buffer.go_word_right(),
            Key::Home | Key::Control('A') => buffer.go_to_start(),
            Key::End | Key::Control('E') => buffer.go_to_end(),
            Key::Control('K') => buffer.remove_to_end(),
            Key::Control('U') => buffer.remove_to_start(),
            Key::Control('W') => buffer.remove_word_before(Word::Blank),
            Key::BackspaceWord => buffer.remove_word_before(Word::Alphanumeric),
            Key::Meta('d') => buffer.remove_word_behind(),
            Key::Control('T') => buffer.exchange(),
            Key::Control('Y') if self.suspend_key != Some('Y') => buffer.put_back(),
            Key::Control('_') => buffer.undo(),
            _ => return false,
        }
        true
    }

    fn enter(&mut self) -> Asked {
        self.buffer.go_to_end();
        let line = self.buffer.take();
        if !line.trim().is_empty() {
            self.history.add(&line);
        }
        Asked::Enter(line)
    }

    fn complete(&mut self, complete: impl FnOnce(&str) -> (usize, Vec<Candidate>)) -> Asked {
        let typed = &self.buffer.text()[..self.buffer.cursor()];
        let (start, candidates) = complete(typed);
        let common = common_start(&candidates).to_string();
        let is_longer = common.len() > typed.len() - start;
        match candidates.as_slice() {
            [] => {}
            [only] => self.buffer.replace_from(start, &only.text),
            _ if is_longer => self.buffer.replace_from(start, &common),
            several => {
                let listed = several.iter().take(LISTED_LIMIT).map(|it| it.shown.clone());
                let mut listed: Vec<String> = listed.collect();
                if several.len() > LISTED_LIMIT {
                    listed.push(format!("\u{2026} and {} more", several.len() - LISTED_LIMIT));
                }
                return Asked::List(listed);
            }
        }
        Asked::Nothing
    }

    fn begin_search(&mut self) {
        let typed = self.buffer.text().to_string();
        self.search = Some(Search { part: String::new(), at: usize::MAX, typed });
    }

    /// Does what a key means in a search; `false` for one that ends it.
    fn press_in_search(&mut self, key: &Key) -> bool {
        let Some(search) = &mut self.search else { return false };
        let before = match key {
            Key::Char(c) => {
                search.part.push(*c);
                search.at.saturating_add(1)
            }
            Key::Backspace => {
                search.part.pop();
                usize::MAX
            }
            Key::Control('R') => search.at,
            Key::Control('C' | 'G') => {
                let typed = std::mem::take(&mut search.typed);
                self.search = None;
                self.buffer.set(typed);
                return true;
            }
            _ => return false,
        };
        if let Some((at, line)) = self.history.find(&search.part, before) {
            search.at = at;
            self.buffer.set(line.to_string());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(editor: &mut Editor, keys: impl IntoIterator<Item = Key>) -> Vec<Asked> {
        keys.into_iter()
            .map(|key| editor.press(key, |_| (0, Vec::new())))
            .filter(|asked| *asked != Asked::Nothing)
            .collect()
    }

    fn typed(text: &str) -> impl Iterator<Item = Key> + '_ {
        text.chars().map(|c| if c == '\n' { Key::Enter } else { Key::Char(c) })
    }

    #[test]
    fn lines_are_typed_entered_and_brought_back() {
        let mut editor = Editor::new(Some('Z'));
        let entered = press(&mut editor, typed("one\ntwo\n"));
        assert_eq!(entered, [Asked::Enter("one".into()), Asked::Enter("two".into())]);
        press(&mut editor, [Key::Up, Key::Up, Key::Char('!')]);
        assert_eq!(editor.text(), "one!");
        press(&mut editor, [Key::Control('U')].into_iter().chain(typed("x")));
        assert_eq!(editor.text(), "x");
    }

    #[test]
    fn keys_that_end_a_line_mean_something_else_in_one() {
        let mut editor = Editor::new(Some('Z'));
        assert_eq!(press(&mut editor, [Key::Control('C')]), [Asked::Leave]);
        assert_eq!(press(&mut editor, [Key::Control('D')]), [Asked::Leave]);
        press(&mut editor, typed("ab"));
        assert_eq!(press(&mut editor, [Key::Home, Key::Control('D')]), []);
        assert_eq!(editor.text(), "b");
        assert_eq!(press(&mut editor, [Key::Control('C')]), []);
        assert_eq!(editor.text(), "");
        assert_eq!(press(&mut editor, [Key::Control('Z')]), [Asked::Suspend]);
    }

    #[test]
    fn the_history_is_searched() {
        let mut editor = Editor::new(None);
        press(&mut editor, typed("/msg Tom hi\nhello\n/msg Ann hi\n"));
        press(&mut editor, [Key::Control('R')].into_iter().chain(typed("msg")));
        assert_eq!((editor.text(), &*editor.prompt()), ("/msg Ann hi", "(search \"msg\") "));
        press(&mut editor, [Key::Control('R')]);
        assert_eq!(editor.text(), "/msg Tom hi");
        press(&mut editor, [Key::Char('x')]);
        assert_eq!(editor.text(), "/msg Tom hi");
        assert_eq!(press(&mut editor, [Key::Enter]), [Asked::Enter("/msg Tom hi".into())]);
        press(&mut editor, typed("half"));
        press(&mut editor, [Key::Control('R'), Key::Char('o'), Key::Control('C')]);
        assert_eq!((editor.text(), &*editor.prompt()), ("half", "> "));
    }

    #[test]
    fn candidates_are_completed_as_far_as_they_agree_and_then_listed() {
        let candidates = || {
            let candidate = |text: &str| Candidate { text: text.into(), shown: text.into() };
            vec![candidate("Tom "), candidate("Tommy ")]
        };
        let mut editor = Editor::new(None);
        press(&mut editor, typed("/msg T"));
        assert_eq!(editor.press(Key::Tab, |_| (5, candidates())), Asked::Nothing);
        assert_eq!(editor.text(), "/msg Tom");
        let listed = Asked::List(vec!["Tom ".into(), "Tommy ".into()]);
        assert_eq!(editor.press(Key::Tab, |_| (5, candidates())), listed);
        let only = candidates().split_off(1);
        assert_eq!(editor.press(Key::Tab, |_| (5, only)), Asked::Nothing);
        assert_eq!(editor.text(), "/msg Tommy ");
    }
}
