//! `files`: lists the files that can be fetched.

use super::{leave, refused};
use crate::Failure;
use crate::output;
use crate::settings::Settings;
use crate::show::TerminalSafe;

/// One line a file: File-ID, Content-Type, Content-Length, From.
pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    let client = settings.join()?;
    let files = client.files().map_err(refused)?;
    leave(&client);
    let line = |file: &String| format!("{}\n", TerminalSafe(file));
    output::print(&files.iter().map(line).collect::<String>())
}
