//! The room where lines are not edited: `--plain`, and terminals that cannot do it. The terminal edits
//! the lines itself, and no escape sequence is written to it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use multichat::args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::screen::Screen;
use crate::Failure;
use crate::clean::without_mark;

/// Hands lines on as they are entered, until `enter` says that there are enough, or the person leaves.
pub(crate) fn read_lines(
    screen: &Screen,
    woken: &UnixStream,
    mut enter: impl FnMut(&str) -> bool,
) -> Result<(), Failure> {
    let mut waiting = Vec::new();
    loop {
        if let Some(why) = screen.ended() {
            return Err(Failure::Run(why));
        }
        let ended = !read(&mut waiting, woken).map_err(|error| {
            Failure::Run(format!("cannot read from the terminal: {}", args::why(&error)))
        })?;
        if ended && !waiting.is_empty() {
            waiting.push(b'\n');
        }
        while let Some(end) = waiting.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            match str::from_utf8(without_mark(&line)) {
                Ok(line) if enter(line) => {}
                Ok(_) => return Ok(()),
                Err(_) => screen.notice("what was typed is not UTF-8: not sent"),
            }
        }
        if ended {
            return Ok(());
        }
    }
}

/// Waits for more, or to be woken; `false` at the end of input.
fn read(waiting: &mut Vec<u8>, woken: &UnixStream) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
    match poll(&mut polled, None) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    let [has_keys, was_woken] = polled.map(|polled| !polled.revents().is_empty());
    if was_woken {
        let mut drained = [0; 64];
        while matches!((&*woken).read(&mut drained), Ok(count) if count > 0) {}
    }
    if !has_keys {
        return Ok(true);
    }
    let mut bytes = [0; 4096];
    match rustix::io::read(&stdin, &mut bytes) {
        Ok(count) => {
            waiting.extend_from_slice(&bytes[..count]);
            Ok(count > 0)
        }
        Err(Errno::INTR | Errno::AGAIN) => Ok(true),
        // The terminal has gone.
        Err(Errno::IO) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
