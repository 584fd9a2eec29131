//! Values of the command lines: sizes, numbers, times, paths and addresses; and how a usage error is
//! said.
//!
//! Shared by both programs, so that they take and refuse the same.

mod address;
mod path;

use std::fmt;
use std::io;
use std::time::Duration;

use getopts::Fail;

pub use self::address::{Address, parse_address};
pub use self::path::{arguments, path_of, path_value, text_argument};

/// The exit status of a usage error; a failure at run time is 1.
pub const USAGE_STATUS: u8 = 2;

/// What is wrong with a command line, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Fail> for UsageError {
    fn from(fail: Fail) -> UsageError {
        let dashed = |name: &str| match name.chars().count() {
            1 => format!("-{name}"),
            _ => format!("--{name}"),
        };
        UsageError(match fail {
            Fail::ArgumentMissing(name) => format!("{}: a value is missing", dashed(&name)),
            Fail::UnrecognizedOption(name) => format!("{}: unknown option", dashed(&name)),
            Fail::OptionMissing(name) => format!("{}: is required", dashed(&name)),
            Fail::OptionDuplicated(name) => format!("{}: given more than once", dashed(&name)),
            Fail::UnexpectedArgument(name) => format!("{}: takes no value", dashed(&name)),
        })
    }
}

/// Why something failed, in words for a person: without the number that the system has for it.
pub fn why(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) if text.ends_with(')') => text[..at].to_string(),
        _ => text,
    }
}

/// A stray argument.
pub fn stray(argument: &str) -> UsageError {
    UsageError(format!("{}: unexpected argument", path_of(argument).display()))
}

/// The value of option `name`, read by `parse`, which says what it is not.
///
/// # Errors
/// `NAME VALUE: not …`; where it is not UTF-8, as well.
pub fn value<T>(
    matches: &getopts::Matches,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    let text = text_argument(&text).map_err(|error| UsageError(format!("--{name} {error}")))?;
    parse(text).map(Some).map_err(|what| UsageError(format!("--{name} {text}: {what}")))
}

/// A size in bytes: digits, then `k`, `M` or `G` (powers of 1024). Never 0.
///
/// # Errors
/// What the text is not.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    const NOT: &str = "not a size (digits, then k, M or G)";
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NOT);
    }
    let number: u64 = digits.parse().map_err(|_| "too large a size")?;
    match number.checked_mul(1 << shift) {
        Some(0) => Err("a limit of 0 would allow nothing"),
        Some(size) => Ok(size),
        None => Err("too large a size"),
    }
}

/// A number of things. Never 0.
///
/// # Errors
/// What the text is not.
pub fn parse_count(text: &str) -> Result<usize, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("not a number (decimal digits)");
    }
    match text.parse() {
        Ok(0) => Err("a limit of 0 would allow nothing"),
        Ok(count) => Ok(count),
        Err(_) => Err("too large a number"),
    }
}

/// How many are kept: a number of any size, 0 for none.
///
/// # Errors
/// What the text is not.
pub fn parse_kept(text: &str) -> Result<usize, &'static str> {
    match parse_count(text) {
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte == b'0') => Ok(0),
        parsed => parsed,
    }
}

/// A time in seconds, with a fraction if need be. Never 0.
///
/// # Errors
/// What the text is not.
pub fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    const NOT: &str = "not a time in seconds (such as 10 or 0.5)";
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(NOT);
    }
    let seconds: f64 = text.parse().map_err(|_| NOT)?;
    // A year: the system's own timers overflow only far above.
    if seconds > 366.0 * 86_400.0 {
        return Err("too long a time");
    }
    let time = Duration::from_secs_f64(seconds);
    if time < Duration::from_millis(1) { Err("a limit of 0 would allow nothing") } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_digits_and_a_power_of_1024() {
        let check = |text: &str, expected: Result<u64, &str>| {
            assert_eq!(parse_size(text), expected, "{text:?}");
        };
        check("1", Ok(1));
        check("64k", Ok(65_536));
        check("16M", Ok(16 << 20));
        check("1G", Ok(1 << 30));
        check("1g", Ok(1 << 30));
        let not = Err("not a size (digits, then k, M or G)");
        for text in ["", "k", "12x", "1kk", "-1", "+1", "1.5M", " 1", "1 k", "0x10", "\u{661}"] {
            check(text, not);
        }
        check("0", Err("a limit of 0 would allow nothing"));
        check("0k", Err("a limit of 0 would allow nothing"));
        check("99999999999999999999", Err("too large a size"));
        check("99999999999999G", Err("too large a size"));
    }

    #[test]
    fn times_are_seconds_with_a_fraction() {
        let check = |text: &str, expected: Result<Duration, &str>| {
            assert_eq!(parse_seconds(text), expected, "{text:?}");
        };
        check("10", Ok(Duration::from_secs(10)));
        check("0.5", Ok(Duration::from_millis(500)));
        let not = Err("not a time in seconds (such as 10 or 0.5)");
        for text in ["", ".", "1s", "-1", "inf", "NaN", "1e3", "1.2.3"] {
            check(text, not);
        }
        check("0", Err("a limit of 0 would allow nothing"));
        check("0.0", Err("a limit of 0 would allow nothing"));
        check("99999999999", Err("too long a time"));
    }

    #[test]
    fn counts_are_never_zero() {
        assert_eq!(parse_count("1000"), Ok(1000));
        assert_eq!(parse_count("0"), Err("a limit of 0 would allow nothing"));
        assert_eq!(parse_count("x"), Err("not a number (decimal digits)"));
        assert_eq!(parse_count("99999999999999999999999"), Err("too large a number"));
    }

    #[test]
    fn how_many_are_kept_may_be_zero() {
        assert_eq!(parse_kept("0"), Ok(0));
        assert_eq!(parse_kept("00"), Ok(0));
        assert_eq!(parse_kept("100"), Ok(100));
        assert_eq!(parse_kept(""), Err("not a number (decimal digits)"));
        assert_eq!(parse_kept("-1"), Err("not a number (decimal digits)"));
        assert_eq!(parse_kept("99999999999999999999999"), Err("too large a number"));
    }
}
