//! A browser at the same address, as bytes: one HTTP request, the WebSocket, and the hold of a silent
//! newcomer's output. What a browser makes of it is tested elsewhere.

mod attacks;
mod full;
mod hold;
mod invitation;
mod request;
mod room;
mod socket;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::{DEADLINE, Server, ServerMessage, show};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A connection that may become a WebSocket.
struct Web {
    stream: TcpStream,
    got: Vec<u8>,
    /// What has come in binary frames.
    data: Vec<u8>,
    deadline: Duration,
    relays: VecDeque<ServerMessage>,
}

/// An answer of HTTP.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer of HTTP: {}", show(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in ASCII");
        let status = head.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("no status: {head}"));
        Answer {
            status: status[..3].parse().expect("a number"),
            body: bytes[end + 4..].to_vec(),
            head,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        assert!(
            lines.all(|(key, _)| !key.eq_ignore_ascii_case(name)),
            "{name} twice: {}",
            self.head
        );
        Some(found.1)
    }

    #[track_caller]
    fn page(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

impl Web {
    fn connect(address: SocketAddr) -> Web {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("connect to the server");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        stream.set_write_timeout(Some(6 * DEADLINE)).expect("set a write timeout");
        Web {
            stream,
            got: Vec::new(),
            data: Vec::new(),
            deadline: DEADLINE,
            relays: VecDeque::new(),
        }
    }

    /// A member on a WebSocket.
    #[track_caller]
    fn open(server: &Server) -> Web {
        let mut web = Web::connect(server.address);
        web.upgrade();
        web
    }

    #[track_caller]
    fn upgrade(&mut self) {
        self.send(upgrade(&self.host()));
        let answer = self.read_head();
        assert_eq!(answer.status, 101, "{}", answer.head);
        assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some("mcmp"), "{}", answer.head);
    }

    fn host(&self) -> String {
        self.stream.peer_addr().expect("a connection").to_string()
    }

    #[track_caller]
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send to the server");
    }

    fn end_input(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down the sending side");
    }

    /// Sends one frame.
    #[track_caller]
    fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.send(frame(first, payload.as_ref()));
    }

    /// Sends MCMP in one binary frame.
    #[track_caller]
    fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.frame(BINARY, bytes);
    }

    /// Reads more; `false` at the orderly end.
    #[track_caller]
    fn fill(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).expect("set a read timeout");
        let mut chunk = [0; 32 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(len) => {
                self.got.extend_from_slice(&chunk[..len]);
                len > 0
            }
            Err(error) => panic!("{error}; there had come {}", show(&self.got)),
        }
    }

    #[track_caller]
    fn read_to_end(&mut self) -> Vec<u8> {
        let until = Instant::now() + self.deadline;
        while self.fill(until) {}
        std::mem::take(&mut self.got)
    }

    /// Reads an answer that ends with the connection.
    #[track_caller]
    fn answer(&mut self) -> Answer {
        Answer::parse(&self.read_to_end())
    }

    /// Reads the head of an answer alone.
    #[track_caller]
    fn read_head(&mut self) -> Answer {
        let until = Instant::now() + self.deadline;
        loop {
            if let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.got.split_off(end + 4);
                return Answer::parse(&std::mem::replace(&mut self.got, rest));
            }
            assert!(self.fill(until), "the connection ended inside {}", show(&self.got));
        }
    }

    /// Reads a frame: its first byte and its payload.
    #[track_caller]
    fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let until = Instant::now() + self.deadline;
        loop {
            if let Some((first, payload, len)) = parse_frame(&self.got) {
                let payload = payload.to_vec();
                self.got.drain(..len);
                return (first, payload);
            }
            assert!(self.fill(until), "the connection ended inside {}", show(&self.got));
        }
    }

    /// Reads the next message, out of as many binary frames as it takes.
    #[track_caller]
    fn read_message(&mut self) -> ServerMessage {
        loop {
            match ServerMessage::parse(&self.data) {
                Ok(Some((message, len))) => {
                    self.data.drain(..len);
                    return message;
                }
                Ok(None) => {}
                Err(wrong) => panic!("{wrong}, in {}", show(&self.data)),
            }
            let (first, payload) = self.read_frame();
            assert_eq!(first, BINARY, "{}", show(&payload));
            self.data.extend(payload);
        }
    }

    #[track_caller]
    fn response(&mut self) -> ServerMessage {
        loop {
            let message = self.read_message();
            if message.is_response() {
                return message;
            }
            self.relays.push_back(message);
        }
    }

    #[track_caller]
    fn relay(&mut self) -> ServerMessage {
        let relay = self.relays.pop_front().unwrap_or_else(|| self.read_message());
        assert!(!relay.is_response(), "expected a relay, there came {relay:?}");
        relay
    }

    #[track_caller]
    fn query(&mut self, body: &str) -> ServerMessage {
        let len = body.len();
        self.say(format!("Message-Type query\nMessage-ID 7\nContent-Length {len}\n\n{body}"));
        self.response().ok()
    }

    #[track_caller]
    fn uid(&mut self) -> u64 {
        self.query("self").text().trim().parse().expect("a UID")
    }

    /// Reads a Close with this code, and then the end of the connection.
    #[track_caller]
    fn expect_close(&mut self, code: u16) {
        let (first, payload) = self.read_frame();
        assert_eq!((first, &payload[..]), (CLOSE, &code.to_be_bytes()[..]));
        assert_eq!(show(&self.read_to_end()), "\"\"");
    }

    /// Whether the server has reset or closed the connection, without a byte.
    fn is_closed_without_a_byte(&mut self) -> bool {
        self.stream.set_read_timeout(Some(self.deadline)).expect("set a read timeout");
        match self.stream.read(&mut [0; 1]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// A frame as a client sends it, with the length in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A frame of the server, if it is whole: its first byte, its payload, and its length.
fn parse_frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (first, length) = (*bytes.first()?, *bytes.get(1)?);
    let (start, len) = match length {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        len => {
            assert!(len < 126, "a masked frame from the server");
            (2, usize::from(len))
        }
    };
    Some((first, bytes.get(start..start + len)?, start + len))
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn upgrade(host: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: mcmp\r\nOrigin: http://{host}\r\n\r\n"
    )
}

/// Sends a request on a connection of its own, and reads the answer to the end of the connection.
#[track_caller]
fn request(server: &Server, bytes: impl AsRef<[u8]>) -> Answer {
    let mut web = Web::connect(server.address);
    web.send(bytes);
    web.answer()
}

#[track_caller]
fn get(server: &Server, path: &str) -> Answer {
    request(server, format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address))
}

/// Waits for a moment that others need: nothing tells that bytes sent apart are read apart.
fn pause(length: Duration) {
    crossbeam_channel::after(length).recv().expect("a timer goes off");
}
