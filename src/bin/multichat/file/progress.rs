//! How far a transfer is: a bar on a terminal, plain lines for a screen reader, or nothing.

use std::io::{self, IsTerminal, Write};

use crate::show::TerminalSafe;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// What is sent and received faster than a person could read is not told of in lines.
const TOLD_BYTES: u64 = 1 << 20;

/// How many characters a bar has that is drawn as text.
const BAR_CHARS: u64 = 20;

/// Tells a person how far a transfer is.
pub(crate) enum Progress {
    /// Nobody looks.
    None,
    /// A bar on standard error.
    Bar(ProgressBar),
    /// Lines, one for each so many percent.
    Lines(Lines),
}

/// Progress as lines of text.
pub(crate) struct Lines {
    say: Box<dyn Fn(String) + Send>,
    name: String,
    len: u64,
    /// The least difference between two lines, in percent.
    step: u64,
    has_bar: bool,
    said: u64,
}

impl Progress {
    /// On standard error: a bar, or lines where bars are not wanted; nothing where it is no terminal.
    pub(crate) fn on_stderr(is_plain: bool) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress::None;
        }
        if is_plain {
            return Progress::in_quarters(|line| {
                // Where standard error does not take it nobody reads it.
                let _ = writeln!(io::stderr(), "{line}");
            });
        }
        Progress::Bar(ProgressBar::hidden())
    }

    /// A line for each quarter, given to `say`.
    pub(crate) fn in_quarters(say: impl Fn(String) + Send + 'static) -> Progress {
        Progress::lines(say, 25, false)
    }

    /// A line with a bar for each percent, given to `say`, which is to show the last one alone.
    pub(crate) fn in_place(say: impl Fn(String) + Send + 'static) -> Progress {
        Progress::lines(say, 1, true)
    }

    fn lines(say: impl Fn(String) + Send + 'static, step: u64, has_bar: bool) -> Progress {
        let say = Box::new(say);
        Progress::Lines(Lines { say, name: String::new(), len: 0, step, has_bar, said: 0 })
    }

    /// A transfer of `len` bytes begins.
    pub(crate) fn begin(&mut self, name: &str, len: u64) {
        match self {
            Progress::None => {}
            Progress::Bar(bar) => {
                *bar = ProgressBar::new(len).with_message(TerminalSafe(name).to_string());
                let template = "{msg} [{bar:30}] {bytes} of {total_bytes}, {binary_bytes_per_sec}";
                // Where the template is wrong the bar looks as it does without.
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style.progress_chars("=> "));
                }
            }
            Progress::Lines(lines) => {
                (lines.name, lines.len, lines.said) = (TerminalSafe(name).to_string(), len, 0);
            }
        }
    }

    /// So many bytes of it are done.
    pub(crate) fn advance_to(&mut self, bytes: u64) {
        match self {
            Progress::None => {}
            Progress::Bar(bar) => bar.set_position(bytes),
            Progress::Lines(lines) => lines.advance_to(bytes),
        }
    }

    /// It has ended, one way or the other.
    pub(crate) fn end(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn advance_to(&mut self, bytes: u64) {
        let percent = bytes.saturating_mul(100).checked_div(self.len).unwrap_or(100);
        let percent = percent / self.step * self.step;
        if self.len < TOLD_BYTES || percent <= self.said {
            return;
        }
        self.said = percent;
        let (name, total) = (&self.name, HumanBytes(self.len));
        let bar = if self.has_bar {
            let done = "=".repeat(usize::try_from(percent * BAR_CHARS / 100).unwrap_or(0));
            format!(" [{done:0$}]", usize::try_from(BAR_CHARS).unwrap_or(0))
        } else {
            ":".to_string()
        };
        (self.say)(format!("{name}{bar} {percent} % of {total}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use parking_lot::Mutex;

    fn said(len: u64, steps: &[u64]) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = Arc::clone(&lines);
        let mut progress = Progress::in_quarters(move |line| said.lock().push(line));
        progress.begin("cat.jpg", len);
        for &step in steps {
            progress.advance_to(step);
        }
        progress.end();
        std::mem::take(&mut *lines.lock())
    }

    #[test]
    fn a_long_transfer_is_told_in_quarters() {
        let len = 4 << 20;
        let expected = [
            "cat.jpg: 25 % of 4.00 MiB",
            "cat.jpg: 75 % of 4.00 MiB",
            "cat.jpg: 100 % of 4.00 MiB",
        ];
        assert_eq!(said(len, &[1, 1 << 20, (1 << 20) + 1, 3 << 20, len]), expected);
        assert_eq!(said(1000, &[1000]), [""; 0]);
        assert_eq!(said(0, &[0]), [""; 0]);
    }
}
