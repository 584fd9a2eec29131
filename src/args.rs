//! Values of the command lines: sizes, numbers, times and addresses; and how a usage error is said.
//!
//! Shared by both programs, so that they take and refuse the same.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use getopts::Fail;

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

/// The program's arguments.
///
/// # Errors
/// Where one of them is not UTF-8.
pub fn arguments() -> Result<Vec<String>, UsageError> {
    let text = |argument: OsString| {
        argument
            .into_string()
            .map_err(|argument| UsageError(format!("{}: not UTF-8", argument.to_string_lossy())))
    };
    std::env::args_os().skip(1).map(text).collect()
}

/// A stray argument.
pub fn stray(argument: &str) -> UsageError {
    UsageError(format!("{argument}: unexpected argument"))
}

/// The value of option `name`, read by `parse`, which says what it is not.
///
/// # Errors
/// `NAME VALUE: not …`.
pub fn value<T>(
    matches: &getopts::Matches,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    parse(&text).map(Some).map_err(|what| UsageError(format!("--{name} {text}: {what}")))
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

/// Where to listen or to connect: `PORT` (where `port_alone`), `HOST` or `HOST:PORT`.
///
/// # Errors
/// What the text is not.
pub fn parse_address(text: &str, port_alone: bool) -> Result<Address, &'static str> {
    let not = if port_alone {
        "not an address (PORT, HOST or HOST:PORT)"
    } else {
        "not an address (HOST or HOST:PORT)"
    };
    const NOT_PORT: &str = "not a port (0 to 65535)";
    let port = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true if !digits.is_empty() => digits.parse::<u16>().map_err(|_| NOT_PORT),
        _ => Err(NOT_PORT),
    };
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(not);
    }
    if port_alone && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Address { host: None, port: Some(port(text)?) });
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or(not)?;
        host.parse::<Ipv6Addr>().map_err(|_| "not an IPv6 address in the brackets")?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if rest.is_empty() => None,
            None => return Err(not),
        };
        return Ok(Address { host: Some(host.to_string()), port });
    }
    match text.split_once(':') {
        None => Ok(Address { host: Some(text.to_string()), port: None }),
        // An IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') => match text.parse::<Ipv6Addr>() {
            Ok(_) => Ok(Address { host: Some(text.to_string()), port: None }),
            Err(_) => Err(not),
        },
        Some(("", _)) => Err(not),
        Some((host, digits)) => {
            Ok(Address { host: Some(host.to_string()), port: Some(port(digits)?) })
        }
    }
}

/// An address as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host's name or address; `None` is all addresses.
    pub host: Option<String>,
    /// The port, where one was given.
    pub port: Option<u16>,
}

impl Address {
    /// Looks the address up; all that its host stands for, each once.
    ///
    /// # Errors
    /// Where the host cannot be found.
    pub fn resolve(&self, default_port: u16) -> io::Result<Vec<SocketAddr>> {
        let port = self.port.unwrap_or(default_port);
        let Some(host) = &self.host else {
            return Ok(vec![SocketAddr::new(IpAddr::from([0u16; 8]), port)]);
        };
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in (host.as_str(), port).to_socket_addrs()? {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        Ok(found)
    }
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

    #[test]
    fn addresses_are_port_host_or_both() {
        let check = |text: &str, host: Option<&str>, port: Option<u16>| {
            let expected = Address { host: host.map(str::to_string), port };
            assert_eq!(parse_address(text, true), Ok(expected), "{text:?}");
        };
        check("8080", None, Some(8080));
        check("0", None, Some(0));
        check("localhost", Some("localhost"), None);
        check("localhost:9", Some("localhost"), Some(9));
        check("127.0.0.1:80", Some("127.0.0.1"), Some(80));
        check("::1", Some("::1"), None);
        check("[::1]", Some("::1"), None);
        check("[::1]:80", Some("::1"), Some(80));
        let bad =
            ["", ":80", "host:", "host:x", "host:65536", "65536", "[::1", "[x]:1", "a:b:c", "a b"];
        for text in bad {
            assert!(parse_address(text, true).is_err(), "{text:?}");
        }
    }
}
