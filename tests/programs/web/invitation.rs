//! How to get in, for the person at whose terminal the server was started.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::unbounded;
use pty_process::blocking::{Command, open};

use crate::common::DEADLINE;

/// What a server with these options says at a terminal, up to a line that begins so.
#[track_caller]
fn said_at_a_terminal(options: &[&str], last: &str) -> String {
    let (pty, pts) = open().expect("a pseudo terminal");
    let command = Command::new(env!("CARGO_BIN_EXE_multichatd"));
    let mut child = command.args(options).env_remove("RUST_LOG").spawn(pts).expect("start it");
    let pty = Arc::new(pty);
    let (send, coming) = unbounded();
    let reading = Arc::clone(&pty);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        // Ends with an error once the program has ended.
        while let Ok(len) = (&*reading).read(&mut chunk) {
            if send.send(chunk[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    let (mut came, until) = (Vec::new(), Instant::now() + DEADLINE);
    let said = loop {
        let text = String::from_utf8_lossy(&came).into_owned();
        if text.lines().any(|line| line.starts_with(last)) && text.ends_with('\n') {
            break text;
        }
        let left = until.saturating_duration_since(Instant::now());
        came.extend(coming.recv_timeout(left).unwrap_or_else(|_| panic!("no {last:?} in {text}")));
    };
    child.kill().expect("end it");
    child.wait().expect("its end");
    said
}

#[test]
fn a_terminal_is_told_the_address_for_browsers_and_shown_it_as_a_code() {
    // Where it listens on loopback alone, that is the address.
    let said = said_at_a_terminal(&["--listen", "127.0.0.1:0"], "\u{1b}[30;47m");
    let port = said.lines().find_map(|line| line.strip_prefix("listening on 127.0.0.1:"));
    let port = port.expect("a port").trim();
    assert!(said.contains("to join, open in a browser:"), "{said}");
    assert!(said.contains(&format!("  http://127.0.0.1:{port}/")), "{said}");
}

#[test]
fn without_the_page_a_terminal_is_told_nothing_of_it() {
    let said = said_at_a_terminal(&["--no-web", "--listen", "127.0.0.1:0"], "listening on ");
    assert!(!said.contains("browser"), "{said}");
}
