// SPDX-License-Identifier: MIT OR Apache-2.0
//! A shell at a terminal: jobs are stopped, sent to the background and fetched back,
//! interrupted by a key, and the shell's exit status is the bundle's. The guest's own
//! line discipline does all of it; the host's terminal is raw.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::common::Owner;
use crate::person::Person;

#[test]
fn a_shell_has_job_control_at_a_terminal() -> Result<()> {
    let owner = Owner::of_debian()?;
    let shell = ["-t", "-e", "PS1=ready> ", "bash", "--norc", "-i"];
    let mut person = Person::at(&owner.command(&shell)?)?;
    person.sees("ready> ")?;
    person.types("sleep 1000\r")?;
    person.sees("sleep 1000")?;
    std::thread::sleep(Duration::from_millis(500));
    person.types("\x1a")?;
    person.sees("Stopped")?;
    person.types("bg\r")?;
    person.sees("sleep 1000 &")?;
    person.types("jobs\r")?;
    person.sees("Running")?;
    person.types("fg\r")?;
    person.sees("sleep 1000")?;
    std::thread::sleep(Duration::from_millis(500));
    person.types("\x03")?;
    person.sees("ready> ")?;
    person.types("echo status=$?\r")?;
    person.sees("status=130")?;
    person.types("echo last=$(seq 1 5 | sort -rn | head -1)\r")?;
    person.sees("last=5")?;
    person.types("tty; echo TERM=$TERM\r")?;
    person.sees("/dev/")?;
    person.sees("TERM=xterm")?;
    person.types("exit 7\r")?;
    let status = person.leaves()?;
    ensure!(status.code() == Some(7), "{status}");
    Ok(())
}
