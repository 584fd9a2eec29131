//! The floor of files: a thread for each connection that writes what comes to a file, and has the
//! kernel send it back. A request is a byte that says which, and a length of eight bytes.

use std::env;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use rustix::fs::sendfile;

use super::{Content, FileServer, Store};
use crate::subject::Running;
use crate::{Outcome, fail};

/// What all others are compared with.
pub(super) const FLOOR: FileServer = FileServer { name: "floor", is_peer: false, start, connect };

/// The argument by which the benchmark's own program becomes this floor.
pub(crate) const ARGUMENT: &str = "--file-floor";

const SHARE: u8 = b's';
const FETCH: u8 = b'f';

fn start() -> Outcome<Running> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(ARGUMENT);
    Running::announced(command)
}

/// Serves until it is killed.
pub(crate) fn run() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || serve(&stream).unwrap_or_else(|error| eprintln!("floor: {error}")));
    }
    Ok(())
}

fn serve(mut stream: &TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut file = None;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let mut request = [0; 9];
        if stream.read(&mut request[..1])? == 0 {
            return Ok(());
        }
        stream.read_exact(&mut request[1..])?;
        let [kind, len @ ..] = request;
        let len = u64::from_be_bytes(len);
        if kind == SHARE {
            file = Some(receive(stream, len, &mut buffer)?);
            stream.write_all(&[SHARE])?;
        } else if let Some(file) = &file {
            send(stream, file, len)?;
        }
    }
}

fn receive(mut stream: &TcpStream, len: u64, buffer: &mut [u8]) -> Outcome<File> {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut missing = len;
    while missing > 0 {
        let want = usize::try_from(missing)?.min(buffer.len());
        let count = stream.read(&mut buffer[..want])?;
        if count == 0 {
            return fail("the connection ended inside a file");
        }
        file.write_all(&buffer[..count])?;
        missing -= count as u64;
    }
    Ok(file)
}

fn send(stream: &TcpStream, file: &File, len: u64) -> Outcome<()> {
    let mut offset = 0;
    while offset < len {
        let missing = usize::try_from(len - offset)?;
        if sendfile(stream, file, Some(&mut offset), missing)? == 0 {
            return fail("a file has shrunk");
        }
    }
    Ok(())
}

struct Client {
    stream: BufReader<TcpStream>,
    content: Content,
}

fn connect(address: SocketAddr, _: usize, len: u64) -> Outcome<Box<dyn Store>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let stream = BufReader::with_capacity(super::READ_BYTES, stream);
    Ok(Box::new(Client { stream, content: Content { number: 0, len } }))
}

impl Client {
    fn request(&self, kind: u8) -> Outcome<()> {
        let mut request = vec![kind];
        request.extend_from_slice(&self.content.len.to_be_bytes());
        Ok(self.stream.get_ref().write_all(&request)?)
    }
}

impl Store for Client {
    fn share(&mut self, content: Content) -> Outcome<bool> {
        self.content = content;
        self.request(SHARE)?;
        content.write(self.stream.get_ref())?;
        self.stream.read_exact(&mut [0])?;
        Ok(true)
    }

    fn fetch(&mut self) -> Outcome<()> {
        self.request(FETCH)?;
        self.content.read(&mut self.stream)
    }
}
