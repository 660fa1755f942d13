// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a newcomer meets in the first half hour: one line that says what, one that
//! says what to do.

use std::fs;

use anyhow::{Result, ensure};
use elfuse_tests::image;
use elfuse_tests::workspace::{simulator, text_of};

use crate::common::Owner;

#[test]
fn mistakes_of_the_first_half_hour_say_what_and_what_to_do() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let bundle = fs::read(owner.user.path("box"))?;
    fs::write(owner.user.path("notes"), "no bundle\n")?;
    fs::write(owner.user.path("cut"), &bundle[..bundle.len() / 2])?;
    let image = format!("oci:{}:latest", image::busybox()?.display());
    let foreign = ["-q", "-o", "new", "--platform", "linux/amd64", &image];
    let cases: [(&str, &[&str], &str); 6] = [
        (
            "not a bundle",
            &["run", "notes"],
            "open notes: not a bundle",
        ),
        (
            "cut short",
            &["run", "cut", "true"],
            "open cut: not a bundle",
        ),
        ("wrong platform", &foreign, "not for linux/amd64"),
        (
            "file exists",
            &["-q", "-o", "notes", &image],
            "notes: it exists",
        ),
        (
            "no such option",
            &["run", "box", "--frob", "true"],
            "--frob",
        ),
        ("no such run", &["stop", "web"], "find run web"),
    ];
    for (what, args, says) in cases {
        let mut command = owner.user.command(args)?;
        let output = command.env("ELFUSE_SIM", simulator()?).output()?;
        let text = text_of(&output);
        ensure!(!output.status.success(), "{what}: it works");
        let lines: Vec<_> = text.lines().collect();
        let is_plain = matches!(lines[..], [error, hint]
            if error.contains(says) && hint.starts_with("hint: "));
        ensure!(is_plain, "{what}: {text}");
    }
    ensure!(fs::read(owner.user.path("notes"))? == b"no bundle\n");
    ensure!(!owner.user.path("new").exists());
    Ok(())
}
