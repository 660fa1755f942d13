// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel: what there is one of.
//!
//! [`Kernel`] owns the machine, the scheduler, the clocks and the table of
//! processes. `boot.rs` makes one and runs its first program; everything else
//! reaches it through a task.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use elfuse_machine::Machine;
use elfuse_machine::host::HostRandom;
use linux_abi::Errno;
use linux_abi::mman::ProtFlags;
use linux_abi::resource::RLIMIT_SIGPENDING;
use linux_abi::signal::SigInfo;

use crate::fs::world::FileWorld;
use crate::futex::Futexes;
use crate::mm::{GuestAddr, MMAP_MIN, Mm};
use crate::net::Network;
use crate::sched::Scheduler;
use crate::signal::{StopChange, Target};
use crate::sync::{Rank, Ranked};
use crate::task::{ExitStatus, Process, ProcessTable, Task, Usage};
use crate::time::{Clock, Timers};
use crate::trace::Trace;

/// What the kernel is told once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that may live at once.
    pub max_tasks: usize,
    /// `uname` release.
    pub release: String,
    /// Virtual processors.
    pub cpus: usize,
    /// Fixed seed for everything random, for tests.
    pub seed: Option<u64>,
}

/// Names of the machine (`uname`).
#[derive(Clone, Debug)]
pub struct UtsName {
    /// Host name.
    pub node: Vec<u8>,
    /// NIS domain.
    pub domain: Vec<u8>,
}

/// Where the kernel's parts come from.
pub struct Parts {
    /// Guest memory and processors.
    pub machine: Arc<Machine>,
    /// Clocks.
    pub clock: Clock,
    /// Random bytes of the host.
    pub random: Arc<dyn HostRandom>,
    /// Mounts, drivers, anonymous files.
    pub files: Arc<FileWorld>,
    /// Names.
    pub uts: UtsName,
    /// Sockets of the Internet, if there are any.
    pub network: Option<Arc<Network>>,
    /// `--strace`.
    pub trace: Option<Trace>,
    /// Options.
    pub options: Options,
}

/// The kernel.
pub struct Kernel {
    machine: Arc<Machine>,
    clock: Clock,
    timers: Arc<Timers>,
    scheduler: Arc<Scheduler>,
    futexes: Futexes,
    processes: Ranked<ProcessTable>,
    files: Arc<FileWorld>,
    uts: Ranked<UtsName>,
    random: Arc<dyn HostRandom>,
    /// State of the seeded generator.
    seeded: AtomicU64,
    network: Option<Arc<Network>>,
    trace: Option<Trace>,
    options: Options,
    tasks_started: AtomicU64,
    tasks_alive: AtomicUsize,
    calls: AtomicU64,
    /// Tears of file windows after which address spaces were gone through.
    tears_seen: AtomicU64,
    status: Mutex<Option<ExitStatus>>,
    finished: Condvar,
}

impl Kernel {
    /// Puts a kernel together; nothing runs yet.
    ///
    /// # Errors
    /// When the host gives no thread for timers.
    pub fn new(parts: Parts) -> std::io::Result<Arc<Self>> {
        let timers = Arc::new(Timers::start(parts.clock.clone())?);
        let scheduler = Scheduler::new(Arc::clone(&timers), parts.clock.clone());
        Ok(Arc::new(Self {
            tears_seen: AtomicU64::new(parts.machine.tears()),
            machine: parts.machine,
            clock: parts.clock,
            timers,
            scheduler,
            futexes: Futexes::default(),
            processes: Ranked::new(Rank::Processes, ProcessTable::default()),
            files: parts.files,
            uts: Ranked::new(Rank::Fields, parts.uts),
            random: parts.random,
            seeded: AtomicU64::new(parts.options.seed.unwrap_or(0)),
            network: parts.network,
            trace: parts.trace,
            options: parts.options,
            tasks_started: AtomicU64::new(0),
            tasks_alive: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            status: Mutex::new(None),
            finished: Condvar::new(),
        }))
    }

    /// Guest memory and processors.
    #[must_use]
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Clocks.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Timers.
    #[must_use]
    pub fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    /// The scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// Futexes.
    #[must_use]
    pub fn futexes(&self) -> &Futexes {
        &self.futexes
    }

    /// Who is whose parent, group and session.
    #[must_use]
    pub fn processes(&self) -> &Ranked<ProcessTable> {
        &self.processes
    }

    /// Mounts, drivers, anonymous files.
    #[must_use]
    pub fn files(&self) -> &Arc<FileWorld> {
        &self.files
    }

    /// Names of the machine.
    #[must_use]
    pub fn uts(&self) -> &Ranked<UtsName> {
        &self.uts
    }

