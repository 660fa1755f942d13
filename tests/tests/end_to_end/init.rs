// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--init`, and the options that are about a run's surroundings: files of options,
//! secrets, the steps of a start.

use std::fs;

use anyhow::{Result, ensure};
use elfuse_tests::workspace::text_of;

use crate::common::Owner;

#[test]
fn init_is_process_1_and_takes_orphans() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let script = "echo $$; cat /proc/1/comm; \
                  (sh -c 'sleep 0.3; busybox grep PPid /proc/self/status' &); sleep 1; \
                  cat /proc/[0-9]*/status | busybox grep -c 'State:.Z'; exit 5";
    let output = owner.run(&["--init", "sh", "-c", script])?;
    let text = text_of(&output);
    ensure!(text == "2\ninit\nPPid:\t1\n0\n", "{text}");
    ensure!(output.status.code() == Some(5), "{}", output.status);
    // Without it the program is process 1.
    ensure!(owner.prints(&["sh", "-c", "echo $$"])? == "1\n");
    Ok(())
}

#[test]
fn init_ends_as_its_program_does_and_passes_signals_on() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.ends_with(128 + 15, &["--init", "sh", "-c", "kill -TERM $$"])?;
    owner.ends_with(127, &["--init", "no-such-program"])?;
    // Process 1 cannot be killed or stopped, as on Linux; what it may take is passed on.
    let script = "trap 'echo caught; exit 3' USR1; kill -KILL 1; kill -STOP 1; echo alive; \
                  kill -USR1 1; sleep 5";
    let text = owner.ends_with(3, &["--init", "sh", "-c", script])?;
    ensure!(text == "alive\ncaught\n", "{text}");
    // The end of the program ends what it has left behind.
    owner.ends_with(0, &["--init", "sh", "-c", "sleep 1000 & exit 0"])?;
    Ok(())
}

#[test]
fn options_are_read_from_a_file() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let file = owner.user.path("options");
    fs::write(
        &file,
        "# for every run\nenv = GREETING=hello world\nworkdir = /usr\n",
    )?;
    let script = "echo $GREETING; pwd";
    let args = ["--config", "options", "sh", "-c", script];
    ensure!(owner.prints(&args)? == "hello world\n/usr\n");
    // What comes later wins.
    let args = ["--config", "options", "-w", "/bin", "sh", "-c", script];
    ensure!(owner.prints(&args)? == "hello world\n/bin\n");
    fs::write(&file, "env = A=1\nfrobnicate = yes\n")?;
    let text = owner.ends_with(125, &["--config", "options", "true"])?;
    ensure!(
        text.contains("options: line 2:") && text.contains("hint:"),
        "{text}"
    );
    Ok(())
}

#[test]
fn secrets_are_for_the_programs_user_and_nowhere_else() -> Result<()> {
    let owner = Owner::of_busybox()?;
    fs::write(owner.user.path("key"), "open sesame\n")?;
    let list = "busybox stat -c '%a %u %n' /run/secrets/*; cat /run/secrets/door";
    let options = ["--secret", "door=./key", "--secret", "id=second,src=key"];
    let run = |more: &[&str]| owner.prints(&[&options[..], more].concat());
    let text = run(&["-u", "1000", "--read-only", "sh", "-c", list])?;
    let expected = "400 1000 /run/secrets/door\n400 1000 /run/secrets/second\nopen sesame\n";
    ensure!(text == expected, "{text}");
    let text = owner.ends_with(
        1,
        &[
            &options[..],
            &["--persist", "p", "sh", "-c", "echo x > /run/secrets/new"],
        ]
        .concat(),
    )?;
    ensure!(text.contains("Read-only file system"), "{text}");
    let mut grep = std::process::Command::new("grep");
    let found = grep
        .args(["-r", "open sesame"])
        .arg(owner.user.path("home"))
        .output()?;
    ensure!(found.status.code() == Some(1), "{}", text_of(&found));
    let text = owner.ends_with(125, &["--secret", "a=./missing", "true"])?;
    ensure!(text.contains("read secret a from ./missing"), "{text}");
    Ok(())
}

#[test]
fn debug_prints_steps_without_values() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let output = owner.run(&["--debug", "-e", "TOKEN=hidden", "echo", "a b"])?;
    ensure!(output.stdout == b"a b\n", "{}", text_of(&output));
    let steps = String::from_utf8(output.stderr)?;
    ensure!(
        steps.contains("run: echo \"a b\"") && steps.contains("TOKEN"),
        "{steps}"
    );
    ensure!(!steps.contains("hidden"), "{steps}");
    Ok(())
}
