// SPDX-License-Identifier: MIT OR Apache-2.0
//! Root directories for guest programs: Debian's arm64 packages unpacked over a
//! merged `/usr`, with the few files that their installation scripts would have
//! made. Made once and kept; a root's name and its list of packages belong together.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian;
use crate::workspace::{made_once, run};

/// Directories that a running system has and no package brings.
const DIRECTORIES: [(&str, u32); 10] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("home/user", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
];

/// Directories of the root that are links into `/usr`.
const MERGED: [&str; 3] = ["bin", "lib", "sbin"];

/// What `update-alternatives` would have made: the first that is there.
const ALTERNATIVES: [(&str, &[&str]); 4] = [
    ("usr/bin/awk", &["gawk", "mawk"]),
    ("usr/bin/pager", &["less", "more"]),
    ("usr/bin/python", &["python3"]),
    ("usr/bin/sh", &["dash", "bash", "busybox"]),
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
    user:x:1000:1000:User:/home/user:/bin/sh\n";
const GROUP: &str =
    "root:x:0:\ndaemon:x:1:\ntty:x:5:\nusers:x:100:user\nnogroup:x:65534:\nuser:x:1000:\n";

/// A root with `packages` and what they depend on.
///
/// # Errors
/// The packages cannot be fetched or unpacked.
pub fn root(name: &str, packages: &[&str]) -> Result<PathBuf> {
    made_once(&format!("root-{name}"), |dir| {
        let fetched = debian::fetch(name, packages)?;
        for (path, mode) in DIRECTORIES {
            make_directory(&dir.join(path), mode)?;
        }
        for link in MERGED {
            fs::create_dir(dir.join("usr").join(link))?;
            symlink(format!("usr/{link}"), dir.join(link))?;
        }
        for package in &fetched {
            unpack(package, dir)?;
        }
        finish(dir)
    })
}

fn make_directory(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("make {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Unpacks through the links of a merged `/usr`, which `dpkg-deb --extract` would
/// replace by directories.
fn unpack(package: &Path, root: &Path) -> Result<()> {
    let archive = tempfile::NamedTempFile::new()?;
    let mut list = Command::new("dpkg-deb");
    list.arg("--fsys-tarfile").arg(package);
    list.stdout(archive.reopen()?);
    run(&mut list)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--keep-directory-symlink", "--file"]);
    tar.arg(archive.path()).arg("--directory").arg(root);
    run(&mut tar)?;
    Ok(())
}

fn finish(root: &Path) -> Result<()> {
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    for (link, targets) in ALTERNATIVES {
        let link = root.join(link);
        let is_there = |target: &&&str| link.with_file_name(target).exists();
        if let Some(target) = targets.iter().find(is_there)
            && !link.exists()
        {
            symlink(target, link)?;
        }
    }
    Ok(())
}
