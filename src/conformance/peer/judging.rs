//! What a rule says of what came.

use super::Peer;
use crate::conformance::case::{Check, Stop};
use crate::conformance::finding::{Finding, visible};
use crate::conformance::message::Message;

impl Peer {
    /// A rule that is broken by what this connection got.
    pub fn broken(&self, got: &str, want: &str) -> Stop {
        Stop::Broken(self.finding(got, want))
    }

    fn finding(&self, got: &str, want: &str) -> Finding {
        self.terms.record.borrow().finding(self.name, got, want)
    }

    /// Says what was wanted of a message where it does not hold.
    ///
    /// # Errors
    /// Where it does not hold.
    pub fn must(&self, holds: bool, message: &Message, want: &str) -> Check {
        if holds { Ok(()) } else { Err(self.broken(&visible(&message.bytes()), want)) }
    }

    /// A field must have this value.
    ///
    /// # Errors
    /// Where it has another, or is not there.
    pub fn field(&self, message: &Message, name: &str, value: &str) -> Check {
        self.must(message.field(name) == Some(value), message, &format!("{name} {value}"))
    }

    /// A field must not be there.
    ///
    /// # Errors
    /// Where it is.
    pub fn lacks(&self, message: &Message, name: &str) -> Check {
        self.must(!message.has(name), message, &format!("no {name}"))
    }

    /// A response must be `Status Error` with a reason.
    ///
    /// # Errors
    /// Where it is `Status Ok`, or says nothing.
    pub fn refused(&self, response: &Message) -> Check {
        self.must(!response.is_ok(), response, "Status Error")
    }

    /// The body of a response must be this.
    ///
    /// # Errors
    /// Where it is another.
    pub fn body(&self, message: &Message, body: &str) -> Check {
        self.must(message.body == body.as_bytes(), message, &format!("the body {body:?}"))
    }

    /// The reason of a refusal must have all these words in it, in whichever case.
    ///
    /// # Errors
    /// Where one is missing.
    pub fn reason(&self, response: &Message, words: &[&str]) -> Check {
        self.refused(response)?;
        let text = response.text().to_lowercase();
        for word in words {
            let want = format!("a reason that says {word:?}");
            self.must(text.contains(&word.to_lowercase()), response, &want)?;
        }
        Ok(())
    }
}

/// What a rule rests on: another rule.
pub trait Needs {
    /// A failure here is one of the rule named, not of the one that is checked.
    #[must_use]
    fn needs(self, rule: &'static str) -> Self;
}

impl<T> Needs for Check<T> {
    fn needs(self, rule: &'static str) -> Check<T> {
        self.map_err(|stop| match stop {
            Stop::Broken(finding) => Stop::Unmet(rule, finding),
            other => other,
        })
    }
}
