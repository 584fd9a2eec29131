//! Listening: addresses, and the options that every connection inherits.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Socket, TcpKeepalive, Type};

use super::{Config, PORT, StartError};
use crate::delivery::stall;
use crate::session::SILENCE_LIMIT;

/// How many connections may wait to be accepted: a class that connects at once waits for no
/// repeated SYN.
const BACKLOG: i32 = 1024;

/// How long a silent connection is trusted before it is probed, how often, and how many probes may
/// remain unanswered: a host that has vanished is found within two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 5;

/// How much unsent data the kernel may hold for one client, in bytes. It bounds what a client that
/// does not read costs (4 MB otherwise), and is enough for full speed.
const UNSENT_LIMIT: u32 = 128 * 1024;

pub(super) fn listen(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let everywhere = [SocketAddr::from(([0u16; 8], PORT))];
    let addresses: &[SocketAddr] =
        if config.listen.is_empty() { &everywhere } else { &config.listen };
    let mut listeners = Vec::new();
    for &address in addresses {
        let listener = listen_on(address, config.stall_timeout)
            .map_err(|error| StartError { tried: format!("cannot listen on {address}"), error })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Listens on one address; on `[::]` for IPv4 as well, and there for IPv4 alone where the system
/// has no IPv6.
fn listen_on(address: SocketAddr, stall_timeout: Duration) -> io::Result<TcpListener> {
    let bind = |address: SocketAddr| -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.ip() == IpAddr::from([0u16; 8]) {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        // What is set here is inherited by every connection that is accepted.
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_LIMIT))?;
        socket.set_write_timeout(Some(stall::tick(stall_timeout)))?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(user_timeout(stall_timeout))?;
        socket.set_tcp_notsent_lowat(UNSENT_LIMIT)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    match bind(address) {
        Err(error)
            if address.ip() == IpAddr::from([0u16; 8])
                && [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
                    .iter()
                    .any(|no_ipv6| error.raw_os_error() == Some(no_ipv6.raw_os_error())) =>
        {
            bind(SocketAddr::from(([0u8; 4], address.port())))
        }
        result => result,
    }
}

/// How long the kernel lets what was sent remain unacknowledged: keepalive is silent meanwhile.
///
/// None where a client may take nothing for as long: the kernel would end the connection of a host
/// that does answer, but has no room, and then [`stall`] alone tells one from the other.
fn user_timeout(stall_timeout: Duration) -> Option<Duration> {
    (stall_timeout <= stall::SILENT_HOST_LIMIT / 2).then_some(stall::SILENT_HOST_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::net::TcpStream;

    #[test]
    fn every_connection_inherits_what_was_set_on_its_listener() {
        let stall_timeout = Duration::from_secs(4);
        let listener = listen_on(([127, 0, 0, 1], 0).into(), stall_timeout).unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        let probes = KEEPALIVE_INTERVAL * KEEPALIVE_PROBES;
        assert!(socket.tcp_keepalive_time().unwrap() + probes < Duration::from_secs(120));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(110)));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_LIMIT);
        assert_eq!(socket.read_timeout().unwrap(), Some(SILENCE_LIMIT));
        // The kernel counts it in ticks of its own.
        let write_timeout = socket.write_timeout().unwrap().unwrap();
        assert!(write_timeout >= stall::tick(stall_timeout), "{write_timeout:?}");
        assert!(write_timeout < stall::tick(stall_timeout) * 2, "{write_timeout:?}");
    }
    #[test]
    fn the_kernel_ends_no_connection_before_the_stall_timeout() {
        for (stall_timeout, expected) in [(10, Some(110)), (55, Some(110)), (56, None), (300, None)]
        {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(user_timeout(Duration::from_secs(stall_timeout)), expected);
        }
        let listener = listen_on(([127, 0, 0, 1], 0).into(), Duration::from_secs(300)).unwrap();
        assert_eq!(SockRef::from(&listener).tcp_user_timeout().unwrap(), None);
    }
}
