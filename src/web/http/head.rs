//! The head of a request, as it comes.

use super::{HEAD_LIMIT, HEAD_LINES_LIMIT};

/// How far a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its empty line has not come yet.
    Unfinished,
    /// It is whole.
    Whole,
    /// It is over [`HEAD_LIMIT`] or [`HEAD_LINES_LIMIT`]: nothing more of it is to be read.
    TooLarge,
}

/// The head of a request, up to and including its empty line; that line aside, at most
/// [`HEAD_LIMIT`].
#[derive(Clone, Debug)]
pub struct Head {
    bytes: Vec<u8>,
    /// Where the line begins that has not ended yet.
    line_start: usize,
    /// How many lines have ended.
    lines: usize,
    whole: bool,
}

impl Default for Head {
    fn default() -> Head {
        // All at once: little of it is ever touched, and it leaves no small pieces behind.
        let bytes = Vec::with_capacity(HEAD_LIMIT + 2);
        Head { bytes, line_start: 0, lines: 0, whole: false }
    }
}

impl Head {
    /// Takes what came next, and returns how many of its bytes belong to the head.
    ///
    /// The others stand behind it: the first frames of a client that did not wait for the answer.
    /// None is taken once the head is whole or too large.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.progress() == Progress::Unfinished {
            // The empty line may come behind the largest head.
            let room = HEAD_LIMIT + 2 - self.bytes.len();
            let rest = &bytes[taken..][..room.min(bytes.len() - taken)];
            let linefeed = rest.iter().position(|&byte| byte == b'\n');
            let line = &rest[..linefeed.map_or(rest.len(), |at| at + 1)];
            self.bytes.extend_from_slice(line);
            taken += line.len();
            if linefeed.is_some() {
                self.end_line();
            }
        }
        taken
    }

    fn end_line(&mut self) {
        if matches!(&self.bytes[self.line_start..], b"\n" | b"\r\n") {
            self.whole = true;
        } else {
            self.lines += 1;
            self.line_start = self.bytes.len();
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let unfinished = &self.bytes[self.line_start..];
        if self.whole {
            Progress::Whole
        } else if self.lines > HEAD_LINES_LIMIT
            || (self.bytes.len() > HEAD_LIMIT && unfinished != b"\r")
        {
            Progress::TooLarge
        } else {
            Progress::Unfinished
        }
    }

    /// What has come of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it asks for an answer without a body, as far as can be told.
    pub fn is_head_request(&self) -> bool {
        is_head_request(&self.bytes)
    }
}

/// Whether a request begins with `HEAD`: its answer, a refusal too, has no body then.
pub(super) fn is_head_request(head: &[u8]) -> bool {
    head.starts_with(b"HEAD ")
}
