// SPDX-License-Identifier: MIT OR Apache-2.0
//! Container images as real ones are: packages unpacked by the distribution's
//! own tools, layers written by GNU tar, gzip and zstd. Made once and kept.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use elfuse_payload::Digest;

use crate::debian;
use crate::layout::{self, LayerBlob};
use crate::workspace::{made_once, run};

/// What a layer is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `gzip -6`.
    Gzip,
    /// `zstd -3`.
    Zstd,
}

/// One time for all files that the test itself makes.
const MTIME: &str = "@1700000000.123456789";

/// A layout of one uncompressed layer with a static busybox and its links.
///
/// # Errors
/// The packages cannot be fetched, or a tool fails.
pub fn busybox() -> Result<PathBuf> {
    made_once("busybox", |layout| {
        let root = tempfile::tempdir()?;
        debian::unpack(&debian::fetch("busybox", &["busybox-static"])?, root.path())?;
        for applet in ["sh", "ls", "cat", "true", "env", "echo", "sleep"] {
            symlink("busybox", root.path().join("bin").join(applet))?;
        }
        finish(root.path())?;
        layout::write(layout, &[layer(root.path(), Compression::None)?])?;
        Ok(())
    })
}

/// An image in two layouts: the same tars, compressed or not.
#[derive(Debug)]
pub struct Twins {
    /// One layer each of gzip, zstd and plain tar.
    pub mixed: PathBuf,
    /// Plain tars, for tools that do not know zstd.
    pub plain: PathBuf,
}

/// A system of about 150 MB in three layers: packages; changes, whiteouts and
/// odd entries; replacements of those.
///
/// # Errors
/// The packages cannot be fetched, or a tool fails.
pub fn debian_system() -> Result<Twins> {
    let made = made_once("debian", |layouts| {
        let packages = debian::fetch("debian", &SYSTEM)?;
        let scratch = tempfile::tempdir()?;
        let base = scratch.path().join("base");
        fs::create_dir(&base)?;
        debian::unpack(&packages, &base)?;
        let changes = scratch.path().join("changes");
        first_changes(&base, &changes)?;
        let more = scratch.path().join("more");
        second_changes(&more)?;
        let layers = [&base, &changes, &more];
        let compressions = [Compression::Gzip, Compression::Zstd, Compression::None];
        let (mut mixed, mut plain) = (Vec::new(), Vec::new());
        for (root, compression) in layers.into_iter().zip(compressions) {
            mixed.push(layer(root, compression)?);
            plain.push(layer(root, Compression::None)?);
        }
        layout::write(&layouts.join("mixed"), &mixed)?;
        layout::write(&layouts.join("plain"), &plain)?;
        Ok(())
    })?;
    Ok(Twins {
        mixed: made.join("mixed"),
        plain: made.join("plain"),
    })
}

/// About 150 MB when unpacked, with a shell, an interpreter and set-uid programs.
const SYSTEM: [&str; 14] = [
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "findutils",
    "git",
    "gzip",
    "openssl",
    "passwd",
    "perl",
    "python3",
    "sudo",
    "tzdata",
    "util-linux",
];

