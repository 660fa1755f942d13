// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-256 digests, the names of everything in a bundle.
//!
//! A [`Digest`] prints as `sha256:` and 64 lower-case hex digits, the form OCI
//! uses. [`Sha256Stream`] computes one from bytes as they pass by. Within a block
//! every round waits for the one before, even where the processor has
//! instructions for them: two digests that are computed block by block in turn
//! take much less time than one after the other.

use std::fmt;
use std::io::{self, Write};
use std::slice;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::digest::block_api::{Block, CoreProxy, UpdateCore};
use sha2::{Digest as _, Sha256};

/// Bytes of a block.
const BLOCK: usize = 64;

/// The SHA-256 digest of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not `sha256:` followed by 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse digest {0:?}: not sha256: and 64 lower-case hex digits")]
pub struct InvalidDigest(pub String);

impl Digest {
    /// Computes the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Computes the digest of each of `parts`, two at a time.
    pub fn of_each<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> Vec<Self> {
        let mut digests = Vec::with_capacity(parts.size_hint().0);
        while let Some(left) = parts.next() {
            let right = parts.next();
            let (mut first, mut second) = (Sha256Stream::new(), Sha256Stream::new());
            first.update_with(left, &mut second, right.unwrap_or_default());
            digests.push(first.finish());
            digests.extend(right.map(|_| second.finish()));
        }
        digests
    }

    /// Takes the 32 bytes of a digest as they stand in a binary format.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without the `sha256:` in front.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
            .collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let invalid = || InvalidDigest(text.chars().take(100).collect());
        let hex = text.strip_prefix("sha256:").ok_or_else(invalid)?.as_bytes();
        if hex.len() != 64 {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let high = nibble(pair[0]).ok_or_else(invalid)?;
            let low = nibble(pair[1]).ok_or_else(invalid)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a digest from bytes as they pass by; a [`Write`] that keeps nothing.
#[derive(Clone, Default)]
pub struct Sha256Stream {
    state: Sha256,
    length: u64,
}

impl Sha256Stream {
    /// A stream that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// Adds `bytes` to this stream and `others` to `other`: as many blocks as both
    /// have in turn, what else there is after them.
    pub fn update_with(&mut self, bytes: &[u8], other: &mut Self, others: &[u8]) {
        let bytes = self.complete_block(bytes);
        let others = other.complete_block(others);
        let common = bytes.len().min(others.len()) / BLOCK * BLOCK;
        let (blocks, rest) = bytes.split_at(common);
        let (other_blocks, other_rest) = others.split_at(common);
        self.update_blocks(blocks, other, other_blocks);
        self.update(rest);
        other.update(other_rest);
    }

    /// Takes what the last block still needs and returns the rest.
    fn complete_block<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let begun = usize::try_from(self.length % BLOCK as u64).unwrap_or(0);
        let missing = if begun == 0 { 0 } else { BLOCK - begun };
        let (now, rest) = bytes.split_at(missing.min(bytes.len()));
        self.update(now);
        rest
    }

    /// Adds as many whole blocks to each.
    fn update_blocks(&mut self, bytes: &[u8], other: &mut Self, others: &[u8]) {
        type Core = <Sha256 as CoreProxy>::Core;
        if bytes.is_empty() {
            return;
        }
        let (mut core, buffer) = std::mem::take(&mut self.state).decompose();
        let (mut other_core, other_buffer) = std::mem::take(&mut other.state).decompose();
        let (blocks, _) = Block::<Core>::slice_as_chunks(bytes);
        let (other_blocks, _) = Block::<Core>::slice_as_chunks(others);
        for (block, other_block) in blocks.iter().zip(other_blocks) {
            core.update_blocks(slice::from_ref(block));
            other_core.update_blocks(slice::from_ref(other_block));
        }
        self.state = Sha256::compose(core, buffer);
        other.state = Sha256::compose(other_core, other_buffer);
        self.length += bytes.len() as u64;
        other.length += others.len() as u64;
    }

    /// How many bytes were added.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The digest of all bytes added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }
}

impl fmt::Debug for Sha256Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha256Stream")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Write for Sha256Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn stream_agrees_with_whole() {
        let mut stream = Sha256Stream::new();
        stream.update(b"hello ");
        stream.update(b"world");
        assert_eq!(stream.length(), 11);
        assert_eq!(stream.finish(), Digest::of(b"hello world"));
    }

    #[test]
    fn two_streams_agree_with_each_alone() {
        let bytes: Vec<u8> = (0..3000_u32).flat_map(u32::to_le_bytes).collect();
        let lengths = [0, 1, 63, 64, 65, 128, 200, 4096];
        for (before, left, right) in lengths.iter().flat_map(|&before| {
            let pairs = lengths
                .iter()
                .flat_map(|&l| lengths.iter().map(move |&r| (l, r)));
            pairs.map(move |(left, right)| (before, left, right))
        }) {
            let (mut one, mut other) = (Sha256Stream::new(), Sha256Stream::new());
            one.update(&bytes[..before]);
            one.update_with(
                &bytes[before..before + left],
                &mut other,
                &bytes[7..7 + right],
            );
            one.update_with(b"end", &mut other, b"");
            assert_eq!(one.length(), (before + left + 3) as u64);
            assert_eq!(other.length(), right as u64);
            let expected = [&bytes[..before + left], b"end"].concat();
            assert_eq!(
                one.finish(),
                Digest::of(&expected),
                "{before} {left} {right}"
            );
            assert_eq!(other.finish(), Digest::of(&bytes[7..7 + right]));
        }
    }

    #[test]
    fn digests_of_each_are_those_of_all() {
        let parts: [&[u8]; 5] = [&[1; 300], b"", &[2; 64], &[3; 1000], &[4; 63]];
        for count in 0..=parts.len() {
            let expected: Vec<_> = parts[..count].iter().copied().map(Digest::of).collect();
            assert_eq!(Digest::of_each(parts[..count].iter().copied()), expected);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = Digest::of(b"x").to_string();
        for bad in [
            &good[7..],
            &good[..70],
            &good.to_uppercase(),
            "sha512:00",
            "",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
