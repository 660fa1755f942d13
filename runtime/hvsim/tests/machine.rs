// SPDX-License-Identifier: GPL-2.0-only
//! The machine on the simulator: shim, page tables, traps, switches, kicks.

mod common;

use std::time::{Duration, Instant};

use common::{CODE, DATA, machine, map_data, program, run, thread, turn};
use elfuse_machine::{Access, FaultKind, GuestAddr, Ids, PAGE_SIZE, Page, Prot, Share, Trap};

const SVC: u32 = 0xd400_0001;
const NOP: u32 = 0xd503_201f;
const LOOP: u32 = 0x1400_0000;

/// `movz xD, #imm`
const fn movz(register: u32, imm: u32) -> u32 {
    0xd280_0000 | imm << 5 | register
}

/// `movz xD, #imm, lsl #16`
const fn movz16(register: u32, imm: u32) -> u32 {
    0xd2a0_0000 | imm << 5 | register
}

/// `b` by words
const fn branch(words: i32) -> u32 {
    LOOP | words.cast_unsigned() & 0x3ff_ffff
}

#[test]
fn write_and_exit_trap_with_their_arguments() {
    let _turn = turn();
    let machine = machine();
    let space = program(
        &machine,
        &[
            movz(0, 1),
            movz16(1, 0x50),
            movz(2, 6),
            movz(8, 64),
            SVC,
            movz(0, 7),
            movz(8, 93),
            SVC,
        ],
    );
    space.write(GuestAddr(DATA), b"hello\n").unwrap();
    let mut cpu = machine.new_cpu().unwrap();
    let mut thread = thread(&machine);
    assert_eq!(run(&mut cpu, &mut thread, &space), Trap::Syscall);
    assert_eq!(thread.syscall_nr(), 64);
    assert_eq!((thread.x(0), thread.x(1), thread.x(2)), (1, DATA, 6));
    assert_eq!(thread.pc(), CODE + 20);
    let mut text = [0; 6];
    space.read(GuestAddr(thread.x(1)), &mut text).unwrap();
    assert_eq!(&text, b"hello\n");
    thread.set_x(0, 6);
    assert_eq!(run(&mut cpu, &mut thread, &space), Trap::Syscall);
    assert_eq!((thread.syscall_nr(), thread.x(0)), (93, 7));
    assert_eq!(machine.counters().exits, 2);
}

#[test]
fn identity_calls_are_answered_without_an_exit() {
    let _turn = turn();
    let machine = machine();
    let mut code = Vec::new();
    for nr in 172..=178 {
        code.extend([movz(8, nr), SVC, 0xaa00_03e0 | (nr - 172 + 10)]);
    }
    code.extend([movz(8, 93), SVC]);
    let space = program(&machine, &code);
    let mut cpu = machine.new_cpu().unwrap();
    let mut thread = thread(&machine);
    thread.set_ids(Ids {
        pid: 10,
        tid: 17,
        ppid: 11,
        uid: 12,
        euid: 13,
        gid: 14,
        egid: 15,
    });
    assert_eq!(run(&mut cpu, &mut thread, &space), Trap::Syscall);
    assert_eq!(thread.syscall_nr(), 93);
    let got: Vec<u64> = (10..17).map(|register| thread.x(register)).collect();
    assert_eq!(got, [10, 11, 12, 13, 14, 15, 17]);
    assert_eq!(
        (machine.counters().exits, machine.counters().fast_calls),
        (1, 7)
    );
}

