// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual processor that runs guest threads.
//!
//! [`Cpu::run`] switches to a thread and an address space, if they are not the last
//! ones, by words in the processor's page, and reads what happened from the thread's
//! page: no register goes through the hypervisor. A kick cancels the guest where it
//! is; the interrupt line then brings it into the shim, which saves the registers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::addr::{LINEAR_BASE, SHIM_BASE};
use crate::host::{HostClock, SystemHost, tear};
use crate::hv::{Exit, Kick, Reg, SysReg};
use crate::layout::{
    CMD_COUNTER, CMD_ICACHE, CMD_LOAD, CMD_LOAD_FP, CMD_TLBI_ASID, CMD_TLBI_LIST, CMD_TTBR,
    CPU_COMMAND, CPU_COUNTER, CPU_FAST_CALLS, CPU_KICK, CPU_THREAD, CPU_TLBI_ASID, CPU_TLBI_COUNT,
    CPU_TLBI_LIST, CPU_TTBR, HVC_IRQ, HVC_KICK, HVC_SYNC,
};
use crate::machine::{MachineError, Shared};
use crate::metered::Metered;
use crate::registry::Slot;
use crate::slab::Frame;
use crate::space::Stale;
use crate::{AddressSpace, GuestAddr, ThreadState};

/// `SCTLR_EL1`: RES1 bits, MMU, caches, EL0 may use `DC ZVA`, `CTR`, cache
/// maintenance, `WFI` and `WFE`; stack alignment is checked (docs/hvf.md 1.3).
const SCTLR: u64 = 0x34d0_d985 | 1 << 16 | 1 << 18 | 1 << 4;
/// `TCR_EL1`: 48 bits both ways, 4 KiB, write-back, inner shareable, 40-bit physical
/// addresses, 16-bit ASIDs, top byte of EL0 addresses ignored.
const TCR: u64 = 16
    | 1 << 8
    | 1 << 10
    | 3 << 12
    | 16 << 16
    | 1 << 24
    | 1 << 26
    | 3 << 28
    | 2 << 30
    | 2 << 32
    | 1 << 36
    | 1 << 37;
/// `MAIR_EL1`: attribute 0 device, 1 normal write-back.
const MAIR: u64 = 0xff00;
/// Offset of the shim's entry.
const RESUME: u64 = 0x800;

/// How memory was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Executed.
    Exec,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing is mapped.
    Translation,
    /// Not allowed.
    Permission,
    /// Misaligned.
    Alignment,
    /// The memory behind it is gone.
    Bus,
}

/// Why the guest stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A system call.
    Syscall,
    /// A memory access.
    MemFault {
        /// Where.
        addr: GuestAddr,
        /// How.
        access: Access,
        /// Why.
        kind: FaultKind,
        /// The syndrome.
        esr: u64,
    },
    /// An instruction that is none.
    Undefined {
        /// The syndrome.
        esr: u64,
    },
    /// A breakpoint instruction.
    Breakpoint {
        /// The syndrome.
        esr: u64,
    },
    /// A floating-point exception.
    FpException {
        /// The syndrome.
        esr: u64,
    },
    /// A misaligned program counter.
    PcAlignment,
    /// A misaligned stack pointer.
    SpAlignment,
    /// Somebody asked.
    Kicked,
    /// Its time is over.
    TimeSlice,
}

/// Stops a [`Cpu`] from any thread: the current run, or the next.
///
/// The word in the processor's page is written first. The shim reads it on its way to
/// the guest, so a kick is never lost, whether or not the hypervisor remembers one
/// that comes between two runs.
#[derive(Clone)]
pub struct KickHandle {
    page: Arc<Frame>,
    hv: Arc<dyn Kick>,
}

impl KickHandle {
    /// Does it.
    pub fn kick(&self) {
        self.page.long(CPU_KICK).store(1, Ordering::SeqCst);
        self.hv.kick();
    }
}

/// A virtual processor, for the thread that made it.
pub struct Cpu {
    vcpu: Metered,
    shared: Arc<Shared>,
    page: Arc<Frame>,
    id: u64,
    slot: Arc<Slot>,
    last_thread: u64,
    last_ttbr: u64,
    last_code: u64,
    fast_calls: u64,
    /// Last change seen, by ASID.
    seen: Vec<u64>,
}

/// One for each ASID.
const ASIDS: usize = 1 << 16;

