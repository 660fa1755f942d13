// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle exec -t`: a shell in a guest that runs already, at one's own terminal.
//! The terminals are real ptys of this machine; their windows change and they go away
//! while the guest's program looks.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use elfuse_tests::workspace::{run, text_of};

use crate::common::Owner;
use crate::named::{Stopped, says, tool};
use crate::person::{Person, quoted};

/// A detached run called `web`.
fn serving() -> Result<Owner> {
    let owner = Owner::of_busybox()?;
    let serve = "trap 'exit 9' TERM; while :; do sleep 0.1; done";
    owner.prints(&["-d", "--cpus", "1", "--name", "web", "sh", "-c", serve])?;
    Ok(owner)
}

/// A person with a shell in it. Before, the terminal says its name; afterwards, whether it
/// is as it was, and what the shell ended with.
fn at_shell(owner: &Owner, options: &str) -> Result<(Person, String)> {
    let program = owner.user.command::<&str>([])?;
    let exec = quoted(program.get_program());
    let line = format!(
        "stty rows 30 cols 100; before=$(stty -g); echo at $(tty) now; \
         timeout --foreground --kill-after=5 300 {exec} exec -it -e 'PS1=ready> ' {options} web sh; \
         status=$?; [ \"$before\" = \"$(stty -g)\" ] && echo as before; echo ended with $status"
    );
    let mut person = Person::with(&line, &program)?;
    person.sees("at ")?;
    let name = person.reads_until(" now")?;
    person.sees("ready> ")?;
    Ok((person, name))
}

/// Sends a signal to the `exec` at this terminal.
fn signal(terminal: &str, signal: &str) -> Result<()> {
    let name = terminal.strip_prefix("/dev/").context("a terminal")?;
    let list = run(Command::new("ps").args(["-t", name, "-o", "pid=,args="]))?;
    let list = String::from_utf8(list)?;
    let is_exec = |line: &&str| line.contains(" exec -it") && !line.contains("timeout");
    let line = list.lines().find(is_exec);
    let pid = line.and_then(|line| line.split_whitespace().next());
    let pid = pid.with_context(|| format!("exec among {list}"))?;
    run(Command::new("kill").args([signal, pid])).map(drop)
}

#[test]
fn a_second_shell_has_a_terminal_of_its_own() -> Result<()> {
    let owner = serving()?;
    let _guard = Stopped(&owner, "web");
    let (mut person, name) = at_shell(&owner, "-e A=1")?;
    person.types("busybox tty; busybox stty size; echo $TERM $A\r")?;
    person.sees("/dev/pts/0\r\n30 100\r\nxterm 1\r\n")?;
    // A key that interrupts ends what is in front, not the shell and not the run.
    person.types("sleep 1000\r")?;
    person.sees("sleep 1000")?;
    std::thread::sleep(Duration::from_millis(300));
    person.types("\x03")?;
    person.sees("ready> ")?;
    person.types("echo interrupted=$?\r")?;
    person.sees("interrupted=130")?;
    // The window changes, and the program in front is told.
    let wait = "trap 'busybox stty size; exit' WINCH; echo wait''ing; while :; do sleep 0.1; done";
    person.types(&format!("sh -c \"{wait}\"\r"))?;
    person.sees("\r\nwaiting")?;
    run(Command::new("stty").args(["-F", &name, "rows", "51"]))?;
    person.sees("\r\n51 100")?;
    // More than any buffer holds arrives whole.
    person.types("busybox seq 1 30000 | busybox tail -n 29999; echo all\r")?;
    let shown = person.reads_until("30000\r\nall")?;
    let lines = shown.lines().filter(|line| line.parse::<u32>().is_ok());
    ensure!(lines.count() == 29998);
    person.types("exit 7\r")?;
    person.sees("as before\r\nended with 7")?;
    Ok(())
}

#[test]
fn two_shells_see_each_other_and_end_with_the_run() -> Result<()> {
    let owner = serving()?;
    let _guard = Stopped(&owner, "web");
    let (mut one, _) = at_shell(&owner, "-u 1000")?;
    let (mut two, _) = at_shell(&owner, "")?;
    one.types("echo hello > /dev/pts/1; busybox id -u; echo $?\r")?;
    one.sees("1000")?;
    two.types("echo welcome > /dev/pts/0; busybox stat -c '%u %n' /dev/pts/*\r")?;
    two.sees("1000 /dev/pts/0\r\n0 /dev/pts/1")?;
    one.sees("welcome")?;
    says(&owner, &["stop", "web"])?;
    for person in [&mut one, &mut two] {
        person.sees("as before\r\nended with 137")?;
    }
    Ok(())
}

#[test]
fn a_terminal_that_goes_takes_its_shell_along() -> Result<()> {
    let owner = serving()?;
    let _guard = Stopped(&owner, "web");
    let (mut person, name) = at_shell(&owner, "")?;
    let wait = "trap 'echo hung up > /log; exit' HUP; echo wait''ing; while :; do sleep 0.1; done";
    person.types(&format!("sh -c \"{wait}\"\r"))?;
    person.sees("\r\nwaiting")?;
    signal(&name, "-TERM")?;
    person.sees("as before\r\nended with 143")?;
    let wait = "for n in $(busybox seq 200); do [ -e /log ] && break; sleep 0.1; done; cat /log";
    ensure!(says(&owner, &["exec", "web", "sh", "-c", wait])? == "hung up\n");
    Ok(())
}

#[test]
fn a_terminal_that_is_not_read_holds_nobody_up() -> Result<()> {
    let owner = serving()?;
    let _guard = Stopped(&owner, "web");
    let (mut person, name) = at_shell(&owner, "")?;
    person.types("busybox yes\r")?;
    person.sees("y\r\ny\r\n")?;
    signal(&name, "-STOP")?;
    // Longer than it takes to fill every buffer.
    std::thread::sleep(Duration::from_secs(1));
    for _ in 0..3 {
        ensure!(says(&owner, &["exec", "web", "echo", "alive"])? == "alive\n");
    }
    signal(&name, "-CONT")?;
    person.types("\x03")?;
    person.sees("ready> ")?;
    person.types("exit 5\r")?;
    person.sees("ended with 5")?;
    Ok(())
}

#[test]
fn without_a_terminal_there_is_none_to_give() -> Result<()> {
    let owner = serving()?;
    let _guard = Stopped(&owner, "web");
    let refused = tool(&owner, &["exec", "-t", "web", "true"])?;
    let text = text_of(&refused);
    ensure!(refused.status.code() == Some(3), "{text}");
    let expected =
        "error: use the terminal: standard input and output are none\nhint: leave out -t\n";
    ensure!(text == expected, "{text}");
    // A program that is not there is told after the terminal is as before.
    let program = owner.user.command::<&str>([])?;
    let exec = quoted(program.get_program());
    let line = format!("{exec} exec -t web nothing; echo ended with $?");
    let mut person = Person::with(&line, &program)?;
    person.sees("error: run in web: find program nothing")?;
    person.sees("ended with 127")?;
    Ok(())
}
