// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory (`mm/mmap.c`, `mm/mprotect.c`, `mm/mlock.c`, `arch/arm64/kernel/sys.c`,
//! Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::mman::{
    MAP_SHARED_VALIDATE, MAP_TYPE, MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT, MS_ASYNC,
    MS_INVALIDATE, MS_SYNC, MapFlags, ProtFlags, RemapFlags,
};

use crate::error::SysResult;
use crate::file::Fd;
use crate::mm::{
    FileBacking, Locking, MapRequest, Mappable, PAGE, Place, SharedMemory, UserAddr, VmaFlags,
    page_ceil,
};
use crate::task::Task;

/// An address as a result.
fn address(addr: u64) -> usize {
    usize::try_from(addr).unwrap_or(0)
}

/// Addresses of memory calls may carry a tag in the top byte.
const fn untag(addr: u64) -> u64 {
    if addr & (1 << 55) == 0 {
        addr & 0x00ff_ffff_ffff_ffff
    } else {
        addr
    }
}

pub(super) fn brk(task: &Arc<Task>, end: u64) -> SysResult {
    Ok(address(task.mm()?.brk(untag(end), &task.mem_limits())))
}

/// What is mapped, and how, decided from descriptor and flags.
struct Source {
    flags: VmaFlags,
    backing: Option<FileBacking>,
}

fn anonymous(task: &Task, len: u64, is_shared: bool) -> Result<Source, Errno> {
    if !is_shared {
        return Ok(Source {
            flags: VmaFlags::MAYWRITE,
            backing: None,
        });
    }
    let pages = page_ceil(len).ok_or(Errno::ENOMEM)? / PAGE;
    let object = SharedMemory::new(task.kernel().machine(), pages);
    let backing = FileBacking {
        object,
        offset: 0,
        file: None,
    };
    Ok(Source {
        flags: VmaFlags::MAYWRITE | VmaFlags::SHARED,
        backing: Some(backing),
    })
}

fn file(
    task: &Task,
    fd: Fd,
    prot: ProtFlags,
    is_shared: bool,
    offset: u64,
) -> Result<Source, Errno> {
    let open = task.files()?.get(fd)?;
    let access = open.flags();
    let mut flags = VmaFlags::empty();
    flags.set(VmaFlags::SHARED, is_shared);
    flags.set(VmaFlags::MAYWRITE, !is_shared || access.is_writable());
    if !access.is_readable() {
        return Err(Errno::EACCES);
    }
    if is_shared && prot.contains(ProtFlags::WRITE) && !access.is_writable() {
        return Err(Errno::EACCES);
    }
    let mount_flags = open.location().mount.flags();
    if prot.contains(ProtFlags::EXEC) && mount_flags.contains(crate::vfs::MountFlags::NO_EXEC) {
        return Err(Errno::EPERM);
    }
    let object: Arc<dyn Mappable> = open.file().as_mappable().ok_or(Errno::ENODEV)?;
    Ok(Source {
        flags,
        backing: Some(FileBacking {
            object,
            offset,
            file: Some(open),
        }),
    })
}

