// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stands in for Hypervisor.framework on hosts that are not Macs, where the
//! stub's library is built for its tests.

/// Always `None`: there is no hypervisor to ask.
pub(crate) fn max_vcpus() -> Option<u32> {
    None
}
