//! The rules that a client keeps or breaks.

use super::{ClientMessage, ENDED, End, Session, broken};
use crate::conformance::case::{Check, Stop};
use crate::conformance::finding::visible;
use crate::conformance::{Level, Rule, Subject};

/// The fields of client messages (§2.1.1.1).
const KNOWN: [&str; 5] = ["Message-Type", "Message-ID", "To", "Content-Type", "Content-Length"];

type Sentence = (&'static str, &'static str, &'static str);

const fn client(sentence: Sentence, check: fn(&Session) -> Check) -> Rule {
    Rule::new(Level::Draft, sentence, Subject::Client(check))
}

pub(super) const RULES: &[Rule] = &[
    client(("client-query-first", "§2.3.1.2", "the first message is a query"), query_first),
    client(
        (
            "client-header-lines",
            "§2.1.1",
            "a header is lines of a name, a blank and a value, in ASCII",
        ),
        header_lines,
    ),
    client(
        ("client-type", "§2.1.1.1", "each message has a Message-Type that the draft has"),
        message_type,
    ),
    client(("client-id", "§2.1.1.1", "each message has a Message-ID, an integer"), message_id),
    client(("client-id-counts", "§2.1.1.2", "Message-IDs go up by one"), id_counts),
    client(
        ("client-fields", "§2.1.1.1", "there are no fields that the draft does not list"),
        fields,
    ),
    client(
        ("client-length", "§2.1.1.2", "each body has its length in Content-Length, and is as long"),
        length,
    ),
    client(
        ("client-content-type", "§2.1.1.2", "a chat has a Content-Type, text or an extension"),
        content_type,
    ),
    client(("client-to", "§2.1.1.2", "To is used for private messages alone"), to),
    client(("client-ascii", "§2.1.2", "a body that is text is ASCII"), ascii),
    client(
        ("client-nickname", "§3.3.1", "a nickname message has the nickname as its body"),
        nickname,
    ),
    client(("client-fetch", "§2.3.3.2", "a fetch has a File-ID as its body"), fetch),
    client(
        (
            "client-any-order",
            "§2.2",
            "a relay that comes before a response is taken like any other",
        ),
        any_order,
    ),
    client(("client-bye", "§2.3.4", "the client says bye before it closes"), bye),
    client(("client-behind-bye", "§3.4.1", "nothing is sent behind bye"), behind_bye),
];

fn query_first(session: &Session) -> Check {
    match session.messages.first() {
        None => Err(broken("nothing", "a query")),
        Some(first) if first.is("query") => Ok(()),
        Some(first) => Err(broken(&first.show(), "Message-Type query")),
    }
}

fn header_lines(session: &Session) -> Check {
    session.everything("lines of a name, a blank and a value, in ASCII", |message| {
        let are_fields = message.lines.len() == message.fields.len();
        let is_cut = message.fault.as_deref() == Some(ENDED);
        is_cut || (are_fields && message.lines.iter().all(|line| line.is_ascii()))
    })
}

fn message_type(session: &Session) -> Check {
    session.all("Message-Type chat, query, fetch, nickname or bye", |message| {
        let types = ["chat", "query", "fetch", "nickname", "bye"];
        message.field("Message-Type").is_some_and(|value| types.contains(&value))
    })
}

fn id(message: &ClientMessage) -> Option<u64> {
    message.field("Message-ID").and_then(|value| value.parse().ok())
}

fn message_id(session: &Session) -> Check {
    session.all("a Message-ID, an integer", |message| id(message).is_some())
}

fn id_counts(session: &Session) -> Check {
    for pair in session.messages.windows(2) {
        let (Some(before), Some(now)) = (id(&pair[0]), id(&pair[1])) else { continue };
        if now != before.wrapping_add(1) {
            return Err(broken(&pair[1].show(), &format!("Message-ID {}", before.wrapping_add(1))));
        }
    }
    Ok(())
}

fn fields(session: &Session) -> Check {
    session.all(&format!("no fields but {}", KNOWN.join(", ")), |message| {
        message.fields.iter().all(|(name, _)| KNOWN.contains(&name.as_str()))
    })
}

fn length(session: &Session) -> Check {
    let want = "a Content-Length, and as many bytes behind the header";
    session.everything(want, |message| {
        let needs = ["chat", "fetch", "nickname"].iter().any(|needs| message.is(needs));
        let is_cut = message.fault.as_deref() == Some(ENDED);
        !is_cut && (!needs || message.field("Content-Length").is_some())
    })?;
    // Stray bytes behind a body: it was longer than declared.
    let is_stray = |pair: &&[ClientMessage]| {
        let begins =
            |name: &str| pair[1].lines.iter().take(1).any(|line| line.starts_with(name.as_bytes()));
        pair[0].body_len > 0 && pair[1].fault.is_some() && !KNOWN.iter().any(|name| begins(name))
    };
    match session.messages.windows(2).find(is_stray) {
        None => Ok(()),
        Some(pair) => Err(broken(&format!("{} {}", pair[0].show(), pair[1].show()), want)),
    }
}

fn content_type(session: &Session) -> Check {
    session.all_of("chat", "Content-Type text, or an extension such as jpg", |message| {
        message.field("Content-Type").is_some_and(|value| {
            value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
        })
    })
}

fn to(session: &Session) -> Check {
    session
        .all("no To but in a chat", |message| message.is("chat") || message.field("To").is_none())
}

fn ascii(session: &Session) -> Check {
    session.all("a body in ASCII, where it is text", |message| {
        let is_text = message.field("Content-Type").is_none_or(|value| value == "text");
        !is_text || message.body.is_ascii()
    })
}

fn nickname(session: &Session) -> Check {
    session.all_of("nickname", "a nickname", |message| !message.body.trim_ascii().is_empty())
}

fn fetch(session: &Session) -> Check {
    session.all_of("fetch", "a File-ID in digits", |message| {
        let body = message.body.trim_ascii();
        !body.is_empty() && body.iter().all(u8::is_ascii_digit)
    })
}

fn any_order(session: &Session) -> Check {
    match session.relay_at {
        None => Err(Stop::Skip("the client left before a relay could be sent".to_owned())),
        Some(at) if session.messages.len() > at => Ok(()),
        Some(_) if session.end == End::Reset => {
            Err(broken("a reset behind the relay", "the next message, or bye"))
        }
        Some(_) => Err(broken("the end behind the relay", "the next message, or bye")),
    }
}

fn bye(session: &Session) -> Check {
    match (session.said_bye(), session.end) {
        (true, _) => Ok(()),
        (false, End::Closed) => Err(broken("the end of the connection", "bye before it")),
        (false, End::Reset) => Err(broken("a reset of the connection", "bye before the end")),
        (false, End::Silent) => Err(broken("nothing more", "the rest of the message, and bye")),
    }
}

fn behind_bye(session: &Session) -> Check {
    match session.said_bye() {
        false => Err(Stop::Skip("the client did not say bye".to_owned())),
        true if session.behind_bye.is_empty() => Ok(()),
        true => Err(broken(&visible(&session.behind_bye), "nothing behind bye")),
    }
}
