// SPDX-License-Identifier: MIT OR Apache-2.0
//! `maps`, `smaps` and `smaps_rollup` of a process (`fs/proc/task_mmu.c`).

use std::fmt::Write as _;

use linux_abi::Errno;
use linux_abi::mman::ProtFlags;
use linux_abi::stat::{dev_major, dev_minor};

use super::process::Subject;
use crate::file::Caller;
use crate::mm::{GuestAddr, Layout, Mm, Vma, VmaFlags};
use crate::vfs::Location;

const KIB: u64 = 1024;

fn permissions(vma: &Vma) -> String {
    let flag = |flag, letter| if vma.prot.contains(flag) { letter } else { '-' };
    let shared = if vma.flags.contains(VmaFlags::SHARED) {
        's'
    } else {
        'p'
    };
    let (r, w) = (flag(ProtFlags::READ, 'r'), flag(ProtFlags::WRITE, 'w'));
    let x = flag(ProtFlags::EXEC, 'x');
    format!("{r}{w}{x}{shared}")
}

/// The name of an area that no file backs.
fn special_name(vma: &Vma, layout: &Layout) -> &'static str {
    let contains = |addr: u64| (vma.start..vma.end).contains(&addr);
    if vma.flags.contains(VmaFlags::VVAR) {
        "[vvar]"
    } else if contains(layout.vdso) {
        "[vdso]"
    } else if contains(layout.stack_start) {
        "[stack]"
    } else if vma.start < layout.brk && vma.end > layout.brk_start {
        "[heap]"
    } else {
        ""
    }
}

fn line(vma: &Vma, layout: &Layout, root: &Location, out: &mut Vec<u8>) {
    let backing = vma.backing.as_ref();
    let file = backing.and_then(|backing| backing.file.as_ref());
    let attr = file.and_then(|file| file.location().inode().attr().ok());
    let (dev, ino) = attr.map_or((0, 0), |attr| (attr.dev, attr.ino));
    let offset = file.and(backing).map_or(0, |backing| backing.offset);
    let mut text = format!(
        "{:08x}-{:08x} {} {offset:08x} {:02x}:{:02x} {ino}",
        vma.start,
        vma.end,
        permissions(vma),
        dev_major(dev),
        dev_minor(dev),
    );
    let name = match file {
        Some(file) => file.location().path_from(root),
        None if backing.is_some() => b"/dev/zero (deleted)".to_vec(),
        None => special_name(vma, layout).as_bytes().to_vec(),
    };
    if !name.is_empty() {
        while text.len() < 73 {
            text.push(' ');
        }
    }
    out.extend_from_slice(text.as_bytes());
    for byte in name {
        // Only newlines are escaped here.
        match byte {
            b'\n' => out.extend_from_slice(b"\\012"),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
}

/// `/proc/PID/maps`.
pub(super) fn maps(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    each(caller, subject, |_, _, _| {})
}

fn each(
    caller: &Caller<'_>,
    subject: Subject,
    mut detail: impl FnMut(&Mm, &Vma, &mut Vec<u8>),
) -> Result<Vec<u8>, Errno> {
    let task = subject.inspected(caller)?;
    let Ok(mm) = task.mm() else {
        return Ok(Vec::new());
    };
    let root = super::reader(caller)?.fs()?.root();
    let layout = mm.layout();
    let mut out = Vec::new();
    for vma in mm.areas().iter() {
        line(vma, &layout, &root, &mut out);
        detail(&mm, vma, &mut out);
    }
    Ok(out)
}

/// Bytes of the area that are in memory.
fn resident(mm: &Mm, vma: &Vma) -> u64 {
    let pages = mm
        .space()
        .resident_pages(GuestAddr(vma.start), vma.end - vma.start);
    u64::try_from(pages).unwrap_or(0) * crate::mm::PAGE
}

fn details(size: u64, resident: u64, is_file: bool, out: &mut Vec<u8>) {
    let anonymous = if is_file { 0 } else { resident };
    let rows = [
        ("Size", size),
        ("KernelPageSize", crate::mm::PAGE),
        ("MMUPageSize", crate::mm::PAGE),
        ("Rss", resident),
        ("Pss", resident),
        ("Pss_Dirty", anonymous),
        ("Shared_Clean", 0),
        ("Shared_Dirty", 0),
        ("Private_Clean", resident - anonymous),
        ("Private_Dirty", anonymous),
        ("Referenced", resident),
        ("Anonymous", anonymous),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", 0),
    ];
    let mut text = String::new();
    for (label, bytes) in rows {
        let _ = writeln!(text, "{:<16}{:8} kB", format!("{label}:"), bytes / KIB);
    }
    out.extend_from_slice(text.as_bytes());
}

/// `/proc/PID/smaps`.
pub(super) fn smaps(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    each(caller, subject, |mm, vma, out| {
        details(
            vma.end - vma.start,
            resident(mm, vma),
            vma.backing.is_some(),
            out,
        );
        out.extend_from_slice(b"THPeligible:           0\nVmFlags: rd mr mw me\n");
    })
}

/// `/proc/PID/smaps_rollup`.
pub(super) fn smaps_rollup(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let mm = subject.inspected(caller)?.mm()?;
    let areas = mm.areas();
    let first = areas.iter().next().map_or(0, |vma| vma.start);
    let last = areas.iter().next_back().map_or(0, |vma| vma.end);
    let total: u64 = areas.iter().map(|vma| resident(&mm, vma)).sum();
    let head = format!("{first:08x}-{last:08x} ---p 00000000 00:00 0");
    let mut out = format!("{head:<73}[rollup]\n").into_bytes();
    details(areas.total(), total, false, &mut out);
    Ok(out)
}
