//! The command line: options and arguments to settings and a command.

use std::path::PathBuf;
use std::time::Duration;

use getopts::{Matches, Options, ParsingStyle};
use multichat::args::{self, Address, UsageError, parse_address, parse_count, parse_seconds};
use multichat::ids::{FileId, Uid};
use multichat::wire::parse_number;

use crate::NAME;
use crate::check;
use crate::saving::Target;
use crate::settings::Settings;

/// What is to be done.
pub(crate) enum Invocation {
    /// Print this to standard output: the help or the version.
    Print(String),
    /// Connect.
    Run(Settings, Command),
}

/// What is to be done with the connection.
pub(crate) enum Command {
    /// None was named: the room on a terminal, or lines from standard input.
    Room,
    /// One text; `None` is standard input, whole.
    Send(Option<String>),
    Share(Vec<PathBuf>),
    Fetch(FileId, Target),
    Who,
    Files,
    Listen(Wanted),
    Check(check::Wanted),
}

/// What is listened for, and until when.
pub(crate) struct Wanted {
    pub(crate) as_json: bool,
    pub(crate) count: Option<usize>,
    pub(crate) timeout: Option<Duration>,
}

/// What options of one command do nothing for the others, and which command's they are.
const OWN_OPTIONS: [(&str, &[&str], &str); 11] = [
    ("client", &["check"], "check"),
    ("level", &["check"], "check"),
    ("list", &["check"], "check"),
    ("only", &["check"], "check"),
    ("skip", &["check"], "check"),
    ("tap", &["check"], "check"),
    ("json", &["listen"], "listen"),
    ("count", &["listen"], "listen"),
    ("timeout", &["listen", "check"], "listen and check"),
    ("output", &["fetch"], "fetch"),
    ("to", &["send", "share", ""], "send, share and lines that are sent"),
];

const COMMANDS: &str = "\
Commands:
    none, on a terminal
            joins the room: a line typed is a public message; what arrives is
            printed above it. /help lists the commands there. Tab completes,
            Ctrl-D or /quit leaves
    none, standard input not a terminal
            sends each line as a public message, prints what arrives, and at
            the end of input waits for the last response and leaves
    send TEXT...    sends one message (-: standard input, whole); after --, one
                    that begins with a dash
    share FILE...   shares files, prints each File-ID
    fetch FILE-ID   saves a shared file and prints its name, or writes it as
                    -o says; never overwrites one that is there otherwise
    who             one line a client: UID and nickname
    files           one line a file: File-ID, type, bytes, sender's UID
    listen          prints what arrives until interrupted
    check [HOST[:PORT]]
                    tells whether a server keeps the protocol, a line each rule;
                    check --client [PORT]: whether each client that connects to
                    PORT here (default 8080) does, until interrupted

What arrives, a line each:
    7 Tom: How are you?
    7 Tom (to you): And you?
    7 Tom shared file 10 (jpg, 3000 bytes)
With --json: kind (text or file), from, nickname, to, text or file_id,
content_type, bytes, time.

Environment: MULTICHAT_SERVER and MULTICHAT_NICK stand in for -s and -n;
NO_COLOR, if it is not empty, turns colours off.

Exit status: 0 done; 1 refused, timed out, or the connection failed: the reason
is on standard error; 2 wrong usage.
";

fn options() -> Options {
    let mut options = Options::new();
    options
        .parsing_style(ParsingStyle::FloatingFrees)
        .optopt("s", "server", "(default: $MULTICHAT_SERVER, or localhost:8080)", "HOST[:PORT]")
        .optopt("n", "nick", "nickname to set on joining (default: $MULTICHAT_NICK, or none)", "NAME")
        .optopt("t", "to", "make send and share private, and lines that are sent", "UID")
        .optopt("o", "output", "where fetch writes (default: FILE-ID.EXTENSION here; - is standard output)", "FILE")
        .optflag("", "json", "listen: one JSON object a line")
        .optopt("", "count", "listen: end with status 0 once N messages have come", "N")
        .optopt("", "timeout", "listen: end with status 1 when that long has passed; check: how long one step may take (default 2)", "SECS")
        .optflagmulti("", "reconnect", "try again when the connection is lost (after 1 s, growing to 30 s); default on a terminal")
        .optflagmulti("", "plain", "no colour, no progress bars, no bell: lines only")
        .optflagmulti("h", "help", "print this and exit")
        .optflagmulti("V", "version", "print the version and exit");
    check::add_options(&mut options);
    options
}

