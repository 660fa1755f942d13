// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--ssh-agent`: the user's ssh agent, behind a socket in the guest at the place where
//! other container tools have it. The guest reaches no other socket of the host.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use elfuse_kernel::fs::world::FileWorld;
use elfuse_kernel::net::relay;

use crate::StartError;
use crate::config::Run;

/// Where the socket is.
const DIRECTORY: &str = "/run/host-services";
const NAME: &str = "ssh-auth.sock";
/// The variable that names it, on the host and in the guest.
const VARIABLE: &str = "SSH_AUTH_SOCK";

/// Mounts the socket and tells the program where it is.
pub(crate) fn mount(world: &FileWorld, run: &mut Run) -> Result<(), StartError> {
    let path = std::env::var_os(VARIABLE).map(PathBuf::from);
    let path = path.ok_or(StartError::NoAgent)?;
    let fail = |source| StartError::Agent {
        path: path.clone(),
        source,
    };
    // Nobody listens any more? It is better known now than by a failing ssh.
    UnixStream::connect(&path).map_err(fail)?;
    let mounted = world.mount_socket(DIRECTORY.as_bytes(), NAME.as_bytes());
    let listener = mounted.map_err(|errno| StartError::mount(DIRECTORY.as_bytes(), errno))?;
    let reached = path.clone();
    relay(listener, move || UnixStream::connect(&reached)).map_err(fail)?;
    let prefix = format!("{VARIABLE}=");
    run.env.retain(|pair| !pair.starts_with(prefix.as_bytes()));
    run.env
        .push(format!("{prefix}{DIRECTORY}/{NAME}").into_bytes());
    Ok(())
}
