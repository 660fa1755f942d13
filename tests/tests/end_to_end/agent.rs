// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--ssh-agent`: a program of the guest asks the host's agent, through OpenSSH's own
//! agent protocol (draft-ietf-sshm-ssh-agent), and reaches no other socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use anyhow::{Result, ensure};
use elfuse_tests::applications;
use elfuse_tests::workspace::text_of;

use crate::common::Owner;

/// Asks twice for the list of keys, each time through a connection of its own.
const ASK: &str = r"
import os, socket
print(os.environ['SSH_AUTH_SOCK'])
for attempt in range(2):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ['SSH_AUTH_SOCK'])
    s.sendall(b'\0\0\0\1\x0b')
    print(s.recv(9, socket.MSG_WAITALL).hex())
";
/// `SSH2_AGENT_IDENTITIES_ANSWER` with no key.
const NO_KEYS: [u8; 9] = [0, 0, 0, 5, 12, 0, 0, 0, 0];

#[test]
fn guest_asks_the_agent_of_the_host() -> Result<()> {
    let owner = Owner::of_registry(&applications::python()?, "team/python:3", &[])?;
    let path = owner.user.path("agent");
    let agent = UnixListener::bind(&path)?;
    // The start looks whether it is there; then come two connections of the guest.
    std::thread::spawn(move || -> Result<()> {
        for connection in agent.incoming() {
            let mut connection = connection?;
            let mut request = [0; 5];
            if connection.read_exact(&mut request).is_ok() {
                ensure!(request == [0, 0, 0, 1, 11], "{request:?}");
                connection.write_all(&NO_KEYS)?;
            }
        }
        Ok(())
    });
    let args = ["--ssh-agent", "-u", "1000", "--", "-c", ASK];
    let mut command = owner.command(&args)?;
    let output = command.env("SSH_AUTH_SOCK", &path).output()?;
    let text = text_of(&output);
    let answer = "000000050c00000000\n";
    ensure!(
        text == format!("/run/host-services/ssh-auth.sock\n{answer}{answer}"),
        "{text}"
    );
    Ok(())
}

#[test]
fn missing_agent_is_told_before_anything_runs() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let mut command = owner.command(&["--ssh-agent", "echo", "ran"])?;
    let output = command.env_remove("SSH_AUTH_SOCK").output()?;
    let text = text_of(&output);
    ensure!(output.status.code() == Some(125), "{}", output.status);
    ensure!(
        text.contains("SSH_AUTH_SOCK is not set") && text.contains("hint:"),
        "{text}"
    );
    let mut command = owner.command(&["--ssh-agent", "echo", "ran"])?;
    let output = command.env("SSH_AUTH_SOCK", "/nonexistent").output()?;
    let text = text_of(&output);
    ensure!(
        text.contains("reach the ssh agent at /nonexistent"),
        "{text}"
    );
    Ok(())
}