fn help(options: &Options) -> String {
    let brief = format!(
        "Usage: {NAME} [options] [command]\n\n\
         Talks in a chat room by the Multi-chat Messaging Protocol (MCMP)."
    );
    format!("{}\n{COMMANDS}", options.usage(&brief))
}

/// Reads the command line and the environment.
pub(crate) fn parse() -> Result<Invocation, UsageError> {
    let options = options();
    let matches = options.parse(args::arguments()?).map_err(UsageError::from)?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(help(&options)));
    }
    if matches.opt_present("version") {
        return Ok(Invocation::Print(format!("{NAME} {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let settings = Settings {
        server: server(&matches)?,
        nickname: matches.opt_str("nick").or_else(|| variable("MULTICHAT_NICK")),
        to: args::value(&matches, "to", parse_uid)?,
        reconnects: matches.opt_present("reconnect"),
        is_plain: matches.opt_present("plain"),
    };
    let command = command(&matches)?;
    Ok(Invocation::Run(settings, command))
}

/// A variable of the environment that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn server(matches: &Matches) -> Result<Address, UsageError> {
    let parse = |text: &str| parse_address(text, false);
    if let Some(address) = args::value(matches, "server", parse)? {
        return Ok(address);
    }
    match variable("MULTICHAT_SERVER") {
        Some(text) => {
            parse(&text).map_err(|what| UsageError(format!("MULTICHAT_SERVER {text}: {what}")))
        }
        None => Ok(Address { host: Some("localhost".to_string()), port: None }),
    }
}

fn command(matches: &Matches) -> Result<Command, UsageError> {
    if matches.free.first().is_some_and(String::is_empty) {
        return Err(UsageError("an empty argument is no command".to_string()));
    }
    let (name, rest) = match matches.free.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("", &[][..]),
    };
    if let Some((option, _, owner)) = OWN_OPTIONS
        .iter()
        .find(|(option, owners, _)| matches.opt_present(option) && !owners.contains(&name))
    {
        return Err(UsageError(format!("--{option}: only with {owner}")));
    }
    let alone = |command| match rest.first() {
        Some(argument) => Err(args::stray(argument)),
        None => Ok(command),
    };
    match name {
        "" => alone(Command::Room),
        "who" => alone(Command::Who),
        "files" => alone(Command::Files),
        "listen" => alone(Command::Listen(Wanted {
            as_json: matches.opt_present("json"),
            count: args::value(matches, "count", parse_count)?,
            timeout: args::value(matches, "timeout", parse_seconds)?,
        })),
        "check" => check::Wanted::parse(matches, rest).map(Command::Check),
        "send" => match rest {
            [] => Err(UsageError("send: a text is missing (-: standard input)".to_string())),
            [text] if text == "-" => Ok(Command::Send(None)),
            words => Ok(Command::Send(Some(words.join(" ")))),
        },
        "share" if rest.is_empty() => Err(UsageError("share: a file is missing".to_string())),
        "share" => Ok(Command::Share(rest.iter().map(PathBuf::from).collect())),
        "fetch" => match rest {
            [] => Err(UsageError("fetch: a File-ID is missing".to_string())),
            [id] => {
                let parsed = parse_number(id.as_bytes()).map(FileId);
                let not = || UsageError(format!("fetch {id}: not a File-ID (decimal digits)"));
                Ok(Command::Fetch(parsed.ok_or_else(not)?, target(matches)?))
            }
            [_, stray, ..] => Err(args::stray(stray)),
        },
        other => Err(UsageError(format!(
            "{other}: unknown command (send, share, fetch, who, files, listen or check)"
        ))),
    }
}

fn target(matches: &Matches) -> Result<Target, UsageError> {
    match matches.opt_str("output").as_deref() {
        None => Ok(Target::Named),
        Some("-") => Ok(Target::Stdout),
        Some("") => Err(UsageError("--output: not a file's name".to_string())),
        Some(path) => Ok(Target::File(PathBuf::from(path))),
    }
}

fn parse_uid(text: &str) -> Result<Uid, &'static str> {
    parse_number(text.as_bytes()).map(Uid).ok_or("not a UID (decimal digits)")
}
