//! The limits of the system, each really reached: who is refused, and that it passes.

use std::process::Command;

use crate::common::{Peer, Process, multichatd, pattern};

/// A server started under a shell's `ulimit`.
fn under(ulimit: &str) -> (Process, std::net::SocketAddr) {
    let plain = multichatd(&["--listen", "127.0.0.1:0"]);
    let mut shell = Command::new("sh");
    let script = format!("ulimit {ulimit} && exec \"$@\"");
    shell.args(["-c", &script, "sh"]).arg(plain.get_program()).args(plain.get_args());
    shell.env_remove("RUST_LOG");
    let mut process = Process::spawn(shell);
    let line = process.out.wait_for("listening on ");
    let address = line.trim_start_matches("listening on ").parse().expect("an address");
    (process, address)
}

#[test]
fn sixty_clients_under_a_limit_of_forty_descriptors() {
    // Out of descriptors: the newcomer is refused, a line in the log, nobody else harmed.
    let (mut server, address) = under("-n 40");
    let mut admitted = Vec::new();
    let mut refused = 0;
    for _ in 0..60 {
        let mut peer = Peer::connect(address);
        let answer = peer.request(b"Message-Type query\nMessage-ID 1\nContent-Length 4\n\nself");
        if answer.field("Status") == "Ok" {
            admitted.push(peer);
        } else {
            assert!(answer.reason().starts_with("the room is full: "), "{answer:?}");
            refused += 1;
        }
    }
    assert_eq!((admitted.len(), refused), (24, 36));
    assert!(server.log.wait_for("at most 24 clients").contains("WARN"));
    server.log.wait_for("newcomers are refused");
    // All those who are in share at the same time: there are descriptors for some of them, the others
    // get an error, and the session goes on.
    for peer in &mut admitted {
        peer.send("Message-Type chat\nMessage-ID 2\nContent-Type bin\nContent-Length 10\n\nhalf-");
    }
    for peer in &mut admitted {
        peer.send("whole");
        let answer = peer.response();
        if answer.field("Status") != "Ok" {
            let failed = "the server could not store the file; nothing was relayed";
            assert_eq!(answer.reason(), failed);
        }
    }
    // And when they have gone, there is room for others, and for files.
    admitted.truncate(1);
    let mut left = admitted.pop().expect("one is left");
    while left.uids().len() > 1 {}
    let id = left.share("bin", pattern(1, 1000)).ok().number("File-ID");
    assert_eq!(left.fetch(id).ok().body, pattern(1, 1000));
    assert_eq!(Peer::connect(address).uids().len(), 2);
}
