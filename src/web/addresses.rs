//! How to get in, for the person who has started the server: addresses that others can reach, and
//! the first of them as a QR code.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, SocketAddr};

use qrcodegen::{QrCode, QrCodeEcc};

#[cfg(test)]
mod tests;

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The address.
    pub address: IpAddr,
    /// Whether it is one end of a tunnel, with a single host at the other end.
    pub is_tunnel: bool,
}

/// The addresses of this machine's interfaces that are up and connected, as the system lists them.
///
/// # Errors
/// The system's own.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let all = if_addrs::get_if_addrs()?;
    let up = all.iter().filter(|one| one.is_oper_up());
    Ok(up.map(|one| Interface { address: one.ip(), is_tunnel: one.is_p2p() }).collect())
}

/// Where browsers of other machines reach a server that listens on `listening`, the best first:
/// IPv4 is easier to tell a neighbour, and a tunnel leads away from the room.
///
/// Loopback addresses alone where there are no others. Without IPv6 addresses that need a zone: no
/// browser takes them.
pub fn reachable(listening: &[SocketAddr], interfaces: &[Interface]) -> Vec<SocketAddr> {
    let mut found: Vec<(u8, SocketAddr)> = Vec::new();
    for listener in listening {
        for interface in interfaces.iter().filter(|one| hears(listener.ip(), one.address)) {
            found.push((rank(interface), SocketAddr::new(interface.address, listener.port())));
        }
        // It is an address of this machine, even if the system's list has missed it.
        if !listener.ip().is_unspecified() {
            let interface = Interface { address: listener.ip(), is_tunnel: false };
            found.push((rank(&interface), *listener));
        }
    }
    let others = found.iter().any(|(_, address)| !address.ip().is_loopback());
    found.retain(|(_, address)| {
        !needs_zone(address.ip()) && (!others || !address.ip().is_loopback())
    });
    found.sort_by_key(|(rank, _)| *rank);
    let mut addresses = Vec::new();
    for (_, address) in found {
        let address = SocketAddr::new(address.ip(), address.port());
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Whether a listener on `listening` is reached at `address`; one on `[::]` is by IPv4 as well.
fn hears(listening: IpAddr, address: IpAddr) -> bool {
    match listening {
        IpAddr::V4(all) if all.is_unspecified() => address.is_ipv4(),
        IpAddr::V6(all) if all.is_unspecified() => true,
        one => one == address,
    }
}

/// A smaller one comes first; the system's order decides between equals.
fn rank(interface: &Interface) -> u8 {
    let kind = match interface.address {
        // An address that a machine gives itself where nobody gives it one.
        IpAddr::V4(address) if address.is_link_local() => 2,
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => 1,
    };
    kind + if interface.is_tunnel { 3 } else { 0 }
}

fn needs_zone(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// What a person at a terminal is told: each address as `http://ADDRESS:PORT/` on a line of its
/// own, then the first of them as a QR code.
///
/// Nothing without addresses. The code takes 33 to 41 columns. Its colours are its own, dark on
/// light, since many scanners do not know it the other way round.
pub fn invitation(addresses: &[SocketAddr]) -> String {
    let Some(first) = addresses.first() else { return String::new() };
    let mut text = String::from("to join, open in a browser:\n");
    for address in addresses {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}", url(address));
    }
    // An address is never too long for a code.
    if let Ok(code) = QrCode::encode_text(&url(first), QrCodeEcc::Low) {
        draw(&code, &mut text);
    }
    text
}

fn url(address: &SocketAddr) -> String {
    format!("http://{address}/")
}

/// The light border that a code needs around it, in modules (ISO/IEC 18004).
const BORDER: i32 = 4;

/// Black on white, whatever the terminal's colours are; and back to those.
const DARK_ON_LIGHT: &str = "\x1b[30;47m";
const RESET: &str = "\x1b[0m";

/// Draws two rows of modules in each line.
fn draw(code: &QrCode, text: &mut String) {
    let ends = -BORDER..code.size() + BORDER;
    for y in ends.clone().step_by(2) {
        text.push_str(DARK_ON_LIGHT);
        for x in ends.clone() {
            // What is outside of the code is light.
            text.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '\u{2588}',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (false, false) => ' ',
            });
        }
        text.push_str(RESET);
        text.push('\n');
    }
}
