//! How much of what a socket took has left this host, and how much the kernel still holds.
//!
//! There is no safe call for `TCP_INFO`; the kernel answers the same question through its socket
//! diagnostics (`sock_diag(7)`), which the `ss` command uses, one socket at a time. What was sent and
//! not acknowledged counts as gone, since a host that has vanished has not stopped reading: of that
//! it is told how long the other host has been silent.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use log::warn;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::sync::atomic::{AtomicU32, Ordering};

/// The message that asks for sockets by family and addresses (`linux/sock_diag.h`).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` (`linux/netlink.h`).
const REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// `nlmsghdr`, and `inet_diag_req_v2` behind it (`linux/inet_diag.h`).
const REQUEST_BYTES: usize = 16 + 56;
/// Asks for `struct tcp_info` beside the answer: bit `INET_DIAG_INFO - 1`.
const WITH_TCP_INFO: u8 = 1 << 1;
/// The attribute that `struct tcp_info` comes in.
const INET_DIAG_INFO: u16 = 2;
/// Where the number of a question, and of its answer, stands in `nlmsghdr`.
const NUMBER_AT: usize = 8;
/// The attributes stand behind `nlmsghdr` and `inet_diag_msg`.
const ATTRIBUTES_AT: usize = 16 + 72;
/// Places in `struct tcp_info` (`linux/tcp.h`), the last two since Linux 4.19.
const RETRANSMITS_AT: usize = 2;
const PROBES_AT: usize = 3;
const UNACKED_AT: usize = 24;
const NOTSENT_BYTES_AT: usize = 144;
const BYTES_SENT_AT: usize = 200;
const BYTES_RETRANS_AT: usize = 208;

/// Asks the kernel about sockets.
#[derive(Debug)]
pub(crate) struct TcpInfo {
    /// `None` where the kernel has no socket diagnostics.
    socket: Option<OwnedFd>,
    /// The number of the last question: an answer to an earlier one is none.
    asked: AtomicU32,
}

/// What became of the bytes that a socket took.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct SocketStats {
    /// How many have left this host since the connection was made.
    pub(crate) sent_bytes: u64,
    /// How many have not.
    pub(crate) unsent_bytes: u64,
    /// How many segments have left and are not acknowledged.
    pub(crate) unacked_segments: u32,
    /// How often the kernel has asked in vain since the other host was last heard: for what has left
    /// by sending it again, for what has not by asking for room.
    pub(crate) unanswered: u32,
}

impl TcpInfo {
    pub(crate) fn open() -> TcpInfo {
        let opened = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        );
        if opened.is_err() {
            warn!(
                "this system does not tell what a client has taken: a client that stops reading \
                 is noticed only once the kernel's own buffers are full"
            );
        }
        TcpInfo { socket: opened.ok(), asked: AtomicU32::new(0) }
    }

    /// What became of what `stream` took; `None` where the kernel does not tell.
    pub(crate) fn ask(&self, stream: &TcpStream) -> Option<SocketStats> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let request = request(number, stream.local_addr().ok()?, stream.peer_addr().ok()?);
        let socket = self.socket.as_ref()?;
        send(socket, &request, SendFlags::empty()).ok()?;
        let mut answer = [0u8; 2048];
        loop {
            // The kernel answers while it is asked, so there is nothing to wait for.
            let (len, _) = recv(socket, &mut answer, RecvFlags::DONTWAIT).ok()?;
            if u32_at(&answer[..len], NUMBER_AT) == Some(number) {
                return output(&answer[..len]);
            }
        }
    }
}

