// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache of unpacked images: two starts at once, damage, removal.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::common::Owner;

#[test]
fn two_first_starts_at_once_unpack_once() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let children: Vec<_> = (0..4)
        .map(|n| {
            let args = [
                "sh".to_owned(),
                "-c".into(),
                format!("echo {n}; cat /etc/hostname"),
            ];
            Ok(owner.command(&args)?.stdout(Stdio::piped()).spawn()?)
        })
        .collect::<Result<_>>()?;
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(text == format!("{n}\nelfuse\n"), "{n}: {text}");
    }
    owner.unpacked()?;
    Ok(())
}

/// Changes a file behind the cache's back and says what it was.
fn damage(path: &Path, how: &dyn Fn(&Path) -> std::io::Result<()>) -> Result<Vec<u8>> {
    let right = fs::read(path)?;
    let modified = fs::metadata(path)?.modified()?;
    how(path)?;
    if let Ok(file) = fs::File::options().write(true).open(path) {
        file.set_modified(modified)?;
    }
    Ok(right)
}

#[test]
fn damaged_files_are_noticed_and_repaired() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.prints(&["true"])?;
    let file = owner.unpacked()?.join("tree/bin/busybox");
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path) -> std::io::Result<()>);
    let ways: [Damage<'_>; 5] = [
        ("one byte changed", &|path| {
            let mut bytes = fs::read(path)?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes)
        }),
        ("cut short", &|path| {
            fs::File::options().write(true).open(path)?.set_len(4096)
        }),
        ("removed", &|path| fs::remove_file(path)),
        ("a link instead", &|path| {
            fs::remove_file(path)?;
            std::os::unix::fs::symlink("/bin/true", path)
        }),
        ("a directory instead", &|path| {
            fs::remove_file(path)?;
            fs::create_dir(path)
        }),
    ];
    for (what, how) in ways {
        // Later than the coarsest clock of the host's files.
        std::thread::sleep(Duration::from_millis(20));
        let right = damage(&file, how)?;
        let text = owner.prints(&["echo", "works"])?;
        ensure!(text == "works\n", "{what}: {text}");
        ensure!(fs::read(&file)? == right, "{what}: not repaired");
    }
    Ok(())
}

#[test]
fn a_cache_without_its_mark_is_made_again() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.prints(&["true"])?;
    let images = owner.unpacked()?;
    fs::remove_file(images.join("complete"))?;
    fs::write(images.join("tree/stray"), "x")?;
    ensure!(owner.prints(&["echo", "works"])? == "works\n");
    ensure!(!images.join("tree/stray").exists());
    fs::remove_dir_all(images.join("tree"))?;
    ensure!(owner.prints(&["echo", "works"])? == "works\n");
    Ok(())
}

#[test]
fn prune_leaves_what_is_in_use() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let script = "echo ready; read line; echo $line; cat /etc/hostname";
    let mut child = owner
        .command(&["sh", "-c", script])?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = std::io::BufReader::new(child.stdout.take().context("its output")?);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line)?;
    let text = owner.prints(&["--elfuse-cache", "prune"])?;
    ensure!(text == "removed 0 images, 0 bytes\n", "{text}");
    std::io::Write::write_all(&mut child.stdin.take().context("its input")?, b"on\n")?;
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest)?;
    ensure!(rest == "on\nelfuse\n" && child.wait()?.success(), "{rest}");
    let text = owner.prints(&["--elfuse-cache", "prune"])?;
    ensure!(text.starts_with("removed 1 images, 19"), "{text}");
    ensure!(owner.unpacked().is_err());
    Ok(())
}
