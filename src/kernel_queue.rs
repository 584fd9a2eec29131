//! How many bytes the kernel still holds of what a socket took: sent and not acknowledged, or not
//! sent yet (what `SIOCOUTQ` tells).
//!
//! There is no safe call for that ioctl; the kernel answers the same question through its socket
//! diagnostics (`sock_diag(7)`), which the `ss` command uses, one socket at a time.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use log::warn;
use parking_lot::Mutex;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// The message that asks for sockets by family and addresses (`linux/sock_diag.h`).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` (`linux/netlink.h`).
const REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// `nlmsghdr`, and `inet_diag_req_v2` behind it (`linux/inet_diag.h`).
const REQUEST_BYTES: usize = 16 + 56;
/// Where `idiag_wqueue` stands in the answer: behind `nlmsghdr` and 56 bytes of `inet_diag_msg`.
const WQUEUE_AT: usize = 16 + 56 + 4;

/// Asks the kernel about sockets.
#[derive(Debug)]
pub(crate) struct KernelQueue {
    /// One question at a time; `None` where the kernel has no socket diagnostics.
    socket: Option<Mutex<OwnedFd>>,
}

impl KernelQueue {
    pub(crate) fn open() -> KernelQueue {
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
        KernelQueue { socket: opened.ok().map(Mutex::new) }
    }

    /// What the kernel holds of what `stream` took, in bytes; `None` where it does not tell.
    pub(crate) fn unsent_bytes(&self, stream: &TcpStream) -> Option<u64> {
        let request = request(stream.local_addr().ok()?, stream.peer_addr().ok()?);
        let socket = self.socket.as_ref()?.lock();
        send(&*socket, &request, SendFlags::empty()).ok()?;
        let mut answer = [0u8; 1024];
        // The kernel answers while it is asked, so there is nothing to wait for.
        let (len, _) = recv(&*socket, &mut answer, RecvFlags::DONTWAIT).ok()?;
        let answer = &answer[..len];
        let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
        if kind != SOCK_DIAG_BY_FAMILY {
            return None;
        }
        let wqueue = answer.get(WQUEUE_AT..WQUEUE_AT + 4)?;
        Some(u64::from(u32::from_ne_bytes(wqueue.try_into().ok()?)))
    }
}

/// Lays out the question for the one socket with these two ends.
fn request(local: SocketAddr, peer: SocketAddr) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0u8; REQUEST_BYTES];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, &72u32.to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &REQUEST.to_ne_bytes());
    put(16, &[if local.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP]);
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
            let queue = KernelQueue::open();
            assert_eq!(queue.unsent_bytes(&near), Some(0), "{address}");
            near.set_nonblocking(true).unwrap();
            let mut sent = 0u64;
            let full = loop {
                match near.write(&[b'x'; 65536]) {
                    Ok(count) => sent += count as u64,
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), ErrorKind::WouldBlock);
            let unsent = queue.unsent_bytes(&near).unwrap();
            assert!(unsent > 0 && unsent <= sent, "{address}: {unsent} of {sent}");

            let mut rest = vec![0; usize::try_from(sent).unwrap()];
            far.read_exact(&mut rest).unwrap();
            // All of it was read, so all of it is acknowledged, at the latest with the next byte.
            near.set_nonblocking(false).unwrap();
            far.write_all(b"!").unwrap();
            near.read_exact(&mut [0]).unwrap();
            assert_eq!(queue.unsent_bytes(&near), Some(0), "{address}");
        }
    }
}
