//! What people type: nicknames, filename extensions, texts, and how to show them safely.
//!
//! A type that exists here is valid: it is built by a checked constructor alone. Nothing in here
//! does I/O.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// The longest nickname, in bytes: it stands in the header of every message of its owner.
pub const NICKNAME_LIMIT: usize = 64;

/// The longest filename extension, in bytes.
pub const EXTENSION_LIMIT: usize = 32;

/// The longest name of a file, in bytes.
pub const FILE_NAME_LIMIT: usize = 200;

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

/// Why something is no nickname (P4, nickname).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NicknameError {
    /// Nothing but white space.
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
    /// The same, knowing what came `behind` the body: see [`TextError::before`].
    pub fn before(self, behind: &[u8]) -> NicknameError {
        match self {
            NicknameError::CutsCharacter { len, .. } => match rest_of_line(behind) {
                Ok(rest) => NicknameError::CutsCharacter { len, rest },
                Err(NoRest) => NicknameError::NotUtf8,
            },
            other => other,
        }
    }
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

/// A client's nickname (§2.3.1.3): 1 to 64 bytes of one line, which can never add a header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(Arc<str>);

impl Nickname {
    /// Takes a nickname from the body of a message; white space around it is dropped.
    ///
    /// # Errors
    /// Where it is empty, longer than [`NICKNAME_LIMIT`], not text of `charset`, or holds a
    /// character that breaks a line, controls a terminal or turns the direction of the text.
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
        let refused = |c: &char| c.is_control() || breaks_line(*c) || turns_direction(*c);
        match name.chars().find(refused) {
            Some(character) => Err(NicknameError::Character { character }),
            None => Ok(Nickname(name.into())),
        }
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
        let refused = |&c: &char| {
            matches!(c, '/' | '\\') || c.is_control() || breaks_line(c) || turns_direction(c)
        };
        match (name, name.chars().find(refused)) {
            ("", _) => Err(FileNameError::Empty),
            ("." | "..", _) => Err(FileNameError::Dots),
            (_, Some(character)) => Err(FileNameError::Character { character }),
            (_, None) => Ok(FileName(name.into())),
        }
    }

    /// The name, without a directory.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// White space that may stand around a nickname or a name: ASCII's, and Unicode's spaces of one line.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
        || (c.is_whitespace() && !c.is_control() && !breaks_line(c))
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
    if body.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n')) {
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

/// Shows a stranger's text on one line: whatever could move a cursor, break the line or turn the
/// text's direction is written as an escape (`\n`, `\u{1b}`).
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
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

/// Shows a stranger's text to a person at a terminal: as [`Visible`], but a backslash is itself, and
/// a tab four spaces.
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
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
        let shown = Visible("a\nb\x1b[2J\u{9b}\u{202e}\\ \u{e9}").to_string();
        assert_eq!(shown, "a\\nb\\u{1b}[2J\\u{9b}\\u{202e}\\\\ \u{e9}");
    }
}
