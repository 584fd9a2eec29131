//! How files are called in the stage's directory, and what a name says at a restart (E4, E5).
//!
//! A public file is `10.pdf`, or `10 holiday plan.pdf` where its sharer gave it a name. What is
//! hidden is the server's alone: a file that is arriving (`.arriving.7`), and a private one
//! (`.private.10.pdf`).

use crate::ids::FileId;
use crate::text::{Charset, Extension, FILE_NAME_LIMIT, FileName};
use crate::wire::parse_number;

/// The file that marks a directory as a server's own.
pub const MARK: &str = ".multichat-stage";

/// The extended attribute in which a shared file keeps its File-ID, where the file system has such:
/// it tells the file from others that somebody calls by the same number.
pub(super) const FILE_ID_ATTRIBUTE: &str = "user.multichat.file-id";

/// The largest File-ID that is taken up at a restart: far more are left to go on from there.
const FILE_ID_LIMIT: u64 = u64::MAX / 2;

const ARRIVING: &str = ".arriving.";
const PRIVATE: &str = ".private.";

/// What the name of a public file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) id: FileId,
    pub(super) extension: Extension,
    /// The name that its sharer gave it, with the type that was appended to it.
    pub(super) name: Option<FileName>,
}

/// The name of a file that is arriving.
pub(super) fn arriving(number: u64) -> String {
    format!("{ARRIVING}{number}")
}

/// The name of a staged file to which nobody gave one.
pub(super) fn plain(id: FileId, extension: &Extension, is_private: bool) -> String {
    let hidden = if is_private { PRIVATE } else { "" };
    format!("{hidden}{id}.{}", extension.as_str())
}

/// The name of a public file whose sharer called it `name`: the type is appended where it does not
/// end in it.
pub(super) fn named(id: FileId, name: &FileName, extension: &Extension) -> String {
    let (name, extension) = (name.as_str(), extension.as_str());
    let has_type = name
        .len()
        .checked_sub(extension.len() + 1)
        .and_then(|at| name.get(at..)?.strip_prefix('.'))
        .is_some_and(|end| end.eq_ignore_ascii_case(extension));
    if has_type { format!("{id} {name}") } else { format!("{id} {name}.{extension}") }
}

/// Reads the name of a public file, as this module makes it; `None` for any other name.
pub(super) fn parse(name: &str) -> Option<Parsed> {
    let (digits, rest) = split_number(name)?;
    let id = FileId(parse_number(digits.as_bytes())?);
    if id.0 > FILE_ID_LIMIT {
        return None;
    }
    if let Some(extension) = rest.strip_prefix('.') {
        let extension = Extension::parse(extension.as_bytes())?;
        return Some(Parsed { id, extension, name: None });
    }
    let name = rest.strip_prefix(' ')?;
    let extension = type_of(name)?;
    Some(Parsed { id, name: Some(as_given(name)?), extension })
}

/// The type that a name ends in: what is behind its last dot, with a `tar.` before it where there
/// is something before that.
fn type_of(name: &str) -> Option<Extension> {
    let (stem, last) = name.rsplit_once('.')?;
    let of_tar = stem.strip_suffix(".tar").filter(|before| !before.is_empty());
    let with_tar = of_tar.and_then(|_| Extension::parse(format!("tar.{last}").as_bytes()));
    with_tar.or_else(|| Extension::parse(last.as_bytes()))
}

/// The name that a sharer gave; one that is too long with the type that was appended to it is told
/// without. `None` where it is none that a file may have.
fn as_given(name: &str) -> Option<FileName> {
    let mut given = name;
    while given.len() > FILE_NAME_LIMIT {
        given = given.rsplit_once('.')?.0;
    }
    let parsed = FileName::parse(given.as_bytes(), Charset::Utf8).ok()?;
    // White space around a name is dropped: what has some was not made here.
    (parsed.as_str() == given).then_some(parsed)
}

/// Reads the name of a private file; its File-ID.
pub(super) fn parse_private(name: &str) -> Option<FileId> {
    parse(name.strip_prefix(PRIVATE)?).map(|parsed| parsed.id)
}

/// Whether it is the name of a file that was arriving.
pub(super) fn is_arriving(name: &str) -> bool {
    let number = name.strip_prefix(ARRIVING);
    number.is_some_and(|number| parse_number(number.as_bytes()).is_some())
}

/// The File-ID that something by this name takes up, whatever it is.
pub(super) fn number(name: &[u8]) -> Option<u64> {
    let name = name.strip_prefix(PRIVATE.as_bytes()).unwrap_or(name);
    let end = name.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(name.len());
    let (digits, rest) = name.split_at(end);
    let ends = matches!(rest.first(), None | Some(b'.' | b' '));
    if !ends || digits.first() == Some(&b'0') { None } else { parse_number(digits) }
}

