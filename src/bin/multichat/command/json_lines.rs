//! Two-way JSON: each line of standard input is an object that asks for something, and each line of
//! standard output one that has arrived, or answers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use multichat::args;
use multichat::client::{Answer, Client, Failure as Refused};
use multichat::ids::{FileId, Uid};
use serde_json::{Map, Value, json};

use super::lines::read_line;
use super::missed;
use crate::Failure;
use crate::file::fetch;
use crate::file::progress::Progress;
use crate::file::saving::Target;
use crate::file::share::{Outgoing, Source, share_in_room};
use crate::joining::{Joined, Questions};
use crate::output::{self, complain};
use crate::receiver::NamedReceiver;
use crate::reconnecting_client::{ConnectionEvent, ReconnectingClient};
use crate::settings::{Settings, shown};
use crate::show::json;
use crate::transcript::Transcript;

/// How many texts may be on their way without a response.
const WINDOW: usize = 64;

/// How many objects may wait for standard output before no more is read.
const WAITING_LIMIT: usize = 16;

/// What the thread that prints is told.
enum Step {
    Connection(ConnectionEvent),
    /// A response, and whether it is an error.
    Response(Value, bool),
    /// All is answered, or standard input cannot be read.
    Done(io::Result<()>),
}

/// Carries out what standard input asks for, and prints what arrives and what is answered.
pub(crate) fn run(settings: Settings) -> Result<(), Failure> {
    let transcript = Transcript::open(&settings)?.map(Arc::new);
    output::watch_reader()?;
    let (say, steps) = bounded(WAITING_LIMIT);
    let on_event = say.clone();
    let questions = Questions {
        uid: true,
        extended: true,
        history: settings.history.unwrap_or(0),
        // A share that is refused takes its connection with it.
        place: true,
        ..Questions::default()
    };
    let has_notices = settings.notices.unwrap_or(false);
    let room = ReconnectingClient::start(settings, questions, move |event| {
        let _ = on_event.send(Step::Connection(event));
    })?;
    let objects = Objects { room, say: say.clone(), transcript: transcript.clone() };
    let asker = thread::Builder::new().name("asker".to_string()).spawn(move || {
        let done = objects.carry_out_all();
        objects.room.leave();
        // The printing thread has ended where the connection was lost.
        let _ = say.send(Step::Done(done));
    });
    asker.map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))?;
    print_steps(&steps, has_notices, transcript.as_deref())
}

fn print_steps(
    steps: &Receiver<Step>,
    has_notices: bool,
    transcript: Option<&Transcript>,
) -> Result<(), Failure> {
    let mut has_failed = false;
    loop {
        match steps.recv() {
            Ok(Step::Connection(ConnectionEvent::Relay(relay, age))) => {
                if let Some(transcript) = transcript {
                    transcript.relay(&relay, age);
                }
                output::print(&(json::relay(&relay) + "\n"))?;
            }
            Ok(Step::Connection(ConnectionEvent::Notice(notice))) if has_notices => {
                output::print(&(json::notice(&notice) + "\n"))?;
            }
            Ok(Step::Connection(
                ConnectionEvent::Joined(_)
                | ConnectionEvent::JoinedAgain
                | ConnectionEvent::Notice(_),
            )) => {}
            Ok(Step::Connection(ConnectionEvent::Status(what))) => complain(&what),
            Ok(Step::Connection(ConnectionEvent::Ended(why))) => return Err(Failure::Run(why)),
            Ok(Step::Response(response, is_error)) => {
                has_failed |= is_error;
                output::print(&(json::line(&response) + "\n"))?;
            }
            Ok(Step::Done(Err(error))) => {
                let why = args::why(&error);
                return Err(Failure::Run(format!("cannot read standard input: {why}")));
            }
            Ok(Step::Done(Ok(()))) | Err(_) => {
                return if has_failed { Err(Failure::Silent) } else { Ok(()) };
            }
        }
    }
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Text { text: String, to: Option<NamedReceiver> },
    Share { path: PathBuf, to: Option<NamedReceiver> },
    Fetch { id: FileId, output: Option<PathBuf> },
    Nick(String),
    Query(String),
}

const EXPECTED: &str = "one of text, share, fetch, nick and query";

