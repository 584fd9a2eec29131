//! `--log FILE`: what is said, with date and time, for the person's own reading.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use multichat::args;
use multichat::client::Relay;
use multichat::ids::Uid;
use parking_lot::Mutex;

use crate::Failure;
use crate::file::name::shown_path;
use crate::output::complain;
use crate::settings::Settings;
use crate::show::line;
use crate::show::{Age, Style, TerminalSafe, sender, time};

/// Only the person may read it: private messages are in it.
const MODE: u32 = 0o600;

const TIME: &str = "%Y-%m-%d %H:%M:%S ";

/// A file to which what is said is appended.
pub(crate) struct Transcript {
    file: Mutex<Option<File>>,
    path: PathBuf,
}

impl Transcript {
    /// Opens the file that was named, if one was.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Transcript>, Failure> {
        settings.log.as_deref().map(Transcript::open_at).transpose().map_err(|(path, error)| {
            let why = args::why(&error);
            Failure::Run(format!("cannot append to {}: {why}", shown_path(&path)))
        })
    }

    fn open_at(path: &Path) -> Result<Transcript, (PathBuf, io::Error)> {
        let file = File::options().append(true).create(true).mode(MODE).open(path);
        let file = file.map_err(|error| (path.to_path_buf(), error))?;
        Ok(Transcript { file: Mutex::new(Some(file)), path: path.to_path_buf() })
    }

    /// Appends what has arrived; what was said before the person came is not of this conversation.
    pub(crate) fn relay(&self, relay: &Relay, age: Age) {
        if age == Age::Old {
            return;
        }
        let style = Style { time: Some(TIME), ..Style::default() };
        self.append(&line::relay(relay, age, style, None));
    }

    /// Appends what the person has said.
    pub(crate) fn said(
        &self,
        from: Option<Uid>,
        nickname: Option<&str>,
        to: Option<Uid>,
        text: &str,
    ) {
        let from = from.map_or_else(|| "you".to_string(), |uid| sender(uid, nickname));
        let to = to.map(|uid| format!("(to {uid}) ")).unwrap_or_default();
        let lines = text.trim_end().lines().map(|line| TerminalSafe(line).to_string());
        let text = lines.collect::<Vec<_>>().join("\n    ");
        self.append(&format!("{}{to}{from}: {text}", time(TIME)));
    }

    /// A full disk is said once; the conversation goes on.
    fn append(&self, line: &str) {
        let mut file = self.file.lock();
        let Some(open) = &mut *file else { return };
        if let Err(error) = open.write_all(format!("{line}\n").as_bytes()) {
            *file = None;
            let path = shown_path(&self.path);
            complain(&format!("cannot append to {path} any more: {}", args::why(&error)));
        }
    }
}
