//! Any bytes, in any split, read as client and as server messages: no panic, the same whatever the
//! split, and never more than one line held.

use std::io::{self, BufRead, BufReader, Read};

use multichat::text::Charset;
use multichat::wire::client_message::read_client_message;
use multichat::wire::field::LINE_LIMIT;
use multichat::wire::server_message::read_server_message;
use multichat::wire::{Accepts, Extensions, Parsed, ReadError};

/// Hands out its bytes in pieces of one size.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// Reads messages to the end or to the first fatal error, and tells what became of each.
fn transcript(input: &mut impl BufRead, accepts: Accepts) -> Vec<String> {
    let mut told = Vec::new();
    let mut line = Vec::new();
    loop {
        let read = read_client_message(input, &mut line, accepts);
        assert!(line.capacity() <= 4 * LINE_LIMIT);
        let body_len = match read {
            Ok(None) => return told,
            Ok(Some(Parsed::Message(message))) => {
                told.push(format!("{message:?}"));
                message.body_len
            }
            Ok(Some(Parsed::Refused { error, inherited, body_len })) => {
                check(&error.to_string());
                told.push(format!("{error} {inherited:?} {body_len}"));
                body_len
            }
            Err(fault) => {
                if let ReadError::Refused(error) = &fault.error {
                    check(&error.to_string());
                }
                told.push(format!("{fault:?}"));
                return told;
            }
        };
        let skipped = io::copy(&mut input.take(body_len), &mut io::sink());
        told.push(format!("{skipped:?}"));
    }
}

/// A reason is one line of printable ASCII.
fn check(reason: &str) {
    assert!(reason.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{reason:?}");
}

/// The first byte is the size of the pieces.
pub(crate) fn run(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    for extensions in [Extensions::Off, Extensions::On] {
        let accepts = Accepts { extensions, charset: Charset::Utf8 };
        let whole = transcript(&mut &bytes[..], accepts);
        let mut pieces = BufReader::with_capacity(64, Pieces(bytes, usize::from(size).max(1)));
        assert_eq!(transcript(&mut pieces, accepts), whole);
    }
    let mut input = bytes;
    while let Ok(Some(message)) = read_server_message(&mut input, &mut Vec::new()) {
        let len = usize::try_from(message.body_len()).unwrap_or(usize::MAX).min(input.len());
        input = &input[len..];
    }
}
