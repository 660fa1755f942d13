// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chooses Zstandard's parameters for a frame by what is in it.
//!
//! A small table stays in a core's caches and finds what repeats nearby, which is
//! most of what repeats in programs. Where programs resemble each other, a
//! megabyte or more apart, a table that remembers them makes the frame a fifth
//! smaller, and its long matches make up for its misses. Text needs the second
//! table of `dfast`. The choice depends on the frame alone; docs/decisions/0011
//! has numbers.

use zstd::zstd_safe::{CParameter, Strategy};

/// Of a hundred bytes of a program, at least so many are control characters.
const CONTROL_PERCENT: usize = 5;

/// Repetitions less far apart are found with a small table.
const FAR: usize = 128 << 10;
/// If one of so many pieces is a far repetition, the table has to be large.
const ONE_FAR_OF: u32 = 10;
/// Bytes of a piece: a program's functions begin at multiples of it.
const PIECE: usize = 16;
/// Pieces are looked at whose hash has so many zeros in front, wherever they are.
const SELECTED_BITS: u32 = 4;
/// The next bits of the hash are the piece's slot, the last ones a tag in it.
const SLOT_BITS: u32 = 15;
const TAG_BITS: u32 = 32 - SELECTED_BITS - SLOT_BITS;
const POSITION_BITS: u32 = 32 - TAG_BITS;

/// Looks at frames.
pub(crate) struct Tuner {
    /// The last piece of each slot: tag and number.
    last: Vec<u32>,
}

impl Tuner {
    pub(crate) fn new() -> Self {
        Self {
            last: vec![0; 1 << SLOT_BITS],
        }
    }

    /// What to set for a frame of at most 8 MiB.
    pub(crate) fn parameters(&mut self, frame: &[u8]) -> [CParameter; 3] {
        let (strategy, table, shortest) = if is_text(frame) {
            (Strategy::ZSTD_dfast, 16, 5)
        } else if self.repeats_far(frame) {
            (Strategy::ZSTD_fast, 18, 6)
        } else {
            (Strategy::ZSTD_fast, 15, 6)
        };
        [
            CParameter::Strategy(strategy),
            CParameter::HashLog(table),
            CParameter::MinMatch(shortest),
        ]
    }

    /// Whether much of a frame occurred before, but not a short while ago.
    fn repeats_far(&mut self, frame: &[u8]) -> bool {
        self.last.fill(0);
        let (mut selected, mut far) = (0, 0);
        let (pieces, _) = frame.as_chunks::<PIECE>();
        for (number, piece) in (0_u32..).zip(pieces) {
            let hash = hash(piece);
            if hash >> (32 - SELECTED_BITS) != 0 {
                continue;
            }
            selected += 1;
            let tag = hash << POSITION_BITS;
            let Some(last) = self.last.get_mut(index(hash >> TAG_BITS)) else {
                continue;
            };
            let before = *last ^ tag;
            let is_same = *last != 0 && before >> POSITION_BITS == 0;
            if is_same && index(number - before) >= FAR / PIECE {
                far += 1;
            }
            *last = tag | number;
        }
        far > selected / ONE_FAR_OF
    }
}

/// Of a piece's first half; nothing is selected of zeros.
fn hash(piece: &[u8; PIECE]) -> u32 {
    let [a, b, c, d, e, f, g, h, ..] = *piece;
    let word = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let [_, _, _, _, high @ ..] = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    if word == 0 {
        u32::MAX
    } else {
        u32::from_le_bytes(high)
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether a frame is mostly text, from a few bytes here and there.
fn is_text(frame: &[u8]) -> bool {
    const EVERY: usize = 1 << 15;
    const TAKEN: usize = 128;
    let samples = frame.chunks(EVERY).flat_map(|part| part.iter().take(TAKEN));
    let count = frame
        .chunks(EVERY)
        .map(|part| part.len().min(TAKEN))
        .sum::<usize>();
    let is_control = |byte: &&u8| matches!(byte, 0..=8 | 14..=31);
    samples.filter(is_control).count() * 100 < count * CONTROL_PERCENT
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Words, and words among small numbers as in a program.
    pub(crate) fn samples() -> (Vec<u8>, Vec<u8>) {
        let mut random = 1_u32;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 16
        };
        let (mut text, mut program) = (Vec::new(), Vec::new());
        for _ in 0..40_000 {
            text.extend(format!("word{} \u{e9}t\u{e9}\t", next() % 500).bytes());
            program.extend(format!("sym{}", next() % 500).bytes());
            program.extend((next() % 90).to_le_bytes());
        }
        (text, program)
    }

    #[test]
    fn text_and_programs_are_told_apart() {
        let (text, program) = samples();
        assert!(is_text(&text) && is_text("\u{4e16}\u{754c}\n".repeat(9000).as_bytes()));
        assert!(!is_text(&program) && !is_text(&[0; 99]));
    }

    #[test]
    fn only_repetitions_far_apart_need_a_large_table() {
        let (_, mut program) = samples();
        program.truncate(program.len() / PIECE * PIECE);
        let mut tuner = Tuner::new();
        assert!(!tuner.repeats_far(&program), "nothing repeats");
        assert!(tuner.repeats_far(&program.repeat(2)));
        // Like any two builds of a program: some of it moved, some changed.
        let moved = [&program[..], &[1; 4 * PIECE], &program[..program.len() / 2]].concat();
        assert!(tuner.repeats_far(&moved));
        assert!(!tuner.repeats_far(&program[..FAR / 2].repeat(9)), "near");
        for nothing in [&[0; 999][..], &[7; 1 << 20], b""] {
            assert!(!tuner.repeats_far(nothing));
        }
    }
}
