// SPDX-License-Identifier: GPL-2.0-only
//! The simulator does what Apple's framework does, as far as the public tests of the
//! `applevisor` crate assert it: one VM, units of 16 KiB, registers that hold what is
//! written, processors bound to their threads, runs that end as they should.

use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elfuse_hvsim::Simulator;
use elfuse_machine::Ipa;
use elfuse_machine::hv::{Exit, HvError, HvPerms, Hypervisor, Reg, Vcpu, Vm};

const UNIT: usize = 16 * 1024;
const CODE: Ipa = Ipa(0x4000_0000);
const ALL: HvPerms = HvPerms::READ.union(HvPerms::WRITE).union(HvPerms::EXEC);

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that a VM may have: aligned to a unit, never given back.
fn memory(units: usize) -> *mut u8 {
    let layout = std::alloc::Layout::from_size_align(units * UNIT, UNIT).expect("a layout");
    // SAFETY: the size is not 0.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    assert!(!memory.is_null());
    memory
}

/// Writes instruction `n` of a unit; no processor runs.
fn put(unit: *mut u8, n: usize, word: u32) {
    assert!(n < UNIT / 4);
    // SAFETY: aligned, and within the unit, which stays for good.
    unsafe { unit.cast::<u32>().wrapping_add(n).write(word) };
}

fn map(vm: &dyn Vm, host: *mut u8, ipa: u64, len: usize) -> Result<(), HvError> {
    // SAFETY: what `memory` gives stays for good.
    unsafe { vm.map(host, Ipa(ipa), len, ALL) }
}

/// A VM with code at [`CODE`].
fn vm(code: &[u32]) -> Box<dyn Vm> {
    let vm = Simulator.create_vm().expect("a VM");
    let memory = memory(1);
    for (n, word) in code.iter().enumerate() {
        put(memory, n, *word);
    }
    map(&*vm, memory, CODE.0, UNIT).expect("map code");
    vm
}

/// A processor at [`CODE`], at EL1 with everything masked, without the MMU.
fn vcpu(vm: &dyn Vm) -> Box<dyn Vcpu> {
    let mut vcpu = vm.create_vcpu().expect("a processor");
    vcpu.set_reg(Reg::Cpsr, 0x3c5).expect("set the state");
    vcpu.set_reg(Reg::Pc, CODE.0)
        .expect("set the program counter");
    vcpu
}

#[test]
fn a_process_has_one_virtual_machine_at_a_time() {
    let _turn = turn();
    for _ in 0..3 {
        let first = Simulator.create_vm().unwrap();
        assert_eq!(Simulator.create_vm().err(), Some(HvError::Busy));
        drop(first);
    }
}

#[test]
fn mappings_are_whole_units_that_do_not_overlap() {
    let _turn = turn();
    let vm = Simulator.create_vm().unwrap();
    let host = memory(4);
    let base = 0x1_0000_0000;
    let bad = Err(HvError::BadArgument);
    assert_eq!(map(&*vm, host, base + 4096, UNIT), bad);
    assert_eq!(map(&*vm, host, base, UNIT + 4096), bad);
    assert_eq!(map(&*vm, host, base, 0), bad);
    assert_eq!(map(&*vm, host.wrapping_add(1), base, UNIT), bad);
    assert_eq!(map(&*vm, host, base, 2 * UNIT), Ok(()));
    assert_eq!(map(&*vm, host, base + UNIT as u64, UNIT), bad);
    assert_eq!(vm.unmap(Ipa(base), UNIT), bad, "a part of a mapping");
    assert_eq!(vm.unmap(Ipa(base), 2 * UNIT), Ok(()));
    assert_eq!(vm.unmap(Ipa(base), 2 * UNIT), bad, "what is not mapped");
    assert_eq!(map(&*vm, host, base, 4 * UNIT), Ok(()));
}

#[test]
fn general_registers_hold_what_is_written() {
    let _turn = turn();
    let vm = vm(&[]);
    let mut vcpu = vcpu(&*vm);
    for n in 0..31 {
        vcpu.set_reg(Reg::X(n), 0xdead_0000_0000_0000 + u64::from(n))
            .unwrap();
    }
    for n in 0..31 {
        assert_eq!(
            vcpu.get_reg(Reg::X(n)),
            Ok(0xdead_0000_0000_0000 + u64::from(n))
        );
    }
    assert_eq!(vcpu.get_reg(Reg::Pc), Ok(CODE.0));
    assert_eq!(
        vcpu.get_reg(Reg::Cpsr).map(|state| state & 0xfff),
        Ok(0x3c5)
    );
    assert_eq!(vcpu.set_reg(Reg::X(31), 0), Err(HvError::BadArgument));
}

