//! What a text may hold (§2.3.2).

use crate::common::{Server, show};

#[test]
fn text_is_relayed_as_it_came() {
    // §2.2: "The body of relay message inherits the text payload from chat message": byte for byte.
    let server = Server::start();
    let (mut sender, mut receiver) = (server.join(), server.join());
    let texts = [
        "",
        " ",
        "How are you?",
        "two\nlines",
        "two\r\nlines\r\n",
        "\r\n",
        "\n",
        "a\ttab",
        "  blanks around  ",
        "Zoë",
        "日本語",
        "🦀",
        "a\u{a0}b",
        "\u{2028}",
        "\u{202e}",
        "\u{feff}",
        "\u{fffd}",
        "\u{10ffff}",
        "~!@#$%^&*()\\\"'`",
    ];
    for text in texts {
        sender.say(text).ok();
        assert_eq!(receiver.relay().text(), text);
    }
}

const REFUSED: [(&str, &[u8]); 22] = [
    ("NUL", b"a\0b"),
    ("start of heading", b"\x01"),
    ("bell", b"a\x07"),
    ("backspace", b"a\x08b"),
    ("vertical tab", b"a\x0bb"),
    ("form feed", b"a\x0cb"),
    ("CR alone", b"a\rb"),
    ("CR at the end", b"ab\r"),
    ("two CR before LF", b"a\r\r\nb"),
    ("LF before CR", b"a\n\rb"),
    ("shift out", b"\x0eab"),
    ("escape", b"\x1b[2J"),
    ("unit separator", b"a\x1fb"),
    ("DEL", b"a\x7fb"),
    ("C1: first", "a\u{80}b".as_bytes()),
    ("C1: NEL", "a\u{85}b".as_bytes()),
    ("C1: CSI", "\u{9b}2J".as_bytes()),
    ("C1: last", "a\u{9f}b".as_bytes()),
    ("not UTF-8", b"a\xffb"),
    ("half a character", b"caf\xc3"),
    ("overlong", b"\xc0\xaf"),
    ("a surrogate", b"\xed\xa0\x80"),
];

#[test]
fn text_with_control_characters_or_not_utf8_is_refused() {
    // §1.3.6: a text is "composed of ASCII texts"; many of its readers are bare terminals.
    let server = Server::start();
    let (mut sender, mut receiver) = (server.join(), server.join());
    for (name, text) in REFUSED {
        eprintln!("case: {name}");
        assert!(!sender.say(text).reason().is_empty(), "{}", show(text));
        assert!(!sender.say_to(2, text).reason().is_empty(), "{}", show(text));
        let last_of_a_long_one = [b"x".repeat(10_000).as_slice(), text].concat();
        assert!(!sender.say(last_of_a_long_one).reason().is_empty(), "{}", show(text));
    }
    receiver.expect_nothing();
}

#[test]
fn ascii_option_refuses_text_that_is_not_ascii() {
    // §2.1.2: "composed of ASCII text"; `--ascii` holds texts to the letter of the draft.
    let server = Server::with(&["--ascii"]);
    let (mut sender, mut receiver) = (server.join(), server.join());
    for text in ["Zoë", "日本語", "\u{a0}"] {
        assert!(sender.say(text).reason().contains("ASCII"));
    }
    sender.say("plain\r\n\ttext~").ok();
    assert_eq!(receiver.relay().text(), "plain\r\n\ttext~");
    sender.share("bin", b"\xff\xfe\0").ok();
    assert_eq!(receiver.relay().field("Content-Type"), "bin");
}

#[test]
fn max_text_sets_the_limit_of_a_text() {
    // `--max-text SIZE`: one text message.
    for (option, limit) in [("10", 10), ("1k", 1024), ("128k", 131_072)] {
        let server = Server::with(&["--max-text", option]);
        let (mut sender, mut receiver) = (server.join(), server.join());
        let longest = "x".repeat(limit);
        sender.say(&longest).ok();
        assert_eq!(receiver.relay().text(), longest);
        assert!(sender.say(format!("{longest}x")).reason().contains(&limit.to_string()));
        sender.share("txt", format!("{longest}x")).ok();
        assert_eq!(receiver.relay().number("Content-Length"), limit as u64 + 1);
        receiver.expect_nothing();
    }
}
