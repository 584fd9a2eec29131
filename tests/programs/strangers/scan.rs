//! Port scans: connections that end before they begin.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::while_two_chat;
use crate::common::{DEADLINE, Server};

#[test]
fn a_scan_that_connects_and_closes_at_once_leaves_nothing_behind() {
    // `nc -z`: each is a client for a moment. In whichever way it goes, nothing is said to it.
    let server = Server::start();
    let idle = (server.open_files(), server.threads());
    while_two_chat(&server, || {
        for nth in 0..300 {
            let mut scanner = server.connect();
            match nth % 3 {
                0 => drop(scanner),
                1 => scanner.reset(),
                _ => {
                    scanner.end_input();
                    let got = scanner.messages_to_end();
                    assert!(got.iter().all(|message| !message.is_response()), "{got:?}");
                }
            }
        }
    });
    server.wait_until("threads and descriptors are as before", || {
        (server.open_files(), server.threads()) == idle
    });
    assert_eq!(server.join().uid, 303);
    // Not one of them is a trouble.
    let log = server.stop();
    assert!(log.iter().all(|line| line.contains(" INFO ")), "{log:#?}");
}

const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;

/// A TCP segment without options and data (RFC 9293, section 3.1), from this host to this host.
fn segment(from: u16, to: u16, flags: u8) -> [u8; 20] {
    let mut segment = [0; 20];
    segment[0..2].copy_from_slice(&from.to_be_bytes());
    segment[2..4].copy_from_slice(&to.to_be_bytes());
    segment[4..8].copy_from_slice(&[1; 4]);
    segment[12] = 5 << 4; // its length in words of 32 bits
    segment[13] = flags;
    segment[14..16].copy_from_slice(&1024u16.to_be_bytes());
    let localhost = Ipv4Addr::LOCALHOST.octets();
    let pseudo_header = [&localhost[..], &localhost, &[0, 6, 0, 20]].concat();
    let words = pseudo_header.chunks(2).chain(segment.chunks(2));
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    segment[16..18].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    segment
}

/// Asks for a connection that is not wanted, and waits until the server's host has answered.
fn half_open(raw: &Socket, server: SocketAddr) {
    // The port is taken, so that the answer is for nobody else, and the kernel resets what it answers.
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = reserved.local_addr().expect("its number").port();
    let syn = segment(port, server.port(), SYN);
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        raw.send_to(&syn, &server.into()).expect("send a SYN");
        // All segments of this host come by here; where that are too many, ours may get lost.
        let resend = Instant::now() + Duration::from_millis(200);
        while Instant::now() < resend {
            let mut packet = [0; 2048];
            let len = match (&*raw).read(&mut packet) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("read segments: {error}"),
            };
            let ip_header_len = usize::from(packet[0] & 15) * 4;
            let Some(answer) = packet[..len].get(ip_header_len..ip_header_len + 20) else {
                continue;
            };
            let ports = [server.port().to_be_bytes(), port.to_be_bytes()].concat();
            if answer[..4] == ports && answer[13] == SYN_ACK {
                return;
            }
        }
    }
    panic!("no answer to a SYN");
}

#[test]
fn a_scan_that_never_completes_a_connection_reaches_nobody() {
    // `nmap -sS`: the kernel answers, the scanner resets, and the server never hears of it.
    let raw = match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP)) {
        Ok(raw) => raw,
        Err(error) => {
            eprintln!("skipped: this user may not send segments by hand: {error}");
            return;
        }
    };
    raw.set_read_timeout(Some(Duration::from_millis(50))).expect("set a read timeout");
    let server = Server::start();
    while_two_chat(&server, || (0..100).for_each(|_| half_open(&raw, server.address)));
    assert_eq!(server.join().uid, 3, "somebody else has joined");
}
