//! Header lines and fields, and their limits (§1.3.5, §2.1.1); the same in both directions.
//!
//! A linefeed ends a line; a carriage return before it, and spaces and tabs at the line's end, are
//! dropped. A field is a name, one or more spaces or tabs, and a value that is the rest of the
//! line. Empty lines before a header are skipped: a shell's `echo` leaves one after a body.
//!
//! Whatever is refused here is fatal: where the header cannot be read, the end of the message is
//! not known.

use std::io::{self, BufRead};

use super::error::HeaderError;
use super::field::{Extensions, Field, Holds, LINE_LIMIT, LINES_LIMIT, Origin, SentBy};
use crate::text::Excerpt;

/// How much a header is to be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// As the server reads: ASCII without control characters, where the field does not say
    /// otherwise. Fields beyond the draft are known where the server offers them.
    Strict(Extensions),
    /// As a client reads: it cannot tell the server what is wrong. Values may hold any bytes, and are
    /// to be shown with care; a field without a value is not there.
    Lenient,
}

impl Rules {
    /// Reads a field's name; `None` where it is not one that is to be known.
    fn field(self, name: &[u8]) -> Option<Field> {
        let is_known = |field: &Field| match self {
            Rules::Lenient => true,
            Rules::Strict(extensions) => {
                let is_offered = extensions == Extensions::On && field.sent_by() == SentBy::Both;
                field.origin() == Origin::Draft || is_offered
            }
        };
        Field::parse(name).filter(is_known)
    }

    /// Whether control characters do not count in a line that begins like this.
    ///
    /// In a field that may hold anything they do not make the header unreadable. No message begins
    /// with such a field, so that noise is told at once.
    fn takes_controls(self, line: &[u8], inside: bool) -> bool {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let holds_any = || {
            let name = line.split(is_blank).next().filter(|name| name.len() < line.len());
            name.and_then(|name| self.field(name)).is_some_and(|field| field.holds() == Holds::Any)
        };
        match self {
            Rules::Lenient => true,
            Rules::Strict(Extensions::Off) => false,
            Rules::Strict(Extensions::On) => inside && holds_any(),
        }
    }
}

/// Why no whole header could be read.
#[derive(Debug)]
pub enum ReadError {
    /// The header breaks the grammar or a limit: fatal, and this is why.
    Refused(HeaderError),
    /// The stream ended inside the header: fatal as well, for a peer that still reads.
    Ended,
    /// No byte came within the stream's read timeout. `inside`: a message had begun.
    TimedOut {
        /// Whether a message had begun; between messages a client may be silent for ever.
        inside: bool,
    },
    /// Reading failed otherwise: nobody is left to be told why.
    Failed(io::Error),
}

/// What is to be known of a header beside its values.
#[derive(Debug, Default)]
pub struct Summary {
    /// The first known field that stood there twice; its first value was the one taken.
    pub repeated: Option<Field>,
    /// Whether `Content-Length` stood there twice, whatever else did.
    pub repeated_length: bool,
}

/// Reads one header, up to and including its empty line (§2.1.1).
///
/// Calls `take` for each field that is known, in the order they came and for its first value
/// alone; other fields are skipped. `Ok(None)`: the stream ended before a message began. `line` is
/// the caller's buffer for one line, at most [`LINE_LIMIT`] bytes and its line ending.
///
/// # Errors
/// See [`ReadError`]. What `take` was given before the error remains true.
pub fn read_header<R: BufRead>(
    input: &mut R,
    line: &mut Vec<u8>,
    rules: Rules,
    mut take: impl FnMut(Field, &[u8]),
) -> Result<Option<Summary>, ReadError> {
    let mut lines = 0;
    let mut seen = 0u16;
    let mut summary = Summary::default();
    loop {
        if !read_line(input, line, rules, lines > 0)? {
            return Ok(None);
        }
        if line.is_empty() {
            match lines {
                0 => continue,
                _ => return Ok(Some(summary)),
            }
        }
        lines += 1;
        if lines > LINES_LIMIT {
            return Err(ReadError::Refused(HeaderError::TooManyLines));
        }
        let (field, value) = parse_line(line, rules, lines == 1).map_err(ReadError::Refused)?;
        let Some(field) = field else { continue };
        if seen & field.bit() != 0 {
            if rules == Rules::Lenient && field.origin() == Origin::Beyond {
                continue;
            }
            summary.repeated.get_or_insert(field);
            summary.repeated_length |= field == Field::ContentLength;
            continue;
        }
        seen |= field.bit();
        take(field, value);
    }
}

