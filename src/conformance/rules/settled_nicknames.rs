//! What a nickname may hold (P4).

use super::settled;
use crate::conformance::Rule;
use crate::conformance::case::{Case, Check, Stop};
use crate::conformance::peer::{Needs, Peer};
use crate::conformance::request::Request;

pub(super) const RULES: &[Rule] = &[
    settled(("nickname-64", "P4", "a nickname has 1 to 64 bytes"), nickname_64),
    settled(
        ("nickname-spaces", "P4", "a nickname may hold spaces, also in the relay's header"),
        nickname_spaces,
    ),
    settled(("nickname-utf8", "P4", "a nickname may hold any letters of UTF-8"), nickname_utf8),
    settled(
        (
            "nickname-one-line",
            "P4",
            "control characters and separators of lines are refused in a nickname",
        ),
        nickname_one_line,
    ),
    settled(
        (
            "nickname-direction",
            "P4",
            "characters that turn the direction of text are refused in a nickname",
        ),
        nickname_direction,
    ),
    settled(
        ("nickname-invisible", "P4", "invisible characters are refused in a nickname"),
        nickname_invisible,
    ),
    settled(
        (
            "nickname-joiners",
            "P4",
            "joiners and variation selectors are welcome where scripts need them",
        ),
        nickname_joiners,
    ),
    settled(
        ("nickname-old-stays", "P4", "where a nickname is refused the old one stays"),
        nickname_old_stays,
    ),
];

/// Sets a nickname that is to be taken.
fn takes(client: &mut Peer, name: &str) -> Check {
    let response = client.ask_ok(&Request::nickname(name))?;
    client.body(&response, name)
}

/// Sets nicknames that are to be refused.
fn refuses(case: &Case<'_>, names: &[&[u8]]) -> Check {
    let mut client = case.join()?;
    for name in names {
        client.ask_refused(&Request::nickname(name))?;
    }
    client.ask_ok(&Request::query())?;
    Ok(())
}

fn nickname_64(case: &Case<'_>) -> Check {
    let mut client = case.join()?;
    takes(&mut client, "T")?;
    takes(&mut client, &"x".repeat(64))?;
    let response = client.ask(&Request::nickname("x".repeat(65)))?;
    client.reason(&response, &["64"])?;
    refuses(case, &[b"", b" ", b"\t\r\n "])
}

/// Whether a relay has this nickname in its header, and nothing more for it.
fn is_relayed_as(case: &Case<'_>, name: &str) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    takes(&mut speaker, name)?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    listener.field(&relay, "Sender-Nickname", name)
}

fn nickname_spaces(case: &Case<'_>) -> Check {
    is_relayed_as(case, "Tom  Sawyer of St. Petersburg")
}

/// Skips where a server keeps to ASCII, as it may be told to.
pub(super) fn unless_ascii(client: &mut Peer, request: &Request) -> Check {
    let response = client.ask(request)?;
    if !response.is_ok() && response.text().contains("ASCII") {
        return Err(Stop::Skip("the server takes ASCII alone".to_owned()));
    }
    client.must(response.is_ok(), &response, "Status Ok")
}

fn nickname_utf8(case: &Case<'_>) -> Check {
    unless_ascii(&mut case.join()?, &Request::nickname("Zo\u{eb}"))?;
    for name in ["Zo\u{eb}", "\u{5f20}\u{4f1f}", "\u{41e}\u{43b}\u{44c}\u{433}\u{430} \u{1f600}"] {
        is_relayed_as(case, name)?;
    }
    refuses(case, &[b"\xff\xfe", b"Zo\xeb"])
}

fn nickname_one_line(case: &Case<'_>) -> Check {
    let separators = ["a\u{85}b", "a\u{2028}b", "a\u{2029}b", "a\u{9b}b"].map(str::as_bytes);
    refuses(
        case,
        &[b"Tom\nFrom 1", b"Tom\r\nFrom 1", b"Tom\rx", b"a\tb", b"a\0b", b"a\x1b[2J", b"a\x7fb"],
    )?;
    refuses(case, &separators)
}

fn nickname_direction(case: &Case<'_>) -> Check {
    let turning = [
        "\u{202e}moT",
        "T\u{202a}om",
        "\u{2066}Tom",
        "Tom\u{2069}",
        "a\u{200f}b",
        "a\u{200e}b",
        "a\u{61c}b",
    ];
    refuses(case, &turning.map(str::as_bytes))
}

fn nickname_invisible(case: &Case<'_>) -> Check {
    let invisible = [
        "To\u{200b}m",
        "T\u{ad}om",
        "To\u{2060}m",
        "\u{feff}Tom",
        "T\u{34f}om",
        "T\u{3164}om",
        "To\u{200d}m",
        "To\u{200c}m",
        "Tom\u{fe0f}",
        "To\u{e0041}m",
        "\u{115f}",
        "\u{3164}",
    ];
    refuses(case, &invisible.map(str::as_bytes))
}

fn nickname_joiners(case: &Case<'_>) -> Check {
    unless_ascii(&mut case.join()?, &Request::nickname("Zo\u{eb}")).needs("nickname-utf8")?;
    let mut client = case.join()?;
    // A family, a heart in colour, a Persian word with a non-joiner, a conjunct of Devanagari.
    for name in [
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{2764}\u{fe0f}",
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{915}\u{94d}\u{200d}\u{937}",
    ] {
        takes(&mut client, name)?;
    }
    Ok(())
}

fn nickname_old_stays(case: &Case<'_>) -> Check {
    case.rests_on("public-relay")?;
    let (mut speaker, mut listener) = case.pair()?;
    speaker.ask_refused(&Request::nickname("Tom\nTo 7"))?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    listener.lacks(&relay, "Sender-Nickname")?;
    takes(&mut speaker, "Tom").needs("nickname-body")?;
    speaker.ask_refused(&Request::nickname("Tom\nTo 7"))?;
    speaker.ask_refused(&Request::nickname(" "))?;
    let text = case.text();
    speaker.ask(&Request::chat(&text))?;
    let relay = listener.hear(&text).needs("public-relay")?;
    listener.field(&relay, "Sender-Nickname", "Tom")
}
