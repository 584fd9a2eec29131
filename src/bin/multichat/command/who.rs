//! `who`: lists who is here.

use std::io::{self, IsTerminal};

use multichat::client;
use multichat::ids::Uid;
use serde_json::json;

use super::refused;
use crate::Failure;
use crate::joining::{Joined, Questions};
use crate::output;
use crate::receiver::Names;
use crate::settings::Settings;
use crate::show::{json, sender};

/// One line a client: UID and nickname. On a terminal one's own is marked.
pub(crate) fn run(settings: &Settings, as_json: bool) -> Result<(), Failure> {
    let joined = settings.join(Questions { uid: true, names: true, ..Questions::default() })?;
    let names = names(&joined)?;
    joined.leave();
    let lines: Vec<String> = match as_json {
        true => names.iter().map(|client| as_object(client, joined.uid)).collect(),
        false => list(&names, joined.uid.filter(|_| io::stdout().is_terminal())),
    };
    output::print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// The clients that are here; by UID alone, where the server tells no more.
fn names(joined: &Joined) -> Result<Names, Failure> {
    if let Some(names) = &joined.names {
        return Ok(names.clone());
    }
    let body = joined.client.query("").map_err(refused)?;
    let listed = client::parse_names(&body);
    listed.ok_or_else(|| Failure::Run("the server's list of clients is not one".to_string()))
}

/// A line a client; one's own is marked in front, where it is known.
pub(crate) fn list(names: &Names, own: Option<Uid>) -> Vec<String> {
    let line = |(uid, name): &(Uid, Option<String>)| {
        let mark = match own {
            Some(own) if own == *uid => "* ",
            Some(_) => "  ",
            None => "",
        };
        format!("{mark}{}", sender(*uid, name.as_deref()))
    };
    names.iter().map(line).collect()
}

fn as_object((uid, name): &(Uid, Option<String>), own: Option<Uid>) -> String {
    json::line(&json!({
        "kind": "client",
        "uid": uid.0,
        "nickname": name,
        "self": own == Some(*uid),
    }))
}
