// SPDX-License-Identifier: MIT OR Apache-2.0
//! Elsewhere the simulator runs a bundle: the program that `ELFUSE_SIM` names, or
//! `elfuse-sim` beside this one or in `PATH`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Name of the simulator's program.
const NAME: &str = "elfuse-sim";

/// The simulator with the bundle as its first argument.
pub(super) fn command(bundle: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(find()?);
    command.arg(std::path::absolute(bundle)?);
    Ok(command)
}

fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("ELFUSE_SIM") {
        let path = PathBuf::from(path);
        anyhow::ensure!(
            path.is_file(),
            "find the simulator: ELFUSE_SIM names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|path| path.parent().map(Path::to_path_buf));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = beside.into_iter().chain(std::env::split_paths(&path));
    let found = places
        .find(|dir| dir.join(NAME).is_file())
        .map(|dir| dir.join(NAME));
    found.ok_or_else(|| {
        anyhow::anyhow!(
            "find the simulator: no {NAME} beside this program or in PATH\n\
             hint: cargo build --release -p {NAME} makes it; ELFUSE_SIM names one elsewhere"
        )
    })
}
