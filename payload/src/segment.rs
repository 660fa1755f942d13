// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a payload segment and the table of its sections.
//!
//! Four sections in a fixed order: manifest, config, provenance, layer. Where
//! each lies follows from the lengths alone, so a header has one valid form and
//! [`Header::parse`] accepts no other. [`SegmentPlan`] makes what stands in front
//! of the layer once the layer is known, so a bundle is written front to back.

use crate::{Digest, Sha256Stream};

/// Length of the header with its table.
pub const HEADER_LEN: usize = 64 + COUNT * ENTRY;
/// Alignment of the layer and of the segment's end: a page of Apple silicon.
pub const PAGE: u64 = 16384;
/// Longest manifest, config or provenance.
pub const MAX_DOCUMENT: u64 = 16 << 20;
/// A segment is part of a Mach-O file, which must stay below this.
pub const MAX_TOTAL: u64 = 1 << 32;

const MAGIC: &[u8; 8] = b"\x89ELFUSE\n";
const VERSION: u32 = 1;
const COUNT: usize = 4;
const ENTRY: usize = 64;
/// Alignment of the documents.
const ALIGN: u64 = 16;

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// The OCI image manifest, JSON.
    Manifest,
    /// The OCI image config, JSON.
    Config,
    /// Where the image came from, JSON.
    Provenance,
    /// The layer blob.
    Layer,
}

impl SectionKind {
    /// All kinds in the order of the sections.
    pub const ALL: [Self; COUNT] = [Self::Manifest, Self::Config, Self::Provenance, Self::Layer];

    /// The name that messages use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Provenance => "provenance",
            Self::Layer => "layer",
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::Manifest => 1,
            Self::Config => 2,
            Self::Provenance => 3,
            Self::Layer => 4,
        }
    }
}

/// Where a section lies in the segment, and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// First byte, from the start of the segment.
    pub offset: u64,
    /// Length without padding.
    pub len: u64,
    /// Digest of its bytes.
    pub digest: Digest,
}

impl Section {
    /// The first byte after it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// A parsed header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The sections in the order of [`SectionKind::ALL`].
    pub sections: [Section; COUNT],
    /// Length of the whole segment.
    pub total: u64,
}

/// A header that is not of the format. Offsets are the segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The first bytes are not a payload's.
    #[error("read payload header at byte 0: not a payload")]
    Magic,
    /// A version this program does not know.
    #[error("read payload header at byte 8: version {0} is not supported")]
    Version(u32),
    /// The header does not have the digest that it carries.
    #[error(
        "read payload header at bytes 0 to {HEADER_LEN}: its digest is {actual}, not {expected}"
    )]
    Digest {
        /// The digest that the header carries.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// A field does not have the one value that the format allows.
    #[error("read payload header at byte {0}: not what the format has there")]
    Field(usize),
    /// The sections are longer than a segment can be.
    #[error("lay out payload: {0} section is too long")]
    TooLong(&'static str),
}

impl Header {
    /// Lays sections of these lengths and digests out.
    ///
    /// # Errors
    /// [`SegmentError::TooLong`].
    pub fn layout(parts: [(u64, Digest); COUNT]) -> Result<Self, SegmentError> {
        let mut end = HEADER_LEN as u64;
        let mut place = |kind: SectionKind, (len, digest)| {
            let (align, most) = match kind {
                SectionKind::Layer => (PAGE, MAX_TOTAL),
                _ => (ALIGN, MAX_DOCUMENT),
            };
            if len > most {
                return Err(SegmentError::TooLong(kind.name()));
            }
            let offset = end.next_multiple_of(align);
            end = offset + len;
            Ok(Section {
                kind,
                offset,
                len,
                digest,
            })
        };
        let [manifest, config, provenance, layer] = parts;
        let sections = [
            place(SectionKind::Manifest, manifest)?,
            place(SectionKind::Config, config)?,
            place(SectionKind::Provenance, provenance)?,
            place(SectionKind::Layer, layer)?,
        ];
        let total = end.next_multiple_of(PAGE);
        if total >= MAX_TOTAL {
            return Err(SegmentError::TooLong(SectionKind::Layer.name()));
        }
        Ok(Self { sections, total })
    }

    /// The section of this kind.
    #[must_use]
    pub fn section(&self, kind: SectionKind) -> &Section {
        let [manifest, config, provenance, layer] = &self.sections;
        match kind {
            SectionKind::Manifest => manifest,
            SectionKind::Config => config,
            SectionKind::Provenance => provenance,
            SectionKind::Layer => layer,
        }
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12] = 4;
        out[16..24].copy_from_slice(&self.total.to_le_bytes());
        let (entries, _) = out[64..].as_chunks_mut::<ENTRY>();
        for (entry, section) in entries.iter_mut().zip(&self.sections) {
            entry[..4].copy_from_slice(&section.kind.number().to_le_bytes());
            entry[8..16].copy_from_slice(&section.offset.to_le_bytes());
            entry[16..24].copy_from_slice(&section.len.to_le_bytes());
            entry[32..].copy_from_slice(section.digest.as_bytes());
        }
        let digest = digest(&out);
        out[32..64].copy_from_slice(digest.as_bytes());
        out
    }

    /// Parses a header.
    ///
    /// # Errors
    /// The first field that is not what [`Header::encode`] writes.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, SegmentError> {
        if !bytes.starts_with(MAGIC) {
            return Err(SegmentError::Magic);
        }
        let version = u32::from_le_bytes(array(bytes, 8));
        if version != VERSION {
            return Err(SegmentError::Version(version));
        }
        let (expected, actual) = (Digest::from_bytes(array(bytes, 32)), digest(bytes));
        if expected != actual {
            return Err(SegmentError::Digest { expected, actual });
        }
        let part = |index: usize| {
            let at = 64 + index * ENTRY;
            (
                u64::from_le_bytes(array(bytes, at + 16)),
                Digest::from_bytes(array(bytes, at + 32)),
            )
        };
        let header = Self::layout([part(0), part(1), part(2), part(3)])?;
        // Every other field follows from these, so the encoding must agree. The
        // digest was checked above.
        let encoded = header.encode();
        let differs = |&at: &usize| encoded[at] != bytes[at];
        match (0..32).chain(64..HEADER_LEN).find(differs) {
            Some(at) => Err(SegmentError::Field(at)),
            None => Ok(header),
        }
    }
}

