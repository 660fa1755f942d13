// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bounded reader of Mach-O headers.
//!
//! [`Image::parse`] takes the first bytes of a file and walks its load
//! commands. It believes nothing: every count, size and offset is checked
//! against the bytes at hand. Positions of the commands are kept, because
//! growing a file edits them in place.

use super::MachoError;

/// `MH_MAGIC_64`, little endian.
const MAGIC: u32 = 0xfeed_facf;
/// `CPU_TYPE_ARM64`.
const ARM64: u32 = 0x0100_000c;
/// `MH_EXECUTE`.
const EXECUTE: u32 = 2;
/// Length of a `mach_header_64`.
pub(super) const HEADER: usize = 32;
/// Load commands longer than this do not occur in real programs.
const MAX_COMMANDS: usize = 1 << 20;

pub(super) const LC_SEGMENT_64: u32 = 0x19;
pub(super) const LC_CODE_SIGNATURE: u32 = 0x1d;

/// A load command: its kind and where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    pub(super) kind: u32,
    pub(super) at: usize,
    pub(super) len: usize,
}

/// A segment as its load command describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Name without padding.
    pub name: String,
    /// Address in memory.
    pub address: u64,
    /// Size in memory.
    pub memory_size: u64,
    /// Offset in the file.
    pub offset: u64,
    /// Size in the file.
    pub size: u64,
    /// Where the load command lies.
    pub(super) command: usize,
    /// Number of sections.
    pub(super) sections: u32,
}

/// The headers of an arm64 executable.
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) commands: Vec<Command>,
    /// All segments, in the order of the load commands.
    pub segments: Vec<Segment>,
    /// Offset and size of the code signature, where there is one.
    pub signature: Option<(u64, u64)>,
    /// Bytes of header and load commands.
    pub(super) header_len: usize,
}

/// Reads a little-endian `u32`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

/// Reads a little-endian `u64`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

fn malformed(what: &'static str, at: usize) -> MachoError {
    MachoError::Malformed {
        what,
        at: at as u64,
    }
}

impl Image {
    /// Parses the headers of a file from its first bytes.
    ///
    /// # Errors
    /// [`MachoError::NotExecutable`] for other files, [`MachoError::Malformed`]
    /// for damaged ones.
    pub fn parse(bytes: &[u8]) -> Result<Self, MachoError> {
        let is = |at, value| u32_at(bytes, at) == Some(value);
        if !(is(0, MAGIC) && is(4, ARM64) && is(12, EXECUTE)) {
            return Err(MachoError::NotExecutable);
        }
        let count = u32_at(bytes, 16).ok_or(MachoError::NotExecutable)?;
        let size = u32_at(bytes, 20).ok_or(MachoError::NotExecutable)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > MAX_COMMANDS || bytes.len() < HEADER + size {
            return Err(malformed("load commands", HEADER));
        }
        let header_len = HEADER + size;
        let mut image = Self {
            commands: Vec::new(),
            segments: Vec::new(),
            signature: None,
            header_len,
        };
        let mut at = HEADER;
        for _ in 0..count {
            let command = read_command(&bytes[..header_len], at)?;
            image.note(bytes, command)?;
            at += command.len;
        }
        if at != header_len {
            return Err(malformed("load commands", at));
        }
        Ok(image)
    }

    fn note(&mut self, bytes: &[u8], command: Command) -> Result<(), MachoError> {
        let Command { kind, at, len } = command;
        let body = &bytes[at..at + len];
        if kind == LC_SEGMENT_64 {
            let segment = read_segment(body, at).ok_or(malformed("segment command", at))?;
            self.segments.push(segment);
        } else if kind == LC_CODE_SIGNATURE {
            let offset = u32_at(body, 8).ok_or(malformed("signature command", at))?;
            let size = u32_at(body, 12).ok_or(malformed("signature command", at))?;
            self.signature = Some((offset.into(), size.into()));
        }
        self.commands.push(command);
        Ok(())
    }

    /// The segment of that name.
    #[must_use]
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// The name of the part of the file that the byte lies in, for messages.
    #[must_use]
    pub fn part_at(&self, offset: u64) -> String {
        if offset < self.header_len as u64 {
            return "Mach-O header".to_owned();
        }
        self.segments
            .iter()
            .find(|s| (s.offset..s.offset.saturating_add(s.size)).contains(&offset))
            .map_or_else(|| "no segment".to_owned(), |s| s.name.clone())
    }
}

fn read_command(header: &[u8], at: usize) -> Result<Command, MachoError> {
    let wrong = || malformed("load command", at);
    let kind = u32_at(header, at).ok_or_else(wrong)?;
    let len = u32_at(header, at + 4).ok_or_else(wrong)?;
    let len = usize::try_from(len).map_err(|_| wrong())?;
    let fits = at.checked_add(len).is_some_and(|end| end <= header.len());
    if len < 8 || len % 8 != 0 || !fits {
        return Err(wrong());
    }
    Ok(Command { kind, at, len })
}

fn read_segment(body: &[u8], at: usize) -> Option<Segment> {
    let name = body.get(8..24)?;
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    let sections = u32_at(body, 64)?;
    // Each section header has 80 bytes behind the 72 of the command.
    let room = body.len().checked_sub(72)? / 80;
    if usize::try_from(sections).ok()? > room {
        return None;
    }
    let offset = u64_at(body, 40)?;
    let size = u64_at(body, 48)?;
    offset.checked_add(size)?;
    Some(Segment {
        name: String::from_utf8_lossy(&name[..end]).into_owned(),
        address: u64_at(body, 24)?,
        memory_size: u64_at(body, 32)?,
        offset,
        size,
        command: at,
        sections,
    })
}
