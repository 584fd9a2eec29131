//! The operator's commands: how each is read, what it does, and what it answers.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use log::info;

use crate::delivery::backpressure::ChatCost;
use crate::ids::{FileId, Uid};
use crate::reason::{Removal, RoomError};
use crate::room::{Added, Said};
use crate::service::Service;
use crate::text::{Charset, Excerpt, Nickname, TextError, check_text};
use crate::wire::parse_number;

/// Every command as it is typed, and what it does.
const COMMANDS: [(&str, &str); 14] = [
    ("help", "these lines"),
    ("who", "each client: UID ADDRESS:PORT SECONDS WAITING NICKNAME"),
    ("stats", "what the server has counted: NAME VALUE"),
    ("say TEXT", "a public text to everybody, from the operator"),
    ("kick UID [TEXT]", "remove a client, and tell it TEXT"),
    ("ban UID [TEXT]", "the same, and let nobody in from its address any more"),
    ("bans", "the addresses that are banned"),
    ("unban ADDRESS", "lift a ban"),
    ("mute UID", "refuse all that a client says or shares"),
    ("unmute UID", "let it speak again"),
    ("hush", "refuse what anybody says or shares to all"),
    ("unhush", "let everybody speak again"),
    ("drop FILE-ID", "take a file off the stage"),
    ("stop", "stop the server"),
];

/// Under which nickname the operator speaks.
const NICKNAME: &[u8] = b"operator";

/// About how long the header of an announcement is, in bytes.
const HEADER_BYTES: usize = 128;

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Who,
    Stats,
    Say(String),
    Kick(Uid, String),
    Ban(Uid, String),
    Bans,
    Unban(IpAddr),
    Mute(Uid),
    Unmute(Uid),
    Hush,
    Unhush,
    Drop(FileId),
    Stop,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    /// No command has this name.
    Unknown { name: Excerpt },
    /// What follows the name is not what it takes.
    Usage { got: Excerpt, expected: &'static str },
    /// The line, or its text, is no text.
    Text(TextError),
    /// The client is not there.
    Room(RoomError),
    /// The address is not banned.
    NotBanned { address: IpAddr },
    /// No file of this number is staged.
    NoSuchFile { id: FileId },
    /// The server stops, and queues are full.
    Stopping,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Unknown { name } => {
                write!(f, "\"{name}\" is unknown: expected ")?;
                for (index, (usage, _)) in COMMANDS.iter().enumerate() {
                    let before = match index {
                        0 => "",
                        _ if index == COMMANDS.len() - 1 => " or ",
                        _ => ", ",
                    };
                    write!(f, "{before}{}", name_of(usage))?;
                }
                Ok(())
            }
            CommandError::Usage { got, expected } => write!(f, "\"{got}\": expected {expected}"),
            CommandError::Text(error) => error.fmt(f),
            CommandError::Room(error) => error.fmt(f),
            CommandError::NotBanned { address } => {
                write!(f, "{address} is not banned; bans lists those that are")
            }
            CommandError::NoSuchFile { id } => write!(f, "no file {id} is staged"),
            CommandError::Stopping => f.write_str("the server is stopping"),
        }
    }
}

impl From<RoomError> for CommandError {
    fn from(error: RoomError) -> CommandError {
        CommandError::Room(error)
    }
}

impl From<TextError> for CommandError {
    fn from(error: TextError) -> CommandError {
        CommandError::Text(error)
    }
}

fn name_of(usage: &str) -> &str {
    usage.split(' ').next().unwrap_or(usage)
}

