// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the `__ELFUSE` segment in a Mach-O file. The reader is bounded and
//! knows only what it needs: an arm64 header and its segment commands. The
//! segment may be mapped or not; only its place in the file matters.

use std::ops::Range;

use elfuse_payload::ReadAt;

const MAGIC_64: u32 = 0xfeed_facf;
const CPU_ARM64: u32 = 0x0100_000c;
const SEGMENT_64: u32 = 0x19;
const SEGMENT_LEN: usize = 72;
const HEADER_LEN: usize = 32;
const NAME: &[u8; 16] = b"__ELFUSE\0\0\0\0\0\0\0\0";

/// Apple's own limit is one page; a stub has about 1 KiB of commands.
const MAX_COMMANDS_LEN: u32 = 64 << 10;

/// Why a file has no payload segment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// Not a thin 64-bit arm64 Mach-O.
    #[error("not an arm64 macOS program")]
    NotMachO,
    /// The load commands contradict themselves or the file's length.
    #[error("its load commands are damaged")]
    BadCommands,
    /// A valid program, but not a bundle.
    #[error("it has no __ELFUSE segment")]
    NoSegment,
    /// The segment says that it lies where the file has no bytes.
    #[error("its __ELFUSE segment is not inside the file: the file was cut short")]
    OutsideFile,
    /// Reading failed.
    #[error("read the load commands: {0}")]
    Read(std::io::ErrorKind),
}

impl From<std::io::Error> for LocateError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::BadCommands,
            kind => Self::Read(kind),
        }
    }
}

/// Where in `file` the payload segment's bytes are.
///
/// # Errors
/// [`LocateError`], the first thing that is wrong from the file's start on.
pub fn payload_range(file: &dyn ReadAt) -> Result<Range<u64>, LocateError> {
    let range = find_segment(&load_commands(file)?)?;
    if range.end > file.size() {
        return Err(LocateError::OutsideFile);
    }
    Ok(range)
}

/// The load commands of a program.
pub(crate) struct LoadCommands {
    bytes: Vec<u8>,
    count: u32,
}

/// One load command.
pub(crate) struct LoadCommand<'a> {
    /// What it is.
    pub(crate) kind: u32,
    bytes: &'a [u8],
}

impl LoadCommand<'_> {
    /// The number at `at` from the command's start.
    pub(crate) fn u32_at(&self, at: usize) -> Option<u32> {
        u32_at(self.bytes, at)
    }
}

impl LoadCommands {
    /// The commands in their order, up to the first damaged one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<LoadCommand<'_>, LocateError>> {
        let mut left = self.bytes.as_slice();
        (0..self.count).map(move |_| {
            let len = u32_at(left, 4).and_then(|len| usize::try_from(len).ok());
            let len = len.filter(|&len| len >= 8 && len <= left.len());
            let (bytes, rest) = left.split_at(len.ok_or(LocateError::BadCommands)?);
            left = rest;
            let kind = u32_at(bytes, 0).ok_or(LocateError::BadCommands)?;
            Ok(LoadCommand { kind, bytes })
        })
    }
}

/// Reads the load commands of the program in `file`.
pub(crate) fn load_commands(file: &dyn ReadAt) -> Result<LoadCommands, LocateError> {
    if file.size() < HEADER_LEN as u64 {
        return Err(LocateError::NotMachO);
    }
    let mut header = [0; HEADER_LEN];
    file.read_exact_at(&mut header, 0)?;
    if u32_at(&header, 0) != Some(MAGIC_64) || u32_at(&header, 4) != Some(CPU_ARM64) {
        return Err(LocateError::NotMachO);
    }
    let len = u32_at(&header, 20).filter(|&len| len <= MAX_COMMANDS_LEN);
    let len = len
        .and_then(|len| usize::try_from(len).ok())
        .ok_or(LocateError::BadCommands)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, HEADER_LEN as u64)?;
    let count = u32_at(&header, 16).unwrap_or(0);
    Ok(LoadCommands { bytes, count })
}

fn find_segment(commands: &LoadCommands) -> Result<Range<u64>, LocateError> {
    for command in commands.iter() {
        let command = command?;
        if command.kind == SEGMENT_64 {
            if command.bytes.len() < SEGMENT_LEN {
                return Err(LocateError::BadCommands);
            }
            if command.bytes.get(8..24) == Some(NAME) {
                return file_range(command.bytes).ok_or(LocateError::OutsideFile);
            }
        }
    }
    Err(LocateError::NoSegment)
}

fn file_range(segment: &[u8]) -> Option<Range<u64>> {
    let start = u64_at(segment, 40)?;
    Some(start..start.checked_add(u64_at(segment, 48)?)?)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|field| u64::from_le_bytes(*field))
}

#[cfg(test)]
mod tests;
