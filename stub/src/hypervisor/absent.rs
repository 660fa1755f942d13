// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that cannot run arm64 guests: this program describes and extracts.

use elfuse_stub::Host;

/// This machine.
pub(crate) fn host() -> Host<'static> {
    Host {
        hypervisor: None,
        cpus: 1,
        description: "not available on this machine".to_owned(),
    }
}
