//! A small server of the draft: `cargo run --example lesson_server [PORT [FAULT]]`.
//!
//! With a fault it breaks one rule: a class can let `multichat check` find out which.

#![allow(missing_docs, unreachable_pub)]

mod catalogue;
mod draft;
mod extended;
mod faults;

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use self::draft::{Room, Server};
use self::extended::Extras;
use self::faults::Faults;

const USAGE: &str = "usage: lesson_server [PORT [FAULT]]; the faults are";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (port, fault) = match &arguments[..] {
        [] => (Some(8080), ""),
        [port] => (port.parse().ok(), ""),
        [port, fault] => (port.parse().ok(), fault.as_str()),
        _ => (None, ""),
    };
    let names = || {
        let all = [catalogue::DRAFT, catalogue::SETTLED, catalogue::EXTENDED];
        all.into_iter().flatten().map(|(name, ..)| *name)
    };
    let Some(port) = port.filter(|_| fault.is_empty() || names().any(|name| name == fault)) else {
        eprintln!("{USAGE} {}", names().collect::<Vec<_>>().join(", "));
        return ExitCode::from(2);
    };
    match serve(port, fault) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot listen on port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Listens on loopback alone: this is a server for trying out.
fn serve(port: u16, fault: &str) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    let is_extended = catalogue::EXTENDED.iter().any(|(name, ..)| *name == fault);
    let server = Server {
        room: Mutex::new(Room::default()),
        faults: Faults::new(fault),
        extras: is_extended.then(Extras::default),
    };
    Arc::new(server).run(&listener);
    Ok(())
}
