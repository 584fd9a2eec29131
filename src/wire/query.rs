//! Everything of `query` (§2.1.1.2; P4): the bodies that ask, and the answers to them, both ways.
//!
//! The draft knows the query without a body. `self`, `names` and `files` ask for what the draft gives
//! no other way to learn; the rest goes beyond it, and only servers that offer it know it.

use super::error::MessageError;
use super::field::{Extensions, parse_number, push_number};
use super::header::ReadError;
use super::server_message::{ServerMessage, read_server_message};
use super::timestamp::Timestamp;
use crate::ids::{FileId, Uid};
use crate::text::Excerpt;

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The UIDs of all active clients: no body, the draft's own query.
    Uids,
    /// `self`: the asker's own UID.
    OwnUid,
    /// `names`: the active clients with their nicknames.
    Names,
    /// `files`: the staged files that the asker may fetch.
    Files,
    /// `features`: what this server offers beyond the draft, and its limits.
    Features,
    /// `extended`: from the response on, the extended form of what is relayed, and notices.
    Extended,
    /// `history N` or `history N after K`: public messages from before the asker connected.
    History {
        /// The most messages that are wanted; at least 1.
        count: u64,
        /// Only those whose `Sequence` is above it.
        after: Option<u64>,
    },
}

impl Query {
    /// Reads the body of a query: words in lower case, separated by spaces or tabs; white space
    /// around them is dropped.
    ///
    /// # Errors
    /// [`MessageError::UnknownQuery`], which names all that a server with these `extensions` knows;
    /// [`MessageError::BadHistory`].
    pub fn parse(body: &[u8], extensions: Extensions) -> Result<Query, MessageError> {
        let body = body.trim_ascii();
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut words = body.split(blank).filter(|word| !word.is_empty());
        let query = match (words.next(), words.next()) {
            (None, _) => Some(Query::Uids),
            (Some(b"history"), count) if extensions == Extensions::On => {
                let history = parse_history(count, [words.next(), words.next(), words.next()]);
                return history.ok_or_else(|| MessageError::BadHistory { body: Excerpt::of(body) });
            }
            (Some(word), None) => parse_word(word, extensions),
            (Some(_), Some(_)) => None,
        };
        query.ok_or_else(|| Query::unknown(body, extensions))
    }

    /// The error for a body that asks for nothing that the server knows.
    pub fn unknown(body: &[u8], extensions: Extensions) -> MessageError {
        MessageError::UnknownQuery { body: Excerpt::of(body.trim_ascii()), extensions }
    }

    /// The body that asks for it.
    pub fn body(self) -> String {
        match self {
            Query::Uids => String::new(),
            Query::OwnUid => "self".to_string(),
            Query::Names => "names".to_string(),
            Query::Files => "files".to_string(),
            Query::Features => "features".to_string(),
            Query::Extended => "extended".to_string(),
            Query::History { count, after: None } => format!("history {count}"),
            Query::History { count, after: Some(after) } => {
                format!("history {count} after {after}")
            }
        }
    }
}

fn parse_word(word: &[u8], extensions: Extensions) -> Option<Query> {
    match (word, extensions) {
        (b"self", _) => Some(Query::OwnUid),
        (b"names", _) => Some(Query::Names),
        (b"files", _) => Some(Query::Files),
        (b"features", Extensions::On) => Some(Query::Features),
        (b"extended", Extensions::On) => Some(Query::Extended),
        _ => None,
    }
}

fn parse_history(count: Option<&[u8]>, rest: [Option<&[u8]>; 3]) -> Option<Query> {
    let count = count.and_then(parse_number).filter(|&count| count > 0)?;
    let after = match rest {
        [None, ..] => None,
        [Some(b"after"), Some(number), None] => Some(parse_number(number)?),
        _ => return None,
    };
    Some(Query::History { count, after })
}

