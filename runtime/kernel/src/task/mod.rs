// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks: threads of guest programs, and the processes they form.
//!
//! [`Task`] is a thread, [`Process`] what its threads share for life, and
//! [`ProcessTable`] who is whose parent, group and session. The run loop is in
//! `run.rs`; life is split by verb: clone, exec, exit, wait. What `clone` may share
//! or copy (memory, descriptors, directories, actions) hangs on the task behind
//! `Arc`s of their own.

mod blocking;
mod clone;
mod exec;
mod exit;
mod init;
mod meter;
mod process;
mod reaper;
mod robust;
mod run;
mod session;
mod table;
mod wait;

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elfuse_machine::{AttentionHandle, Ids, ThreadState};
use linux_abi::Errno;
use linux_abi::signal::SigInfo;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::creds::Creds;
use crate::error::RestartBlock;
use crate::file::{Caller, FdTable, FsContext};
use crate::gauge::{self, Counted};
use crate::kernel::Kernel;
use crate::mm::{MemLimits, Mm, UserAddr, UserMemory};
use crate::sched::{Strand, StrandWaker};
use crate::signal::{Notify, Signals};
use crate::sync::{Rank, Ranked};
use crate::vfs::FsCred;
use crate::wait::{WaitQueue, Wakeable};

pub use clone::CloneRequest;
pub use exec::ExecRequest;
pub use init::FirstTask;
pub use meter::Meter;
pub use process::{AtEnd, ExitStatus, Process, Usage};
pub use robust::RseqState;
pub(crate) use run::Runner;
pub use session::{KernelGroups, Session};
pub use table::{Entry, ProcessTable};
pub use wait::{WaitRequest, WaitWho, Waited};

/// What a task gives up when it ends or executes a program.
#[derive(Clone, Default)]
struct Resources {
    mm: Option<Arc<Mm>>,
    files: Option<Arc<FdTable>>,
    fs: Option<Arc<FsContext>>,
}

/// What a `vfork` parent waits for: that the child has given its memory back.
#[derive(Default)]
pub struct VforkDone {
    is_done: AtomicBool,
    queue: WaitQueue,
}

/// A thread of a guest program.
pub struct Task {
    tid: AtomicI32,
    process: Arc<Process>,
    kernel: Arc<Kernel>,
    strand: Arc<Strand>,
    waker: Arc<dyn Wakeable>,
    resources: Ranked<Resources>,
    creds: Ranked<Arc<Creds>>,
    name: Ranked<[u8; 16]>,
    /// Registers. Only the task itself takes this lock, so it may hold it while the
    /// guest runs.
    thread: Mutex<ThreadState>,
    attention: AttentionHandle,
    has_work: Arc<AtomicBool>,
    restart: Ranked<Option<RestartBlock>>,
    /// Word that is cleared and woken when the thread ends.
    pub clear_child_tid: AtomicU64,
    /// Head of the list of robust futexes.
    pub robust_list: AtomicU64,
    /// Registered restartable sequences.
    pub rseq: Ranked<RseqState>,
    vfork_done: Ranked<Option<Arc<VforkDone>>>,
    /// Signal when the parent dies.
    pub parent_death_signal: AtomicI32,
    /// Processor time in the guest.
    pub user_time: Meter,
    /// Processor time in the kernel.
    pub system_ns: AtomicU64,
    /// Waits.
    pub voluntary_switches: AtomicU64,
    /// Preemptions.
    pub involuntary_switches: AtomicU64,
    /// Monotonic time of its birth.
    pub start_ns: u64,
    is_waiting: AtomicBool,
    /// What `exit` was given.
    exit_code: AtomicU8,
    /// Syndrome of the last fault that became a signal.
    last_syndrome: AtomicU64,
    /// Nice value, policy and processor mask: kept, and obeyed by nobody.
    pub scheduling: Ranked<Scheduling>,
    _counted: Counted,
}

/// Scheduling parameters that programs set and read back.
#[derive(Clone, Copy, Debug)]
pub struct Scheduling {
    /// -20 to 19.
    pub nice: i32,
    /// `SCHED_*`.
    pub policy: i32,
    /// Real-time priority.
    pub priority: i32,
    /// Does a child start with the default policy?
    pub resets_on_fork: bool,
    /// Processors it may run on.
    pub affinity: u64,
    /// Class and level for input and output; 0 follows `nice`.
    pub io_priority: i32,
    /// Timer slack in nanoseconds.
    pub timer_slack: u64,
}

