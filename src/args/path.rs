//! Arguments that may be any bytes, since paths may.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::UsageError;

/// Stands for byte 0 in an argument that is not UTF-8, and the next characters for the other bytes:
/// private use characters of the last plane.
const FIRST_BYTE: u32 = 0x10_fd00;

/// The program's arguments as text, since `getopts` takes nothing else. A path may be any bytes:
/// those that are not UTF-8 stand in it as private characters, which [`path_of`] turns back.
pub fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| text_of(&argument)).collect()
}

/// The path that an argument names.
pub fn path_of(argument: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(argument.len());
    for c in argument.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// An argument that has to be text.
///
/// # Errors
/// Where it is not UTF-8.
pub fn text_argument(argument: &str) -> Result<&str, UsageError> {
    match argument.chars().any(|c| byte_of(c).is_some()) {
        true => Err(UsageError(format!("{}: not UTF-8", path_of(argument).display()))),
        false => Ok(argument),
    }
}

fn text_of(argument: &OsStr) -> String {
    let mut text = String::new();
    for chunk in argument.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            // A character that would be taken for a byte is written as its bytes.
            match byte_of(c) {
                Some(_) => push_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text),
                None => text.push(c),
            }
        }
        push_bytes(chunk.invalid(), &mut text);
    }
    text
}

fn push_bytes(bytes: &[u8], text: &mut String) {
    let character = |&byte: &u8| char::from_u32(FIRST_BYTE + u32::from(byte));
    text.extend(bytes.iter().filter_map(character));
}

fn byte_of(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST_BYTE)?).ok()
}

/// The value of option `name`, a path: any bytes, but not empty.
///
/// # Errors
/// `NAME : not …`.
pub fn path_value(
    matches: &getopts::Matches,
    name: &str,
    not: &str,
) -> Result<Option<PathBuf>, UsageError> {
    match matches.opt_str(name) {
        Some(text) if text.is_empty() => Err(UsageError(format!("--{name} : {not}"))),
        text => Ok(text.map(|text| path_of(&text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_any_bytes() {
        let cases: [&[u8]; 5] = [
            b"plain",
            "caf\u{e9}".as_bytes(),
            b"caf\xe9.txt",
            b"\xff\x80/\xc3",
            "\u{10fde9}x".as_bytes(),
        ];
        for bytes in cases {
            let text = text_of(OsStr::from_bytes(bytes));
            assert_eq!(path_of(&text).as_os_str().as_bytes(), bytes);
            let is_text = str::from_utf8(bytes).is_ok() && !bytes.contains(&0xf4);
            assert_eq!(text_argument(&text).is_ok(), is_text, "{}", bytes.escape_ascii());
        }
    }
}
