//! What a server says that it knows beyond the draft: its answer to `query` with the body `features`.

/// What a server knows beyond the draft; of one that does not tell, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Each line's name, and its value where there is one.
    lines: Vec<(String, Option<String>)>,
}

impl Features {
    /// Reads the answer: `NAME` or `NAME VALUE` a line. Lines that nobody knows do no harm.
    pub fn parse(body: &str) -> Features {
        let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines = lines.map(|line| match line.split_once(' ') {
            Some((name, value)) => (name.to_string(), Some(value.trim().to_string())),
            None => (line.to_string(), None),
        });
        Features { lines: lines.collect() }
    }

    /// Whether the server lists `name`.
    pub fn has(&self, name: &str) -> bool {
        self.lines.iter().any(|(listed, _)| listed == name)
    }

    /// The largest file that the server takes, in bytes, where it tells.
    pub fn max_file(&self) -> Option<u64> {
        self.number("max-file")
    }

    /// The longest text that the server takes, in bytes, where it tells.
    pub fn max_text(&self) -> Option<u64> {
        self.number("max-text")
    }

    fn number(&self, name: &str) -> Option<u64> {
        let (_, value) = self.lines.iter().find(|(listed, _)| listed == name)?;
        value.as_deref()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_names_and_values_and_unknown_lines_do_no_harm() {
        let features = Features::parse("self\nfuture 1 2\nmax-file 16777216\r\n\nmax-text x\n");
        assert!(features.has("self") && features.has("future") && !features.has("names"));
        assert_eq!((features.max_file(), features.max_text()), (Some(16 << 20), None));
        // A server of the draft may answer like any other query.
        assert_eq!(Features::parse("1\n2\n").max_file(), None);
        assert_eq!(Features::parse(""), Features::default());
    }
}