/// The answer to a query for UIDs: one a line, in the order given (§2.1.1.2).
pub fn encode_uids(uids: impl IntoIterator<Item = Uid>) -> Vec<u8> {
    let mut body = Vec::new();
    for uid in uids {
        push_number(uid.0, &mut body);
        body.push(b'\n');
    }
    body
}

/// The answer to `names`: `UID` or `UID nickname` a line, in the order given.
pub fn encode_names<N: AsRef<str>>(names: impl IntoIterator<Item = (Uid, Option<N>)>) -> Vec<u8> {
    let mut body = Vec::new();
    for (uid, nickname) in names {
        push_number(uid.0, &mut body);
        if let Some(nickname) = nickname {
            body.push(b' ');
            body.extend_from_slice(nickname.as_ref().as_bytes());
        }
        body.push(b'\n');
    }
    body
}

/// Reads the answer to `names`, or to the query for UIDs; `None` where it is neither.
pub fn parse_names(body: &str) -> Option<Vec<(Uid, Option<String>)>> {
    let lines = body.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let clients = lines.map(|line| {
        let (uid, name) = line.split_once(' ').unwrap_or((line, ""));
        let uid = Uid(parse_number(uid.as_bytes())?);
        Some((uid, Some(name.trim().to_string()).filter(|name| !name.is_empty())))
    });
    clients.collect()
}

/// Reads the answer to `self`; `None` where it is none: more than one line is the answer of a server
/// that does not know this query.
pub fn parse_own_uid(body: &str) -> Option<Uid> {
    parse_number(body.trim().as_bytes()).map(Uid)
}

/// A line of the answer to `files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLine<'a> {
    /// What to fetch it by.
    pub id: FileId,
    /// What kind of file it is: its filename extension.
    pub content_type: &'a str,
    /// Its size in bytes.
    pub len: u64,
    /// The client that shared it; 0 for a file kept from an earlier run.
    pub from: Uid,
    /// The name that its sharer gave it; told to extended clients alone.
    pub name: Option<&'a str>,
}

impl<'a> FileLine<'a> {
    /// Reads a line, without its end; `None` where it is none.
    pub fn parse(line: &'a str) -> Option<FileLine<'a>> {
        let mut parts = line.splitn(5, ' ');
        let number = |part: Option<&str>| part.and_then(|part| parse_number(part.as_bytes()));
        let id = FileId(number(parts.next())?);
        let content_type = parts.next().filter(|content_type| !content_type.is_empty())?;
        let len = number(parts.next())?;
        let from = Uid(number(parts.next())?);
        Some(FileLine { id, content_type, len, from, name: parts.next() })
    }
}

/// The answer to `files`, a line each, in the order given.
pub fn encode_files<'a>(files: impl IntoIterator<Item = FileLine<'a>>) -> Vec<u8> {
    let mut body = Vec::new();
    for file in files {
        push_number(file.id.0, &mut body);
        body.push(b' ');
        body.extend_from_slice(file.content_type.as_bytes());
        body.push(b' ');
        push_number(file.len, &mut body);
        body.push(b' ');
        push_number(file.from.0, &mut body);
        if let Some(name) = file.name {
            body.push(b' ');
            body.extend_from_slice(name.as_bytes());
        }
        body.push(b'\n');
    }
    body
}

/// Reads the answer to `files`; `None` where a line is none.
pub fn parse_files(body: &str) -> Option<Vec<FileLine<'_>>> {
    body.lines().map(FileLine::parse).collect()
}

/// The answer to `features`: what a server offers, and its limits. The default is a server that
/// offers nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// It knows `self`.
    pub own_uid: bool,
    /// It knows `names`.
    pub names: bool,
    /// It knows `files`.
    pub files: bool,
    /// It knows `extended`.
    pub extended: bool,
    /// How many public messages it keeps; `None` where the history is off.
    pub history: Option<u64>,
    /// It takes `File-Name`.
    pub file_name: bool,
    /// The longest text in bytes, where it says so.
    pub max_text: Option<u64>,
    /// The largest file in bytes, where it says so.
    pub max_file: Option<u64>,
    /// When it started: `Sequence` begins again with it.
    pub started: Option<Timestamp>,
}