#[test]
fn attention_turns_fast_calls_off() {
    let _turn = turn();
    let machine = machine();
    let space = program(&machine, &[movz(8, 172), SVC, movz(8, 93), SVC]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut thread = thread(&machine);
    thread.attention().raise();
    assert_eq!(run(&mut cpu, &mut thread, &space), Trap::Syscall);
    assert_eq!(thread.syscall_nr(), 172);
    thread.attention().clear();
    assert_eq!(run(&mut cpu, &mut thread, &space), Trap::Syscall);
    assert_eq!(thread.syscall_nr(), 93);
}

#[test]
fn every_register_survives_an_exit() {
    let _turn = turn();
    let machine = machine();
    let space = program(&machine, &[SVC, SVC]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut thread = thread(&machine);
    for n in 0..31 {
        thread.set_x(n, 0x1111_0000_0000_0000 + n as u64);
    }
    thread.set_x(8, 1000);
    thread.set_tpidr(0x1234_5678_9abc);
    thread.set_pstate(0xf000_0000);
    let mut fp = thread.fp();
    for (n, value) in fp.v.iter_mut().enumerate() {
        *value = (n as u128 + 1) * 0x0102_0304_0506_0708_090a_0b0c_0d0e;
    }
    fp.fpcr = 0x0300_0000;
    fp.fpsr = 0x0800_0010;
    thread.set_fp(&fp);
    for _ in 0..2 {
        assert_eq!(run(&mut cpu, &mut thread, &space), Trap::Syscall);
        for n in (0..31).filter(|n| *n != 8) {
            assert_eq!(thread.x(n), 0x1111_0000_0000_0000 + n as u64, "x{n}");
        }
        assert_eq!(thread.fp(), fp);
        assert_eq!(thread.tpidr(), 0x1234_5678_9abc);
        assert_eq!(thread.pstate() & 0xf000_0000, 0xf000_0000);
        assert_eq!(thread.sp(), DATA + 4096);
    }
}

#[test]
fn faults_name_address_access_and_kind() {
    let _turn = turn();
    let machine = machine();
    // ldr x1, [x0]; str x1, [x0]
    let space = program(&machine, &[0xf940_0001, 0xf900_0001, SVC]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(0, 0x7777_0000_1238);
    let Trap::MemFault {
        addr, access, kind, ..
    } = run(&mut cpu, &mut state, &space)
    else {
        panic!("no fault");
    };
    let expected = (
        GuestAddr(0x7777_0000_1238),
        Access::Read,
        FaultKind::Translation,
    );
    assert_eq!((addr, access, kind), expected);
    assert_eq!(state.pc(), CODE);
    state.set_x(0, CODE);
    let Trap::MemFault {
        addr, access, kind, ..
    } = run(&mut cpu, &mut state, &space)
    else {
        panic!("no fault");
    };
    assert_eq!(
        (addr, access, kind),
        (GuestAddr(CODE), Access::Write, FaultKind::Permission)
    );
    assert_eq!(state.pc(), CODE + 4);
    state.set_x(0, DATA + 8);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    state.set_pc(DATA);
    let Trap::MemFault {
        addr, access, kind, ..
    } = run(&mut cpu, &mut state, &space)
    else {
        panic!("no fault");
    };
    assert_eq!(
        (addr, access, kind),
        (GuestAddr(DATA), Access::Exec, FaultKind::Permission)
    );
    state.set_pc(0x1234_5000);
    let Trap::MemFault {
        addr, access, kind, ..
    } = run(&mut cpu, &mut state, &space)
    else {
        panic!("no fault");
    };
    assert_eq!(
        (addr, access, kind),
        (GuestAddr(0x1234_5000), Access::Exec, FaultKind::Translation)
    );
}

#[test]
fn programs_cannot_touch_el1() {
    let _turn = turn();
    let machine = machine();
    let space = program(&machine, &[0xf940_0001, SVC]);
    let mut cpu = machine.new_cpu().unwrap();
    for address in [
        0xffff_0080_0000_0000,
        0xffff_0000_8000_0000,
        0x0001_0000_0000_0000,
    ] {
        let mut state = thread(&machine);
        state.set_x(0, address);
        let trap = run(&mut cpu, &mut state, &space);
        assert!(
            matches!(
                trap,
                Trap::MemFault {
                    access: Access::Read,
                    ..
                }
            ),
            "{trap:?}"
        );
        let mut state = thread(&machine);
        state.set_pc(address);
        let trap = run(&mut cpu, &mut state, &space);
        assert!(
            matches!(
                trap,
                Trap::MemFault {
                    access: Access::Exec,
                    ..
                }
            ),
            "{trap:?}"
        );
    }
}

#[test]
fn instructions_that_are_not_allowed_trap_as_undefined() {
    let _turn = turn();
    let machine = machine();
    // udf, hvc #1, smc #0, msr ttbr0_el1, eret, mrs sctlr_el1
    for word in [
        0,
        0xd400_0022,
        0xd400_0003,
        0xd518_2000,
        0xd69f_03e0,
        0xd538_1000,
    ] {
        let space = program(&machine, &[word, SVC]);
        let mut cpu = machine.new_cpu().unwrap();
        let mut state = thread(&machine);
        let trap = run(&mut cpu, &mut state, &space);
        assert!(
            matches!(trap, Trap::Undefined { .. }),
            "{word:#x}: {trap:?}"
        );
        assert_eq!(state.pc(), CODE);
    }
}

#[test]
fn breakpoints_trap_with_their_number() {
    let _turn = turn();
    let machine = machine();
    let space = program(&machine, &[0xd420_0000 | 1000 << 5]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    let trap = run(&mut cpu, &mut state, &space);
    let Trap::Breakpoint { esr } = trap else {
        panic!("{trap:?}")
    };
    assert_eq!((esr & 0xffff, state.pc()), (1000, CODE));
}

#[test]
fn waiting_instructions_are_stepped_over() {
    let _turn = turn();
    let machine = machine();
    // wfi; wfe; mov x0, #7; svc #0
    let space = program(&machine, &[0xd503_207f, 0xd503_205f, 0xd280_00e0, SVC]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    assert_eq!((state.x(0), state.pc()), (7, CODE + 16));
    assert!(machine.counters().stray_exits >= 1);
}

#[test]
fn a_misaligned_program_counter_traps_every_time() {
    let _turn = turn();
    let machine = machine();
    // mov x1, #0x400000; add x1, x1, #14; br x1
    let space = program(
        &machine,
        &[0xd2a0_0801, 0x9100_3821, 0xd61f_0020, LOOP, LOOP],
    );
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    for _ in 0..3 {
        state.set_pc(CODE);
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::PcAlignment);
        assert_eq!(state.pc(), CODE + 14);
    }
}

#[test]
fn a_kick_stops_a_loop_with_its_registers() {
    let _turn = turn();
    let machine = machine();
    // add x0, x0, #1; b .-1
    let space = program(&machine, &[0x9100_0400, branch(-1)]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    let mut last = 0;
    for _ in 0..50 {
        let kick = cpu.kick_handle();
        let kicker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1));
            kick.kick();
        });
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Kicked);
        kicker.join().unwrap();
        assert!(state.x(0) >= last);
        last = state.x(0);
        assert!(
            [CODE, CODE + 4].contains(&state.pc()),
            "pc {:#x}",
            state.pc()
        );
    }
    assert!(last > 1000);
}

