// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the stub asks of Hypervisor.framework by itself. Running guests is
//! the runtime's; this is the question whether there is anything to run on.

#[link(name = "Hypervisor", kind = "framework")]
unsafe extern "C" {
    /// `hv_return_t hv_vm_get_max_vcpu_count(uint32_t *)`, macOS 11.
    fn hv_vm_get_max_vcpu_count(count: *mut u32) -> i32;
}

/// How many virtual CPUs one guest may have; `None` without a hypervisor.
pub(crate) fn max_vcpus() -> Option<u32> {
    let mut count = 0;
    // SAFETY: the call writes one u32 through the pointer and keeps nothing.
    let status = unsafe { hv_vm_get_max_vcpu_count(&raw mut count) };
    (status == 0 && count > 0).then_some(count)
}
