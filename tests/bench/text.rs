//! The text that is said: 100 bytes that say who says it and which of his texts it is, so that
//! its receiver can tell whether one is missing, repeated or overtaken.

use super::{Outcome, fail};

/// The length of a text in bytes.
pub(crate) const LEN: usize = 100;

const SENDER_DIGITS: usize = 6;
const NUMBER_DIGITS: usize = 10;
const FILLER: &[u8] =
    b" The quick brown fox jumps over the lazy dog, and 5 quacking zephyrs jolt my wax bed";

const _: () = assert!(SENDER_DIGITS + NUMBER_DIGITS + FILLER.len() == LEN);

/// Appends text number `number` of member `sender`.
pub(crate) fn write(sender: usize, number: u32, out: &mut Vec<u8>) {
    push_digits::<SENDER_DIGITS>(sender as u64, out);
    push_digits::<NUMBER_DIGITS>(u64::from(number), out);
    out.extend_from_slice(FILLER);
}

/// The sender and the number of a text, of which every byte is looked at.
pub(crate) fn read(text: &[u8]) -> Outcome<(usize, u32)> {
    let parsed = text.split_at_checked(SENDER_DIGITS).and_then(|(sender, rest)| {
        let (number, filler) = rest.split_at_checked(NUMBER_DIGITS)?;
        (filler == FILLER).then_some(())?;
        Some((usize::try_from(digits(sender)?).ok()?, u32::try_from(digits(number)?).ok()?))
    });
    parsed.map_or_else(|| fail(format!("not a text of ours: {}", text.escape_ascii())), Ok)
}

fn push_digits<const N: usize>(number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; N];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        // The remainder is below 10, so the cast keeps all of it.
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

fn digits(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0, |number: u64, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}