/// A number from 1 without leading zeros, and what is behind it.
fn split_number(name: &str) -> Option<(&str, &str)> {
    let end = name.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = name.split_at(end);
    (!digits.is_empty() && !digits.starts_with('0')).then_some((digits, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(text: &str) -> Extension {
        Extension::parse(text.as_bytes()).unwrap()
    }

    fn file_name(text: &str) -> FileName {
        FileName::parse(text.as_bytes(), Charset::Utf8).unwrap()
    }

    #[test]
    fn a_file_is_called_by_its_id_and_name_and_type() {
        let check = |name: &str, kind: &str, expected: &str| {
            let got = named(FileId(10), &file_name(name), &extension(kind));
            assert_eq!(got, expected, "{name:?}, {kind}");
        };
        check("holiday plan.pdf", "pdf", "10 holiday plan.pdf");
        check("README", "txt", "10 README.txt");
        check("cat.JPG", "jpg", "10 cat.JPG");
        check("x.tar.gz", "tar.gz", "10 x.tar.gz");
        check("tar.gz", "tar.gz", "10 tar.gz.tar.gz");
        check("pdf", "pdf", "10 pdf.pdf");
        check(".pdf", "pdf", "10 .pdf");
        check(".profile", "bin", "10 .profile.bin");
        check("\u{e4}", "a.b", "10 \u{e4}.a.b");
        check("\u{1f600}df", "df", "10 \u{1f600}df.df");
        check(&"x".repeat(200), "x", &format!("10 {}.x", "x".repeat(200)));
    }

    #[test]
    fn a_name_says_at_a_restart_what_it_was_made_of() {
        let check = |name: &str, expected: Option<(u64, Option<&str>, &str)>| {
            let parsed = parse(name);
            let got = parsed.as_ref().map(|parsed| {
                (parsed.id.0, parsed.name.as_ref().map(FileName::as_str), parsed.extension.as_str())
            });
            assert_eq!(got, expected, "{name:?}");
        };
        check("10.pdf", Some((10, None, "pdf")));
        check("10.a.b", Some((10, None, "a.b")));
        check("10 holiday plan.pdf", Some((10, Some("holiday plan.pdf"), "pdf")));
        check("10 a.b.c", Some((10, Some("a.b.c"), "c")));
        check("10 x.tar.gz", Some((10, Some("x.tar.gz"), "tar.gz")));
        check("10 tar.gz", Some((10, Some("tar.gz"), "gz")));
        check("10 .tar.gz", Some((10, Some(".tar.gz"), "gz")));
        check("10 .pdf", Some((10, Some(".pdf"), "pdf")));
        check("9223372036854775807.x", Some((9_223_372_036_854_775_807, None, "x")));
        let others = [
            "",
            "10",
            "10.",
            "10 ",
            "10 README",
            "10 a.",
            "10 a.b c",
            "10  a.pdf",
            "10 a/b.c",
            "0.jpg",
            "007.jpg",
            "-1.jpg",
            "x.1",
            ".1.jpg",
            "10-a.jpg",
            "10 a\u{1b}.jpg",
            "10\ta.jpg",
            "9223372036854775808.jpg",
            "18446744073709551616.jpg",
            ".private.10.pdf",
        ];
        for name in others {
            check(name, None);
        }
        // As long as a name with its type can be.
        let long = "x".repeat(200);
        check(&format!("10 {long}.pdf"), Some((10, Some(&long), "pdf")));
        check(&format!("10 {long}.a.b"), Some((10, Some(&long), "b")));
        check(&format!("10 {long}.tar.gz"), Some((10, Some(&long), "tar.gz")));
        check(&format!("10 {long}{long}.pdf"), None);
    }

    #[test]
    fn what_is_named_is_recognised_again() {
        for (name, kind) in [("a", "b"), ("a.b", "b"), ("x.tar.gz", "gz"), ("x", "tar.gz")] {
            let made = named(FileId(7), &file_name(name), &extension(kind));
            let parsed = parse(&made).unwrap();
            assert_eq!(parsed.id, FileId(7));
            assert!(made.ends_with(parsed.name.unwrap().as_str()), "{made:?}");
            assert!(parsed.extension.as_str().ends_with(kind), "{made:?}");
        }
        for is_private in [false, true] {
            let made = plain(FileId(7), &extension("tar.gz"), is_private);
            assert_eq!(number(made.as_bytes()), Some(7), "{made:?}");
            assert_eq!(parse(&made).is_some(), !is_private);
            assert_eq!(parse_private(&made), is_private.then_some(FileId(7)));
        }
        assert!(is_arriving(&arriving(7)));
        for other in [".arriving.", ".arriving.x", ".arriving.1.txt", "arriving.1"] {
            assert!(!is_arriving(other), "{other:?}");
        }
    }

    #[test]
    fn every_short_name_that_is_a_staged_files_is_made_again_from_what_it_says() {
        const LETTERS: [char; 6] = ['1', '0', ' ', '.', 'a', '/'];
        let mut names = vec![String::new()];
        let mut count = 0;
        for _ in 0..6 {
            names = names
                .iter()
                .flat_map(|name| LETTERS.map(|letter| format!("{name}{letter}")))
                .collect();
            for name in &names {
                let Some(Parsed { id, extension, name: given }) = parse(name) else { continue };
                assert_eq!(number(name.as_bytes()), Some(id.0), "{name:?}");
                let made = match given {
                    Some(given) => named(id, &given, &extension),
                    None => plain(id, &extension, false),
                };
                assert_eq!(made, *name);
                count += 1;
            }
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn a_number_is_taken_by_whatever_begins_with_it() {
        for name in ["12", "12.", "12.jpg", "12 notes", "12 a.b", ".private.12.jpg", "12.a/b"] {
            assert_eq!(number(name.as_bytes()), Some(12), "{name:?}");
        }
        for name in ["", "x12", "012.jpg", "12x.jpg", "12-3.jpg", ".12.jpg", ".arriving.12"] {
            assert_eq!(number(name.as_bytes()), None, "{name:?}");
        }
    }
}
