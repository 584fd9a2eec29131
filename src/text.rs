//! What people type: filename extensions, texts, and how to show them safely; in `name`, nicknames
//! and the names of files.
//!
//! A type that exists here is valid: it is built by a checked constructor alone. Nothing in here
//! does I/O.

mod name;
mod unicode;

use std::fmt::{self, Write as _};

pub use self::name::{
    FILE_NAME_LIMIT, FileName, FileNameError, NICKNAME_LIMIT, Nickname, NicknameError,
};

/// The longest filename extension, in bytes.
pub const EXTENSION_LIMIT: usize = 32;

/// Which characters people may use (`--ascii`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, of which the draft's ASCII is a part.
    #[default]
    Utf8,
    /// ASCII alone, to the letter of the draft (§2.1.2).
    Ascii,
}

/// What a reason quotes of a stranger's input: at most 32 bytes, in printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    const LIMIT: usize = 32;

    /// Quotes the beginning of `input`.
    pub fn of(input: &[u8]) -> Excerpt {
        let mut text = input[..input.len().min(Excerpt::LIMIT)].escape_ascii().to_string();
        if input.len() > Excerpt::LIMIT {
            text.push_str("...");
        }
        Excerpt(text.into())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something is no text (P4, chat).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Not UTF-8.
    NotUtf8 {
        /// Where, in bytes from the body's start.
        at: usize,
    },
    /// The body ends inside a character: its length is a wrong count.
    CutsCharacter {
        /// Where the character begins, in bytes from the body's start.
        at: usize,
        /// The length of the body in bytes.
        len: usize,
        /// How many bytes the line has behind the body, where that is known.
        rest: Option<usize>,
    },
    /// The body ends in a carriage return, so inside a CR LF: its length is a wrong count.
    CutsLineEnding {
        /// The length of the body in bytes; at least 1.
        len: usize,
    },
    /// Not ASCII, where only ASCII is allowed.
    NotAscii {
        /// Where, in bytes from the body's start.
        at: usize,
    },
    /// A control character.
    Character {
        /// Where, in bytes from the body's start.
        at: usize,
        /// The character.
        character: char,
    },
}

impl TextError {
    /// The same, knowing what came `behind` the body, if anything did yet: whether a character that
    /// is not whole goes on there, and how much of its line there is.
    pub fn before(self, behind: &[u8]) -> TextError {
        match self {
            TextError::CutsCharacter { at, len, .. } => match rest_of_line(behind) {
                Ok(rest) => TextError::CutsCharacter { at, len, rest },
                Err(NoRest) => TextError::NotUtf8 { at },
            },
            other => other,
        }
    }
}

/// What came behind a body is not the rest of a character.
struct NoRest;

/// How many bytes there are to the end of the line, its ending aside; `None` where it has not come.
fn rest_of_line(behind: &[u8]) -> Result<Option<usize>, NoRest> {
    let is_rest_of_character = |byte: &u8| (0x80..0xc0).contains(byte);
    if !behind.first().is_none_or(is_rest_of_character) {
        return Err(NoRest);
    }
    let end = behind.iter().position(|&byte| byte == b'\n');
    Ok(end.map(|end| behind[..end].strip_suffix(b"\r").map_or(end, <[u8]>::len)))
}

