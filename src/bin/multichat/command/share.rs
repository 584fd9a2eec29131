//! `share`: shares files.

use std::path::PathBuf;

use super::leave;
use crate::Failure;
use crate::file::progress::Progress;
use crate::file::share::Outgoing;
use crate::output::{self, complain};
use crate::settings::Settings;

/// Shares files, and prints each File-ID. One that fails does not keep the others back.
pub(crate) fn run(settings: &Settings, paths: &[PathBuf]) -> Result<(), Failure> {
    let client = settings.join()?;
    let mut has_failed = false;
    for path in paths {
        let progress = Progress::on_stderr(settings.is_plain);
        let shared =
            Outgoing::open(path).and_then(|file| file.share(&client, settings.to, progress));
        match shared {
            Ok(id) => output::print(&format!("{id}\n"))?,
            Err(why) => {
                has_failed = true;
                complain(&why);
            }
        }
    }
    leave(&client);
    if has_failed { Err(Failure::Silent) } else { Ok(()) }
}
