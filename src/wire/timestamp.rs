//! Moments as they stand in a header: UTC, RFC 3339, always three decimals.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::field::{TIMESTAMP_LEN, parse_number};

const DAY_MILLIS: u64 = 86_400_000;

/// The end of the year 9999, the last that four digits can tell.
const LAST_MILLIS: u64 = 253_402_300_799_999;

/// A moment in milliseconds since 1970 began, UTC; at most the end of the year 9999.
///
/// Written as `2026-11-26T09:41:00.123Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment so many milliseconds after 1970 began; the last one there is, where they are more.
    pub fn from_millis(millis: u64) -> Timestamp {
        Timestamp(millis.min(LAST_MILLIS))
    }

    /// In milliseconds since 1970 began.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Reads a moment as it is written; `None` for anything else.
    pub fn parse(value: &[u8]) -> Option<Timestamp> {
        let number = |from: usize, to: usize| parse_number(value.get(from..to)?);
        let marks =
            [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
        if value.len() != TIMESTAMP_LEN || !marks.iter().all(|&(at, mark)| value[at] == mark) {
            return None;
        }
        let days = days_of(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = (hour * 60 + minute) * 60 + second;
        Some(Timestamp(days * DAY_MILLIS + seconds * 1000 + number(20, 23)?))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock that is set before 1970 stands at its beginning.
    fn from(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Timestamp {
    /// As it is written. Each relay in the extended form has one: `write!` would cost as much as the
    /// rest of it.
    pub(super) fn digits(self) -> [u8; TIMESTAMP_LEN] {
        let (year, month, day) = date_of(self.0 / DAY_MILLIS);
        let millis = self.0 % DAY_MILLIS;
        let (hour, minute, second) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
        let mut digits = *b"0000-00-00T00:00:00.000Z";
        let parts = [
            (year, 0..4),
            (month, 5..7),
            (day, 8..10),
            (hour, 11..13),
            (minute, 14..16),
            (second, 17..19),
            (millis % 1000, 20..23),
        ];
        for (mut number, range) in parts {
            for digit in digits[range].iter_mut().rev() {
                // The remainder is below 10, so the cast keeps all of it.
                *digit += (number % 10) as u8;
                number /= 10;
            }
        }
        digits
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The lengths of a year's months in days.
fn months_of(year: u64) -> [u64; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// How many days before 1 January of `year`, counted from year 0 of the Gregorian calendar.
fn days_before(year: u64) -> u64 {
    match year.checked_sub(1) {
        // Year 0 is a leap year itself.
        Some(last) => year * 365 + last / 4 - last / 100 + last / 400 + 1,
        None => 0,
    }
}

/// Year, month and day of the day so many days after 1 January 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + days_before(1970);
    // 400 years have 146,097 days; the guess is at most one year too early or too late.
    let mut year = days * 400 / 146_097;
    while days_before(year + 1) <= days {
        year += 1;
    }
    while days_before(year) > days {
        year -= 1;
    }
    let mut day = days - days_before(year);
    let mut month = 1;
    for len in months_of(year) {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    (year, month, day + 1)
}

/// Days since 1 January 1970; `None` where there is no such day, or it is before.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let months = months_of(year);
    let month = usize::try_from(month.checked_sub(1)?).ok()?;
    let day = day.checked_sub(1).filter(|day| months.get(month).is_some_and(|len| day < len))?;
    let days = days_before(year) + months[..month].iter().sum::<u64>() + day;
    days.checked_sub(days_before(1970))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_with_three_decimals() {
        // RFC 3339, section 5.6; leap years as in its appendix C.
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (86_399_999, "1970-01-01T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_208_000_000, "2024-02-29T12:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_795_685_260_123, "2026-11-26T09:27:40.123Z"),
            (LAST_MILLIS, "9999-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(Timestamp::parse(text.as_bytes()), Some(Timestamp(millis)), "{text}");
        }
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp(LAST_MILLIS));
        assert_eq!(Timestamp::from(UNIX_EPOCH - std::time::Duration::from_secs(9)), Timestamp(0));
    }

    #[test]
    fn each_day_comes_after_the_one_before_it() {
        // RFC 3339: a date is year, month, day.
        let mut before = date_of(0);
        for days in 1..=LAST_MILLIS / DAY_MILLIS {
            let (year, month, day) = date_of(days);
            assert!((year, month, day) > before && (1..=31).contains(&day), "{days}");
            assert_eq!(days_of(year, month, day), Some(days));
            before = (year, month, day);
        }
    }

    #[test]
    fn what_is_no_moment_is_not_read() {
        // RFC 3339; the server writes nothing else.
        let bad = [
            "",
            "2026-11-26",
            "2026-11-26T09:41:00Z",
            "2026-11-26T09:41:00.1234Z",
            "2026-11-26T09:41:00.123+",
            "2026-13-26T09:41:00.123Z",
            "2026-00-26T09:41:00.123Z",
            "2026-02-29T09:41:00.123Z",
            "2026-11-26T24:41:00.123Z",
            "2026-11-26T09:60:00.123Z",
            "2026-11-26 09:41:00.123Z",
            "1969-12-31T23:59:59.999Z",
            "2026-11-26T09:41:-0.123Z",
        ];
        for text in bad {
            assert_eq!(Timestamp::parse(text.as_bytes()), None, "{text}");
        }
    }
}
