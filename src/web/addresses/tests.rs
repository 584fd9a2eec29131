//! Addresses in tables; the code as it is drawn, read back module by module.

use super::*;

fn interface(address: &str) -> Interface {
    let (address, is_tunnel) = match address.strip_prefix("tunnel ") {
        Some(address) => (address, true),
        None => (address, false),
    };
    Interface { address: address.parse().unwrap(), is_tunnel }
}

fn check(listening: &[&str], interfaces: &[&str], expected: &[&str]) {
    let listening: Vec<_> = listening.iter().map(|address| address.parse().unwrap()).collect();
    let interfaces: Vec<_> = interfaces.iter().map(|address| interface(address)).collect();
    let found = reachable(&listening, &interfaces);
    let found: Vec<_> = found.iter().map(SocketAddr::to_string).collect();
    assert_eq!(found, expected, "{listening:?} of {interfaces:?}");
}

#[test]
fn addresses_are_those_that_others_can_reach() {
    let all = [
        "127.0.0.1",
        "::1",
        "tunnel 10.8.0.2",
        "fe80::1",
        "169.254.3.4",
        "2001:db8::7",
        "192.168.1.20",
        "172.17.0.1",
    ];
    let v4 = ["192.168.1.20:8080", "172.17.0.1:8080", "169.254.3.4:8080", "10.8.0.2:8080"];
    check(&["0.0.0.0:8080"], &all, &v4);
    let both = [v4[0], v4[1], "[2001:db8::7]:8080", v4[2], v4[3]];
    check(&["[::]:8080"], &all, &both);
    // Once each.
    check(&["[::]:8080", "0.0.0.0:8080", "192.168.1.20:8080"], &all, &both);
    check(&["192.168.1.20:80"], &all, &["192.168.1.20:80"]);
    check(&["192.168.1.20:80", "127.0.0.1:80"], &all, &["192.168.1.20:80"]);
    check(&["192.168.1.20:1", "192.168.1.20:2"], &[], &["192.168.1.20:1", "192.168.1.20:2"]);
    // Loopback where there is nothing else.
    check(&["127.0.0.1:80"], &all, &["127.0.0.1:80"]);
    check(&["[::1]:80", "127.0.0.1:80"], &all, &["127.0.0.1:80", "[::1]:80"]);
    check(&["[::]:80"], &["127.0.0.1", "::1"], &["127.0.0.1:80", "[::1]:80"]);
    check(&["[fe80::1]:80"], &all, &[]);
    check(&["[::]:80"], &[], &[]);
    check(&[], &all, &[]);
}

#[test]
fn this_machine_has_the_loopback_address() {
    let found = interfaces().unwrap();
    assert!(found.contains(&interface("127.0.0.1")), "{found:?}");
}

/// The modules of a drawn code, its border included.
fn modules(drawn: &[&str]) -> Vec<Vec<bool>> {
    let mut rows = Vec::new();
    for line in drawn {
        let line = line.strip_prefix(DARK_ON_LIGHT).unwrap().strip_suffix(RESET).unwrap();
        let dark = |halves: [char; 2]| line.chars().map(|one| halves.contains(&one)).collect();
        assert!(line.chars().all(|one| " \u{2580}\u{2584}\u{2588}".contains(one)), "{line:?}");
        rows.push(dark(['\u{2588}', '\u{2580}']));
        rows.push(dark(['\u{2588}', '\u{2584}']));
    }
    rows
}

#[test]
fn the_invitation_has_each_address_and_the_first_as_a_code() {
    for (first, columns) in [
        ("10.0.0.1:80", 33),
        ("192.168.1.20:8080", 33),
        ("255.255.255.255:65535", 33),
        ("[2001:db8:1234:5678:9abc:def1:2345:6789]:65535", 41),
    ] {
        let addresses = [first.parse().unwrap(), "[::1]:5".parse().unwrap()];
        let text = invitation(&addresses);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "to join, open in a browser:");
        assert_eq!(lines[1], format!("  http://{first}/"));
        assert_eq!(lines[2], "  http://[::1]:5/");
        let rows = modules(&lines[3..]);
        let code = QrCode::encode_text(&format!("http://{first}/"), QrCodeEcc::Low).unwrap();
        assert_eq!(code.size() + 2 * BORDER, columns, "{first}");
        for (y, row) in (-BORDER..).zip(&rows) {
            assert_eq!(row.len(), columns as usize, "{first}");
            for (x, &dark) in (-BORDER..).zip(row) {
                assert_eq!(dark, code.get_module(x, y), "{first}: {x}, {y}");
            }
        }
        assert!(rows.len() >= columns as usize, "{first}");
    }
    assert_eq!(invitation(&[]), "");
}
