// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person at a terminal: `script` makes one, what would be typed is typed, and what
//! appears is read. A step that waits for something which does not appear fails with
//! what did.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use elfuse_tests::workspace::surround_like;

/// A person at a terminal with a program.
pub(crate) struct Person {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// What has appeared and was not waited for yet.
    seen: String,
}

impl Person {
    /// With a program that limits its own time, as [`crate::common::Owner::command`] has it.
    pub(crate) fn at(program: &Command) -> Result<Self> {
        // What limits the time must not put the program into the background.
        let limit = ["timeout", "--foreground"].map(OsStr::new);
        let words = limit.into_iter().chain(program.get_args());
        Self::with(&words.map(quoted).collect::<Vec<_>>().join(" "), program)
    }

    /// With a line of a shell, in the directory and environment of `like`.
    pub(crate) fn with(line: &str, like: &Command) -> Result<Self> {
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-f", "-c", line, "/dev/null"]);
        surround_like(&mut script, like);
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

    pub(crate) fn types(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// Waits until `text` appears; what came before it is done with.
    pub(crate) fn sees(&mut self, text: &str) -> Result<()> {
        self.reads_until(text).map(drop)
    }

    /// The same; answers what came before it.
    pub(crate) fn reads_until(&mut self, text: &str) -> Result<String> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                let mut read = std::mem::replace(&mut self.seen, rest);
                read.truncate(at);
                return Ok(read);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.seen.push_str(&String::from_utf8_lossy(&more)),
                Err(_) => bail!("{text:?} does not appear after {:?}", self.seen),
            }
        }
    }

    /// Waits for the program's end.
    pub(crate) fn leaves(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

impl Drop for Person {
    fn drop(&mut self) {
        // Ended already, unless a test failed.
        let _ = self.child.kill();
    }
}
