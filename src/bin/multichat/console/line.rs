//! What a line that was entered asks for. Knows no terminal and no connection.

use multichat::ids::FileId;
use multichat::wire::parse_number;

/// The commands, as they are completed and explained.
pub(crate) const COMMANDS: [(&str, &str, &str); 9] = [
    ("/msg", "UID TEXT", "says it to one client; a unique nickname will do"),
    ("/nick", "NAME", "sets your nickname"),
    ("/who", "", "lists who is here"),
    ("/share", "FILE [UID]", "shares a file, with all or with one"),
    ("/files", "", "lists the files that you can get"),
    ("/get", "FILE-ID [FILE]", "saves a file, under its number and name or as FILE"),
    ("/history", "[N]", "shows the last N messages from before you came"),
    ("/help", "", "lists the commands"),
    ("/quit", "", "leaves; so do Ctrl-D, and Ctrl-C on an empty line"),
];

/// What a person may type who is used to other programs, and what does it here.
const HINTS: [(&str, &str); 3] =
    [("quit", "/quit leaves"), ("exit", "/quit leaves"), ("help", "/help lists the commands")];

/// A line that was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Nothing,
    /// A message; several lines, where they were pasted together.
    Say(String),
    /// A private message: its receiver, and the text behind it.
    Msg(String),
    Nick(String),
    Who,
    /// A file, and the receiver where there is one.
    Share(String),
    Files,
    Get {
        id: FileId,
        file: Option<String>,
    },
    /// What was said before; so many messages of it.
    History(Option<u64>),
    Help,
    Quit,
    /// A message that looks like a command without its slash, and a hint.
    Doubtful(String, &'static str),
    /// What is wrong with it.
    Wrong(String),
}

