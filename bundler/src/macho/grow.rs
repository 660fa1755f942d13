// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes room for the payload in a linked stub.
//!
//! Only numbers change: the size of the `__ELFUSE` segment, and every file
//! offset that points into `__LINKEDIT`, which moves behind the payload. No
//! segment is inserted, because chained fixups count them. The grown segment
//! is not mapped (memory size and protections 0): xnu and dyld pass over it.
//! Room for the one command added, `LC_CODE_SIGNATURE`, was left by the linker.

use super::image::{
    Command, HEADER, Image, LC_CODE_SIGNATURE, LC_SEGMENT_64, Segment, u32_at, u64_at,
};
use super::{MAX_FILE, MachoError, PAGE, SEGMENT, align, sign, verify};

const LC_SYMTAB: u32 = 0x2;
const LC_DYSYMTAB: u32 = 0xb;
const LC_SEGMENT_SPLIT_INFO: u32 = 0x1e;
const LC_DYLD_INFO: u32 = 0x22;
const LC_DYLD_INFO_ONLY: u32 = 0x8000_0022;
const LC_FUNCTION_STARTS: u32 = 0x26;
const LC_DATA_IN_CODE: u32 = 0x29;
const LC_LINKER_OPTIMIZATION_HINT: u32 = 0x2e;
const LC_DYLD_EXPORTS_TRIE: u32 = 0x8000_0033;
const LC_DYLD_CHAINED_FIXUPS: u32 = 0x8000_0034;
/// Length of an `LC_CODE_SIGNATURE` command.
const SIGNATURE_COMMAND: usize = 16;

/// A linked stub, checked and ready to be grown any number of times.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    image: Image,
}

/// A stub with room for a payload: everything but payload and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grown {
    /// What stands before the payload.
    pub(super) head: Vec<u8>,
    /// What stands behind it, up to the signature.
    pub(super) tail: Vec<u8>,
    /// File size of `__TEXT`, which the signature names.
    pub(super) text_size: u64,
    /// Where the signature begins.
    pub(super) code_limit: u64,
    /// Room for the signature.
    pub(super) signature_size: u64,
}

impl Template {
    /// Takes a stub as the linker made it, unsigned.
    ///
    /// # Errors
    /// [`MachoError`] if it is no stub: not an executable, signed, without a
    /// payload segment right before `__LINKEDIT`, or without room for a command.
    pub fn new(bytes: Vec<u8>) -> Result<Self, MachoError> {
        let image = Image::parse(&bytes)?;
        let payload = find(&image, SEGMENT, "__ELFUSE segment: not an elfuse stub")?;
        let linkedit = find(&image, "__LINKEDIT", "__LINKEDIT segment")?;
        find(&image, "__TEXT", "__TEXT segment")?;
        let fits = payload.offset.checked_add(payload.size) == Some(linkedit.offset)
            && linkedit.offset + linkedit.size == bytes.len() as u64
            && payload.offset % PAGE == 0
            && payload.sections == 1;
        if !fits || image.signature.is_some() {
            return Err(MachoError::Structure(
                "the stub must be unsigned and end with __ELFUSE and __LINKEDIT".into(),
            ));
        }
        let room = first_section(&bytes, &image).ok_or(MachoError::Missing("section"))?;
        let end = image.header_len + SIGNATURE_COMMAND;
        let free = bytes.get(image.header_len..end);
        let is_free = free.is_some_and(|room| room.iter().all(|&byte| byte == 0));
        if end as u64 > room.min(payload.offset) || !is_free {
            return Err(MachoError::Missing("room for a load command"));
        }
        verify::second_opinion(&image, &bytes)?;
        Ok(Self { bytes, image })
    }