/// The second layer: removes files and directories of the first, adds hard
/// links, attributes, modes, owners and names that tools stumble over.
fn first_changes(base: &Path, root: &Path) -> Result<()> {
    for dir in [
        "bin",
        "etc",
        "usr/share/odd",
        "usr/share/doc",
        "var/lib/odd",
        "usr/lib",
    ] {
        fs::create_dir_all(root.join(dir))?;
    }
    ensure!(
        base.join("usr/share/doc/bash").is_dir(),
        "the base has no documentation to hide"
    );
    ensure!(
        base.join("usr/bin/sudo").is_file(),
        "the base has no sudo to hide"
    );
    // Hidden: one directory, one file, all of a directory's older contents.
    touch(&root.join("usr/share/doc/.wh.bash"), b"")?;
    fs::create_dir_all(root.join("usr/bin"))?;
    touch(&root.join("usr/bin/.wh.sudo"), b"")?;
    fs::create_dir_all(root.join("usr/share/perl5"))?;
    touch(&root.join("usr/share/perl5/.wh..wh..opq"), b"")?;
    touch(&root.join("usr/share/perl5/only"), b"the only file here\n")?;

    let odd = root.join("usr/share/odd");
    touch(&odd.join("first name"), b"one file, three names\n")?;
    fs::hard_link(odd.join("first name"), odd.join("second name"))?;
    fs::hard_link(odd.join("first name"), root.join("etc/third name"))?;
    for name in odd_names() {
        touch(&odd.join(std::ffi::OsStr::from_bytes(&name)), &name)?;
    }
    symlink("../../../etc/passwd", odd.join("link up"))?;
    symlink("/no/such/place", odd.join("dangling"))?;
    for (name, mode) in [
        ("suid", 0o4755),
        ("sgid", 0o2755),
        ("none", 0),
        ("all", 0o7777),
    ] {
        let file = odd.join(name);
        touch(&file, name.as_bytes())?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    fs::create_dir(odd.join("sticky"))?;
    fs::set_permissions(odd.join("sticky"), fs::Permissions::from_mode(0o1777))?;
    touch(&odd.join("owned"), b"by large numbers")?;
    std::os::unix::fs::lchown(odd.join("owned"), Some(4_000_000_000), Some(3_000_000_001))?;
    for (kind, name) in [("p", "fifo"), ("c", "null"), ("b", "disk")] {
        let mut mknod = Command::new("mknod");
        mknod.arg(odd.join(name)).arg(kind);
        run(if kind == "p" {
            &mut mknod
        } else {
            mknod.args(["1", "3"])
        })?;
    }
    let attributes = odd.join("attributes");
    touch(&attributes, b"more than meets the eye")?;
    run(Command::new("setfattr")
        .args(["-n", "user.note", "-v", "0x00ff0a"])
        .arg(&attributes))?;
    touch(&odd.join("capable"), b"#!/bin/sh\n")?;
    run(Command::new("setcap")
        .arg("cap_net_raw+ep")
        .arg(odd.join("capable")))?;
    let mut sparse = fs::File::create(odd.join("sparse"))?;
    sparse.set_len(8 << 20)?;
    sparse.write_all(b"begins, then nothing")?;
    drop(sparse);
    finish(root)
}

fn odd_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        &b"new\nline"[..],
        b"back\\slash",
        b"invalid \xff\xfe utf-8",
        b"Case",
        b"case",
        b"composed \xc3\xa9",
        b"composed e\xcc\x81",
        b"-n",
        b"trailing space ",
        b"wh.not-a-whiteout",
        b"..dots",
    ]
    .map(<[u8]>::to_vec)
    .into();
    names.push(vec![b'l'; 255]);
    names
}

/// The third layer: what the second made becomes something else.
fn second_changes(root: &Path) -> Result<()> {
    let odd = root.join("usr/share/odd");
    fs::create_dir_all(&odd)?;
    // A file becomes a directory, a directory a link, a link a file.
    fs::create_dir(odd.join("suid"))?;
    touch(&odd.join("suid/inside"), b"a directory now")?;
    symlink("suid", odd.join("sticky"))?;
    touch(&odd.join("dangling"), b"a file now")?;
    // One name of a linked file is replaced, the others stay.
    touch(&odd.join("second name"), b"not the first any more\n")?;
    // A hidden file comes back, another one goes.
    fs::create_dir_all(root.join("usr/bin"))?;
    touch(&root.join("usr/bin/sudo"), b"#!/bin/sh\nexit 1\n")?;
    touch(&odd.join(".wh.fifo"), b"")?;
    finish(root)
}

fn touch(path: &Path, contents: &[u8]) -> Result<()> {
    fs::write(path, contents).with_context(|| format!("write {}", path.display()))
}

/// Gives everything the same time, links themselves included.
fn finish(root: &Path) -> Result<()> {
    let mut find = Command::new("find");
    find.arg(root).args([
        "-newermt",
        "2024-01-01",
        "-exec",
        "touch",
        "-h",
        "-d",
        MTIME,
        "{}",
        "+",
    ]);
    run(&mut find).map(drop)
}

/// Packs the tree at `root` into one layer.
///
/// # Errors
/// tar or the compressor fails.
pub fn layer(root: &Path, compression: Compression) -> Result<LayerBlob> {
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--sort=name",
        "--numeric-owner",
        "--format=pax",
        "--sparse",
    ]);
    tar.args([
        "--xattrs",
        "--xattrs-include=*",
        "--pax-option=delete=atime,delete=ctime",
    ]);
    let tar = run(tar.arg("--directory").arg(root).arg("."))?;
    let diff_id = Digest::of(&tar);
    let (suffix, program) = match compression {
        Compression::None => return Ok(LayerBlob::tar(tar)),
        Compression::Gzip => ("application/vnd.oci.image.layer.v1.tar+gzip", "gzip -6 -n"),
        Compression::Zstd => ("application/vnd.oci.image.layer.v1.tar+zstd", "zstd -3 -q"),
    };
    let bytes = filter(program, tar)?;
    Ok(LayerBlob {
        media_type: suffix,
        bytes,
        diff_id,
    })
}

/// Passes `input` through a program that reads standard input.
///
/// # Errors
/// The program fails.
pub fn filter(program: &str, input: Vec<u8>) -> Result<Vec<u8>> {
    let mut words = program.split(' ');
    let mut command = Command::new(words.next().context("name a program")?);
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let mut stdin = child.stdin.take().context("write to a program")?;
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("{program}: the writer panicked"))??;
    Ok(output.stdout)
}
