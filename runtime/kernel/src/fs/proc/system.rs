// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of `/proc` that are about the system.

use std::fmt::Write as _;

use linux_abi::Errno;

use super::kernel;
use crate::budget::DESCRIPTIONS;
use crate::file::Caller;
use crate::fs::virtual_fs::{FixedDir, LinkTarget, VirtualNode, VirtualSpace};
use crate::gauge::OPEN_FILES;
use crate::kernel::Kernel;

/// Nanoseconds of a clock tick.
const TICK_NS: u64 = 10_000_000;
const NS: u64 = 1_000_000_000;
const FIRST_INO: u64 = 16;

/// Hands out inode numbers below those of processes.
struct Numbers<'a> {
    space: &'a VirtualSpace,
    next: u64,
}

impl Numbers<'_> {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn text(&mut self, read: impl Fn(&Kernel) -> String + Send + Sync + 'static) -> VirtualNode {
        let ino = self.number();
        self.space.text(ino, 0o444, move |caller: &Caller<'_>| {
            Ok(read(kernel(caller)?).into_bytes())
        })
    }

    fn fixed(&mut self, text: &'static str) -> VirtualNode {
        self.text(move |_| text.to_owned())
    }

    fn dir(&mut self, dir: FixedDir) -> VirtualNode {
        let ino = self.number();
        self.space.dir(ino, 0o555, dir)
    }

    fn link(&mut self, target: &'static str) -> VirtualNode {
        let ino = self.number();
        self.space.link(ino, move |_| {
            Ok(LinkTarget {
                text: target.as_bytes().to_vec(),
                place: None,
            })
        })
    }
}

