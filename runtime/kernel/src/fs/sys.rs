// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/sys`: as much as programs need to count processors.

use std::sync::Arc;

use linux_abi::Errno;

use crate::fs::virtual_fs::{FixedDir, VirtualFs, VirtualNode, VirtualSpace};
use crate::vfs::Clock;

/// `statfs` magic of sysfs.
const SYSFS_MAGIC: u32 = 0x6265_6572;

/// Makes `/sys` as device `dev`, for a machine with `cpus` processors.
#[must_use]
pub fn new(dev: u64, clock: &Clock, cpus: usize) -> Arc<VirtualFs> {
    let space = VirtualSpace::new(dev, clock);
    let mut next = 1;
    let mut number = move || {
        next += 1;
        next
    };
    let text = |ino: u64, text: String| -> VirtualNode {
        space.text(ino, 0o444, move |_| {
            Ok::<_, Errno>(text.clone().into_bytes())
        })
    };
    let range = if cpus > 1 {
        format!("0-{}\n", cpus - 1)
    } else {
        "0\n".to_owned()
    };
    let cpu = FixedDir::new()
        .with("online", text(number(), range.clone()))
        .with("possible", text(number(), range.clone()))
        .with("present", text(number(), range.clone()));
    let node0 = FixedDir::new().with("cpulist", text(number(), range));
    let node = FixedDir::new()
        .with("node0", space.dir(number(), 0o755, node0))
        .with("online", text(number(), "0\n".to_owned()))
        .with("possible", text(number(), "0\n".to_owned()));
    let system = FixedDir::new()
        .with("cpu", space.dir(number(), 0o755, cpu))
        .with("node", space.dir(number(), 0o755, node));
    let devices = FixedDir::new().with("system", space.dir(number(), 0o755, system));
    let hugepage = FixedDir::new().with(
        "enabled",
        text(number(), "always madvise [never]\n".to_owned()),
    );
    let mm = FixedDir::new().with("transparent_hugepage", space.dir(number(), 0o755, hugepage));
    let kernel = FixedDir::new().with("mm", space.dir(number(), 0o755, mm));
    let empty = |ino| space.dir(ino, 0o755, FixedDir::new());
    let root = FixedDir::new()
        .with("block", empty(number()))
        .with("bus", empty(number()))
        .with("class", empty(number()))
        .with("devices", space.dir(number(), 0o755, devices))
        .with("fs", empty(number()))
        .with("kernel", space.dir(number(), 0o755, kernel));
    VirtualFs::new("sysfs", SYSFS_MAGIC, space.dir(1, 0o555, root))
}
