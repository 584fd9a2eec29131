//! Nicknames (§2.3.1.3), and what can never be one.

use crate::common::{Server, show};

#[test]
fn nickname_is_told_with_every_relay_from_then_on() {
    // §2.2: "If the sender has provided a nickname, the nickname should be included in header field
    // "Sender-Nickname"".
    let server = Server::start();
    let (mut sender, mut receiver) = (server.join(), server.join());
    sender.say("one").ok();
    sender.set_nickname("Tom").ok();
    sender.say("two").ok();
    sender.say_to(2, "three").ok();
    sender.share("txt", "four").ok();
    sender.set_nickname("Tom Sawyer").ok();
    sender.say("five").ok();
    assert!(!receiver.relay().has("Sender-Nickname"));
    for _ in 2..=4 {
        assert_eq!(receiver.relay().field("Sender-Nickname"), "Tom");
    }
    assert_eq!(receiver.relay().field("Sender-Nickname"), "Tom Sawyer");
}

#[test]
fn nickname_that_is_allowed_comes_back_as_set() {
    // §2.3.1.3: "client may update nickname anytime"; 1 to 64 bytes, one line.
    let server = Server::start();
    let (mut client, mut other) = (server.join(), server.join());
    let longest = "x".repeat(64);
    let longest_utf8 = "é".repeat(32);
    let allowed = [
        "T",
        "Tom",
        "Tom Sawyer",
        "tom@home",
        "42",
        "-",
        "Zoë",
        "日本",
        "🦀",
        "O'Neil \"x\"",
        "To 12",
        "a  b",
        "Status: Ok",
        "/../",
        "%s%n",
        // What is invisible has an effect: an emoji of two, a heart in colour, Persian, Hindi, and
        // a variant of an ideograph.
        "\u{1f469}\u{200d}\u{1f680}",
        "\u{2764}\u{fe0f}",
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{915}\u{94d}\u{200d}\u{937}",
        "\u{845b}\u{e0100}",
        &longest,
        &longest_utf8,
    ];
    for nickname in allowed {
        let response = client.set_nickname(nickname).ok();
        assert_eq!((response.text(), response.field("Content-Type")), (nickname, "text"));
        client.say("hi").ok();
        assert_eq!(other.relay().field("Sender-Nickname"), nickname);
    }
}

#[test]
fn white_space_around_a_nickname_is_dropped() {
    // `echo Tom | …` ends it with a linefeed.
    let server = Server::start();
    let (mut client, mut other) = (server.join(), server.join());
    let padded = format!("  {}\r\n", "x".repeat(64));
    for nickname in ["Tom\n", "Tom\r\n", "  Tom", "\tTom \n\n", "\n\nTom", &padded] {
        assert_eq!(client.set_nickname(nickname).ok().text(), nickname.trim());
        client.say("hi").ok();
        assert_eq!(other.relay().field("Sender-Nickname"), nickname.trim());
    }
}

const REFUSED: [(&str, &[u8]); 43] = [
    ("empty", b""),
    ("blank", b"   "),
    ("empty lines", b"\r\n\n"),
    ("65 bytes", b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("66 bytes, 33 letters", "ééééééééééééééééééééééééééééééééé".as_bytes()),
    ("two lines", b"Tom\nSawyer"),
    ("two lines with CR", b"Tom\r\nSawyer"),
    ("CR within", b"Tom\rSawyer"),
    ("tab within", b"Tom\tSawyer"),
    ("a field of a relay", b"Tom\r\nTo 1"),
    ("a whole message", b"Tom\n\nStatus Ok\nMessage-Type chat"),
    ("NUL", b"Tom\0"),
    ("bell", b"Tom\x07"),
    ("backspace", b"Tom\x08"),
    ("vertical tab", b"Tom\x0bSawyer"),
    ("form feed", b"Tom\x0cSawyer"),
    ("escape", b"\x1b[31mTom"),
    ("DEL", b"Tom\x7f"),
    ("C1: NEL", "Tom\u{85}Sawyer".as_bytes()),
    ("C1: CSI", "Tom\u{9b}31m".as_bytes()),
    ("C1: first", "Tom\u{80}".as_bytes()),
    ("line separator", "Tom\u{2028}Sawyer".as_bytes()),
    ("paragraph separator", "Tom\u{2029}Sawyer".as_bytes()),
    ("right-to-left override", "Tom\u{202e}moT".as_bytes()),
    ("left-to-right embedding", "Tom\u{202a}".as_bytes()),
    ("right-to-left isolate", "Tom\u{2067}moT".as_bytes()),
    ("right-to-left mark", "Tom\u{200f}".as_bytes()),
    ("Arabic letter mark", "Tom\u{61c}".as_bytes()),
    ("zero width space", "Tom\u{200b}".as_bytes()),
    ("word joiner", "Tom\u{2060}".as_bytes()),
    ("byte order mark", "\u{feff}Tom".as_bytes()),
    ("soft hyphen", "To\u{ad}m".as_bytes()),
    ("grapheme joiner", "Tom\u{34f}".as_bytes()),
    ("joiner between letters that do not join", "To\u{200d}m".as_bytes()),
    ("non-joiner between letters that do not join", "To\u{200c}m".as_bytes()),
    ("joiner at the end of an emoji", "\u{1f469}\u{200d}".as_bytes()),
    ("variation selector behind a letter", "Tom\u{fe0f}".as_bytes()),
    ("Hangul filler", "\u{3164}".as_bytes()),
    ("tag", "Tom\u{e0041}".as_bytes()),
    ("Braille blank", "\u{2800}".as_bytes()),
    ("Latin-1", b"Zo\xeb"),
    ("half a character", b"Zo\xc3"),
    ("a surrogate", b"Tom\xed\xa0\x80"),
];

#[test]
fn nickname_that_is_not_allowed_is_refused_and_the_old_one_stays() {
    // A nickname can never add a header line to a relay, nor reach a terminal as a control
    // sequence.
    let server = Server::start();
    let (mut client, mut other) = (server.join(), server.join());
    client.set_nickname("Huck").ok();
    for (name, nickname) in REFUSED {
        eprintln!("case: {name}");
        let error = client.set_nickname(nickname);
        assert!(!error.reason().is_empty(), "{}", show(nickname));
        client.say("hi").ok();
        assert_eq!(other.relay().field("Sender-Nickname"), "Huck");
    }
    assert_eq!(other.query("names").ok().text(), "1 Huck\n2\n");
}

#[test]
fn client_whose_first_nickname_is_refused_has_none() {
    // §2.3.1.3: "By default, no nickname is set for client".
    let server = Server::start();
    let (mut client, mut other) = (server.join(), server.join());
    assert!(!client.set_nickname("").reason().is_empty());
    client.say("hi").ok();
    assert!(!other.relay().has("Sender-Nickname"));
    assert_eq!(other.query("names").ok().text(), "1\n2\n");
}

#[test]
fn ascii_option_refuses_nicknames_that_are_not_ascii() {
    // §1.3.5: a header is "composed in lines of ASCII texts"; `--ascii` holds nicknames to the
    // letter of the draft.
    let server = Server::with(&["--ascii"]);
    let mut client = server.join();
    client.set_nickname("Zoe").ok();
    assert!(client.set_nickname("Zoë").reason().contains("ASCII"));
    assert_eq!(client.query("names").ok().text(), "1 Zoe\n");
}
