// SPDX-License-Identifier: GPL-2.0-only
//! Files of the host as guest memory: shared without a copy, and nothing but a fault
//! when somebody cuts one short under the program that has it mapped. Windows that
//! nobody uses make room for others.

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use common::{CODE, DATA, machine, program, run, thread, turn};
use elfuse_machine::{
    Access, AddressSpace, FaultKind, FilePage, FileWindow, GuestAddr, Machine, Page, Prot, Trap,
};

const SVC: u32 = 0xd400_0001;
/// `ldr x1, [x0]`.
const LOAD: u32 = 0xf940_0001;
const FILE: u64 = 0x58_0000;
/// Windows that there can be.
const ALL: usize = 1024;

/// A file of `pages` pages, each filled with its number plus one.
fn file(pages: u8) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    for n in 1..=pages {
        file.write_all(&[n; 4096]).expect("write");
    }
    file
}

fn window(machine: &Machine, file: &File) -> FileWindow {
    let len = file.metadata().expect("its size").len();
    machine.map_file(file.as_fd(), 0, len).expect("a window")
}

fn map(space: &AddressSpace, va: u64, page: FilePage) {
    let prot = Prot::READ | Prot::EXEC;
    space
        .map(GuestAddr(va), Page::File(page), prot)
        .expect("map a page");
}

fn byte(space: &AddressSpace, va: u64) -> Option<u8> {
    let mut byte = [0];
    space.read(GuestAddr(va), &mut byte).ok().map(|()| byte[0])
}

#[test]
fn pages_of_a_file_are_read_by_program_and_kernel_and_take_no_frame() {
    let _turn = turn();
    let machine = machine();
    let file = file(9);
    let window = window(&machine, &file);
    let space = program(&machine, &[LOAD, SVC]);
    let before = machine.frames_in_use();
    map(&space, FILE, window.page(4).unwrap());
    let run_of_pages = window.page(5).unwrap();
    assert_eq!(run_of_pages.run(), 4);
    space.map_run(GuestAddr(FILE + 4096), &run_of_pages, 99, Prot::READ);
    drop(run_of_pages);
    // Tables were there, for the page of data.
    assert_eq!(machine.frames_in_use(), before);
    assert_eq!(space.resident_pages(GuestAddr(FILE), 1 << 20), 5);
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(0, FILE + 8);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    assert_eq!(state.x(1), 0x0505_0505_0505_0505);
    assert_eq!(byte(&space, FILE + 4 * 4096), Some(9));
    assert!(window.page(9).is_none());
}

#[test]
fn programs_run_from_a_file_and_cannot_write_it() {
    let _turn = turn();
    let machine = machine();
    let mut file = tempfile::tempfile().expect("a file");
    // mov x1, #7; str x1, [x0]; svc #0
    for word in [0xd280_00e1_u32, 0xf900_0001, SVC] {
        file.write_all(&word.to_le_bytes()).unwrap();
    }
    file.set_len(4096).unwrap();
    let window = window(&machine, &file);
    let space = program(&machine, &[]);
    map(&space, FILE, window.page(0).unwrap());
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_pc(FILE);
    state.set_x(0, DATA);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    assert_eq!(state.x(1), 7);
    state.set_pc(FILE + 4);
    state.set_x(0, FILE);
    let trap = run(&mut cpu, &mut state, &space);
    assert!(
        matches!(
            trap,
            Trap::MemFault {
                addr: GuestAddr(FILE),
                access: Access::Write,
                kind: FaultKind::Permission,
                ..
            }
        ),
        "{trap:?}"
    );
}

#[test]
fn a_file_cut_short_is_a_fault_of_the_program_and_of_copies() {
    let _turn = turn();
    let machine = machine();
    let file = file(8);
    let (window, other) = (window(&machine, &file), window(&machine, &file));
    let space = program(&machine, &[LOAD, SVC]);
    map(&space, FILE, window.page(1).unwrap());
    map(&space, FILE + 4096, window.page(6).unwrap());
    map(&space, FILE + 8192, other.page(7).unwrap());
    file.set_len(2 * 4096).unwrap();
    let seen = machine.tears();
    // The kernel's copy.
    assert_eq!(byte(&space, FILE + 8192), None);
    assert!(machine.tears() > seen && other.is_torn() && !window.is_torn());
    // What is left is still there, until somebody meets the end.
    assert_eq!(byte(&space, FILE), Some(2));
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(0, FILE + 4096 + 16);
    let trap = run(&mut cpu, &mut state, &space);
    assert!(
        matches!(
            trap,
            Trap::MemFault {
                addr,
                kind: FaultKind::Bus,
                ..
            } if addr == GuestAddr(FILE + 4096)
        ),
        "{trap:?}"
    );
    // The system call after it has not been made.
    assert_eq!(state.pc(), CODE + 4);
    assert!(window.is_torn() && window.page(0).is_none());
    space.unmap_torn();
    assert_eq!(space.resident_pages(GuestAddr(FILE), 1 << 20), 0);
    assert_eq!(space.resident_pages(GuestAddr(CODE), 1), 1);
}

#[test]
fn windows_that_nobody_uses_make_room_for_others() {
    let _turn = turn();
    let machine = machine();
    let (kept_file, other_file) = (file(1), file(2));
    let kept = window(&machine, &kept_file);
    let space = program(&machine, &[LOAD, SVC]);
    map(&space, FILE, kept.page(0).unwrap());
    let mut cpu = machine.new_cpu().unwrap();
    let mut state = thread(&machine);
    state.set_x(0, FILE);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    let all: Vec<_> = (1..ALL).map(|_| window(&machine, &other_file)).collect();
    let pages: Vec<_> = all.iter().skip(1).map(|one| one.page(1).unwrap()).collect();
    assert_eq!(machine.windows(), ALL);
    // One is free, the first of the others.
    let more = window(&machine, &kept_file);
    let page = more.page(0).unwrap();
    assert!(all[0].page(0).is_none() && !all[0].is_torn());
    assert!(machine.map_file(other_file.as_fd(), 0, 8192).is_err());
    map(&space, FILE + 4096, page);
    state.set_pc(CODE);
    state.set_x(0, FILE + 4096);
    assert_eq!(run(&mut cpu, &mut state, &space), Trap::Syscall);
    assert_eq!(state.x(1), 0x0101_0101_0101_0101);
    drop(pages);
    assert!(machine.map_file(other_file.as_fd(), 0, 8192).is_ok());
    assert_eq!(byte(&space, FILE), Some(1));
}
