//! What files are called: extensions, names that strangers have chosen, and paths as they are shown.

use std::path::Path;

use crate::show::TerminalSafe;
use multichat::client::Incoming;
use multichat::ids::FileId;
use multichat::text::{Extension, FileName};
use rustix::fs::OFlags;

/// What a file without an extension is shared as, and one with an extension that is none.
const NO_EXTENSION: &str = "bin";

/// The flag that opens a pipe without waiting for its other end. Of a regular file it means nothing.
pub(crate) const NO_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// The `Content-Type` of a file by this name; `otherwise`, where the name has no extension, or none
/// that can be told. `text` would make it a message, so it is `txt`.
pub(crate) fn extension_of(name: &str, otherwise: Option<&Extension>) -> Extension {
    let stem_and_extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    let extension = match stem_and_extension {
        Some((stem, last)) if is_tar(stem) => format!("tar.{last}"),
        Some((_, last)) if last.eq_ignore_ascii_case("text") => "txt".to_string(),
        Some((_, last)) => last.to_string(),
        None => String::new(),
    };
    match (Extension::parse(extension.as_bytes()), otherwise) {
        (Some(extension), _) => extension,
        (None, Some(otherwise)) => otherwise.clone(),
        (None, None) => checked_extension(NO_EXTENSION),
    }
}

/// The type that a person names for files: an extension, with or without a dot before it.
pub(crate) fn parse_type(text: &str) -> Result<Extension, &'static str> {
    const NOT: &str = "not a type (a filename's extension, such as pdf)";
    let extension =
        Extension::parse(text.strip_prefix('.').unwrap_or(text).as_bytes()).ok_or(NOT)?;
    match extension.as_str().eq_ignore_ascii_case("text") {
        true => Ok(checked_extension("txt")),
        false => Ok(extension),
    }
}

fn is_tar(stem: &str) -> bool {
    stem.rsplit_once('.').is_some_and(|(stem, last)| !stem.is_empty() && last == "tar")
}

/// An extension, if it is one; a file of any kind otherwise.
pub(crate) fn checked_extension(extension: &str) -> Extension {
    let parse = |text: &str| Extension::parse(text.as_bytes());
    // The other one is an extension; a test says so.
    parse(extension).unwrap_or_else(|| parse(NO_EXTENSION).expect("bin is an extension"))
}

/// What a fetched file is called: its File-ID before the name that its sharer gave to it, so that it is
/// never hidden, never a program's, and never that of another one (E4).
pub(crate) fn own_name(id: FileId, incoming: Incoming<'_>) -> String {
    match incoming.name.and_then(FileName::cleaned) {
        Some(name) => format!("{id} {}", name.as_str()),
        None => own_name_of_type(id, incoming.content_type),
    }
}

/// The same of a file without a name.
pub(crate) fn own_name_of_type(id: FileId, content_type: &str) -> String {
    format!("{id}.{}", checked_extension(content_type).as_str())
}

/// A path that a terminal can be shown.
pub(crate) fn shown_path(path: &Path) -> String {
    TerminalSafe(&path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shared_as_what_its_name_says() {
        let check = |name: &str, expected: &str| {
            assert_eq!(extension_of(name, None).as_str(), expected, "{name:?}");
        };
        check("cat.jpg", "jpg");
        check("a.b.pdf", "pdf");
        check("x.tar.gz", "tar.gz");
        check(".tar.gz", "gz");
        check("tar.gz", "gz");
        check("notes.text", "txt");
        check("README", "bin");
        check(".profile", "bin");
        check("end.", "bin");
        check("a.b c", "bin");
        check("a.\u{e4}", "bin");
    }

    #[test]
    fn a_type_that_is_named_is_that_of_files_whose_name_tells_none() {
        let pdf = parse_type(".pdf").unwrap();
        let check = |name: &str, expected: &str| {
            assert_eq!(extension_of(name, Some(&pdf)).as_str(), expected, "{name:?}");
        };
        check("README", "pdf");
        check("a.b c", "pdf");
        check("", "pdf");
        check("cat.jpg", "jpg");
        check("notes.text", "txt");
        assert_eq!(parse_type("TEXT").unwrap().as_str(), "txt");
        for bad in ["", ".", "a b", "../x"] {
            assert!(parse_type(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_fetched_file_is_called_by_its_file_id_and_its_name() {
        let check = |name: Option<&str>, expected: &str| {
            let incoming = Incoming { content_type: "pdf", name, len: 0 };
            assert_eq!(own_name(FileId(10), incoming), expected, "{name:?}");
        };
        check(Some("holiday plan.pdf"), "10 holiday plan.pdf");
        check(Some(".bashrc"), "10 .bashrc");
        check(Some("../x"), "10 .._x");
        check(Some(".."), "10.pdf");
        check(None, "10.pdf");
    }

    #[test]
    fn what_is_no_extension_never_gets_into_a_name() {
        for hostile in ["../x", "a/b", "", ".", "..", "a..b", "x\u{1b}[2J"] {
            assert_eq!(checked_extension(hostile).as_str(), "bin", "{hostile:?}");
        }
        assert_eq!(checked_extension("tar.gz").as_str(), "tar.gz");
    }
}
