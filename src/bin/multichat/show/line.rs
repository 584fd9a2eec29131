//! What arrives, as lines for a person.

use std::fmt::Write as _;

use multichat::client::{Content, News, Notice, Relay};
use textwrap::{Options, WordSplitter, wrap};

use super::{Age, Style, TerminalSafe, sender, time, time_of};

/// What further lines of a text begin with, and what is left of a line that is wrapped: no row but
/// the first can look like a message.
const INDENT: &str = "    ";

/// A terminal narrower than this is not wrapped for, in columns.
const LEAST_COLUMNS: usize = 20;

/// How much of a text is shown on a terminal, in bytes. Far above what a server takes, so that one that
/// sends more does not fill the memory with what nobody would read there.
const SHOWN_LIMIT: usize = 256 * 1024;

/// Colours of senders, by their UIDs, of the 256 that terminals have: those that can be read on black
/// and on white.
const COLOURS: [u8; 8] = [27, 130, 28, 163, 30, 161, 64, 98];

const STANDS_OUT: &str = "\x1b[7m";
const DIMMED: &str = "\x1b[2m";
const AS_EVER: &str = "\x1b[0m";

/// A relay as one line or, where the text has several or is wrapped, more; without the last line's
/// end. `own` is the nickname of the reader. What was said before the reader came is dimmed, and has
/// no other mark.
pub(crate) fn relay(relay: &Relay, age: Age, style: Style, own: Option<&str>) -> String {
    if age == Age::Old {
        let plain = Style { has_colour: false, has_bell: false, ..style };
        return dimmed(&line(relay, age, plain, None), style);
    }
    line(relay, age, style, own)
}

/// News of another client as one line, without its end; dimmed.
pub(crate) fn notice(notice: &Notice, style: Style) -> String {
    let time = style.time.map(time).unwrap_or_default();
    let client = sender(notice.from, notice.nickname.as_deref());
    let news = match notice.news() {
        News::Joined => "joined".to_string(),
        News::Nickname(nickname) => format!("is now {}", TerminalSafe(nickname)),
        News::Left(cause) => format!("left: {}", TerminalSafe(cause)),
    };
    dimmed(&wrapped(format!("{time}* {client} {news}"), style), style)
}

/// Rows that are not to draw the eye.
fn dimmed(rows: &str, style: Style) -> String {
    if !style.has_colour {
        return rows.to_string();
    }
    let rows = rows.split('\n').map(|row| format!("{DIMMED}{row}{AS_EVER}"));
    rows.collect::<Vec<_>>().join("\n")
}

fn line(relay: &Relay, age: Age, style: Style, own: Option<&str>) -> String {
    let mut line = String::new();
    if let Some(format) = style.time {
        line.push_str(&time_of(relay, age, format));
    }
    // First, where no nickname can imitate it.
    if relay.to.is_some() {
        line.push_str(&marked("(to you)", style));
        line.push(' ');
    }
    let sender = sender(relay.from, relay.nickname.as_deref());
    if style.has_colour {
        // The remainder is below 8, so the cast keeps all of it.
        let colour = COLOURS[(relay.from.0 % COLOURS.len() as u64) as usize];
        let _ = write!(line, "\x1b[38;5;{colour}m{sender}{AS_EVER}");
    } else {
        line.push_str(&sender);
    }
    let mut concerns_reader = relay.to.is_some();
    match &relay.content {
        Content::Text(text) => {
            let (text, is_named) = text_lines(text, style, own);
            concerns_reader |= is_named;
            let _ = write!(line, ": {text}");
        }
        Content::File(id) => {
            let name =
                relay.extra.file_name.as_deref().map(|name| format!(" {}", TerminalSafe(name)));
            let (name, kind) = (name.unwrap_or_default(), TerminalSafe(&relay.content_type));
            let _ = write!(line, " shared file {id}{name} ({kind}, {} bytes)", relay.len);
        }
    }
    let line = wrapped(line, style);
    if style.has_bell && concerns_reader { format!("\x07{line}") } else { line }
}

/// The lines of a text, and whether `own` is named in it.
fn text_lines(text: &str, style: Style, own: Option<&str>) -> (String, bool) {
    let (text, cut_len) = if style.columns.is_some() { cut(text) } else { (text, 0) };
    // What ends with a line's end has no further line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut shown = lines.next().map(|line| TerminalSafe(line).to_string()).unwrap_or_default();
    for line in lines {
        let _ = write!(shown, "\n{INDENT}{}", TerminalSafe(line));
    }
    let (mut shown, is_named) = match own {
        Some(own) => mark_name(&shown, own, style),
        None => (shown, false),
    };
    if cut_len > 0 {
        let _ = write!(shown, " … {cut_len} bytes more, not shown");
    }
    (shown, is_named)
}

