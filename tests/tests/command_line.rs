// SPDX-License-Identifier: MIT OR Apache-2.0
//! What users meet on the command line around the images: names and modes of
//! files, progress on a terminal, completions of a shell, limits and their override.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::layout::{self, LayerBlob};
use elfuse_tests::tarball::{Member, Tarball};
use elfuse_tests::workspace::{run, surround_like, text_of};
use serde_json::Value;

/// Someone with an image of these members, and its name.
fn user_with(members: Vec<Member>) -> Result<(User, String)> {
    let user = User::new()?;
    let layers = [LayerBlob::tar(Tarball::of(members).finish())];
    layout::write(&user.path("tool"), &layers)?;
    Ok((user, "oci:tool".to_owned()))
}

fn some() -> Vec<Member> {
    vec![Member::file("etc/name", "tool\n").owner(3, 4)]
}

/// A command of the user's through a shell, which has done `first`.
fn through_shell(user: &User, first: &str, args: &[&str]) -> Result<Command> {
    let own = user.command(args)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first}; exec \"$@\""), "sh"]);
    shell.arg(own.get_program()).args(args);
    surround_like(&mut shell, &own);
    Ok(shell)
}

#[test]
fn output_is_a_program_named_after_the_image() -> Result<()> {
    let (user, image) = user_with(some())?;
    for mask in ["022", "077"] {
        run(&mut through_shell(
            &user,
            &format!("umask {mask}"),
            &["-q", &image],
        )?)?;
        let mode = fs::metadata(user.path("tool_latest"))?.permissions().mode();
        ensure!(mode & 0o7777 == 0o755, "umask {mask}: {mode:o}");
    }
    ensure!(user.leftovers(&["tool", "tool_latest"])?.is_empty());
    Ok(())
}

#[test]
fn options_that_no_run_takes_are_wrong_usage() -> Result<()> {
    let user = User::new()?;
    // The image does not exist: nobody looks for it.
    for (words, why) in [
        (&["--run-option=--read-onyl"][..], "no such option"),
        (&["--run-option=--read-only=yes"], "takes no value"),
        (
            &["--run-option=-e", "--run-option=A=B", "--run-option=-w"],
            "--workdir: DIR must follow",
        ),
        (
            &["--run-option=--privileged"],
            "--privileged: not supported",
        ),
        (&["--run-option=sh"], "not an option"),
    ] {
        let refusal = user.fails(2, [words, &["oci:missing"]].concat())?;
        let is_told = refusal.contains("error: --run-option ")
            && refusal.contains(why)
            && refusal.contains("hint: ");
        ensure!(is_told, "{words:?}: {refusal}");
    }
    let taken = ["--run-option=-e", "--run-option=A=B", "oci:missing"];
    let refusal = user.fails(3, taken)?;
    ensure!(refusal.contains("missing"), "{refusal}");
    Ok(())
}

#[test]
fn other_files_are_replaced_by_force_alone() -> Result<()> {
    let (user, image) = user_with(some())?;
    fs::write(user.path("notes"), "mine")?;
    let refusal = user.fails(3, ["-o", "notes", &image])?;
    ensure!(
        refusal.contains("hint: ") && refusal.contains("--force"),
        "{refusal}"
    );
    ensure!(fs::read(user.path("notes"))? == b"mine");
    user.run(["-q", "--force", "-o", "notes", &image])?;
    user.run(["-q", "verify", "notes"])?;
    Ok(())
}

#[test]
fn a_terminal_has_bars_that_leave_no_trace() -> Result<()> {
    let (user, image) = user_with(vec![Member::file("big", vec![7; 40_000_000])])?;
    let own = user.command([""; 0])?;
    let program = PathBuf::from(own.get_program());
    let line = format!("stty cols 90; {} {image} -o box", program.display());
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line, "/dev/null"]);
    surround_like(&mut script, &own);
    let screen = String::from_utf8_lossy(&run(script.env("TERM", "xterm"))?).into_owned();
    for (bar, what) in [
        ("squash ", "40.0"),
        ("compress ", " of "),
        ("sign and write ", " of "),
    ] {
        let drawn = screen
            .split('\r')
            .any(|part| part.contains(bar) && part.contains(what));
        ensure!(drawn, "no bar {bar:?}: {screen:?}");
    }
    // What comes after the last erased line is the result alone.
    let last = screen.rsplit("\u{1b}[2K").next().context("no line")?;
    let is_result = last.starts_with("box  ") && last.trim_end().lines().count() == 1;
    ensure!(is_result, "{last:?}");
    Ok(())
}

