//! `share`: shares files.

use multichat::text::Extension;

use crate::Failure;
use crate::file::progress::Progress;
use crate::file::share::{Outgoing, Source};
use crate::joining::{Joined, Questions};
use crate::output::{self, complain};
use crate::settings::Settings;

/// Shares files, and prints each File-ID. One that fails does not keep the others back.
pub(crate) fn run(
    settings: &Settings,
    sources: &[Source],
    extension: Option<&Extension>,
) -> Result<(), Failure> {
    let join = || settings.join(Questions { features: true, ..Questions::default() });
    let mut joined = join()?;
    let mut has_failed = false;
    for source in sources {
        // A file that was refused while it was sent has taken the connection with it.
        if joined.client.is_lost() {
            joined = join()?;
        }
        match share(settings, &joined, source, extension) {
            Ok(id) => output::print(&format!("{id}\n"))?,
            Err(why) => {
                has_failed = true;
                complain(&why);
            }
        }
    }
    if has_failed { Err(Failure::Silent) } else { Ok(()) }
}

fn share(
    settings: &Settings,
    joined: &Joined,
    source: &Source,
    extension: Option<&Extension>,
) -> Result<multichat::ids::FileId, String> {
    let file = Outgoing::open(source, extension)?;
    file.share(joined, joined.to.clone()?, Progress::on_stderr(settings.is_plain))
}
