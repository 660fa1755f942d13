// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shells: pipelines, here-documents, traps, job control.

use elfuse_tests::guest::Guest;

use crate::roots;

#[test]
fn shell_pipeline_is_what_linux_gives() {
    let script = "echo one two | tr a-z A-Z; ls / | sort | head -3; false || echo or";
    for shell in ["/bin/dash", "/bin/bash"] {
        let outcome = Guest::new(&roots::system(), &[shell, "-c", script]).agrees_with_linux();
        assert!(outcome.stdout.starts_with("ONE TWO\nbin\nboot\ndev\nor\n"));
    }
}
