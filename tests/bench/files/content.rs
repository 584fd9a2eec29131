//! What is in a file: bytes that say which file it is, and where in it they stand.

use std::io::{BufRead, Write};
use std::sync::LazyLock;

use crate::{Outcome, fail};

/// Prime, so that no power of two is a period.
const PERIOD: usize = 65_521;

/// Noise, twice, so that a whole period can be had from any place on.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u64;
    let once: Vec<u8> = (0..PERIOD)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    once.repeat(2)
});

/// File number `number`, `len` bytes long.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(crate) number: usize,
    pub(crate) len: u64,
}

impl Content {
    /// The bytes from `offset` on, as many as are at hand.
    fn at(self, offset: u64) -> &'static [u8] {
        // Below PERIOD, so the cast keeps all of it.
        let start = (offset + 97 * self.number as u64) % PERIOD as u64;
        let left = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
        &NOISE[start as usize..][..left.min(PERIOD)]
    }

    /// Writes all of it.
    pub(crate) fn write(self, mut to: impl Write) -> Outcome<()> {
        let mut offset = 0;
        while offset < self.len {
            let part = self.at(offset);
            to.write_all(part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Reads all of it, and compares every byte.
    pub(crate) fn read(self, mut from: impl BufRead) -> Outcome<()> {
        let mut offset = 0;
        while offset < self.len {
            let got = from.fill_buf()?;
            let expected = self.at(offset);
            let len = got.len().min(expected.len());
            if len == 0 || got[..len] != expected[..len] {
                let number = self.number;
                return fail(format!("file {number} ends or is another one behind byte {offset}"));
            }
            from.consume(len);
            offset += len as u64;
        }
        Ok(())
    }
}
