//! What happens when a thread panics that all clients share.
//!
//! A server that half works is worse than one that is started again: nobody would be accepted, say,
//! or no stalled reader be found, without a word. So such a panic ends the process with
//! [`EXIT_STATUS`] and a line in the log. A thread that serves one client alone takes that client out
//! of the room instead.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use log::error;

use crate::sync::{Mutex, thread};

/// The exit status behind such a panic: `EX_SOFTWARE` of sysexits(3).
pub(crate) const EXIT_STATUS: i32 = 70;

/// What is done before the process ends so.
static LAST_ACTS: OnceLock<Mutex<Vec<Act>>> = OnceLock::new();

type Act = Box<dyn Fn() + Send>;

/// Has something done before such a panic ends the process. It must not wait for long.
pub(crate) fn before_exit(act: impl Fn() + Send + 'static) {
    LAST_ACTS.get_or_init(Mutex::default).lock().push(Box::new(act));
}

/// Starts a thread that all clients share.
///
/// # Errors
/// Where no thread can be started.
pub(crate) fn spawn(
    name: &'static str,
    stack_bytes: usize,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_string()).stack_size(stack_bytes);
    builder.spawn(move || guard(name, run)).map(|_| ())
}

/// Does what all clients share, in a thread that may be one client's own.
pub(crate) fn guard<T>(name: &str, run: impl FnOnce() -> T) -> T {
    if cfg!(shuttle) {
        // The model checker unwinds threads itself, and reports what panics.
        return run();
    }
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        error!("{name} has panicked: the server ends, with status {EXIT_STATUS}");
        for act in LAST_ACTS.get_or_init(Mutex::default).lock().iter().rev() {
            act();
        }
        std::process::exit(EXIT_STATUS)
    })
}

/// Panics where a test has put its words into what a shared thread works on.
#[cfg(test)]
pub(crate) fn panic_if_injected(bytes: &[u8]) {
    let is_injected = bytes.windows(INJECTED.len()).any(|part| part == INJECTED.as_bytes());
    assert!(!is_injected, "{INJECTED}");
}

/// What makes such a thread panic.
#[cfg(test)]
pub(crate) const INJECTED: &str = "panic: injected by a test";

#[cfg(not(shuttle))]
#[cfg(test)]
pub(crate) mod tests {
    use std::env;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// Tells a test that it is the process that is to end.
    const IS_CHILD: &str = "MULTICHAT_TEST_PANICS";

    /// Runs `act` in a process of its own, the test of this name once more: a panic in the thread
    /// `thread` has to end that process. Returns what it has written.
    pub(crate) fn assert_ends_process(test: &str, thread: &str, act: impl FnOnce()) -> String {
        if env::var_os(IS_CHILD).is_some() {
            act();
            // Ended by the other thread meanwhile.
            std::thread::park_timeout(Duration::from_secs(20));
            std::process::exit(1);
        }
        let mut command = Command::new(env::current_exe().unwrap());
        let child = command.args(["--exact", test, "--nocapture"]).env(IS_CHILD, "1");
        let output = child.output().unwrap();
        let written = [output.stdout, output.stderr].concat();
        let written = String::from_utf8_lossy(&written).into_owned();
        assert_eq!(output.status.code(), Some(EXIT_STATUS), "{written}");
        let panicked = written.lines().find(|line| line.contains("panicked at"));
        let expected = format!("thread '{thread}'");
        assert!(panicked.is_some_and(|line| line.contains(&expected)), "{expected}: {written}");
        written
    }

    #[test]
    fn a_shared_thread_that_panics_ends_the_process() {
        let name = "supervisor::tests::a_shared_thread_that_panics_ends_the_process";
        let written = assert_ends_process(name, "accept", || {
            before_exit(|| println!("last act"));
            spawn("accept", 64 * 1024, || panic!("{INJECTED}")).unwrap();
        });
        assert!(written.contains("last act"), "{written}");
    }

    #[test]
    fn a_guarded_task_that_panics_ends_the_process_and_others_do_not() {
        let name =
            "supervisor::tests::a_guarded_task_that_panics_ends_the_process_and_others_do_not";
        let written = assert_ends_process(name, name, || {
            let has_run = AtomicBool::new(false);
            guard("a task", || has_run.store(true, Ordering::Relaxed));
            assert!(has_run.into_inner());
            println!("goes on");
            guard("the flusher", || panic!("{INJECTED}"));
        });
        assert!(written.contains("goes on"), "{written}");
    }
}
