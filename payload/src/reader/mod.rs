// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole payload segment, opened for reading.
//!
//! [`Payload::open`] reads the header and the three documents, checks their
//! digests, and checks that they speak of the same image and layer. The layer
//! is opened on demand. [`Payload::verify`] reads everything. Bundle tools and
//! the program in the bundle use the same code.

mod documents;
mod verify;

use std::io;
use std::sync::Arc;

use crate::layer::{LayerError, LayerReader};
use crate::provenance::{Provenance, ProvenanceError};
use crate::segment::{HEADER_LEN, Header, Section, SectionKind, SegmentError};
use crate::{Digest, Range, ReadAt};

pub use documents::DocumentError;
pub use verify::{TarCheck, TarMismatch, VerifyError};

/// An open payload.
#[derive(Clone)]
pub struct Payload {
    source: Arc<dyn ReadAt>,
    header: Header,
    manifest: Vec<u8>,
    config: Vec<u8>,
    provenance: Provenance,
    diff_id: Digest,
}

/// A payload that cannot be opened. Offsets count from the segment's first byte.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The host could not read it.
    #[error("read payload at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the host said.
        source: io::Error,
    },
    /// The header is broken.
    #[error(transparent)]
    Header(#[from] SegmentError),
    /// There are more or fewer bytes than the header says.
    #[error("read payload: it has {actual} bytes, its header says {expected}")]
    Length {
        /// What the header says.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// A document does not have its digest.
    #[error("read {name} at bytes {offset} to {end}: its digest is {actual}, not {expected}", end = section.end(), offset = section.offset, name = section.kind.name(), expected = section.digest)]
    Digest {
        /// The section.
        section: Section,
        /// The digest of what is there.
        actual: Digest,
    },
    /// The manifest or the config is not one of a bundle.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The provenance is broken.
    #[error(transparent)]
    Provenance(#[from] ProvenanceError),
    /// The layer is broken; its offsets count from byte `offset`.
    #[error("read layer section at byte {offset}")]
    Layer {
        /// Where the layer begins.
        offset: u64,
        /// What is wrong with it.
        source: LayerError,
    },
}

impl Payload {
    /// Opens the payload that `source` is, from its first byte to its last.
    ///
    /// # Errors
    /// The first thing in it that is not as it must be.
    pub fn open(source: impl ReadAt + 'static) -> Result<Self, PayloadError> {
        let source: Arc<dyn ReadAt> = Arc::new(source);
        let header = read_header(&*source)?;
        let read = |kind| read_document(&*source, header.section(kind));
        let manifest = read(SectionKind::Manifest)?;
        let config = read(SectionKind::Config)?;
        let provenance = Provenance::parse(&read(SectionKind::Provenance)?)?;
        documents::check_manifest(&manifest, &header)?;
        let diff_id = documents::diff_id(&config)?;
        Ok(Self {
            source,
            header,
            manifest,
            config,
            provenance,
            diff_id,
        })
    }

    /// Where everything lies.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The OCI image manifest, JSON. Its digest is the image's.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The OCI image config, JSON.
    #[must_use]
    pub fn config(&self) -> &[u8] {
        &self.config
    }

    /// Where the image came from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Digest of the manifest: the name of the bundled image.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.header.section(SectionKind::Manifest).digest
    }

    /// Digest of the layer's uncompressed tar, as the config has it.
    #[must_use]
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// The bytes of the layer blob.
    ///
    /// # Errors
    /// The source became shorter.
    pub fn layer_blob(&self) -> Result<Range, PayloadError> {
        let Section { offset, len, .. } = *self.header.section(SectionKind::Layer);
        Range::new(Arc::clone(&self.source), offset, len).ok_or_else(|| PayloadError::Read {
            offset,
            source: io::ErrorKind::UnexpectedEof.into(),
        })
    }

    /// Opens the layer.
    ///
    /// # Errors
    /// Its seek table is broken.
    pub fn layer(&self) -> Result<LayerReader, PayloadError> {
        let offset = self.header.section(SectionKind::Layer).offset;
        let blob = Arc::new(self.layer_blob()?);
        LayerReader::open(blob).map_err(|source| PayloadError::Layer { offset, source })
    }
}

fn read_header(source: &dyn ReadAt) -> Result<Header, PayloadError> {
    let mut bytes = [0; HEADER_LEN];
    let read = source.read_exact_at(&mut bytes, 0);
    read.map_err(|source| PayloadError::Read { offset: 0, source })?;
    let header = Header::parse(&bytes)?;
    if header.total != source.size() {
        let (expected, actual) = (header.total, source.size());
        return Err(PayloadError::Length { expected, actual });
    }
    Ok(header)
}

/// Reads a document; its length is bounded by the header's rules.
fn read_document(source: &dyn ReadAt, section: &Section) -> Result<Vec<u8>, PayloadError> {
    let offset = section.offset;
    let mut bytes = vec![0; usize::try_from(section.len).unwrap_or(usize::MAX)];
    let read = source.read_exact_at(&mut bytes, offset);
    read.map_err(|source| PayloadError::Read { offset, source })?;
    let actual = Digest::of(&bytes);
    if actual == section.digest {
        Ok(bytes)
    } else {
        Err(PayloadError::Digest {
            section: *section,
            actual,
        })
    }
}
