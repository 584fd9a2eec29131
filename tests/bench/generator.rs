//! The load generator: one thread that has all the members' sockets, and never waits for one.

use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::dialect::{Dialect, Frame};
use super::subject::{Running, Subject};
use super::{Outcome, fail};

/// A case in which nothing comes for that long has failed.
pub(crate) const STALL: Duration = Duration::from_secs(20);

/// The most that is read from a socket at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// All members of a room, and the protocol that they speak.
pub(crate) struct Generator {
    epoll: OwnedFd,
    dialect: Box<dyn Dialect>,
    members: Vec<Member>,
    buffer: Vec<u8>,
    /// Who has something to be written that was not tried yet.
    unwritten: Vec<usize>,
    /// Who was left out of the count of barriers: nobody, once all have answered.
    ready: usize,
}

struct Member {
    stream: TcpStream,
    /// What has come of its next frame.
    part: Vec<u8>,
    output: Vec<u8>,
    /// Whether the socket is full, and is waited for.
    is_full: bool,
}

impl Generator {
    /// Nobody yet.
    pub(crate) fn new(subject: &Subject) -> Outcome<Generator> {
        Ok(Generator {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            dialect: (subject.dialect)(),
            members: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            unwritten: Vec::new(),
            ready: 0,
        })
    }

    /// A room of `count` members, all of which have been answered.
    pub(crate) fn with_members(
        subject: &Subject,
        running: &Running,
        count: usize,
    ) -> Outcome<Generator> {
        let mut generator = Generator::new(subject)?;
        let at_once = generator.dialect.at_once();
        while generator.members.len() < count {
            let more = (count - generator.members.len()).min(at_once);
            generator.join(running.address, more)?;
        }
        Ok(generator)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    /// Connects `count` members at once, and waits until each was answered.
    pub(crate) fn join(&mut self, address: SocketAddr, count: usize) -> Outcome<()> {
        self.ready = 0;
        for _ in 0..count {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            match socket.connect(&address.into()) {
                Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                    return Err(error.into());
                }
                _ => {}
            }
            let index = self.members.len();
            let stream = TcpStream::from(socket);
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &stream, data, EventFlags::IN)?;
            let (part, output) = (Vec::new(), Vec::new());
            self.members.push(Member { stream, part, output, is_full: false });
            self.send(index, |dialect, out| dialect.hello(index, out));
        }
        self.wait_until_ready(count)
    }

    /// Waits until all that was sent to anybody has come, with nothing in between: whatever is
    /// behind the last text would be one too many.
    pub(crate) fn settle(&mut self) -> Outcome<()> {
        self.ready = 0;
        for index in 0..self.members.len() {
            self.send(index, |dialect, out| dialect.barrier(index, out));
        }
        self.wait_until_ready(self.members.len())
    }

    fn wait_until_ready(&mut self, count: usize) -> Outcome<()> {
        while self.ready < count {
            let nothing = |member, frame: Frame<'_>| match frame {
                Frame::Text(text) => fail(format!(
                    "member {member} gets a text that is not under way: {}",
                    text.escape_ascii()
                )),
                _ => Ok(()),
            };
            if !self.poll(STALL, nothing)? {
                return fail(format!("{} of {count} members are not answered", count - self.ready));
            }
        }
        Ok(())
    }

    /// Has a member send what `encode` appends, with the next [`Generator::poll`].
    pub(crate) fn send(
        &mut self,
        member: usize,
        encode: impl FnOnce(&mut dyn Dialect, &mut Vec<u8>),
    ) {
        let output = &mut self.members[member].output;
        if output.is_empty() {
            self.unwritten.push(member);
        }
        encode(&mut *self.dialect, output);
    }

    /// Writes what is to be sent, waits for what comes, and gives each frame to `on_frame`.
    ///
    /// Returns whether anything has come, or could be written, within `patience`.
    pub(crate) fn poll(
        &mut self,
        patience: Duration,
        mut on_frame: impl FnMut(usize, Frame<'_>) -> Outcome<()>,
    ) -> Outcome<bool> {
        for member in std::mem::take(&mut self.unwritten) {
            self.write(member)?;
        }
        let mut events = [MaybeUninit::uninit(); 256];
        let patience = Timespec::try_from(patience)?;
        let events = match epoll::wait(&self.epoll, &mut events, Some(&patience)) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        for event in &*events {
            let member = usize::try_from(event.data.u64())?;
            let flags = event.flags;
            if flags.intersects(EventFlags::OUT) {
                self.write(member)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.read(member, &mut on_frame)?;
            }
        }
        Ok(!events.is_empty())
    }

    fn write(&mut self, index: usize) -> Outcome<()> {
        let member = &mut self.members[index];
        let written = match (&member.stream).write(&member.output) {
            Ok(count) => count,
            // A connection that is being made is a socket that takes nothing yet.
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == ErrorKind::NotConnected => 0,
            Err(error) => return fail(format!("member {index} cannot send: {error}")),
        };
        member.output.drain(..written);
        let is_full = !member.output.is_empty();
        if is_full != member.is_full {
            member.is_full = is_full;
            let out = if is_full { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, &member.stream, data, EventFlags::IN | out)?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        index: usize,
        on_frame: &mut impl FnMut(usize, Frame<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        let member = &mut self.members[index];
        let count = match (&member.stream).read(&mut self.buffer) {
            Ok(0) => return fail(format!("member {index} is disconnected")),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return fail(format!("member {index} cannot read: {error}")),
        };
        let mut part = std::mem::take(&mut member.part);
        let mut bytes = &self.buffer[..count];
        if !part.is_empty() {
            part.extend_from_slice(bytes);
            bytes = &part;
        }
        let mut replies: Vec<&'static [u8]> = Vec::new();
        while let Some((frame, len)) =
            self.dialect.read(index, bytes).map_err(|error| format!("member {index}: {error}"))?
        {
            bytes = &bytes[len..];
            match frame {
                Frame::Ready => self.ready += 1,
                Frame::Reply(reply) => replies.push(reply),
                _ => on_frame(index, frame)?,
            }
        }
        member.part = bytes.to_vec();
        for reply in replies {
            self.send(index, |_, out| out.extend_from_slice(reply));
        }
        Ok(())
    }
}
