// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of a guest before its first program starts: the image below, a
//! writable layer above it, and what Linux has mounted.

use std::sync::Arc;

use elfuse_machine::Machine;
use elfuse_machine::host::{HostDir, HostRandom};
use linux_abi::time::NSEC_PER_SEC;

use super::{BootError, Fill};
use crate::budget;
use crate::fs::dev::Random;
use crate::fs::host::{HostFs, HostMode};
use crate::fs::overlay::OverlayFs;
use crate::fs::tmpfs::{TmpFs, TmpLimits};
use crate::fs::world::{DEV_PROC, DEV_SYS, FileWorld, WorldParts};
use crate::mm::FrameSource;
use crate::task::KernelGroups;
use crate::time::Clock;
use crate::tty::console::Console;
use crate::vfs::{self, FileSystem, Inode};

/// Device numbers of the root's file systems.
const DEV_LOWER: u64 = 40;
const DEV_UPPER: u64 = 41;
const DEV_ROOT: u64 = 42;

/// The files, and the root of the layer that takes the writes.
pub(super) struct Mounted {
    pub(super) world: Arc<FileWorld>,
    pub(super) upper: Arc<dyn Inode>,
}

pub(super) fn mount(
    machine: &Arc<Machine>,
    root: &Arc<dyn HostDir>,
    fill: Option<Fill>,
    clock: &Clock,
    random: &Arc<dyn HostRandom>,
    groups: &Arc<KernelGroups>,
    console: Option<Arc<Console>>,
) -> Result<Mounted, BootError> {
    let frames = Some(FrameSource::new(Arc::clone(machine)));
    let for_files = clock.clone();
    let file_clock = vfs::Clock::new(move || {
        let ns = for_files.realtime_ns();
        vfs::Timespec {
            sec: (ns / NSEC_PER_SEC).cast_signed(),
            nsec: u32::try_from(ns % NSEC_PER_SEC).unwrap_or(0),
        }
    });
    let memory = u64::try_from(machine.frames_total()).unwrap_or(0) * crate::mm::PAGE;
    budget::set(memory);
    let limits = TmpLimits::of(memory / 2);
    let lower = HostFs::new(
        DEV_LOWER,
        Arc::clone(root),
        HostMode::Immutable,
        file_clock.clone(),
        frames.clone(),
    )
    .map_err(BootError::Root)?;
    let evicts = Arc::downgrade(&lower);
    machine.set_reclaim(Box::new(move || {
        if let Some(files) = evicts.upgrade() {
            files.evict_pages();
        }
    }));
    let lower: Arc<dyn FileSystem> = lower;
    let upper = TmpFs::new(DEV_UPPER, file_clock.clone(), limits, frames.clone(), 0o755);
    let upper = upper.map_err(BootError::Root)?;
    let upper_root = upper.root();
    if let Some(fill) = fill {
        fill(&upper_root).map_err(BootError::Layer)?;
    }
    let overlay = OverlayFs::new(DEV_ROOT, upper, &lower).map_err(BootError::Root)?;
    let generator = Arc::clone(random);
    let world = FileWorld::boot(WorldParts {
        root: overlay,
        clock: file_clock.clone(),
        random: Random::new(move |buf| generator.fill(buf)),
        frames,
        groups: Arc::<KernelGroups>::clone(groups),
        console,
        memory_limit: memory / 2,
        proc: Some(crate::fs::proc::new(DEV_PROC, &file_clock)),
        sys: Some(crate::fs::sys::new(DEV_SYS, &file_clock, 1)),
    });
    Ok(Mounted {
        world: world.map_err(BootError::Root)?,
        upper: upper_root,
    })
}
