//! multichatd as a server of files.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use multichat::ids::FileId;
use multichat::wire::server_message::read_server_message;
use multichat::wire::{Request, ServerMessage, Status};

use super::{Content, FileServer, Store};
use crate::mcmp::{encode, program, program_before, share};
use crate::subject::Running;
use crate::{Outcome, fail};

/// What the benchmark is about.
pub(super) const MULTICHATD: FileServer =
    FileServer { name: "multichatd", is_peer: false, start, connect };

/// Another build of it.
pub(crate) const BEFORE: FileServer =
    FileServer { name: crate::mcmp::BEFORE.name, start: start_before, ..MULTICHATD };

fn start() -> Outcome<Running> {
    start_program(program())
}

fn start_before() -> Outcome<Running> {
    start_program(program_before()?)
}

fn start_program(program: PathBuf) -> Outcome<Running> {
    let mut command = Command::new(program);
    command
        .args(["--quiet", "--listen", "127.0.0.1:0"])
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("RUST_LOG");
    Running::announced(command)
}

struct Client {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
    /// What was shared last.
    shared: Option<(FileId, Content)>,
    /// How many requests were sent.
    requests: u64,
}

fn connect(address: SocketAddr, _: usize, _: u64) -> Outcome<Box<dyn Store>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let stream = BufReader::with_capacity(super::READ_BYTES, stream);
    Ok(Box::new(Client { stream, line: Vec::new(), shared: None, requests: 0 }))
}

impl Client {
    fn send(&mut self, request: Request, body_len: usize, body: &[u8]) -> Outcome<()> {
        self.requests += 1;
        let mut message = Vec::new();
        encode(request, self.requests, body_len, &mut message);
        message.extend_from_slice(body);
        Ok(self.stream.get_ref().write_all(&message)?)
    }

    /// Reads up to the response to the last request; returns its File-ID and its length.
    fn response(&mut self) -> Outcome<(Option<FileId>, u64)> {
        loop {
            match read_server_message(&mut self.stream, &mut self.line) {
                // Of a file of somebody else's; its bytes do not follow.
                Ok(Some(ServerMessage::Relay { file_id: Some(_), .. })) => {}
                Ok(Some(ServerMessage::Response {
                    status: Status::Ok,
                    inherited,
                    file_id,
                    len,
                    ..
                })) if inherited.id.0 == self.requests => return Ok((file_id, len)),
                other => return fail(format!("not the response: {other:?}")),
            }
        }
    }
}

impl Store for Client {
    fn share(&mut self, content: Content) -> Outcome<bool> {
        self.send(share("bin"), usize::try_from(content.len)?, b"")?;
        content.write(self.stream.get_ref())?;
        let (file_id, _) = self.response()?;
        self.shared = Some((file_id.ok_or("no File-ID")?, content));
        Ok(true)
    }

    fn fetch(&mut self) -> Outcome<()> {
        let (id, content) = self.shared.ok_or("nothing is shared")?;
        let body = id.to_string();
        self.send(Request::Fetch, body.len(), body.as_bytes())?;
        let (_, len) = self.response()?;
        if len != content.len {
            return fail(format!("file {id} has {len} bytes, and not {}", content.len));
        }
        content.read(&mut self.stream)
    }
}