/// Finds the numbers in an answer.
fn output(answer: &[u8]) -> Option<SocketStats> {
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut attributes = answer.get(ATTRIBUTES_AT..)?;
    loop {
        let len = usize::from(u16_at(attributes, 0)?);
        if u16_at(attributes, 2)? == INET_DIAG_INFO {
            let info = attributes.get(4..len)?;
            let sent = u64_at(info, BYTES_SENT_AT)?.checked_sub(u64_at(info, BYTES_RETRANS_AT)?)?;
            return Some(SocketStats {
                sent_bytes: sent,
                unsent_bytes: u64::from(u32_at(info, NOTSENT_BYTES_AT)?),
                unacked_segments: u32_at(info, UNACKED_AT)?,
                unanswered: u32::from(*info.get(RETRANSMITS_AT)?)
                    + u32::from(*info.get(PROBES_AT)?),
            });
        }
        // Attributes begin at multiples of four bytes.
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Lays out the question for the one socket with these two ends.
fn request(number: u32, local: SocketAddr, peer: SocketAddr) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0u8; REQUEST_BYTES];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, &72u32.to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &REQUEST.to_ne_bytes());
    put(NUMBER_AT, &number.to_ne_bytes());
    put(16, &[if local.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP]);
    put(18, &[WITH_TCP_INFO]);
    put(20, &u32::MAX.to_ne_bytes()); // in any state
    put(24, &local.port().to_be_bytes());
    put(26, &peer.port().to_be_bytes());
    for (at, ip) in [(28, local.ip()), (44, peer.ip())] {
        match ip {
            IpAddr::V4(ip) => put(at, &ip.octets()),
            IpAddr::V6(ip) => put(at, &ip.octets()),
        }
    }
    if let SocketAddr::V6(local) = local {
        put(60, &local.scope_id().to_ne_bytes());
    }
    put(64, &u64::MAX.to_ne_bytes()); // no cookie: the addresses are enough
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;

    fn pair(address: &str) -> Option<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind(address).ok()?;
        let near = TcpStream::connect(listener.local_addr().ok()?).ok()?;
        Some((near, listener.accept().ok()?.0))
    }

    #[test]
    fn what_a_reader_has_not_taken_is_counted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((mut near, mut far)) = pair(address) else {
                eprintln!("{address}: not on this machine, skipped");
                continue;
            };
            let tcp_info = TcpInfo::open();
            assert_eq!(tcp_info.ask(&near), Some(SocketStats::default()), "{address}");
            near.set_nonblocking(true).unwrap();
            let mut taken = 0u64;
            let full = loop {
                match near.write(&[b'x'; 65536]) {
                    Ok(count) => taken += count as u64,
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), ErrorKind::WouldBlock);
            let output = tcp_info.ask(&near).unwrap();
            assert!(output.unsent_bytes > 0 && output.sent_bytes > 0, "{address}: {output:?}");
            assert_eq!(output.sent_bytes + output.unsent_bytes, taken, "{address}: {output:?}");

            let mut rest = vec![0; usize::try_from(taken).unwrap()];
            far.read_exact(&mut rest).unwrap();
            // The last acknowledgement may still be on its way.
            let output = tcp_info.ask(&near).unwrap();
            assert_eq!((output.sent_bytes, output.unsent_bytes), (taken, 0), "{address}");
        }
    }

    #[test]
    fn an_answer_to_an_earlier_question_is_not_taken_for_one() {
        let (mut near, far) = pair("127.0.0.1:0").unwrap();
        let (other, _other_far) = pair("127.0.0.1:0").unwrap();
        let tcp_info = TcpInfo::open();
        near.write_all(b"twelve bytes").unwrap();
        // A question whose answer nobody has taken.
        let question = request(77, other.local_addr().unwrap(), other.peer_addr().unwrap());
        send(tcp_info.socket.as_ref().unwrap(), &question, SendFlags::empty()).unwrap();
        assert_eq!(tcp_info.ask(&near).unwrap().sent_bytes, 12);
        drop(far);
    }

    #[test]
    fn answers_that_are_no_answers_tell_nothing() {
        let mut answer = vec![0u8; ATTRIBUTES_AT + 4 + 216];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        // Attributes without a length, and then none at all.
        assert_eq!(output(&answer), None);
        assert_eq!(output(&answer[..ATTRIBUTES_AT]), None);
        assert_eq!(output(&answer[..3]), None);
        answer[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&220u16.to_ne_bytes());
        answer[ATTRIBUTES_AT + 2..ATTRIBUTES_AT + 4].copy_from_slice(&INET_DIAG_INFO.to_ne_bytes());
        assert_eq!(output(&answer), Some(SocketStats::default()));
        // As an older kernel tells it: without the last fields.
        answer[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&200u16.to_ne_bytes());
        assert_eq!(output(&answer), None);
        // An error.
        answer[4..6].copy_from_slice(&2u16.to_ne_bytes());
        assert_eq!(output(&answer), None);
    }
}