#[test]
fn shells_take_the_completions() -> Result<()> {
    let (user, _) = user_with(some())?;
    fs::write(user.path("bash"), user.run(["completions", "bash"])?)?;
    let ask = "COMP_WORDS=(elfuse-bundle export --compression); COMP_CWORD=2; \
               $(complete -p elfuse-bundle | sed 's/.*-F \\([^ ]*\\).*/\\1/') \
               elfuse-bundle --compression export; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("source ./bash && {ask}")]);
    surround_like(&mut bash, &user.command([""; 0])?);
    let words = String::from_utf8(run(&mut bash)?)?;
    // clap_complete makes the script, with words of its own for a name with a hyphen.
    ensure!(words == "--compression-format\n", "{words:?}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = user.run(["completions", shell])?;
        ensure!(script.contains("compression-format"), "{shell}");
    }
    Ok(())
}

#[test]
fn extraction_owns_and_escapes_as_told() -> Result<()> {
    let members = vec![
        Member::file("name", "n").owner(3, 4),
        Member::file(b"\xff", "odd"),
    ];
    let (user, image) = user_with(members)?;
    user.run(["-q", "-o", "box", &image])?;
    user.run(["-q", "extract", "box", "all"])?;
    let owner = |path: &str| fs::metadata(user.path(path)).map(|meta| meta.uid());
    let own = fs::metadata(user.path("box"))?.uid();
    ensure!(owner("all/name")? == if own == 0 { 3 } else { own });
    let told = user.run([
        "extract",
        "box",
        "mine",
        "--no-same-owner",
        "--escape-names",
    ])?;
    ensure!(owner("mine/name")? == own, "{told}");
    ensure!(fs::read(user.path("mine/%ff"))? == b"odd");
    Ok(())
}

#[test]
fn verify_tells_programs_what_it_found() -> Result<()> {
    let (user, image) = user_with(some())?;
    user.run(["-q", "-o", "box", &image])?;
    let found: Value = serde_json::from_str(&user.run(["verify", "--json", "box"])?)?;
    ensure!(found["intact"] == true && found["adHoc"] == true, "{found}");
    let mut bytes = fs::read(user.path("box"))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(user.path("box"), bytes)?;
    let output = user.command(["verify", "--json", "box"])?.output()?;
    ensure!(output.status.code() == Some(1), "{}", text_of(&output));
    let found: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        found["intact"] == false && found["error"].is_string(),
        "{found}"
    );
    Ok(())
}

#[test]
fn bombs_are_refused_unless_limits_are_lifted() -> Result<()> {
    let user = User::new()?;
    let zeros = Tarball::of(vec![Member::file("zeros", vec![0; 200 << 20])]);
    fs::write(user.path("bomb.tar"), zeros.finish())?;
    run(Command::new("gzip").arg("-9").arg(user.path("bomb.tar")))?;
    ensure!(fs::metadata(user.path("bomb.tar.gz"))?.len() < 1 << 20);
    let refusal = user.fails(3, ["-o", "box", "tar:bomb.tar.gz"])?;
    ensure!(
        refusal.contains("zeros") && refusal.contains("layer sha256:"),
        "{refusal}"
    );
    ensure!(
        refusal.contains("hint: ") && refusal.contains("--no-limits"),
        "{refusal}"
    );
    ensure!(user.leftovers(&["bomb.tar.gz"])?.is_empty());
    user.run(["-q", "-o", "box", "tar:bomb.tar.gz", "--no-limits"])?;
    Ok(())
}
