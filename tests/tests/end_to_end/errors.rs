// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a newcomer meets in the first half hour: one line that says what, one that
//! says what to do.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::image;
use elfuse_tests::workspace::{simulator, surround_like, text_of};

use crate::common::Owner;

#[test]
fn mistakes_of_the_first_half_hour_say_what_and_what_to_do() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let bundle = fs::read(owner.user.path("box"))?;
    fs::write(owner.user.path("notes"), "no bundle\n")?;
    fs::write(owner.user.path("cut"), &bundle[..bundle.len() / 2])?;
    let image = format!("oci:{}:latest", image::busybox()?.display());
    let absent = image.replace(":latest", ":newest");
    let mut damaged = bundle.clone();
    let last = damaged.len() / 2;
    damaged[last] ^= 1;
    fs::write(owner.user.path("damaged"), &damaged)?;
    let foreign = ["-q", "-o", "new", "--platform", "linux/amd64", &image];
    let away = ["-q", "-o", "new", "nowhere.invalid/tool:1"];
    let cases: [(&str, &[&str], &str); 10] = [
        ("damaged", &["-q", "verify", "damaged"], "damaged"),
        ("unknown tag", &["-q", "-o", "new", &absent], "not there"),
        ("no network", &away, "nowhere.invalid"),
        (
            "not pulled",
            &["-q", "-o", "new", "--offline", "nowhere.invalid/tool:1"],
            "offline",
        ),
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

/// The directory of the bundle has a megabyte.
#[test]
fn a_full_disk_leaves_nothing_and_says_where_room_is_needed() -> Result<()> {
    let user = User::new()?;
    let full = user.path("full");
    fs::create_dir(&full)?;
    let image = format!("oci:{}:latest", image::busybox()?.display());
    let bundler = user.command(["-q", "-o", "full/box", &image])?;
    let script = r#""$@"; status=$?; ls -A full; exit $status"#;
    let mut inside = Command::new("bwrap");
    inside.args(["--dev-bind", "/", "/", "--size", "1048576", "--tmpfs"]);
    inside.arg(&full).args(["sh", "-c", script, "sh"]);
    inside.arg(bundler.get_program()).args(bundler.get_args());
    surround_like(&mut inside, &bundler);
    let output = inside.env("PATH", "/usr/bin:/bin").output()?;
    let text = text_of(&output);
    ensure!(output.status.code() == Some(3), "{text}");
    let lines: Vec<_> = text.lines().collect();
    let is_plain = matches!(lines[..], [error, hint]
        if error.contains("full/box") && error.contains("No space") && hint.contains("room"));
    ensure!(is_plain, "{text}");
    Ok(())
}
