//! What the tests speak with: a server of their own, and peers that read and write raw bytes.

mod message;
mod peer;
mod process;
mod server;

use std::time::Duration;

pub(crate) use message::{ServerMessage, chat, message, ok_response};
pub(crate) use peer::Peer;
pub(crate) use process::{Process, multichatd};
pub(crate) use server::Server;

/// The file that makes a directory a stage.
pub(crate) const MARK: &str = ".multichat-stage";

/// How long anything may take that should come at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long a bulk transfer, or a server that is told to wait first, may take.
pub(crate) const LONG_DEADLINE: Duration = Duration::from_secs(60);

/// Bytes as a person can read them in an assertion's message; the middle of long ones is left out.
pub(crate) fn show(bytes: &[u8]) -> String {
    const END: usize = 600;
    if bytes.len() <= 2 * END {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (start, end) = (&bytes[..END], &bytes[bytes.len() - END..]);
    format!(
        "\"{}\" …{} bytes… \"{}\"",
        start.escape_ascii(),
        bytes.len() - 2 * END,
        end.escape_ascii()
    )
}

/// `len` bytes that differ from each other, from those of another `seed`, and hold every byte
/// value.
pub(crate) fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut bytes = Vec::with_capacity(len + 3);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compares bytes by content, without printing megabytes of them where they differ.
#[track_caller]
pub(crate) fn assert_same_bytes(got: &[u8], expected: &[u8]) {
    if got != expected {
        let differs = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
        panic!(
            "{} bytes came, expected {}; they differ from byte {differs} on",
            got.len(),
            expected.len()
        );
    }
}