pub(super) fn mmap(
    task: &Arc<Task>,
    addr: u64,
    len: u64,
    prot: u64,
    flags: u64,
    fd: Fd,
    offset: u64,
) -> SysResult {
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    let map = MapFlags::from_bits_retain(flags);
    let prot = ProtFlags::from_bits_retain(prot);
    let is_anonymous = map.contains(MapFlags::ANONYMOUS);
    if !is_anonymous {
        task.files()?.get(fd)?;
    }
    if map.contains(MapFlags::HUGETLB) {
        crate::refuse!(ENOMEM, "there are no huge pages");
    }
    if len == 0 {
        return Err(Errno::EINVAL.into());
    }
    if !is_anonymous && offset.checked_add(len).is_none() {
        return Err(Errno::EOVERFLOW.into());
    }
    let is_shared = match flags & MAP_TYPE {
        1 => true,
        2 => false,
        MAP_SHARED_VALIDATE => {
            if !(map - MapFlags::all()).is_empty() {
                return Err(Errno::EOPNOTSUPP.into());
            }
            true
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    let source = if is_anonymous {
        anonymous(task, len, is_shared)?
    } else {
        file(task, fd, prot, is_shared, offset)?
    };
    let mut area = source.flags;
    area.set(
        VmaFlags::GROWSDOWN,
        map.contains(MapFlags::GROWSDOWN) && is_anonymous && !is_shared,
    );
    area.set(VmaFlags::LOCKED, map.contains(MapFlags::LOCKED));
    area.set(VmaFlags::NORESERVE, map.contains(MapFlags::NORESERVE));
    let request = MapRequest {
        addr: untag(addr),
        len,
        prot: prot & (ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC),
        flags: area,
        backing: source.backing,
        place: if map.contains(MapFlags::FIXED_NOREPLACE) {
            Place::Empty
        } else if map.contains(MapFlags::FIXED) {
            Place::Replace
        } else {
            Place::Hint
        },
    };
    let mm = task.mm()?;
    let start = mm.mmap(request, &task.mem_limits())?;
    if map.contains(MapFlags::POPULATE) && !map.contains(MapFlags::NONBLOCK) {
        mm.populate(start, len);
    }
    Ok(address(start))
}

pub(super) fn munmap(task: &Arc<Task>, addr: u64, len: u64) -> SysResult {
    task.mm()?.munmap(untag(addr), len)?;
    Ok(0)
}

pub(super) fn mremap(
    task: &Arc<Task>,
    old: u64,
    old_len: u64,
    new_len: u64,
    flags: u64,
    new_addr: u64,
) -> SysResult {
    let flags = RemapFlags::from_bits_retain(flags);
    let limits = task.mem_limits();
    let at = task
        .mm()?
        .mremap(untag(old), old_len, new_len, flags, new_addr, &limits)?;
    Ok(address(at))
}

pub(super) fn mprotect(task: &Arc<Task>, addr: u64, len: u64, prot: u64) -> SysResult {
    let mut prot = ProtFlags::from_bits_retain(prot);
    let grows = ProtFlags::GROWSDOWN | ProtFlags::GROWSUP;
    if prot.contains(grows) {
        return Err(Errno::EINVAL.into());
    }
    let ours = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC | ProtFlags::SEM;
    let (mut addr, mut len) = (untag(addr), len);
    let mm = task.mm()?;
    if prot.intersects(grows) {
        // From the start of the stack-like area that contains the address.
        let area = mm.areas().find(addr).cloned().ok_or(Errno::ENOMEM)?;
        if prot.contains(ProtFlags::GROWSUP) || !area.flags.contains(VmaFlags::GROWSDOWN) {
            return Err(Errno::EINVAL.into());
        }
        len = len.saturating_add(addr - area.start);
        addr = area.start;
        prot -= grows;
    }
    // BTI is a hint that this processor's ID registers do not offer.
    if !(prot - ours - ProtFlags::BTI).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    mm.mprotect(addr, len, prot & (ours - ProtFlags::SEM))?;
    Ok(0)
}

pub(super) fn msync(task: &Arc<Task>, addr: u64, len: u64, flags: u32) -> SysResult {
    let is_both = flags & MS_ASYNC != 0 && flags & MS_SYNC != 0;
    let addr = untag(addr);
    if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0 || is_both || !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    task.mm()?
        .msync(addr, len, flags & MS_SYNC != 0, flags & MS_INVALIDATE != 0)?;
    Ok(0)
}

pub(super) fn madvise(task: &Arc<Task>, addr: u64, len: u64, advice: i32) -> SysResult {
    task.mm()?.madvise(untag(addr), len, advice)?;
    Ok(0)
}

pub(super) fn mlock(task: &Arc<Task>, addr: u64, len: u64) -> SysResult {
    task.mm()?
        .mlock(untag(addr), len, Locking::Lock, &task.mem_limits())?;
    Ok(0)
}

pub(super) fn mlock2(task: &Arc<Task>, addr: u64, len: u64, flags: u32) -> SysResult {
    let how = match flags {
        0 => Locking::Lock,
        MLOCK_ONFAULT => Locking::OnFault,
        _ => return Err(Errno::EINVAL.into()),
    };
    task.mm()?
        .mlock(untag(addr), len, how, &task.mem_limits())?;
    Ok(0)
}

pub(super) fn munlock(task: &Arc<Task>, addr: u64, len: u64) -> SysResult {
    task.mm()?
        .mlock(untag(addr), len, Locking::Unlock, &task.mem_limits())?;
    Ok(0)
}

pub(super) fn mlockall(task: &Arc<Task>, flags: u32) -> SysResult {
    let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if flags == 0 || flags & !known != 0 || flags == MCL_ONFAULT {
        return Err(Errno::EINVAL.into());
    }
    let how = if flags & MCL_ONFAULT != 0 {
        Locking::OnFault
    } else {
        Locking::Lock
    };
    let current = (flags & MCL_CURRENT != 0).then_some(how);
    let limits = task.mem_limits();
    if limits.locked == 0 {
        return Err(Errno::EPERM.into());
    }
    task.mm()?
        .mlockall(current, Some(flags & MCL_FUTURE != 0), &limits)?;
    Ok(0)
}

pub(super) fn munlockall(task: &Arc<Task>) -> SysResult {
    task.mm()?
        .mlockall(Some(Locking::Unlock), Some(false), &task.mem_limits())?;
    Ok(0)
}

pub(super) fn mincore(task: &Arc<Task>, addr: u64, len: u64, vec: UserAddr) -> SysResult {
    let addr = untag(addr);
    if !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    let pages = page_ceil(len).ok_or(Errno::ENOMEM)? / PAGE;
    let bytes = task.mm()?.mincore(addr, pages)?;
    task.copy_out(vec, &bytes)?;
    Ok(0)
}
