// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--stats`: what the run cost, on standard error, one counter a line.

use elfuse_kernel::boot::Booted;
use elfuse_machine::Machine;

/// Prints all counters.
pub(crate) fn print(machine: &Machine, booted: &Booted) {
    let counters = machine.counters();
    let kernel = booted.kernel();
    let lines = [
        ("system calls", kernel.calls()),
        ("  answered fast", counters.fast_calls),
        ("exits", counters.exits),
        ("faults", counters.faults),
        ("kicks", counters.kicks),
        ("thread switches", counters.thread_switches),
        ("TLB pages", counters.tlb_pages),
        ("TLB spaces", counters.tlb_spaces),
        ("tasks started", kernel.tasks_started()),
    ];
    for (name, count) in lines {
        eprintln!("{name:<16} {count:>10}");
    }
    eprintln!("{:<16} {:>10}", "frames in use", machine.frames_in_use());
}
