//! The server's command line: flags to a configuration, the log, and the exit status.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use getopts::{Matches, Options, ParsingStyle};
use log::LevelFilter;
use multichat::args::{
    self, UsageError, parse_address, parse_count, parse_kept, parse_seconds, parse_size,
};
use multichat::logging;
use multichat::server::{Config, PORT, Server};
use multichat::signals;
use multichat::text::Charset;
use multichat::web::addresses::{interfaces, invitation, reachable};
use multichat::web::http::parse_name;
use signal_hook::iterator::Signals;

const NAME: &str = "multichatd";

/// Why the program ends without having served.
enum Failure {
    Usage(UsageError),
    Run(String),
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Failure {
        Failure::Usage(error)
    }
}

fn main() -> ExitCode {
    let failure = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    let mut stderr = io::stderr();
    // Where standard error is closed, the exit status has to do.
    match failure {
        Failure::Usage(error) => {
            let _ = writeln!(stderr, "{NAME}: {error}\ntry '{NAME} --help'");
            ExitCode::from(args::USAGE_STATUS)
        }
        Failure::Run(error) => {
            let _ = writeln!(stderr, "{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let options = options();
    let matches = options.parse(args::arguments()).map_err(UsageError::from)?;
    if matches.opt_present("help") {
        return print(&help(&options));
    }
    if matches.opt_present("version") {
        return print(&format!("{NAME} {}\n", env!("CARGO_PKG_VERSION")));
    }
    if let Some(argument) = matches.free.first() {
        return Err(stray(argument).into());
    }
    let config = config(&matches)?;
    // Before the log begins, which may be a file that may not grow.
    signals::survive_file_size_limit().map_err(no_signals)?;
    logging::start(log_level(&matches))
        .map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
    let served = serve(config);
    logging::finish();
    served
}

fn options() -> Options {
    let mut options = Options::new();
    options
        .parsing_style(ParsingStyle::FloatingFrees)
        .optmulti("l", "listen", "where to listen: PORT, HOST or HOST:PORT; may be given more than once (default: port 8080, all addresses, IPv4 and IPv6)", "ADDRESS")
        .optopt("s", "stage", "keep shared files in DIR, across restarts (default: a private temporary directory, removed at the end)", "DIR")
        .optopt("", "stage-limit", "all staged files together (default 1G); the oldest make room for new ones", "SIZE")
        .optopt("", "max-clients", "clients at a time (default 1000); one more gets an error and is closed", "N")
        .optopt("", "max-per-host", "clients at a time from one address (default: no limit)", "N")
        .optopt("", "max-text", "one text message (default 64k)", "SIZE")
        .optopt("", "max-file", "one shared file (default 16M)", "SIZE")
        .optopt("", "queue-limit", "waiting for one client before those who flood it are slowed down (default 1M)", "SIZE")
        .optopt("", "queue-total", "waiting for all clients together (default 256M)", "SIZE")
        .optopt("", "stall-timeout", "a client that takes nothing for this long is disconnected (default 10; 0.5 is a value)", "SECS")
        .optopt("", "history", "public messages kept for those who come later (default 100; 0 keeps none)", "N")
        .optflag("", "ascii", "refuse text and nicknames that are not ASCII, as the draft has it")
        .optopt("", "control", "the operator's socket: commands such as kick and stop, a line each", "PATH")
        .optflag("", "no-web", "no page for browsers: they get an error, as any stranger")
        .optmulti("", "web-name", "a name under which browsers may come, beside IP addresses, names without a dot and *.local; may be given more than once", "NAME")
        .optflagmulti("v", "verbose", "more log (twice: every message's header)")
        .optflagmulti("q", "quiet", "warnings and errors only")
        .optflagmulti("h", "help", "print this and exit")
        .optflagmulti("V", "version", "print the version and exit");
    options
}

fn help(options: &Options) -> String {
    let brief = format!(
        "Usage: {NAME} [options]\n\n\
         Serves one chat room by the Multi-chat Messaging Protocol (MCMP)."
    );
    let usage = options.usage(&brief);
    format!(
        "{usage}\n\
         Sizes take k, M or G (powers of 1024). The log goes to standard error;\n\
         RUST_LOG overrides -v and -q. SIGINT, SIGTERM, SIGHUP or SIGQUIT stops the\n\
         server.\n\
         Exit status: 0 stopped, 1 cannot start, 2 wrong usage.\n"
    )
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::Run(format!("cannot write to standard output: {error}")))
}

fn config(matches: &Matches) -> Result<Config, Failure> {
    let defaults = Config::default();
    let size = |name, default| {
        Ok::<u64, UsageError>(args::value(matches, name, parse_size)?.unwrap_or(default))
    };
    let mut config = Config {
        listen: Vec::new(),
        stage_dir: args::path_value(matches, "stage", "not a directory's name")?,
        stage_limit: size("stage-limit", defaults.stage_limit)?,
        max_clients: args::value(matches, "max-clients", parse_count)?
            .unwrap_or(defaults.max_clients),
        max_per_host: args::value(matches, "max-per-host", parse_count)?,
        max_text: size("max-text", defaults.max_text)?,
        max_file: size("max-file", defaults.max_file)?,
        queue_limit: usize::try_from(size("queue-limit", defaults.queue_limit as u64)?)
            .unwrap_or(usize::MAX),
        queue_total: usize::try_from(size("queue-total", defaults.queue_total as u64)?)
            .unwrap_or(usize::MAX),
        stall_timeout: args::value(matches, "stall-timeout", parse_seconds)?
            .unwrap_or(defaults.stall_timeout),
        history: args::value(matches, "history", parse_kept)?.unwrap_or(defaults.history),
        control: args::path_value(matches, "control", "not a path")?,
        charset: if matches.opt_present("ascii") { Charset::Ascii } else { Charset::Utf8 },
        web: !matches.opt_present("no-web"),
        web_names: Vec::new(),
    };
    for text in &matches.opt_strs("web-name") {
        let text = args::text_argument(text)?;
        let name =
            parse_name(text).map_err(|what| UsageError(format!("--web-name {text}: {what}")))?;
        config.web_names.push(name);
    }
    let typed = matches.opt_strs("listen");
    let addresses = typed.iter().map(|text| {
        let text = args::text_argument(text)?;
        parse_address(text, true).map_err(|what| UsageError(format!("--listen {text}: {what}")))
    });
    let addresses: Vec<_> = addresses.collect::<Result<_, _>>()?;
    for (address, text) in addresses.iter().zip(&typed) {
        let found = address.resolve_to_listen(PORT).map_err(|error| {
            Failure::Run(format!("cannot listen on {text}: {}", args::why(&error)))
        })?;
        config.listen.extend(found);
    }
    Ok(config)
}

/// A stray argument; an address is one that was meant to be listened on.
fn stray(argument: &str) -> UsageError {
    let UsageError(what) = args::stray(argument);
    let port_or_host = argument.starts_with(|c: char| c.is_ascii_digit()) || argument.contains(':');
    match parse_address(argument, true) {
        Ok(_) if port_or_host => UsageError(format!("{what}; to listen there: -l {argument}")),
        _ => UsageError(what),
    }
}

fn log_level(matches: &Matches) -> LevelFilter {
    match (matches.opt_present("quiet"), matches.opt_count("verbose")) {
        (true, _) => LevelFilter::Warn,
        (false, 0) => LevelFilter::Info,
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    }
}

fn no_signals(error: io::Error) -> Failure {
    Failure::Run(format!("cannot watch for signals: {error}"))
}

fn serve(config: Config) -> Result<(), Failure> {
    // Before anything listens: a signal from here on stops the server in an orderly way.
    let mut signals = Signals::new(signals::stopping()).map_err(no_signals)?;
    let failed = |failure: multichat::server::StartError| {
        let is_port = failure.tried.starts_with("cannot listen on");
        let hint = match failure.error.kind() {
            io::ErrorKind::AddrInUse if is_port => {
                "; -l chooses another port (-l 8081, or -l 0 for any)"
            }
            _ => "",
        };
        Failure::Run(format!("{}: {}{hint}", failure.tried, args::why(&failure.error)))
    };
    let web = config.web;
    let mut server = Server::bind(config).map_err(failed)?;
    let waiting = signals.handle();
    server.on_stop(move || waiting.close());
    let addresses = server.addresses();
    let running = server.run().map_err(failed)?;
    let mut stdout = io::stdout();
    for address in &addresses {
        // What started the server may not care for the line, and have closed standard output.
        let _ = writeln!(stdout, "listening on {address}");
    }
    let _ = stdout.flush();
    if web {
        invite(&addresses);
    }
    signals.forever().next();
    running.stop();
    Ok(())
}

/// Says to a person at a terminal how to get in, once.
fn invite(listening: &[SocketAddr]) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // Where the system does not tell, what it listens on has to do.
        let interfaces = interfaces().unwrap_or_default();
        let _ = stderr.write_all(invitation(&reachable(listening, &interfaces)).as_bytes());
    }
}