impl Features {
    /// Encodes the answer: one feature a line, `NAME` or `NAME VALUE`.
    pub fn encode(&self) -> Vec<u8> {
        let word = |is_there: bool, name: &str| is_there.then(|| format!("{name}\n"));
        let number = |value: Option<u64>, name: &str| value.map(|n| format!("{name} {n}\n"));
        let lines = [
            word(self.own_uid, "self"),
            word(self.names, "names"),
            word(self.files, "files"),
            word(self.extended, "extended"),
            number(self.history, "history"),
            word(self.file_name, "file-name"),
            number(self.max_text, "max-text"),
            number(self.max_file, "max-file"),
            self.started.map(|started| format!("started {started}\n")),
        ];
        lines.into_iter().flatten().collect::<String>().into_bytes()
    }

    /// Reads the answer; lines that are not known are skipped.
    pub fn parse(body: &str) -> Features {
        let mut features = Features::default();
        for line in body.lines().map(str::trim_end) {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let number = || parse_number(value.as_bytes());
            match name {
                "self" => features.own_uid = true,
                "names" => features.names = true,
                "files" => features.files = true,
                "extended" => features.extended = true,
                "history" => features.history = number(),
                "file-name" => features.file_name = true,
                "max-text" => features.max_text = number(),
                "max-file" => features.max_file = number(),
                "started" => features.started = Timestamp::parse(value.as_bytes()),
                _ => {}
            }
        }
        features
    }
}

/// The answer to `extended`.
pub const EXTENDED_ANSWER: &[u8] = b"extended\n";

