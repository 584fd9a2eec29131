//! Nicknames and the names of files: one line each, which can do no harm in a header.

use std::sync::Arc;

use super::unicode::{self, is_invisible_without_effect};
use super::{Charset, EXTENSION_LIMIT, breaks_line, rest_of_line, turns_direction};

/// The longest nickname, in bytes: it stands in the header of every message of its owner.
pub const NICKNAME_LIMIT: usize = 64;

/// The longest name of a file, in bytes.
pub const FILE_NAME_LIMIT: usize = 200;

/// Why something is no nickname (P4, nickname).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NicknameError {
    /// Nothing that can be seen.
    Empty,
    /// Longer than [`NICKNAME_LIMIT`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not UTF-8.
    NotUtf8,
    /// The body ends inside a character: its length is a wrong count.
    CutsCharacter {
        /// The length of the body in bytes.
        len: usize,
        /// How many bytes the line has behind the body, where that is known.
        rest: Option<usize>,
    },
    /// Not ASCII, where only ASCII is allowed.
    NotAscii,
    /// A character that may not stand in a nickname.
    Character {
        /// The character.
        character: char,
    },
    /// A character that shows nothing, where it has no effect on its neighbours either.
    Invisible {
        /// The character.
        character: char,
    },
}

/// Why something is no name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileNameError {
    /// Nothing but white space.
    Empty,
    /// Longer than [`FILE_NAME_LIMIT`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not UTF-8.
    NotUtf8,
    /// Not ASCII, where only ASCII is allowed.
    NotAscii,
    /// `.` or `..`, which name directories.
    Dots,
    /// A character that may not stand in it.
    Character {
        /// The character.
        character: char,
    },
}

impl NicknameError {
    /// The same, knowing what came `behind` the body: see [`TextError::before`](super::TextError::before).
    pub fn before(self, behind: &[u8]) -> NicknameError {
        match self {
            NicknameError::CutsCharacter { len, .. } => match rest_of_line(behind) {
                Ok(rest) => NicknameError::CutsCharacter { len, rest },
                Err(super::NoRest) => NicknameError::NotUtf8,
            },
            other => other,
        }
    }
}

/// A client's nickname (§2.3.1.3): 1 to 64 bytes of one line, which can never add a header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(Arc<str>);

impl Nickname {
    /// Takes a nickname from the body of a message; white space around it is dropped.
    ///
    /// # Errors
    /// Where it is empty, longer than [`NICKNAME_LIMIT`], not text of `charset`, or holds a
    /// character that breaks a line, controls a terminal, turns the direction of the text or shows
    /// nothing.
    pub fn parse(body: &[u8], charset: Charset) -> Result<Nickname, NicknameError> {
        let text = str::from_utf8(body).map_err(|error| match error.error_len() {
            Some(_) => NicknameError::NotUtf8,
            None => NicknameError::CutsCharacter { len: body.len(), rest: None },
        })?;
        let name = text.trim_matches(is_space);
        if name.is_empty() {
            return Err(NicknameError::Empty);
        }
        if name.len() > NICKNAME_LIMIT {
            return Err(NicknameError::TooLong { len: name.len() });
        }
        if charset == Charset::Ascii && !name.is_ascii() {
            return Err(NicknameError::NotAscii);
        }
        check_characters(name)?;
        Ok(Nickname(name.into()))
    }

    /// The nickname as its owner sees it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Nickname {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The name that its sharer gave to a file: 1 to 200 bytes of one line, never a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(Arc<str>);

impl FileName {
    /// Takes a name from the value of `File-Name`; white space around it is dropped.
    ///
    /// # Errors
    /// Where it is empty, longer than [`FILE_NAME_LIMIT`], not text of `charset`, `.` or `..`, or
    /// holds a character that separates directories, breaks a line, controls a terminal or turns the
    /// direction of the text.
    pub fn parse(value: &[u8], charset: Charset) -> Result<FileName, FileNameError> {
        let text = str::from_utf8(value).map_err(|_| FileNameError::NotUtf8)?;
        let name = text.trim_matches(is_space);
        if charset == Charset::Ascii && !name.is_ascii() {
            return Err(FileNameError::NotAscii);
        }
        if name.len() > FILE_NAME_LIMIT {
            return Err(FileNameError::TooLong { len: name.len() });
        }
        match (name, name.chars().find(|&c| may_not_name_a_file(c))) {
            ("", _) => Err(FileNameError::Empty),
            ("." | "..", _) => Err(FileNameError::Dots),
            (_, Some(character)) => Err(FileNameError::Character { character }),
            (_, None) => Ok(FileName(name.into())),
        }
    }

