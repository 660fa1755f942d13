// SPDX-License-Identifier: MIT OR Apache-2.0
//! Someone with a bundle, and what running it gives.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::image;
use elfuse_tests::registry::Registry;
use elfuse_tests::workspace::{simulator, surround_like, text_of, try_run};

/// A user with one bundle, called `box`.
pub(crate) struct Owner {
    pub(crate) user: User,
}

impl Owner {
    /// Of a bundle with a static busybox.
    pub(crate) fn of_busybox() -> Result<Self> {
        let user = User::new()?;
        user.bundle(&image::busybox()?, "box")?;
        Ok(Self { user })
    }

    /// Of a bundle with Debian's bash, coreutils, python and more.
    pub(crate) fn of_debian() -> Result<Self> {
        let user = User::new()?;
        user.bundle(&image::debian_system()?.mixed, "box")?;
        Ok(Self { user })
    }

    /// Of a bundle of `name`, which a registry has from the layout `image`; made with
    /// `options`.
    pub(crate) fn of_registry(image: &Path, name: &str, options: &[&str]) -> Result<Self> {
        let registry = Registry::start()?;
        registry.fill(image, "latest", name)?;
        let user = User::new()?;
        let source = format!("{}/{name}", registry.address());
        let fixed = ["--quiet", "--insecure", "-o", "box", &source];
        user.run([&fixed[..], options].concat())?;
        Ok(Self { user })
    }

    /// `elfuse-bundle run ./box ARGS`; what hangs is ended.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Command> {
        let run = self.user.command(["run", "./box"])?;
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "300"]);
        command.arg(run.get_program()).args(run.get_args());
        command.args(args);
        surround_like(&mut command, &run);
        command.env("ELFUSE_SIM", simulator()?);
        Ok(command)
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output> {
        try_run(&mut self.command(args)?)
    }

    /// What it prints; it must succeed.
    pub(crate) fn prints<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let output = self.run(args)?;
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            text_of(&output)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Everything it writes; it must end with `status`.
    pub(crate) fn ends_with<S: AsRef<OsStr>>(&self, status: i32, args: &[S]) -> Result<String> {
        let output = self.run(args)?;
        let text = text_of(&output);
        ensure!(
            output.status.code() == Some(status),
            "{}: {text}",
            output.status
        );
        Ok(text)
    }

    /// The one unpacked image.
    pub(crate) fn unpacked(&self) -> Result<PathBuf> {
        let images = self.user.path("home/.cache/elfuse/images");
        let mut found = std::fs::read_dir(&images)?;
        let only = found.next().context("an image in the cache")??;
        ensure!(found.next().is_none(), "more than one image in the cache");
        Ok(only.path())
    }
}
