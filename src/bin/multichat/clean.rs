//! `--clean`: output of programs, made fit to be said.

/// Removes a byte order mark from the start of what a program or an editor has written.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// Drops terminal control sequences and control characters, and replaces what is not UTF-8. Tabs and
/// linefeeds stay.
pub(crate) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut rest),
            '\t' | '\n' => cleaned.push(c),
            _ if c.is_control() => {}
            _ => cleaned.push(c),
        }
    }
    cleaned
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what an escape character has begun (ECMA-48).
fn skip_sequence(rest: &mut Rest<'_>) {
    match rest.next_if(|c| ('\u{20}'..='\u{7e}').contains(c)) {
        Some('[') => skip_control_sequence(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(rest),
        // Intermediate characters, and one that ends them: a character set, say.
        Some('\u{20}'..='\u{2f}') => {
            while rest.next_if(|c| ('\u{20}'..='\u{2f}').contains(c)).is_some() {}
            rest.next_if(|c| ('\u{30}'..='\u{7e}').contains(c));
        }
        _ => {}
    }
}

/// Skips parameters, intermediate characters and the one that ends them: a colour, say.
fn skip_control_sequence(rest: &mut Rest<'_>) {
    while rest.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    rest.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

/// Skips up to the end of a string: a title, say. One that does not end on its line is none.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if(|c| *c == '\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_dropped() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(clean(bytes), expected, "{}", bytes.escape_ascii());
        };
        check(b"plain\ttext", "plain\ttext");
        check(b"\x1b[31;1mred\x1b[0m and \x1b[38;5;98mmore\x1b[m", "red and more");
        check(b"\x1b]0;title\x07text\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "textlink");
        check("\u{9b}2Jx\u{9d}0;t\u{9c}y".as_bytes(), "xy");
        check(b"\x1b(Btext\x1b7\x1b8\x1b=", "text");
        check(b"50%\r100%\r\n", "50%100%\n");
        check(b"caf\xe9 \xff", "caf\u{fffd} \u{fffd}");
        check(b"\x1b", "");
        check(b"\x1b[", "");
        check(b"\x1b]0;unfinished\nnext", "\nnext");
        check("\u{fc}\u{1f600}".as_bytes(), "\u{fc}\u{1f600}");
        check(b"a\x00\x07\x08\x7fb", "ab");
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_start_alone() {
        assert_eq!(without_mark("\u{feff}a\u{feff}".as_bytes()), "a\u{feff}".as_bytes());
        assert_eq!(without_mark(b"a"), b"a");
        assert_eq!(without_mark(b"\xef\xbb"), b"\xef\xbb");
    }
}
