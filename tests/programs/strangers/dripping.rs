//! One byte a second in five hundred connections.

use std::time::Duration;

use multichat::limits::raise_open_files;

use super::{answers, error, while_two_chat};
use crate::common::{LONG_DEADLINE, Server};

const STRANGERS: usize = 500;

/// How long, in seconds; each stranger sends one byte in each.
const SECONDS: usize = 3;

#[test]
fn five_hundred_strangers_that_send_a_byte_a_second_disturb_nobody() {
    // A header may be typed by hand, so they are waited on; their threads are asleep.
    let open_files = raise_open_files();
    if open_files < 2 * STRANGERS {
        eprintln!("skipped: no more than {open_files} descriptors for the test");
        return;
    }
    let server = Server::start();
    let idle = (server.open_files(), server.threads());
    while_two_chat(&server, || {
        let mut strangers: Vec<_> = (0..STRANGERS).map(|_| server.connect()).collect();
        let header = b"Message-Type chat\nMessage-ID 1\n";
        // Not all of them at the same moment: a hundredth of a second goes to each hundredth.
        let clock = crossbeam_channel::tick(Duration::from_millis(10));
        for byte in &header[..SECONDS] {
            for some in strangers.chunks_mut(STRANGERS / 100) {
                clock.recv().expect("a clock ticks for ever");
                some.iter_mut().for_each(|stranger| stranger.send([*byte]));
            }
        }
        assert!(server.threads() >= STRANGERS, "{} threads", server.threads());
        strangers.iter_mut().for_each(|stranger| stranger.end_input());
        let reason = "the connection ended inside a header: an empty line ends a header; \
                      nothing was relayed; the connection is closed";
        for stranger in &mut strangers {
            stranger.deadline = LONG_DEADLINE;
            assert_eq!(answers(stranger.messages_to_end()), [error("unknown", 0, reason)]);
        }
    });
    server.wait_until("threads and descriptors are as before", || {
        (server.open_files(), server.threads()) == idle
    });
}
