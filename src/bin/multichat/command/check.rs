//! `check`: does a server, or a client, keep the protocol?

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use getopts::{Matches, Options};
use multichat::args::{self, Address, UsageError, parse_address, parse_seconds};
use multichat::conformance::{self, Level, Outcome, Rule, Tally, Target, client, report, rules};
use multichat::server::PORT;
use multichat::signals::stopping;
use signal_hook::iterator::Signals;

use crate::Failure;
use crate::output;
use crate::settings::Settings;

/// How long one step of a server may take, where nothing else was said.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client may be silent inside a message: people type some of them by hand.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is checked, and how it is printed.
#[derive(Debug)]
pub(crate) struct Wanted {
    subject: Subject,
    rules: Vec<&'static Rule>,
    is_tap: bool,
    is_list: bool,
    timeout: Option<Duration>,
}

#[derive(Debug)]
enum Subject {
    /// The server named here, or by the usual option and variable.
    Server(Option<Address>),
    /// Clients that connect to this port.
    Clients(u16),
}

/// The options that `check` alone has.
pub(crate) fn add_options(options: &mut Options) {
    options
        .optflag("", "client", "check: the clients that connect to PORT here, not a server")
        .optopt("", "level", "check: draft (the default), settled (and how its gaps are filled here) or all (and what a server lists in its features)", "LEVEL")
        .optflag("", "list", "check: list the rules, and run none")
        .optmulti("", "only", "check: this rule alone; may be given more than once", "NAME")
        .optmulti("", "skip", "check: not this rule; may be given more than once", "NAME")
        .optflag("", "tap", "check: print TAP 14");
}

impl Wanted {
    /// Reads what stands behind `check`.
    pub(crate) fn parse(matches: &Matches, rest: &[String]) -> Result<Wanted, UsageError> {
        let (argument, stray) = match rest {
            [] => (None, None),
            [argument] => (Some(argument), None),
            [argument, stray, ..] => (Some(argument), Some(stray)),
        };
        if let Some(stray) = stray {
            return Err(args::stray(stray));
        }
        let is_client = matches.opt_present("client");
        let subject = match argument {
            Some(text) if is_client => Subject::Clients(parse_port(text)?),
            None if is_client => Subject::Clients(PORT),
            Some(_) if matches.opt_present("server") => {
                return Err(UsageError(
                    "check: name the server once, by -s or behind check".into(),
                ));
            }
            Some(text) => {
                let parsed = parse_address(text, false);
                Subject::Server(Some(
                    parsed.map_err(|what| UsageError(format!("check {text}: {what}")))?,
                ))
            }
            None => Subject::Server(None),
        };
        Ok(Wanted {
            subject,
            rules: select(matches, is_client)?,
            is_tap: matches.opt_present("tap"),
            is_list: matches.opt_present("list"),
            timeout: args::value(matches, "timeout", parse_seconds)?,
        })
    }
}

fn parse_port(text: &str) -> Result<u16, UsageError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.ok_or_else(|| UsageError(format!("check --client {text}: not a port (0 to 65535)")))
}

/// The rules that are asked for: those of the level, or those named, without those to skip.
fn select(matches: &Matches, is_client: bool) -> Result<Vec<&'static Rule>, UsageError> {
    let level = args::value(matches, "level", parse_level)?;
    let all: Vec<&Rule> =
        if is_client { client::rules().collect() } else { rules::all().collect() };
    let (only, skip) = (matches.opt_strs("only"), matches.opt_strs("skip"));
    for (option, names) in [("only", &only), ("skip", &skip)] {
        if let Some(name) = names.iter().find(|name| !all.iter().any(|rule| rule.name == **name)) {
            let what = "no such rule (check --list lists them)";
            return Err(UsageError(format!("--{option} {name}: {what}")));
        }
    }
    // What is named is run, from whichever level it is; `--list` alone lists everything.
    let lists_all = matches.opt_present("list") && level.is_none();
    let is_wanted = |rule: &&Rule| match only.is_empty() {
        true => lists_all || rule.level <= level.unwrap_or(Level::Draft),
        false => only.iter().any(|name| name == rule.name),
    };
    let is_skipped = |rule: &&Rule| skip.iter().any(|name| name == rule.name);
    Ok(all.into_iter().filter(is_wanted).filter(|rule| !is_skipped(rule)).collect())
}

