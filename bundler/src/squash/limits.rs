// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounds on what an image may expand to, and the running account of it.
//!
//! Layers are scanned in parallel, so the account is atomic. The limits guard
//! against bombs, not against large images: a user who trusts one lifts them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What an image may expand to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of all layers together.
    pub entries: u64,
    /// Bytes of file contents of all layers together, holes included.
    pub bytes: u64,
    /// Uncompressed bytes per compressed byte of one layer.
    pub ratio: u64,
    /// Bytes of names, link targets and extended attributes.
    pub names: u64,
}

/// A ratio is meaningless for small layers: one page of zeros already
/// compresses a thousandfold.
const RATIO_FLOOR: u64 = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
            ratio: 200,
            names: 256 << 20,
        }
    }
}

impl Limits {
    /// Accepts whatever fits on the disk.
    #[must_use]
    pub fn none() -> Self {
        Self {
            entries: u64::from(u32::MAX >> 1),
            bytes: u64::MAX,
            ratio: u64::MAX,
            names: u64::MAX,
        }
    }
}

/// The limit that was passed, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Too many entries.
    Entries(u64),
    /// Too many bytes of contents.
    Bytes(u64),
    /// Compressed suspiciously well.
    Ratio(u64),
    /// Too much metadata.
    Names(u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(limit) => write!(f, "the image has more than {limit} entries"),
            Self::Bytes(limit) => write!(f, "the image expands to more than {limit} bytes"),
            Self::Ratio(limit) => {
                write!(
                    f,
                    "the layer expands to more than {limit} times its compressed size"
                )
            }
            Self::Names(limit) => {
                write!(
                    f,
                    "the image has more than {limit} bytes of names and attributes"
                )
            }
        }
    }
}

/// What all layers together have used so far.
#[derive(Debug)]
pub(crate) struct Account {
    limits: Limits,
    entries: AtomicU64,
    bytes: AtomicU64,
    names: AtomicU64,
}

impl Account {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: 0.into(),
            bytes: 0.into(),
            names: 0.into(),
        }
    }

    /// One more entry with `bytes` of contents and `names` of metadata.
    pub(crate) fn add(&self, bytes: u64, names: u64) -> Result<(), Excess> {
        let Limits {
            entries,
            bytes: max_bytes,
            names: max_names,
            ..
        } = self.limits;
        charge(&self.entries, 1, entries).map_err(|()| Excess::Entries(entries))?;
        charge(&self.bytes, bytes, max_bytes).map_err(|()| Excess::Bytes(max_bytes))?;
        charge(&self.names, names, max_names).map_err(|()| Excess::Names(max_names))
    }

    /// `expanded` bytes have come out of a layer of `compressed` bytes.
    pub(crate) fn check_ratio(&self, compressed: u64, expanded: u64) -> Result<(), Excess> {
        let allowed = compressed
            .saturating_mul(self.limits.ratio)
            .max(RATIO_FLOOR);
        if expanded > allowed {
            Err(Excess::Ratio(self.limits.ratio))
        } else {
            Ok(())
        }
    }
}

fn charge(account: &AtomicU64, amount: u64, limit: u64) -> Result<(), ()> {
    let add = |used: u64| used.checked_add(amount).filter(|&sum| sum <= limit);
    account
        .fetch_update(Relaxed, Relaxed, add)
        .map(drop)
        .map_err(drop)
}