    /// Options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sockets of the Internet, if there are any.
    #[must_use]
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// `--strace`, when it is on.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Fills `buf` with random bytes.
    pub fn fill_random(&self, buf: &mut [u8]) {
        if self.options.seed.is_none() {
            self.random.fill(buf);
            return;
        }
        for chunk in buf.chunks_mut(8) {
            let bytes = self.next_seeded().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }

    /// SplitMix64: not for secrets, only for runs that can be repeated.
    fn next_seeded(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .seeded
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 64 random bits.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// 16 random bytes, as every program gets.
    #[must_use]
    pub fn random_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill_random(&mut bytes);
        bytes
    }

    /// Usage of a process: of its living threads and of those that are gone.
    #[must_use]
    pub fn usage_of(&self, pid: i32) -> Usage {
        let table = self.processes.lock();
        let Some(entry) = table.get(pid) else {
            return Usage::default();
        };
        let mut usage = entry.usage;
        let threads: Vec<Arc<Task>> = entry.threads.values().cloned().collect();
        drop(table);
        threads.iter().for_each(|task| usage.add(&task.usage()));
        if let Some(mm) = threads.first().and_then(|task| task.mm().ok()) {
            (usage.minor_faults, usage.major_faults) = mm.faults();
            usage.peak_resident = mm.summary().peak_resident;
        }
        usage
    }

    /// Sends a signal that the sender may send.
    ///
    /// # Errors
    /// `EAGAIN` at `limit` queued signals, `ESRCH` when the thread is gone.
    pub fn send_signal(
        self: &Arc<Self>,
        process: &Arc<Process>,
        info: SigInfo,
        target: Target,
        limit: u64,
    ) -> Result<(), Errno> {
        let limit = limit.min(process.limits().soft(RLIMIT_SIGPENDING).max(1));
        let change = process.signals().send(info, target, limit)?;
        if change == StopChange::Continued {
            self.notify_parent_of_stop(process.pid(), None);
        }
        Ok(())
    }

    /// Maps the vDSO; answers its address and that of `__kernel_rt_sigreturn`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_vdso(&self, mm: &Mm) -> Result<(u64, u64), Errno> {
        let image = self.machine.vdso();
        let pages = image.pages();
        let len = u64::try_from(pages.len()).unwrap_or(0) * crate::mm::PAGE;
        let layout = mm.layout();
        let base = mm
            .areas()
            .find_free(len, MMAP_MIN..layout.mmap_base)
            .ok_or(Errno::ENOMEM)?;
        mm.map_special(GuestAddr(base), pages, ProtFlags::READ | ProtFlags::EXEC)?;
        Ok((base + image.elf_offset(), base + image.sigreturn()))
    }

    pub(crate) fn note_task_start(&self) {
        self.tasks_started.fetch_add(1, Ordering::Relaxed);
        self.tasks_alive.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_task_end(&self) {
        if self.tasks_alive.fetch_sub(1, Ordering::SeqCst) == 1 {
            drop(self.status.lock().unwrap_or_else(PoisonError::into_inner));
            self.finished.notify_all();
        }
    }

    pub(crate) fn note_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// System calls that came to the kernel.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Threads that live.
    #[must_use]
    pub fn tasks_alive(&self) -> usize {
        self.tasks_alive.load(Ordering::Relaxed)
    }

    /// Threads that ever lived (`processes` in `/proc/stat`).
    #[must_use]
    pub fn tasks_started(&self) -> u64 {
        self.tasks_started.load(Ordering::Relaxed)
    }

    pub(crate) fn note_out_of_memory(&self, task: &Task) {
        let name = String::from_utf8_lossy(&task.name()).into_owned();
        eprintln!(
            "elfuse: out of memory: kill process {} ({name})",
            task.pid()
        );
    }

    /// Has every process let go of files of the image that somebody cut short on the
    /// host; what is left of them comes back page by page. Called with no lock held.
    pub(crate) fn forget_torn_files(&self) {
        let tears = self.machine.tears();
        if self.tears_seen.load(Ordering::SeqCst) == tears {
            return;
        }
        let tasks: Vec<_> = {
            let table = self.processes.lock();
            let threads = table.iter().map(|(_, entry)| entry.threads.values());
            threads.filter_map(|mut all| all.next().cloned()).collect()
        };
        for mm in tasks.iter().filter_map(|task| task.mm().ok()) {
            mm.space().unmap_torn();
        }
        self.tears_seen.store(tears, Ordering::SeqCst);
    }

    /// The first process has ended: everybody else does too.
    pub(crate) fn finish(self: &Arc<Self>, status: ExitStatus) {
        let mut slot = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(status);
        drop(slot);
        let table = self.processes.lock();
        let others: Vec<_> = table
            .iter()
            .map(|(_, entry)| Arc::clone(&entry.process))
            .collect();
        drop(table);
        let killed = ExitStatus::Signal {
            signal: linux_abi::signal::SIGKILL,
            dumps_core: false,
        };
        for process in others {
            process.signals().start_group_exit(killed);
        }
        self.finished.notify_all();
    }

    /// Has the first process ended?
    pub(crate) fn is_finishing(&self) -> bool {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.is_some()
    }

    /// There is no processor to run anything on.
    pub(crate) fn give_up(&self) {
        let mut slot = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(ExitStatus::Code(125));
        drop(slot);
        self.tasks_alive.store(0, Ordering::SeqCst);
        self.finished.notify_all();
    }

    /// Waits until the first process has ended and all others after it.
    #[must_use]
    pub fn wait_until_finished(&self) -> ExitStatus {
        let mut slot = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(status) = *slot
                && self.tasks_alive() == 0
            {
                return status;
            }
            slot = self
                .finished
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
