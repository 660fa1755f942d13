// SPDX-License-Identifier: GPL-2.0-only
//! A machine on the simulator, and programs given as instruction words.
//!
//! One VM per process is enforced, so the tests of a file take turns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elfuse_hvsim::Simulator;
use elfuse_machine::{
    AddressSpace, Cpu, GuestAddr, Machine, MachineConfig, PAGE_SIZE, Page, Prot, ThreadState, Trap,
};

/// Where programs start.
pub(crate) const CODE: u64 = 0x40_0000;
/// A page that programs may write.
pub(crate) const DATA: u64 = 0x50_0000;

static TURN: Mutex<()> = Mutex::new(());

/// Waits for the other tests of this process.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A machine with 64 MiB.
pub(crate) fn machine() -> Arc<Machine> {
    Machine::new(
        &Simulator,
        MachineConfig {
            ram_bytes: 64 << 20,
        },
    )
    .expect("make a machine")
}

/// An address space with a program at [`CODE`] and a page at [`DATA`].
pub(crate) fn program(machine: &Machine, code: &[u32]) -> AddressSpace {
    let space = machine.new_space().expect("make a space");
    let frame = machine.alloc_frame_zeroed().expect("a frame");
    for (n, word) in code.iter().enumerate() {
        frame.write(n * 4, &word.to_le_bytes());
    }
    space
        .map(GuestAddr(CODE), Page::Anon(frame), Prot::READ | Prot::EXEC)
        .expect("map code");
    map_data(machine, &space, DATA);
    space
}

/// Maps a page of zeros that can be written.
pub(crate) fn map_data(machine: &Machine, space: &AddressSpace, va: u64) {
    let frame = machine.alloc_frame_zeroed().expect("a frame");
    space
        .map(GuestAddr(va), Page::Anon(frame), Prot::READ | Prot::WRITE)
        .expect("map data");
}

/// A thread at [`CODE`] with its stack in the page of data.
pub(crate) fn thread(machine: &Machine) -> ThreadState {
    let mut thread = machine.new_thread().expect("make a thread");
    thread.set_pc(CODE);
    thread.set_sp(DATA + PAGE_SIZE as u64);
    thread
}

/// Runs until something else than a kick nobody made.
pub(crate) fn run(cpu: &mut Cpu, thread: &mut ThreadState, space: &AddressSpace) -> Trap {
    cpu.run(thread, space)
}
