//! What a line that was entered asks for.

use multichat::ids::FileId;
use multichat::wire::parse_number;

/// The commands, as they are completed and explained.
pub(crate) const COMMANDS: [(&str, &str, &str); 8] = [
    ("/msg", "UID TEXT", "says it to one client; a nickname will do if it is unique"),
    ("/nick", "NAME", "sets your nickname"),
    ("/who", "", "lists who is here"),
    ("/share", "FILE [UID]", "shares a file, with all or with one"),
    ("/files", "", "lists the files that you can get"),
    ("/get", "FILE-ID [FILE]", "saves a shared file, as FILE-ID.EXTENSION or as FILE"),
    ("/help", "", "lists the commands"),
    ("/quit", "", "leaves; so do Ctrl-D, and Ctrl-C on an empty line"),
];

/// A line that was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Nothing,
    /// A message; several lines, where they were pasted together.
    Say(String),
    /// A private message: to whom, and the text behind it.
    Msg(String),
    Nick(String),
    Who,
    /// A file, and with whom.
    Share(String),
    Files,
    Get {
        id: FileId,
        file: Option<String>,
    },
    Help,
    Quit,
    /// What is wrong with it.
    Wrong(String),
}

impl Line {
    /// Reads a line. A message can begin with a slash if that is doubled.
    pub(crate) fn parse(typed: &str) -> Line {
        let text = typed.trim_end_matches(['\n', '\r', ' ', '\t']);
        if text.is_empty() {
            return Line::Nothing;
        }
        let Some(command) = text.strip_prefix('/') else { return Line::Say(text.to_string()) };
        if command.starts_with('/') {
            return Line::Say(command.to_string());
        }
        let (name, rest) = command.split_once([' ', '\t', '\n']).unwrap_or((command, ""));
        let rest = rest.trim();
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
            "who" => alone(Line::Who),
            "files" => alone(Line::Files),
            "help" => alone(Line::Help),
            "quit" => alone(Line::Quit),
            _ => Line::Wrong(format!(
                "/{name}: unknown command; /help lists them, and // begins a message with a slash"
            )),
        }
    }

    fn parse_get(rest: &str) -> Line {
        let (id, file) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let Some(id) = parse_number(id.as_bytes()) else {
            return Line::Wrong(format!("/get {id}: not a File-ID (decimal digits)"));
        };
        let file = match one_word(file.trim()) {
            Ok(file) => file,
            Err(why) => return Line::Wrong(format!("/get: {why}")),
        };
        Line::Get { id: FileId(id), file }
    }
}

/// A file's name, quoted as in a shell where it holds spaces; `None` where there is none.
fn one_word(text: &str) -> Result<Option<String>, &'static str> {
    match shlex::split(text).as_deref() {
        None => Err("a quotation mark is not closed"),
        Some([]) => Ok(None),
        Some([word]) => Ok(Some(word.clone())),
        Some(_) => Err("one file's name at most; quote it if it holds spaces"),
    }
}

/// What the commands are, a line each.
pub(crate) fn help() -> String {
    let line = |(name, arguments, what): &(&str, &str, &str)| {
        format!("    {:<22} {what}", format!("{name} {arguments}"))
    };
    let lines: Vec<String> = COMMANDS.iter().map(line).collect();
    format!("A line is a message to all. Beside that:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_a_command() {
        let check =
            |typed: &str, expected: Line| assert_eq!(Line::parse(typed), expected, "{typed:?}");
        let say = |text: &str| Line::Say(text.to_string());
        check("", Line::Nothing);
        check(" \t\n", Line::Nothing);
        check("hello", say("hello"));
        check("  hello  ", say("  hello"));
        check("a\n\n  b\n", say("a\n\n  b"));
        check("//etc", say("/etc"));
        check("/who", Line::Who);
        check("/who ", Line::Who);
        check("/msg 7 hi there", Line::Msg("7 hi there".to_string()));
        check("/nick  Tom Smith ", Line::Nick("Tom Smith".to_string()));
        check("/share a b.txt 7", Line::Share("a b.txt 7".to_string()));
        check("/get 10", Line::Get { id: FileId(10), file: None });
        check("/get 10 x.jpg", Line::Get { id: FileId(10), file: Some("x.jpg".to_string()) });
        check("/get 10 'a b'", Line::Get { id: FileId(10), file: Some("a b".to_string()) });
        check("/quit", Line::Quit);
        check("/help", Line::Help);
        check("/files", Line::Files);
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said() {
        let wrong = [
            "/",
            "/x",
            "/who 7",
            "/msg",
            "/nick",
            "/share",
            "/get",
            "/get x",
            "/get 1 'a",
            "/get 1 a b",
            "/quit now",
        ];
        for typed in wrong {
            assert!(matches!(Line::parse(typed), Line::Wrong(_)), "{typed:?}");
        }
    }

    #[test]
    fn help_names_every_command() {
        for (name, ..) in COMMANDS {
            assert!(help().contains(name), "{name}");
        }
    }
}
