//! Whether a connection speaks HTTP.

use super::HEAD_LIMIT;
use crate::wire::field::LINE_LIMIT;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// HTTP: it gets one answer.
    Http,
    /// MCMP, or nothing that is known: what it sends is read as messages.
    Mcmp,
}

/// The methods of HTTP: a first line that begins with one of them may be as long as a head.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
];

/// Enough of a line's beginning to know a method.
const START: usize = 8;

/// Enough of a line's end to know the version: ` HTTP/1.1`, and a carriage return.
const END: usize = 10;

/// A connection's first line as it comes; it decides what the connection speaks.
///
/// HTTP, whatever the method, if it ends in ` HTTP/1.0` or ` HTTP/1.1`; also if it begins with one
/// of the known methods and a space, and is longer than [`HEAD_LIMIT`]. MCMP otherwise; and at once
/// where any other line is longer than [`LINE_LIMIT`], or has a control character but tab and
/// carriage return, since what speaks another protocol may never end a line. Holds a few bytes of the
/// line, whatever its length.
#[derive(Clone, Debug, Default)]
pub struct FirstLine {
    /// The line's length so far, without its linefeed.
    len: usize,
    start: [u8; START],
    end: [u8; END],
    has_control: bool,
    decided: Option<Dialect>,
}

impl FirstLine {
    /// Takes what came next, and tells what it is; `None` as long as it may still become HTTP.
    ///
    /// Bytes behind the line mean nothing, and once it is decided it stays so.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Dialect> {
        if self.decided.is_none() {
            let linefeed = bytes.iter().position(|&byte| byte == b'\n');
            self.take(&bytes[..linefeed.unwrap_or(bytes.len())]);
            self.decided = self.before_its_end().or(linefeed.map(|_| self.by_version()));
        }
        self.decided
    }

    fn take(&mut self, bytes: &[u8]) {
        for (&byte, place) in bytes.iter().zip(self.start.iter_mut().skip(self.len)) {
            *place = byte;
        }
        self.has_control |= bytes.iter().any(|&byte| is_control(byte));
        let newest = &bytes[bytes.len().saturating_sub(END)..];
        self.end.copy_within(newest.len().., 0);
        self.end[END - newest.len()..].copy_from_slice(newest);
        self.len = self.len.saturating_add(bytes.len());
    }

    /// What the line's length and its characters decide.
    fn before_its_end(&self) -> Option<Dialect> {
        if METHODS.iter().any(|method| self.start.starts_with(method)) {
            // Its linefeed counts.
            (self.len >= HEAD_LIMIT).then_some(Dialect::Http)
        } else {
            let carriage_return = usize::from(self.end.ends_with(b"\r"));
            let is_too_long = self.len - carriage_return > LINE_LIMIT;
            (is_too_long || self.has_control).then_some(Dialect::Mcmp)
        }
    }

    /// What the end of a whole line decides.
    fn by_version(&self) -> Dialect {
        let line = self.end.strip_suffix(b"\r").unwrap_or(&self.end);
        if line.ends_with(b" HTTP/1.0") || line.ends_with(b" HTTP/1.1") {
            Dialect::Http
        } else {
            Dialect::Mcmp
        }
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !b"\t\r".contains(&byte)
}
