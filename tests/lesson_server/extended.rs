//! What goes beyond the draft: features, the extended form, notices, history and file names.

use std::time::{SystemTime, UNIX_EPOCH};

use super::draft::{Request, Room, Server, ServerMessage, text};
use super::faults::Faults;

/// How many public messages are kept.
const KEPT: usize = 100;

/// All bodies of a query that are known.
const QUERIES: &str =
    "expected no body, self, names, files, features, extended or history N [after K]";

/// The public messages, in the extended form; the first one has `Sequence` 1.
#[derive(Default)]
pub struct History {
    pub relays: Vec<ServerMessage>,
    last_time: String,
}

/// What a server needs beyond its room.
pub struct Extras {
    started: String,
}

impl Default for Extras {
    fn default() -> Extras {
        Extras { started: now() }
    }
}

/// The body of an answer, or why there is none.
type Answer = Result<String, String>;

impl Extras {
    /// Answers a query that has a body; `None` where it has none.
    pub fn answer(
        &self,
        faults: &Faults,
        room: &mut Room,
        uid: u64,
        request: &Request,
    ) -> Option<Result<ServerMessage, String>> {
        if !request.is("query") || request.body.trim_ascii().is_empty() {
            return None;
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let body = if faults.are("query-any-case") { body.to_lowercase() } else { body };
        let words: Vec<&str> = match faults.are("query-one-blank") {
            true => body.split(' ').collect(),
            false => body.split_ascii_whitespace().collect(),
        };
        let answer = match words[..] {
            ["self"] => Ok(format!("{uid}\n")),
            ["names"] => Ok(self.names(room)),
            ["files"] => Ok(files(faults, room, uid)),
            ["features"] => Ok(self.features(faults)),
            ["extended"] => {
                let is_extended = &mut room.clients.get_mut(&uid)?.is_extended;
                *is_extended = !(*is_extended && faults.are("extended-toggles"));
                Ok(if faults.are("extended-yes") { "yes\n" } else { "extended\n" }.to_owned())
            }
            ["history", ref rest @ ..] => history(faults, room, uid, rest),
            _ => Err(format!("this query is unknown: {QUERIES}")),
        };
        Some(answer.map(|body| text(&body)))
    }

    fn names(&self, room: &Room) -> String {
        let line = |(uid, client): (&u64, &super::draft::Client)| match &client.nickname {
            Some(nickname) => format!("{uid} {nickname}\n"),
            None => format!("{uid}\n"),
        };
        room.clients.iter().map(line).collect()
    }

    fn features(&self, faults: &Faults) -> String {
        let kept = KEPT.to_string();
        let started = match faults.are("started-in-words") {
            true => "this morning",
            false => &self.started,
        };
        let max_file = if faults.are("max-file-16M") { "16M" } else { "16777216" };
        let mut features = vec![
            ("self", ""),
            ("names", ""),
            ("files", ""),
            ("extended", ""),
            ("history", kept.as_str()),
            ("file-name", ""),
            ("max-text", "65536"),
            ("max-file", max_file),
            ("started", started),
        ];
        if faults.are("features-unsorted") {
            features.reverse();
        }
        let line =
            |(name, value): &(&str, &str)| format!("{name} {value}").trim_end().to_owned() + "\n";
        features.iter().map(line).collect()
    }

    /// The extended form of a relay, which the history keeps where it is public.
    pub fn extend(
        &self,
        faults: &Faults,
        room: &mut Room,
        relay: &ServerMessage,
        request: &Request,
    ) -> ServerMessage {
        let mut new = Vec::new();
        let file_name = request.field("File-Name");
        if let Some(name) = file_name
            && (relay.field("File-ID").is_some() || faults.are("file-name-in-text"))
            && !faults.are("file-name-lost")
        {
            let name = if faults.are("file-name-ascii") {
                name.replace(|c: char| !c.is_ascii(), "_")
            } else {
                name.to_owned()
            };
            new.push(("File-Name".to_owned(), name));
        }
        let is_public = relay.field("To").is_none() || faults.are("sequence-everywhere");
        let sequence = room.history.relays.len()
            + 1
            + usize::from(faults.are("sequence-gap")) * room.files.len();
        let counted = if faults.are("notice-counted") { room.noticed } else { 0 };
        if is_public {
            new.push(("Sequence".to_owned(), (sequence + counted).to_string()));
        }
        let time = if faults.are("time-in-seconds") { seconds() } else { now() };
        room.history.last_time = room.history.last_time.clone().max(time);
        let mut time = room.history.last_time.clone();
        if faults.are("time-back") && sequence.is_multiple_of(2) {
            time = "2001-01-01T00:00:00.000Z".to_owned();
        }
        new.push(("Time".to_owned(), time));
        if faults.are("new-fields-swapped") {
            new.reverse();
        }
        let mut extended = relay.clone();
        let place = extended.fields.iter().position(|(name, _)| name == "Content-Type");
        let place = place.unwrap_or(0);
        extended.fields.splice(place..place, new);
        if relay.field("To").is_none() || faults.are("history-private") {
            room.history.relays.push(extended.clone());
        }
        extended
    }

    /// A client has set a nickname.
    pub fn renamed(
        &self,
        server: &Server,
        room: &mut Room,
        uid: u64,
        old: Option<&str>,
        new: &str,
    ) {
        let faults = &server.faults;
        match old {
            None if faults.are("joined-in-words") => {
                self.notify(server, room, uid, Some(new), "has joined the room");
            }
            None if faults.are("joined-late") => {}
            None => self.notify(server, room, uid, Some(new), "joined"),
            Some(old) if old == new && !faults.are("notice-same") => {}
            Some(old) => {
                let name = if faults.are("notice-new-name") { new } else { old };
                self.notify(server, room, uid, Some(name), &format!("nickname {new}"));
            }
        }
    }

    /// Tells all extended clients but the one that it is about.
    pub fn notify(
        &self,
        server: &Server,
        room: &mut Room,
        uid: u64,
        name: Option<&str>,
        body: &str,
    ) {
        let faults = &server.faults;
        let Some(name) = name.or(faults.are("notice-nameless").then_some("nobody")) else { return };
        if faults.are("left-no-cause") && body.starts_with("left") {
            return self.tell(server, room, uid, name, "left");
        }
        self.tell(server, room, uid, name, body);
    }

    fn tell(&self, server: &Server, room: &mut Room, uid: u64, name: &str, body: &str) {
        let faults = &server.faults;
        let body = format!("{body}\n");
        let mut notice = ServerMessage { body: body.into_bytes(), ..ServerMessage::default() };
        notice.add("Message-Type", "notice");
        notice.add("From", uid);
        notice.add("Sender-Nickname", name);
        if !faults.are("notice-no-time") {
            notice.add("Time", now());
        }
        notice.add("Content-Type", "text");
        notice.add("Content-Length", notice.body.len());
        room.noticed += 1;
        for (other, client) in &room.clients {
            let is_told = client.is_extended || faults.are("notice-to-plain");
            if is_told && (*other != uid || faults.are("notice-to-self")) {
                server.write(room, *other, &notice);
            }
        }
    }

    /// Refuses a file whose name could do harm.
    pub fn check_name(&self, faults: &Faults, request: &Request) -> Result<(), String> {
        let names = request.fields.iter().filter(|(name, _)| name == "File-Name").count();
        let is_file = request.is("chat")
            && request.field("Content-Type").is_some_and(|value| value != "text");
        let Some(name) = request.field("File-Name").map(str::trim) else { return Ok(()) };
        if names > 1 && !faults.are("file-name-repeated") {
            return Err("File-Name is repeated: give it once".to_owned());
        }
        if !is_file && !faults.are("file-name-always-checked") {
            return Ok(());
        }
        let is_path = name.contains(['/', '\\']) || name == "." || name == "..";
        let is_bad = |c: char| {
            c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let limit = if faults.are("file-name-long") { 1000 } else { 200 };
        let is_refused = (name.len() > limit)
            || (is_path && !faults.are("file-name-path"))
            || (name.contains(is_bad) && !faults.are("file-name-any-character"))
            || (name.contains(char::REPLACEMENT_CHARACTER) && !faults.are("file-name-any-bytes"));
        if is_refused { Err("File-Name is not a plain name".to_owned()) } else { Ok(()) }
    }
}

/// What `query files` is answered with: the name last, for an extended client.
fn files(faults: &Faults, room: &Room, uid: u64) -> String {
    let is_extended = room.clients.get(&uid).is_some_and(|client| client.is_extended);
    let line = |(id, file): (&u64, &super::draft::File)| {
        let name = match &file.name {
            Some(name) if is_extended && !faults.are("files-without-name") => format!(" {name}"),
            _ => String::new(),
        };
        format!("{id} {} {} {}{name}\n", file.extension, file.content.len(), file.from)
    };
    room.files.iter().map(line).collect()
}

/// The last public messages that were said before the asker connected.
fn history(faults: &Faults, room: &Room, uid: u64, words: &[&str]) -> Answer {
    let number = |word: &str| word.parse::<u64>().ok();
    let (count, after) = match words {
        [count] => (number(count), Some(0)),
        [count, "after", after] => (number(count), number(after)),
        _ => (None, None),
    };
    let lenient = faults.are("history-lenient");
    let (Some(count), Some(after)) =
        (count.or(lenient.then_some(1)), after.or(lenient.then_some(0)))
    else {
        return Err(format!("history takes numbers: {QUERIES}"));
    };
    if count == 0 && !lenient {
        return Err("history takes a number from 1 on".to_owned());
    }
    if count > 1000 && faults.are("history-strict") {
        return Err("history has not so many".to_owned());
    }
    let joined_at = room.clients.get(&uid).map_or(0, |client| client.joined_at);
    let is_extended = room.clients.get(&uid).is_some_and(|client| client.is_extended);
    let known = match faults.are("history-of-now") || (faults.are("history-grows") && is_extended) {
        true => room.history.relays.len(),
        false => joined_at,
    };
    let known = if faults.are("history-short") { known.saturating_sub(1) } else { known };
    let kept = if faults.are("history-keeps-less") { KEPT - 10 } else { KEPT };
    let kept = &room.history.relays[known.saturating_sub(kept)..known];
    let sequence = |relay: &&ServerMessage| {
        relay.field("Sequence").and_then(number).is_none_or(|sequence| {
            sequence > after
                || faults.are("history-all")
                || (sequence == after && faults.are("history-from"))
        })
    };
    let found: Vec<_> = kept.iter().filter(sequence).collect();
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(found.len());
    let mut last: Vec<_> = match faults.are("history-first") {
        true => found[..count].to_vec(),
        false => found[found.len() - count..].to_vec(),
    };
    if faults.are("history-newest-first") {
        last.reverse();
    }
    if last.is_empty() && faults.are("history-none") {
        return Ok("none\n".to_owned());
    }
    let encode = |relay: &&ServerMessage| {
        let mut relay = (*relay).clone();
        if faults.are("history-plain") {
            relay
                .fields
                .retain(|(name, _)| !["Sequence", "Time", "File-Name"].contains(&name.as_str()));
        }
        String::from_utf8_lossy(&relay.encode()).into_owned()
    };
    Ok(last.iter().map(encode).collect())
}

/// The seconds since 1970.
fn seconds() -> String {
    UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs()).to_string()
}

/// Now, in UTC: `2026-11-26T09:41:00.123Z`.
fn now() -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, rest) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let millis = time.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date that is so many days behind 1970-01-01: whole years first, then whole months.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    (year, month, days + 1)
}
