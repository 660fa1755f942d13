// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scripts of `examples/`, run as their readers run them.

use std::process::Command;

use anyhow::Result;
use elfuse_tests::bundler::User;
use elfuse_tests::image;
use elfuse_tests::workspace::{root, run, simulator, surround_like};

/// What a script prints, with the bundler on the `PATH`.
fn example(name: &str) -> Result<String> {
    let user = User::new()?;
    let bundler = user.command(["--version"])?;
    let programs = user.path("programs");
    std::fs::create_dir(&programs)?;
    let link = programs.join("elfuse-bundle");
    std::os::unix::fs::symlink(bundler.get_program(), link)?;
    let mut script = Command::new("timeout");
    script.arg("120").arg(root().join("examples").join(name));
    script.arg(format!("oci:{}:latest", image::busybox()?.display()));
    surround_like(&mut script, &bundler);
    script.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    Ok(String::from_utf8(run(
        script.env("ELFUSE_SIM", simulator()?)
    )?)?)
}

#[test]
fn the_shell_greets_and_keeps_its_note() -> Result<()> {
    let printed = example("shell.sh")?;
    let lines: Vec<_> = printed.lines().skip(1).collect();
    assert_eq!(lines, ["hello, Mac, from Linux on aarch64", "kept"]);
    Ok(())
}

#[test]
fn the_tool_reads_a_file_of_the_current_directory() -> Result<()> {
    assert_eq!(example("tool.sh")?, "a longer line\n");
    Ok(())
}