/// Unicode's line and paragraph separators; ASCII's are control characters.
fn breaks_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that change the direction of the text behind them (Unicode's bidirectional controls).
pub fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// A filename extension, the `Content-Type` of a file (§2.1.1.2): `jpg`, `tar.gz`.
///
/// Letters, digits, `_`, `+`, `-` and single dots within, at most 32 bytes: it can never be or
/// contain a path, and a file named by it can be opened by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension(Box<str>);

impl Extension {
    /// Takes an extension from a header field or a file name; `None` where it is none.
    pub fn parse(value: &[u8]) -> Option<Extension> {
        let part = |part: &[u8]| {
            let valid = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-');
            !part.is_empty() && part.iter().all(valid)
        };
        if value.len() > EXTENSION_LIMIT || !value.split(|&byte| byte == b'.').all(part) {
            return None;
        }
        str::from_utf8(value).ok().map(|text| Extension(text.into()))
    }

    /// The extension, without a dot before it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the body of a text (§2.1.2): UTF-8 (or ASCII), with no control character but tab,
/// linefeed and the carriage return of a CR LF, since many of its readers are bare terminals.
///
/// # Errors
/// The first byte or character that may not stand in a text, and where.
pub fn check_text(body: &[u8], charset: Charset) -> Result<(), TextError> {
    if is_plain(body) {
        return Ok(());
    }
    let text =
        str::from_utf8(body).map_err(|error| match (error.valid_up_to(), error.error_len()) {
            (at, Some(_)) => TextError::NotUtf8 { at },
            (at, None) => TextError::CutsCharacter { at, len: body.len(), rest: None },
        })?;
    if charset == Charset::Ascii
        && let Some(at) = body.iter().position(|byte| !byte.is_ascii())
    {
        return Err(TextError::NotAscii { at });
    }
    let refused = |&(at, c): &(usize, char)| match c {
        '\t' | '\n' => false,
        '\r' => body.get(at + 1) != Some(&b'\n'),
        _ => c.is_control(),
    };
    match text.char_indices().find(refused) {
        Some((at, '\r')) if at + 1 == body.len() => {
            Err(TextError::CutsLineEnding { len: body.len() })
        }
        Some((at, character)) => Err(TextError::Character { at, character }),
        None => Ok(()),
    }
}

/// Whether a text is ASCII without control characters other than tabs and linefeeds, as most are:
/// looked at a block at a time, as a processor can.
fn is_plain(body: &[u8]) -> bool {
    let is_odd = |byte: u8| !matches!(byte, b' '..=b'~' | b'\t' | b'\n');
    let is_plain = |part: &[u8]| !part.iter().fold(false, |any, &byte| any | is_odd(byte));
    body.chunks(64).all(is_plain)
}

pub use {Escaped as Visible, TerminalSafe as Shown};

/// Shows a stranger's text on one line: whatever could move a cursor, break the line or turn the
/// text's direction is written as an escape (`\n`, `\u{1b}`).
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c == '\\' || c.is_control() || breaks_line(c) || turns_direction(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Shows a stranger's text to a person at a terminal: as [`Escaped`], but a backslash is itself, and
/// a tab four spaces.
pub struct TerminalSafe<'a>(pub &'a str);

impl fmt::Display for TerminalSafe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\t' => f.write_str("    ")?,
                _ if c.is_control() || breaks_line(c) || turns_direction(c) => {
                    write!(f, "{}", c.escape_default())?;
                }
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_never_paths() {
        let good = ["jpg", "JPG", "tar.gz", "c++", "7z", "x_y-z", "a.b.c", &"x".repeat(32)];
        for value in good {
            let parsed = Extension::parse(value.as_bytes());
            assert_eq!(parsed.as_ref().map(Extension::as_str), Some(value));
        }
        let bad = [
            "",
            ".",
            "..",
            "a..b",
            ".jpg",
            "jpg.",
            "/",
            "../x",
            "a/b",
            "a\\b",
            "a b",
            "a:b",
            "~",
            "\u{e9}",
            "a\0",
            "*",
            &"x".repeat(33),
        ];
        for value in bad {
            assert_eq!(Extension::parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn texts_hold_no_control_characters() {
        let check = |body: &[u8], charset, expected: Result<(), TextError>| {
            assert_eq!(check_text(body, charset), expected, "{:?}", body.escape_ascii());
        };
        let utf8 = Charset::Utf8;
        check(b"", utf8, Ok(()));
        check(b"How are you?", utf8, Ok(()));
        check(b"a\tb\nc\r\nd\r\n", utf8, Ok(()));
        check("\u{fc}\u{1f600}\u{202e}".as_bytes(), utf8, Ok(()));
        let character = |at, character| Err(TextError::Character { at, character });
        check(b"a\rb", utf8, character(1, '\r'));
        check(b"a\r", utf8, Err(TextError::CutsLineEnding { len: 2 }));
        check(b"\x07", utf8, character(0, '\x07'));
        check(b"ab\0", utf8, character(2, '\0'));
        check(b"\x1b[31m", utf8, character(0, '\x1b'));
        check(b"\x7f", utf8, character(0, '\x7f'));
        check("\u{e9}\u{9b}".as_bytes(), utf8, character(2, '\u{9b}'));
        check(b"ab\xff", utf8, Err(TextError::NotUtf8 { at: 2 }));
        check("ab\u{e9}".as_bytes(), Charset::Ascii, Err(TextError::NotAscii { at: 2 }));
        check(b"ab", Charset::Ascii, Ok(()));
    }

    #[test]
    fn a_length_that_ends_inside_a_character_is_told_from_what_is_not_utf8() {
        // P2: a reason is written for the person who must correct the message.
        let cuts = |rest| TextError::CutsCharacter { at: 1, len: 2, rest };
        let not_utf8 = TextError::NotUtf8 { at: 1 };
        let cases: [(&[u8], &[u8], TextError); 7] = [
            (b"h\xc3", b"", cuts(None)),
            (b"h\xc3", b"\xa9llo", cuts(None)),
            (b"h\xc3", b"\xa9llo\nTo", cuts(Some(4))),
            (b"h\xc3", b"\xa9\r\n", cuts(Some(1))),
            // Latin-1, counted right.
            (b"h\xe9", b"\n", not_utf8.clone()),
            (b"h\xe9", b"Message-Type", not_utf8.clone()),
            (b"h\xffo", b"\xa9", not_utf8),
        ];
        for (body, behind, expected) in cases {
            let got = check_text(body, Charset::Utf8).map_err(|error| error.before(behind));
            assert_eq!(got, Err(expected), "{}", behind.escape_ascii());
            let got = Nickname::parse(body, Charset::Utf8).map_err(|error| error.before(behind));
            let expected = match got {
                Err(NicknameError::NotUtf8) => TextError::NotUtf8 { at: 1 },
                Err(NicknameError::CutsCharacter { len, rest }) => {
                    TextError::CutsCharacter { at: 1, len, rest }
                }
                other => panic!("{other:?}"),
            };
            let got = check_text(body, Charset::Utf8).map_err(|error| error.before(behind));
            assert_eq!(got, Err(expected), "{}", behind.escape_ascii());
        }
    }

    #[test]
    fn a_strangers_text_is_shown_and_never_obeyed() {
        let shown = Escaped("a\nb\x1b[2J\u{9b}\u{202e}\\ \u{e9}").to_string();
        assert_eq!(shown, "a\\nb\\u{1b}[2J\\u{9b}\\u{202e}\\\\ \u{e9}");
    }
}
