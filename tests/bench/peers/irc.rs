//! ngircd and inspircd: a channel that everybody is in (RFC 2812).

use super::CLIENTS_LIMIT;
use crate::Outcome;
use crate::dialect::{Cursor, Dialect, Frame, Read, Stop, finish};
use crate::subject::{Running, Subject};
use crate::text;

pub(super) const NGIRCD: Subject = Subject {
    name: "ngircd",
    is_peer: true,
    start: start_ngircd,
    dialect: || Box::new(Irc { at_once: 10 }),
};

pub(super) const INSPIRCD: Subject = Subject {
    name: "inspircd",
    is_peer: true,
    start: start_inspircd,
    dialect: || Box::new(Irc { at_once: 100 }),
};

fn start_ngircd(_: usize) -> Outcome<Running> {
    super::start("ngircd", &["--nodaemon", "--config"], |_, port| {
        format!(
            "[Global]\nName = bench.test\nInfo = benchmark\nAdminEMail = nobody@bench.test\n\
             Listen = 127.0.0.1\nPorts = {port}\nMotdPhrase = none\n\
             [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\n\
             PingTimeout = 3600\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local1\n"
        )
    })
}

fn start_inspircd(_: usize) -> Outcome<Running> {
    let arguments = ["--nofork", "--runasroot", "--nolog", "--config"];
    super::start("inspircd", &arguments, |directory, port| {
        let directory = directory.display();
        format!(
            r#"<config format="xml">
<server name="bench.test" description="benchmark" network="bench" id="001">
<admin name="nobody" nick="nobody" email="nobody@bench.test">
<bind address="127.0.0.1" port="{port}" type="clients">
<pid file="{directory}/pid">
<path data="{directory}" log="{directory}">
<performance softlimit="{CLIENTS_LIMIT}" somaxconn="1024" clonesonconnect="no">
<options splitwhois="no" nouserdns="yes" syntaxhints="no">
<connect name="all" allow="*" localmax="{CLIENTS_LIMIT}" globalmax="{CLIENTS_LIMIT}" limit="{CLIENTS_LIMIT}"
 maxconnwarn="no" useconnectban="no" useconnflood="no" resolvehostnames="no" timeout="60" pingfreq="1h"
 softsendq="1G" hardsendq="1G" recvq="1M" threshold="1000000" commandrate="1000000000" fakelag="no">
"#
        )
    })
}

/// The channel.
const ROOM: &str = "#room";

struct Irc {
    /// ngircd's backlog is 10: with more, connections have to be asked for again. inspircd lets
    /// newcomers in once a second, however many there are.
    at_once: usize,
}

fn say(to: &str, sender: usize, number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PRIVMSG {to} :").as_bytes());
    text::write(sender, number, out);
    out.extend_from_slice(b"\r\n");
}

impl Dialect for Irc {
    fn hello(&mut self, member: usize, out: &mut Vec<u8>) {
        // The rest when the server has taken these.
        out.extend_from_slice(format!("NICK m{member}\r\nUSER m 0 * :m\r\n").as_bytes());
    }

    fn barrier(&mut self, _: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PING ready\r\n");
    }

    fn public(&mut self, sender: usize, number: u32, out: &mut Vec<u8>) {
        say(ROOM, sender, number, out);
    }

    fn private(&mut self, sender: usize, number: u32, receiver: usize, out: &mut Vec<u8>) {
        say(&format!("m{receiver}"), sender, number, out);
    }

    fn at_once(&self) -> usize {
        self.at_once
    }

    fn announces(&self) -> bool {
        true
    }

    fn read<'a>(&mut self, _: usize, bytes: &'a [u8]) -> Read<'a> {
        let read = match read_text(bytes) {
            Err(Stop::Unexpected) => read_line(bytes),
            read => read,
        };
        finish(bytes, read)
    }
}

/// Reads `:m12!~m@host PRIVMSG #room :TEXT`.
fn read_text(bytes: &[u8]) -> Result<(Frame<'_>, usize), Stop> {
    let mut cursor = Cursor::new(bytes);
    cursor.literal(b":m")?;
    let from = cursor.number()?;
    cursor.until(b' ')?;
    cursor.literal(b"PRIVMSG ")?;
    cursor.until(b' ')?;
    cursor.literal(b":")?;
    let text = cursor.take(text::LEN)?;
    cursor.literal(b"\r\n")?;
    let (sender, _) = text::read(text).map_err(|_| Stop::Unexpected)?;
    if sender as u64 != from {
        return Err(Stop::Unexpected);
    }
    Ok((Frame::Text(text), cursor.at()))
}

/// Reads any other line.
fn read_line(bytes: &[u8]) -> Result<(Frame<'_>, usize), Stop> {
    let mut cursor = Cursor::new(bytes);
    let line = cursor.until(b'\n')?.trim_ascii_end();
    let mut words = line.split(|&byte| byte == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let frame = match (first, second) {
        (b"PING", _) => Frame::Reply(b"PONG :bench.test\r\n"),
        (b"ERROR", _) => return Err(Stop::Unexpected),
        (_, b"001") => Frame::Reply(b"JOIN #room\r\nPING ready\r\n"),
        (_, b"PONG") => Frame::Ready,
        // There is no message of the day.
        (_, b"422") => Frame::Other,
        (_, [b'4' | b'5', _, _]) => return Err(Stop::Unexpected),
        _ => Frame::Other,
    };
    Ok((frame, cursor.at()))
}
