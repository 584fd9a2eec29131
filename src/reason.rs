//! Why a message is refused, why a session ends, and how a client left: the facts. Their words are
//! in `wording`.
//!
//! Each layer has an enum of its own. What becomes of the session is a type: it goes on after a
//! [`Refusal`], and ends with a [`Fatal`] (P2).
//!
//! A reason is one line for the person who must correct the message: what was got, what was
//! expected, what to do. It echoes at most 32 bytes of input, escaped, and never holds an address,
//! a path or an error of the system (R4, §1.2); so nothing in here knows `io::Error`.

mod wording;

use std::time::Duration;

use crate::ids::{FileId, Uid};
use crate::text::{NicknameError, TextError};
use crate::wire::error::{HeaderError, MessageError};

/// Why a message is refused. The session goes on behind it (P2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something is wrong with the message itself.
    Message(MessageError),
    /// The room has nobody to relay it to.
    Room(RoomError),
    /// The stage does not take the file, or does not have it.
    Stage(StageError),
}

impl From<MessageError> for Refusal {
    fn from(error: MessageError) -> Refusal {
        Refusal::Message(error)
    }
}

impl From<NicknameError> for Refusal {
    fn from(error: NicknameError) -> Refusal {
        Refusal::Message(error.into())
    }
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Refusal {
        Refusal::Message(error.into())
    }
}

impl From<RoomError> for Refusal {
    fn from(error: RoomError) -> Refusal {
        Refusal::Room(error)
    }
}

impl From<StageError> for Refusal {
    fn from(error: StageError) -> Refusal {
        Refusal::Stage(error)
    }
}

/// How the words of every [`Fatal`] end: some netcats show nothing else of the end of a connection.
pub const CLOSED: &str = "; the connection is closed";

/// What begins the last words to a client that the operator has removed.
pub const REMOVED: &str = "the operator has removed you";

/// Why a connection is closed: the end of a message is not known, or is never to come (P2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// The header cannot be read, or leaves the end of the message unknown.
    Header(HeaderError),
    /// The connection ended inside a header.
    EndedInHeader,
    /// The connection ended inside a body.
    EndedInBody {
        /// How many bytes were missing.
        missing: u64,
        /// How many were declared.
        declared: u64,
    },
    /// Nothing more of a message came for this long.
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// The server stops, and the message is not whole.
    Stopping,
    /// A newcomer is not let in: no message was read.
    Admission(AdmissionError),
}

/// Why the room does not relay a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomError {
    /// No client was ever assigned this UID.
    NeverConnected {
        /// The receiver that the message names.
        uid: Uid,
    },
    /// The receiver is no longer active (§2.3.2.1, §2.3.4).
    HasLeft {
        /// The receiver that the message names.
        uid: Uid,
        /// How that client left; `None` where it is too long ago to be remembered.
        cause: Option<Cause>,
    },
    /// The relay of a public message found out that all its receivers had gone (§2.3.4).
    ReachedNobody {
        /// One of them, and how it left.
        uid: Uid,
        /// How it left.
        cause: Cause,
    },
    /// The history is asked for, and none is kept.
    HistoryOff,
    /// The operator has muted the sender.
    Muted,
    /// The operator alone speaks to all.
    Hushed,
}

/// Why the stage does not take a file, or does not give one out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageError {
    /// There is no such file for the asker: in these words whether it never was, is no longer
    /// staged, or is not for the asker.
    NoSuchFile {
        /// What was asked for.
        id: FileId,
    },
    /// A file larger than the whole stage.
    LargerThanStage {
        /// Its size in bytes.
        declared: u64,
        /// The stage's limit in bytes.
        limit: u64,
    },
    /// The files that are arriving at the same time leave no room for this one.
    Busy,
    /// The file came more slowly than it had to, and others needed its room (P5).
    ShareTooSlow,
    /// As many files are open as the server can have beside its clients.
    TooManyOpen,
    /// The server could not write the file.
    StoreFailed,
    /// The server could not read the file.
    FetchFailed,
}

/// Why a newcomer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionError {
    /// As many clients as are allowed are there.
    RoomFull {
        /// How many that is.
        limit: usize,
    },
    /// As many clients from the newcomer's address as are allowed are there.
    HostFull {
        /// How many that is.
        limit: usize,
    },
    /// The server's system has no room for another client.
    NoResources,
}

/// The operator's own word to a client that is removed, or to a newcomer from an address that is
/// banned. It comes unasked and ends as it likes, so it says nothing of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// What the operator has to say; may be empty.
    pub text: Box<str>,
}

/// How a client left (§2.3.4), as told to a client that sends it a private message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It sent `bye`.
    SaidBye,
    /// It closed the connection, or its sending side, without `bye`.
    Closed,
    /// The connection was reset.
    Reset,
    /// Its host no longer answered, or did not take what was sent for two minutes.
    Vanished,
    /// It took nothing for the stall timeout.
    StoppedReading,
    /// It was too slow to bring its queue down again.
    ReadTooSlowly,
    /// It sent what is not a message, or not all of one.
    Malformed,
    /// Inside a message, it sent nothing for two minutes.
    Silent,
    /// The operator removed it.
    Removed,
    /// The server's system failed to serve it.
    ServerFailed,
    /// The server stopped.
    ServerStopped,
}

impl Cause {
    /// Whether the server ended the connection, which the log warns of.
    pub fn is_cut(self) -> bool {
        matches!(
            self,
            Cause::StoppedReading
                | Cause::ReadTooSlowly
                | Cause::Malformed
                | Cause::Silent
                | Cause::ServerFailed
        )
    }
}

#[cfg(test)]
mod tests;