impl Line {
    /// Reads a line. White space before a command is none, and a message can begin with a slash if
    /// that is doubled: nothing that may have been meant as a command is ever said to everybody.
    pub(crate) fn parse(typed: &str) -> Line {
        let text = typed.trim_end();
        let Some(command) = text.trim_start().strip_prefix('/') else {
            let hint = HINTS.into_iter().find(|(word, _)| text.trim().eq_ignore_ascii_case(word));
            return match hint {
                _ if text.is_empty() => Line::Nothing,
                Some((_, hint)) => Line::Doubtful(text.to_string(), hint),
                None => Line::Say(text.to_string()),
            };
        };
        if command.starts_with('/') {
            return Line::Say(command.to_string());
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        Line::parse_command(name, rest.trim())
    }

    /// Whether a line may do something else than to be said to everybody.
    pub(crate) fn is_command(typed: &str) -> bool {
        typed.trim_start().starts_with('/')
    }

    fn parse_command(name: &str, rest: &str) -> Line {
        let wants = |what: &str| Line::Wrong(format!("/{name}: {what} is missing"));
        let alone = |line| match rest {
            "" => line,
            _ => Line::Wrong(format!("/{name} takes nothing behind it")),
        };
        match name {
            "msg" if rest.is_empty() => wants("a UID or a nickname, and a text,"),
            "msg" => Line::Msg(rest.to_string()),
            "nick" if rest.is_empty() => wants("a nickname"),
            "nick" => Line::Nick(rest.to_string()),
            "share" if rest.is_empty() => wants("a file"),
            "share" => Line::Share(rest.to_string()),
            "get" if rest.is_empty() => wants("a File-ID"),
            "get" => Line::parse_get(rest),
            "history" => Line::parse_history(rest),
            "who" => alone(Line::Who),
            "files" => alone(Line::Files),
            "help" => alone(Line::Help),
            "quit" => alone(Line::Quit),
            _ => Line::Wrong(format!(
                "/{name}: unknown command, not sent; /help lists them, and // begins a message with \
                 a slash"
            )),
        }
    }

    fn parse_history(rest: &str) -> Line {
        match (rest, parse_number(rest.as_bytes())) {
            ("", _) => Line::History(None),
            (_, Some(count @ 1..)) => Line::History(Some(count)),
            _ => Line::Wrong(format!("/history {rest}: not a number of messages (such as 50)")),
        }
    }

    fn parse_get(rest: &str) -> Line {
        let (id, file) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let Some(id) = parse_number(id.as_bytes()) else {
            return Line::Wrong(format!("/get {id}: not a File-ID (decimal digits)"));
        };
        let file = Some(file.trim().to_string()).filter(|file| !file.is_empty());
        Line::Get { id: FileId(id), file }
    }
}

/// What the commands are, a line each.
pub(crate) fn help() -> String {
    let line = |(name, arguments, what): &(&str, &str, &str)| {
        format!("    {:<22} {what}", format!("{name} {arguments}"))
    };
    let lines: Vec<String> = COMMANDS.iter().map(line).collect();
    format!(
        "A line is a message to all; // begins one with a slash. Beside that:\n{}",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: Line) {
        assert_eq!(Line::parse(typed), expected, "{typed:?}");
    }

    #[test]
    fn a_line_is_a_message_or_a_command() {
        let say = |text: &str| Line::Say(text.to_string());
        check("", Line::Nothing);
        check(" \t\n", Line::Nothing);
        check("hello", say("hello"));
        check("  hello  ", say("  hello"));
        check("a\n\n  b\n", say("a\n\n  b"));
        check("//etc", say("/etc"));
        check(" //etc", say("/etc"));
        check("/who", Line::Who);
        check("/who ", Line::Who);
        check("/msg 7 hi there", Line::Msg("7 hi there".to_string()));
        check("/nick  Tom Smith ", Line::Nick("Tom Smith".to_string()));
        check("/share a b.txt 7", Line::Share("a b.txt 7".to_string()));
        check("/get 10", Line::Get { id: FileId(10), file: None });
        check("/get 10 x.jpg", Line::Get { id: FileId(10), file: Some("x.jpg".to_string()) });
        check("/get 10 a b", Line::Get { id: FileId(10), file: Some("a b".to_string()) });
        check("/quit", Line::Quit);
        check("/help", Line::Help);
        check("/files", Line::Files);
        check("/history", Line::History(None));
        check("/history 50", Line::History(Some(50)));
    }

    #[test]
    fn white_space_before_a_command_is_none() {
        // Of every kind that a keyboard or a clipboard has.
        for blank in [" ", "   ", "\t", "\n", "\u{a0}", "\u{3000}", "\u{2009}"] {
            check(&format!("{blank}/msg Tom my secret"), Line::Msg("Tom my secret".to_string()));
            check(&format!("/msg{blank}Tom my secret"), Line::Msg("Tom my secret".to_string()));
            assert!(matches!(Line::parse(&format!("{blank}/mgs Tom my secret")), Line::Wrong(_)));
        }
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said() {
        let wrong = [
            "/",
            "/x",
            "/ msg Tom hi",
            "/who 7",
            "/msg",
            "/nick",
            "/share",
            "/get",
            "/get x",
            "/history 0",
            "/history 5 6",
            "/history all",
            "/quit now",
        ];
        for typed in wrong {
            assert!(matches!(Line::parse(typed), Line::Wrong(_)), "{typed:?}");
        }
    }

    #[test]
    fn a_word_that_is_a_command_elsewhere_gets_a_hint() {
        for typed in ["quit", " Exit ", "HELP"] {
            assert!(matches!(Line::parse(typed), Line::Doubtful(..)), "{typed:?}");
        }
        for typed in ["quit it", "please help", "quit."] {
            assert!(matches!(Line::parse(typed), Line::Say(_)), "{typed:?}");
        }
    }

    #[test]
    fn help_names_every_command() {
        for (name, ..) in COMMANDS {
            assert!(help().contains(name), "{name}");
        }
    }
}