    /// Where the payload will begin, whatever its size.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        self.image
            .segment(SEGMENT)
            .map_or(0, |segment| segment.offset)
    }

    /// Makes room for `payload` bytes, a multiple of the page size.
    pub(super) fn grow(&self, payload: u64, identifier: &str) -> Result<Grown, MachoError> {
        let segment = find(&self.image, SEGMENT, "__ELFUSE segment")?;
        let linkedit = find(&self.image, "__LINKEDIT", "__LINKEDIT segment")?;
        let text = find(&self.image, "__TEXT", "__TEXT segment")?;
        let start = segment.offset.saturating_add(payload);
        let code_limit = align(start.saturating_add(linkedit.size), 16);
        let signature_size = sign::size(identifier, code_limit);
        let end = code_limit.saturating_add(signature_size);
        if !payload.is_multiple_of(PAGE) || end > MAX_FILE {
            return Err(MachoError::TooLarge {
                size: end,
                limit: MAX_FILE,
            });
        }
        let split = as_index(segment.offset)?;
        let mut head = self.bytes[..split].to_vec();
        let mut tail = self.bytes[as_index(linkedit.offset)?..].to_vec();
        tail.resize(as_index(code_limit - start)?, 0);
        self.widen(&mut head, segment, payload);
        put_u64(&mut head, linkedit.command + 32, align(end - start, PAGE));
        put_u64(&mut head, linkedit.command + 40, start);
        put_u64(&mut head, linkedit.command + 48, end - start);
        for &command in &self.image.commands {
            shift(&mut head, command, linkedit.offset, start)?;
        }
        self.add_signature_command(&mut head, code_limit, signature_size)?;
        Ok(Grown {
            head,
            tail,
            text_size: text.size,
            code_limit,
            signature_size,
        })
    }

    /// Gives the payload segment its new size and takes it out of memory.
    fn widen(&self, head: &mut [u8], segment: &Segment, payload: u64) {
        let address = self.image.segment("__LINKEDIT").map_or(0, |s| s.address);
        let at = segment.command;
        put_u64(head, at + 24, address);
        put_u64(head, at + 32, 0);
        put_u64(head, at + 48, payload);
        head[at + 56..at + 64].fill(0);
        // The one section: address with the segment, nothing in memory or file.
        put_u64(head, at + 72 + 32, address);
        put_u64(head, at + 72 + 40, 0);
        head[at + 72 + 48..at + 72 + 52].fill(0);
    }

    fn add_signature_command(
        &self,
        head: &mut [u8],
        offset: u64,
        size: u64,
    ) -> Result<(), MachoError> {
        let at = self.image.header_len;
        let count = self.image.commands.len() + 1;
        put_u32(head, 16, narrow(count as u64)?);
        put_u32(head, 20, narrow((at - HEADER + SIGNATURE_COMMAND) as u64)?);
        put_u32(head, at, LC_CODE_SIGNATURE);
        put_u32(head, at + 4, narrow(SIGNATURE_COMMAND as u64)?);
        put_u32(head, at + 8, narrow(offset)?);
        put_u32(head, at + 12, narrow(size)?);
        Ok(())
    }
}

/// Moves the offsets of one command from the old `__LINKEDIT` to the new.
fn shift(head: &mut [u8], command: Command, old: u64, new: u64) -> Result<(), MachoError> {
    let fields: &[usize] = match command.kind {
        LC_SYMTAB => &[8, 16],
        LC_DYSYMTAB => &[32, 40, 48, 56, 64, 72],
        LC_DYLD_INFO | LC_DYLD_INFO_ONLY => &[8, 16, 24, 32, 40],
        LC_SEGMENT_SPLIT_INFO
        | LC_FUNCTION_STARTS
        | LC_DATA_IN_CODE
        | LC_LINKER_OPTIMIZATION_HINT
        | LC_DYLD_EXPORTS_TRIE
        | LC_DYLD_CHAINED_FIXUPS => &[8],
        _ => &[],
    };
    for field in fields {
        let at = command.at + field;
        let value = u32_at(head, at).filter(|_| field + 4 <= command.len);
        let value = value.ok_or(MachoError::Malformed {
            what: "load command",
            at: at as u64,
        })?;
        // Zero means that the table does not exist.
        if value != 0 && u64::from(value) >= old {
            put_u32(head, at, narrow(u64::from(value) - old + new)?);
        }
    }
    Ok(())
}

/// File offset of the first byte that the load commands may not grow into.
fn first_section(bytes: &[u8], image: &Image) -> Option<u64> {
    let segments = image
        .commands
        .iter()
        .filter(|command| command.kind == LC_SEGMENT_64);
    segments
        .flat_map(|command| (0..(command.len - 72) / 80).map(move |n| command.at + 72 + n * 80))
        .filter_map(|section| {
            let offset = u32_at(bytes, section + 48)?;
            let size = u64_at(bytes, section + 40)?;
            (offset != 0 && size != 0).then_some(u64::from(offset))
        })
        .min()
}

fn find<'a>(image: &'a Image, name: &str, what: &'static str) -> Result<&'a Segment, MachoError> {
    image.segment(name).ok_or(MachoError::Missing(what))
}

fn as_index(value: u64) -> Result<usize, MachoError> {
    usize::try_from(value).map_err(|_| MachoError::TooLarge {
        size: value,
        limit: MAX_FILE,
    })
}

fn narrow(value: u64) -> Result<u32, MachoError> {
    u32::try_from(value).map_err(|_| MachoError::TooLarge {
        size: value,
        limit: MAX_FILE,
    })
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
