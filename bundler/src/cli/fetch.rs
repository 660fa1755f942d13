// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of every command that loads an image.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::image::{Image, Platform};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registry::{Login, Mirror, RegistryOptions, Retry};
use crate::source::{self, FetchContext, PullPolicy};
use crate::store::Store;

/// Bytes a password may have, and more than any has.
const MAX_PASSWORD: u64 = 64 << 10;

/// Where to load from and what to accept.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FetchArgs {
    /// What the image shall run on
    #[arg(long, value_name = "OS/ARCH", default_value = "linux/arm64")]
    pub(super) platform: Platform,
    /// When to ask the registry what a tag points at
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub(super) pull: PullPolicy,
    /// Use only what is on this machine; the same as --pull=never
    #[arg(long, conflicts_with = "pull")]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

/// How registries are reached.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct RegistryArgs {
    /// Credentials, instead of those of podman login and docker login
    #[arg(long, value_name = "FILE", visible_alias = "auth-file")]
    authfile: Option<PathBuf>,
    /// Log in as this user, to the registry of IMAGE only
    #[arg(long, value_name = "USER", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password, one line, from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Use plain HTTP for registries and mirrors on this machine
    #[arg(long)]
    insecure: bool,
    /// Ask this host first, for the default registry or the one named; may be repeated
    #[arg(long, value_name = "[REGISTRY=]HOST")]
    mirror: Vec<Mirror>,
    /// Try this often, waiting longer each time
    #[arg(long, value_name = "N", default_value_t = Retry::default().tries, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Use only images that this policy accepts (containers-policy.json)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl RegistryArgs {
    /// The options as the registry client takes them; a login is for the
    /// registry of `image`. Standard input is read here, so call it once.
    pub(super) fn options(&self, image: &str) -> anyhow::Result<RegistryOptions> {
        Ok(RegistryOptions {
            auth_file: self.authfile.clone(),
            login: self.login(image)?,
            ca_file: self.ca_file.clone(),
            insecure: self.insecure,
            mirrors: self.mirror.clone(),
            policy: self.policy.clone(),
            retry: Retry {
                tries: self.tries,
                ..Retry::default()
            },
        })
    }

    fn login(&self, image: &str) -> anyhow::Result<Option<Login>> {
        let Some(user) = &self.username else {
            return Ok(None);
        };
        if source::is_local(image) {
            bail!("log in for {image}: it is not in a registry");
        }
        let registry = image.parse::<Reference>()?.registry().to_owned();
        let mut line = String::new();
        io::stdin()
            .lock()
            .take(MAX_PASSWORD)
            .read_line(&mut line)
            .context("read password from standard input")?;
        let password = line.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            bail!("read password from standard input: it is empty");
        }
        let user = user.clone();
        Ok(Some(Login {
            registry,
            user,
            password,
        }))
    }
}

impl FetchArgs {
    /// How registries are reached; `image` is the one that a login is for.
    pub(super) fn options(&self, image: &str) -> anyhow::Result<RegistryOptions> {
        self.registry.options(image)
    }

    /// Loads one image.
    pub(super) fn load(
        &self,
        reference: &str,
        options: &RegistryOptions,
        store: &Store,
        progress: &dyn Progress,
    ) -> anyhow::Result<Image> {
        let context = FetchContext {
            store,
            platform: &self.platform,
            pull: if self.offline {
                PullPolicy::Never
            } else {
                self.pull
            },
            registry: options,
            threads: threads(),
            progress,
        };
        Ok(source::parse(reference)?.load(&context)?)
    }
}

/// How many threads there are cores for.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
