// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual machine with nothing in it but a few instructions, the MMU off, and
//! vectors that call the hypervisor: what a question about the hypervisor needs.
//!
//! A run that does not end is ended by a watchdog, so a wrong assumption costs a
//! moment and not the program.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::code;
use crate::Ipa;
use crate::hv::{Exit, HvError, HvPerms, Hypervisor, Reg, SysReg, Vcpu, Vm};

/// Unit of the hypervisor's mappings (docs/hvf.md 1.1).
pub(super) const GRANULE: usize = 16 * 1024;
/// Where memory begins: not at 0, as elfuse has it (docs/hvf.md 1.2).
pub(super) const BASE: u64 = 0x8000_0000;
/// Where the instructions are.
pub(super) const CODE: u64 = BASE;
/// Where the vectors are; entry `n` calls the hypervisor with [`VECTOR`] + `n`.
const VECTORS: u64 = BASE + GRANULE as u64;
const VECTOR: u16 = 0x40;
/// A page of zeros.
pub(super) const DATA: u64 = BASE + 2 * GRANULE as u64;
/// Granules mapped at [`BASE`]; the host keeps as many more for other mappings.
const GRANULES: usize = 4;

/// The vector for exceptions from EL0, and that for interrupts.
pub(super) const FROM_EL0: u16 = VECTOR + 8;
pub(super) const IRQ_FROM_EL0: u16 = VECTOR + 9;

/// `SCTLR_EL1` with the MMU off: RES1 bits, and what EL0 may do (docs/hvf.md 1.3).
const SCTLR_OFF: u64 = 0x34d0_d985 & !0b101 | 1 << 16 | 1 << 18;

/// Longest run.
const PATIENCE: Duration = Duration::from_millis(300);

/// Where instructions run.
#[derive(Clone, Copy)]
pub(super) enum Level {
    /// At EL0, interrupts on.
    El0,
    /// At EL1, everything masked.
    El1,
}

/// Host memory for the guest, in whole granules.
struct Memory {
    base: *mut u8,
    mapping: *mut std::ffi::c_void,
}

const MAPPED: usize = (2 * GRANULES + 1) * GRANULE;

impl Memory {
    fn new() -> std::io::Result<Self> {
        // SAFETY: a fresh private mapping at an address that the host chooses.
        let mapping = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                MAPPED,
                rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE,
                rustix::mm::MapFlags::PRIVATE,
            )
        }?;
        let skip = mapping.cast::<u8>().align_offset(GRANULE);
        // SAFETY: less than the one granule that was mapped too much.
        let base = unsafe { mapping.cast::<u8>().add(skip) };
        Ok(Self { base, mapping })
    }

    fn write(&self, at: usize, words: &[u32]) {
        assert!(at + words.len() * 4 <= GRANULES * GRANULE);
        for (n, word) in words.iter().enumerate() {
            // SAFETY: inside the mapping, by the assertion.
            let to = unsafe { self.base.add(at + n * 4) };
            // SAFETY: aligned, as all numbers here are; no processor runs yet.
            unsafe { to.cast::<u32>().write_volatile(word.to_le()) };
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and the virtual machine is gone.
        let unmapped = unsafe { rustix::mm::munmap(self.mapping, MAPPED) };
        debug_assert!(unmapped.is_ok());
    }
}

/// The virtual machine. Fields are dropped in this order.
pub(super) struct Bare {
    vm: Box<dyn Vm>,
    memory: Memory,
}

impl Bare {
    /// A machine with `instructions` at [`CODE`].
    pub(super) fn new(hv: &dyn Hypervisor, instructions: &[u32]) -> Result<Self, HvError> {
        let memory = Memory::new().map_err(|_| HvError::NoResources)?;
        memory.write(0, instructions);
        for (entry, number) in (VECTOR..VECTOR + 16).enumerate() {
            memory.write(GRANULE + entry * 0x80, &[code::hvc(number)]);
        }
        let vm = hv.create_vm()?;
        let bare = Self { vm, memory };
        bare.map(0, BASE, GRANULES)?;
        Ok(bare)
    }

