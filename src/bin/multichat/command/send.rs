//! `send`: sends one message.

use std::io::{self, Read};

use multichat::client::BODY_LIMIT;

use super::{leave, refused};
use crate::Failure;
use crate::output::complain;
use crate::settings::Settings;
use crate::show::TerminalSafe;

/// Sends one text; standard input, whole, if none is given.
pub(crate) fn run(settings: &Settings, text: Option<&str>) -> Result<(), Failure> {
    let text = match text {
        Some(text) => text.as_bytes().to_vec(),
        None => read_standard_input()?,
    };
    let client = settings.join()?;
    let answer = client.send_text(settings.to, &text).map_err(refused)?;
    leave(&client);
    let missed = answer.text();
    if !missed.trim().is_empty() {
        // It reached others.
        complain(&TerminalSafe(missed.trim()).to_string());
    }
    Ok(())
}

fn read_standard_input() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(BODY_LIMIT + 1).read_to_end(&mut text);
    read.map_err(|error| Failure::Run(format!("cannot read standard input: {error}")))?;
    if text.len() as u64 > BODY_LIMIT {
        return Err(Failure::Run(format!(
            "standard input is over the limit of {BODY_LIMIT} bytes for a text"
        )));
    }
    Ok(text)
}
