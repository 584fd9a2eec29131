//! Any bytes at the start of a connection, in any split: the same first line and the same head
//! whatever the split; and who is let in keeps the rules for names and origins, as a plain reading
//! of the lines has them.

use multichat::web::http::answer::{encode_part, encode_refusal, encode_upgrade};
use multichat::web::http::{
    Decision, Dialect, FirstLine, HEAD_LIMIT, HEAD_LINES_LIMIT, Head, Names, Progress, decide,
};

/// The one name that this server has beside those that every server has.
const NAME: &str = "chat.example";

/// Replaces some bytes by many, so that short inputs reach the limits.
fn expand(bytes: &[u8]) -> Vec<u8> {
    let mut expanded = Vec::new();
    for &byte in bytes {
        match byte {
            0xFD => expanded.extend_from_slice(&b"a: b\r\n".repeat(20)),
            0xFE => expanded.extend_from_slice(&[b'a'; 1_000]),
            byte => expanded.push(byte),
        }
    }
    expanded
}

/// The methods whose lines may be long.
const METHODS: [&str; 9] =
    ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT "];

/// What the first line is, in one piece or in several, and the naive answer to the same question.
fn check_first_line(bytes: &[u8], size: usize) -> Option<Dialect> {
    let mut line = FirstLine::default();
    let whole = line.feed(bytes);
    let mut line = FirstLine::default();
    let mut pieces = None;
    for piece in bytes.chunks(size) {
        pieces = line.feed(piece);
    }
    assert_eq!(pieces, whole);
    assert_eq!(whole, first_line(bytes));
    whole
}

/// What a first line is, for somebody who sees all that has come of it.
fn first_line(bytes: &[u8]) -> Option<Dialect> {
    let is_whole = bytes.contains(&b'\n');
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    let is_method = METHODS.iter().any(|method| line.starts_with(method.as_bytes()));
    if is_method && line.len() + 1 > HEAD_LIMIT {
        Some(Dialect::Http)
    } else if !is_method && (text.len() > 1_024 || line.iter().any(|&byte| is_control(byte))) {
        Some(Dialect::Mcmp)
    } else if !is_whole {
        None
    } else if text.ends_with(b" HTTP/1.0") || text.ends_with(b" HTTP/1.1") {
        Some(Dialect::Http)
    } else {
        Some(Dialect::Mcmp)
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !b"\t\r".contains(&byte)
}

/// Reads a head in one piece and in several, and returns it if it is whole.
fn check_head(bytes: &[u8], size: usize) -> Option<Head> {
    let mut whole = Head::default();
    let taken = whole.feed(bytes);
    assert!(whole.bytes() == &bytes[..taken] && taken <= HEAD_LIMIT + 2);
    let mut pieces = Head::default();
    let mut fed = 0;
    for piece in bytes.chunks(size) {
        let count = pieces.feed(piece);
        fed += count;
        if count < piece.len() {
            break;
        }
    }
    assert_eq!(pieces.progress(), whole.progress());
    if whole.progress() == Progress::Unfinished {
        assert_eq!(taken, bytes.len());
    }
    if whole.progress() != Progress::Whole {
        return None;
    }
    assert_eq!(fed, taken);
    assert!(whole.bytes().split(|&byte| byte == b'\n').count() - 2 <= HEAD_LINES_LIMIT);
    Some(whole)
}

/// The values of a header, as somebody reads them who knows no rule but the colon.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches([' ', '\t']))
        .collect()
}

/// What must be true of a request that is let in.
fn check_let_in(head: &str) {
    let [host] = values(head, "Host")[..] else { panic!("not one Host") };
    let lower = host.to_ascii_lowercase();
    let name = match lower.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &lower,
    };
    let is_address = name.parse::<std::net::Ipv4Addr>().is_ok() || name.starts_with('[');
    assert!(
        is_address
            || !name.contains('.')
            || name.ends_with(".localhost")
            || name.ends_with(".local")
            || name == NAME,
        "{host}"
    );
    for origin in values(head, "Origin") {
        assert_eq!(origin.to_ascii_lowercase(), format!("http://{lower}"));
    }
    assert!(head.starts_with("GET ") || head.starts_with("HEAD "));
    assert!(values(head, "Transfer-Encoding").is_empty());
    assert!(values(head, "Content-Length").iter().all(|len| len.bytes().all(|byte| byte == b'0')));
}

/// What an answer must be, whatever it says.
fn check_answer(answer: &[u8], status: u16, with_body: bool) {
    let text = str::from_utf8(answer).expect("an answer is text");
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")));
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.split("\r\n").skip(1).all(|line| line.contains(": ")), "{head}");
    assert_eq!(body.is_empty(), !with_body);
}

/// The first byte is the size of the pieces.
pub(crate) fn run(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    let (size, bytes) = (usize::from(size).max(1), expand(bytes));
    let dialect = check_first_line(&bytes, size);
    let Some(head) = check_head(&bytes, size) else { return };
    let head = head.bytes();
    let has_body = !head.starts_with(b"HEAD ");
    match decide(head, &Names::new([NAME])) {
        Decision::Part { part, with_body } => {
            assert_eq!((dialect, with_body), (Some(Dialect::Http), has_body));
            check_let_in(&String::from_utf8_lossy(head));
            check_answer(&encode_part(part, "x", with_body), 200, with_body);
        }
        Decision::Upgrade { accept, subprotocol } => {
            assert_eq!((dialect, accept.len()), (Some(Dialect::Http), 28));
            let head = String::from_utf8_lossy(head);
            check_let_in(&head);
            assert!(head.starts_with("GET ") && head.contains("/chat"));
            assert!(!subprotocol || head.contains("mcmp"));
            let answer = encode_upgrade(&accept, subprotocol).concat();
            check_answer(answer.as_bytes(), 101, false);
        }
        Decision::Refuse { refusal, with_body } => {
            assert_eq!(with_body, has_body);
            check_answer(&encode_refusal(refusal, with_body), refusal.status().0, with_body);
        }
    }
}