/// Everything in `/proc` that is no process.
pub(super) fn entries(space: &VirtualSpace) -> FixedDir {
    let n = &mut Numbers {
        space,
        next: FIRST_INO,
    };
    FixedDir::new()
        .with("cmdline", n.fixed("elfuse\n"))
        .with("cpuinfo", n.text(cpuinfo))
        .with("devices", n.fixed(DEVICES))
        .with("diskstats", n.fixed(""))
        .with("filesystems", n.fixed(FILESYSTEMS))
        .with("interrupts", n.fixed(""))
        .with("loadavg", n.text(loadavg))
        .with("meminfo", n.text(meminfo))
        .with("modules", n.fixed(""))
        .with("mounts", n.link("self/mounts"))
        .with("net", n.link("self/net"))
        .with("partitions", n.fixed("major minor  #blocks  name\n\n"))
        .with("stat", n.text(stat))
        .with(
            "swaps",
            n.fixed("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
        )
        .with("sys", sys(n))
        .with("uptime", n.text(uptime))
        .with("version", n.text(version))
        .with("vmstat", n.text(vmstat))
}

const DEVICES: &str = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n";
const FILESYSTEMS: &str = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tpipefs\nnodev\tsockfs\nnodev\tdevpts\nnodev\toverlay\n\text4\n";

fn cpuinfo(kernel: &Kernel) -> String {
    let mut text = String::new();
    for cpu in 0..kernel.options().cpus {
        let _ = write!(
            text,
            "processor\t: {cpu}\nBogoMIPS\t: 48.00\n\
             Features\t: fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid\n\
             CPU implementer\t: 0x61\nCPU architecture: 8\nCPU variant\t: 0x0\n\
             CPU part\t: 0x000\nCPU revision\t: 0\n\n"
        );
    }
    text
}

/// Running and all threads.
fn thread_counts(kernel: &Kernel) -> (usize, usize, i32) {
    let table = kernel.processes().lock();
    let threads = table.iter().flat_map(|(_, entry)| entry.threads.values());
    let running = threads.filter(|task| !task.is_waiting()).count();
    let last = table.iter().map(|(pid, _)| *pid).max().unwrap_or(0);
    (running, table.thread_count(), last)
}

fn loadavg(kernel: &Kernel) -> String {
    let (running, all, last) = thread_counts(kernel);
    format!("0.00 0.00 0.00 {}/{all} {last}\n", running.max(1))
}

fn meminfo(kernel: &Kernel) -> String {
    let kib = |frames: usize| u64::try_from(frames).unwrap_or(0) * 4;
    let total = kib(kernel.machine().frames_total());
    let free = total.saturating_sub(kib(kernel.machine().frames_in_use()));
    let used = total - free;
    let rows = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", used),
        ("Inactive", 0),
        ("Active(anon)", used),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", used),
        ("Mapped", 0),
        ("Shmem", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("KernelStack", 0),
        ("PageTables", 0),
        ("CommitLimit", total),
        ("Committed_AS", used),
        ("VmallocTotal", 0),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
    ];
    let mut text = String::new();
    for (label, kib) in rows {
        let _ = writeln!(text, "{:<16}{kib:8} kB", format!("{label}:"));
    }
    text
}

fn stat(kernel: &Kernel) -> String {
    let up = kernel.clock().uptime_ns() / TICK_NS;
    let cpus = kernel.options().cpus;
    let mut text = String::new();
    let idle = u64::try_from(cpus).unwrap_or(1) * up;
    let _ = writeln!(text, "cpu  0 0 0 {idle} 0 0 0 0 0 0");
    for cpu in 0..cpus {
        let _ = writeln!(text, "cpu{cpu} 0 0 0 {up} 0 0 0 0 0 0");
    }
    let (running, ..) = thread_counts(kernel);
    let booted = kernel
        .clock()
        .realtime_ns()
        .saturating_sub(kernel.clock().uptime_ns())
        / NS;
    let started = kernel.tasks_started();
    let _ = writeln!(text, "intr 0\nctxt 0\nbtime {booted}\nprocesses {started}");
    let _ = writeln!(
        text,
        "procs_running {}\nprocs_blocked 0\nsoftirq 0",
        running.max(1)
    );
    text
}

fn uptime(kernel: &Kernel) -> String {
    let hundredths = kernel.clock().uptime_ns() / TICK_NS;
    let (seconds, rest) = (hundredths / 100, hundredths % 100);
    format!("{seconds}.{rest:02} {seconds}.{rest:02}\n")
}

fn version(kernel: &Kernel) -> String {
    let release = &kernel.options().release;
    format!("Linux version {release} (elfuse) #1 SMP PREEMPT\n")
}

fn vmstat(kernel: &Kernel) -> String {
    let total = kernel.machine().frames_total();
    let free = total.saturating_sub(kernel.machine().frames_in_use());
    format!("nr_free_pages {free}\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\n")
}

/// A random identifier in the usual notation (version 4).
fn file_nr(_: &Kernel) -> String {
    format!("{}\t0\t{}\n", OPEN_FILES.now(), DESCRIPTIONS.limit())
}

fn uuid(kernel: &Kernel) -> String {
    let mut b = kernel.random_bytes();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-") + "\n"
}

fn sys(n: &mut Numbers<'_>) -> VirtualNode {
    let kernel_dir = sys_kernel(n);
    let vm = FixedDir::new()
        .with("max_map_count", n.fixed("65530\n"))
        .with("mmap_min_addr", n.fixed("65536\n"))
        .with("overcommit_memory", n.fixed("0\n"))
        .with("overcommit_ratio", n.fixed("50\n"))
        .with("swappiness", n.fixed("60\n"));
    let vm = n.dir(vm);
    let inotify = FixedDir::new()
        .with("max_queued_events", n.fixed("16384\n"))
        .with("max_user_instances", n.fixed("128\n"))
        .with("max_user_watches", n.fixed("65536\n"));
    let inotify = n.dir(inotify);
    let fs = FixedDir::new()
        .with(
            "file-max",
            n.text(|_| format!("{}\n", DESCRIPTIONS.limit())),
        )
        .with("file-nr", n.text(file_nr))
        .with("inotify", inotify)
        .with("nr_open", n.fixed("1048576\n"))
        .with("pipe-max-size", n.fixed("1048576\n"))
        .with("protected_hardlinks", n.fixed("0\n"))
        .with("protected_symlinks", n.fixed("0\n"));
    let fs = n.dir(fs);
    let core = FixedDir::new().with("somaxconn", n.fixed("4096\n"));
    let core = n.dir(core);
    let net = n.dir(FixedDir::new().with("core", core));
    n.dir(
        FixedDir::new()
            .with("fs", fs)
            .with("kernel", kernel_dir)
            .with("net", net)
            .with("vm", vm),
    )
}

fn sys_kernel(n: &mut Numbers<'_>) -> VirtualNode {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned() + "\n";
    let boot_id = std::sync::OnceLock::new();
    let random = FixedDir::new()
        .with(
            "boot_id",
            n.text(move |kernel| boot_id.get_or_init(|| uuid(kernel)).clone()),
        )
        .with("entropy_avail", n.fixed("256\n"))
        .with("poolsize", n.fixed("256\n"))
        .with("uuid", n.text(uuid));
    let random = n.dir(random);
    let pty = FixedDir::new().with("max", n.fixed("4096\n"));
    let pty = n.dir(pty);
    let dir = FixedDir::new()
        .with("cap_last_cap", n.fixed("40\n"))
        .with("core_pattern", n.fixed("core\n"))
        .with("core_uses_pid", n.fixed("0\n"))
        .with(
            "domainname",
            n.text(move |kernel| text(&kernel.uts().lock().domain)),
        )
        .with(
            "hostname",
            n.text(move |kernel| text(&kernel.uts().lock().node)),
        )
        .with("ngroups_max", n.fixed("65536\n"))
        .with(
            "osrelease",
            n.text(|kernel| format!("{}\n", kernel.options().release)),
        )
        .with("ostype", n.fixed("Linux\n"))
        .with("overflowgid", n.fixed("65534\n"))
        .with("overflowuid", n.fixed("65534\n"))
        .with("pid_max", n.fixed("32768\n"))
        .with("pty", pty)
        .with("random", random)
        .with("randomize_va_space", n.fixed("2\n"))
        .with(
            "threads-max",
            n.text(|kernel| format!("{}\n", kernel.options().max_tasks)),
        )
        .with("version", n.fixed("#1 SMP PREEMPT\n"));
    n.dir(dir)
}

/// `/proc/PID/net`: no interfaces are shown; local sockets are not listed.
pub(super) fn net_dir(space: &VirtualSpace, ino: u64) -> VirtualNode {
    let text = |offset: u64, text: &'static str| {
        space.text(ino + offset, 0o444, move |_| {
            Ok::<_, Errno>(text.as_bytes().to_vec())
        })
    };
    let dir = FixedDir::new()
        .with("dev", text(1, NET_DEV))
        .with("route", text(2, "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"))
        .with("unix", text(3, "Num       RefCount Protocol Flags    Type St Inode Path\n"));
    space.dir(ino, 0o555, dir)
}

const NET_DEV: &str = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
