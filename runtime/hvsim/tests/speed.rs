// SPDX-License-Identifier: GPL-2.0-only
//! How long a system call takes. Prints; asserts only that it is not absurd, because
//! wall-clock times of a shared machine say little.

mod common;

use std::time::{Duration, Instant};

use common::{machine, program, run, thread, turn};
use elfuse_machine::Trap;

#[test]
fn a_slow_system_call_takes_microseconds_not_more() {
    let _turn = turn();
    let machine = machine();
    // svc; b .-1
    let space = program(&machine, &[0xd400_0001, 0x17ff_ffff]);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(8, 1000);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    let start = Instant::now();
    const CALLS: u32 = 200_000;
    for _ in 0..CALLS {
        run(&mut cpu, &mut state, &space);
    }
    let each = start.elapsed() / CALLS;
    println!("slow system call: {each:?}");
    assert!(each < Duration::from_micros(100));
}

#[test]
fn a_fast_system_call_is_answered_inside() {
    let _turn = turn();
    let machine = machine();
    // movz x8,#172; svc; subs x3,x3,#1; b.ne .-3; movz x8,#93; svc
    let code = [
        0xd280_1588,
        0xd400_0001,
        0xf100_0463,
        0x54ff_ffa1,
        0xd280_0ba8,
        0xd400_0001,
    ];
    let space = program(&machine, &code);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    const CALLS: u32 = 200_000;
    state.set_x(3, u64::from(CALLS));
    let start = Instant::now();
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    println!("fast system call: {:?}", start.elapsed() / CALLS);
    assert_eq!(machine.counters().fast_calls, u64::from(CALLS));
}
