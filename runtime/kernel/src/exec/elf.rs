// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF headers, bounded and checked.
//!
//! Only what the loader needs is read: the header and the program headers (at most
//! 64 KiB of them), by `goblin`. Every number is checked before it is used; a
//! fuzzer feeds this with anything.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EM_AARCH64, ET_DYN, ET_EXEC, header64};
use goblin::elf::program_header::{
    PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, ProgramHeader,
};
use linux_abi::Errno;
use linux_abi::mman::ProtFlags;

use crate::mm::{PAGE, TASK_SIZE, page_ceil, page_floor};

/// Bytes of the ELF header.
pub(super) const HEADER_LEN: usize = header64::SIZEOF_EHDR;
/// Bytes of a program header.
const PHDR_LEN: usize = 56;
/// The most bytes of program headers (`ELF_MIN_ALIGN`-independent bound of Linux).
const MAX_PHDRS_LEN: usize = 65536;

/// What the ELF header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) is_dyn: bool,
    pub(super) entry: u64,
    pub(super) phoff: u64,
    pub(super) phnum: u16,
}

impl Header {
    pub(super) fn table_len(&self) -> usize {
        usize::from(self.phnum) * PHDR_LEN
    }
}

/// A piece of the program to map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) vaddr: u64,
    pub(super) offset: u64,
    pub(super) file_len: u64,
    pub(super) mem_len: u64,
    pub(super) align: u64,
    pub(super) prot: ProtFlags,
}

/// What the program headers say.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) segments: Vec<Segment>,
    /// Offset and length of the interpreter's name.
    pub(super) interpreter: Option<(u64, u64)>,
    pub(super) is_stack_executable: bool,
    /// Address of the program headers, before relocation; 0 when not mapped.
    pub(super) phdr_addr: u64,
}

/// Parses the ELF header.
///
/// # Errors
/// `ENOEXEC` for everything but a 64-bit little-endian arm64 program.
pub(super) fn parse_header(head: &[u8]) -> Result<Header, Errno> {
    let bytes = head
        .get(..HEADER_LEN)
        .and_then(|b| <&[u8; HEADER_LEN]>::try_from(b).ok());
    let header = header64::Header::from_bytes(bytes.ok_or(Errno::ENOEXEC)?);
    let is_ours = header.e_ident.starts_with(b"\x7fELF\x02\x01")
        && header.e_machine == EM_AARCH64
        && matches!(header.e_type, ET_EXEC | ET_DYN)
        && usize::from(header.e_phentsize) == PHDR_LEN
        && header.e_phnum >= 1
        && usize::from(header.e_phnum) * PHDR_LEN <= MAX_PHDRS_LEN;
    if !is_ours {
        return Err(Errno::ENOEXEC);
    }
    Ok(Header {
        is_dyn: header.e_type == ET_DYN,
        entry: header.e_entry,
        phoff: header.e_phoff,
        phnum: header.e_phnum,
    })
}

/// Parses the table of program headers.
///
/// # Errors
/// `ENOEXEC` for tables that make no sense, `EINVAL` for segments that cannot be.
pub(super) fn parse_program(header: &Header, table: &[u8]) -> Result<Program, Errno> {
    let ctx = Ctx::new(Container::Big, Endian::Little);
    let headers = ProgramHeader::parse(table, 0, usize::from(header.phnum), ctx);
    let headers = headers.map_err(|_| Errno::ENOEXEC)?;
    let mut program = Program::default();
    for ph in &headers {
        match ph.p_type {
            PT_LOAD if ph.p_memsz > 0 => program.segments.push(segment(ph)?),
            PT_INTERP if program.interpreter.is_none() => {
                if !(2..=4096).contains(&ph.p_filesz) {
                    return Err(Errno::ENOEXEC);
                }
                program.interpreter = Some((ph.p_offset, ph.p_filesz));
            }
            PT_GNU_STACK => program.is_stack_executable = ph.p_flags & PF_X != 0,
            _ => {}
        }
    }
    if program.segments.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let is_sorted = program.segments.windows(2).all(|pair| {
        page_ceil(pair[0].vaddr + pair[0].mem_len).is_some_and(|_| pair[0].vaddr <= pair[1].vaddr)
    });
    if !is_sorted {
        return Err(Errno::ENOEXEC);
    }
    let holder = program.segments.iter().find(|segment| {
        segment.offset <= header.phoff && header.phoff - segment.offset < segment.file_len
    });
    program.phdr_addr = holder.map_or(0, |s| s.vaddr.wrapping_add(header.phoff - s.offset));
    Ok(program)
}

