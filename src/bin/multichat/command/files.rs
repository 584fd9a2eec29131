//! `files`: lists the files that can be fetched.

use multichat::wire::query::FileLine;
use serde_json::json;

use super::refused;
use crate::Failure;
use crate::joining::Questions;
use crate::output;
use crate::settings::Settings;
use crate::show::{TerminalSafe, json};

/// One line a file: File-ID, Content-Type, Content-Length, From, and its name where it has one.
pub(crate) fn run(settings: &Settings, as_json: bool) -> Result<(), Failure> {
    let joined = settings.join(Questions { extended: true, ..Questions::default() })?;
    let files = joined.list_files().map_err(refused)?;
    joined.leave();
    let line = |file: &String| match as_json {
        true => as_object(file),
        false => Some(TerminalSafe(file).to_string()),
    };
    let lines = files.iter().filter_map(line).map(|line| line + "\n");
    output::print(&lines.collect::<String>())
}

/// A line of the server's as an object; `None` where it is none.
fn as_object(file: &str) -> Option<String> {
    let file = FileLine::parse(file)?;
    let mut object = json!({
        "kind": "file",
        "file_id": file.id.0,
        "content_type": file.content_type,
        "bytes": file.len,
        "from": file.from.0,
    });
    if let Some(name) = file.name {
        object["name"] = name.into();
    }
    Some(json::line(&object))
}

/// The server's lines under a head, in columns.
pub(crate) fn table(files: &[String]) -> Vec<String> {
    let is_named = |file: &String| FileLine::parse(file).is_some_and(|file| file.name.is_some());
    let head = ["File-ID", "type", "bytes", "from", "name"].map(str::to_string);
    let head = head[..if files.iter().any(is_named) { 5 } else { 4 }].to_vec();
    let rows = files.iter().map(|file| {
        file.splitn(5, ' ').map(|word| TerminalSafe(word).to_string()).collect::<Vec<_>>()
    });
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width_of = |nth: usize| {
        rows.iter().filter_map(|row| row.get(nth)).map(|word| word.chars().count()).max()
    };
    let widths: Vec<usize> = (0..5).map(|nth| width_of(nth).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        // Words to the left, numbers to the right; the last one needs no room behind it.
        let cells = row.iter().zip(&widths).enumerate().map(|(nth, (word, width))| match nth {
            _ if nth + 1 == row.len() => word.clone(),
            1 => format!("{word:<width$}"),
            _ => format!("{word:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_in_columns_under_a_head() {
        let files = ["1 jpg 3000 7", "10 tar.gz 12345678 7"].map(str::to_string);
        let expected = [
            "File-ID  type       bytes  from",
            "      1  jpg         3000  7",
            "     10  tar.gz  12345678  7",
        ];
        assert_eq!(table(&files), expected);
        assert_eq!(as_object("1 \u{1b} x 7"), None);
        let files = ["1 jpg 3000 7 my cat.jpg", "10 tar.gz 12345678 12"].map(str::to_string);
        let expected = [
            "File-ID  type       bytes  from  name",
            "      1  jpg         3000     7  my cat.jpg",
            "     10  tar.gz  12345678  12",
        ];
        assert_eq!(table(&files), expected);
    }
}