#[test]
fn kicks_never_run_an_atomic_instruction_twice() {
    let _turn = turn();
    let machine = machine();
    // ldadd x1, x2, [x3]; add x0, x0, #1; b .-2
    let space = program(&machine, &[0xf821_0062, 0x9100_0400, branch(-2)]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(1, 1);
    state.set_x(3, DATA);
    for round in 0..200 {
        let kick = cpu.kick_handle();
        let kicker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(round % 97));
            kick.kick();
        });
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Kicked);
        kicker.join().unwrap();
        let mut sum = [0; 8];
        space.read(GuestAddr(DATA), &mut sum).unwrap();
        let ahead = u64::from_le_bytes(sum) - state.x(0);
        assert_eq!(ahead, u64::from(state.pc() == CODE + 4));
    }
}

#[test]
fn kicks_inside_the_shim_wait_for_the_program() {
    let _turn = turn();
    let machine = machine();
    // svc #0 (getpid); cmp x0, x2; b.ne .; add x1, x1, #1; b .-4
    let code = [SVC, 0xeb02_001f, 0x5400_0001, 0x9100_0421, branch(-4)];
    let space = program(&machine, &code);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_ids(elfuse_machine::Ids {
        pid: 42,
        ..Default::default()
    });
    state.set_x(8, 172);
    state.set_x(2, 42);
    for _ in 0..150 {
        let kick = cpu.kick_handle();
        let kicker = std::thread::spawn(move || kick.kick());
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Kicked);
        kicker.join().unwrap();
        assert!(state.pc() != CODE + 8 || state.x(0) == 42);
    }
    assert!(state.x(1) > 0);
}

