// SPDX-License-Identifier: MIT OR Apache-2.0
//! Placing a program, its interpreter, the vDSO and the stack.
//!
//! The layout is Linux's on arm64 with 48 address bits: programs at two thirds of
//! the space, mappings top-down below the stack, the heap behind the program,
//! everything moved by random amounts.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::mman::ProtFlags;

use super::elf::{Header, Program, parse_header, parse_program};
use super::{Args, Image, Loader, open_program, read_at, stack};
use crate::file::OpenFile;
use crate::mm::{
    FileBacking, Layout, MapRequest, Mm, PAGE, Place, TASK_SIZE, UserAddr, UserMemory, VmaFlags,
    page_ceil, page_floor,
};

/// Where position-independent programs go (`ELF_ET_DYN_BASE`).
const DYN_BASE: u64 = 2 * (TASK_SIZE / 3);
/// Random bits of mappings and programs, in pages.
const MMAP_RANDOM_PAGES: u64 = 1 << 28;
/// Random pages of the stack (`STACK_RND_MASK`).
const STACK_RANDOM_PAGES: u64 = 0x4_0000;
/// Random bytes of the heap.
const BRK_RANDOM: u64 = 1 << 30;
/// Bytes of stack that are mapped from the start.
const INITIAL_STACK: u64 = 33 * PAGE;

/// A file that has been mapped.
struct Mapped {
    bias: u64,
    entry: u64,
    end: u64,
    header: Header,
    program: Program,
}

struct Builder<'a> {
    loader: &'a Loader<'a>,
    mm: Arc<Mm>,
}

/// Builds the address space of an ELF program.
pub(super) fn place(
    loader: &Loader<'_>,
    file: &Arc<OpenFile>,
    head: &[u8],
    name: &[u8],
    args: &Args,
) -> Result<Image, Errno> {
    let header = parse_header(head)?;
    let program = read_program(loader, file, &header)?;
    let interpreter = open_interpreter(loader, file, &program)?;
    let stack_top = page_floor(TASK_SIZE - random(loader, STACK_RANDOM_PAGES) * PAGE);
    let mmap_base = Layout::mmap_base_for(loader.limits.stack, random(loader, MMAP_RANDOM_PAGES));
    let layout = Layout {
        mmap_base,
        ..Layout::default()
    };
    let mm = Mm::new(loader.kernel.machine(), layout).map_err(|_| Errno::ENOMEM)?;
    let builder = Builder {
        loader,
        mm: Arc::new(mm),
    };
    let main = builder.map_main(file, header, program, interpreter.is_some())?;
    let linker = interpreter
        .map(|file| builder.map_interpreter(&file))
        .transpose()?;
    builder.set_heap(&main)?;
    builder.map_stack(stack_top, main.program.is_stack_executable)?;
    builder.map_vdso()?;
    let attr = file.location().inode().attr()?;
    let is_set_id_ignored = file
        .location()
        .mount
        .flags()
        .contains(crate::vfs::MountFlags::NO_SUID);
    let set_uid = (attr.perm & 0o4000 != 0 && !is_set_id_ignored).then_some(attr.uid);
    let set_gid = (attr.perm & 0o2010 == 0o2010 && !is_set_id_ignored).then_some(attr.gid);
    let creds = loader.task.creds().after_exec(set_uid, set_gid);
    let facts = stack::Facts {
        phdr: main.bias.wrapping_add(main.program.phdr_addr),
        phnum: u64::from(main.header.phnum),
        base: linker.as_ref().map_or(0, |linker| linker.bias),
        entry: main.entry,
        vdso: builder.mm.layout().vdso,
        hwcap: loader.kernel.machine().hwcap(),
        creds: &creds,
        random: loader.kernel.random_bytes(),
        stack_top,
    };
    let memory = UserMemory::new(Arc::clone(&builder.mm), loader.limits.stack);
    let sp = stack::build(&memory, &facts, name, args)?;
    builder.mm.set_exe(Arc::clone(file));
    Ok(Image {
        mm: builder.mm,
        entry: linker.map_or(main.entry, |linker| linker.entry),
        sp,
        file: Arc::clone(file),
        set_uid,
        set_gid,
    })
}

