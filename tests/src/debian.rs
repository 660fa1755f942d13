// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real arm64 packages from wherever this machine gets its own: apt runs with
//! a private configuration for the other architecture, copies of the
//! machine's sources and keys, and an empty package database, so it resolves
//! dependencies and checks signatures as usual and changes nothing here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{kept, made_once, run};

/// Fetches `packages` and what they depend on, once, and returns the `.deb`
/// files in order of their names. `name` is what the set is kept under.
///
/// # Errors
/// apt cannot get them.
pub fn fetch(name: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let dir = made_once(&format!("debs-{name}"), |dir| {
        let apt = Apt::open()?;
        apt.update_if_stale()?;
        std::fs::create_dir(dir.join("partial"))?;
        let mut install = apt.command();
        install.args([
            "install",
            "--yes",
            "--download-only",
            "--no-install-recommends",
        ]);
        install
            .arg("-o")
            .arg(format!("Dir::Cache::archives={}", dir.display()));
        run(install.args(packages))?;
        Ok(())
    })?;
    let files = std::fs::read_dir(&dir)?
        .map(|file| Ok(file?.path()))
        .collect::<Result<Vec<_>>>()?;
    let is_package = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "deb");
    let mut files: Vec<_> = files.into_iter().filter(is_package).collect();
    files.sort();
    ensure!(
        files.len() >= packages.len(),
        "apt resolved {packages:?} to {files:?}"
    );
    Ok(files)
}

/// Unpacks packages into `root` and records them in its dpkg database, as an
/// installation would, but runs none of their scripts.
///
/// # Errors
/// A package cannot be unpacked.
pub fn unpack(packages: &[PathBuf], root: &Path) -> Result<()> {
    let database = root.join("var/lib/dpkg");
    std::fs::create_dir_all(&database)?;
    let mut status = Vec::new();
    for package in packages {
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(package)
            .arg(root))?;
        let control = run(Command::new("dpkg-deb").arg("--field").arg(package))?;
        let control = String::from_utf8(control)?;
        let (first, rest) = control.split_once('\n').context("read a control file")?;
        let entry = format!(
            "{first}\nStatus: install ok installed\n{}\n\n",
            rest.trim_end()
        );
        status.extend(entry.into_bytes());
    }
    std::fs::write(database.join("status"), status)?;
    Ok(())
}

struct Apt {
    dir: PathBuf,
    /// Held while the directory is used.
    _lock: std::fs::File,
}

impl Apt {
    fn open() -> Result<Self> {
        let dir = kept("apt-arm64")?;
        let lock = std::fs::File::create(dir.join("test-lock"))?;
        lock.lock()?;
        for part in ["lists/partial", "cache", "state"] {
            std::fs::create_dir_all(dir.join(part))?;
        }
        std::fs::write(dir.join("state/status"), "")?;
        Ok(Self { dir, _lock: lock })
    }

    /// apt-get with a state of its own. What is left of this machine's
    /// configuration is its sources, its keys and how it reaches a mirror.
    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        let path = |part: &str| self.dir.join(part).display().to_string();
        let options = [
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Debug::NoLocking=1".to_owned(),
            "Acquire::Languages=none".to_owned(),
            format!("Dir::State={}", path("state")),
            format!("Dir::State::status={}", path("state/status")),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache={}", path("cache")),
        ];
        for option in options {
            command.arg("-o").arg(option);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Package lists older than a day name packages that are gone.
    fn update_if_stale(&self) -> Result<()> {
        let marker = self.dir.join("updated");
        let written = marker.metadata().and_then(|file| file.modified());
        let age = written.ok().and_then(|time| time.elapsed().ok());
        if age.is_none_or(|age| age.as_secs() > 24 * 3600) {
            run(self.command().arg("update"))?;
            std::fs::write(marker, "")?;
        }
        Ok(())
    }
}
