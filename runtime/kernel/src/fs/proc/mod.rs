// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc`: processes and the system as text (`fs/proc/`, Linux 6.12).
//!
//! Everything is made when it is read, from what the kernel knows at that moment;
//! the kernel is found through the task that reads. A process that is gone takes
//! its directory with it. Environment, memory areas and descriptors of others are
//! shown to their owner and to root only.

mod fds;
mod maps;
mod mounts;
mod process;
mod status;
mod system;

use std::sync::Arc;

use linux_abi::Errno;

use crate::file::Caller;
use crate::fs::virtual_fs::{
    FixedDir, LinkTarget, VirtualDir, VirtualFs, VirtualNode, VirtualSpace,
};
use crate::kernel::Kernel;
use crate::task::Task;
use crate::vfs::{Clock, DirEntry, Kind};

/// `statfs` magic of procfs.
const PROC_MAGIC: u32 = 0x9fa0;
/// Inode numbers of a process start at its pid times this.
const INO_PER_PROCESS: u64 = 1 << 20;

/// Makes `/proc` as device `dev`.
#[must_use]
pub fn new(dev: u64, clock: &Clock) -> Arc<VirtualFs> {
    let space = VirtualSpace::new(dev, clock);
    let fixed = system::entries(&space);
    let root = space.dir(
        1,
        0o555,
        Root {
            fixed,
            space: space.clone(),
        },
    );
    VirtualFs::new("proc", PROC_MAGIC, root)
}

/// The kernel of the task that reads.
fn kernel<'a>(caller: &Caller<'a>) -> Result<&'a Arc<Kernel>, Errno> {
    caller.task.map(|task| task.kernel()).ok_or(Errno::ENOENT)
}

/// The task that reads.
fn reader<'a>(caller: &Caller<'a>) -> Result<&'a Arc<Task>, Errno> {
    caller.task.ok_or(Errno::ENOENT)
}

/// A process or thread id as a name: digits without leading zeros.
fn id_of(name: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(name).ok()?;
    let id: i32 = text.parse().ok()?;
    (id > 0 && id.to_string() == text).then_some(id)
}

fn ino_of(id: i32) -> u64 {
    u64::from(id.unsigned_abs()) * INO_PER_PROCESS
}

struct Root {
    fixed: FixedDir,
    space: VirtualSpace,
}

impl Root {
    fn own_links(&self, name: &[u8]) -> Option<VirtualNode> {
        match name {
            b"self" => Some(self.space.link(2, |caller| {
                let pid = reader(caller)?.pid();
                Ok(LinkTarget {
                    text: pid.to_string().into_bytes(),
                    place: None,
                })
            })),
            b"thread-self" => Some(self.space.link(3, |caller| {
                let task = reader(caller)?;
                let text = format!("{}/task/{}", task.pid(), task.tid());
                Ok(LinkTarget {
                    text: text.into_bytes(),
                    place: None,
                })
            })),
            _ => None,
        }
    }
}

impl VirtualDir for Root {
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<VirtualNode>, Errno> {
        if let Some(link) = self.own_links(name) {
            return Ok(Arc::new(link));
        }
        match id_of(name) {
            Some(pid) => process::directory(&self.space, caller, pid).map(Arc::new),
            None => self.fixed.lookup(caller, name),
        }
    }

    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let entry = |name: &str, ino, kind| DirEntry {
            name: name.as_bytes().into(),
            ino,
            kind,
        };
        let mut all = self.fixed.list(caller)?;
        all.push(entry("self", 2, Kind::Symlink));
        all.push(entry("thread-self", 3, Kind::Symlink));
        let table = kernel(caller)?.processes().lock();
        for (pid, _) in table.iter() {
            all.push(entry(&pid.to_string(), ino_of(*pid), Kind::Directory));
        }
        Ok(all)
    }
}
