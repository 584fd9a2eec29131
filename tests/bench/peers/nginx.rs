//! nginx: files that are there, over HTTP, with `sendfile`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use crate::files::{CLIENTS, Content, FileServer, READ_BYTES, Store};
use crate::subject::Running;
use crate::{Outcome, fail};

pub(super) const NGINX: FileServer = FileServer { name: "nginx", is_peer: true, start, connect };

/// Where its files are: in a place that it is told before it runs.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nginx")
}

fn start() -> Outcome<Running> {
    fs::create_dir_all(root())?;
    let options = ["-g", "daemon off; error_log stderr;", "-c"];
    let running = super::start("nginx", &options, |directory, port| {
        let (directory, root) = (directory.display(), root().display().to_string());
        format!(
            "worker_processes auto;\npid {directory}/pid;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000;\n  \
             open_file_cache max=100;\n  client_body_temp_path {directory};\n  proxy_temp_path {directory};\n  \
             fastcgi_temp_path {directory};\n  uwsgi_temp_path {directory};\n  scgi_temp_path {directory};\n  \
             server {{ listen 127.0.0.1:{port}; root {root}; }}\n}}\n"
        )
    })?;
    running.with_children()
}

struct Client {
    stream: BufReader<TcpStream>,
    content: Content,
}

fn connect(address: SocketAddr, client: usize, len: u64) -> Outcome<Box<dyn Store>> {
    let content = Content { number: client, len };
    assert!(client < CLIENTS);
    content.write(fs::File::create(root().join(format!("{client}-{len}")))?)?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(Box::new(Client { stream: BufReader::with_capacity(READ_BYTES, stream), content }))
}

impl Store for Client {
    fn share(&mut self, _: Content) -> Outcome<bool> {
        Ok(false)
    }

    fn fetch(&mut self) -> Outcome<()> {
        let Content { number, len } = self.content;
        let request = format!("GET /{number}-{len} HTTP/1.1\r\nHost: bench\r\n\r\n");
        self.stream.get_ref().write_all(request.as_bytes())?;
        let mut line = String::new();
        let mut status = None;
        let mut declared = None;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return fail("the connection ended inside a header");
            }
            let field = line.trim_end();
            if field.is_empty() {
                break;
            }
            if status.is_none() {
                status = Some(field.to_string());
            }
            if let Some(value) = field.strip_prefix("Content-Length: ") {
                declared = value.parse().ok();
            }
        }
        if declared != Some(len) || status.as_deref() != Some("HTTP/1.1 200 OK") {
            return fail(format!("answered {status:?}, {declared:?} bytes"));
        }
        self.content.read(&mut self.stream)
    }
}
