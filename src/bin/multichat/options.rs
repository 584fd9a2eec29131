//! The command line: options and arguments to settings and a command.

use std::path::{Path, PathBuf};

use getopts::{Matches, Options, ParsingStyle};
use multichat::args::{
    self, Address, UsageError, parse_address, parse_count, parse_kept, parse_seconds,
};
use multichat::ids::FileId;
use multichat::text::Extension;
use multichat::wire::parse_number;

use crate::NAME;
use crate::command::check;
use crate::command::listen::Wanted;
use crate::file::name::parse_type;
use crate::file::saving::Target;
use crate::file::share::Source;
use crate::receiver::NamedReceiver;
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
    Room {
        as_json: bool,
        cleans: bool,
    },
    /// One text; `None` is standard input, whole.
    Send {
        text: Option<String>,
        cleans: bool,
    },
    Share(Vec<Source>, Option<Extension>),
    Fetch(FileId, Target),
    Who {
        as_json: bool,
    },
    Files {
        as_json: bool,
    },
    Listen(Wanted),
    Check(check::Wanted),
    /// The operator's socket, and one command for it; without one, those of standard input.
    Operator {
        path: PathBuf,
        command: Option<String>,
    },
}

/// What options of some commands do nothing for the others, and which commands' they are.
const OWN_OPTIONS: [(&str, &[&str], &str); 19] = [
    ("client", &["check"], "check"),
    ("level", &["check"], "check"),
    ("list", &["check"], "check"),
    ("only", &["check"], "check"),
    ("skip", &["check"], "check"),
    ("tap", &["check"], "check"),
    ("json", &["listen", "who", "files", ""], "listen, who, files and piped lines"),
    ("count", &["listen"], "listen"),
    ("timeout", &["listen", "check"], "listen and check"),
    ("times", &["listen", ""], "listen and piped lines"),
    ("output", &["fetch"], "fetch"),
    ("history", &["listen", ""], "the room, listen and piped lines"),
    ("notices", &["listen", ""], "the room, listen and piped lines"),
    ("no-notices", &["listen", ""], "the room, listen and piped lines"),
    ("no-name", &["share", ""], "the room, share and piped lines"),
    ("type", &["share"], "share"),
    ("clean", &["send", ""], "send and piped lines"),
    ("log", &["listen", "send", ""], "the room, listen, send and piped lines"),
    ("to", &["send", "share", ""], "send, share and piped lines"),
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
    share FILE...   shares files, prints each File-ID (-: standard input, with
                    --type)
    fetch FILE-ID   saves a shared file and prints its name, or writes it as
                    -o says; never overwrites one that is there otherwise
    who             one line a client: UID and nickname
    files           one line a file: File-ID, type, bytes, sender's UID, name
    listen          prints what arrives until interrupted
    check [HOST[:PORT]]
                    tells whether a server keeps the protocol, a line a rule;
                    check --client [PORT]: whether each client that connects to
                    PORT here (default 8080) does, until interrupted
    operator PATH [COMMAND...]
            carries out an operator's command at the socket PATH of a server
            (multichatd --control); without one, the lines of standard input,
            or those typed: help lists the commands, Ctrl-D leaves

What arrives, a line each; further lines of a text are indented:
    7 Tom: How are you?
    (to you) 7 Tom: And you?
    7 Tom shared file 10 holiday plan.pdf (pdf, 3000 bytes)
    * 7 Tom left: it said bye                  (with --notices)
With --json: kind (text, file or notice), from, nickname, to, text or file_id,
content_type, bytes, time; name, sequence and sent where the server tells them;
of a notice event (joined, nickname or left), new_nickname or cause.
Piped lines are then objects as well:
    {\"text\": \"hi\", \"to\": 7}        to: a UID or a nickname, or left out
    {\"share\": \"FILE\", \"to\": 7}     {\"fetch\": 10, \"output\": \"FILE\"}
    {\"nick\": \"Tom\"}                {\"query\": \"names\"}
Each may have an id, and is answered by an object with kind response, that id,
status (ok or error), and reason, file_id, output, nickname or answer.

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
        .optopt("t", "to", "make send and share private, and piped lines: a UID, or a nickname that one client alone has", "WHOM")
        .optopt("o", "output", "where fetch writes (default: FILE-ID NAME, or FILE-ID.EXTENSION, here; a directory: there; - is standard output, refused where that is a terminal)", "FILE")
        .optopt("", "type", "share: the type, where the file's name does not tell", "EXTENSION")
        .optflagmulti("", "no-name", "share, the room: do not tell the others the file's name")
        .optflag("", "json", "one JSON object a line: listen, who, files; piped lines: both ways")
        .optopt("", "log", "append what is said, with date and time, to FILE (0600)", "FILE")
        .optflagmulti("", "clean", "piped lines, send: drop terminal control sequences, replace what is not UTF-8, instead of a refusal")
        .optflagmulti("", "times", "listen, piped lines: the time before each line")
        .optopt("", "history", "on joining, and before what listen prints: the last N public messages (default 20 on a terminal, 0 otherwise), where the server keeps a history", "N")
        .optflagmulti("", "notices", "say who comes and goes (default: on a terminal only)")
        .optflagmulti("", "no-notices", "do not say who comes and goes")
        .optopt("", "count", "listen: end with status 0 once N messages have come", "N")
        .optopt("", "timeout", "listen: end with status 1 when that long has passed; check: how long one step may take (default 2)", "SECS")
        .optflagmulti("", "reconnect", "try again when the connection is lost, or cannot be made (after 1 s, growing to 30 s); default on a terminal")
        .optflagmulti("", "plain", "no colour, no progress bars, no bell, no line editing: lines only")
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
    let matches = options.parse(args::arguments()).map_err(UsageError::from)?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(help(&options)));
    }
    if matches.opt_present("version") {
        return Ok(Invocation::Print(format!("{NAME} {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let settings = Settings {
        server: server(&matches)?,
        nickname: nickname(&matches)?,
        to: args::value(&matches, "to", NamedReceiver::parse)?,
        reconnects: matches.opt_present("reconnect"),
        is_plain: matches.opt_present("plain"),
        has_times: matches.opt_present("times"),
        history: args::value(&matches, "history", parse_kept)?.map(|count| count as u64),
        notices: notices(&matches)?,
        tells_names: !matches.opt_present("no-name"),
        log: args::path_value(&matches, "log", "not a file's name")?,
    };
    let command = command(&matches)?;
    Ok(Invocation::Run(settings, command))
}

/// A variable of the environment that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn nickname(matches: &Matches) -> Result<Option<String>, UsageError> {
    let nickname = args::value(matches, "nick", |text| Ok(text.to_string()))?;
    Ok(nickname.or_else(|| variable("MULTICHAT_NICK")))
}

fn notices(matches: &Matches) -> Result<Option<bool>, UsageError> {
    match (matches.opt_present("notices"), matches.opt_present("no-notices")) {
        (true, true) => {
            Err(UsageError("--notices and --no-notices: one of them, not both".to_string()))
        }
        (false, false) => Ok(None),
        (wanted, _) => Ok(Some(wanted)),
    }
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
    let as_json = matches.opt_present("json");
    let cleans = matches.opt_present("clean");
    match name {
        "" => alone(Command::Room { as_json, cleans }),
        "who" => alone(Command::Who { as_json }),
        "files" => alone(Command::Files { as_json }),
        "listen" => alone(Command::Listen(Wanted {
            as_json,
            count: args::value(matches, "count", parse_count)?,
            timeout: args::value(matches, "timeout", parse_seconds)?,
        })),
        "check" => check::Wanted::parse(matches, rest).map(Command::Check),
        "send" => match rest {
            [] => Err(UsageError("send: a text is missing (-: standard input)".to_string())),
            [text] if text == "-" => Ok(Command::Send { text: None, cleans }),
            words => {
                let text = words.join(" ");
                let text = args::text_argument(&text)
                    .map_err(|_| UsageError("send: the text is not UTF-8".to_string()))?;
                Ok(Command::Send { text: Some(text.to_string()), cleans })
            }
        },
        "operator" => operator(rest),
        "share" => share(matches, rest),
        "fetch" => match rest {
            [] => Err(UsageError("fetch: a File-ID is missing".to_string())),
            [id] => {
                let parsed = parse_number(id.as_bytes()).map(FileId);
                let not = || UsageError(format!("fetch {id}: not a File-ID (decimal digits)"));
                Ok(Command::Fetch(parsed.ok_or_else(not)?, target(matches)?))
            }
            [first, second, ..] => Err(UsageError(format!(
                "{second}: unexpected argument; one file at a time: {NAME} fetch {first}; {NAME} fetch {second}"
            ))),
        },
        other => Err(unknown(other)),
    }
}

/// An unknown command; an address is one that was meant to be connected to.
fn unknown(name: &str) -> UsageError {
    let shown = args::path_of(name);
    let shown = shown.display();
    let looks_like_an_address = name.contains(['.', ':', '[']) || name == "localhost";
    if looks_like_an_address && parse_address(name, false).is_ok() {
        return UsageError(format!("{shown}: unknown command; to connect there: {NAME} -s {name}"));
    }
    UsageError(format!(
        "{shown}: unknown command (send, share, fetch, who, files, listen, operator or check)"
    ))
}

fn share(matches: &Matches, files: &[String]) -> Result<Command, UsageError> {
    let extension = args::value(matches, "type", parse_type)?;
    if files.is_empty() {
        return Err(UsageError("share: a file is missing (-: standard input)".to_string()));
    }
    let source = |file: &String| match file.as_str() {
        "-" => Source::Stdin,
        _ => Source::File(args::path_of(file)),
    };
    let sources: Vec<Source> = files.iter().map(source).collect();
    match sources.iter().filter(|source| **source == Source::Stdin).count() {
        0 => {}
        1 if extension.is_some() => {}
        1 => {
            return Err(UsageError(
                "share -: the type is missing (such as --type pdf)".to_string(),
            ));
        }
        _ => return Err(UsageError("share -: standard input can be read once".to_string())),
    }
    Ok(Command::Share(sources, extension))
}

fn operator(arguments: &[String]) -> Result<Command, UsageError> {
    let Some((path, words)) = arguments.split_first().filter(|(path, _)| !path.is_empty()) else {
        return Err(UsageError("operator: the path of a server's socket is missing".to_string()));
    };
    let command = words.join(" ");
    let command = args::text_argument(&command)
        .map_err(|_| UsageError("operator: the command is not UTF-8".to_string()))?;
    if command.contains(['\r', '\n']) {
        return Err(UsageError("operator: a command is one line".to_string()));
    }
    if !words.is_empty() && command.trim().is_empty() {
        return Err(UsageError("operator: the command is empty".to_string()));
    }
    let command = (!words.is_empty()).then(|| command.to_string());
    Ok(Command::Operator { path: args::path_of(path), command })
}

fn target(matches: &Matches) -> Result<Target, UsageError> {
    match args::path_value(matches, "output", "not a file's name")? {
        None => Ok(Target::here()),
        Some(path) if path == Path::new("-") => Ok(Target::Stdout),
        Some(path) => Ok(Target::at(path)),
    }
}
