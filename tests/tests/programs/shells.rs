// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shells: pipelines, redirections, traps, job control on a terminal.

use elfuse_tests::guest::Guest;

use crate::roots;

/// The same two programs gave this on a real Linux.
const EXPECTED: &str = include_str!("../../guest/scripts/shell.out");

fn runs_the_script(shell: &str) {
    let script = include_str!("../../guest/scripts/shell.sh");
    let outcome = Guest::new(&roots::system(), &[shell, "-c", script]).run();
    let (ours, expected): (Vec<_>, Vec<_>) =
        (outcome.stdout.lines().collect(), EXPECTED.lines().collect());
    assert_eq!(ours, expected, "{}", outcome.stderr);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
}

#[test]
fn dash_does_what_it_does_on_linux() {
    runs_the_script("/bin/dash");
}

#[test]
fn bash_does_what_it_does_on_linux() {
    runs_the_script("/bin/bash");
}

#[test]
fn substitutions_and_coprocesses_of_bash_agree_with_linux() {
    let script = include_str!("../../guest/scripts/bash.sh");
    Guest::new(&roots::system(), &["/bin/bash", "-c", script]).agrees_with_linux();
}

#[test]
fn jobs_on_a_terminal_stop_continue_and_die() {
    let script = include_str!("../../guest/scripts/jobs.py");
    let command = ["/usr/bin/python3", "-c", script];
    let outcome = Guest::new(&roots::system(), &command).agrees_with_linux();
    for line in ["[1]+ Stopped sleep 100", "^C", "resized", "33 77", "exit 9"] {
        assert!(outcome.stdout.contains(line), "no {line}: {outcome:#?}");
    }
}
