// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the Mac's kernel says about itself, by sysctl(3) name.

use std::ffi::CStr;

use super::Host;

/// This Mac. A name that the kernel does not know is one of another processor or of
/// a newer system, and gives `None`.
pub(super) fn host() -> Host {
    Host {
        is_mac: true,
        system: "macOS",
        // Intel Macs do not have the name at all; under Rosetta it says 1.
        has_apple_silicon: Some(number(c"hw.optional.arm64") == Some(1)),
        is_translated: Some(number(c"sysctl.proc_translated") == Some(1)),
        macos: text(c"kern.osproductversion"),
        has_hypervisor: Some(number(c"kern.hv_support") == Some(1)),
    }
}

fn number(name: &CStr) -> Option<i32> {
    let mut value = [0; 4];
    (read(name, &mut value)? == value.len()).then(|| i32::from_ne_bytes(value))
}

fn text(name: &CStr) -> Option<String> {
    let mut value = [0; 64];
    let len = read(name, &mut value)?;
    let text = CStr::from_bytes_until_nul(value.get(..len)?).ok()?;
    Some(text.to_str().ok()?.to_owned())
}

/// Reads a value, and says how long it is.
fn read(name: &CStr, value: &mut [u8]) -> Option<usize> {
    let mut len = value.len();
    // SAFETY: the name ends in a zero byte; the kernel writes at most `len` bytes.
    let status = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    (status == 0).then_some(len)
}
