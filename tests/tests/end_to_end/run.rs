// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is run, as whom, with which variables, and how it ends.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::image;
use elfuse_tests::workspace::text_of;

use crate::common::Owner;

#[test]
fn exit_status_is_the_programs_or_dockers() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.ends_with(0, &["true"])?;
    owner.ends_with(7, &["sh", "-c", "exit 7"])?;
    owner.ends_with(128 + 15, &["sh", "-c", "kill -TERM $$"])?;
    let text = owner.ends_with(127, &["no-such-program"])?;
    ensure!(text.contains("find program no-such-program"), "{text}");
    let file = "/usr/share/initramfs-tools/conf-hooks.d/busybox";
    owner.ends_with(126, &[file])?;
    let text = owner.ends_with(125, &["--frobnicate", "true"])?;
    ensure!(
        text.contains("--frobnicate") && text.contains("hint:"),
        "{text}"
    );
    let text = owner.ends_with(125, &["--privileged", "true"])?;
    ensure!(text.contains("--privileged: not supported"), "{text}");
    // The image names no program.
    let text = owner.ends_with::<&str>(125, &[])?;
    ensure!(text.contains("the image names none"), "{text}");
    Ok(())
}

#[test]
fn environment_is_exactly_the_documented_set() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let mut command = owner.command(&["-e", "A=1", "-e", "PASSED", "-e", "GONE", "env"])?;
    command
        .env("PASSED", "x y")
        .env("SECRET", "s")
        .env("TERM", "vt");
    let output = command.output()?;
    let mut lines: Vec<_> = std::str::from_utf8(&output.stdout)?.lines().collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    ensure!(lines == ["A=1", "HOME=/", "PASSED=x y", path], "{lines:?}");
    Ok(())
}

#[test]
fn bash_has_pipes_substitution_and_jobs() -> Result<()> {
    let owner = Owner::of_debian()?;
    let script = "seq 1 1000 | sort -rn | head -1; \
                  x=$(printf 'a b' | tr ' ' '-'); echo $x; \
                  sleep 0.1 & wait $!; echo done $?";
    ensure!(owner.prints(&["bash", "-c", script])? == "1000\na-b\ndone 0\n");
    Ok(())
}

#[test]
fn baked_options_and_entrypoint_are_followed() -> Result<()> {
    let user = User::new()?;
    let layout = format!("oci:{}:latest", image::busybox()?.display());
    user.run([
        "-q",
        "-o",
        "box",
        "--entrypoint",
        r#"["/bin/busybox","echo"]"#,
        "--cmd",
        r#"["from","image"]"#,
        "--run-option=-e",
        "--run-option=BAKED=1",
        &layout,
    ])?;
    let owner = Owner { user };
    ensure!(owner.prints::<&str>(&[])? == "from image\n");
    ensure!(owner.prints(&["given"])? == "given\n");
    let env = owner.prints(&["--entrypoint", "/bin/env"])?;
    ensure!(env.lines().any(|line| line == "BAKED=1"), "{env}");
    Ok(())
}

#[test]
fn a_cli_bundle_works_on_the_users_files() -> Result<()> {
    let user = User::new()?;
    let layout = format!("oci:{}:latest", image::busybox()?.display());
    let entrypoint = r#"["/bin/busybox","cat"]"#;
    user.run([
        "-q",
        "-o",
        "box",
        "--cli",
        "--entrypoint",
        entrypoint,
        &layout,
    ])?;
    std::fs::write(user.path("notes.txt"), "on the host\n")?;
    let absolute = user.path("notes.txt");
    let owner = Owner { user };
    ensure!(owner.prints(&["notes.txt"])? == "on the host\n");
    ensure!(owner.prints(&[absolute.as_os_str()])? == "on the host\n");
    // All arguments are the program's.
    let text = owner.ends_with(1, &["--elfuse-help"])?;
    ensure!(text.contains("unrecognized option"), "{text}");
    Ok(())
}

#[test]
fn signals_reach_the_program() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 1; done";
    let mut command = owner.command(&["sh", "-c", script])?;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut out = std::io::BufReader::new(child.stdout.take().context("its output")?);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line)?;
    ensure!(line == "ready\n", "{line}");
    // `timeout` passes the signal on to what it started.
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line)?;
    ensure!(line == "caught\n", "{line}");
    ensure!(child.wait()?.code() == Some(3));
    Ok(())
}

#[test]
fn a_warm_start_says_nothing_of_its_own() -> Result<()> {
    let owner = Owner::of_busybox()?;
    for _ in 0..2 {
        let output = owner.run(&["true"])?;
        ensure!(output.status.success() && text_of(&output).is_empty());
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