impl Cpu {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, MachineError> {
        let mut vcpu = Metered::new(shared)?;
        let page = Arc::new(shared.slab.alloc()?);
        let registers = [
            (SysReg::MAIR, MAIR),
            (SysReg::TCR, TCR),
            (SysReg::TTBR0, shared.empty_root.ipa().0),
            (SysReg::TTBR1, shared.el1_root()),
            (SysReg::VBAR, SHIM_BASE),
            (SysReg::CPACR, 3 << 20),
            (SysReg::CNTKCTL, 3),
            (SysReg::SP_EL1, LINEAR_BASE + page.ipa().0),
            (SysReg::SCTLR, SCTLR),
        ];
        for (register, value) in registers {
            vcpu.set_sys_reg(register, value)?;
        }
        // A fresh processor must be told its state (docs/hvf.md, "A fresh processor").
        vcpu.set_reg(Reg::Cpsr, 0x3c5)?;
        vcpu.set_reg(Reg::Pc, SHIM_BASE + RESUME)?;
        let kick = KickHandle {
            page: Arc::clone(&page),
            hv: vcpu.kick_handle(),
        };
        let slot = Arc::new(Slot::new(kick));
        shared.registry.add(Arc::clone(&slot));
        Ok(Self {
            vcpu,
            shared: Arc::clone(shared),
            page,
            id: shared.registry.next_number(),
            slot,
            last_thread: 0,
            last_ttbr: 0,
            last_code: 0,
            fast_calls: 0,
            seen: vec![0; ASIDS],
        })
    }

    /// What stops it from another thread.
    #[must_use]
    pub fn kick_handle(&self) -> KickHandle {
        self.slot.kick.clone()
    }

    fn put(&self, at: usize, value: u64) {
        self.page.long(at).store(value, Ordering::Relaxed);
    }

    /// Is a kick waiting? It is not any more afterwards.
    fn take_kick(&self) -> bool {
        // One that comes after the first look is seen by the shim.
        let word = self.page.long(CPU_KICK);
        word.load(Ordering::Relaxed) != 0 && word.swap(0, Ordering::SeqCst) != 0
    }

    /// Runs a thread until something happens.
    ///
    /// # Panics
    /// When the hypervisor fails or the shim is entered wrongly: nothing of the
    /// machine can be trusted then.
    pub fn run(&mut self, thread: &mut ThreadState, space: &AddressSpace) -> Trap {
        loop {
            if self.take_kick() {
                return Trap::Kicked;
            }
            let mut command = self.switch_thread(thread);
            self.slot.enter(space.id());
            command |= self.switch_space(space);
            let tears = tear::count();
            let trap = self.enter_with(command, thread);
            self.slot.has_loaded(space.ttbr());
            self.shared.registry.came_out(&self.slot);
            match self.without_file(trap, tears, thread, space) {
                Trap::Undefined { esr } if self.emulate(esr, thread, space) => {}
                trap => return trap,
            }
        }
    }

    /// What `trap` is if a window could not be reached. A Mac says so before the access
    /// is done: it is tried again, without the window. The simulator gave the program
    /// zeros: it must not get far with them, so no system call of it counts.
    fn without_file(
        &self,
        trap: Trap,
        tears: u64,
        thread: &mut ThreadState,
        space: &AddressSpace,
    ) -> Trap {
        match trap {
            Trap::MemFault {
                addr,
                access,
                kind: FaultKind::Bus,
                esr,
            } if space.give_up_window(addr) => Trap::MemFault {
                addr,
                access,
                kind: FaultKind::Translation,
                esr,
            },
            trap if tear::count() == tears => trap,
            trap => {
                let at = tear::mine_since(tears);
                let ipa = at.and_then(|at| self.shared.memory.windows.ipa_at(at));
                let Some(addr) = ipa.and_then(|ipa| space.find(ipa)) else {
                    return trap;
                };
                if trap == Trap::Syscall {
                    thread.set_pc(thread.pc() - 4);
                }
                Trap::MemFault {
                    addr,
                    access: Access::Read,
                    kind: FaultKind::Bus,
                    esr: EXTERNAL_ABORT,
                }
            }
        }
    }

