//! Why a request is refused: the status, and one sentence that helps.

use std::fmt;

/// Why a request is refused. Its `Display` is the one sentence of its page, which echoes nothing.
///
/// Those first are for the session to find out; the others are found in the head. Where several
/// fit, the first in this order is the one: 503, 431, 408, 400, 421, 403, 405, 413, 404, 426, and
/// the 400 of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 503: as many clients as are allowed are there.
    RoomFull,
    /// 503: as many clients from the browser's address as are allowed are there.
    HostFull,
    /// 503: the server's system has no room for another client.
    NoResources,
    /// 503: the server stops.
    Stopping,
    /// 403: the operator has banned the address.
    Banned,
    /// 431: the head is over [`HEAD_LIMIT`](super::HEAD_LIMIT) or
    /// [`HEAD_LINES_LIMIT`](super::HEAD_LINES_LIMIT).
    HeadTooLarge,
    /// 408: the head was not whole in time.
    TooSlow,
    /// 400: the connection ended inside the head.
    HeadCut,
    /// 400: the head breaks the grammar.
    BadHead,
    /// 400: no `Host`, two of them, or one that is no `host[:port]`.
    BadHost,
    /// 400: the target is no path, or an address that does not name the `Host`.
    BadTarget,
    /// 421: the `Host` is no name of this server.
    UnknownHost,
    /// 403: the `Origin` is another site.
    ForeignOrigin,
    /// 405: another method than `GET` and `HEAD`.
    MethodNotAllowed,
    /// 413: a body is announced.
    BodyAnnounced,
    /// 404: nothing is there.
    NotFound,
    /// 426: the WebSocket's place, without an upgrade to version 13 of it.
    UpgradeRequired,
    /// 400: an upgrade without a key, with two, or with one that is not the base64 of 16 bytes.
    BadKey,
}

impl Refusal {
    /// The status line's number and its words.
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Refusal::RoomFull | Refusal::HostFull | Refusal::NoResources | Refusal::Stopping => {
                (503, "Service Unavailable")
            }
            Refusal::Banned | Refusal::ForeignOrigin => (403, "Forbidden"),
            Refusal::HeadTooLarge => (431, "Request Header Fields Too Large"),
            Refusal::TooSlow => (408, "Request Timeout"),
            Refusal::HeadCut
            | Refusal::BadHead
            | Refusal::BadHost
            | Refusal::BadTarget
            | Refusal::BadKey => (400, "Bad Request"),
            Refusal::UnknownHost => (421, "Misdirected Request"),
            Refusal::MethodNotAllowed => (405, "Method Not Allowed"),
            Refusal::BodyAnnounced => (413, "Content Too Large"),
            Refusal::NotFound => (404, "Not Found"),
            Refusal::UpgradeRequired => (426, "Upgrade Required"),
        }
    }

    /// The header lines that this status has beside those of every answer.
    pub(super) fn headers(self) -> &'static str {
        match self {
            Refusal::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            Refusal::UpgradeRequired => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            _ => "",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::RoomFull => "The room is full: reload this page in a minute.",
            Refusal::HostFull => {
                "The room has as many clients from your address as it allows: leave it in another \
                 tab or program, then reload this page."
            }
            Refusal::NoResources => {
                "The server has no room for one more client: reload this page in a minute."
            }
            Refusal::Stopping => "The server is stopping: reload this page once it runs again.",
            Refusal::Banned => "The operator of this room does not let your address in.",
            Refusal::HeadTooLarge => {
                "The head of the request is over 16 KiB or 64 lines: open the address without what \
                 stands behind the port."
            }
            Refusal::TooSlow => {
                "The request did not come whole within 5 seconds: reload this page."
            }
            Refusal::HeadCut => {
                "The connection ended before the empty line of the request: send all of it."
            }
            Refusal::BadHead => {
                "The head of the request breaks the grammar of HTTP: send GET / with one Host line."
            }
            Refusal::BadHost => {
                "A request needs one Host line with a host name or an IP address, and a port where \
                 it is not 80."
            }
            Refusal::BadTarget => {
                "The target of a request must be a path, or an http address that names the Host."
            }
            Refusal::UnknownHost => {
                "This server does not know itself by that name: open it by its IP address, or have \
                 multichatd started with --web-name and the name."
            }
            Refusal::ForeignOrigin => {
                "A page of another site may not come in here: open this server's own address in a \
                 new tab."
            }
            Refusal::MethodNotAllowed => {
                "Only GET and HEAD are known here: open / in a browser to join the room."
            }
            Refusal::BodyAnnounced => {
                "A request may have no body here: leave out Content-Length and Transfer-Encoding."
            }
            Refusal::NotFound => "Nothing is here: open / in a browser to join the room.",
            Refusal::UpgradeRequired => {
                "This is the place of the room's WebSocket, version 13: open / in a browser to \
                 join the room."
            }
            Refusal::BadKey => {
                "A WebSocket needs one Sec-WebSocket-Key line with the base64 of 16 bytes."
            }
        })
    }
}
