// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev`: the usual nodes in a tmpfs, and the drivers behind them.

mod memory;

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::stat::{S_ISVTX, dev_minor, make_dev};

pub use memory::Random;

use crate::file::File;
use crate::fs::tmpfs::TmpFs;
use crate::tty::console::Console;
use crate::tty::pty::{PTS_MAJOR, PtyTable};
use crate::vfs::{DeviceTable, FileSystem, Inode, Kind, NewKind, NewNode};

/// Group `tty` of Debian and Alpine.
const TTY_GROUP: u32 = 5;

fn add(
    dir: &Arc<dyn Inode>,
    name: &str,
    kind: NewKind,
    perm: u32,
    gid: u32,
) -> Result<Arc<dyn Inode>, Errno> {
    let node = NewNode {
        kind,
        perm,
        uid: 0,
        gid,
    };
    dir.as_dir()
        .ok_or(Errno::ENOTDIR)?
        .create(name.as_bytes(), &node)
}

/// Fills an empty tmpfs with what programs expect in `/dev`. The mount points
/// `pts` and `shm` are empty directories.
///
/// # Errors
/// `ENOSPC`.
pub fn populate(fs: &Arc<TmpFs>, has_console: bool) -> Result<(), Errno> {
    let root = fs.root();
    let nodes = [
        ("null", (1, 3), 0o666, 0),
        ("zero", (1, 5), 0o666, 0),
        ("full", (1, 7), 0o666, 0),
        ("random", (1, 8), 0o666, 0),
        ("urandom", (1, 9), 0o666, 0),
        ("tty", (5, 0), 0o666, TTY_GROUP),
    ];
    for (name, (major, minor), perm, gid) in nodes {
        add(
            &root,
            name,
            NewKind::Char(make_dev(major, minor)),
            perm,
            gid,
        )?;
    }
    if has_console {
        add(
            &root,
            "console",
            NewKind::Char(make_dev(5, 1)),
            0o620,
            TTY_GROUP,
        )?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
        ("core", "/proc/kcore"),
    ];
    for (name, target) in links {
        add(
            &root,
            name,
            NewKind::Symlink(target.as_bytes().to_vec()),
            0o777,
            0,
        )?;
    }
    add(&root, "pts", NewKind::Directory, 0o755, 0)?;
    add(&root, "shm", NewKind::Directory, 0o777 | S_ISVTX, 0)?;
    add(&root, "mqueue", NewKind::Directory, 0o777 | S_ISVTX, 0)?;
    Ok(())
}

/// Registers the drivers: memory devices, terminals, ptys.
pub fn register(
    devices: &DeviceTable,
    random: Random,
    ptys: &Arc<PtyTable>,
    console: Option<Arc<Console>>,
) {
    devices.register(Kind::Char, 1, move |_, _, _, dev| {
        memory::open(dev_minor(dev), &random)
    });
    let table = ptys.clone();
    let on_console = console.clone();
    devices.register(
        Kind::Char,
        5,
        move |caller, _, flags, dev| match dev_minor(dev) {
            0 => {
                let job = caller.job().ok_or(Errno::ENXIO)?;
                let tty = job.controlling().ok_or(Errno::ENXIO)?;
                open_tty(&table, on_console.as_ref(), caller, tty.dev(), flags)
            }
            1 => {
                let console = on_console.as_ref().ok_or(Errno::ENXIO)?;
                Ok(console.open())
            }
            2 => table.open_master(),
            _ => Err(Errno::ENXIO),
        },
    );
    let table = ptys.clone();
    devices.register(Kind::Char, PTS_MAJOR, move |caller, _, flags, dev| {
        open_tty(&table, console.as_ref(), caller, dev, flags)
    });
}

fn open_tty(
    table: &PtyTable,
    console: Option<&Arc<Console>>,
    caller: &crate::file::Caller<'_>,
    dev: u64,
    flags: linux_abi::fcntl::OpenFlags,
) -> Result<Arc<dyn File>, Errno> {
    if let Some(console) = console
        && console.tty().dev() == dev
    {
        return Ok(console.open());
    }
    table
        .get(dev_minor(dev))
        .ok_or(Errno::EIO)?
        .open_slave(caller, flags)
}
