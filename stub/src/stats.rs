// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--stats`: what the run cost, on standard error: one counter a line, or one line of
//! JSON at the end with `--json`.

use elfuse_kernel::boot::Booted;
use elfuse_machine::Machine;

/// How counters are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A name and a number a line.
    Lines,
    /// One object in one line: names have underscores.
    Json,
}

/// Prints all counters.
pub(crate) fn print(machine: &Machine, booted: &Booted, form: Form) {
    let lines = counters(machine, booted);
    match form {
        Form::Lines => {
            for (name, count) in lines {
                eprintln!("{name:<16} {count:>10}");
            }
        }
        Form::Json => {
            let fields = lines.map(|(name, count)| format!("\"{}\":{count}", key(name)));
            eprintln!("{{{}}}", fields.join(","));
        }
    }
}

fn key(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(' ', "_")
}

fn counters(machine: &Machine, booted: &Booted) -> [(&'static str, u64); 12] {
    let counters = machine.counters();
    let kernel = booted.kernel();
    let frames = u64::try_from(machine.frames_in_use()).unwrap_or(u64::MAX);
    [
        ("system calls", kernel.calls()),
        ("  answered fast", counters.fast_calls),
        ("exits", counters.exits),
        ("faults", counters.faults),
        ("kicks", counters.kicks),
        ("thread switches", counters.thread_switches),
        ("register calls", counters.register_calls),
        ("stray exits", counters.stray_exits),
        ("TLB pages", counters.tlb_pages),
        ("TLB spaces", counters.tlb_spaces),
        ("tasks started", kernel.tasks_started()),
        ("frames in use", frames),
    ]
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn names_become_keys() {
        assert_eq!(key("  answered fast"), "answered_fast");
        assert_eq!(key("TLB pages"), "tlb_pages");
    }
}
