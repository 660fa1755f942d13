// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images from and to a real registry, with the bundler run as users run it.
//! skopeo fills the registry and reads back what is pushed; a front between
//! the two counts requests, asks for logins and spoils answers.

mod access;
mod faults;
mod kills;
mod pull;
mod push;
mod transports;

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::front::{Front, Rules, Seen};
use elfuse_tests::image;
use elfuse_tests::registry::Registry;
use elfuse_tests::workspace::{text_of, try_run};
use serde_json::Value;

/// A user, a registry, and the front that the user reaches it through.
struct World {
    user: User,
    registry: Registry,
    front: Front,
}

impl World {
    /// With nothing in the registry.
    fn empty() -> Result<Self> {
        let registry = Registry::start()?;
        let front = Front::start(registry.address(), Rules::default())?;
        let user = User::new()?;
        Ok(Self {
            user,
            registry,
            front,
        })
    }

    /// With a busybox of one layer as `a/box:1`.
    fn with_busybox() -> Result<Self> {
        let world = Self::empty()?;
        world
            .registry
            .fill(&image::busybox()?, "latest", "a/box:1")?;
        Ok(world)
    }

    /// With a system of three large layers as `a/debian:1`.
    fn with_debian() -> Result<Self> {
        let world = Self::empty()?;
        let layout = image::debian_system()?.mixed;
        world.registry.fill(&layout, "latest", "a/debian:1")?;
        Ok(world)
    }

    /// The arguments of a command about an image behind the front.
    fn args<'a>(&self, words: &[&'a str], name: &str) -> Vec<String> {
        let own = |word: &&'a str| (*word).to_owned();
        let mut args: Vec<String> = words.iter().map(own).collect();
        args.push("--insecure".to_owned());
        args.push(self.front.image(name));
        args
    }

    /// `pull --json`, which must succeed.
    fn pull(&self, name: &str, more: &[&str]) -> Result<Value> {
        let words = [&["pull", "--json", "--quiet"], more].concat();
        let printed = self.user.run(self.args(&words, name))?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// `pull`, which must fail as a command does; what it wrote.
    fn pull_fails(&self, name: &str, more: &[&str]) -> Result<String> {
        let words = [&["pull"], more].concat();
        self.user.fails(3, self.args(&words, name))
    }

    /// Builds `name` as the file `file`.
    fn build(&self, name: &str, file: &str) -> Result<PathBuf> {
        self.user.run(self.args(&["--quiet", "-o", file], name))?;
        Ok(self.user.path(file))
    }

    /// The requests for blobs since the last time.
    fn blobs_seen(&self) -> Vec<Seen> {
        let mut seen = self.front.seen();
        seen.retain(Seen::is_blob);
        seen
    }

    /// Blobs in the user's store.
    fn stored(&self) -> Result<Vec<String>> {
        names(&self.user.store().join("blobs/sha256"))
    }
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Runs a command with `input` as its standard input.
fn with_input(mut command: std::process::Command, input: &str) -> Result<Output> {
    let scratch = tempfile::NamedTempFile::new()?;
    std::fs::write(scratch.path(), input)?;
    try_run(command.stdin(std::fs::File::open(scratch.path())?))
}

/// What a command wrote that had to end with `code`.
fn ended(output: &Output, code: i32) -> Result<String> {
    let text = text_of(output);
    ensure!(
        output.status.code() == Some(code),
        "{}: {text}",
        output.status
    );
    Ok(text)
}

/// A manifest as skopeo reads it.
fn raw_manifest(image: &str) -> Result<Vec<u8>> {
    let mut skopeo = std::process::Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false"]);
    elfuse_tests::workspace::run(skopeo.arg(format!("docker://{image}")))
}
