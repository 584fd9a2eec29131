//! A real browser, driven over DevTools on two pipes: no driver, no port.
//!
//! The browser reads commands from descriptor 3 and writes answers and events to descriptor 4, each a
//! JSON object that ends with a NUL. A shell places the descriptors.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// How long the browser may take for one command.
const DEADLINE: Duration = Duration::from_secs(30);

/// A browser without what only a window needs. It is looked for first; `MULTICHAT_BROWSER` names
/// another one.
const SHELL: &str = "chromium-headless-shell";

/// Whole browsers: these open connections ahead of what they need them for.
const WHOLE: [&str; 2] = ["chromium", "google-chrome"];

/// The names under which the pages are opened: those of a local network, where a browser keeps to
/// itself what it offers on the loopback address.
const RESOLVER_RULES: &str =
    "--host-resolver-rules=MAP room.local 127.0.0.1, MAP rebound.example 127.0.0.1";

/// One browser for all cases; each has its own context, as if it were a browser of its own.
pub(super) struct Browser {
    commands: Mutex<ChildStdin>,
    last_id: AtomicU64,
    /// Who waits for an answer, by the command's number.
    waiting: Mutex<HashMap<u64, Sender<Value>>>,
    /// Who is told of events, by session.
    sessions: Mutex<HashMap<String, Sender<Value>>>,
    /// Kept for its end: the browser goes when its pipes are closed.
    _child: Child,
}

impl Browser {
    /// The browser, started by the first case that asks; `None` where none is installed.
    pub(super) fn shared() -> Option<&'static Self> {
        static BROWSER: OnceLock<Option<&'static Browser>> = OnceLock::new();
        *BROWSER.get_or_init(|| {
            let named = std::env::var("MULTICHAT_BROWSER").ok();
            let known = [SHELL].into_iter().chain(WHOLE).map(str::to_owned);
            Self::first(named.into_iter().chain(known))
        })
    }

    /// The same, but a whole browser.
    pub(super) fn whole() -> Option<&'static Self> {
        static BROWSER: OnceLock<Option<&'static Browser>> = OnceLock::new();
        *BROWSER.get_or_init(|| Self::first(WHOLE.map(str::to_owned)))
    }

    /// The first of these programs that is installed, started.
    fn first(programs: impl IntoIterator<Item = String>) -> Option<&'static Self> {
        let is_there = |program: &String| {
            let mut command = Command::new(program);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        programs.into_iter().find(is_there).map(|program| Self::start(&program))
    }

    fn start(program: &str) -> &'static Self {
        let mut child = Command::new("sh")
            .args(["-c", "exec 3<&0 4>&1 </dev/null >/dev/null; exec \"$@\"", "sh", program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server"])
            .args(["--remote-debugging-pipe", "--autoplay-policy=no-user-gesture-required"])
            .args([RESOLVER_RULES, "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the browser");
        let commands = child.stdin.take().expect("standard input is a pipe");
        let answers = child.stdout.take().expect("standard output is a pipe");
        let browser = Box::leak(Box::new(Self {
            commands: Mutex::new(commands),
            last_id: AtomicU64::new(0),
            waiting: Mutex::default(),
            sessions: Mutex::default(),
            _child: child,
        }));
        let browser: &'static Self = browser;
        thread::spawn(|| browser.distribute(answers));
        browser
    }

    /// Gives each answer and event to the case that waits for it.
    fn distribute(&self, answers: ChildStdout) {
        for message in BufReader::new(answers).split(0).map_while(Result::ok) {
            let Ok(message) = serde_json::from_slice::<Value>(&message) else { continue };
            let receiver = match (message["id"].as_u64(), message["sessionId"].as_str()) {
                (Some(id), _) => self.waiting.lock().remove(&id),
                (None, Some(session)) => self.sessions.lock().get(session).cloned(),
                (None, None) => None,
            };
            if let Some(receiver) = receiver {
                // A case that has ended waits for nothing.
                let _ = receiver.send(message);
            }
        }
    }

    /// Sends a command and waits for its result.
    #[track_caller]
    pub(super) fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        match self.try_call(session, method, params) {
            Ok(result) => result,
            Err(why) => panic!("{method}: {why}"),
        }
    }

    /// As `call`; the browser's own words where it refuses.
    pub(super) fn try_call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = unbounded();
        self.waiting.lock().insert(id, sender);
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.lock().write_all(&bytes).map_err(|error| error.to_string())?;
        let mut answer =
            answer.recv_timeout(DEADLINE).map_err(|_| format!("no answer in {DEADLINE:?}"))?;
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer["result"].take()),
        }
    }

    /// The events of a session from here on.
    pub(super) fn listen(&self, session: &str) -> Receiver<Value> {
        let (sender, events) = unbounded();
        self.sessions.lock().insert(session.to_owned(), sender);
        events
    }

    /// Nobody waits for the events of this session any longer.
    pub(super) fn forget(&self, session: &str) {
        self.sessions.lock().remove(session);
    }
}
