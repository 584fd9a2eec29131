//! The floor: a bare loop that writes the bytes that a member has sent to all the others, one
//! system call each, and knows nothing else. What the kernel asks for that is what any server pays.
//!
//! It runs as a child process of the benchmark, driven as all others are. A frame has a fixed
//! length, that of multichatd's relay of the same text, and its first byte says who gets it.

use std::env;
use std::io::{Read as _, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use multichat::ids::Uid;
use multichat::wire::{Content, Relay};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use super::dialect::{Cursor, Dialect, Frame, Read, Stop, finish};
use super::subject::{Running, Subject};
use super::{Outcome, text};

/// What all others are compared with.
pub(crate) const FLOOR: Subject = Subject {
    name: "floor",
    is_peer: false,
    start,
    dialect: || Box::new(Bare { frame_len: frame_len() }),
};

/// The argument by which the benchmark's own program becomes the floor.
pub(crate) const ARGUMENT: &str = "--floor";

const TO_OTHERS: u8 = b'o';
const TO_PARTNER: u8 = b'p';
const TO_ITSELF: u8 = b'i';

fn start(_: usize) -> Outcome<Running> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(ARGUMENT);
    Running::announced(command)
}

/// The length of multichatd's relay of a text, from a client with a UID of two digits.
fn frame_len() -> usize {
    let text = [b'x'; text::LEN];
    let content = Content::Text(&text);
    let mut relay = Vec::new();
    Relay { to: None, from: Uid(10), nickname: None, content }.encode(&mut relay);
    relay.len()
}

/// One connection, and what has come of its next frame.
struct Peer {
    stream: TcpStream,
    part: Vec<u8>,
}

/// Serves until it is killed.
pub(crate) fn run() -> Outcome<()> {
    multichat::limits::raise_open_files();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(1024)?;
    let listener = TcpListener::from(socket);
    println!("listening on {}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let listening = u64::MAX;
    epoll::add(&epoll, &listener, EventData::new_u64(listening), EventFlags::IN)?;
    let mut peers: Vec<Peer> = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let frame_len = frame_len();
    let mut events = [MaybeUninit::uninit(); 256];
    loop {
        for event in epoll::wait(&epoll, &mut events, None)?.0 {
            if event.data.u64() == listening {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let index = EventData::new_u64(peers.len() as u64);
                epoll::add(&epoll, &stream, index, EventFlags::IN)?;
                peers.push(Peer { stream, part: Vec::new() });
                continue;
            }
            let index = usize::try_from(event.data.u64())?;
            let count = peers[index].stream.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                epoll::delete(&epoll, &peers[index].stream)?;
                continue;
            }
            let mut part = std::mem::take(&mut peers[index].part);
            let mut bytes = &buffer[..count];
            if !part.is_empty() {
                part.extend_from_slice(bytes);
                bytes = &part;
            }
            let frames = bytes.chunks_exact(frame_len);
            let rest = frames.remainder().to_vec();
            for frame in frames {
                forward(&peers, index, frame)?;
            }
            peers[index].part = rest;
        }
    }
}

/// Writes a frame to its receivers. The sockets are waited for: the generator always reads.
fn forward(peers: &[Peer], index: usize, frame: &[u8]) -> Outcome<()> {
    match frame[0] {
        TO_PARTNER => (&peers[index ^ 1].stream).write_all(frame)?,
        TO_ITSELF => (&peers[index].stream).write_all(frame)?,
        _ => {
            for (other, peer) in peers.iter().enumerate() {
                if other != index {
                    (&peer.stream).write_all(frame)?;
                }
            }
        }
    }
    Ok(())
}

/// How the generator talks to the floor.
struct Bare {
    frame_len: usize,
}

impl Bare {
    fn frame(&self, kind: u8, sender: usize, number: u32, out: &mut Vec<u8>) {
        let header_len = self.frame_len - text::LEN;
        out.resize(out.len() + header_len, kind);
        text::write(sender, number, out);
    }
}

impl Dialect for Bare {
    fn barrier(&mut self, member: usize, out: &mut Vec<u8>) {
        self.frame(TO_ITSELF, member, 0, out);
    }

    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>) {
        self.frame(TO_OTHERS, sender, number, out);
    }

    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>) {
        assert_eq!(receiver, sender ^ 1, "it knows partners alone");
        self.frame(TO_PARTNER, sender, number, out);
    }

    fn read<'a>(&mut self, _: usize, bytes: &'a [u8]) -> Read<'a> {
        let mut cursor = Cursor::new(bytes);
        let read = cursor.take(self.frame_len).and_then(|frame| {
            let (header, text) = frame.split_at(self.frame_len - text::LEN);
            let kind = header[0];
            if header.iter().any(|&byte| byte != kind) {
                return Err(Stop::Unexpected);
            }
            Ok((if kind == TO_ITSELF { Frame::Ready } else { Frame::Text(text) }, self.frame_len))
        });
        finish(bytes, read)
    }
}
