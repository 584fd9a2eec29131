//! `send`: sends one message.

use std::io::{self, Read};

use multichat::args;
use multichat::client::BODY_LIMIT;

use super::{missed, refused};
use crate::Failure;
use crate::clean::{clean, without_mark};
use crate::joining::Questions;
use crate::output::complain;
use crate::settings::Settings;
use crate::transcript::Transcript;

/// Sends one text; standard input, whole, if none is given.
pub(crate) fn run(settings: &Settings, text: Option<&str>, cleans: bool) -> Result<(), Failure> {
    let transcript = Transcript::open(settings)?;
    let text = match text {
        Some(text) => text.as_bytes().to_vec(),
        None => without_mark(&read_standard_input()?).to_vec(),
    };
    let text = if cleans { clean(&text).into_bytes() } else { text };
    let joined = settings.join(Questions { uid: transcript.is_some(), ..Questions::default() })?;
    let to = joined.to.clone().map_err(Failure::Run)?;
    let answer = joined.client.send_text(to, &text).map_err(refused)?;
    joined.leave();
    if let Some(transcript) = transcript {
        let nickname = joined.nickname.as_ref().ok().and_then(Option::as_deref);
        transcript.said(joined.uid, nickname, to, &String::from_utf8_lossy(&text));
    }
    if let Some(missed) = missed(&answer) {
        complain(&missed);
    }
    Ok(())
}

fn read_standard_input() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(BODY_LIMIT + 1).read_to_end(&mut text);
    read.map_err(|error| {
        Failure::Run(format!("cannot read standard input: {}", args::why(&error)))
    })?;
    if text.len() as u64 > BODY_LIMIT {
        return Err(Failure::Run(format!(
            "standard input is over the limit of {BODY_LIMIT} bytes for a text"
        )));
    }
    Ok(text)
}