impl Task {
    /// Thread id.
    #[must_use]
    pub fn tid(&self) -> i32 {
        self.tid.load(Ordering::Relaxed)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The kernel it lives in.
    #[must_use]
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Signals of its process.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        self.process.signals()
    }

    /// What wait queues and timers wake.
    #[must_use]
    pub fn waker(&self) -> Arc<dyn Wakeable> {
        Arc::clone(&self.waker)
    }

    /// Its memory.
    ///
    /// # Errors
    /// `ESRCH` for a thread that has ended.
    pub fn mm(&self) -> Result<Arc<Mm>, Errno> {
        self.resources.lock().mm.clone().ok_or(Errno::ESRCH)
    }

    /// Its descriptors.
    ///
    /// # Errors
    /// `ESRCH` for a thread that has ended.
    pub fn files(&self) -> Result<Arc<FdTable>, Errno> {
        self.resources.lock().files.clone().ok_or(Errno::ESRCH)
    }

    /// Its root, working directory and umask.
    ///
    /// # Errors
    /// `ESRCH` for a thread that has ended.
    pub fn fs(&self) -> Result<Arc<FsContext>, Errno> {
        self.resources.lock().fs.clone().ok_or(Errno::ESRCH)
    }

    /// Stops sharing descriptors with others.
    ///
    /// # Errors
    /// `ESRCH` for a thread that has ended.
    pub fn unshare_files(&self) -> Result<(), Errno> {
        let files = self.files()?;
        if Arc::strong_count(&files) > 2 {
            let own = Arc::new(files.fork());
            let old = self.resources.lock().files.replace(own);
            drop(old);
        }
        Ok(())
    }

    /// Stops sharing root, working directory and umask with others.
    ///
    /// # Errors
    /// `ESRCH` for a thread that has ended.
    pub fn unshare_fs(&self) -> Result<(), Errno> {
        let own = Arc::new(self.fs()?.fork());
        let old = self.resources.lock().fs.replace(own);
        drop(old);
        Ok(())
    }

    /// Who it is.
    #[must_use]
    pub fn creds(&self) -> Arc<Creds> {
        Arc::clone(&self.creds.lock())
    }

    /// Makes it somebody else.
    pub fn set_creds(&self, creds: Creds) {
        *self.creds.lock() = Arc::new(creds);
        self.publish_ids();
    }

    /// Identity for access to files.
    #[must_use]
    pub fn fs_cred(&self) -> FsCred {
        self.creds().for_files()
    }

    /// Runs `f` with this task as the one on whose behalf files are used.
    pub fn as_caller<R>(self: &Arc<Self>, f: impl FnOnce(&Caller<'_>) -> R) -> R {
        let cred = self.fs_cred();
        f(&Caller {
            cred: &cred,
            task: Some(self),
        })
    }

    /// Memory limits of the process.
    #[must_use]
    pub fn mem_limits(&self) -> MemLimits {
        let may_lock = self.creds().has_cap(linux_abi::capability::CAP_IPC_LOCK);
        self.process.limits().memory(may_lock)
    }

    /// Its memory, for copies.
    ///
    /// # Errors
    /// `ESRCH` for a thread that has ended.
    pub fn memory(&self) -> Result<UserMemory, Errno> {
        let stack = self
            .process
            .limits()
            .soft(linux_abi::resource::RLIMIT_STACK);
        Ok(UserMemory::new(self.mm()?, stack))
    }

    /// Copies from its memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn copy_in(&self, addr: UserAddr, buf: &mut [u8]) -> Result<(), Errno> {
        self.memory()?.copy_in(addr, buf)
    }

