//! `share`: shares files.

use multichat::ids::FileId;
use multichat::text::Extension;

use crate::Failure;
use crate::file::progress::Progress;
use crate::file::share::{NotShared, Outgoing, Source};
use crate::joining::{Joined, NotJoined, Questions};
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
        match share(settings, &mut joined, join, source, extension) {
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
    joined: &mut Joined,
    join: impl Fn() -> Result<Joined, NotJoined>,
    source: &Source,
    extension: Option<&Extension>,
) -> Result<FileId, String> {
    let file = Outgoing::open(source, extension)?;
    let progress = || Progress::on_stderr(settings.is_plain);
    let (why, again) = match file.share(joined, joined.to.clone()?, progress()) {
        Ok(id) => return Ok(id),
        Err(NotShared { why, again }) => (why, again),
    };
    let Some(file) = again else { return Err(why) };
    if joined.client.is_lost() {
        *joined = join().map_err(|_| why)?;
    }
    file.share(joined, joined.to.clone()?, progress()).map_err(|not| not.why)
}