    /// Maps `granules` of the host's memory, from number `first`, at `ipa`.
    pub(super) fn map(&self, first: usize, ipa: u64, granules: usize) -> Result<(), HvError> {
        assert!(first + granules <= 2 * GRANULES);
        let perms = HvPerms::READ | HvPerms::WRITE | HvPerms::EXEC;
        // SAFETY: inside the mapping, by the assertion.
        let host = unsafe { self.memory.base.add(first * GRANULE) };
        // SAFETY: the memory outlives the virtual machine (order of the fields), and is
        // reached by pointer only.
        unsafe { self.vm.map(host, Ipa(ipa), granules * GRANULE, perms) }
    }

    pub(super) fn unmap(&self, ipa: u64, granules: usize) -> Result<(), HvError> {
        self.vm.unmap(Ipa(ipa), granules * GRANULE)
    }

    /// A processor that will run the instructions.
    pub(super) fn processor(&self, level: Level) -> Result<BareCpu<'_>, HvError> {
        let mut vcpu = self.vm.create_vcpu()?;
        let fresh_cpsr = vcpu.get_reg(Reg::Cpsr)?;
        vcpu.set_sys_reg(SysReg::VBAR, VECTORS)?;
        vcpu.set_sys_reg(SysReg::SCTLR, SCTLR_OFF)?;
        vcpu.set_sys_reg(SysReg::CNTKCTL, 3)?;
        let cpsr = match level {
            Level::El0 => 0,
            Level::El1 => 0x3c5,
        };
        vcpu.set_reg(Reg::Cpsr, cpsr)?;
        vcpu.set_reg(Reg::Pc, CODE)?;
        vcpu.set_reg(Reg::X(0), DATA)?;
        Ok(BareCpu {
            vcpu,
            fresh_cpsr,
            _machine: self,
        })
    }
}

/// A processor, for the calling thread.
pub(super) struct BareCpu<'a> {
    pub(super) vcpu: Box<dyn Vcpu>,
    /// The state register as the hypervisor made it.
    pub(super) fresh_cpsr: u64,
    _machine: &'a Bare,
}

impl BareCpu<'_> {
    /// One run, of bounded length.
    pub(super) fn run(&mut self) -> Result<Exit, HvError> {
        let kick = self.vcpu.kick_handle();
        let (done, wait) = channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                kick.kick();
            }
        });
        let exit = self.vcpu.run();
        drop(done);
        let joined = watchdog.join();
        debug_assert!(joined.is_ok());
        exit
    }

    /// Runs until call `number`, and returns the other exits before it; stops at the
    /// first that instructions cannot be behind. Trapped ones are stepped over.
    pub(super) fn run_until(&mut self, number: u16) -> Result<Vec<Exit>, HvError> {
        let mut others = Vec::new();
        while others.len() < 32 {
            let exit = self.run()?;
            match exit {
                Exit::Exception { .. } if call(exit) == Some(number) => break,
                Exit::Exception { syndrome, .. } if matches!(syndrome >> 26, 0x01 | 0x18) => {
                    others.push(exit);
                    let pc = self.vcpu.get_reg(Reg::Pc)?;
                    self.vcpu.set_reg(Reg::Pc, pc + 4)?;
                }
                _ => {
                    others.push(exit);
                    break;
                }
            }
        }
        Ok(others)
    }

    pub(super) fn x(&mut self, number: u8) -> Result<u64, HvError> {
        self.vcpu.get_reg(Reg::X(number))
    }
}

/// The number of a call of the hypervisor.
pub(super) fn call(exit: Exit) -> Option<u16> {
    match exit {
        Exit::Exception { syndrome, .. } if syndrome >> 26 == 0x16 => {
            u16::try_from(syndrome & 0xffff).ok()
        }
        _ => None,
    }
}

/// An exit in words.
pub(super) fn words(exit: Exit) -> String {
    match exit {
        Exit::Canceled => "no exit until it was canceled".to_owned(),
        Exit::Timer => "a timer exit".to_owned(),
        Exit::Unknown => "an exit of unknown reason".to_owned(),
        Exit::Exception { syndrome, va, ipa } => match call(exit) {
            Some(number) => format!("call {number:#x}"),
            None => format!(
                "exit with class {:#x}, syndrome {syndrome:#x}, address {va:#x}, physical {ipa:#x}",
                syndrome >> 26
            ),
        },
    }
}

/// Exits in words.
pub(super) fn all_words(exits: &[Exit]) -> String {
    if exits.is_empty() {
        return "no exit".to_owned();
    }
    let words: Vec<String> = exits.iter().copied().map(words).collect();
    words.join("; ")
}
