//! Raw members and those of an independent WebSocket client in one room: one order for all.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;

use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Bytes, Message};

use super::Web;
use crate::common::{LONG_DEADLINE, Peer, Server, ServerMessage, chat};

/// How many say so many things.
const TALKERS: usize = 4;
const TEXTS: usize = 400;
/// How many raw members listen, and how many on WebSockets.
const LISTENERS: usize = 6;

/// A member whose frames another implementation makes and reads.
fn join(server: &Server) -> WebSocket<TcpStream> {
    let web = Web::open(server);
    web.stream.set_read_timeout(Some(LONG_DEADLINE)).expect("set a read timeout");
    WebSocket::from_partially_read(web.stream, web.got, Role::Client, None)
}

/// Reads relays until `count` have come.
fn read_relays(socket: &mut WebSocket<TcpStream>, count: usize) -> Vec<String> {
    let (mut data, mut texts) = (Vec::new(), Vec::new());
    while texts.len() < count {
        match socket.read().expect("a frame") {
            Message::Binary(bytes) => data.extend_from_slice(&bytes),
            other => panic!("unexpected: {other:?}"),
        }
        while let Some((message, len)) = ServerMessage::parse(&data).expect("a message") {
            data.drain(..len);
            if !message.is_response() {
                texts.push(message.text().to_owned());
            }
        }
    }
    assert!(data.is_empty());
    texts
}

fn read_raw(peer: &mut Peer, count: usize) -> Vec<String> {
    peer.deadline = LONG_DEADLINE;
    (0..count).map(|_| peer.relay().text().to_owned()).collect()
}

#[test]
fn raw_members_and_an_independent_client_hear_all_in_one_order_under_flood() {
    // P4: every client sees the public messages in the same order.
    let server = Server::start();
    let mut raw: Vec<_> = (0..LISTENERS).map(|_| server.join()).collect();
    let mut framed: Vec<_> = (0..LISTENERS).map(|_| join(&server)).collect();
    let mut talkers: Vec<_> = (0..TALKERS / 2).map(|_| server.join()).collect();
    let mut framed_talkers: Vec<_> = (0..TALKERS / 2).map(|_| join(&server)).collect();
    let text = |name: &str, nth: usize| format!("{name} {nth} {}", "x".repeat(nth % 300));
    let count = TALKERS * TEXTS;
    let heard: Vec<Vec<String>> = thread::scope(|scope| {
        let mut listening = Vec::new();
        for peer in &mut raw {
            listening.push(scope.spawn(move || read_raw(peer, count)));
        }
        for socket in &mut framed {
            listening.push(scope.spawn(move || read_relays(socket, count)));
        }
        for (nth, peer) in talkers.iter_mut().enumerate() {
            scope.spawn(move || {
                let all: Vec<u8> = (0..TEXTS)
                    .flat_map(|id| chat(id as u64, text(&format!("raw {nth}"), id)))
                    .collect();
                peer.deadline = LONG_DEADLINE;
                peer.send_while_reading(&all, TEXTS + (TALKERS - 1) * TEXTS);
            });
        }
        for (nth, socket) in framed_talkers.iter_mut().enumerate() {
            scope.spawn(move || {
                for id in 0..TEXTS {
                    let message = chat(id as u64, text(&format!("framed {nth}"), id));
                    socket.send(Message::Binary(Bytes::from(message))).expect("send");
                }
                assert_eq!(read_relays(socket, (TALKERS - 1) * TEXTS).len(), 3 * TEXTS);
            });
        }
        listening.into_iter().map(|one| one.join().expect("a listener ends")).collect()
    });
    for other in &heard[1..] {
        assert!(other == &heard[0], "another order");
    }
    for name in ["raw 0", "raw 1", "framed 0", "framed 1"] {
        let own: Vec<_> = heard[0].iter().filter(|it| it.starts_with(name)).cloned().collect();
        let said: Vec<_> = (0..TEXTS).map(|id| text(name, id)).collect();
        assert!(own == said, "{name}");
    }
    for mut socket in framed {
        socket.close(None).expect("send a Close");
        loop {
            match socket.read() {
                Ok(_) => {}
                Err(tungstenite::Error::ConnectionClosed) => break,
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("the server does not close")
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
