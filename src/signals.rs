//! Signals, as both programs take them.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The signals that stop a program in an orderly way (P5).
const STOPPING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The signals that are to stop this program: SIGHUP, SIGINT, SIGQUIT and SIGTERM.
///
/// One that was ignored when the program started is left out, and so stays ignored: `nohup` and a
/// shell's background jobs ignore signals for the programs that they start. To be asked before a
/// handler is installed. Where the system does not tell (no `/proc`), none was ignored.
pub fn stopping() -> Vec<i32> {
    let ignored = ignored();
    STOPPING.into_iter().filter(|signal| ignored & mask_of(*signal) == 0).collect()
}

/// The signals that are ignored now, as a mask.
fn ignored() -> u64 {
    fs::read_to_string("/proc/self/status").map_or(0, |status| parse_ignored(&status))
}

fn parse_ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// A signal's bit in the masks of `/proc`.
fn mask_of(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Lets a write beyond the limit on the size of files (`ulimit -f`) fail as on a full disk.
///
/// Without a handler SIGXFSZ ends the program. With one, though it does nothing, the write fails
/// with EFBIG.
///
/// # Errors
/// Where the handler cannot be installed.
pub fn survive_file_size_limit() -> io::Result<()> {
    let noted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::XFSZ.as_raw(), noted).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        let check = |status: &str, expected: u64| {
            assert_eq!(parse_ignored(status), expected, "{status:?}");
        };
        check("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0\n", 0x1003);
        check("SigIgn:\t0\n", 0);
        check("", 0);
        check("SigIgn:\tnone\n", 0);
        assert_eq!(mask_of(SIGHUP), 1);
        assert_eq!(mask_of(SIGINT), 2);
        assert_eq!(mask_of(SIGTERM), 0x4000);
    }
}