fn segment(ph: &ProgramHeader) -> Result<Segment, Errno> {
    let end = ph
        .p_vaddr
        .checked_add(ph.p_memsz)
        .and_then(page_ceil)
        .ok_or(Errno::EINVAL)?;
    let file_end = ph.p_offset.checked_add(ph.p_filesz).and_then(page_ceil);
    if ph.p_filesz > ph.p_memsz || end > TASK_SIZE || file_end.is_none() {
        return Err(Errno::EINVAL);
    }
    if ph.p_vaddr % PAGE != ph.p_offset % PAGE && ph.p_filesz > 0 {
        return Err(Errno::EINVAL);
    }
    let mut prot = ProtFlags::empty();
    prot.set(ProtFlags::READ, ph.p_flags & PF_R != 0);
    prot.set(ProtFlags::WRITE, ph.p_flags & PF_W != 0);
    prot.set(ProtFlags::EXEC, ph.p_flags & PF_X != 0);
    let align = if ph.p_align.is_power_of_two() {
        ph.p_align.clamp(PAGE, 1 << 30)
    } else {
        PAGE
    };
    Ok(Segment {
        vaddr: ph.p_vaddr,
        offset: ph.p_offset,
        file_len: ph.p_filesz,
        mem_len: ph.p_memsz,
        align,
        prot,
    })
}

impl Program {
    /// First page and end of what is mapped, before relocation.
    pub(super) fn span(&self) -> (u64, u64) {
        let start = self.segments.first().map_or(0, |s| page_floor(s.vaddr));
        let end = self
            .segments
            .iter()
            .map(|s| s.vaddr + s.mem_len)
            .max()
            .unwrap_or(start);
        (start, page_ceil(end).unwrap_or(TASK_SIZE))
    }

    /// Largest alignment that a segment asks for.
    pub(super) fn align(&self) -> u64 {
        self.segments.iter().map(|s| s.align).max().unwrap_or(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use linux_abi::Errno;
    use proptest::prelude::*;

    use super::{parse_header, parse_program};

    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        bytes[16] = 2;
        bytes[18] = 183;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes
    }

    #[test]
    fn other_machines_are_no_programs() {
        let mut x86 = header();
        assert!(parse_header(&x86).is_ok());
        x86[18] = 62;
        assert_eq!(parse_header(&x86).unwrap_err(), Errno::ENOEXEC);
        assert_eq!(parse_header(b"\x7fELF").unwrap_err(), Errno::ENOEXEC);
    }

    proptest! {
        #[test]
        fn any_table_is_parsed_or_refused(table in prop::collection::vec(any::<u8>(), 56)) {
            let header = parse_header(&header()).unwrap();
            let _ = parse_program(&header, &table).map(|program| program.span());
        }

        #[test]
        fn any_load_segment_is_parsed_or_refused(
            numbers in prop::collection::vec(any::<u64>(), 6), flags in 0u32..8
        ) {
            let mut table = 1u32.to_le_bytes().to_vec();
            table.extend(flags.to_le_bytes());
            numbers.iter().for_each(|n| table.extend(n.to_le_bytes()));
            let header = parse_header(&header()).unwrap();
            let _ = parse_program(&header, &table).map(|program| program.span());
        }
    }
}
