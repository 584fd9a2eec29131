//! Values of the command lines: sizes, numbers, times, paths and addresses; and how a usage error is
//! said.
//!
//! Shared by both programs, so that they take and refuse the same.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
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

/// Stands for byte 0 in an argument that is not UTF-8, and the next characters for the other bytes:
/// private use characters of the last plane.
const FIRST_BYTE: u32 = 0x10_fd00;

/// The program's arguments as text, since `getopts` takes nothing else. A path may be any bytes:
/// those that are not UTF-8 stand in it as private characters, which [`path_of`] turns back.
pub fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| text_of(&argument)).collect()
}

/// The path that an argument names.
pub fn path_of(argument: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(argument.len());
    for c in argument.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// An argument that has to be text.
///
/// # Errors
/// Where it is not UTF-8.
pub fn text_argument(argument: &str) -> Result<&str, UsageError> {
    match argument.chars().any(|c| byte_of(c).is_some()) {
        true => Err(UsageError(format!("{}: not UTF-8", path_of(argument).display()))),
        false => Ok(argument),
    }
}

fn text_of(argument: &std::ffi::OsStr) -> String {
    let mut text = String::new();
    for chunk in argument.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            // A character that would be taken for a byte is written as its bytes.
            match byte_of(c) {
                Some(_) => push_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text),
                None => text.push(c),
            }
        }
        push_bytes(chunk.invalid(), &mut text);
    }
    text
}

fn push_bytes(bytes: &[u8], text: &mut String) {
    let character = |&byte: &u8| char::from_u32(FIRST_BYTE + u32::from(byte));
    text.extend(bytes.iter().filter_map(character));
}

fn byte_of(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST_BYTE)?).ok()
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

/// The value of option `name`, a path: any bytes, but not empty.
///
/// # Errors
/// `NAME : not …`.
pub fn path_value(
    matches: &getopts::Matches,
    name: &str,
    not: &str,
) -> Result<Option<PathBuf>, UsageError> {
    match matches.opt_str(name) {
        Some(text) if text.is_empty() => Err(UsageError(format!("--{name} : {not}"))),
        text => Ok(text.map(|text| path_of(&text))),
    }
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
        split_zone(host).ok_or("not an IPv6 address in the brackets")?;
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
        Some((_, rest)) if rest.contains(':') => match split_zone(text) {
            Some(_) => Ok(Address { host: Some(text.to_string()), port: None }),
            None => Err(not),
        },
        Some(("", _)) => Err(not),
        Some((host, digits)) => {
            Ok(Address { host: Some(host.to_string()), port: Some(port(digits)?) })
        }
    }
}

/// An IPv6 address and its zone, which says by which interface a link-local one is reached (RFC 4007):
/// `fe80::1%eth0`.
fn split_zone(host: &str) -> Option<(Ipv6Addr, Option<&str>)> {
    match host.split_once('%') {
        Some((ip, zone)) => Some((ip.parse().ok()?, Some(zone).filter(|zone| !zone.is_empty()))),
        None => Some((host.parse().ok()?, None)),
    }
}

/// The number of a network interface, by its name or as a number.
fn zone_index(zone: &str) -> io::Result<u32> {
    if let Ok(index) = zone.parse() {
        return Ok(index);
    }
    // Any socket may ask.
    let socket = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::1]:0"))?;
    let index = rustix::net::netdevice::name_to_index(socket, zone);
    index.map_err(|_| io::Error::other(format!("there is no network interface {zone:?}")))
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
        if let Some((ip, Some(zone))) = split_zone(host) {
            return Ok(vec![SocketAddrV6::new(ip, port, 0, zone_index(zone)?).into()]);
        }
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in (host.as_str(), port).to_socket_addrs()? {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        Ok(found)
    }

    /// Looks up where to listen: of the addresses that a name stands for, those that this host has.
    /// `localhost` is mostly an IPv6 address as well, also where the system has no IPv6.
    ///
    /// # Errors
    /// Where the host cannot be found.
    pub fn resolve_to_listen(&self, default_port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.resolve(default_port)?;
        let is_here = |address: &&SocketAddr| UdpSocket::bind((address.ip(), 0)).is_ok();
        let here: Vec<SocketAddr> = found.iter().filter(is_here).copied().collect();
        // Where it has none of them, listening says why.
        Ok(if here.is_empty() { found } else { here })
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
        check("fe80::1%eth0", Some("fe80::1%eth0"), None);
        check("[fe80::1%eth0]", Some("fe80::1%eth0"), None);
        check("[fe80::1%2]:80", Some("fe80::1%2"), Some(80));
        let bad =
            ["", ":80", "host:", "host:x", "host:65536", "65536", "[::1", "[x]:1", "a:b:c", "a b"];
        for text in bad {
            assert!(parse_address(text, true).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_zone_is_an_interface_by_name_or_number() {
        let resolve = |text: &str| parse_address(text, false).unwrap().resolve(8080);
        let lo = resolve("[fe80::1%lo]:9").unwrap();
        assert_eq!(lo, resolve("[fe80::1%1]:9").unwrap());
        assert_eq!(lo, ["[fe80::1%1]:9".parse().unwrap()]);
        assert_eq!(resolve("fe80::1%lo").unwrap(), ["[fe80::1%1]:8080".parse().unwrap()]);
        let error = resolve("fe80::1%no-such").unwrap_err().to_string();
        assert_eq!(error, "there is no network interface \"no-such\"");
    }

    #[test]
    fn of_the_addresses_of_a_name_those_are_listened_on_that_are_here() {
        let localhost = Address { host: Some("localhost".to_string()), port: Some(0) };
        let here = localhost.resolve_to_listen(1).unwrap();
        assert!(!here.is_empty());
        assert!(here.iter().all(|address| UdpSocket::bind(address).is_ok()), "{here:?}");
        // Documentation's own (RFC 5737): nobody has it, and listening has to say so.
        let nowhere = Address { host: Some("192.0.2.1".to_string()), port: Some(1) };
        assert_eq!(nowhere.resolve_to_listen(1).unwrap(), ["192.0.2.1:1".parse().unwrap()]);
    }

    #[test]
    fn paths_are_any_bytes() {
        let cases: [&[u8]; 5] = [
            b"plain",
            "caf\u{e9}".as_bytes(),
            b"caf\xe9.txt",
            b"\xff\x80/\xc3",
            "\u{10fde9}x".as_bytes(),
        ];
        for bytes in cases {
            let text = text_of(std::ffi::OsStr::from_bytes(bytes));
            assert_eq!(path_of(&text).as_os_str().as_bytes(), bytes);
            let is_text = str::from_utf8(bytes).is_ok() && !bytes.contains(&0xf4);
            assert_eq!(text_argument(&text).is_ok(), is_text, "{}", bytes.escape_ascii());
        }
    }
}
