// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stands in for the Mac's kernel on other hosts: there is nothing to ask.

use super::Host;

/// A host about which nothing of a Mac can be said.
pub(super) fn host() -> Host {
    Host {
        is_mac: false,
        system: "Linux",
        has_apple_silicon: None,
        is_translated: None,
        macos: None,
        has_hypervisor: None,
    }
}
