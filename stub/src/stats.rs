// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--stats`: what the run cost and what it left behind, on standard error: one counter
//! a line, or one line of JSON at the end with `--json`.

use elfuse_kernel::boot::Booted;
use elfuse_kernel::gauge;
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
                eprintln!("{name:<20} {count:>10}");
            }
        }
        Form::Json => {
            let fields = lines
                .iter()
                .map(|(name, count)| format!("\"{}\":{count}", key(name)));
            let fields: Vec<String> = fields.collect();
            eprintln!("{{{}}}", fields.join(","));
        }
    }
}

fn key(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(' ', "_")
}

fn counters(machine: &Machine, booted: &Booted) -> Vec<(String, u64)> {
    let mut lines = costs(machine, booted);
    lines.extend(remains(machine));
    lines
}

fn costs(machine: &Machine, booted: &Booted) -> Vec<(String, u64)> {
    let counters = machine.counters();
    let kernel = booted.kernel();
    let costs = [
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
    ];
    costs.map(|(name, count)| (name.to_owned(), count)).to_vec()
}

/// What is there when the last process has ended, and what was there at most. A run
/// that does a thing a thousand times leaves no more than one that does it ten times.
fn remains(machine: &Machine) -> Vec<(String, u64)> {
    let mut lines = vec![
        ("frames in use".to_owned(), machine.frames_in_use()),
        ("frames peak".to_owned(), machine.frames_peak()),
        ("file windows".to_owned(), machine.windows()),
        ("host descriptors".to_owned(), host_descriptors()),
    ];
    for gauge in gauge::read() {
        lines.push((gauge.name.to_owned(), gauge.now));
        lines.push((format!("{} peak", gauge.name), gauge.peak));
    }
    let wide = |(name, count)| (name, u64::try_from(count).unwrap_or(u64::MAX));
    lines.into_iter().map(wide).collect()
}

/// Open descriptors of this program, without the one that lists them.
fn host_descriptors() -> usize {
    let listed = std::fs::read_dir("/dev/fd").map_or(0, Iterator::count);
    listed.saturating_sub(1)
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
