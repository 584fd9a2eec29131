//! What a request gets.

use httparse::{EMPTY_HEADER, Header, Status};

use super::answer::Part;
use super::head::is_head_request;
use super::{HEAD_LINES_LIMIT, Host, Names, Refusal};
use crate::web::websocket::accept_key;

/// The WebSocket subprotocol that carries MCMP.
pub(super) const SUBPROTOCOL: &str = "mcmp";

/// So many header lines are kept on the stack: what it once has touched stays with a client on a
/// WebSocket for as long as it is here. Chromium sends 13; heads with more use the heap.
const FEW_LINES: usize = 14;

/// What a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A part of the page.
    Part {
        /// Which.
        part: Part,
        /// Whether its body is sent along: not for `HEAD`.
        with_body: bool,
    },
    /// The connection becomes a WebSocket.
    Upgrade {
        /// The value of `Sec-WebSocket-Accept`.
        accept: String,
        /// Whether the subprotocol `mcmp` was offered, and is named in the answer.
        subprotocol: bool,
    },
    /// It is refused.
    Refuse {
        /// Why.
        refusal: Refusal,
        /// Whether the page that says so is sent along: not for `HEAD`.
        with_body: bool,
    },
}

/// Decides what a whole head gets, its empty line included.
///
/// What stands behind `?` in its target is ignored. Where several refusals fit, the order is the
/// one of [`Refusal`].
pub fn decide(head: &[u8], names: &Names) -> Decision {
    let with_body = !is_head_request(head);
    match parse_and_judge(head, names) {
        Ok(Wanted::Part(part)) => Decision::Part { part, with_body },
        // The last question; not asked in there, where the lines stand on the stack.
        Ok(Wanted::WebSocket { key, .. }) if !is_key(key) => {
            Decision::Refuse { refusal: Refusal::BadKey, with_body }
        }
        Ok(Wanted::WebSocket { key, subprotocol }) => {
            Decision::Upgrade { accept: accept_key(key), subprotocol }
        }
        Err(refusal) => Decision::Refuse { refusal, with_body },
    }
}

/// Not inlined: the lines stand on the stack, beside nothing else that takes much of it.
#[inline(never)]
fn parse_and_judge<'a>(head: &'a [u8], names: &Names) -> Result<Wanted<'a>, Refusal> {
    let mut few = [EMPTY_HEADER; FEW_LINES];
    let mut many = Vec::new();
    let mut headers = &mut few[..];
    // The request line and the empty line among them.
    if head.iter().filter(|&&byte| byte == b'\n').count() > FEW_LINES + 2 {
        many.resize(HEAD_LINES_LIMIT, EMPTY_HEADER);
        headers = &mut many;
    }
    let mut parsed = httparse::Request::new(headers);
    match parsed.parse(head) {
        Ok(Status::Complete(len)) if len == head.len() => {}
        _ => return Err(Refusal::BadHead),
    }
    let request = Request {
        method: parsed.method.unwrap_or_default(),
        target: parsed.path.unwrap_or_default(),
        minor_version: parsed.version.unwrap_or_default(),
        headers: parsed.headers,
    };
    request.judge(names)
}

/// What a request that is let in wants.
enum Wanted<'a> {
    Part(Part),
    WebSocket { key: &'a str, subprotocol: bool },
}

/// A head that keeps the grammar.
struct Request<'h, 'a> {
    method: &'a str,
    target: &'a str,
    /// 1 for HTTP/1.1.
    minor_version: u8,
    headers: &'h [Header<'a>],
}

