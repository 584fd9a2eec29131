//! `who`: lists who is here.

use multichat::client;

use super::{leave, refused};
use crate::Failure;
use crate::output;
use crate::settings::Settings;
use crate::show::sender;

/// One line a client: UID and nickname.
pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    let client = settings.join()?;
    let clients = match client.names() {
        Err(client::Failure::Lost(_)) => {
            // A server of the draft need not understand more than the plain query.
            let again = settings.join()?;
            let body = again.query("").map_err(refused)?;
            let listed = client::parse_names(&body);
            listed.ok_or_else(|| Failure::Run("the server's list of clients is not one".into()))?
        }
        listed => {
            leave(&client);
            listed.map_err(refused)?
        }
    };
    let line = |(uid, name): &(_, Option<String>)| sender(*uid, name.as_deref()) + "\n";
    output::print(&clients.iter().map(line).collect::<String>())
}
