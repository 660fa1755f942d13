// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tags pinned to digests.
//!
//! A tag is looked up once; what it pointed at then is written down, so that
//! later runs use the same image without asking again (`--pull=missing`, and
//! `--offline`). The file name is the digest of the reference, which may hold
//! any character; the reference itself stands inside.

use std::fs;
use std::io;

use elfuse_payload::Digest;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError};

/// What a reference pointed at when it was last looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The full reference.
    pub reference: String,
    /// Digest of the index or manifest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}

impl Store {
    /// What the reference was pinned to.
    #[must_use]
    pub fn pin(&self, reference: &str) -> Option<Pin> {
        let bytes = fs::read(self.pin_path(reference)).ok()?;
        let pin: Pin = serde_json::from_slice(&bytes).ok()?;
        (pin.reference == reference).then_some(pin)
    }

    /// Pins a reference, replacing an older pin.
    ///
    /// # Errors
    /// The host refused the write.
    pub fn set_pin(&self, pin: &Pin) -> Result<(), StoreError> {
        let json = serde_json::to_vec(pin).map_err(|error| {
            StoreError::io(
                "write",
                self.pin_path(&pin.reference),
                io::Error::other(error),
            )
        })?;
        self.write_atomically(&self.pin_path(&pin.reference), &json)
    }

    /// All pins, sorted by reference.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let dir = self.root.join("refs");
        let failed = |source| StoreError::io("read", &dir, source);
        let mut pins = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let bytes = fs::read(entry.map_err(failed)?.path()).unwrap_or_default();
            pins.extend(serde_json::from_slice::<Pin>(&bytes));
        }
        pins.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(pins)
    }

    pub(super) fn pin_path(&self, reference: &str) -> std::path::PathBuf {
        self.root
            .join("refs")
            .join(Digest::of(reference.as_bytes()).hex())
    }
}
