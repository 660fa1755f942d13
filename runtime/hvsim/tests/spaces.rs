// SPDX-License-Identifier: GPL-2.0-only
//! Address spaces that run in turn: each sees its own memory, and what is changed in
//! one while another runs is seen when it runs again.

mod common;

use common::{CODE, DATA, machine, program, run, thread, turn};
use elfuse_machine::{
    Access, AddressSpace, Cpu, FaultKind, GuestAddr, Machine, Page, Prot, ThreadState, Trap,
};

/// `ldr x0, [x1]; svc #0; str x2, [x1]; svc #0; b .-16`
const LOAD_AND_STORE: [u32; 5] = [
    0xf940_0020,
    0xd400_0001,
    0xf900_0022,
    0xd400_0001,
    0x17ff_fffc,
];

struct Process {
    space: AddressSpace,
    thread: ThreadState,
}

impl Process {
    fn new(machine: &Machine) -> Self {
        let space = program(machine, &LOAD_AND_STORE);
        let mut thread = thread(machine);
        thread.set_x(1, DATA);
        thread.set_x(8, 1000);
        Self { space, thread }
    }

    /// What is at `DATA`; writes `value` there.
    fn replace(&mut self, cpu: &mut Cpu, value: u64) -> u64 {
        assert_eq!(run(cpu, &mut self.thread, &self.space), Trap::Syscall);
        let old = self.thread.x(0);
        self.thread.set_x(2, value);
        assert_eq!(run(cpu, &mut self.thread, &self.space), Trap::Syscall);
        old
    }
}

fn page_of(machine: &Machine, value: u64) -> Page {
    let frame = machine.alloc_frame_zeroed().expect("a frame");
    frame.write(0, &value.to_le_bytes());
    Page::Anon(frame)
}

/// More spaces than translations are kept for.
const MANY: u64 = 9;

#[test]
fn each_space_sees_its_own_memory() {
    let _turn = turn();
    let machine = machine();
    let mut cpu = machine.new_cpu().unwrap();
    let mut processes: Vec<_> = (0..MANY).map(|_| Process::new(&machine)).collect();
    for used in [2, 5, MANY] {
        for round in 0..20 {
            for (n, process) in (0..used).zip(&mut processes) {
                let value = used << 32 | round << 8 | n;
                let old = process.replace(&mut cpu, value);
                let last = used << 32 | round.wrapping_sub(1) << 8 | n;
                assert!(round == 0 || old == last, "{old:#x} is not {last:#x}");
            }
        }
    }
}

#[test]
fn a_page_exchanged_while_another_space_runs_is_seen() {
    let _turn = turn();
    let machine = machine();
    let mut cpu = machine.new_cpu().unwrap();
    let (mut one, mut other) = (Process::new(&machine), Process::new(&machine));
    for round in 1..50 {
        other.replace(&mut cpu, 7);
        one.replace(&mut cpu, round);
        other.replace(&mut cpu, 7);
        let page = page_of(&machine, round << 32);
        let both = Prot::READ | Prot::WRITE;
        one.space.map(GuestAddr(DATA), page, both).unwrap();
        assert_eq!(one.replace(&mut cpu, 0), round << 32);
    }
}

#[test]
fn a_page_that_became_read_only_faults_when_its_space_runs_again() {
    let _turn = turn();
    let machine = machine();
    let mut cpu = machine.new_cpu().unwrap();
    let (mut one, mut other) = (Process::new(&machine), Process::new(&machine));
    for _ in 0..10 {
        one.replace(&mut cpu, 1);
        other.replace(&mut cpu, 2);
    }
    one.space.protect(GuestAddr(DATA), 4096, Prot::READ);
    assert_eq!(run(&mut cpu, &mut one.thread, &one.space), Trap::Syscall);
    let trap = run(&mut cpu, &mut one.thread, &one.space);
    let Trap::MemFault {
        addr, access, kind, ..
    } = trap
    else {
        panic!("no fault: {trap:?}");
    };
    assert_eq!(addr, GuestAddr(DATA));
    assert_eq!((access, kind), (Access::Write, FaultKind::Permission));
    assert_eq!(other.replace(&mut cpu, 3), 2);
}

#[test]
fn code_written_while_another_space_runs_is_run() {
    let _turn = turn();
    let machine = machine();
    let mut cpu = machine.new_cpu().unwrap();
    let (mut one, mut other) = (Process::new(&machine), Process::new(&machine));
    for value in 0..20_u16 {
        one.replace(&mut cpu, 1);
        other.replace(&mut cpu, 2);
        // movz x0, #value; svc #0; movz x0, #value; svc #0; b .-16
        let movz = 0xd280_0000 | u32::from(value) << 5;
        let code = [movz, 0xd400_0001, movz, 0xd400_0001, 0x17ff_fffc];
        let frame = machine.alloc_frame_zeroed().unwrap();
        for (n, word) in code.iter().enumerate() {
            frame.write(n * 4, &word.to_le_bytes());
        }
        let prot = Prot::READ | Prot::EXEC;
        let code = GuestAddr(CODE);
        one.space.map(code, Page::Anon(frame), prot).unwrap();
        assert_eq!(one.replace(&mut cpu, 0), u64::from(value));
        other.replace(&mut cpu, 3);
    }
}