    /// Makes a name of what a stranger says is one: what may not stand in it becomes `_`, what shows
    /// nothing and has no effect is dropped, and what is too long is cut before its extension.
    ///
    /// `None` where nothing is left that could be seen, and for `.` and `..`.
    pub fn cleaned(text: &str) -> Option<FileName> {
        let characters: Vec<char> = text.chars().collect();
        let cleaned = characters.iter().enumerate().filter_map(|(at, &c)| match c {
            _ if may_not_name_a_file(c) => Some('_'),
            _ if is_invisible_without_effect(&characters, at) => None,
            _ => Some(c),
        });
        let name: String = cleaned.collect();
        let name = cut(name.trim_matches(is_space));
        if name.chars().all(unicode::is_blank) {
            return None;
        }
        FileName::parse(name.as_bytes(), Charset::Utf8).ok()
    }

    /// The name, without a directory.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that separate directories, break a line, control a terminal or turn the direction of text.
fn may_not_name_a_file(c: char) -> bool {
    matches!(c, '/' | '\\') || c.is_control() || breaks_line(c) || turns_direction(c)
}

/// Cuts a name to [`FILE_NAME_LIMIT`], before its extension.
fn cut(name: &str) -> String {
    if name.len() <= FILE_NAME_LIMIT {
        return name.to_string();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= EXTENSION_LIMIT + 1);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let stem = &stem[..stem.floor_char_boundary(FILE_NAME_LIMIT - extension.len())];
    format!("{stem}{extension}")
}

/// White space that may stand around a nickname or a name: ASCII's, and Unicode's spaces of one line.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
        || (c.is_whitespace() && !c.is_control() && !breaks_line(c))
}

/// Refuses a nickname that could be taken for another one, or for nothing.
fn check_characters(name: &str) -> Result<(), NicknameError> {
    let characters: Vec<char> = name.chars().collect();
    for (at, &character) in characters.iter().enumerate() {
        if character.is_control() || breaks_line(character) || turns_direction(character) {
            return Err(NicknameError::Character { character });
        }
        if is_invisible_without_effect(&characters, at) {
            return Err(NicknameError::Invisible { character });
        }
    }
    if characters.iter().all(|&character| unicode::is_blank(character)) {
        return Err(NicknameError::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicknames_are_one_short_harmless_line() {
        let check = |body: &[u8], expected: Result<&str, NicknameError>| {
            let got = Nickname::parse(body, Charset::Utf8);
            let got = got.as_ref().map(Nickname::as_str).map_err(Clone::clone);
            assert_eq!(got, expected, "{:?}", String::from_utf8_lossy(body));
        };
        check(b"Tom", Ok("Tom"));
        check(b" \t\r\nTom Sawyer\r\n", Ok("Tom Sawyer"));
        check("Zo\u{eb} \u{1f600}\u{3000}".as_bytes(), Ok("Zo\u{eb} \u{1f600}"));
        check(&[b'a'; 64], Ok(&"a".repeat(64)));
        check(&[b'a'; 65], Err(NicknameError::TooLong { len: 65 }));
        check(b"", Err(NicknameError::Empty));
        check(b" \n", Err(NicknameError::Empty));
        check(b"\xff", Err(NicknameError::NotUtf8));
        let character = |character| Err(NicknameError::Character { character });
        check(b"a\nFrom 1", character('\n'));
        check(b"a\rb", character('\r'));
        check(b"a\tb", character('\t'));
        check(b"a\0b", character('\0'));
        check(b"a\x1b[2J", character('\x1b'));
        check(b"a\x7f", character('\x7f'));
        check("a\u{9b}b".as_bytes(), character('\u{9b}'));
        check("a\u{85}".as_bytes(), character('\u{85}'));
        check("a\u{2028}b".as_bytes(), character('\u{2028}'));
        check("a\u{2029}".as_bytes(), character('\u{2029}'));
        check("\u{202e}moT".as_bytes(), character('\u{202e}'));
        check("\u{2066}x".as_bytes(), character('\u{2066}'));
        assert_eq!(
            Nickname::parse("Zo\u{eb}".as_bytes(), Charset::Ascii),
            Err(NicknameError::NotAscii)
        );
    }

    #[test]
    fn nicknames_hold_what_is_invisible_only_where_it_has_an_effect() {
        // P4, nickname: RFC 5892, appendix A, emoji, and variation selectors.
        let good = [
            // ZWNJ behind a virama; ZWJ behind a virama.
            "\u{915}\u{94d}\u{200c}\u{937}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
            // ZWNJ between letters that would join: Persian, with marks between, and N'Ko.
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{628}\u{64e}\u{200c}\u{650}\u{628}",
            "\u{7ca}\u{200c}\u{7cb}",
            // Emoji: a family, a pilot of dark skin, a heart on fire, a flag, a keycap, text style.
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f469}\u{1f3ff}\u{200d}\u{2708}\u{fe0f}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "1\u{fe0f}\u{20e3}",
            "\u{2600}\u{fe0e}",
            // Ideographs with a variant.
            "\u{845b}\u{e0100}",
            "\u{8fbb}\u{fe00}",
        ];
        for name in good {
            let got = Nickname::parse(name.as_bytes(), Charset::Utf8);
            assert_eq!(got.as_ref().map(Nickname::as_str), Ok(name), "{}", name.escape_unicode());
        }
        let bad = [
            "Tom\u{200b}",
            "To\u{200c}m",
            "To\u{200d}m",
            "Tom\u{200d}",
            "\u{200d}",
            "T\u{ad}om",
            "Tom\u{34f}",
            "\u{2060}Tom",
            "Tom\u{feff}",
            "\u{3164}",
            "\u{115f}",
            "\u{ffa0}Tom",
            "Tom\u{180b}",
            "Tom\u{fe0f}",
            "1\u{fe0f}",
            "Tom\u{e0100}",
            "Tom\u{e0041}",
            "\u{1f3f4}\u{e0067}\u{e007f}",
            // Behind an emoji, but in front of none; and twice.
            "\u{1f468}\u{200d}",
            "\u{1f468}\u{200d}x",
            "\u{1f468}\u{200d}\u{200d}\u{1f469}",
            "\u{2764}\u{fe0f}\u{fe0f}",
            "\u{2764}\u{fe00}",
            // Joins on one side alone; a second one.
            "\u{628}\u{200c}",
            "\u{200c}\u{628}",
            "\u{627}\u{200c}\u{628}",
            "\u{628}\u{200c}\u{200c}\u{628}",
            "\u{628}\u{200d}\u{628}",
        ];
        for name in bad {
            let got = Nickname::parse(name.as_bytes(), Charset::Utf8);
            assert!(
                matches!(got, Err(NicknameError::Invisible { .. })),
                "{}: {got:?}",
                name.escape_unicode()
            );
        }
        for blank in ["\u{2800}", "\u{2800} \u{2800}", "\u{1d159}"] {
            let got = Nickname::parse(blank.as_bytes(), Charset::Utf8);
            assert_eq!(got, Err(NicknameError::Empty));
        }
    }

    #[test]
    fn names_of_files_are_one_line_and_never_paths() {
        let check = |value: &[u8], expected: Result<&str, FileNameError>| {
            let got = FileName::parse(value, Charset::Utf8);
            let got = got.as_ref().map(FileName::as_str).map_err(Clone::clone);
            assert_eq!(got, expected, "{}", value.escape_ascii());
        };
        for good in ["Makefile", "holiday plan.pdf", ".profile", "...", "a..b", "-rf", "caf\u{e9}"]
        {
            check(good.as_bytes(), Ok(good));
        }
        check("\u{3000} \u{1f600}.png \t".as_bytes(), Ok("\u{1f600}.png"));
        check(&[b'a'; 200], Ok(&"a".repeat(200)));
        check(&[b'a'; 201], Err(FileNameError::TooLong { len: 201 }));
        check("\u{3000}".as_bytes(), Err(FileNameError::Empty));
        check(b"\xff.pdf", Err(FileNameError::NotUtf8));
        check(b".", Err(FileNameError::Dots));
        check(b" .. ", Err(FileNameError::Dots));
        let bad = "/\\\0\t\r\x07\x1b\x7f\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}";
        for character in bad.chars() {
            let error = FileNameError::Character { character };
            check(format!("a{character}b").as_bytes(), Err(error));
        }
        let not_ascii = FileName::parse("caf\u{e9}".as_bytes(), Charset::Ascii);
        assert_eq!(not_ascii, Err(FileNameError::NotAscii));
    }

    #[test]
    fn what_a_stranger_calls_a_file_is_cleaned() {
        // E4: a client never writes outside its directory, and a name can be read on a terminal.
        let check = |text: &str, expected: Option<&str>| {
            let got = FileName::cleaned(text);
            assert_eq!(got.as_ref().map(FileName::as_str), expected, "{}", text.escape_unicode());
        };
        for good in
            ["holiday plan.pdf", ".profile", "...", "-rf", "caf\u{e9}", "cafe\u{301}", "a*b"]
        {
            check(good, Some(good));
        }
        check("../../etc/passwd", Some(".._.._etc_passwd"));
        check("/", Some("_"));
        check("C:\\x.exe", Some("C:_x.exe"));
        check("a\0b\x1b[2Jc\r\nd\u{9b}e", Some("a_b_[2Jc__d_e"));
        check("\u{202e}fdp.exe\u{2028}", Some("_fdp.exe_"));
        check("in\u{200b}voice\u{feff}.pdf", Some("invoice.pdf"));
        check(" \u{3000}x\t", Some("x_"));
        for nothing in ["", " ", ".", " .. ", "\u{200b}", "\u{3164}\u{2800}", "\u{200b}.\u{feff}."]
        {
            check(nothing, None);
        }
        check(&format!("{}.pdf", "a".repeat(300)), Some(&format!("{}.pdf", "a".repeat(196))));
        check(&"\u{e9}".repeat(150), Some(&"\u{e9}".repeat(100)));
        let no_extension = format!("a.{}", "b".repeat(300));
        check(&no_extension, Some(&no_extension[..200]));
    }
}
