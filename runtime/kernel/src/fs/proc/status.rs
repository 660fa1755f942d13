// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stat`, `statm`, `status` and `limits` of a process (`fs/proc/array.c`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::resource::RLIM_INFINITY;
use linux_abi::signal::{SIG_DFL, SIG_IGN};

use super::kernel;
use super::process::Subject;
use crate::file::Caller;
use crate::mm::{Layout, MmSummary};
use crate::task::{Task, Usage};
use crate::tty::Job;

/// Nanoseconds of a clock tick (`USER_HZ` is 100).
const TICK_NS: u64 = 10_000_000;
const PAGE: u64 = 4096;
const KIB: u64 = 1024;

/// What the process table knows, whether the process lives or not.
struct Known {
    name: Vec<u8>,
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    threads: usize,
    exit_signal: i32,
    exit_status: i32,
    uid: u32,
    child_usage: Usage,
}

fn known(caller: &Caller<'_>, subject: Subject) -> Result<Known, Errno> {
    let task = subject.task(caller).ok();
    let state = task.as_ref().map_or('Z', |task| state_of(task));
    let name = task.as_ref().map(|task| task.name());
    let table = kernel(caller)?.processes().lock();
    let entry = table.get(subject.pid).ok_or(Errno::ESRCH)?;
    Ok(Known {
        name: name.unwrap_or_else(|| entry.last_name.clone()),
        state,
        parent: entry.parent,
        group: entry.pgid,
        session: entry.session.sid(),
        threads: entry.threads.len(),
        exit_signal: entry.exit_signal,
        exit_status: entry.ended.map_or(0, |ended| ended.wait_status()),
        uid: entry.uid,
        child_usage: entry.child_usage,
    })
}

fn state_of(task: &Task) -> char {
    if task.signals().is_stopped() {
        'T'
    } else if task.is_waiting() {
        'S'
    } else {
        'R'
    }
}

/// The name of a process, of an ended one, too.
pub(super) fn name_of(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    known(caller, subject).map(|known| known.name)
}

/// Pending, blocked, ignored and caught signals.
struct SignalSets {
    pending: u64,
    shared: u64,
    blocked: u64,
    ignored: u64,
    caught: u64,
}

fn signal_sets(task: &Task) -> SignalSets {
    let [pending, shared, blocked] = task.signals().sets(task.tid());
    let (mut ignored, mut caught) = (0, 0);
    for signal in 1..=64 {
        match task.signals().actions().get(signal).handler {
            SIG_DFL => {}
            SIG_IGN => ignored |= 1 << (signal - 1),
            _ => caught |= 1 << (signal - 1),
        }
    }
    SignalSets {
        pending: pending.0,
        shared: shared.0,
        blocked: blocked.0,
        ignored,
        caught,
    }
}

struct Memory {
    summary: MmSummary,
    layout: Layout,
}

fn memory_of(task: &Task) -> Option<Memory> {
    let mm = task.mm().ok()?;
    Some(Memory {
        summary: mm.summary(),
        layout: mm.layout(),
    })
}

fn ticks(ns: u64) -> u64 {
    ns / TICK_NS
}

