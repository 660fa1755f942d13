// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of every command that loads an image.

use std::path::PathBuf;

use crate::image::{Image, Platform};
use crate::progress::Progress;
use crate::registry::{Mirror, RegistryOptions, Retry};
use crate::source::{self, FetchContext, PullPolicy};
use crate::store::Store;

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
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct RegistryArgs {
    /// Credentials, instead of those of podman login and docker login
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Use plain HTTP; for registries on this machine only
    #[arg(long)]
    insecure: bool,
    /// Ask this host first, for the default registry or the one named; may be repeated
    #[arg(long, value_name = "[REGISTRY=]HOST")]
    mirror: Vec<Mirror>,
    /// Use only images that this policy accepts (containers-policy.json)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl RegistryArgs {
    pub(super) fn options(&self) -> RegistryOptions {
        RegistryOptions {
            auth_file: self.authfile.clone(),
            ca_file: self.ca_file.clone(),
            insecure: self.insecure,
            mirrors: self.mirror.clone(),
            policy: self.policy.clone(),
            retry: Retry::default(),
        }
    }
}

impl FetchArgs {
    /// Loads one image.
    pub(super) fn load(
        &self,
        reference: &str,
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
            registry: &self.registry.options(),
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
