// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens and verifies a finished bundle.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elfuse_payload::reader::Payload;
use elfuse_payload::{FileRange, ReadAt};

use super::BundleError;
use crate::macho::{self, Image, MachoError, SEGMENT, Signature};
use crate::squash::tar::check::HeaderCheck;

/// A finished bundle, open for reading.
pub struct Bundle {
    path: PathBuf,
    file: FileRange,
    payload: Payload,
}

impl Bundle {
    /// Opens a bundle: reads the executable's headers and the payload's header
    /// and documents, each checked against its digest. Pages, signature and
    /// layer are left to [`Bundle::verify`].
    ///
    /// # Errors
    /// [`BundleError::NotBundle`] for other files, [`BundleError::Payload`] for
    /// damaged ones.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(|source| BundleError::io("open", path, source))?;
        let not_bundle = |source| BundleError::NotBundle {
            path: path.to_path_buf(),
            source,
        };
        let io = |source| BundleError::io("read", path, source);
        if !file.metadata().map_err(io)?.is_file() {
            return Err(not_bundle(MachoError::NotExecutable));
        }
        let file = Arc::new(file);
        let size = file.metadata().map_err(io)?.len();
        let whole = FileRange::new(Arc::clone(&file), 0, size).map_err(io)?;
        let image = Image::read(&whole).map_err(not_bundle)?;
        let segment = image
            .segment(SEGMENT)
            .ok_or(MachoError::Missing("__ELFUSE segment"));
        let segment = segment.map_err(not_bundle)?;
        let part = FileRange::new(file, segment.offset, segment.size);
        let part = part.map_err(|error| match error.kind() {
            // The host read what there was: it is the file that is cut or wrong.
            std::io::ErrorKind::UnexpectedEof => not_bundle(MachoError::Malformed {
                what: "__ELFUSE segment",
                at: segment.offset,
            }),
            _ => io(error),
        })?;
        let payload = Payload::open(part).map_err(|source| BundleError::Payload {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            file: whole,
            payload,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the whole file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// What the file carries.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Checks the executable: structure, signature, digest of every page.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn verify_executable(&self, advance: &dyn Fn(u64)) -> Result<Signature, BundleError> {
        let failed = |source| BundleError::Executable {
            path: self.path.clone(),
            source,
        };
        let signature = macho::verify(&self.file, advance).map_err(failed)?;
        // Nothing covers the name in an ad-hoc signature but the name's own rule.
        // Whoever signs again may choose another name, of another length.
        let name = super::write::identifier(self.payload.manifest());
        let (stated, is_ours) = (&signature.identifier, signature.identifier == name);
        if signature.ad_hoc && stated.len() == name.len() && !is_ours {
            let why = format!("the identifier is {stated:?}, not {name:?}");
            return Err(failed(MachoError::Signature(why)));
        }
        Ok(signature)
    }

    /// Checks every byte of the payload: digests, frames, contents, padding, and
    /// that tar and table of contents say the same.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn verify_payload(
        &self,
        threads: usize,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BundleError> {
        self.payload
            .verify(threads, advance, &mut HeaderCheck::default())
            .map_err(|source| BundleError::Damaged {
                path: self.path.clone(),
                source,
            })
    }
}
