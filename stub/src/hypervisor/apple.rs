// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypervisor.framework, and what it gives one guest.

use elfuse_machine::hvf::AppleHypervisor;
use elfuse_stub::Host;

#[link(name = "Hypervisor", kind = "framework")]
unsafe extern "C" {
    /// `hv_return_t hv_vm_get_max_vcpu_count(uint32_t *)`, macOS 11.
    fn hv_vm_get_max_vcpu_count(count: *mut u32) -> i32;
}

/// How many virtual CPUs one guest may have; `None` without a hypervisor.
fn max_vcpus() -> Option<usize> {
    let mut count = 0;
    // SAFETY: the call writes one u32 through the pointer and keeps nothing.
    let status = unsafe { hv_vm_get_max_vcpu_count(&raw mut count) };
    let count = usize::try_from(count).ok().filter(|count| *count > 0)?;
    (status == 0).then_some(count)
}

/// This Mac.
pub(crate) fn host() -> Host<'static> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match max_vcpus() {
        Some(count) => Host {
            hypervisor: Some(&AppleHypervisor),
            cpus: cores.min(count),
            description: format!("up to {count} virtual CPUs"),
        },
        None => Host {
            hypervisor: None,
            cpus: cores,
            description: "not available on this machine".to_owned(),
        },
    }
}
