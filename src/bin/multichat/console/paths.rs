//! Paths as they are typed in a line: as they are, blanks and all, or quoted as in a shell.

use std::path::{Path, PathBuf};

/// Puts the home directory in place of a tilde.
pub(crate) fn expand(name: &str) -> PathBuf {
    let home = std::env::home_dir();
    match (name.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        (None, Some(home)) if name == "~" => home,
        _ => Path::new(name).to_path_buf(),
    }
}

/// A path alone.
pub(crate) fn one_path(text: &str) -> Result<PathBuf, &'static str> {
    if !text.contains(['\'', '"', '\\']) {
        return Ok(expand(text));
    }
    match shlex::split(text).as_deref() {
        Some([path]) => Ok(expand(path)),
        None => Err("a quotation mark is not closed"),
        Some(_) => Err("one file's name at most; quote it"),
    }
}

/// A file that is there, and the receiver that may stand behind its name.
pub(crate) fn file_and_receiver(text: &str) -> Result<(PathBuf, Option<String>), &'static str> {
    let is_there = |name: &str| expand(name).exists();
    if is_there(text) {
        return Ok((expand(text), None));
    }
    // The longest name that is there: a receiver's may have blanks as well.
    let blanks = text.rmatch_indices(char::is_whitespace);
    let mut splits = blanks.map(|(at, blank)| (text[..at].trim_end(), &text[at + blank.len()..]));
    if let Some((name, receiver)) = splits.find(|(name, _)| is_there(name)) {
        return Ok((expand(name), Some(receiver.trim().to_string())));
    }
    match shlex::split(text) {
        None => Err("a quotation mark is not closed"),
        Some(words) => match words.as_slice() {
            [file] => Ok((expand(file), None)),
            [file, receiver @ ..] if is_there(file) => Ok((expand(file), Some(receiver.join(" ")))),
            // Nothing of it is there: what was typed is what is said not to be.
            _ => Ok((expand(text), None)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_path_is_read_as_it_is_or_quoted() {
        let check = |text: &str, expected: &str| {
            assert_eq!(one_path(text), Ok(PathBuf::from(expected)), "{text:?}");
        };
        check("a b.txt", "a b.txt");
        check("'a b.txt'", "a b.txt");
        check("a\\ b", "a b");
        assert!(one_path("'a").is_err() && one_path("'a' b").is_err());
        let home = std::env::home_dir().unwrap();
        assert_eq!(one_path("~/x"), Ok(home.join("x")));
        assert_eq!(expand("~x/y"), PathBuf::from("~x/y"));
    }

    #[test]
    fn a_file_that_is_there_is_told_from_its_receiver() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        for name in ["a", "a b", "it's"] {
            fs::write(format!("{dir}/{name}"), "").unwrap();
        }
        let check = |text: &str, file: &str, receiver: Option<&str>| {
            let (path, found) = file_and_receiver(&text.replace('@', dir)).unwrap();
            assert_eq!(path, PathBuf::from(file.replace('@', dir)), "{text:?}");
            assert_eq!(found.as_deref(), receiver, "{text:?}");
        };
        check("@/a", "@/a", None);
        check("@/a 7", "@/a", Some("7"));
        check("@/a b", "@/a b", None);
        check("@/a b 7", "@/a b", Some("7"));
        check("@/a  Tom Smith", "@/a", Some("Tom Smith"));
        check("'@/a b' Tom", "@/a b", Some("Tom"));
        check("@/it's 7", "@/it's", Some("7"));
        check("@/none here", "@/none here", None);
        assert!(file_and_receiver("'none").is_err());
    }
}
