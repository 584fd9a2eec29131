//! What a filename extension may be: never, and never part of, a path (§2.1.1.1).

use std::fs;

use tempfile::tempdir;

use crate::common::{Server, pattern};

use super::visible;

const ALLOWED: [&str; 16] = [
    "jpg",
    "JPG",
    "Jpeg",
    "tar.gz",
    "a",
    "7z",
    "mp3",
    "c++",
    "x-y",
    "x_y",
    "_",
    "-",
    "+",
    "a.b.c.d",
    "texts",
    "abcdefghijklmnopqrstuvwxyz-32.bit",
];

const REFUSED: [&str; 31] = [
    ".",
    "..",
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "/",
    "a/b",
    "a/../b",
    "./jpg",
    "jpg/",
    "..\\x",
    "a\\b",
    "c:x",
    ".jpg",
    "jpg.",
    "a..b",
    "...",
    "a b",
    "a\tb",
    "~",
    "~root",
    "*",
    "a?",
    "%2e%2e%2f",
    "$HOME",
    "`id`",
    "a;b",
    "a|b",
    "\"jpg\"",
    "image/jpeg",
    "abcdefghijklmnopqrstuvwxyz-33.bits",
];

#[test]
fn extension_that_is_allowed_is_relayed_listed_and_fetched_as_it_came() {
    // §2.1.1.1: "{filename extension}": letters, digits, `_`, `+`, `-` and single dots within, at
    // most 32 bytes.
    let stage = tempdir().unwrap();
    let server = Server::with(&["--stage", stage.path().to_str().unwrap()]);
    let (mut sharer, mut other) = (server.join(), server.join());
    for (file_id, extension) in (1..).zip(ALLOWED) {
        let extension = &extension[..extension.len().min(32)];
        assert_eq!(sharer.share(extension, "content").ok().number("File-ID"), file_id);
        assert_eq!(other.relay().field("Content-Type"), extension);
        let fetched = other.fetch(file_id).ok();
        assert_eq!((fetched.field("Content-Type"), fetched.text()), (extension, "content"));
        let listed = format!("{file_id} {extension} 7 1");
        assert_eq!(other.query("files").ok().text().lines().last(), Some(&*listed));
        let path = stage.path().join(format!("{file_id}.{extension}"));
        assert_eq!(fs::read_to_string(path).unwrap(), "content");
    }
}

#[test]
fn extension_that_is_not_allowed_is_refused_and_nothing_is_staged() {
    // It can never be or contain a path.
    let top = tempdir().unwrap();
    let stage = top.path().join("stage");
    let server = Server::with(&["--stage", stage.to_str().unwrap()]);
    let (mut sharer, mut other) = (server.join(), server.join());
    for extension in REFUSED {
        eprintln!("case: {extension:?}");
        let error = sharer.share(extension, "content");
        assert!(error.reason().contains("Content-Type"), "{error:?}");
        let error = sharer.share_to(2, extension, pattern(1, 200_000));
        assert!(error.reason().contains("Content-Type"), "{error:?}");
    }
    other.expect_nothing();
    assert_eq!(other.query("files").ok().text(), "");
    let names: Vec<_> =
        fs::read_dir(top.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["stage"]);
    assert_eq!(visible(&stage), [""; 0]);
}