/// Takes the first word off a line, and the blanks behind it.
fn split_word(line: &str) -> (&str, &str) {
    let line = line.trim_start_matches(is_blank);
    let (word, rest) = line.split_at(line.find(is_blank).unwrap_or(line.len()));
    (word, rest.trim_start_matches(is_blank))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

impl Command {
    /// Reads a command: its name, and behind blanks what it takes.
    pub(super) fn parse(line: &[u8]) -> Result<Command, CommandError> {
        check_text(line, Charset::Utf8)?;
        let line = String::from_utf8_lossy(line);
        let (name, rest) = split_word(line.trim_end_matches(is_blank));
        let found = COMMANDS.iter().find(|(usage, _)| name_of(usage) == name);
        let Some(&(expected, _)) = found else {
            return Err(CommandError::Unknown { name: Excerpt::of(name.as_bytes()) });
        };
        let got = Excerpt::of(line.as_bytes());
        Command::with(name, rest).ok_or(CommandError::Usage { got, expected })
    }

    /// The command of this name; `None` where it takes something else.
    fn with(name: &str, rest: &str) -> Option<Command> {
        let (word, text) = split_word(rest);
        let number = || parse_number(word.as_bytes());
        let alone = |command| rest.is_empty().then_some(command);
        let of_uid = |command: fn(Uid) -> Command| {
            number().filter(|_| text.is_empty()).map(|uid| command(Uid(uid)))
        };
        match name {
            "help" => alone(Command::Help),
            "who" => alone(Command::Who),
            "stats" => alone(Command::Stats),
            "say" => (!rest.is_empty()).then(|| Command::Say(rest.to_string())),
            "kick" => number().map(|uid| Command::Kick(Uid(uid), text.to_string())),
            "ban" => number().map(|uid| Command::Ban(Uid(uid), text.to_string())),
            "bans" => alone(Command::Bans),
            "unban" => rest.parse().ok().map(Command::Unban),
            "mute" => of_uid(Command::Mute),
            "unmute" => of_uid(Command::Unmute),
            "hush" => alone(Command::Hush),
            "unhush" => alone(Command::Unhush),
            "drop" => number().filter(|_| text.is_empty()).map(|id| Command::Drop(FileId(id))),
            "stop" => alone(Command::Stop),
            _ => None,
        }
    }

    /// Carries a command out; returns the lines of its answer. To stop is left to the caller, who has
    /// to answer first.
    pub(super) fn apply(self, service: &Service) -> Result<String, CommandError> {
        let room = service.delivery.room();
        match self {
            Command::Help => return Ok(help()),
            Command::Who => return Ok(who(service)),
            Command::Stats => return Ok(stats(service)),
            Command::Bans => return Ok(bans(service)),
            Command::Say(text) => say(service, &text)?,
            Command::Kick(uid, text) => kick(service, uid, &text)?,
            Command::Ban(uid, text) => ban(service, uid, &text)?,
            Command::Unban(address) => unban(service, address)?,
            Command::Mute(uid) => room.set_muted(uid, true)?,
            Command::Unmute(uid) => room.set_muted(uid, false)?,
            Command::Hush => room.set_hushed(true),
            Command::Unhush => room.set_hushed(false),
            Command::Drop(id) if service.stage.remove(id) => {
                info!("operator: file {id} is dropped")
            }
            Command::Drop(id) => return Err(CommandError::NoSuchFile { id }),
            Command::Stop => info!("operator: stop"),
        }
        Ok(String::new())
    }
}

fn help() -> String {
    let widest = COMMANDS.iter().map(|(usage, _)| usage.len()).max().unwrap_or(0);
    COMMANDS.iter().map(|(usage, effect)| format!("{usage:widest$}  {effect}\n")).collect()
}

/// As people write it: without the mapping of an IPv4 address into IPv6.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

fn who(service: &Service) -> String {
    let mut lines = String::new();
    for (outbox, nickname) in service.delivery.room().members() {
        let Some(origin) = outbox.socket().origin() else { continue };
        let (peer, seconds) = (canonical(origin.peer), origin.since.elapsed().as_secs());
        let nickname = nickname.as_ref().map_or("-", Nickname::as_str);
        let (uid, waiting) = (outbox.uid(), outbox.waiting());
        // Writing to a string never fails.
        let _ = writeln!(lines, "{uid} {peer} {seconds} {waiting} {nickname}");
    }
    lines
}

fn stats(service: &Service) -> String {
    let membership = service.delivery.membership();
    let room = service.delivery.room();
    let (clients, clients_total) = room.population();
    let Said { public, private, deliveries } = room.said();
    let (files, bytes_staged) = service.stage.staged();
    let stats = &membership.stats;
    let values: [(&str, u64); 13] = [
        ("uptime_seconds", stats.uptime_seconds()),
        ("clients", clients as u64),
        ("clients_total", clients_total),
        ("messages_public", public),
        ("messages_private", private),
        ("deliveries", deliveries),
        ("bytes_in", stats.bytes_in()),
        ("bytes_out", stats.bytes_out()),
        ("files_staged", files as u64),
        ("bytes_staged", bytes_staged),
        ("bytes_waiting", membership.backlog.waiting() as u64),
        ("refusals", stats.refusals()),
        // All that have come and are not here have gone.
        ("disconnects", clients_total - clients as u64),
    ];
    values.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
}

/// Says something to everybody, held like any sender where queues are full.
fn say(service: &Service, text: &str) -> Result<(), CommandError> {
    static SPEAKER: LazyLock<Option<Nickname>> =
        LazyLock::new(|| Nickname::parse(NICKNAME, Charset::Ascii).ok());
    check_text(text.as_bytes(), service.config.charset)?;
    let delivery = &service.delivery;
    let mut cost = ChatCost::new(Uid(0), None, HEADER_BYTES + text.len());
    loop {
        let bytes = cost.bytes;
        let mut is_held = false;
        let may_add = |unflushed| {
            is_held = !delivery.backpressure().admit(&mut cost);
            !is_held && delivery.has_room_for(unflushed, bytes)
        };
        let added = delivery.room().announce(SPEAKER.as_ref(), text.as_bytes(), may_add);
        delivery.flush_blocking();
        match added {
            Added::Unflushed(_) => return Ok(()),
            Added::NotNow | Added::Never if is_held => {
                let is_gone = || service.is_stopping();
                delivery.backpressure().wait_to_add(&mut cost, is_gone);
                if is_gone() {
                    return Err(CommandError::Stopping);
                }
            }
            Added::NotNow | Added::Never => {}
        }
    }
}

fn kick(service: &Service, uid: Uid, text: &str) -> Result<(), CommandError> {
    let words = words(service, text)?;
    service.delivery.membership().remove(uid, &words)?;
    service.delivery.flush_blocking();
    Ok(())
}

fn ban(service: &Service, uid: Uid, text: &str) -> Result<(), CommandError> {
    let words = words(service, text)?;
    let outbox = service.delivery.room().find(uid)?;
    // First, so that the client cannot come back in between.
    if let Some(origin) = outbox.socket().origin() {
        let host = origin.peer.ip().to_canonical();
        info!("operator: {host} is banned");
        service.admission.ban(host, words.clone());
    }
    match service.delivery.membership().remove(uid, &words) {
        // It has left meanwhile: that is what was asked for.
        Ok(()) | Err(_) => service.delivery.flush_blocking(),
    }
    Ok(())
}

fn words(service: &Service, text: &str) -> Result<Removal, CommandError> {
    check_text(text.as_bytes(), service.config.charset)?;
    Ok(Removal { text: text.into() })
}

fn bans(service: &Service) -> String {
    service.admission.bans().iter().map(|address| format!("{address}\n")).collect()
}

fn unban(service: &Service, address: IpAddr) -> Result<(), CommandError> {
    if !service.admission.unban(address) {
        return Err(CommandError::NotBanned { address });
    }
    info!("operator: {} is banned no longer", address.to_canonical());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_or_its_usage_is_said() {
        let cases: [(&str, Result<Command, &str>); 26] = [
            ("who", Ok(Command::Who)),
            (" \twho \t", Ok(Command::Who)),
            ("who now", Err("\"who now\": expected who")),
            ("WHO", Err("\"WHO\" is unknown: expected help, who, stats, say, kick, ban, bans,")),
            ("say  a  b ", Ok(Command::Say("a  b".into()))),
            ("say", Err("\"say\": expected say TEXT")),
            ("say ", Err("\"say \": expected say TEXT")),
            ("kick 7", Ok(Command::Kick(Uid(7), String::new()))),
            ("kick\t7  no  more", Ok(Command::Kick(Uid(7), "no  more".into()))),
            ("kick", Err("\"kick\": expected kick UID [TEXT]")),
            ("kick Tom", Err("\"kick Tom\": expected kick UID [TEXT]")),
            ("kick -7", Err("\"kick -7\": expected kick UID [TEXT]")),
            ("kick 18446744073709551616", Err("expected kick UID [TEXT]")),
            ("ban 007 x", Ok(Command::Ban(Uid(7), "x".into()))),
            ("bans 1", Err("\"bans 1\": expected bans")),
            ("unban 10.0.0.1", Ok(Command::Unban([10, 0, 0, 1].into()))),
            ("unban ::1", Ok(Command::Unban("::1".parse().unwrap()))),
            ("unban", Err("\"unban\": expected unban ADDRESS")),
            ("unban localhost", Err("\"unban localhost\": expected unban ADDRESS")),
            ("unban 10.0.0.1 ::1", Err("expected unban ADDRESS")),
            ("mute 1", Ok(Command::Mute(Uid(1)))),
            ("mute 1 2", Err("\"mute 1 2\": expected mute UID")),
            ("drop 3", Ok(Command::Drop(FileId(3)))),
            ("drop 3.jpg", Err("\"drop 3.jpg\": expected drop FILE-ID")),
            ("stop it", Err("\"stop it\": expected stop")),
            ("say \u{1b}[2J", Err("control character")),
        ];
        for (line, expected) in cases {
            match (Command::parse(line.as_bytes()), expected) {
                (Ok(command), Ok(expected)) => assert_eq!(command, expected, "{line:?}"),
                (Err(error), Err(part)) => {
                    let error = error.to_string();
                    assert!(error.contains(part), "{line:?}: {error}");
                }
                (got, _) => panic!("{line:?}: {got:?}"),
            }
        }
        assert!(Command::parse(b"say \xff").is_err());
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_shown_as_ipv4() {
        let shown = |peer: &str| canonical(peer.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:10.0.0.1]:5"), "10.0.0.1:5");
        assert_eq!(shown("[2001:db8::1]:5"), "[2001:db8::1]:5");
    }
}