impl Wish {
    fn parse(object: &Map<String, Value>) -> Result<Wish, String> {
        let to = || object.get("to").filter(|to| !to.is_null()).map(parse_receiver).transpose();
        let kinds = ["text", "share", "fetch", "nick", "query"];
        let mut found = kinds.into_iter().filter(|kind| object.contains_key(*kind));
        let kind = found.next().ok_or(format!("nothing is asked for: expected {EXPECTED}"))?;
        if found.next().is_some() {
            return Err(format!("more than one thing is asked for: expected {EXPECTED}"));
        }
        let known = match kind {
            "text" | "share" => ["to", "id"].as_slice(),
            "fetch" => &["output", "id"],
            _ => &["id"],
        };
        if let Some(name) = object.keys().find(|name| *name != kind && !known.contains(&&***name)) {
            return Err(format!("{name:?} is not known beside {kind:?}"));
        }
        let string = |name: &str| match object.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(format!("{name:?} is not a string")),
        };
        Ok(match kind {
            "text" => Wish::Text { text: string(kind)?, to: to()? },
            "share" => Wish::Share { path: string(kind)?.into(), to: to()? },
            "nick" => Wish::Nick(string(kind)?),
            "query" => Wish::Query(string(kind)?),
            _ => {
                let id = object[kind].as_u64().ok_or("\"fetch\" is not a File-ID (a number)")?;
                let output = object.get("output").map(|_| string("output")).transpose()?;
                Wish::Fetch { id: FileId(id), output: output.map(PathBuf::from) }
            }
        })
    }
}

fn parse_receiver(value: &Value) -> Result<NamedReceiver, String> {
    let not = "\"to\" is not a UID (a number) and not a nickname (a string)";
    match value {
        Value::Number(uid) => {
            uid.as_u64().map(|uid| NamedReceiver::Uid(Uid(uid))).ok_or(not.to_string())
        }
        Value::String(nickname) => NamedReceiver::parse(nickname).map_err(str::to_string),
        _ => Err(not.to_string()),
    }
}

/// What is said of a wish that was carried out, in an object; or why it was not.
type Told = Result<Map<String, Value>, String>;