#[test]
fn a_kick_before_a_run_is_not_lost() {
    let _turn = turn();
    let machine = machine();
    let space = program(&machine, &[LOOP]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    for _ in 0..100 {
        cpu.kick_handle().kick();
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Kicked);
    }
}

#[test]
fn copy_on_write_separates_two_spaces() {
    let _turn = turn();
    let machine = machine();
    // str x1, [x0]; ldr x2, [x0]; svc; b .-3
    let code = [0xf900_0001, 0xf940_0002, SVC, branch(-3)];
    let parent = program(&machine, &code);
    let mut cpu = machine.new_cpu().unwrap();
    let mut mother = thread(&machine);
    mother.set_x(0, DATA);
    mother.set_x(1, 1);
    assert_eq!(run(&mut cpu, &mut mother, &parent), Trap::Syscall);
    let child = machine.new_space().unwrap();
    parent
        .copy_range_to(&child, GuestAddr(CODE), 4096, Share::Shared)
        .unwrap();
    parent
        .copy_range_to(&child, GuestAddr(DATA), 4096, Share::Cow)
        .unwrap();
    let mut daughter = machine.new_thread().unwrap();
    daughter.fork_from(&mother);
    daughter.set_x(1, 2);
    for (state, space) in [(&mut daughter, &child), (&mut mother, &parent)] {
        let trap = run(&mut cpu, state, space);
        let expected = (Access::Write, FaultKind::Permission);
        let Trap::MemFault {
            addr, access, kind, ..
        } = trap
        else {
            panic!("{trap:?}")
        };
        assert_eq!((addr, (access, kind)), (GuestAddr(DATA), expected));
        let (page, prot) = space.lookup(GuestAddr(DATA)).unwrap();
        let Page::Anon(old) = page else {
            panic!("data is no file")
        };
        if old.references() > 2 {
            let new = machine.alloc_frame_zeroed().unwrap();
            new.copy_from(&old);
            space
                .map(GuestAddr(DATA), Page::Anon(new), prot | Prot::WRITE)
                .unwrap();
        } else {
            space.set_prot_page(GuestAddr(DATA), prot | Prot::WRITE);
        }
        assert_eq!(run(&mut cpu, state, space), Trap::Syscall);
    }
    let mut word = [0; 8];
    parent.read(GuestAddr(DATA), &mut word).unwrap();
    assert_eq!(u64::from_le_bytes(word), 1);
    child.read(GuestAddr(DATA), &mut word).unwrap();
    assert_eq!(u64::from_le_bytes(word), 2);
}

#[test]
fn changes_of_the_tables_are_seen_at_once() {
    let _turn = turn();
    let machine = machine();
    // ldr x1, [x0]; svc; b .-2
    let space = program(&machine, &[0xf940_0001, SVC, branch(-2)]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(0, DATA);
    for value in 1..200_u64 {
        let frame = machine.alloc_frame_zeroed().unwrap();
        frame.write(0, &value.to_le_bytes());
        space
            .map(GuestAddr(DATA), Page::Anon(frame), Prot::READ)
            .unwrap();
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
        assert_eq!(state.x(1), value);
    }
    space.unmap(GuestAddr(DATA), 4096);
    assert!(matches!(
        run(&mut cpu, &mut state, &space),
        Trap::MemFault { .. }
    ));
}

#[test]
fn new_code_in_an_old_frame_is_run() {
    let _turn = turn();
    let machine = machine();
    let mut cpu = machine.new_cpu().unwrap();
    for round in 0..20_u32 {
        // Frames return to the free list with each space, and are used again.
        let space = program(&machine, &[movz(0, round), SVC]);
        let mut state = thread(&machine);
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
        assert_eq!(state.x(0), u64::from(round));
    }
}

#[test]
fn frames_come_back() {
    let _turn = turn();
    let machine = machine();
    let mut cpu = machine.new_cpu().unwrap();
    let before = machine.frames_in_use();
    for _ in 0..20 {
        let space = program(&machine, &[SVC]);
        for n in 0..40 {
            map_data(&machine, &space, 0x7000_0000 + n * 0x20_0000);
        }
        let mut state = thread(&machine);
        assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    }
    assert_eq!(machine.frames_in_use(), before);
}

#[test]
fn two_processors_count_without_losing_an_increment() {
    let _turn = turn();
    let machine = machine();
    // ldxr/stxr loop: 1: ldxr x1,[x0]; add x1,x1,#1; stxr w2,x1,[x0]; cbnz w2,1b;
    // subs x3,x3,#1; b.ne 1b; svc
    let code = [
        0xc85f_7c01,
        0x9100_0421,
        0xc802_7c01,
        0x35ff_ffa2,
        0xf100_0463,
        0x54ff_ff61,
        SVC,
    ];
    let space = program(&machine, &code);
    const ROUNDS: u64 = 300_000;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut cpu = machine.new_cpu().unwrap();
                let mut state = thread(&machine);
                state.set_x(0, DATA);
                state.set_x(3, ROUNDS);
                assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
            });
        }
    });
    let mut word = [0; 8];
    space.read(GuestAddr(DATA), &mut word).unwrap();
    assert_eq!(u64::from_le_bytes(word), 2 * ROUNDS);
}

