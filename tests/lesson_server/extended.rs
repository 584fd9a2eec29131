//! What goes beyond the draft: nothing yet.
use super::draft::{Request, Room, Server, ServerMessage};

#[derive(Default)]
pub struct History {
    pub relays: Vec<ServerMessage>,
}

#[derive(Default)]
pub struct Extras;

impl Extras {
    pub fn answer(&self, _: &mut Room, _: u64, _: &Request) -> Option<ServerMessage> {
        None
    }
    pub fn note(&self, _: &mut Room, _: &ServerMessage, _: &Request) {}
    pub fn renamed(&self, _: &Server, _: &mut Room, _: u64, _: Option<&str>, _: &str) {}
    pub fn notify(&self, _: &Server, _: &mut Room, _: u64, _: Option<&str>, _: &str) {}
}
