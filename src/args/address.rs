//! Addresses, as they are typed and looked up.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs, UdpSocket};

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
    // What a browser shows of the same server, where somebody is to connect to it.
    let text = match text.strip_prefix("http://") {
        Some(rest) if !port_alone => rest.strip_suffix('/').unwrap_or(rest),
        _ => text,
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
    // The name of an interface holds no colon, so that a port can be told from it.
    if let Some((host, digits)) = text.rsplit_once(':').filter(|(host, _)| host.contains('%')) {
        split_zone(host).ok_or(not)?;
        return Ok(Address { host: Some(host.to_string()), port: Some(port(digits)?) });
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
        check("fe80::1%eth0:80", Some("fe80::1%eth0"), Some(80));
        // As a browser shows it, where somebody is to connect to it.
        for typed in ["http://10.0.0.1:80/", "http://10.0.0.1:80", "10.0.0.1:80"] {
            let expected = Address { host: Some("10.0.0.1".to_string()), port: Some(80) };
            assert_eq!(parse_address(typed, false), Ok(expected), "{typed:?}");
        }
        let bad = [
            "http://10.0.0.1:80/",
            "",
            ":80",
            "host:",
            "host:x",
            "host:65536",
            "65536",
            "[::1",
            "[x]:1",
            "a:b:c",
            "a b",
            "fe80::x%eth0",
            "fe80::1%eth0:x",
            "[fe80::1%eth0",
        ];
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
}
