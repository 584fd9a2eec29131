//! The frames of a WebSocket a second time, written from RFC 6455 alone, with all bytes in hand: so
//! that it can be plain, and shares no mistake with the server's own reader.

/// What comes of frames: the data, the payloads of Pings, and the code of the Close in answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) data: Vec<u8>,
    pub(super) pings: Vec<Vec<u8>>,
    pub(super) answer: Option<u16>,
}

/// Reads frames as the RFC describes them, with all bytes in hand.
pub(super) fn unframe_naively(mut bytes: &[u8]) -> Told {
    let mut told = Told::default();
    let mut in_message = false;
    // `None` where the bytes end inside a frame.
    let mut next = || -> Option<()> {
        loop {
            let first = *bytes.first()?;
            let (fin, opcode) = (first >= 0x80, first % 16);
            let is_control = opcode >= 8;
            let known = matches!(opcode, 0..=2 | 8..=10);
            let out_of_place = !is_control && (opcode == 0) != in_message;
            if first & 0x70 != 0 || !known || (is_control && !fin) || out_of_place {
                told.answer = Some(1002);
                return None;
            }
            let second = *bytes.get(1)?;
            let short = second % 128;
            if second < 0x80 || (is_control && short > 125) {
                told.answer = Some(1002);
                return None;
            }
            if opcode == 1 {
                told.answer = Some(1003);
                return None;
            }
            if short == 127 && *bytes.get(2)? >= 0x80 {
                told.answer = Some(1002);
                return None;
            }
            let length_bytes = [0, 2, 8][usize::from(short.saturating_sub(125))];
            let mut len = if length_bytes == 0 { u128::from(short) } else { 0 };
            for byte in bytes.get(2..2 + length_bytes)? {
                len = len * 256 + u128::from(*byte);
            }
            let mask = bytes.get(2 + length_bytes..6 + length_bytes)?;
            let rest = &bytes[6 + length_bytes..];
            let come = len.min(rest.len() as u128) as usize;
            let payload: Vec<u8> = (0..come).map(|at| rest[at] ^ mask[at % 4]).collect();
            let is_whole = come as u128 == len;
            if !is_control {
                in_message = !fin;
                told.data.extend_from_slice(&payload);
            } else if is_whole && opcode == 9 {
                told.pings.push(payload);
            } else if is_whole && opcode == 8 {
                told.answer = Some(answer(&payload));
                return None;
            }
            bytes = &rest[come..];
        }
    };
    next();
    told
}

/// What a Close is answered with.
fn answer(payload: &[u8]) -> u16 {
    if payload.is_empty() {
        return 1000;
    }
    if payload.len() == 1 {
        return 1002;
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    let is_reserved = [1004, 1005, 1006, 1015].contains(&code);
    if code < 1000 || is_reserved || (1016..3000).contains(&code) || code >= 5000 {
        1002
    } else if String::from_utf8(payload[2..].to_vec()).is_err() {
        1007
    } else {
        code
    }
}