#[test]
fn a_hypervisor_call_ends_the_run_behind_it() {
    let _turn = turn();
    // mov x0, #0x42; hvc #7; mov x0, #0x43; hvc #0xffff
    let vm = vm(&[0xd280_0840, 0xd400_00e2, 0xd280_0860, 0xd41f_ffe2]);
    let mut vcpu = vcpu(&*vm);
    for (x0, immediate, pc) in [(0x42, 7, 8), (0x43, 0xffff, 16)] {
        let syndrome = 0x16 << 26 | 1 << 25 | immediate;
        assert_eq!(
            vcpu.run(),
            Ok(Exit::Exception {
                syndrome,
                va: 0,
                ipa: 0
            })
        );
        assert_eq!(vcpu.get_reg(Reg::X(0)), Ok(x0));
        assert_eq!(vcpu.get_reg(Reg::Pc), Ok(CODE.0 + pc));
    }
}

#[test]
fn code_that_the_host_changed_is_run_after_maintenance() {
    let _turn = turn();
    let vm = Simulator.create_vm().unwrap();
    let host = memory(1);
    map(&*vm, host, CODE.0, UNIT).unwrap();
    let mut vcpu = vcpu(&*vm);
    for value in 1..20_u16 {
        // mov x0, #value; hvc #0
        for (n, word) in [0xd280_0000 | u32::from(value) << 5, 0xd400_0002]
            .iter()
            .enumerate()
        {
            put(host, n, *word);
        }
        vcpu.invalidate_icache();
        vcpu.set_reg(Reg::Pc, CODE.0).unwrap();
        vcpu.run().unwrap();
        assert_eq!(vcpu.get_reg(Reg::X(0)), Ok(value.into()));
    }
}

#[test]
fn an_exit_from_another_thread_cancels_a_loop() {
    let _turn = turn();
    // b .
    let vm = vm(&[0x1400_0000]);
    let mut vcpu = vcpu(&*vm);
    let kick = vcpu.kick_handle();
    let kicker = std::thread::spawn(move || {
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(5));
            kick.kick();
        }
    });
    assert_eq!(vcpu.run(), Ok(Exit::Canceled));
    assert_eq!(vcpu.get_reg(Reg::Pc), Ok(CODE.0));
    kicker.join().unwrap();
}

#[test]
fn a_kick_between_runs_may_be_kept_or_lost() {
    let _turn = turn();
    // hvc #0; b .-1
    let vm = vm(&[0xd400_0002, 0x17ff_ffff]);
    let mut vcpu = vcpu(&*vm);
    let kick = vcpu.kick_handle();
    let canceled = (0..100).filter(|_| {
        kick.kick();
        vcpu.run() == Ok(Exit::Canceled)
    });
    let canceled = canceled.count();
    assert!((1..100).contains(&canceled), "{canceled} of 100");
}

#[test]
fn processors_run_at_the_same_time_and_share_memory() {
    let _turn = turn();
    // ldadd x1, x2, [x3]; subs x0, x0, #1; b.ne .-2; hvc #0
    let vm = vm(&[0xf821_0062, 0xf100_0400, 0x54ff_ffc1, 0xd400_0002]);
    let data = memory(1);
    map(&*vm, data, CODE.0 + UNIT as u64, UNIT).unwrap();
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut vcpu = vcpu(&*vm);
                vcpu.set_reg(Reg::X(0), 50_000).unwrap();
                vcpu.set_reg(Reg::X(1), 1).unwrap();
                vcpu.set_reg(Reg::X(3), CODE.0 + UNIT as u64).unwrap();
                start.wait();
                assert!(matches!(vcpu.run(), Ok(Exit::Exception { .. })));
            });
        }
    });
    // SAFETY: no processor is left.
    assert_eq!(unsafe { data.cast::<u64>().read() }, 200_000);
}

/// Takes a processor where the type system would not.
struct Smuggled(Box<dyn Vcpu>);

// SAFETY: the other thread only makes calls that are refused before they do anything.
unsafe impl Send for Smuggled {}

#[test]
fn a_processor_refuses_other_threads() {
    let _turn = turn();
    let vm = vm(&[0xd400_0002]);
    let smuggled = Smuggled(vcpu(&*vm));
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let mut smuggled = smuggled;
            let Smuggled(vcpu) = &mut smuggled;
            assert_eq!(vcpu.run(), Err(HvError::BadArgument));
            assert_eq!(vcpu.get_reg(Reg::Pc), Err(HvError::BadArgument));
            assert_eq!(vcpu.set_reg(Reg::Pc, 0), Err(HvError::BadArgument));
            smuggled
        });
        let mut smuggled = thread.join().unwrap();
        assert!(smuggled.0.run().is_ok());
    });
}
