//! `fetch`: saves a shared file.

use multichat::ids::FileId;

use crate::Failure;
use crate::file::fetch::{NotFetched, fetch};
use crate::file::name::shown_path;
use crate::file::progress::Progress;
use crate::file::saving::Target;
use crate::joining::Questions;
use crate::output;
use crate::settings::Settings;

/// Saves a shared file, and prints its name where it got one of its own.
pub(crate) fn run(settings: &Settings, id: FileId, target: &Target) -> Result<(), Failure> {
    // The name of a file is told in the extended form alone.
    let extended = matches!(target, Target::In(_));
    let joined = settings.join(Questions { extended, ..Questions::default() })?;
    let progress = match target {
        Target::Stdout => Progress::None,
        Target::In(_) | Target::File(_) => Progress::on_stderr(settings.is_plain),
    };
    let saved = fetch(&joined.client, id, target, progress).map_err(|why| {
        if !matches!(why, NotFetched::Refused(_)) {
            // The rest of it, which nobody wants, is not waited for.
            joined.give_up();
        }
        match why {
            NotFetched::Stdout(error) => output::failed(&error),
            why => Failure::Run(why.why()),
        }
    })?;
    if matches!(target, Target::In(_))
        && let Some(path) = saved
    {
        output::print(&format!("{}\n", shown_path(&path)))?;
    }
    Ok(())
}