/// Reads the answer to `history`: relays in the extended form, each with its body; the first `limit` of
/// them.
///
/// # Errors
/// Where it is not that, or is cut short ([`ReadError::Ended`]).
pub fn parse_history_answer(
    mut body: &[u8],
    limit: usize,
) -> Result<Vec<(ServerMessage, &[u8])>, ReadError> {
    let mut messages = Vec::new();
    let mut line = Vec::new();
    while messages.len() < limit
        && let Some(message) = read_server_message(&mut body, &mut line)?
    {
        let len = usize::try_from(message.body_len()).unwrap_or(usize::MAX);
        let (text, rest) = body.split_at_checked(len).ok_or(ReadError::Ended)?;
        body = rest;
        messages.push((message, text));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_of_a_query_are_words_in_lower_case() {
        // §2.1.1.2; P4, query: what is not known is refused.
        let check = |body: &str, expected: Option<Query>| {
            for extensions in [Extensions::Off, Extensions::On] {
                let got = Query::parse(body.as_bytes(), extensions);
                let body = Excerpt::of(body.trim().as_bytes());
                let unknown = MessageError::UnknownQuery { body, extensions };
                assert_eq!(got, expected.ok_or(unknown));
            }
        };
        check("", Some(Query::Uids));
        check(" \r\n\t", Some(Query::Uids));
        check("self", Some(Query::OwnUid));
        check("\tnames \r\n", Some(Query::Names));
        check("files\n", Some(Query::Files));
        for unknown in ["who", "selfish", "SELF", "self names", "self self", "names\nfiles", "1"] {
            check(unknown, None);
        }
    }

    #[test]
    fn queries_beyond_the_draft_are_known_to_servers_that_offer_them() {
        let check = |body: &str, expected: Query| {
            assert_eq!(Query::parse(body.as_bytes(), Extensions::On), Ok(expected));
            let unknown = Query::unknown(body.as_bytes(), Extensions::Off);
            assert_eq!(Query::parse(body.as_bytes(), Extensions::Off), Err(unknown));
        };
        let history = |count, after| Query::History { count, after };
        check("features", Query::Features);
        check(" extended\n", Query::Extended);
        check("history 5", history(5, None));
        check("history\t 007 ", history(7, None));
        check("history 18446744073709551615 \t after  0", history(u64::MAX, Some(0)));
        check("history 1 after 4711", history(1, Some(4711)));
    }

    #[test]
    fn a_query_for_the_history_is_told_what_was_expected() {
        let bad = [
            "history",
            "history 0",
            "history x",
            "history -1",
            "history 18446744073709551616",
            "history 5 6",
            "history 5 after",
            "history 5 after x",
            "history 5 before 6",
            "history 5 after 6 7",
            "history after 5",
        ];
        for body in bad {
            let error = MessageError::BadHistory { body: Excerpt::of(body.as_bytes()) };
            assert_eq!(Query::parse(body.as_bytes(), Extensions::On), Err(error));
        }
    }

    #[test]
    fn a_query_decodes_to_itself() {
        let history = |count, after| Query::History { count, after };
        let all = [
            Query::Uids,
            Query::OwnUid,
            Query::Names,
            Query::Files,
            Query::Features,
            Query::Extended,
            history(100, None),
            history(1, Some(u64::MAX)),
        ];
        for query in all {
            assert_eq!(Query::parse(query.body().as_bytes(), Extensions::On), Ok(query));
        }
    }

    #[test]
    fn lists_of_clients_decode_to_themselves() {
        // P4, query: `UID` or `UID nickname`, a line each.
        assert_eq!(encode_uids([Uid(1), Uid(22)]), b"1\n22\n");
        assert_eq!(parse_names("1\n22\n"), Some(vec![(Uid(1), None), (Uid(22), None)]));
        let names = [(Uid(1), None), (Uid(2), Some("Tom Sawyer".to_string()))];
        let body = String::from_utf8(encode_names(names.clone())).unwrap();
        assert_eq!(body, "1\n2 Tom Sawyer\n");
        assert_eq!(parse_names(&body), Some(names.to_vec()));
        assert_eq!(parse_names(""), Some(Vec::new()));
        assert_eq!(parse_names("Tom 1\n"), None);
        assert_eq!(parse_own_uid("7\n"), Some(Uid(7)));
        assert_eq!(parse_own_uid("7\n8\n"), None);
    }

    #[test]
    fn lists_of_files_decode_to_themselves() {
        // P4, query: File-ID, Content-Type, Content-Length, From; behind them a name.
        let jpg =
            FileLine { id: FileId(10), content_type: "jpg", len: 3000, from: Uid(7), name: None };
        let named = FileLine { name: Some("holiday plan.jpg"), ..jpg };
        let body = String::from_utf8(encode_files([jpg, named])).unwrap();
        assert_eq!(body, "10 jpg 3000 7\n10 jpg 3000 7 holiday plan.jpg\n");
        assert_eq!(parse_files(&body), Some(vec![jpg, named]));
        for line in ["10", "10 jpg 3000", "x jpg 3000 7", "10 jpg x 7", "10 jpg 3000 x", "10  1 7"]
        {
            assert_eq!(FileLine::parse(line), None, "{line}");
        }
    }

    #[test]
    fn features_are_listed_in_their_order_and_unknown_lines_are_skipped() {
        let features = Features {
            own_uid: true,
            names: true,
            files: true,
            extended: true,
            history: Some(100),
            file_name: true,
            max_text: Some(65_536),
            max_file: Some(16_777_216),
            started: Timestamp::parse(b"2026-11-26T09:41:00.123Z"),
        };
        let body = String::from_utf8(features.encode()).unwrap();
        assert_eq!(
            body,
            "self\nnames\nfiles\nextended\nhistory 100\nfile-name\nmax-text 65536\n\
             max-file 16777216\nstarted 2026-11-26T09:41:00.123Z\n"
        );
        assert_eq!(Features::parse(&body), features);
        assert_eq!(Features::parse(&format!("colour blue\n\n{body}later\n")), features);
        let off = Features { history: None, ..features };
        assert!(!String::from_utf8(off.encode()).unwrap().contains("history"));
        assert_eq!(
            Features::parse("history many\r\nself\r\n"),
            Features { own_uid: true, ..Features::default() }
        );
    }
}
