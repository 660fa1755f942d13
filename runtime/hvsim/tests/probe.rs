// SPDX-License-Identifier: GPL-2.0-only
//! The doctor's questions, put to the simulator: they run to their ends, and the
//! simulator is what the runtime takes hardware to be.

use std::collections::BTreeSet;

use elfuse_hvsim::Simulator;
use elfuse_machine::probe::{Verdict, ask};

/// Where the simulator is not as hardware is taken to be, and why.
const KNOWN: &[(&str, Verdict)] = &[
    // Memory that is not there stops the processor model without a syndrome.
    ("unmapped-access", Verdict::Unknown),
    // The line is a flag beside the processor model, which has no register for it.
    ("interrupt-falls", Verdict::Unknown),
    // The model lets EL1 have the debug register.
    ("debug-register", Verdict::Noted),
    // Not asked anywhere.
    ("lost-file-page", Verdict::Unknown),
];

#[test]
fn the_simulator_is_as_the_runtime_takes_hardware_to_be() {
    let findings = ask(&Simulator);
    let names: BTreeSet<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names.len(), findings.len(), "names are unique");
    for finding in &findings {
        println!(
            "{:18} {:?}: {}",
            finding.name, finding.verdict, finding.found
        );
    }
    for finding in &findings {
        let known = KNOWN.iter().find(|(name, _)| *name == finding.name);
        let expected = known.map_or(Verdict::Holds, |(_, verdict)| *verdict);
        assert_eq!(
            finding.verdict, expected,
            "{}: {}",
            finding.name, finding.found
        );
    }
    // The process's one virtual machine is free again.
    assert_eq!(ask(&Simulator).len(), findings.len());
}
