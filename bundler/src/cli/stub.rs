// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the stub comes from: an option, the environment, or this program.

use std::path::PathBuf;

use crate::bundle::read_stub;
use crate::macho::Template;

/// The stub this program was built with.
#[cfg(has_stub)]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/stub")));
#[cfg(not(has_stub))]
const EMBEDDED: Option<&[u8]> = None;

/// Which stub to use.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct StubArgs {
    /// Use this stub instead of the one this program carries
    #[arg(long, value_name = "FILE", env = "ELFUSE_STUB", hide_env_values = true)]
    stub: Option<PathBuf>,
}

impl StubArgs {
    pub(super) fn load(&self) -> anyhow::Result<Template> {
        match (&self.stub, EMBEDDED) {
            (Some(path), _) => Ok(read_stub(path)?),
            (None, Some(bytes)) => Ok(Template::new(bytes.to_vec())?),
            (None, None) => anyhow::bail!(
                "find stub: this elfuse-bundle was built without one\n\
                 hint: name one with --stub, or build with `cargo xtask bundle`"
            ),
        }
    }
}