/// Reads one line into `line`, without its line ending and the blanks before that.
///
/// `Ok(false)`: the stream ended where a message may end, with nothing but blanks in the line.
fn read_line<R: BufRead>(
    input: &mut R,
    line: &mut Vec<u8>,
    rules: Rules,
    inside: bool,
) -> Result<bool, ReadError> {
    line.clear();
    loop {
        let begun = inside || !is_blank(line);
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => continue,
                // Linux' word for a read timeout. `TimedOut` is something else: the connection is dead.
                io::ErrorKind::WouldBlock => return Err(ReadError::TimedOut { inside: begun }),
                _ => return Err(ReadError::Failed(error)),
            },
        };
        if chunk.is_empty() {
            return if begun { Err(ReadError::Ended) } else { Ok(false) };
        }
        if line.is_empty()
            && let Some((whole, used)) = usual_line(chunk)
        {
            line.extend_from_slice(trim_end(whole));
            input.consume(used);
            return Ok(true);
        }
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let found = &chunk[..end.unwrap_or(chunk.len())];
        // Two more than the limit are enough to know: a CR may be half of the line ending.
        let room = (LINE_LIMIT + 2).saturating_sub(line.len());
        line.extend_from_slice(&found[..found.len().min(room)]);
        let used = found.len() + usize::from(end.is_some());
        input.consume(used);

        // Noise without a linefeed (a TLS greeting, say) is told at once, not after a time-out.
        let takes_controls = rules.takes_controls(line, inside);
        if !takes_controls {
            check_controls(&line[..line.len().min(LINE_LIMIT + 1)], |byte| byte != b'\r')?;
        }
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > LINE_LIMIT {
                return Err(ReadError::Refused(HeaderError::LineTooLong));
            }
            line.truncate(trim_end(line).len());
            if !takes_controls {
                check_controls(line, |_| true)?;
            }
            return Ok(true);
        }
        if line.len() > LINE_LIMIT + 1 || (line.len() > LINE_LIMIT && line[LINE_LIMIT] != b'\r') {
            return Err(ReadError::Refused(HeaderError::LineTooLong));
        }
    }
}

/// The line that the buffer begins with, where it is there whole, not too long, and holds no control
/// characters: nearly every one. And how many bytes it has with its line ending.
fn usual_line(chunk: &[u8]) -> Option<(&[u8], usize)> {
    let len = find_control(&chunk[..chunk.len().min(LINE_LIMIT + 1)])?;
    let ending = match &chunk[len..] {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    Some((&chunk[..len], len + ending))
}

/// Refuses the control characters that no header may hold, as far as they `count`.
fn check_controls(line: &[u8], counts: impl Fn(u8) -> bool) -> Result<(), ReadError> {
    match line.iter().find(|&&byte| is_control(byte) && counts(byte)) {
        Some(&byte) => Err(ReadError::Refused(HeaderError::Control { byte })),
        None => Ok(()),
    }
}

/// Whether a byte is a control character other than a tab.
fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Where the first control character stands, the tab aside: a block at a time, as a processor can.
fn find_control(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<16>();
    let has_any = |block: &&[u8; 16]| block.iter().fold(false, |any, &byte| any | is_control(byte));
    let clean = blocks.iter().take_while(|block| !has_any(block)).count() * 16;
    bytes[clean..].iter().position(|&byte| is_control(byte)).map(|found| clean + found)
}

/// A line without the spaces and tabs at its end.
fn trim_end(line: &[u8]) -> &[u8] {
    let last = line.iter().rposition(|&byte| byte != b' ' && byte != b'\t');
    &line[..last.map_or(0, |last| last + 1)]
}

/// A line without the spaces and tabs at its start.
fn trim_start(line: &[u8]) -> &[u8] {
    let first = line.iter().position(|&byte| byte != b' ' && byte != b'\t');
    &line[first.unwrap_or(line.len())..]
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// Takes a line apart: its field, where the draft has it, and its value.
fn parse_line(
    line: &[u8],
    rules: Rules,
    first: bool,
) -> Result<(Option<Field>, &[u8]), HeaderError> {
    let name_end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let name = &line[..name_end];
    let value = trim_start(&line[name_end..]);
    let field = rules.field(name);

    if first && field.is_some_and(|field| field.origin() == Origin::Beyond) {
        return Err(HeaderError::UnknownFirstField { line: Excerpt::of(line) });
    }
    if field.is_none() {
        if let Some(colon) = colon_mistake(line, rules) {
            return Err(colon);
        }
        if first {
            return Err(HeaderError::UnknownFirstField { line: Excerpt::of(line) });
        }
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        if name.is_empty() || !name.iter().all(valid) {
            return Err(HeaderError::BadFieldName { name: Excerpt::of(name) });
        }
    }
    if rules == Rules::Lenient {
        return Ok((field.filter(|_| !value.is_empty()), value));
    }
    if value.is_empty() {
        return Err(HeaderError::NoValue { name: Excerpt::of(name) });
    }
    let is_allowed = match field.map_or(Holds::Ascii, Field::holds) {
        Holds::Utf8 => str::from_utf8(value).is_ok(),
        Holds::Ascii => value.is_ascii(),
        Holds::Any => true,
    };
    if !is_allowed {
        return Err(HeaderError::NotAscii { name: Excerpt::of(name) });
    }
    Ok((field, value))
}

/// The mistake of those who know HTTP: `Message-Type: chat`.
fn colon_mistake(line: &[u8], rules: Rules) -> Option<HeaderError> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let field = rules.field(trim_end(&line[..colon]))?;
    Some(HeaderError::Colon {
        line: Excerpt::of(line),
        field,
        value: Excerpt::of(trim_start(&line[colon + 1..])),
    })
}