    /// Copies to its memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn copy_out(&self, addr: UserAddr, data: &[u8]) -> Result<(), Errno> {
        self.memory()?.copy_out(addr, data)
    }

    /// Copies a value from its memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_value<T: FromBytes + IntoBytes + FromZeros>(
        &self,
        addr: UserAddr,
    ) -> Result<T, Errno> {
        self.memory()?.read_value(addr)
    }

    /// Copies a value to its memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_value<T: IntoBytes + Immutable>(
        &self,
        addr: UserAddr,
        value: &T,
    ) -> Result<(), Errno> {
        self.memory()?.write_value(addr, value)
    }

    /// Copies a string from its memory.
    ///
    /// # Errors
    /// `EFAULT`, `ENAMETOOLONG` without a terminator within `max` bytes.
    pub fn read_cstr(&self, addr: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
        self.memory()?.read_cstr(addr, max)
    }

    /// Its registers, for the few system calls that are about them.
    pub fn registers(&self) -> MutexGuard<'_, ThreadState> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Name of the thread, without padding.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        let name = self.name.lock();
        name.iter().copied().take_while(|&byte| byte != 0).collect()
    }

    /// Sets the name: at most 15 bytes of it.
    pub fn set_name(&self, new: &[u8]) {
        let mut name = [0; 16];
        let len = new.len().min(15);
        name[..len].copy_from_slice(&new[..len]);
        *self.name.lock() = name;
    }

    /// Has it something to do before it goes back to its program: a signal, a stop,
    /// an end?
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.has_work.load(Ordering::SeqCst)
    }

    /// Is it asleep (state `S` in `/proc`)?
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// Syndrome of the last fault that became a signal, for its frame.
    #[must_use]
    pub fn last_syndrome(&self) -> u64 {
        self.last_syndrome.load(Ordering::Relaxed)
    }

    /// Remembers what `exit` was given.
    pub fn set_exit_code(&self, code: u8) {
        self.exit_code.store(code, Ordering::Relaxed);
    }

    fn note_fault(&self, syndrome: u64) {
        self.last_syndrome.store(syndrome, Ordering::Relaxed);
    }

    /// Sends it a signal that the kernel itself causes, to this thread.
    pub fn force_signal(&self, info: SigInfo) {
        self.signals().force(self.tid(), info);
    }

    /// What `restart_syscall` continues.
    pub fn take_restart_block(&self) -> Option<RestartBlock> {
        self.restart.lock().take()
    }

    pub(crate) fn set_restart_block(&self, block: Option<RestartBlock>) {
        *self.restart.lock() = block;
    }

    /// How it is told that it has work.
    pub(crate) fn notify(&self) -> Notify {
        Notify {
            strand: Arc::clone(&self.strand),
            attention: self.attention.clone(),
            flag: Arc::clone(&self.has_work),
        }
    }

    /// Writes what fast system calls answer to the page that they read.
    pub(crate) fn publish_ids(&self) {
        let ppid = self.kernel.processes().lock().parent_of(self.pid());
        self.publish_ids_with(ppid);
    }

    pub(crate) fn publish_ids_with(&self, ppid: i32) {
        let creds = self.creds();
        let ids = Ids {
            pid: self.pid().cast_unsigned(),
            tid: self.tid().cast_unsigned(),
            ppid: ppid.cast_unsigned(),
            uid: creds.uid.real,
            euid: creds.uid.effective,
            gid: creds.gid.real,
            egid: creds.gid.effective,
        };
        self.registers().set_ids(ids);
    }

    fn waker_of(strand: &Arc<Strand>) -> Arc<dyn Wakeable> {
        Arc::new(StrandWaker(Arc::clone(strand)))
    }
}

/// Parts of a new task.
struct NewTask {
    tid: i32,
    process: Arc<Process>,
    kernel: Arc<Kernel>,
    resources: Resources,
    creds: Arc<Creds>,
    name: [u8; 16],
    thread: ThreadState,
    scheduling: Scheduling,
}

impl NewTask {
    fn build(self) -> Arc<Task> {
        let strand = Strand::new(self.kernel.scheduler());
        let start_ns = self.kernel.clock().monotonic_ns();
        Arc::new(Task {
            tid: AtomicI32::new(self.tid),
            waker: Task::waker_of(&strand),
            strand,
            process: self.process,
            kernel: self.kernel,
            resources: Ranked::new(Rank::Fields, self.resources),
            creds: Ranked::new(Rank::Fields, self.creds),
            name: Ranked::new(Rank::Fields, self.name),
            attention: self.thread.attention(),
            thread: Mutex::new(self.thread),
            has_work: Arc::new(AtomicBool::new(false)),
            restart: Ranked::new(Rank::Fields, None),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            rseq: Ranked::new(Rank::Fields, RseqState::default()),
            vfork_done: Ranked::new(Rank::Fields, None),
            parent_death_signal: AtomicI32::new(0),
            user_time: Meter::default(),
            system_ns: AtomicU64::new(0),
            voluntary_switches: AtomicU64::new(0),
            involuntary_switches: AtomicU64::new(0),
            start_ns,
            is_waiting: AtomicBool::new(false),
            exit_code: AtomicU8::new(0),
            last_syndrome: AtomicU64::new(0),
            scheduling: Ranked::new(Rank::Fields, self.scheduling),
            _counted: gauge::TASKS.count(),
        })
    }
}
