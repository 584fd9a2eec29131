//! The page for browsers, in a real browser: one that has no window, with the server's own page.
//!
//! Where no browser is installed, a line says which cases were left out. The pages are opened under a
//! name of a local network: on the loopback address a browser offers more than a class will have.
//!
//! `MULTICHAT_BROWSER_SERVER` names another server to test the page against; it takes the options of
//! `multichatd`.

mod attacks;
mod attention;
mod connection;
mod degraded;
mod devtools;
mod files;
mod hostile;
mod joining;
mod load;
mod log;
mod look;
mod page;
mod people;
mod preconnect;
mod saying;
mod screenshots;

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::common::{DEADLINE, Peer, Process, multichatd};
use devtools::Browser;
use page::{DESKTOP, Page, Screen};

/// Cases that measure have the browser to themselves.
static QUIET: RwLock<()> = RwLock::new(());

/// A server and a browser, for one case.
struct Room {
    browser: &'static Browser,
    process: Process,
    address: SocketAddr,
    options: Vec<String>,
    _turn: Turn,
}

/// Held for its end.
#[expect(dead_code, reason = "what is held is not looked at")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Room {
    /// A room; `None`, with a line that says so, where there is no browser.
    fn open(case: &str) -> Option<Self> {
        Self::with(case, &[])
    }

    fn with(case: &str, options: &[&str]) -> Option<Self> {
        let browser = browser_for(case)?;
        Some(Self::start(browser, "127.0.0.1:0", options, Turn::Shared(QUIET.read())))
    }

    /// A room for a browser that opens connections ahead of what it needs them for.
    fn for_whole_browser(case: &str) -> Option<Self> {
        let browser = Browser::whole();
        if browser.is_none() {
            writeln!(stderr(), "no whole browser: left out: {case}")
                .expect("write to standard error");
        }
        Some(Self::start(browser?, "127.0.0.1:0", &[], Turn::Shared(QUIET.read())))
    }

    /// A room at this address.
    fn at(listen: &str, case: &str) -> Option<Self> {
        let browser = browser_for(case)?;
        Some(Self::start(browser, listen, &[], Turn::Shared(QUIET.read())))
    }

    /// A room for a case that measures.
    fn alone(case: &str, options: &[&str]) -> Option<Self> {
        let browser = browser_for(case)?;
        Some(Self::start(browser, "127.0.0.1:0", options, Turn::Alone(QUIET.write())))
    }

    fn start(browser: &'static Browser, listen: &str, options: &[&str], turn: Turn) -> Self {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (process, address) = start_server(listen, &options);
        Self { browser, process, address, options, _turn: turn }
    }

    /// Ends the server as `kill -9` does.
    fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same address.
    fn start_again(&mut self) {
        (self.process, self.address) = start_server(&self.address.to_string(), &self.options);
    }

    fn page(&self) -> Page {
        self.page_on(DESKTOP)
    }

    fn page_on(&self, screen: Screen) -> Page {
        let url = format!("http://room.local:{}/", self.address.port());
        Page::new(self.browser, url, screen)
    }

    /// A page that has joined under a nickname, and its UID.
    fn member(&self, nickname: &str) -> (Page, u64) {
        let page = self.page();
        page.open();
        let uid = page.join(nickname);
        (page, uid)
    }

    /// A member without a browser.
    fn peer(&self, nickname: &str) -> Peer {
        let mut peer = Peer::connect(self.address);
        peer.uid = peer.query("self").ok().text().trim().parse().expect("a UID");
        if !nickname.is_empty() {
            peer.set_nickname(nickname).ok();
        }
        peer
    }
}

fn browser_for(case: &str) -> Option<&'static Browser> {
    let browser = Browser::shared();
    if browser.is_none() {
        // Past the harness, which keeps to itself what a case prints.
        writeln!(stderr(), "no browser: left out: {case}").expect("write to standard error");
    }
    browser
}

fn start_server(listen: &str, options: &[String]) -> (Process, SocketAddr) {
    let until = Instant::now() + DEADLINE;
    loop {
        let mut command = match std::env::var_os("MULTICHAT_BROWSER_SERVER") {
            Some(program) => Command::new(program),
            None => multichatd(&[]),
        };
        command.args(options).args(["--listen", listen]);
        let mut process = Process::spawn(command);
        if let Some(line) = process.out.first_line() {
            let address = line.trim_start_matches("listening on ").parse();
            return (process, address.expect("an address and a port"));
        }
        // The port of a server that was killed can be taken for a moment.
        assert!(Instant::now() < until, "the server does not start at {listen}");
    }
}

/// The name of the test that calls it, for the line that says what was left out.
macro_rules! case {
    () => {
        std::thread::current().name().unwrap_or("a case").to_owned().as_str()
    };
}
use case;
