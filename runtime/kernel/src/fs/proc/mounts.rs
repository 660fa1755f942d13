// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mounts` and `mountinfo` of a process (`fs/proc_namespace.c`).

use linux_abi::Errno;
use linux_abi::stat::{dev_major, dev_minor};

use super::process::Subject;
use crate::file::{Caller, FsContext};
use crate::vfs::{Mount, MountFlags};

/// Space, tab, newline and backslash as octal, as `mangle_path` does.
fn mangle(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => {
                out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            _ => out.push(byte),
        }
    }
    out
}

fn options(mount: &Mount) -> String {
    let flags = mount.flags();
    let mut text = String::from(if flags.contains(MountFlags::READ_ONLY) {
        "ro"
    } else {
        "rw"
    });
    let names = [
        (MountFlags::NO_SUID, ",nosuid"),
        (MountFlags::NO_DEV, ",nodev"),
        (MountFlags::NO_EXEC, ",noexec"),
        (MountFlags::NO_ATIME, ",noatime"),
        (MountFlags::REL_ATIME, ",relatime"),
    ];
    for (flag, name) in names {
        if flags.contains(flag) {
            text.push_str(name);
        }
    }
    text
}

fn super_options(mount: &Mount) -> String {
    let own = mount.fs().options();
    if own.is_empty() {
        "rw".to_owned()
    } else {
        format!("rw,{own}")
    }
}

/// Every mount below the process's root, with its path there.
fn visible(fs: &FsContext) -> Vec<(std::sync::Arc<Mount>, Vec<u8>)> {
    let root = fs.root();
    let mounts = fs.namespace().mounts().into_iter();
    let placed = mounts.map(|mount| {
        let (path, is_reachable) = mount.root().raw_path(&root);
        (mount, path, is_reachable)
    });
    placed
        .filter(|(.., is_reachable)| *is_reachable)
        .map(|(m, path, _)| (m, path))
        .collect()
}

/// `/proc/PID/mounts`.
pub(super) fn mounts(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let fs = subject.task(caller)?.fs()?;
    let mut out = Vec::new();
    for (mount, path) in visible(&fs) {
        out.extend(mangle(mount.source().as_bytes()));
        out.push(b' ');
        out.extend(mangle(&path));
        let own = mount.fs().options();
        let comma = if own.is_empty() { "" } else { "," };
        let rest = format!(
            " {} {}{comma}{own} 0 0\n",
            mount.fs().name(),
            options(&mount)
        );
        out.extend_from_slice(rest.as_bytes());
    }
    Ok(out)
}

/// `/proc/PID/mountinfo`.
pub(super) fn mountinfo(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let fs = subject.task(caller)?.fs()?;
    let mut out = Vec::new();
    for (mount, path) in visible(&fs) {
        let parent = mount.place().map_or(mount.id(), |place| place.mount.id());
        let dev = mount.fs().dev();
        let head = format!(
            "{} {parent} {}:{} ",
            mount.id(),
            dev_major(dev),
            dev_minor(dev)
        );
        out.extend_from_slice(head.as_bytes());
        out.extend(mangle(&mount.root_path()));
        out.push(b' ');
        out.extend(mangle(&path));
        let kind = mount.fs().name();
        out.extend_from_slice(format!(" {} - {kind} ", options(&mount)).as_bytes());
        out.extend(mangle(mount.source().as_bytes()));
        out.extend_from_slice(format!(" {}\n", super_options(&mount)).as_bytes());
    }
    Ok(out)
}