/// Digest of a header without the field that holds it.
fn digest(header: &[u8; HEADER_LEN]) -> Digest {
    let mut hash = Sha256Stream::new();
    hash.update(&header[..32]);
    hash.update(&header[64..]);
    hash.finish()
}

fn array<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Everything of a segment but the layer's own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPlan {
    /// The header.
    pub header: Header,
    /// What stands in front of the layer: header, documents, padding.
    pub head: Vec<u8>,
    /// How many zero bytes follow the layer.
    pub tail: u64,
}

impl SegmentPlan {
    /// Plans a segment of three documents and a layer of this length and digest.
    ///
    /// # Errors
    /// [`SegmentError::TooLong`].
    pub fn new(
        manifest: &[u8],
        config: &[u8],
        provenance: &[u8],
        layer_len: u64,
        layer_digest: Digest,
    ) -> Result<Self, SegmentError> {
        let part = |bytes: &[u8]| (bytes.len() as u64, Digest::of(bytes));
        let layer = (layer_len, layer_digest);
        let header = Header::layout([part(manifest), part(config), part(provenance), layer])?;
        let mut head = header.encode().to_vec();
        let documents = [manifest, config, provenance, &[]];
        for (section, bytes) in header.sections.iter().zip(documents) {
            let offset = usize::try_from(section.offset).unwrap_or(usize::MAX);
            head.resize(offset, 0);
            head.extend_from_slice(bytes);
        }
        let tail = header.total - header.section(SectionKind::Layer).end();
        Ok(Self { header, head, tail })
    }

    /// Length of the whole segment.
    #[must_use]
    pub const fn total_len(&self) -> u64 {
        self.header.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let part = |len| (len, Digest::of(&[0]));
        Header::layout([part(100), part(200), part(300), part(400_000)]).unwrap()
    }

    #[test]
    fn header_survives_its_encoding() {
        assert_eq!(Header::parse(&header().encode()), Ok(header()));
    }

    #[test]
    fn every_changed_bit_of_a_header_is_refused() {
        let good = header().encode();
        for at in 0..HEADER_LEN * 8 {
            let mut bad = good;
            bad[at / 8] ^= 1 << (at % 8);
            assert!(Header::parse(&bad).is_err(), "bit {at}");
        }
    }

    #[test]
    fn field_with_another_value_is_refused_though_the_digest_fits() {
        for at in [12, 16, 24, 64, 68, 72, 88, 64 + 3 * ENTRY + 8] {
            let mut bad = header().encode();
            bad[at] ^= 1;
            let fixed = digest(&bad);
            bad[32..64].copy_from_slice(fixed.as_bytes());
            assert_eq!(Header::parse(&bad), Err(SegmentError::Field(at)));
        }
    }

    #[test]
    fn segment_of_4_gib_is_refused() {
        let part = (1, Digest::of(b""));
        let fits = MAX_TOTAL - 2 * PAGE;
        assert!(Header::layout([part, part, part, (fits, part.1)]).is_ok());
        assert!(Header::layout([part, part, part, (fits + 1, part.1)]).is_err());
        assert!(Header::layout([part, part, part, (u64::MAX, part.1)]).is_err());
        assert!(Header::layout([(MAX_DOCUMENT + 1, part.1), part, part, part]).is_err());
    }

    #[test]
    fn plan_puts_the_layer_on_a_page() {
        let plan = SegmentPlan::new(b"m", b"cc", b"ppp", 5, Digest::of(b"layer")).unwrap();
        assert_eq!(
            plan.head.len() as u64,
            plan.header.section(SectionKind::Layer).offset
        );
        assert_eq!(plan.head.len() as u64 % PAGE, 0);
        assert_eq!(plan.total_len(), 2 * PAGE);
        assert_eq!(plan.tail, PAGE - 5);
        assert_eq!(plan.head[HEADER_LEN + 16..HEADER_LEN + 18], *b"cc");
    }
}