/// As much of a text as is shown, and how many bytes are left out.
fn cut(text: &str) -> (&str, usize) {
    let shown = &text[..text.floor_char_boundary(SHOWN_LIMIT)];
    (shown, text.len() - shown.len())
}

/// Marks each place where a name stands as a word, in whatever case; and whether there is one.
fn mark_name(text: &str, name: &str, style: Style) -> (String, bool) {
    let mut marked_text = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.char_indices() {
        if at < done {
            continue;
        }
        let Some(end) = end_of_name(text, at, name) else { continue };
        marked_text.push_str(&text[done..at]);
        marked_text.push_str(&marked(&text[at..end], style));
        done = end;
    }
    marked_text.push_str(&text[done..]);
    (marked_text, done > 0)
}

/// Where a name ends that stands at `at` as a word of its own.
fn end_of_name(text: &str, at: usize, name: &str) -> Option<usize> {
    if text[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let mut rest = text[at..].char_indices();
    for expected in name.chars() {
        let (_, found) = rest.next()?;
        if found != expected && !found.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    let end = at + rest.offset();
    let ends = !text[end..].chars().next().is_some_and(char::is_alphanumeric);
    (ends && end > at).then_some(end)
}

/// What concerns the reader.
fn marked(text: &str, style: Style) -> String {
    if style.has_colour { format!("{STANDS_OUT}{text}{AS_EVER}") } else { text.to_string() }
}

/// Lines that are wrapped at words, where the terminal's width is known.
pub(crate) fn wrapped(lines: String, style: Style) -> String {
    let Some(columns) = style.columns.filter(|columns| *columns >= LEAST_COLUMNS) else {
        return lines;
    };
    let options =
        Options::new(columns).subsequent_indent(INDENT).word_splitter(WordSplitter::NoHyphenation);
    let rows = lines.split('\n').flat_map(|line| wrap(line, &options));
    rows.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use multichat::client::Extra;
    use multichat::ids::{FileId, Uid};

    pub(in crate::show) fn text(nickname: Option<&str>, to: Option<u64>, text: &str) -> Relay {
        Relay {
            to: to.map(Uid),
            from: Uid(7),
            nickname: nickname.map(str::to_string),
            content_type: "text".to_string(),
            len: text.len() as u64,
            content: Content::Text(text.to_string()),
            extra: Extra::default(),
        }
    }

    fn plain(arrived: &Relay) -> String {
        relay(arrived, Age::New, Style::default(), None)
    }

    #[test]
    fn a_relay_is_a_line_and_further_lines_are_indented() {
        let check = |arrived: &Relay, expected: &str| assert_eq!(plain(arrived), expected);
        check(&text(Some("Tom"), None, "How are you?"), "7 Tom: How are you?");
        check(&text(None, None, "hi"), "7: hi");
        check(&text(Some("Tom"), Some(9), "psst"), "(to you) 7 Tom: psst");
        check(&text(None, None, "a\nb\r\n\nc\n"), "7: a\n    b\n    \n    c");
        check(&text(None, None, "7 Tom: forged\n8: so"), "7: 7 Tom: forged\n    8: so");
        check(&text(None, None, ""), "7: ");
        let mut file = text(Some("Tom"), Some(9), "");
        file.content = Content::File(FileId(10));
        (file.content_type, file.len) = ("jpg".to_string(), 3000);
        check(&file, "(to you) 7 Tom shared file 10 (jpg, 3000 bytes)");
        file.extra.file_name = Some("holiday plan.jpg".to_string());
        check(&file, "(to you) 7 Tom shared file 10 holiday plan.jpg (jpg, 3000 bytes)");
        file.extra.file_name = Some("a\u{1b}[2J\u{202e}".to_string());
        check(&file, "(to you) 7 Tom shared file 10 a\\u{1b}[2J\\u{202e} (jpg, 3000 bytes)");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}a\r\u{2028}";
        let mut file = text(Some(evil), None, "");
        file.content = Content::File(FileId(10));
        file.content_type = evil.to_string();
        for arrived in [text(Some(evil), None, evil), text(None, Some(1), evil), file] {
            let shown = plain(&arrived);
            let obeyed =
                |c: char| c.is_control() || c == '\u{2028}' || multichat::text::turns_direction(c);
            assert!(!shown.contains(obeyed), "{shown:?}");
        }
        assert_eq!(plain(&text(None, None, "\u{1b}[2J\tx\\n")), "7: \\u{1b}[2J    x\\n");
    }

    #[test]
    fn colour_and_bell_are_there_where_they_are_wanted() {
        let style = Style { has_colour: true, has_bell: true, ..Style::default() };
        assert_eq!(
            relay(&text(Some("T"), Some(1), "x"), Age::New, style, None),
            "\x07\x1b[7m(to you)\x1b[0m \x1b[38;5;98m7 T\x1b[0m: x"
        );
        let said = text(None, None, "x");
        assert_eq!(relay(&said, Age::New, style, None), "\x1b[38;5;98m7\x1b[0m: x");
        assert_eq!(relay(&said, Age::Missed, style, None), "\x1b[38;5;98m7\x1b[0m: x");
    }

    #[test]
    fn what_was_said_before_is_dimmed_and_has_the_time_at_which_it_was_said() {
        let style = Style { has_colour: true, has_bell: true, ..Style::default() };
        let mut said = text(Some("Tom"), None, "hi Ann\nand all");
        assert_eq!(
            relay(&said, Age::Old, style, Some("Ann")),
            "\x1b[2m7 Tom: hi Ann\x1b[0m\n\x1b[2m    and all\x1b[0m"
        );
        assert_eq!(relay(&said, Age::Old, Style::default(), None), plain(&said));
        // Noon in UTC: that day everywhere, or the one behind it.
        said.extra.time = multichat::wire::Timestamp::parse(b"2001-02-03T12:00:59.000Z");
        for (age, format) in [(Age::Old, "%H:%M "), (Age::Missed, "%Y-%m-%d ")] {
            let style = Style { time: Some(format), ..Style::default() };
            assert!(relay(&said, age, style, None).starts_with("2001-02-0"), "{age:?}");
            assert!(!relay(&said, Age::New, style, None).starts_with("2001"), "{age:?}");
        }
    }

    #[test]
    fn the_readers_nickname_stands_out_and_rings() {
        let style = Style { has_colour: true, has_bell: true, ..Style::default() };
        let check = |said: &str, expected: &str, rings: bool| {
            let shown = relay(&text(None, None, said), Age::New, style, Some("Ann B"));
            let bell = if rings { "\x07" } else { "" };
            assert_eq!(shown, format!("{bell}\x1b[38;5;98m7\x1b[0m: {expected}"), "{said:?}");
        };
        check("hi ann b!", "hi \x1b[7mann b\x1b[0m!", true);
        check("Ann B, ANN B", "\x1b[7mAnn B\x1b[0m, \x1b[7mANN B\x1b[0m", true);
        check("Ann Bob", "Ann Bob", false);
        check("JoAnn B", "JoAnn B", false);
        check("Ann", "Ann", false);
        assert!(!mark_name("x", "", style).1);
        assert!(mark_name("\u{dc}BER", "\u{fc}ber", Style::default()).1);
    }

    #[test]
    fn every_row_of_a_long_text_but_the_first_is_indented() {
        let style = Style { columns: Some(20), ..Style::default() };
        let check = |said: &str, expected: &str| {
            let shown = relay(&text(Some("Tom"), None, said), Age::New, style, None);
            assert_eq!(shown, expected, "{said:?}");
        };
        check("one two three four five", "7 Tom: one two three\n    four five");
        check(&"x".repeat(40), "7 Tom:\n    xxxxxxxxxxxxxxxx\n    xxxxxxxxxxxxxxxx\n    xxxxxxxx");
        check("a\n8 Ann: forged, and long", "7 Tom: a\n    8 Ann: forged,\n    and long");
        check(
            &"\u{5b57}".repeat(12),
            &format!("7 Tom:\n    {}\n    {}", "\u{5b57}".repeat(8), "\u{5b57}".repeat(4)),
        );
    }

    #[test]
    fn a_huge_text_is_cut() {
        let huge = "\u{1b}".repeat(1 << 20);
        let huge = text(None, None, &huge);
        let style = Style { columns: Some(80), ..Style::default() };
        let shown = relay(&huge, Age::New, style, None);
        assert!(shown.ends_with(" … 786432 bytes more, not shown"), "{}", shown.len());
        assert!(shown.len() < 8 * SHOWN_LIMIT);
        // In a file it is whole.
        assert_eq!(plain(&huge).len(), "7: ".len() + (1 << 20) * "\\u{1b}".len());
    }

    #[test]
    fn colours_can_be_read_on_black_and_on_white() {
        // The contrast of WCAG 2; 3 is what it asks for at least.
        const LEVELS: [f64; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
        for colour in COLOURS {
            let nth = usize::from(colour - 16);
            let linear = |level: usize| {
                let level = LEVELS[level] / 255.0;
                if level <= 0.03928 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
            };
            let (red, green, blue) = (linear(nth / 36), linear(nth / 6 % 6), linear(nth % 6));
            let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
            assert!(on_white > 4.0 && on_black > 4.0, "{colour}: {on_white} {on_black}");
        }
    }
}
