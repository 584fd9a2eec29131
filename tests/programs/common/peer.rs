//! A client made of a socket and a buffer: it sends any bytes, and reads with a deadline.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{DEADLINE, ServerMessage, message, show};

/// One connection to a server.
pub(crate) struct Peer {
    stream: TcpStream,
    /// Zero until the server was asked for it.
    pub(crate) uid: u64,
    /// How long one read may take.
    pub(crate) deadline: Duration,
    /// What was read from the socket; up to `taken` it has been looked at.
    got: Vec<u8>,
    taken: usize,
    /// Relays that came while a response was waited for.
    relays: VecDeque<ServerMessage>,
    last_message_id: u64,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, DEADLINE).expect("connect to the server"))
    }

    /// A peer whose kernel takes only a few kB for it, so that the server notices when it does not
    /// read.
    pub(crate) fn connect_with_small_buffer(address: SocketAddr) -> Self {
        Self::connect_with_buffer(address, 16 * 1024)
    }

    /// A peer whose kernel takes about so many bytes for it.
    pub(crate) fn connect_with_buffer(address: SocketAddr, bytes: usize) -> Self {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(bytes).expect("set SO_RCVBUF");
        socket.connect_timeout(&address.into(), DEADLINE).expect("connect to the server");
        Self::over(socket.into())
    }

    /// A peer that connects from `host`, an address of this machine.
    pub(crate) fn connect_from(host: &str, address: SocketAddr) -> Self {
        let source = SocketAddr::new(host.parse().expect("an IP address"), 0);
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&source.into()).expect("bind to the source address");
        socket.connect_timeout(&address.into(), DEADLINE).expect("connect to the server");
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        stream.set_write_timeout(Some(6 * DEADLINE)).expect("set a write timeout");
        Self {
            stream,
            uid: 0,
            deadline: DEADLINE,
            got: Vec::new(),
            taken: 0,
            relays: VecDeque::new(),
            last_message_id: 0,
        }
    }

    // Writing

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send to the server");
    }

    /// Sends as much as the server takes; `false` if it has closed the connection before the end.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.stream.write_all(bytes.as_ref()) {
            Ok(()) => true,
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
            {
                false
            }
            Err(error) => panic!("the server neither reads nor closes: {error}"),
        }
    }

    /// Another handle on the connection, to write from a second thread.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("duplicate the socket")
    }

    /// Closes the sending side, as `printf … | nc` does at its end of input.
    pub(crate) fn end_input(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down the sending side");
    }

    /// Closes the connection with a reset.
    ///
    /// By disconnecting, not by a close without lingering: while another test starts a server, the
    /// child has a copy of the descriptor for a moment, and a close would wait for its end.
    pub(crate) fn reset(self) {
        rustix::net::connect_unspec(&self.stream).expect("reset the connection");
    }

    // Reading

    /// Reads what the socket has, waiting for it; `Ok(false)` at the end of input.
    #[track_caller]
    fn fill(&mut self, until: Instant, expected: &dyn Fn() -> String) -> std::io::Result<bool> {
        self.got.drain(..self.taken);
        self.taken = 0;
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).expect("set a read timeout");
        let mut chunk = [0; 32 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(len) => {
                self.got.extend_from_slice(&chunk[..len]);
                Ok(len > 0)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.fail(expected, &format!("nothing more came in {:?}", self.deadline))
            }
            Err(error) => Err(error),
        }
    }

    #[track_caller]
    fn fail(&self, expected: &dyn Fn() -> String, why: &str) -> ! {
        panic!(
            "client {}: {why}\n expected: {}\n had come: {}",
            self.uid,
            expected(),
            show(&self.got[self.taken..])
        )
    }

    /// Reads what must come; the end of the connection is a failure.
    #[track_caller]
    fn fill_more(&mut self, until: Instant, expected: &dyn Fn() -> String) {
        match self.fill(until, expected) {
            Ok(true) => {}
            Ok(false) => self.fail(expected, "the server closed the connection"),
            Err(error) => self.fail(expected, &format!("the connection broke: {error}")),
        }
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        assert!(self.relays.is_empty(), "relays came before: {:?}", self.relays);
        let expected = || show(bytes);
        let until = Instant::now() + self.deadline;
        loop {
            let got = &self.got[self.taken..];
            let common = got.len().min(bytes.len());
            if got[..common] != bytes[..common] {
                self.fail(&expected, "other bytes came");
            }
            if common == bytes.len() {
                break;
            }
            self.fill_more(until, &expected);
        }
        self.taken += bytes.len();
    }

    /// Reads at most `len` bytes and keeps them for later, as a slow reader does; `false` once the
    /// connection has ended in some way.
    #[track_caller]
    pub(crate) fn read_some(&mut self, len: usize) -> bool {
        self.stream.set_read_timeout(Some(self.deadline)).expect("set a read timeout");
        let mut chunk = vec![0; len];
        let len = match self.stream.read(&mut chunk) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => self.fail(&|| "something to read".to_owned(), &error.to_string()),
        };
        self.got.extend_from_slice(&chunk[..len]);
        len > 0
    }

    /// Reads up to the orderly end of the connection.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let expected = || "the end of the connection".to_owned();
        let until = Instant::now() + self.deadline;
        loop {
            match self.fill(until, &expected) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.fail(&expected, &format!("the connection broke: {error}")),
            }
        }
        self.take_all()
    }

    /// Reads up to the end of the connection, be it an orderly one or a reset.
    #[track_caller]
    pub(crate) fn read_to_any_end(&mut self) -> Vec<u8> {
        let expected = || "the end of the connection, orderly or not".to_owned();
        let until = Instant::now() + self.deadline;
        while matches!(self.fill(until, &expected), Ok(true)) {}
        self.take_all()
    }

    fn take_all(&mut self) -> Vec<u8> {
        let rest = self.got.split_off(self.taken);
        self.got.clear();
        self.taken = 0;
        rest
    }

    /// Reads nothing but the end of the connection.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.read_to_end();
        assert!(
            rest.is_empty(),
            "client {}: expected the end, there came {}",
            self.uid,
            show(&rest)
        );
    }

    /// Reads all messages up to the orderly end of the connection.
    #[track_caller]
    pub(crate) fn messages_to_end(&mut self) -> Vec<ServerMessage> {
        let bytes = self.read_to_end();
        self.whole_messages(&bytes)
    }

    /// Reads all messages up to the end of the connection, be it an orderly one or a reset.
    #[track_caller]
    pub(crate) fn messages_to_any_end(&mut self) -> Vec<ServerMessage> {
        let bytes = self.read_to_any_end();
        self.whole_messages(&bytes)
    }

    #[track_caller]
    fn whole_messages(&mut self, bytes: &[u8]) -> Vec<ServerMessage> {
        let mut messages: Vec<_> = self.relays.drain(..).collect();
        let mut rest = bytes;
        while !rest.is_empty() {
            match ServerMessage::parse(rest) {
                Ok(Some((message, len))) => {
                    messages.push(message);
                    rest = &rest[len..];
                }
                Ok(None) => {
                    panic!("client {}: the connection ended inside {}", self.uid, show(rest))
                }
                Err(wrong) => panic!("client {}: {wrong}, in {}", self.uid, show(rest)),
            }
        }
        messages
    }

    /// Reads the next message.
    #[track_caller]
    pub(crate) fn read_message(&mut self) -> ServerMessage {
        match self.relays.pop_front() {
            Some(relay) => relay,
            None => self.read_from_socket("a message"),
        }
    }

    #[track_caller]
    fn read_from_socket(&mut self, what: &str) -> ServerMessage {
        let expected = || what.to_owned();
        let until = Instant::now() + self.deadline;
        loop {
            match ServerMessage::parse(&self.got[self.taken..]) {
                Ok(Some((message, len))) => {
                    self.taken += len;
                    return message;
                }
                Ok(None) => self.fill_more(until, &expected),
                Err(wrong) => self.fail(&expected, &wrong),
            }
        }
    }

    /// Reads the next message, which is a relay.
    #[track_caller]
    pub(crate) fn relay(&mut self) -> ServerMessage {
        let relay = self.read_message();
        assert!(
            !relay.is_response(),
            "client {}: expected a relay, there came {relay:?}",
            self.uid
        );
        relay
    }

    /// Reads the next response; relays before it are kept for `read_message`.
    #[track_caller]
    pub(crate) fn response(&mut self) -> ServerMessage {
        loop {
            let message = self.read_from_socket("a response");
            if message.is_response() {
                return message;
            }
            self.relays.push_back(message);
        }
    }

    // Requests

    /// Sends bytes that hold one client message, and reads its response.
    #[track_caller]
    pub(crate) fn request(&mut self, bytes: impl AsRef<[u8]>) -> ServerMessage {
        self.send(bytes);
        self.response()
    }

    /// Sends bytes from a second thread and meanwhile reads as many messages as asked for.
    #[track_caller]
    pub(crate) fn send_while_reading(
        &mut self,
        bytes: &[u8],
        messages: usize,
    ) -> Vec<ServerMessage> {
        let mut writer = self.writer();
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(bytes).expect("send to the server"));
            (0..messages).map(|_| self.read_message()).collect()
        })
    }

    #[track_caller]
    fn ask(&mut self, message_type: &str, fields: &str, body: impl AsRef<[u8]>) -> ServerMessage {
        self.last_message_id += 1;
        let message_id = self.last_message_id;
        let header = format!("Message-Type {message_type}\nMessage-ID {message_id}{fields}");
        let response = self.request(message(&header, body));
        assert_eq!(response.number("Message-ID"), message_id, "client {}: {response:?}", self.uid);
        assert_eq!(
            response.field("Message-Type"),
            message_type,
            "client {}: {response:?}",
            self.uid
        );
        response
    }

    #[track_caller]
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> ServerMessage {
        self.ask("chat", "", text)
    }

    #[track_caller]
    pub(crate) fn say_to(&mut self, uid: u64, text: impl AsRef<[u8]>) -> ServerMessage {
        self.ask("chat", &format!("\nTo {uid}"), text)
    }

    #[track_caller]
    pub(crate) fn share(&mut self, extension: &str, content: impl AsRef<[u8]>) -> ServerMessage {
        self.ask("chat", &format!("\nContent-Type {extension}"), content)
    }

    #[track_caller]
    pub(crate) fn share_to(
        &mut self,
        uid: u64,
        extension: &str,
        content: impl AsRef<[u8]>,
    ) -> ServerMessage {
        self.ask("chat", &format!("\nTo {uid}\nContent-Type {extension}"), content)
    }

    #[track_caller]
    pub(crate) fn fetch(&mut self, file_id: u64) -> ServerMessage {
        self.ask("fetch", "", file_id.to_string())
    }

    #[track_caller]
    pub(crate) fn set_nickname(&mut self, nickname: impl AsRef<[u8]>) -> ServerMessage {
        self.ask("nickname", "", nickname)
    }

    #[track_caller]
    pub(crate) fn query(&mut self, body: &str) -> ServerMessage {
        self.ask("query", "", body)
    }

    /// The active UIDs.
    #[track_caller]
    pub(crate) fn uids(&mut self) -> Vec<u64> {
        let answer = self.query("").ok();
        answer.text().lines().map(|line| line.parse().expect("a UID on every line")).collect()
    }

    /// Everything that had been queued for this client by now: what comes before the answer to a
    /// query.
    #[track_caller]
    pub(crate) fn sync(&mut self) -> Vec<ServerMessage> {
        let answer = self.query("self").ok();
        assert!(self.uid == 0 || answer.text() == format!("{}\n", self.uid), "{answer:?}");
        self.relays.drain(..).collect()
    }

    /// Reads nothing: by now nothing was queued for this client.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        let came = self.sync();
        assert!(came.is_empty(), "client {}: expected nothing, there came {came:?}", self.uid);
    }

    /// Asks who is active until `uid` is not.
    #[track_caller]
    pub(crate) fn wait_until_gone(&mut self, uid: u64) {
        let until = Instant::now() + self.deadline;
        while self.uids().contains(&uid) {
            assert!(
                Instant::now() < until,
                "client {uid} is still active after {:?}",
                self.deadline
            );
        }
    }

    /// Leaves as `nc -N` does at its end of input, and waits for the server to close.
    #[track_caller]
    pub(crate) fn leave(mut self) {
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            self.read_to_any_end();
        }
    }

    /// Leaves, and waits for the server to close.
    #[track_caller]
    pub(crate) fn bye(mut self) {
        self.send("Message-Type bye\nMessage-ID 1000\n\n");
        self.expect_end();
    }
}
