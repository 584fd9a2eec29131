//! Answers, as they go over the wire. But for the one that begins a WebSocket, each ends its
//! connection.

use super::Refusal;

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `/`: the page itself.
    Page,
    /// `/chat.js`: its script.
    Script,
    /// `/chat.css`: its style.
    Style,
}

impl Part {
    /// The part at this path; `None` where nothing is.
    pub fn at(path: &str) -> Option<Part> {
        match path {
            "/" => Some(Part::Page),
            "/chat.js" => Some(Part::Script),
            "/chat.css" => Some(Part::Style),
            _ => None,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Part::Page => HTML,
            Part::Script => "text/javascript; charset=utf-8",
            Part::Style => "text/css; charset=utf-8",
        }
    }
}

const HTML: &str = "text/html; charset=utf-8";

/// What every answer with content says of it. The page may load its own parts alone, and talk to
/// its own server alone; nothing becomes HTML but the page itself; nobody frames it; nobody learns
/// its address from a link. Nothing is cached: the next version of the server has another page.
const HEADERS: &str = "\
    Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src blob: data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n";

/// The answer with a part of the page, whose content is `content`; the header lines alone without
/// `with_body`.
pub fn encode_part(part: Part, content: &str, with_body: bool) -> Vec<u8> {
    encode((200, "OK"), part.content_type(), CLOSE, content, with_body)
}

/// The answer that refuses a request: a page of one sentence; the header lines alone without
/// `with_body`.
pub fn encode_refusal(refusal: Refusal, with_body: bool) -> Vec<u8> {
    let (status, words) = refusal.status();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{status} {words}</title>\n<p>{refusal}</p>\n"
    );
    let more_headers = format!("{}{}", connection(refusal), refusal.headers());
    encode((status, words), HTML, &more_headers, &page, with_body)
}

/// The answer that begins a WebSocket (RFC 6455, 4.2.2), in parts; the subprotocol is named where it
/// was offered.
pub fn encode_upgrade(accept: &str, subprotocol: bool) -> [&str; 5] {
    let protocol = if subprotocol { PROTOCOL_LINE } else { "" };
    [SWITCHING, accept, "\r\n", protocol, "\r\n"]
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                         Connection: Upgrade\r\nSec-WebSocket-Accept: ";

/// Names [`super::decision::SUBPROTOCOL`].
const PROTOCOL_LINE: &str = "Sec-WebSocket-Protocol: mcmp\r\n";

const CLOSE: &str = "Connection: close\r\n";

/// What becomes of the connection: an answer that names a protocol to change to says so here as well
/// (RFC 9110, 7.8).
fn connection(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UpgradeRequired => "Connection: close, Upgrade\r\n",
        _ => CLOSE,
    }
}

fn encode(
    (status, words): (u16, &str),
    content_type: &str,
    more_headers: &str,
    content: &str,
    with_body: bool,
) -> Vec<u8> {
    let len = content.len();
    let body = if with_body { content } else { "" };
    format!(
        "HTTP/1.1 {status} {words}\r\n{more_headers}{HEADERS}\
         Content-Type: {content_type}\r\nContent-Length: {len}\r\n\r\n{body}"
    )
    .into_bytes()
}
