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

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Tells a test that it is the process that is to end.
    const IS_CHILD: &str = "MULTICHAT_TEST_PANICS";

    #[test]
    fn a_shared_thread_that_panics_ends_the_process() {
        if env::var_os(IS_CHILD).is_some() {
            before_exit(|| println!("last act"));
            spawn("accept", 64 * 1024, || panic!("injected by a test")).unwrap();
            // Ended by the other thread, or else by the test that waits for this process.
            std::thread::park();
        }
        let output = rerun("supervisor::tests::a_shared_thread_that_panics_ends_the_process");
        assert_eq!(output.status.code(), Some(EXIT_STATUS), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("last act"), "{output:?}");
    }

    #[test]
    fn a_guarded_task_that_panics_ends_the_process_and_others_do_not() {
        if env::var_os(IS_CHILD).is_some() {
            let has_run = AtomicBool::new(false);
            guard("a task", || has_run.store(true, Ordering::Relaxed));
            assert!(has_run.into_inner());
            println!("goes on");
            guard("the flusher", || panic!("injected by a test"));
        }
        let name =
            "supervisor::tests::a_guarded_task_that_panics_ends_the_process_and_others_do_not";
        let output = rerun(name);
        assert_eq!(output.status.code(), Some(EXIT_STATUS), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("goes on"), "{output:?}");
    }

    fn rerun(test: &str) -> std::process::Output {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(IS_CHILD, "1").output().unwrap()
    }
}
