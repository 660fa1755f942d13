// SPDX-License-Identifier: MIT OR Apache-2.0
//! The four ways GNU tar writes a sparse file.
//!
//! Old GNU keeps the map in the header and extension blocks; pax 0.0 and 0.1
//! keep it in pax records; pax 1.0 keeps it as text before the data. All end as
//! one [`SparseMap`]: data extents in order, holes between them read as zeros.

use super::header::{Block, number};
use super::pax::decimal;
use super::{BLOCK_LEN, TarError};

/// Offset and length of one run of data.
pub(crate) type Extent = (u64, u64);

/// Data extents, ordered, disjoint, within `size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SparseMap {
    pub(crate) size: u64,
    pub(crate) extents: Vec<Extent>,
}

impl SparseMap {
    fn new(size: u64, extents: Vec<Extent>) -> Result<Self, TarError> {
        let mut end = 0_u64;
        for &(offset, length) in &extents {
            if offset < end {
                return Err(TarError::Sparse("extents overlap or are out of order"));
            }
            end = offset
                .checked_add(length)
                .ok_or(TarError::Sparse("an extent is too long"))?;
        }
        if end > size {
            return Err(TarError::Sparse("an extent ends after the file"));
        }
        Ok(Self { size, extents })
    }

    /// Bytes of data in the archive.
    pub(crate) fn stored(&self) -> u64 {
        self.extents.iter().map(|&(_, length)| length).sum()
    }
}

/// Old GNU: four extents in the header, 21 in each extension block that
/// `next_block` supplies.
pub(crate) fn old_gnu(
    header: &Block<'_>,
    mut next_block: impl FnMut() -> Result<[u8; BLOCK_LEN], TarError>,
) -> Result<SparseMap, TarError> {
    let bytes = header.bytes();
    let size = field(&bytes[483..495])?;
    let mut extents = Vec::new();
    push_extents(&mut extents, &bytes[386..482])?;
    let mut is_extended = bytes[482] != 0;
    while is_extended {
        // 21 * 24 bytes per block: the bound on pax maps holds here too.
        if extents.len() > 40_000 {
            return Err(TarError::TooLong("sparse map", size));
        }
        let block = next_block()?;
        push_extents(&mut extents, &block[..504])?;
        is_extended = block[504] != 0;
    }
    SparseMap::new(size, extents)
}

fn push_extents(extents: &mut Vec<Extent>, table: &[u8]) -> Result<(), TarError> {
    for cell in table.chunks_exact(24) {
        // The first empty cell ends the table.
        if cell[0] == 0 {
            break;
        }
        extents.push((field(&cell[..12])?, field(&cell[12..])?));
    }
    Ok(())
}

fn field(bytes: &[u8]) -> Result<u64, TarError> {
    number(bytes)
        .and_then(|n| u64::try_from(n).ok())
        .ok_or(TarError::Number("sparse map"))
}

/// The `GNU.sparse.*` records of a pax header.
#[derive(Debug, Clone, Default)]
pub(crate) struct PaxSparse {
    major: Option<u64>,
    minor: Option<u64>,
    /// `GNU.sparse.size` or `GNU.sparse.realsize`.
    size: Option<u64>,
    /// The file's own path: the header's is made up in 0.1 and 1.0.
    pub(crate) name: Option<Vec<u8>>,
    numbers: Vec<u64>,
}

impl PaxSparse {
    pub(crate) fn is_empty(&self) -> bool {
        self.major.is_none()
            && self.size.is_none()
            && self.name.is_none()
            && self.numbers.is_empty()
    }

    /// Whether the map stands before the data.
    pub(crate) fn has_inline_map(&self) -> bool {
        self.major == Some(1)
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        const FIELD: &str = "GNU.sparse";
        match key {
            b"GNU.sparse.major" => self.major = Some(decimal(value, FIELD)?),
            b"GNU.sparse.minor" => self.minor = Some(decimal(value, FIELD)?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.size = Some(decimal(value, FIELD)?),
            b"GNU.sparse.name" => self.name = Some(value.to_vec()),
            // 0.0: offset and numbytes repeat in turn.
            b"GNU.sparse.offset" if self.numbers.len().is_multiple_of(2) => {
                self.numbers.push(decimal(value, FIELD)?);
            }
            b"GNU.sparse.numbytes" if !self.numbers.len().is_multiple_of(2) => {
                self.numbers.push(decimal(value, FIELD)?);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                return Err(TarError::Sparse("offsets and lengths do not alternate"));
            }
            b"GNU.sparse.map" if value.is_empty() => self.numbers.clear(),
            b"GNU.sparse.map" => {
                self.numbers = value
                    .split(|&b| b == b',')
                    .map(|n| decimal(n, FIELD))
                    .collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The map of formats 0.0 and 0.1; `None` when the file is not sparse.
    pub(crate) fn map(&self) -> Result<Option<SparseMap>, TarError> {
        match (self.major.unwrap_or(0), self.minor.unwrap_or(0)) {
            (0, _) | (1, 0) => {}
            _ => return Err(TarError::Sparse("unknown format version")),
        }
        let Some(size) = self.size else {
            return if self.numbers.is_empty() {
                Ok(None)
            } else {
                Err(TarError::Sparse("no size"))
            };
        };
        SparseMap::new(size, pairs(&self.numbers)?).map(Some)
    }

    /// The map of format 1.0, its numbers read from `text` line by line.
    pub(crate) fn inline_map(&self, numbers: &[u64]) -> Result<SparseMap, TarError> {
        let size = self.size.ok_or(TarError::Sparse("no size"))?;
        SparseMap::new(size, pairs(numbers)?)
    }
}

fn pairs(numbers: &[u64]) -> Result<Vec<Extent>, TarError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TarError::Sparse("an offset has no length"));
    }
    Ok(pairs
        .iter()
        .map(|&[offset, length]| (offset, length))
        .collect())
}

/// Collects the decimal lines of a 1.0 map: a count, then that many pairs.
#[derive(Debug, Default)]
pub(crate) struct InlineMap {
    numbers: Vec<u64>,
    line: Vec<u8>,
}

impl InlineMap {
    /// Takes one block; `true` when the map is complete.
    pub(crate) fn push(&mut self, block: &[u8; BLOCK_LEN]) -> Result<bool, TarError> {
        for &byte in block {
            if self.is_complete()? {
                return Ok(true);
            }
            if byte == b'\n' {
                self.numbers.push(decimal(&self.line, "GNU.sparse map")?);
                self.line.clear();
            } else if self.line.len() < 20 {
                self.line.push(byte);
            } else {
                return Err(TarError::Number("GNU.sparse map"));
            }
        }
        self.is_complete()
    }

    fn is_complete(&self) -> Result<bool, TarError> {
        let Some(&count) = self.numbers.first() else {
            return Ok(false);
        };
        if count > super::MAX_RECORD / 4 {
            return Err(TarError::TooLong("sparse map", count));
        }
        Ok(self.numbers.len() as u64 == 1 + 2 * count)
    }

    pub(crate) fn numbers(&self) -> &[u64] {
        self.numbers.get(1..).unwrap_or_default()
    }
}
