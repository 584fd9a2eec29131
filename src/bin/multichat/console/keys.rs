//! Keys: what a terminal sends, taken apart. Knows no terminal and no line.

/// The most that is pasted at a time, in bytes: far more than a server takes for a text.
const PASTE_LIMIT: usize = 1 << 20;

/// The longest escape sequence, in bytes; what is longer is noise.
const SEQUENCE_LIMIT: usize = 64;

const PASTE_END: &[u8] = b"\x1b[201~";

/// A key, or what else a terminal sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// A letter with the control key, in upper case; or another character of that column.
    Control(char),
    /// A character with the meta key, or behind Escape.
    Meta(char),
    Enter,
    Tab,
    Backspace,
    /// Backspace with the meta key.
    BackspaceWord,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    Home,
    End,
    /// A whole text, which may have several lines; and whether its end was cut off.
    Paste(String, bool),
    /// Where the cursor is, in answer to a question: its column, from 1.
    CursorColumn(usize),
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A key that means nothing here.
    Unknown,
}

/// Takes bytes apart as they come.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// What is being pasted, and whether more came than is kept.
    paste: Option<(Vec<u8>, bool)>,
}

impl Decoder {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether bytes wait for others that belong to them.
    pub(crate) fn is_inside(&self) -> bool {
        !self.bytes.is_empty() && self.paste.is_none()
    }

    /// The next key that is there whole. Where nothing follows, Escape stands for itself.
    pub(crate) fn next(&mut self, nothing_follows: bool) -> Option<Key> {
        if self.paste.is_some() {
            return self.next_of_paste();
        }
        let (key, len) = match parse(&self.bytes) {
            Some(parsed) => parsed,
            None if nothing_follows && !self.bytes.is_empty() => (Key::Unknown, self.bytes.len()),
            None => return None,
        };
        self.bytes.drain(..len);
        if key == PASTE_BEGINS {
            self.paste = Some((Vec::new(), false));
            return self.next_of_paste();
        }
        Some(key)
    }

    fn next_of_paste(&mut self) -> Option<Key> {
        let (pasted, was_cut) = self.paste.as_mut()?;
        let end = self.bytes.windows(PASTE_END.len()).position(|window| window == PASTE_END);
        // Without an end, what may be the beginning of it stays.
        let len = end.unwrap_or(self.bytes.len().saturating_sub(PASTE_END.len() - 1));
        let room = PASTE_LIMIT.saturating_sub(pasted.len());
        *was_cut |= len > room;
        pasted.extend_from_slice(&self.bytes[..len.min(room)]);
        self.bytes.drain(..len);
        end?;
        self.bytes.drain(..PASTE_END.len());
        let (mut pasted, was_cut) = self.paste.take()?;
        if was_cut {
            // Not inside a character.
            let whole = pasted.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
            if pasted.len() - whole < 4 {
                pasted.truncate(whole);
            }
        }
        Some(match String::from_utf8(pasted) {
            Ok(text) => Key::Paste(text.replace("\r\n", "\n").replace('\r', "\n"), was_cut),
            Err(_) => Key::NotUtf8,
        })
    }
}

/// A key that no terminal has, in place of the sequence before what is pasted.
const PASTE_BEGINS: Key = Key::Control('\0');

/// The first key of `bytes`, and its length; `None` where more bytes are needed.
fn parse(bytes: &[u8]) -> Option<(Key, usize)> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0x1b => parse_escape(rest).map(|(key, len)| (key, len + 1)),
        b'\r' | b'\n' => Some((Key::Enter, 1)),
        b'\t' => Some((Key::Tab, 1)),
        0x08 | 0x7f => Some((Key::Backspace, 1)),
        0 => Some((Key::Unknown, 1)),
        0x01..=0x1f => Some((Key::Control(char::from(first + 0x40)), 1)),
        _ => parse_char(bytes),
    }
}

/// A character in UTF-8.
fn parse_char(bytes: &[u8]) -> Option<(Key, usize)> {
    let len = match bytes[0] {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((Key::NotUtf8, 1)),
    };
    let bytes = &bytes[..bytes.len().min(len)];
    match str::from_utf8(bytes) {
        Ok(text) => text.chars().next().map(|c| (key_of(c), len)),
        // No error where it is only cut short.
        Err(error) => error.error_len().map(|len| (Key::NotUtf8, len)),
    }
}

/// C1 control characters are none of a keyboard's.
fn key_of(c: char) -> Key {
    if c.is_control() { Key::Unknown } else { Key::Char(c) }
}

/// What stands behind an escape character, and its length.
fn parse_escape(rest: &[u8]) -> Option<(Key, usize)> {
    match rest {
        [] => None,
        [b'[', rest @ ..] => parse_control_sequence(rest).map(|(key, len)| (key, len + 1)),
        [b'O'] => None,
        [b'O', last, ..] => Some((arrow(*last, false), 2)),
        // Escape twice: the first one means nothing.
        [0x1b, ..] => Some((Key::Unknown, 0)),
        [0x08 | 0x7f, ..] => Some((Key::BackspaceWord, 1)),
        _ => match parse_char(rest)? {
            (Key::Char(c), len) => Some((Key::Meta(c), len)),
            (_, len) => Some((Key::Unknown, len)),
        },
    }
}

