// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bundler as its users have it: the built program, run with a store and a
//! home of its own, and the bundles that it makes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tree::{self, Listing};
use crate::workspace::{bundler, root, run, text_of, try_run};

/// A user of the bundler: a scratch directory with a home and a store in it.
pub struct User {
    dir: tempfile::TempDir,
}

impl User {
    /// Someone who has used nothing yet.
    ///
    /// # Errors
    /// The scratch directory cannot be made.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("elfuse-test").tempdir()?;
        std::fs::create_dir(dir.path().join("home"))?;
        Ok(Self { dir })
    }

    /// A path in the scratch directory, which is also where commands run.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where this user's store is.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The program with arguments; nothing of the environment reaches it that
    /// could change what it does.
    ///
    /// # Errors
    /// It is not built.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Command> {
        let mut command = Command::new(bundler()?);
        command.args(args).current_dir(self.dir.path());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").context("read PATH")?);
        command
            .env("HOME", self.path("home"))
            .env("ELFUSE_BUNDLE_STORE", self.store());
        Ok(command)
    }

    /// Runs a command that must succeed; returns its standard output.
    ///
    /// # Errors
    /// It fails.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        Ok(String::from_utf8(run(&mut self.command(args)?)?)?)
    }

    /// Runs a command that must fail with `code` and the two-line message of
    /// all failures; returns everything it wrote.
    ///
    /// # Errors
    /// It ends otherwise.
    pub fn fails<S: AsRef<OsStr>>(
        &self,
        code: i32,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let output: Output = try_run(&mut self.command(args)?)?;
        let text = text_of(&output);
        ensure!(
            output.status.code() == Some(code),
            "ended with {}: {text}",
            output.status
        );
        ensure!(text.contains("error: "), "no error line: {text}");
        Ok(text)
    }

    /// Bundles an OCI layout as `name`.
    ///
    /// # Errors
    /// The bundler fails.
    pub fn bundle(&self, layout: &Path, name: &str) -> Result<Bundle> {
        let image = format!("oci:{}:latest", layout.display());
        self.run(["--quiet", "-o", name, &image])?;
        Ok(Bundle {
            path: self.path(name),
        })
    }

    /// Files in the scratch directory other than home, store and `except`.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn leftovers(&self, except: &[&str]) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for entry in std::fs::read_dir(self.dir.path())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !["home", "store"].contains(&name.as_str()) && !except.contains(&name.as_str()) {
                left.push(name);
            }
        }
        Ok(left)
    }
}

/// A bundle file.
pub struct Bundle {
    /// Where it is.
    pub path: PathBuf,
}

impl Bundle {
    /// What the independent judge says: places, digests, the signature.
    ///
    /// # Errors
    /// It finds anything wrong.
    pub fn judged(&self) -> Result<Value> {
        let mut python = Command::new("python3");
        python
            .arg(root().join("tests/tools/judge_bundle.py"))
            .arg(&self.path);
        Ok(serde_json::from_slice(&run(&mut python)?)?)
    }

    /// The layer blob, cut out of the file.
    ///
    /// # Errors
    /// The bundle is not right.
    pub fn layer(&self) -> Result<Vec<u8>> {
        let judged = self.judged()?;
        let number = |key: &str| -> Result<usize> {
            let value = judged["layer"][key]
                .as_u64()
                .with_context(|| format!("no {key}"))?;
            Ok(usize::try_from(value)?)
        };
        let (offset, size) = (number("offset")?, number("size")?);
        Ok(std::fs::read(&self.path)?[offset..offset + size].to_vec())
    }

    /// The tree that the stub in the bundle extracts as root.
    ///
    /// # Errors
    /// The stub fails.
    pub fn extracted_by_stub(&self, to: &Path) -> Result<Listing> {
        let args = ["--elfuse-extract".into(), to.as_os_str().to_owned()];
        let host = elfuse_stub::Host {
            hypervisor: None,
            cpus: 1,
            description: "none".to_owned(),
        };
        elfuse_stub::run(&host, &self.path, &args, None, &mut Vec::new())
            .map_err(|error| anyhow::anyhow!(error.full_message()))?;
        Ok(tree::describe(to)?)
    }
}

/// What `umoci unpack` makes of an image in a layout: the oracle of trees.
///
/// # Errors
/// umoci fails.
pub fn unpacked_by_umoci(layout: &Path, tag: &str) -> Result<Listing> {
    let scratch = tempfile::tempdir()?;
    let to = scratch.path().join("bundle");
    let image = format!("{}:{tag}", layout.display());
    run(Command::new("umoci")
        .args(["unpack", "--image", &image])
        .arg(&to))?;
    Ok(tree::describe(&to.join("rootfs"))?)
}