fn parse_level(text: &str) -> Result<Level, &'static str> {
    match text {
        "draft" => Ok(Level::Draft),
        "settled" => Ok(Level::Settled),
        "all" => Ok(Level::Extended),
        _ => Err("not a level (draft, settled or all)"),
    }
}

/// Prints what comes of each rule as it is done.
struct Printer {
    is_tap: bool,
    number: usize,
}

impl Printer {
    fn begin(&self, count: usize) -> Result<(), Failure> {
        if self.is_tap { output::print(&report::tap_plan(count)) } else { Ok(()) }
    }

    fn print(&mut self, rule: &Rule, outcome: &Outcome) -> Result<(), Failure> {
        self.number += 1;
        output::print(&match self.is_tap {
            true => report::tap_line(self.number, rule, outcome),
            false => report::line(rule, outcome),
        })
    }

    fn end(&self, tally: Tally) -> Result<(), Failure> {
        let summary = report::summary(tally);
        output::print(&if self.is_tap { format!("# {summary}") } else { summary })
    }
}

/// What ends a run early.
enum Ended {
    Unreachable(io::Error),
    Output(Failure),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Unreachable(error)
    }
}

/// Runs the rules, or lists them.
pub(crate) fn run(settings: &Settings, wanted: &Wanted) -> Result<(), Failure> {
    if wanted.is_list {
        return output::print(&report::list(wanted.rules.iter().copied()));
    }
    match &wanted.subject {
        Subject::Server(address) => check_server(settings, address.as_ref(), wanted),
        Subject::Clients(port) => check_clients(*port, wanted),
    }
}

fn check_server(
    settings: &Settings,
    address: Option<&Address>,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let mut settings = settings.clone();
    if let Some(address) = address {
        settings.server = address.clone();
    }
    let unreachable = |error: io::Error| {
        Failure::Run(format!("cannot connect to {}: {}", settings.server_name(), args::why(&error)))
    };
    let addresses = settings.server.resolve(PORT).map_err(unreachable)?;
    let target = Target { addresses, timeout: wanted.timeout.unwrap_or(TIMEOUT) };
    target.is_reachable().map_err(unreachable)?;
    let mut printer = Printer { is_tap: wanted.is_tap, number: 0 };
    printer.begin(wanted.rules.len())?;
    let ran = conformance::run(target, &wanted.rules, |rule, outcome| {
        printer.print(rule, outcome).map_err(Ended::Output)
    });
    let tally = ran.map_err(|ended| match ended {
        Ended::Unreachable(error) => unreachable(error),
        Ended::Output(failure) => failure,
    })?;
    printer.end(tally)?;
    if tally.broken > 0 { Err(Failure::Silent) } else { Ok(()) }
}

/// Serves one client after another, and says what each has done, until a signal comes.
fn check_clients(port: u16, wanted: &Wanted) -> Result<(), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |error: io::Error| Failure::Run(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let any_broken = Arc::new(AtomicBool::new(false));
    end_at_signal(Arc::clone(&any_broken)).map_err(failed)?;
    let mark = if wanted.is_tap { "# " } else { "" };
    output::print(&format!("{mark}listening on {address}\n"))?;
    for stream in listener.incoming() {
        let served =
            stream.and_then(|stream| client::serve(&stream, wanted.timeout.unwrap_or(PATIENCE)));
        let session = match served {
            Ok(session) => session,
            Err(error) => {
                output::complain(&format!("a client could not be served: {error}"));
                continue;
            }
        };
        let mut printer = Printer { is_tap: wanted.is_tap, number: 0 };
        printer.begin(wanted.rules.len())?;
        let tally =
            client::judge(&session, &wanted.rules, |rule, outcome| printer.print(rule, outcome))?;
        printer.end(tally)?;
        if tally.broken > 0 {
            any_broken.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Lets a signal end the program with what has been found so far.
fn end_at_signal(any_broken: Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new(stopping())?;
    let wait = move || {
        if signals.forever().next().is_some() {
            process::exit(i32::from(any_broken.load(Ordering::Relaxed)));
        }
    };
    thread::Builder::new().name("signals".to_string()).spawn(wait).map(|_| ())
}