/// What stands behind `ESC [`, and its length (ECMA-48).
fn parse_control_sequence(rest: &[u8]) -> Option<(Key, usize)> {
    let is_inside = |byte: &u8| (0x20..=0x3f).contains(byte);
    let Some(end) = rest.iter().position(|byte| !is_inside(byte)) else {
        return (rest.len() > SEQUENCE_LIMIT).then_some((Key::Unknown, rest.len()));
    };
    let (last, len) = (rest[end], end + 1);
    if !(0x40..=0x7e).contains(&last) {
        // Something else has begun.
        return Some((Key::Unknown, end));
    }
    let parameters = str::from_utf8(&rest[..end]).unwrap_or_default();
    let mut numbers = parameters.split(';').map(|number| number.parse::<usize>().unwrap_or(1));
    let (first, second) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    let key = match (last, first) {
        (b'R', _) => Key::CursorColumn(second),
        (b'~', 1 | 7) => Key::Home,
        (b'~', 4 | 8) => Key::End,
        (b'~', 3) => Key::Delete,
        (b'~', 200) => PASTE_BEGINS,
        (b'A'..=b'H', _) => arrow(last, second > 1),
        _ => Key::Unknown,
    };
    Some((key, len))
}

/// An arrow key, or one of those beside them; with another key held down.
fn arrow(last: u8, is_modified: bool) -> Key {
    match (last, is_modified) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', false) => Key::Right,
        (b'C', true) => Key::WordRight,
        (b'D', false) => Key::Left,
        (b'D', true) => Key::WordLeft,
        (b'F', _) => Key::End,
        (b'H', _) => Key::Home,
        _ => Key::Unknown,
    }
}

impl Decoder {
    /// All that is there.
    #[cfg(test)]
    fn all(&mut self) -> Vec<Key> {
        let mut keys = Vec::new();
        while let Some(key) = self.next(false) {
            keys.push(key);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case is fed whole, and again byte by byte.
    fn check(bytes: &[u8], expected: &[Key]) {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        assert_eq!(decoder.all(), expected, "{}", bytes.escape_ascii());
        let mut keys = Vec::new();
        for byte in bytes {
            decoder.feed(&[*byte]);
            keys.extend(decoder.all());
        }
        assert_eq!(keys, expected, "{}", bytes.escape_ascii());
        assert!(!decoder.is_inside(), "{}", bytes.escape_ascii());
    }

    #[test]
    fn keys_are_what_terminals_send() {
        use Key::{Char, Control, Meta};
        check("a\u{fc}\u{1f600}".as_bytes(), &[Char('a'), Char('\u{fc}'), Char('\u{1f600}')]);
        check(
            b"\r\n\t\x7f\x08",
            &[Key::Enter, Key::Enter, Key::Tab, Key::Backspace, Key::Backspace],
        );
        check(b"\x01\x03\x1f", &[Control('A'), Control('C'), Control('_')]);
        check(b"\x1b[A\x1bOB\x1b[1;5C\x1b[D", &[Key::Up, Key::Down, Key::WordRight, Key::Left]);
        check(
            b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[3~",
            &[Key::Home, Key::End, Key::Home, Key::End, Key::Delete],
        );
        check(b"\x1bb\x1b\x7f", &[Meta('b'), Key::BackspaceWord]);
        check(b"\x1b[24;80R", &[Key::CursorColumn(80)]);
        check(b"\x1b[?1;2c\x1b[Zx", &[Key::Unknown, Key::Unknown, Char('x')]);
    }

    #[test]
    fn what_is_not_utf_8_does_not_take_the_next_key_with_it() {
        check(b"\xffa", &[Key::NotUtf8, Key::Char('a')]);
        check(b"\xe9\r", &[Key::NotUtf8, Key::Enter]);
        check(b"\xe2\x82a", &[Key::NotUtf8, Key::Char('a')]);
        check("\u{9b}".as_bytes(), &[Key::Unknown]);
    }

    #[test]
    fn what_is_pasted_is_one_text_whatever_keys_are_in_it() {
        let pasted = |text: &str| Key::Paste(text.to_string(), false);
        check(b"\x1b[200~a\r\nb\rc\x1b[201~\r", &[pasted("a\nb\nc"), Key::Enter]);
        check(b"\x1b[200~\x1b[A\x03\x1b[20x\x1b[201~", &[pasted("\u{1b}[A\u{3}\u{1b}[20x")]);
        check(b"\x1b[200~\xff\x1b[201~x", &[Key::NotUtf8, Key::Char('x')]);
    }

    #[test]
    fn a_huge_paste_is_cut() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~");
        for _ in 0..3 {
            decoder.feed("\u{20ac}".repeat(PASTE_LIMIT / 4).as_bytes());
            assert_eq!(decoder.next(false), None);
        }
        decoder.feed(PASTE_END);
        match decoder.next(false) {
            Some(Key::Paste(text, true)) => assert_eq!(text.len(), PASTE_LIMIT / 3 * 3),
            other => panic!("{:?}", other.is_some()),
        }
    }

    #[test]
    fn escape_alone_is_a_key_once_nothing_follows() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b");
        assert_eq!(decoder.next(false), None);
        assert!(decoder.is_inside());
        assert_eq!(decoder.next(true), Some(Key::Unknown));
        assert_eq!(decoder.next(true), None);
        check(b"\x1b\x1b[A", &[Key::Unknown, Key::Up]);
    }
}