    fn switch_thread(&mut self, thread: &mut ThreadState) -> u64 {
        if self.last_thread != thread.id || thread.fp_on != self.id {
            let counters = &self.shared.counters;
            counters.thread_switches.fetch_add(1, Ordering::Relaxed);
            self.put(CPU_THREAD, LINEAR_BASE + thread.page().ipa().0);
            self.last_thread = thread.id;
            thread.fp_on = self.id;
            thread.is_changed = false;
            return 1 << CMD_LOAD | 1 << CMD_LOAD_FP;
        }
        u64::from(std::mem::take(&mut thread.is_changed)) << CMD_LOAD
    }

    fn switch_space(&mut self, space: &AddressSpace) -> u64 {
        let mut command = 0;
        if self.last_ttbr != space.ttbr() {
            self.put(CPU_TTBR, space.ttbr());
            self.last_ttbr = space.ttbr();
            command |= 1 << CMD_TTBR;
        }
        let asid = usize::from(space.asid());
        if self.seen[asid] != space.changed() {
            let (number, stale) = space.stale_since(self.seen[asid]);
            self.seen[asid] = number;
            command |= self.invalidate(space, stale);
        }
        let code = self.shared.slab.code_epoch();
        if self.last_code != code {
            self.last_code = code;
            self.vcpu.invalidate_icache();
            command |= 1 << CMD_ICACHE;
        }
        command
    }

    fn invalidate(&self, space: &AddressSpace, stale: Stale) -> u64 {
        let tag = u64::from(space.asid()) << 48;
        match stale {
            Stale::Nothing => 0,
            Stale::Pages(pages) if pages.is_empty() => 0,
            Stale::Pages(pages) => {
                for (n, page) in pages.iter().enumerate() {
                    self.put(CPU_TLBI_LIST + n * 8, tag | page & 0xfff_ffff_ffff);
                }
                self.put(CPU_TLBI_COUNT, u64::try_from(pages.len()).unwrap_or(0));
                let counters = &self.shared.counters;
                counters
                    .tlb_pages
                    .fetch_add(pages.len() as u64, Ordering::Relaxed);
                1 << CMD_TLBI_LIST
            }
            Stale::All => {
                self.put(CPU_TLBI_ASID, tag);
                self.shared
                    .counters
                    .tlb_spaces
                    .fetch_add(1, Ordering::Relaxed);
                1 << CMD_TLBI_ASID
            }
        }
    }

    /// The first entry of a machine also finds out about the counter.
    fn enter_with(&mut self, command: u64, thread: &ThreadState) -> Trap {
        if self.shared.vdso.is_counter_known() {
            self.put(CPU_COMMAND, command);
            return self.enter(thread);
        }
        let vdso = Arc::clone(&self.shared.vdso);
        self.put(CPU_COMMAND, command | 1 << CMD_COUNTER);
        let before_ns = SystemHost.monotonic_ns();
        let trap = self.enter(thread);
        let word = |at| self.page.long(at).load(Ordering::Relaxed);
        vdso.set_counter(word(CPU_COUNTER), word(CPU_COUNTER + 8), before_ns);
        trap
    }

    fn enter(&mut self, thread: &ThreadState) -> Trap {
        let mut lost = None;
        loop {
            let exit = self.vcpu.run().expect("run the virtual processor");
            match exit {
                Exit::Exception { syndrome, .. } if syndrome >> 26 == EC_HVC => {
                    return self.leave(thread, syndrome & 0xffff, lost);
                }
                Exit::Exception { syndrome, va, .. } if matches!(syndrome >> 26, 0x20 | 0x24) => {
                    // Stage 2: the memory behind a page is gone. The registers are
                    // still in the processor: an interrupt brings them here.
                    lost = Some((GuestAddr(va), syndrome));
                }
                Exit::Canceled | Exit::Timer | Exit::Unknown => {}
                Exit::Exception { syndrome, .. }
                    if self.vcpu.step_over(syndrome).expect("step over") => {}
                Exit::Exception { syndrome, va, .. } => {
                    panic!("unexpected exit: syndrome {syndrome:#x}, address {va:#x}")
                }
            }
            // A run may end without a cause; and the interrupt line falls when one
            // ends (docs/hvf.md, "Interrupts"), so it is raised for each.
            let is_wanted = lost.is_some() || self.page.long(CPU_KICK).load(Ordering::SeqCst) != 0;
            self.vcpu
                .set_pending_irq(is_wanted)
                .expect("set the interrupt line");
        }
    }

