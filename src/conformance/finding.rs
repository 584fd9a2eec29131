//! What a rule found: what was sent, what came and what was wanted, with the bytes visible.

use std::fmt::{self, Write as _};

/// How much of the beginning of one message is shown, in bytes and in characters.
const HEAD: usize = 180;

/// How much of its end.
const TAIL: usize = 60;

/// How many of the messages that were sent are shown.
const SENT_SHOWN: usize = 3;

/// How much of each thing that was sent is kept, in bytes.
const KEPT: usize = 1024;

/// Why a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The latest of what was sent, one message each.
    pub sent: Vec<String>,
    /// What came, or that nothing did.
    pub got: String,
    /// What the rule wants.
    pub want: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sent in &self.sent {
            writeln!(f, "sent  {sent}")?;
        }
        write!(f, "got   {}\nwant  {}", self.got, self.want)
    }
}

/// What was sent on the connections of one rule. Its size is bounded.
#[derive(Debug, Default)]
pub struct Record {
    sent: Vec<(char, Vec<u8>, usize)>,
    peers: usize,
}

impl Record {
    /// Notes one more connection, and names it: `A`, `B`, …
    pub fn add_peer(&mut self) -> char {
        let names = ('A'..='Z').collect::<Vec<_>>();
        self.peers += 1;
        names[(self.peers - 1) % names.len()]
    }

    /// How many connections there were.
    pub fn peers(&self) -> usize {
        self.peers
    }

    /// Notes what a connection sends.
    pub fn sent(&mut self, peer: char, bytes: &[u8]) {
        if self.sent.len() == SENT_SHOWN {
            self.sent.remove(0);
        }
        self.sent.push((peer, bytes[..bytes.len().min(KEPT)].to_vec(), bytes.len()));
    }

    /// Makes a finding of what `peer` got.
    pub fn finding(&self, peer: char, got: &str, want: &str) -> Finding {
        let label = |peer: char| match self.peers {
            0 | 1 => String::new(),
            _ => format!("{peer}: "),
        };
        let sent = self.sent.iter().map(|(by, bytes, len)| {
            let more =
                if *len > bytes.len() { format!(" … {len} bytes in all") } else { String::new() };
            format!("{}{}{more}", label(*by), visible(bytes))
        });
        Finding {
            sent: sent.collect(),
            got: format!("{}{got}", label(peer)),
            want: want.to_owned(),
        }
    }
}

/// Bytes as a person can read them on one line: a linefeed is `⏎`, a CR `␍`, a tab `␉`. Of many the
/// beginning and the end are shown.
pub fn visible(bytes: &[u8]) -> String {
    let (head, tail) = match bytes.len() > HEAD + TAIL {
        true => (&bytes[..HEAD], &bytes[bytes.len() - TAIL..]),
        false => (bytes, &bytes[..0]),
    };
    let (head, tail): (Vec<char>, Vec<char>) =
        (escaped(head).chars().collect(), escaped(tail).chars().collect());
    if tail.is_empty() && head.len() <= HEAD + TAIL {
        return head.into_iter().collect();
    }
    let end = if tail.is_empty() { &head[HEAD.min(head.len())..] } else { &tail };
    let start: String = head[..head.len().min(HEAD)].iter().collect();
    let end: String = end[end.len().saturating_sub(TAIL)..].iter().collect();
    format!("{start} … {end}")
}

fn escaped(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => shown.push_str("⏎ "),
                '\r' => shown.push('␍'),
                '\t' => shown.push('␉'),
                _ if is_harmless(c) => shown.push(c),
                _ => shown.extend(c.escape_default()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown.trim_end().to_owned()
}

/// Whether a character neither drives a terminal nor hides.
fn is_harmless(c: char) -> bool {
    matches!(c, ' '..='~') || (c > '\u{a0}' && c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_visible_and_harmless() {
        assert_eq!(visible(b"Status Ok\r\n\r\n"), "Status Ok␍⏎ ␍⏎");
        assert_eq!(visible(b"a\tb\x1b[2J\xff\0"), "a␉b\\u{1b}[2J\\xff\\u{0}");
        assert_eq!(visible("Zo\u{eb} \u{202e}".as_bytes()), "Zo\u{eb} \\u{202e}");
        assert_eq!(visible(&[b'x'; 5000]).chars().count(), HEAD + 3 + TAIL);
    }

    #[test]
    fn only_the_latest_of_what_was_sent_is_kept() {
        let mut record = Record::default();
        let (a, b) = (record.add_peer(), record.add_peer());
        for number in 0..10 {
            record.sent(a, format!("{number}").as_bytes());
        }
        record.sent(b, &[b'x'; 100_000]);
        let finding = record.finding(b, "nothing", "an answer");
        assert_eq!(finding.sent[..2], ["A: 8", "A: 9"]);
        assert!(finding.sent[2].ends_with("… 100000 bytes in all"), "{finding}");
        assert!(finding.to_string().ends_with("\ngot   B: nothing\nwant  an answer"), "{finding}");
    }
}