fn random(loader: &Loader<'_>, below: u64) -> u64 {
    if loader.is_fixed {
        0
    } else {
        loader.kernel.random_u64() % below
    }
}

fn read_program(loader: &Loader<'_>, file: &OpenFile, header: &Header) -> Result<Program, Errno> {
    let table = read_at(file, loader.task, header.phoff, header.table_len())?;
    if table.len() != header.table_len() {
        return Err(Errno::ENOEXEC);
    }
    parse_program(header, &table)
}

fn open_interpreter(
    loader: &Loader<'_>,
    file: &OpenFile,
    program: &Program,
) -> Result<Option<Arc<OpenFile>>, Errno> {
    let Some((offset, len)) = program.interpreter else {
        return Ok(None);
    };
    let len = usize::try_from(len).map_err(|_| Errno::ENOEXEC)?;
    let name = read_at(file, loader.task, offset, len)?;
    let Some((0, path)) = name.split_last() else {
        return Err(Errno::ENOEXEC);
    };
    if name.len() != len {
        return Err(Errno::ENOEXEC);
    }
    let start = loader.task.fs()?.root();
    open_program(loader.task, start, path, true).map(Some)
}

impl Builder<'_> {
    fn map_main(
        &self,
        file: &Arc<OpenFile>,
        header: Header,
        program: Program,
        has_interpreter: bool,
    ) -> Result<Mapped, Errno> {
        let (start, end) = program.span();
        let bias = match (header.is_dyn, has_interpreter) {
            (false, _) => 0,
            (true, true) => {
                let random = random(self.loader, MMAP_RANDOM_PAGES / 2) * PAGE;
                let at = (DYN_BASE + random) & !(program.align() - 1);
                at.wrapping_sub(start)
            }
            // A program that is its own interpreter goes where mappings go.
            (true, false) => self
                .free_place(end - start, program.align())?
                .wrapping_sub(start),
        };
        self.map_file(file, header, program, bias)
    }

    fn map_interpreter(&self, file: &Arc<OpenFile>) -> Result<Mapped, Errno> {
        let head = read_at(file, self.loader.task, 0, super::elf::HEADER_LEN)?;
        let bad = |errno| {
            if errno == Errno::ENOEXEC {
                Errno::ELIBBAD
            } else {
                errno
            }
        };
        let header = parse_header(&head).map_err(bad)?;
        let program = read_program(self.loader, file, &header).map_err(bad)?;
        let (start, end) = program.span();
        let bias = if header.is_dyn {
            self.free_place(end - start, program.align())?
                .wrapping_sub(start)
        } else {
            0
        };
        self.map_file(file, header, program, bias)
    }

    fn free_place(&self, len: u64, align: u64) -> Result<u64, Errno> {
        let areas = self.mm.areas();
        let base = self.mm.layout().mmap_base;
        let at = areas
            .find_free(len + align - PAGE, crate::mm::MMAP_MIN..base)
            .ok_or(Errno::ENOMEM)?;
        Ok((at + align - 1) & !(align - 1))
    }

    fn map_file(
        &self,
        file: &Arc<OpenFile>,
        header: Header,
        program: Program,
        bias: u64,
    ) -> Result<Mapped, Errno> {
        let (start, end) = program.span();
        let low = bias.wrapping_add(start);
        if low < crate::mm::MMAP_MIN || low.checked_add(end - start).is_none_or(|e| e > TASK_SIZE) {
            return Err(Errno::ENOMEM);
        }
        let object = file.file().as_mappable().ok_or(Errno::ENOEXEC)?;
        for segment in &program.segments {
            let at = bias.wrapping_add(segment.vaddr);
            let file_end = at + segment.file_len;
            let mem_end = page_ceil(at + segment.mem_len).ok_or(Errno::ENOMEM)?;
            if segment.file_len > 0 {
                let backing = FileBacking {
                    object: Arc::clone(&object),
                    offset: page_floor(segment.offset),
                    file: Some(Arc::clone(file)),
                };
                let len = file_end - page_floor(at);
                self.map(
                    page_floor(at),
                    len,
                    segment.prot,
                    Some(backing),
                    VmaFlags::empty(),
                )?;
            }
            let mapped_end = if segment.file_len > 0 {
                page_ceil(file_end).ok_or(Errno::ENOMEM)?
            } else {
                page_floor(at)
            };
            if segment.mem_len > segment.file_len && segment.file_len > 0 {
                // To the end of the page: the dynamic linker's first allocations lie behind
                // its own data and are not cleared again.
                self.clear_tail(file_end, mapped_end, segment.prot)?;
            }
            if mem_end > mapped_end {
                self.map(
                    mapped_end,
                    mem_end - mapped_end,
                    segment.prot,
                    None,
                    VmaFlags::empty(),
                )?;
            }
        }
        let entry = bias.wrapping_add(header.entry);
        if entry >= TASK_SIZE {
            return Err(Errno::EINVAL);
        }
        Ok(Mapped {
            bias,
            entry,
            end: bias.wrapping_add(end),
            header,
            program,
        })
    }

    fn clear_tail(&self, from: u64, to: u64, prot: ProtFlags) -> Result<(), Errno> {
        if from >= to {
            return Ok(());
        }
        let zeros = vec![0; usize::try_from(to - from).map_err(|_| Errno::EINVAL)?];
        let memory = UserMemory::new(Arc::clone(&self.mm), 0);
        let cleared = memory.copy_out(UserAddr(from), &zeros);
        // A read-only segment cannot be cleared, and Linux lets that pass.
        if prot.contains(ProtFlags::WRITE) {
            cleared
        } else {
            Ok(())
        }
    }

    fn map(
        &self,
        at: u64,
        len: u64,
        prot: ProtFlags,
        backing: Option<FileBacking>,
        flags: VmaFlags,
    ) -> Result<(), Errno> {
        let request = MapRequest {
            addr: at,
            len,
            prot,
            flags: flags | VmaFlags::MAYWRITE,
            backing,
            place: Place::Replace,
        };
        self.mm.mmap(request, &self.loader.limits).map(|_| ())
    }

    fn set_heap(&self, main: &Mapped) -> Result<(), Errno> {
        let random = random(self.loader, BRK_RANDOM);
        // The heap of a program that lies among the mappings would soon be full.
        let is_among_mappings = main.header.is_dyn && main.program.interpreter.is_none();
        let base = if is_among_mappings {
            DYN_BASE
        } else {
            main.end
        };
        let brk = page_ceil(base + random).ok_or(Errno::ENOMEM)?;
        let code_start = main.program.segments.first().map_or(0, |s| s.vaddr);
        let code_end = main
            .program
            .segments
            .iter()
            .filter(|s| s.prot.contains(ProtFlags::EXEC));
        let code_end = code_end
            .map(|s| s.vaddr + s.file_len)
            .max()
            .unwrap_or(code_start);
        self.mm.update_layout(|layout| {
            (layout.brk_start, layout.brk) = (brk, brk);
            layout.code_start = main.bias.wrapping_add(code_start);
            layout.code_end = main.bias.wrapping_add(code_end);
        });
        Ok(())
    }

    fn map_stack(&self, top: u64, is_executable: bool) -> Result<(), Errno> {
        let mut prot = ProtFlags::READ | ProtFlags::WRITE;
        prot.set(ProtFlags::EXEC, is_executable);
        let flags = VmaFlags::GROWSDOWN | VmaFlags::STACK;
        self.map(top - INITIAL_STACK, INITIAL_STACK, prot, None, flags)
    }

    fn map_vdso(&self) -> Result<(), Errno> {
        let (vdso, sigreturn) = self.loader.kernel.map_vdso(&self.mm)?;
        self.mm
            .update_layout(|layout| (layout.vdso, layout.sigreturn) = (vdso, sigreturn));
        Ok(())
    }
}