#[test]
fn unmapping_under_a_running_processor_stops_its_accesses() {
    let _turn = turn();
    let machine = machine();
    // str x1, [x0]; b .-1
    let space = program(&machine, &[0xf900_0001, branch(-1)]);
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            let mut cpu = machine.new_cpu().unwrap();
            let mut state = thread(&machine);
            state.set_x(0, DATA);
            loop {
                match run(&mut cpu, &mut state, &space) {
                    Trap::Kicked => {}
                    trap => return trap,
                }
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        space.unmap(GuestAddr(DATA), 4096);
        assert!(start.elapsed() < Duration::from_secs(5));
        let trap = runner.join().unwrap();
        assert!(
            matches!(
                trap,
                Trap::MemFault {
                    access: Access::Write,
                    ..
                }
            ),
            "{trap:?}"
        );
    });
}

#[test]
fn a_switch_of_threads_costs_no_extra_exit() {
    let _turn = turn();
    let machine = machine();
    let one = program(&machine, &[SVC, NOP, branch(-2)]);
    let two = program(&machine, &[SVC, NOP, branch(-2)]);
    let mut cpu = machine.new_cpu().unwrap();
    let (mut first, mut second) = (thread(&machine), thread(&machine));
    for _ in 0..10 {
        assert_eq!(run(&mut cpu, &mut first, &one), Trap::Syscall);
        assert_eq!(run(&mut cpu, &mut second, &two), Trap::Syscall);
    }
    assert_eq!(machine.counters().exits, 20);
}

#[test]
fn a_copy_never_sees_what_becomes_of_an_unmapped_frame() {
    let _turn = turn();
    let machine = machine();
    let space = machine.new_space().unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut copied, mut faults) = (0, 0);
            let mut buf = [0; 256];
            while !is_over.load(std::sync::atomic::Ordering::SeqCst) || copied == 0 {
                match space.read(GuestAddr(DATA + 100), &mut buf) {
                    Ok(()) => {
                        assert_eq!(buf, [0x11; 256]);
                        copied += 1;
                    }
                    Err(fault) => {
                        assert_eq!((fault.addr.0, fault.done), (DATA + 100, 0));
                        faults += 1;
                    }
                }
            }
            (copied, faults)
        });
        for _ in 0..2000 {
            let frame = machine.alloc_frame_zeroed().unwrap();
            frame.write(0, &[0x11; PAGE_SIZE]);
            let page = Page::Anon(frame);
            space.map(GuestAddr(DATA), page, Prot::READ).unwrap();
            space.unmap(GuestAddr(DATA), PAGE_SIZE as u64);
            // The frame again, for something else.
            machine
                .alloc_frame_zeroed()
                .unwrap()
                .write(0, &[0x22; PAGE_SIZE]);
        }
        let frame = machine.alloc_frame_zeroed().unwrap();
        frame.write(0, &[0x11; PAGE_SIZE]);
        space
            .map(GuestAddr(DATA), Page::Anon(frame), Prot::READ)
            .unwrap();
        is_over.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(reader.join().unwrap().0 > 0);
    });
}