fn told<const N: usize>(pairs: [(&str, Value); N]) -> Told {
    Ok(pairs.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

fn told_of_text(answer: &Answer) -> Told {
    match missed(answer) {
        Some(missed) => told([("missed", missed.into())]),
        None => told([]),
    }
}

fn response(id: Value, told: Told) -> Step {
    let is_error = told.is_err();
    let status = if is_error { "error" } else { "ok" };
    let mut object = json!({ "kind": "response", "id": id, "status": status });
    if let Value::Object(object) = &mut object {
        match told {
            Ok(told) => object.extend(told),
            Err(reason) => object.extend([("reason".to_string(), reason.into())]),
        }
    }
    Step::Response(object, is_error)
}

/// The objects of standard input, being carried out.
struct Objects {
    room: ReconnectingClient,
    say: Sender<Step>,
    transcript: Option<Arc<Transcript>>,
}

impl Objects {
    /// Carries out each line, and waits for the last answers. Ends early where the connection is lost
    /// for good.
    fn carry_out_all(&self) -> io::Result<()> {
        // A token is taken for each text, and comes back with its response.
        let (give_back, tokens) = bounded(WINDOW);
        for _ in 0..WINDOW {
            let _ = give_back.send(());
        }
        if self.room.wait().is_none() {
            return Ok(());
        }
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        let mut is_first = true;
        while read_line(&mut input, &mut line, is_first)? {
            is_first = false;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let Some(joined) = self.room.wait() else { return Ok(()) };
            if tokens.recv().is_err() {
                return Ok(());
            }
            self.carry_out(&joined, &line, &give_back);
        }
        for _ in 0..WINDOW {
            if tokens.recv().is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Carries out a line. A text is not waited for; its token comes back with its response.
    fn carry_out(&self, joined: &Joined, line: &[u8], give_back: &Sender<()>) {
        let (id, wish) = match serde_json::from_slice(line) {
            Ok(Value::Object(object)) => {
                let id = object.get("id").cloned().unwrap_or_default();
                (id, Wish::parse(&object))
            }
            Ok(_) => (Value::Null, Err("this line is JSON, but not an object".to_string())),
            Err(error) => (Value::Null, Err(format!("this line is not JSON: {error}"))),
        };
        let to_all = |to: Option<NamedReceiver>| match to {
            Some(to) => to.find_by(joined).map(Some),
            None => joined.to.clone(),
        };
        let told = match wish {
            Ok(Wish::Text { text, to }) => match to_all(to) {
                Ok(to) => return self.send_text(joined, id, to, &text, give_back),
                Err(why) => Err(why),
            },
            Ok(Wish::Share { path, to }) => {
                to_all(to).and_then(|to| self.share(joined, &Source::File(path), to))
            }
            Ok(Wish::Fetch { id, output }) => fetch(&joined.client, id, output),
            Ok(Wish::Nick(nickname)) => self.set_nickname(&joined.client, &nickname),
            Ok(Wish::Query(what)) => match joined.client.query(&what) {
                Ok(answer) => told([("answer", answer.into())]),
                Err(failure) => Err(shown(&failure)),
            },
            Err(why) => Err(why),
        };
        let _ = self.say.send(response(id, told));
        let _ = give_back.send(());
    }

    fn send_text(
        &self,
        joined: &Joined,
        id: Value,
        to: Option<Uid>,
        text: &str,
        give_back: &Sender<()>,
    ) {
        if let Some(transcript) = &self.transcript {
            transcript.said(joined.uid, self.room.nickname().as_deref(), to, text);
        }
        let (say, give_back) = (self.say.clone(), give_back.clone());
        let text = text.as_bytes();
        joined.client.send_text_then(to, text, move |answer: Result<Answer, Refused>| {
            let told = match answer {
                Ok(answer) => told_of_text(&answer),
                Err(failure) => Err(shown(&failure)),
            };
            let _ = say.send(response(id, told));
            let _ = give_back.send(());
        });
    }

    fn share(&self, joined: &Joined, source: &Source, to: Option<Uid>) -> Told {
        let file = Outgoing::open(source, None)?;
        let id = share_in_room(&self.room, joined, file, to, || Progress::None)?;
        told([("file_id", id.0.into())])
    }

    fn set_nickname(&self, client: &Client, nickname: &str) -> Told {
        let nickname = client.set_nickname(nickname).map_err(|failure| shown(&failure))?;
        self.room.keep_nickname(&nickname);
        told([("nickname", nickname.into())])
    }
}

fn fetch(client: &Client, id: FileId, output: Option<PathBuf>) -> Told {
    let target = output.map_or_else(Target::here, Target::at);
    match fetch::fetch(client, id, &target, Progress::None) {
        Ok(Some(path)) => told([("output", path.to_string_lossy().into())]),
        Ok(None) => told([]),
        Err(why) => Err(why.why()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wish, String> {
        let Ok(Value::Object(object)) = serde_json::from_str(line) else { panic!("{line}") };
        Wish::parse(&object)
    }

    #[test]
    fn a_line_asks_for_one_thing() {
        let text = |text: &str, to| Wish::Text { text: text.to_string(), to };
        let check = |line: &str, expected: Wish| assert_eq!(parse(line), Ok(expected), "{line}");
        check(r#"{"text": "hi"}"#, text("hi", None));
        check(r#"{"text": "hi", "to": null, "id": [1]}"#, text("hi", None));
        check(r#"{"text": "hi", "to": 7}"#, text("hi", Some(NamedReceiver::Uid(Uid(7)))));
        let tom = NamedReceiver::Nickname("Tom".to_string());
        check(r#"{"text": "hi", "to": "Tom"}"#, text("hi", Some(tom)));
        check(r#"{"share": "a b"}"#, Wish::Share { path: "a b".into(), to: None });
        check(r#"{"fetch": 10}"#, Wish::Fetch { id: FileId(10), output: None });
        let output = Some("x".into());
        check(r#"{"fetch": 10, "output": "x"}"#, Wish::Fetch { id: FileId(10), output });
        check(r#"{"nick": "Tom"}"#, Wish::Nick("Tom".to_string()));
        check(r#"{"query": "names", "id": 1}"#, Wish::Query("names".to_string()));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let check = |line: &str, expected: &str| {
            let why = parse(line).expect_err(line);
            assert!(why.contains(expected), "{line}: {why}");
        };
        check("{}", "nothing is asked for");
        check(r#"{"id": 1, "say": "x"}"#, "nothing is asked for");
        check(r#"{"text": "a", "nick": "b"}"#, "more than one");
        check(r#"{"text": 1}"#, "\"text\" is not a string");
        check(r#"{"text": "a", "to": -1}"#, "not a UID");
        check(r#"{"text": "a", "to": [7]}"#, "not a UID");
        check(r#"{"fetch": "10"}"#, "not a File-ID");
        check(r#"{"fetch": 10, "to": 7}"#, "\"to\" is not known beside \"fetch\"");
        check(r#"{"fetch": 10, "output": 7}"#, "\"output\" is not a string");
    }
}
