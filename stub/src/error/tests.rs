// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a newcomer reads on a machine that cannot run bundles: both lines, as printed.

use elfuse_machine::MachineError;
use elfuse_machine::hv::HvError;

use super::{HostError, StubError};
use crate::doctor::tests::mac;
use crate::doctor::{Host, Lack};

fn told(host: &Host) -> Option<String> {
    let lack = Lack::of(host)?;
    Some(StubError::from(HostError::Lacks(lack)).full_message())
}

#[test]
fn a_machine_that_cannot_run_bundles_says_what_it_lacks_and_what_to_do() {
    assert_eq!(told(&mac()), None);
    let intel = Host {
        has_apple_silicon: Some(false),
        has_hypervisor: Some(false),
        ..mac()
    };
    let old = Host {
        macos: Some("12.7.6".to_owned()),
        ..mac()
    };
    let inside = Host {
        has_hypervisor: Some(false),
        ..mac()
    };
    let other = Host {
        is_mac: false,
        macos: None,
        ..inside.clone()
    };
    let cases = [
        (
            intel,
            "run the image's program: this Mac has an Intel processor\n\
             hint: bundles need Apple silicon, M1 or newer; on Linux: elfuse-bundle run FILE",
        ),
        (
            old,
            "run the image's program: macOS 12.7.6 is older than 13.0\n\
             hint: update macOS to version 13 (Ventura) or newer",
        ),
        (
            inside,
            "run the image's program: macOS has no hypervisor here\n\
             hint: a virtual machine has none: run the bundle on the Mac itself",
        ),
        (
            other,
            "run the image's program: this machine has no hypervisor for arm64 guests\n\
             hint: bundles run on Macs with Apple silicon; on Linux: elfuse-bundle run FILE",
        ),
    ];
    for (host, expected) in cases {
        assert_eq!(told(&host).as_deref(), Some(expected));
    }
}

#[test]
fn a_mac_that_does_not_say_what_it_has_is_tried() {
    let silent = Host {
        has_apple_silicon: None,
        is_translated: None,
        macos: None,
        has_hypervisor: None,
        ..mac()
    };
    assert_eq!(told(&silent), None);
}

#[test]
fn a_program_without_the_entitlement_says_so() {
    let told = |error| {
        let error = HostError::Machine(MachineError::Hypervisor(error));
        StubError::from(error).full_message()
    };
    assert_eq!(
        told(HvError::Denied),
        "use the hypervisor: denied\n\
         hint: the signature must have the entitlement com.apple.security.hypervisor; \
         --elfuse-doctor looks"
    );
    assert_eq!(
        told(HvError::Busy),
        "use the hypervisor: busy\nhint: --elfuse-doctor tells what is missing"
    );
}