impl<'a> Request<'_, 'a> {
    /// Asks the questions in the order in which their refusals come.
    fn judge(&self, names: &Names) -> Result<Wanted<'a>, Refusal> {
        let host_line = self.host_line()?;
        let host = Host::parse(host_line).ok_or(Refusal::BadHost)?;
        let path = self.path(&host)?;
        let has_body = self.announces_body()?;
        if !names.admit(&host) {
            return Err(Refusal::UnknownHost);
        }
        self.check_origin(host_line)?;
        if !matches!(self.method, "GET" | "HEAD") {
            return Err(Refusal::MethodNotAllowed);
        }
        if has_body {
            return Err(Refusal::BodyAnnounced);
        }
        match path {
            "/chat" => self.upgrade(),
            path => Part::at(path).map(Wanted::Part).ok_or(Refusal::NotFound),
        }
    }

    /// The values of a header, in the order of its lines. One that is not UTF-8 counts as one that
    /// no rule allows.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| str::from_utf8(header.value).unwrap_or("\u{FFFD}"))
    }

    /// The one `Host` (RFC 9112, 3.2).
    fn host_line(&self) -> Result<&'a str, Refusal> {
        let mut lines = self.values("Host");
        match (lines.next(), lines.next()) {
            (Some(line), None) => Ok(line),
            _ => Err(Refusal::BadHost),
        }
    }

    /// The elements of a header that is a list, from all of its lines.
    fn tokens(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name)
            .flat_map(|value| value.split(','))
            .map(|token| token.trim_matches([' ', '\t']))
    }

    /// The path that is asked for; empty for what only other methods than `GET` may have.
    fn path(&self, host: &Host<'_>) -> Result<&'a str, Refusal> {
        let whole = if self.target.starts_with('/') {
            self.target
        } else if matches!((self.method, self.target), ("OPTIONS", "*") | ("CONNECT", _)) {
            ""
        } else {
            self.path_of_address(host)?
        };
        Ok(whole.split_once('?').map_or(whole, |(path, _)| path))
    }

    /// The path, and what stands behind it, of a target that is a whole address (RFC 9112, 3.2.2).
    fn path_of_address(&self, host: &Host<'_>) -> Result<&'a str, Refusal> {
        const SCHEME: &str = "http://";
        let (scheme, rest) =
            self.target.split_at_checked(SCHEME.len()).ok_or(Refusal::BadTarget)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let named = Host::parse(authority).ok_or(Refusal::BadTarget)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) || !named.is_same_as(host) {
            return Err(Refusal::BadTarget);
        }
        Ok(if path.starts_with('/') { path } else { "/" })
    }

    fn announces_body(&self) -> Result<bool, Refusal> {
        let mut announced = self.values("Transfer-Encoding").next().is_some();
        for length in self.values("Content-Length") {
            if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Refusal::BadHead);
            }
            announced |= length.bytes().any(|byte| byte != b'0');
        }
        Ok(announced)
    }

    /// A page that talks to this server must be from this server.
    fn check_origin(&self, host_line: &str) -> Result<(), Refusal> {
        let mut origins = self.values("Origin");
        let Some(origin) = origins.next() else { return Ok(()) };
        let is_own = origin
            .strip_prefix("http://")
            .is_some_and(|origin| origin.eq_ignore_ascii_case(host_line));
        if is_own && origins.next().is_none() { Ok(()) } else { Err(Refusal::ForeignOrigin) }
    }

    /// The opening handshake of a WebSocket (RFC 6455, 4.2.1).
    fn upgrade(&self) -> Result<Wanted<'a>, Refusal> {
        let asks = |name: &str, token: &str| {
            self.tokens(name).any(|asked| asked.eq_ignore_ascii_case(token))
        };
        let is_upgrade = self.method == "GET"
            && self.minor_version == 1
            && asks("Connection", "upgrade")
            && asks("Upgrade", "websocket")
            && self.values("Sec-WebSocket-Version").eq(["13"]);
        if !is_upgrade {
            return Err(Refusal::UpgradeRequired);
        }
        let mut keys = self.values("Sec-WebSocket-Key");
        match (keys.next(), keys.next()) {
            (Some(key), None) => {
                let subprotocol =
                    self.tokens("Sec-WebSocket-Protocol").any(|name| name == SUBPROTOCOL);
                Ok(Wanted::WebSocket { key, subprotocol })
            }
            _ => Err(Refusal::BadKey),
        }
    }
}

/// Whether a `Sec-WebSocket-Key` is the base64 of 16 bytes. Its only padding is at its end: the decoder
/// would take some between its groups.
fn is_key(key: &str) -> bool {
    let mut bytes = [0; 18];
    key.ends_with("==")
        && data_encoding::BASE64.decode_len(key.len()) == Ok(bytes.len())
        && data_encoding::BASE64.decode_mut(key.as_bytes(), &mut bytes) == Ok(16)
}
