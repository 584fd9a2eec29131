//! What the program can be asked for on its command line, one command a file.

pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod lines;
pub(crate) mod listen;
pub(crate) mod send;
pub(crate) mod share;
pub(crate) mod who;

use multichat::client::{self, Client};

use crate::Failure;
use crate::settings::{LEAVE_LIMIT, NotJoined, shown};

impl From<NotJoined> for Failure {
    fn from(why: NotJoined) -> Failure {
        Failure::Run(why.to_string())
    }
}

/// What the server, or the connection, has said no to.
fn refused(failure: client::Failure) -> Failure {
    Failure::Run(shown(&failure))
}

fn leave(client: &Client) {
    client.leave(LEAVE_LIMIT);
}