/// `/proc/PID/stat`.
pub(super) fn stat(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let known = known(caller, subject)?;
    let kernel = kernel(caller)?;
    let task = subject.task(caller).ok();
    let usage = match &task {
        Some(task) if subject.is_thread => task.usage(),
        _ => kernel.usage_of(subject.pid),
    };
    let memory = task.as_ref().and_then(|task| memory_of(task));
    let signals = task.as_ref().map(|task| signal_sets(task));
    let terminal = task.as_ref().and_then(|task| task.controlling());
    let (tty, foreground) = terminal.map_or((0, -1), |tty| (tty.dev(), tty.foreground()));
    let (nice, policy, priority) = task.as_ref().map_or((0, 0, 0), |task| {
        let scheduling = *task.scheduling.lock();
        (scheduling.nice, scheduling.policy, scheduling.priority)
    });
    let start = task
        .as_ref()
        .map_or(0, |t| t.start_ns.saturating_sub(kernel.clock().boot_ns()));
    let child = known.child_usage;
    let mut text = format!("{} (", subject.tid).into_bytes();
    text.extend_from_slice(&known.name);
    let (summary, layout) = memory.map_or_else(Default::default, |m| (m.summary, m.layout));
    let sets = signals.map_or([0; 4], |s| {
        [s.pending | s.shared, s.blocked, s.ignored, s.caught]
    });
    let mut rest = String::new();
    // The fields in groups of their own, as proc_pid_stat(5) numbers them.
    let _ = write!(
        rest,
        ") {} {} {} {} {tty} {foreground} 4194304 {} {} {} {}",
        known.state,
        known.parent,
        known.group,
        known.session,
        usage.minor_faults,
        child.minor_faults,
        usage.major_faults,
        child.major_faults,
    );
    let _ = write!(
        rest,
        " {} {} {} {} {} {nice} {} 0 {} {} {}",
        ticks(usage.user_ns),
        ticks(usage.system_ns),
        ticks(child.user_ns),
        ticks(child.system_ns),
        20 + nice,
        known.threads,
        ticks(start),
        summary.total,
        summary.resident / PAGE,
    );
    let _ = write!(
        rest,
        " {} {} {} {} 0 0 {} {} {} {} 0 0 0 {} 0 {priority} {policy} 0 0 0",
        u64::MAX,
        layout.code_start,
        layout.code_end,
        layout.stack_start,
        sets[0] & 0x7fff_ffff,
        sets[1] & 0x7fff_ffff,
        sets[2] & 0x7fff_ffff,
        sets[3] & 0x7fff_ffff,
        known.exit_signal,
    );
    let _ = writeln!(
        rest,
        " 0 0 {} {} {} {} {} {}",
        layout.brk_start,
        layout.arg_start,
        layout.arg_end,
        layout.env_start,
        layout.env_end,
        known.exit_status,
    );
    text.extend_from_slice(rest.as_bytes());
    Ok(text)
}

/// `/proc/PID/statm`, in pages.
pub(super) fn statm(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let task = subject.task(caller).ok();
    let s = task
        .and_then(|task| memory_of(&task))
        .map(|m| m.summary)
        .unwrap_or_default();
    let [total, resident, text, data] =
        [s.total, s.resident, s.text, s.data + s.stack].map(|bytes| bytes / PAGE);
    Ok(format!("{total} {resident} 0 {text} 0 {data} 0\n").into_bytes())
}

fn long_state(state: char) -> &'static str {
    match state {
        'R' => "R (running)",
        'S' => "S (sleeping)",
        'T' => "T (stopped)",
        _ => "Z (zombie)",
    }
}

/// `/proc/PID/status`.
pub(super) fn status(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let known = known(caller, subject)?;
    let task = subject.task(caller).ok();
    let mut head = b"Name:\t".to_vec();
    for &byte in &known.name {
        match byte {
            b'\n' => head.extend_from_slice(b"\\n"),
            b'\\' => head.extend_from_slice(b"\\\\"),
            _ => head.push(byte),
        }
    }
    let mut text = String::new();
    let umask = task
        .as_ref()
        .and_then(|task| task.fs().ok())
        .map(|fs| fs.umask());
    if let Some(umask) = umask {
        let _ = write!(text, "\nUmask:\t{umask:04o}");
    }
    let _ = write!(
        text,
        "\nState:\t{}\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n",
        long_state(known.state),
        subject.pid,
        subject.tid,
        known.parent,
    );
    match &task {
        Some(task) => credentials(&mut text, task),
        None => {
            let uid = known.uid;
            let _ = writeln!(text, "Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t0");
        }
    }
    let size = task
        .as_ref()
        .and_then(|task| task.files().ok())
        .map_or(0, |files| files.capacity());
    let _ = writeln!(text, "FDSize:\t{size}");
    if let Some(task) = &task {
        groups(&mut text, task);
        if let Some(memory) = memory_of(task) {
            sizes(&mut text, &memory.summary);
        }
        let _ = writeln!(text, "CoreDumping:\t0\nTHP_enabled:\t1");
        let _ = writeln!(text, "Threads:\t{}", known.threads);
        signals(&mut text, task);
        capabilities(&mut text, task);
    } else {
        let _ = writeln!(text, "Threads:\t1");
    }
    head.extend_from_slice(text.as_bytes());
    Ok(head)
}

fn credentials(text: &mut String, task: &Task) {
    let creds = task.creds();
    for (label, ids) in [("Uid", &creds.uid), ("Gid", &creds.gid)] {
        let _ = writeln!(
            text,
            "{label}:\t{}\t{}\t{}\t{}",
            ids.real, ids.effective, ids.saved, ids.fs
        );
    }
}

