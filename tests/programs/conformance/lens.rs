//! The built server, seen through a lens: a proxy that changes one thing of what goes through it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use multichat::conformance::message::{Message, Parsed};

use crate::common::DEADLINE;

/// How long a relay that is held back waits for the next one.
const HELD: Duration = Duration::from_millis(60);

/// What a lens makes of one piece that a client sends.
pub(crate) type Sent = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// What a lens makes of one server message, told what the client sent last; `false` drops it.
pub(crate) type Got = Box<dyn Fn(&mut Message, &str) -> bool + Send + Sync>;

/// The one thing that is changed.
pub(crate) enum Change {
    Sent(Sent),
    Got(Got),
    /// Header lines end like this.
    Ending(&'static str),
    /// Such server messages come twice.
    Twice(fn(&Message) -> bool),
    /// A client that sends this is reset.
    Resets(&'static str),
    /// The server hears of a client when that has said something.
    ConnectsLate,
    /// The server does not hear that a client has closed.
    LeavesLate,
    /// The end of input is the end of output.
    EndsWithInput,
    /// Relays come behind responses.
    RelaysLate,
    /// Relays from different senders change places, for every other client.
    Swaps,
}

/// One connection through the lens.
struct Ray {
    change: Arc<Change>,
    client: TcpStream,
    server: TcpStream,
    /// What the client sent last.
    sent: Mutex<String>,
    is_even: bool,
}

/// Starts a proxy in front of `server`. It goes on until the tests end.
pub(crate) fn put(change: Change, server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let change = Arc::new(change);
    thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let change = Arc::clone(&change);
            thread::spawn(move || pass(change, client, server, number % 2 == 0));
        }
    });
    address
}

fn pass(change: Arc<Change>, client: TcpStream, server: SocketAddr, is_even: bool) {
    if matches!(*change, Change::ConnectsLate) {
        let _ = client.peek(&mut [0]);
    }
    let Ok(server) = TcpStream::connect_timeout(&server, DEADLINE) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ray = Arc::new(Ray { change, client, server, sent: Mutex::default(), is_even });
    let down = Arc::clone(&ray);
    thread::spawn(move || down.pass_down());
    ray.pass_up();
}

impl Ray {
    /// From the client to the server.
    fn pass_up(&self) {
        let mut piece = vec![0; 256 * 1024];
        loop {
            match (&self.client).read(&mut piece) {
                Ok(0) => break,
                Ok(len) => {
                    if !self.sends(&piece[..len]) {
                        return;
                    }
                }
                // A reset is passed on as one.
                Err(_) => {
                    let _ = rustix::net::connect_unspec(&self.server);
                    return;
                }
            }
        }
        match *self.change {
            Change::LeavesLate => thread::sleep(DEADLINE),
            Change::EndsWithInput => {
                let _ = self.client.shutdown(Shutdown::Both);
            }
            _ => {}
        }
        let _ = self.server.shutdown(Shutdown::Write);
    }

    fn sends(&self, piece: &[u8]) -> bool {
        let text = String::from_utf8_lossy(piece);
        *self.sent.lock().expect("no panic") = text.to_string();
        match &*self.change {
            Change::Resets(what) if text.contains(what) => {
                let _ = rustix::net::connect_unspec(&self.client);
                false
            }
            Change::Sent(change) => (&self.server).write_all(&change(piece)).is_ok(),
            _ => (&self.server).write_all(piece).is_ok(),
        }
    }

    /// From the server to the client.
    fn pass_down(&self) {
        let mut buffer = Vec::new();
        let mut held: Vec<Message> = Vec::new();
        let mut piece = vec![0; 256 * 1024];
        let _ = self.server.set_read_timeout(Some(HELD));
        loop {
            match (&self.server).read(&mut piece) {
                Ok(0) => break,
                Ok(len) => buffer.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    held.drain(..).for_each(|message| self.write(&message));
                }
                Err(_) => break,
            }
            while let Parsed::Whole(message, used) = Message::parse(&buffer, false) {
                buffer.drain(..used);
                self.gets(message, &mut held);
            }
        }
        held.drain(..).for_each(|message| self.write(&message));
        // What is no message, an HTTP response say, passes as it is.
        let _ = (&self.client).write_all(&buffer);
        let _ = self.client.shutdown(Shutdown::Write);
    }

    fn gets(&self, mut message: Message, held: &mut Vec<Message>) {
        let is_text = !message.is_response() && !message.is_file_relay();
        match &*self.change {
            Change::Got(change) => {
                let sent = self.sent.lock().expect("no panic").clone();
                if !change(&mut message, &sent) {
                    return;
                }
            }
            // Slow enough for the end of input to come first.
            Change::EndsWithInput => thread::sleep(Duration::from_millis(3)),
            Change::Twice(is_it) if is_it(&message) => self.write(&message),
            Change::RelaysLate if is_text => {
                held.drain(..).for_each(|message| self.write(&message));
                held.push(message);
                return;
            }
            Change::Swaps if is_text && self.is_even => {
                match held.pop() {
                    None => held.push(message),
                    Some(first) if first.field("From") == message.field("From") => {
                        self.write(&first);
                        held.push(message);
                    }
                    Some(first) => {
                        self.write(&message);
                        self.write(&first);
                    }
                }
                return;
            }
            _ => {}
        }
        self.write(&message);
    }

    fn write(&self, message: &Message) {
        let ending = match *self.change {
            Change::Ending(ending) => ending,
            _ => "\r\n",
        };
        let line = |(name, value): &(String, String)| format!("{name} {value}{ending}");
        let header = message.fields.iter().map(line).collect::<String>() + "\r\n";
        let _ = (&self.client).write_all(&[header.as_bytes(), &message.body].concat());
    }
}

/// Replaces what a client sends.
pub(crate) fn sent(from: &'static str, to: &'static str) -> Change {
    sent_bytes(from.as_bytes(), to.as_bytes())
}

/// Replaces bytes that a client sends.
pub(crate) fn sent_bytes(from: &'static [u8], to: &'static [u8]) -> Change {
    Change::Sent(Box::new(move |piece| {
        match piece.windows(from.len()).position(|window| window == from) {
            Some(at) => [&piece[..at], to, &piece[at + from.len()..]].concat(),
            None => piece.to_vec(),
        }
    }))
}

/// Changes what a client sends.
pub(crate) fn sends(change: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Change {
    Change::Sent(Box::new(move |piece| {
        let text = String::from_utf8_lossy(piece);
        change(&text).map_or_else(|| piece.to_vec(), String::into_bytes)
    }))
}

/// Changes server messages.
pub(crate) fn got(change: impl Fn(&mut Message, &str) + Send + Sync + 'static) -> Change {
    Change::Got(Box::new(move |message, sent| {
        change(message, sent);
        true
    }))
}

/// Replaces words in the reasons of errors.
pub(crate) fn says(from: &'static str, to: &'static str) -> Change {
    got(move |message, _| {
        if message.is_response() && !message.is_ok() {
            let reason = message.text().replace(from, to);
            set_body(message, &reason);
        }
    })
}

/// Gives a message another body, and its length.
pub(crate) fn set_body(message: &mut Message, body: &str) {
    message.body = body.as_bytes().to_vec();
    set(message, "Content-Length", &body.len().to_string());
}

/// Gives a field another value.
pub(crate) fn set(message: &mut Message, name: &str, value: &str) {
    let field = message.fields.iter_mut().find(|(field, _)| field == name);
    if let Some((_, old)) = field {
        value.clone_into(old);
    }
}
