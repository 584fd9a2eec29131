//! Requests and their responses, and the relays that come in between.

use super::{Needs, Peer};
use crate::conformance::case::Check;
use crate::conformance::message::Message;
use crate::conformance::request::Request;

impl Peer {
    /// Reads up to the relay or notice that `is_wanted`; other relays are dropped, since others may
    /// be in the room, and responses are kept.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn relay(&mut self, want: &str, is_wanted: impl Fn(&Message) -> bool) -> Check<Message> {
        if let Some(at) = self.relays.iter().position(&is_wanted) {
            return Ok(self.relays.remove(at).unwrap_or_default());
        }
        loop {
            self.awaits_relay = true;
            let next = self.next(want);
            self.awaits_relay = false;
            let message = next?;
            if message.is_response() {
                self.responses.push_back(message);
            } else if is_wanted(&message) {
                return Ok(message);
            } else {
                self.relays.push_back(message);
            }
        }
    }

    /// The relay of the text `text`, whatever it has in its header.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn hear(&mut self, text: &str) -> Check<Message> {
        let want = format!("a relay of {text:?}");
        self.relay(&want, |message| message.body == text.as_bytes())
    }

    /// The relay of a shared file.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn hear_file(&mut self, extension: &str, len: usize) -> Check<Message> {
        let want = format!("a relay of a {extension} file of {len} bytes");
        self.relay(&want, |message| {
            message.field("Content-Type") == Some(extension)
                && message.number("Content-Length") == Some(len as u64)
        })
    }

    /// Shows that nothing of this kind has come: what was sent before has arrived by the time the
    /// answer to a query has.
    ///
    /// # Errors
    /// Where it has come.
    pub fn quiet(&mut self, want: &str, is_unwanted: impl Fn(&Message) -> bool) -> Check {
        self.ask(&Request::query()).needs("query-answered")?;
        match self.relays.iter().position(is_unwanted) {
            None => Ok(()),
            Some(at) => {
                let message = self.relays.remove(at).unwrap_or_default();
                self.must(false, &message, want)
            }
        }
    }

    /// All relays and notices that have come and were not looked at.
    pub fn take_relays(&mut self) -> Vec<Message> {
        self.relays.drain(..).collect()
    }

    /// Sends a request and reads its response, or what stands in its place.
    ///
    /// # Errors
    /// Where none comes.
    pub fn ask(&mut self, request: &Request) -> Check<Message> {
        self.post(request);
        self.response("a response")
    }

    /// Sends bytes and reads a response.
    ///
    /// # Errors
    /// Where none comes.
    pub fn ask_raw(&mut self, bytes: impl AsRef<[u8]>) -> Check<Message> {
        self.send(bytes);
        self.response("a response")
    }

    /// Sends a request that is to succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub fn ask_ok(&mut self, request: &Request) -> Check<Message> {
        let response = self.ask(request)?;
        self.must(response.is_ok(), &response, "Status Ok")?;
        Ok(response)
    }

    /// Sends a request that is to be refused.
    ///
    /// # Errors
    /// Where it is not.
    pub fn ask_refused(&mut self, request: &Request) -> Check<Message> {
        let response = self.ask(request)?;
        self.refused(&response)?;
        Ok(response)
    }

    /// The bytes of some texts, one message behind the other.
    pub fn encode_texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
        texts.into_iter().flat_map(|text| self.encode(&Request::chat(text))).collect()
    }

    /// Says bye, and waits for the end of the connection.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn leave(&mut self) -> Check {
        self.post(&Request::bye());
        self.drain("the end of the connection").needs("bye-closes")?;
        Ok(())
    }

    /// Whether a client is listed no longer, as this one is told.
    ///
    /// # Errors
    /// Where it is, or the query is not answered.
    pub fn misses(&mut self, uid: &str, how: &str) -> Check {
        let listed = self.uids()?;
        match listed.iter().any(|other| other == uid) {
            false => Ok(()),
            true => {
                let want = format!("a list without {uid}, {how}");
                Err(self.broken(&listed.join(" "), &want))
            }
        }
    }

    /// The UIDs of the active clients, as this one is told (§2.1.1.2): words, however separated.
    ///
    /// # Errors
    /// Where the query is not answered.
    pub fn uids(&mut self) -> Check<Vec<String>> {
        let response = self.ask_ok(&Request::query())?;
        let text = response.text();
        let words = text.split(|c: char| c.is_whitespace() || c == ',');
        Ok(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }
}
