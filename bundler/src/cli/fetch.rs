// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of every command that loads an image.

use crate::image::{Image, Platform};
use crate::progress::Progress;
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
