//! The receiver of what is private: a UID, or a nickname that one client alone has.

use multichat::ids::Uid;
use multichat::wire::parse_number;

use crate::joining::Joined;
use crate::settings::shown;
use crate::show::{TerminalSafe, sender};

/// The clients that are here, as the server lists them.
pub(crate) type Names = Vec<(Uid, Option<String>)>;

/// A receiver as a person names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamedReceiver {
    Uid(Uid),
    Nickname(String),
}

impl NamedReceiver {
    /// Reads digits as a UID, and anything else as a nickname.
    pub(crate) fn parse(text: &str) -> Result<NamedReceiver, &'static str> {
        match (parse_number(text.as_bytes()), text.trim()) {
            (Some(uid), _) => Ok(NamedReceiver::Uid(Uid(uid))),
            (None, "") => Err("not a UID, and not a nickname"),
            (None, nickname) => Ok(NamedReceiver::Nickname(nickname.to_string())),
        }
    }

    /// The client that is meant, of those that `names` lists.
    pub(crate) fn find(&self, names: &Names) -> Result<Uid, String> {
        match self {
            NamedReceiver::Uid(uid) => Ok(*uid),
            NamedReceiver::Nickname(nickname) => only_one(names, nickname),
        }
    }

    /// The same, asking the server where that is needed.
    pub(crate) fn find_by(&self, joined: &Joined) -> Result<Uid, String> {
        match self {
            NamedReceiver::Uid(uid) => Ok(*uid),
            NamedReceiver::Nickname(_) => {
                self.find(&joined.list_clients().map_err(|failure| shown(&failure))?)
            }
        }
    }
}

/// The one client that is called so.
pub(crate) fn only_one(names: &Names, nickname: &str) -> Result<Uid, String> {
    let named: Vec<Uid> = names
        .iter()
        .filter(|(_, name)| name.as_deref() == Some(nickname))
        .map(|(uid, _)| *uid)
        .collect();
    let nickname = TerminalSafe(nickname);
    match named.as_slice() {
        [] if names.iter().all(|(_, name)| name.is_none()) => Err(format!(
            "nobody here is known to be called {nickname}: not sent; name the receiver by UID"
        )),
        [] => Err(format!("nobody here is called {nickname}: not sent; /who lists who is here")),
        [uid] => Ok(*uid),
        several => {
            let uids: Vec<String> = several.iter().map(Uid::to_string).collect();
            let uids = uids.join(", ");
            Err(format!("several are called {nickname}: not sent; say which UID: {uids}"))
        }
    }
}

/// Splits off each nickname of somebody here that a text begins with.
pub(crate) fn split_nickname<'a>(names: &Names, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let nicknames = names.iter().filter_map(|(_, name)| name.as_deref());
    let found = nicknames.filter_map(|name| {
        let rest = text.strip_prefix(name)?;
        let ends = rest.is_empty() || rest.starts_with([' ', '\t', '\n']);
        ends.then(|| text.split_at(name.len()))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The clients that may be meant, as `/who` shows them.
pub(crate) fn candidates(names: &Names, splits: &[(&str, &str)]) -> String {
    let is_meant = |name: &str| splits.iter().any(|(nickname, _)| *nickname == name);
    let meant = names.iter().filter(|(_, name)| name.as_deref().is_some_and(is_meant));
    let meant: Vec<String> = meant.map(|(uid, name)| sender(*uid, name.as_deref())).collect();
    meant.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let named = |uid, name: &str| (Uid(uid), Some(name.to_string()));
        vec![
            (Uid(1), None),
            named(2, "Tom"),
            named(3, "Tom Smith"),
            named(4, "Ann"),
            named(5, "Ann"),
        ]
    }

    #[test]
    fn a_receiver_is_a_uid_or_a_nickname() {
        assert_eq!(NamedReceiver::parse("12"), Ok(NamedReceiver::Uid(Uid(12))));
        assert_eq!(
            NamedReceiver::parse(" Tom Smith "),
            Ok(NamedReceiver::Nickname("Tom Smith".to_string()))
        );
        assert!(NamedReceiver::parse("").is_err() && NamedReceiver::parse(" ").is_err());
        assert_eq!(NamedReceiver::parse("Tom").map(|named| named.find(&names())), Ok(Ok(Uid(2))));
        assert_eq!(NamedReceiver::Uid(Uid(99)).find(&names()), Ok(Uid(99)));
    }

    #[test]
    fn every_nickname_that_may_be_meant_is_found() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            assert_eq!(split_nickname(&names(), text), expected, "{text:?}");
        };
        check("Tom hi", &[("Tom", " hi")]);
        check("Tom Smith hi", &[("Tom", " Smith hi"), ("Tom Smith", " hi")]);
        check("Ann hi", &[("Ann", " hi")]);
        check("Tomorrow", &[]);
        check("Bob hi", &[]);
        check("Tom", &[("Tom", "")]);
        let may_be = split_nickname(&names(), "Tom Smith hi");
        assert_eq!(candidates(&names(), &may_be), "2 Tom, 3 Tom Smith");
    }

    #[test]
    fn a_nickname_has_to_be_that_of_one_client_alone() {
        assert_eq!(only_one(&names(), "Tom"), Ok(Uid(2)));
        assert!(only_one(&names(), "Ann").unwrap_err().ends_with("4, 5"));
        assert!(only_one(&names(), "Bob").unwrap_err().contains("nobody here is called Bob"));
        let unnamed = vec![(Uid(1), None)];
        assert!(only_one(&unnamed, "Bob").unwrap_err().ends_with("by UID"));
    }
}