    fn leave(&mut self, thread: &ThreadState, reason: u64, lost: Option<(GuestAddr, u64)>) -> Trap {
        let counters = &self.shared.counters;
        let fast = self.page.long(CPU_FAST_CALLS).load(Ordering::Relaxed);
        let new = fast.wrapping_sub(self.fast_calls);
        self.fast_calls = fast;
        if new > 0 {
            counters.fast_calls.fetch_add(new, Ordering::Relaxed);
        }
        match usize::try_from(reason) {
            Ok(HVC_SYNC) => {
                let trap = decode(thread.esr(), thread.far());
                if matches!(trap, Trap::MemFault { .. }) {
                    counters.faults.fetch_add(1, Ordering::Relaxed);
                }
                trap
            }
            Ok(HVC_IRQ) => match lost {
                Some((addr, esr)) => Trap::MemFault {
                    addr,
                    access: access_of(esr),
                    kind: FaultKind::Bus,
                    esr,
                },
                None => self.kicked(),
            },
            Ok(HVC_KICK) => {
                // What was to be loaded was not.
                self.last_thread = 0;
                self.kicked()
            }
            _ => panic!("the shim was entered wrongly: pc {:#x}", thread.pc()),
        }
    }

    fn kicked(&self) -> Trap {
        self.page.long(CPU_KICK).store(0, Ordering::SeqCst);
        self.shared.counters.kicks.fetch_add(1, Ordering::Relaxed);
        Trap::Kicked
    }

    /// Answers `MRS` of an ID register at EL0, as Linux does. The processor reports it
    /// as a trapped system register, or as an undefined instruction if it is old.
    fn emulate(&self, esr: u64, thread: &mut ThreadState, space: &AddressSpace) -> bool {
        let mut word = [0; 4];
        if !matches!(esr >> 26 & 0x3f, EC_UNKNOWN | EC_SYSTEM_REGISTER)
            || space.read(GuestAddr(thread.pc()), &mut word).is_err()
        {
            return false;
        }
        let Some((crm, op2, register)) = id_register_read(u32::from_le_bytes(word)) else {
            return false;
        };
        let Some(value) = self.shared.ids.seen_by_programs(crm, op2) else {
            return false;
        };
        thread.set_x(register, value);
        thread.set_pc(thread.pc() + 4);
        true
    }
}

/// `ESR` of a read by EL0 that memory did not answer.
const EXTERNAL_ABORT: u64 = 0x24 << 26 | 1 << 25 | 0x10;
const EC_UNKNOWN: u64 = 0;
const EC_HVC: u64 = 0x16;
const EC_SYSTEM_REGISTER: u64 = 0x18;

/// `CRm`, `op2` and the target of `MRS Xt, S3_0_C0_Cm_op2`.
fn id_register_read(word: u32) -> Option<(u8, u8, usize)> {
    let [low, second, ..] = word.to_le_bytes();
    (word & 0xffff_f000 == 0xd538_0000).then(|| (second & 0xf, low >> 5, usize::from(low & 0x1f)))
}

impl Drop for Cpu {
    fn drop(&mut self) {
        self.shared.registry.remove(&self.slot);
    }
}

fn access_of(esr: u64) -> Access {
    let is_fetch = matches!(esr >> 26, 0x20 | 0x21);
    // Cache maintenance (CM, bit 8) reports a write and needs a readable page only.
    let is_write = esr & 1 << 6 != 0 && esr & 1 << 8 == 0;
    match (is_fetch, is_write) {
        (true, _) => Access::Exec,
        (false, true) => Access::Write,
        (false, false) => Access::Read,
    }
}

/// From the syndrome of an exception at EL0 (Arm ARM D24.2.40).
fn decode(esr: u64, far: u64) -> Trap {
    match esr >> 26 & 0x3f {
        0x15 => Trap::Syscall,
        0x20 | 0x24 => {
            let kind = match esr & 0x3f {
                0b10_0001 => FaultKind::Alignment,
                code if code & 0b11_1100 == 0b1100 => FaultKind::Permission,
                code if code & 0b11_1100 <= 0b1000 => FaultKind::Translation,
                _ => FaultKind::Bus,
            };
            Trap::MemFault {
                addr: GuestAddr(far),
                access: access_of(esr),
                kind,
                esr,
            }
        }
        0x22 => Trap::PcAlignment,
        0x26 => Trap::SpAlignment,
        0x2c => Trap::FpException { esr },
        0x30..=0x3d => Trap::Breakpoint { esr },
        _ => Trap::Undefined { esr },
    }
}
