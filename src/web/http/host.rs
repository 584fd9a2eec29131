//! Names of this server: which `Host` a request may have.

use std::net::{IpAddr, Ipv6Addr};

/// The port of `http://` where none is named.
const HTTP_PORT: u16 = 80;

/// A `Host` that is well formed: a name or an address, and a port (RFC 9110, 7.2).
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    name: Name<'a>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    Address(IpAddr),
    Dns(&'a str),
}

impl<'a> Host<'a> {
    /// Reads `host[:port]`; an IPv6 address stands in brackets. `None` for anything else: a user, a
    /// path, quotes, an empty label, a dot at the end.
    pub fn parse(text: &'a str) -> Option<Host<'a>> {
        let (name, port) = match text.rfind([':', ']']) {
            Some(colon) if text[colon..].starts_with(':') => {
                (&text[..colon], Some(parse_port(&text[colon + 1..])?))
            }
            _ => (text, None),
        };
        let name = match name.strip_prefix('[') {
            Some(rest) => Name::Address(rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into()),
            None if !is_dns_name(name) => return None,
            None => name.parse().map_or(Name::Dns(name), Name::Address),
        };
        Some(Host { name, port })
    }

    /// Whether both name the same place, `http://`'s own port included.
    pub(super) fn is_same_as(&self, other: &Host<'_>) -> bool {
        let same_name = match (self.name, other.name) {
            (Name::Address(one), Name::Address(other)) => one == other,
            (Name::Dns(one), Name::Dns(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        };
        same_name && self.port.unwrap_or(HTTP_PORT) == other.port.unwrap_or(HTTP_PORT)
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Labels of letters, digits, `-` and `_`, with dots between them.
fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.split('.').all(is_label)
}

/// Reads a name under which browsers may come, from the command line.
///
/// # Errors
/// What is wrong with it, in the words of a usage error.
pub fn parse_name(text: &str) -> Result<String, &'static str> {
    if is_dns_name(text) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("not a host name (letters, digits, - and dots, without a port)")
    }
}

/// The names under which browsers may come, against DNS rebinding: a foreign site can have its own
/// name point here, and would then be this server's own page to a browser.
///
/// Always among them are what no foreign site can have: an IP address, `localhost` and what ends in
/// `.localhost`, a name without a dot, and what ends in `.local`.
#[derive(Clone, Debug, Default)]
pub struct Names {
    others: Vec<String>,
}

impl Names {
    /// Lets these names in as well: this machine's own, and those of `--web-name`. Case means
    /// nothing.
    pub fn new<S: Into<String>>(others: impl IntoIterator<Item = S>) -> Names {
        Names { others: others.into_iter().map(Into::into).collect() }
    }

    /// Whether a browser may come under this name, whatever the port.
    pub fn admit(&self, host: &Host<'_>) -> bool {
        match host.name {
            Name::Address(_) => true,
            Name::Dns(name) => {
                !name.contains('.')
                    || ends_in(name, ".localhost")
                    || ends_in(name, ".local")
                    || self.others.iter().any(|other| other.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// Whether `name` ends in `suffix`, in any case.
fn ends_in(name: &str, suffix: &str) -> bool {
    let end = name.len().checked_sub(suffix.len()).and_then(|start| name.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}
