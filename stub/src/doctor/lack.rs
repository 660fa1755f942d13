// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a machine cannot run bundles, for who has just tried to: one thing, the first
//! that the user would have to change. The doctor's report has the rest.

use std::fmt;

use super::Host;
use super::machine::{OLDEST_MACOS, major};

/// What is lacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// A Mac.
    Mac,
    /// Apple silicon.
    AppleSilicon,
    /// A newer macOS than this.
    NewerMacos(String),
    /// The hypervisor, which a virtual machine does not have.
    Hypervisor,
}

impl Lack {
    /// What the host lacks; `None` when it has everything, or does not say.
    #[must_use]
    pub fn of(host: &Host) -> Option<Self> {
        if !host.is_mac {
            return Some(Self::Mac);
        }
        if host.has_apple_silicon == Some(false) {
            return Some(Self::AppleSilicon);
        }
        if let Some(version) = &host.macos
            && major(version).is_some_and(|major| major < OLDEST_MACOS)
        {
            return Some(Self::NewerMacos(version.clone()));
        }
        (host.has_hypervisor == Some(false)).then_some(Self::Hypervisor)
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Mac => "bundles run on Macs with Apple silicon; on Linux: elfuse-bundle run FILE",
            Self::AppleSilicon => {
                "bundles need Apple silicon, M1 or newer; on Linux: elfuse-bundle run FILE"
            }
            Self::NewerMacos(_) => "update macOS to version 13 (Ventura) or newer",
            Self::Hypervisor => "a virtual machine has none: run the bundle on the Mac itself",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac => f.write_str("this machine has no hypervisor for arm64 guests"),
            Self::AppleSilicon => f.write_str("this Mac has an Intel processor"),
            Self::NewerMacos(version) => {
                write!(f, "macOS {version} is older than {OLDEST_MACOS}.0")
            }
            Self::Hypervisor => f.write_str("macOS has no hypervisor here"),
        }
    }
}
