//! The page for browsers: three files, which are in the program itself.

use super::http::answer::Part;

const PAGE: &str = include_str!("chat.html");
const SCRIPT: &str = include_str!("chat.js");
const STYLE: &str = include_str!("chat.css");

/// What a part of the page holds.
pub fn content(part: Part) -> &'static str {
    match part {
        Part::Page => PAGE,
        Part::Script => SCRIPT,
        Part::Style => STYLE,
    }
}
