// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs in the background: `--detach`, `--name`, and `elfuse-bundle ps|stop|logs|exec`.

use std::io::Write;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use elfuse_tests::workspace::text_of;
use serde_json::Value;

use crate::common::Owner;

/// A program that says when it is ready and how it was asked to end.
const LOOP: &str = "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.1; done";

/// `elfuse-bundle ARGS` of the owner, whatever it ends with.
pub(crate) fn tool(owner: &Owner, args: &[&str]) -> Result<Output> {
    let mut command = owner.user.command(args)?;
    Ok(command.stdin(Stdio::null()).output()?)
}

pub(crate) fn says(owner: &Owner, args: &[&str]) -> Result<String> {
    let output = tool(owner, args)?;
    ensure!(output.status.success(), "{args:?}: {}", text_of(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn runs(owner: &Owner) -> Result<Vec<Value>> {
    let listed = says(owner, &["ps", "--all", "--json"])?;
    Ok(serde_json::from_str(&listed)?)
}

fn wait_for_log(owner: &Owner, name: &str, text: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while !says(owner, &["logs", name])?.contains(text) {
        ensure!(Instant::now() < end, "{name} does not say {text:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Ends what a test has left when it fails.
pub(crate) struct Stopped<'a>(pub(crate) &'a Owner, pub(crate) &'a str);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let _ = tool(self.0, &["stop", "--time", "0", self.1]);
    }
}

#[test]
fn a_detached_run_is_listed_read_and_stopped() -> Result<()> {
    let owner = Owner::of_busybox()?;
    // The first has a name made from the file's.
    ensure!(owner.prints(&["-d", "sh", "-c", LOOP])? == "box-1\n");
    let _guard = Stopped(&owner, "box-1");
    wait_for_log(&owner, "box-1", "ready\n")?;
    let listed = runs(&owner)?;
    ensure!(
        listed.len() == 1 && listed[0]["running"] == true,
        "{listed:?}"
    );
    let text = owner.ends_with(125, &["--name", "box-1", "true"])?;
    ensure!(text.contains("goes on") && text.contains("hint:"), "{text}");
    ensure!(says(&owner, &["stop", "box-1"])? == "box-1\n");
    ensure!(says(&owner, &["logs", "box-1"])? == "ready\nasked\n");
    let listed = runs(&owner)?;
    ensure!(
        listed[0]["running"] == false && listed[0]["status"] == 9,
        "{listed:?}"
    );
    let refused = tool(&owner, &["stop", "box-1"])?;
    ensure!(refused.status.code() == Some(3) && text_of(&refused).contains("it has ended"));
    says(&owner, &["ps", "--prune"])?;
    ensure!(runs(&owner)?.is_empty());
    Ok(())
}

#[test]
fn a_program_that_does_not_stop_is_killed() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    owner.prints(&["--detach", "--name", "deaf", "sh", "-c", script])?;
    let _guard = Stopped(&owner, "deaf");
    wait_for_log(&owner, "deaf", "ready")?;
    let begin = Instant::now();
    says(&owner, &["stop", "--time", "1", "deaf"])?;
    ensure!(begin.elapsed() >= Duration::from_secs(1));
    let listed = runs(&owner)?;
    ensure!(
        listed[0]["running"] == false && listed[0]["status"].is_null(),
        "{listed:?}"
    );
    Ok(())
}

#[test]
fn what_does_not_start_is_told_to_who_started_it() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let text = owner.ends_with(127, &["-d", "no-such-program"])?;
    ensure!(text.contains("find program no-such-program"), "{text}");
    owner.ends_with(125, &["-d", "--name", "../up", "true"])?;
    ensure!(runs(&owner)?.is_empty());
    ensure!(
        owner.prints(&["-d", "true"])? == "box-1\n",
        "its name was not given back"
    );
    Ok(())
}

#[test]
fn exec_runs_beside_the_program() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.prints(&[
        "-d", "--name", "web", "--tmpfs", "/tmp", "-e", "A=1", "-u", "5", "sh", "-c", LOOP,
    ])?;
    let _guard = Stopped(&owner, "web");
    wait_for_log(&owner, "web", "ready")?;
    let script = "echo $A $B; pwd; busybox id -u; cat /proc/1/comm; echo made > /tmp/made";
    let text = says(&owner, &["exec", "-e", "B=2", "web", "sh", "-c", script])?;
    ensure!(text == "1 2\n/\n5\nsh\n", "{text}");
    let options = ["exec", "-u", "0", "-w", "/tmp", "web"];
    let text = says(
        &owner,
        &[&options[..], &["sh", "-c", "busybox id -u; cat made"]].concat(),
    )?;
    ensure!(text == "0\nmade\n", "{text}");
    for (status, command) in [(4, &["sh", "-c", "exit 4"][..]), (127, &["nothing"])] {
        let output = tool(&owner, &[&["exec", "web"], command].concat())?;
        ensure!(output.status.code() == Some(status), "{}", text_of(&output));
    }
    // The program itself has seen nothing of it.
    ensure!(says(&owner, &["logs", "web"])? == "ready\n");
    Ok(())
}

#[test]
fn exec_has_the_callers_streams() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.prints(&["-d", "--name", "web", "sh", "-c", LOOP])?;
    let _guard = Stopped(&owner, "web");
    let mut command = owner
        .user
        .command(["exec", "web", "sh", "-c", "cat; echo err >&2"])?;
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = streams.stderr(Stdio::piped()).spawn()?;
    child
        .stdin
        .take()
        .context("its input")?
        .write_all(b"through\n")?;
    let output = child.wait_with_output()?;
    ensure!(
        output.stdout == b"through\n" && output.stderr == b"err\n",
        "{}",
        text_of(&output)
    );
    // The end of the run's own program ends the others.
    let mut sleeper = owner.user.command(["exec", "web", "sleep", "1000"])?;
    let sleeper = sleeper.stdin(Stdio::null()).spawn()?;
    std::thread::sleep(Duration::from_millis(200));
    says(&owner, &["stop", "web"])?;
    ensure!(sleeper.wait_with_output()?.status.code() == Some(128 + 9));
    Ok(())
}