fn groups(text: &mut String, task: &Task) {
    text.push_str("Groups:\t");
    for group in task.creds().groups.iter() {
        let _ = write!(text, "{group} ");
    }
    let (pid, tid, group, session) = (task.pid(), task.tid(), task.group(), task.session());
    let _ = writeln!(
        text,
        "\nNStgid:\t{pid}\nNSpid:\t{tid}\nNSpgid:\t{group}\nNSsid:\t{session}"
    );
}

fn sizes(text: &mut String, s: &MmSummary) {
    let rows = [
        ("VmPeak", s.total),
        ("VmSize", s.total),
        ("VmLck", s.locked),
        ("VmPin", 0),
        ("VmHWM", s.peak_resident),
        ("VmRSS", s.resident),
        ("RssAnon", s.resident),
        ("RssFile", 0),
        ("RssShmem", 0),
        ("VmData", s.data),
        ("VmStk", s.stack),
        ("VmExe", s.text),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ];
    for (label, bytes) in rows {
        let _ = writeln!(text, "{label}:\t{:8} kB", bytes / KIB);
    }
}

fn signals(text: &mut String, task: &Task) {
    let sets = signal_sets(task);
    let limit = task
        .process()
        .limits()
        .soft(linux_abi::resource::RLIMIT_SIGPENDING);
    let _ = writeln!(text, "SigQ:\t{}/{limit}", task.signals().queued());
    let rows = [
        ("SigPnd", sets.pending),
        ("ShdPnd", sets.shared),
        ("SigBlk", sets.blocked),
        ("SigIgn", sets.ignored),
        ("SigCgt", sets.caught),
    ];
    for (label, set) in rows {
        let _ = writeln!(text, "{label}:\t{set:016x}");
    }
}

fn capabilities(text: &mut String, task: &Task) {
    let creds = task.creds();
    let caps = &creds.caps;
    let rows = [
        ("CapInh", caps.inheritable),
        ("CapPrm", caps.permitted),
        ("CapEff", caps.effective),
        ("CapBnd", caps.bounding),
        ("CapAmb", caps.ambient),
    ];
    for (label, set) in rows {
        let _ = writeln!(text, "{label}:\t{set:016x}");
    }
    let _ = writeln!(
        text,
        "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0",
        u8::from(creds.no_new_privs)
    );
    let affinity = task.scheduling.lock().affinity;
    let _ = writeln!(
        text,
        "Cpus_allowed:\t{affinity:x}\nCpus_allowed_list:\t{}",
        cpu_list(affinity)
    );
    let _ = writeln!(text, "Mems_allowed:\t1\nMems_allowed_list:\t0");
    let voluntary = task.voluntary_switches.load(Ordering::Relaxed);
    let involuntary = task.involuntary_switches.load(Ordering::Relaxed);
    let _ = writeln!(text, "voluntary_ctxt_switches:\t{voluntary}");
    let _ = writeln!(text, "nonvoluntary_ctxt_switches:\t{involuntary}");
}

/// Processors of a mask as ranges: `0-3,5`.
pub(super) fn cpu_list(mask: u64) -> String {
    let mut ranges = Vec::new();
    let mut cpu = 0;
    while cpu < 64 {
        if mask & (1 << cpu) == 0 {
            cpu += 1;
            continue;
        }
        let first = cpu;
        while cpu < 64 && mask & (1 << cpu) != 0 {
            cpu += 1;
        }
        let last = cpu - 1;
        ranges.push(if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        });
    }
    ranges.join(",")
}

/// Names and units of `/proc/PID/limits`, in the order of their numbers.
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

/// `/proc/PID/limits`.
pub(super) fn limits(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let task: Arc<Task> = subject.task(caller)?;
    let mut text = format!(
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit", "Soft Limit", "Hard Limit", "Units"
    );
    for (which, (label, unit)) in LIMITS.iter().enumerate() {
        let limit = task.process().limits().get(which)?;
        let show = |value: u64| {
            if value == RLIM_INFINITY {
                "unlimited".to_owned()
            } else {
                value.to_string()
            }
        };
        let (soft, hard) = (show(limit.cur), show(limit.max));
        let _ = writeln!(text, "{label:<25} {soft:<20} {hard:<20} {unit:<10}");
    }
    Ok(text.into_bytes())
}
