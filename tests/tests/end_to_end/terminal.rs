// SPDX-License-Identifier: MIT OR Apache-2.0
//! A shell at a terminal: `script` makes one, and what a person would type is typed.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use elfuse_tests::workspace::surround_like;

use crate::common::Owner;

/// A person at a terminal with a program.
struct Person {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What has appeared and was not waited for yet.
    seen: String,
}

impl Person {
    fn at(program: &Command) -> Result<Self> {
        // What limits the time must not put the program into the background.
        let limit = ["timeout", "--foreground"].map(OsStr::new);
        let words = limit.into_iter().chain(program.get_args());
        let words: Vec<_> = words
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")))
            .collect();
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-f", "-c", &words.join(" "), "/dev/null"]);
        surround_like(&mut script, program);
        let streams = script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = streams.spawn().context("start script, of util-linux")?;
        let keys = child.stdin.take().context("its input")?;
        let mut output = child.stdout.take().context("its output")?;
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buf) {
                if send.send(buf[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let seen = String::new();
        Ok(Self {
            child,
            keys,
            screen,
            seen,
        })
    }

    fn types(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// Waits until `text` appears; what came before it is done with.
    fn sees(&mut self, text: &str) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.seen.push_str(&String::from_utf8_lossy(&more)),
                Err(_) => bail!("{text:?} does not appear after {:?}", self.seen),
            }
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Ended already, unless a test failed.
        let _ = self.child.kill();
    }
}

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
    let status = person.child.wait()?;
    ensure!(status.code() == Some(7), "{status}");
    Ok(())
}
