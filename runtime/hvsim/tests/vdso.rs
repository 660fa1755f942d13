// SPDX-License-Identifier: GPL-2.0-only
//! The vDSO: programs find its functions as C libraries do, and read the host's clocks
//! without an exit.

mod common;

use common::{CODE, DATA, machine, program, run, thread, turn};
use elfuse_machine::host::{HostClock, SystemHost};
use elfuse_machine::{AddressSpace, Cpu, GuestAddr, Machine, Page, Prot, ThreadState, Trap};

const VDSO: u64 = 0x70_0000;
const SVC: u32 = 0xd400_0001;
/// `blr x9`.
const CALL: u32 = 0xd63f_0120;
/// `b .`
const LOOP: u32 = 0x1400_0000;

fn word(image: &[u8], at: usize) -> usize {
    let bytes = image[at..at + 8].try_into().expect("whole words");
    usize::try_from(u64::from_le_bytes(bytes)).expect("it works")
}

fn image(machine: &Machine) -> Vec<u8> {
    let pages = machine.vdso().pages();
    assert_eq!((pages.len(), pages[0].1), (2, Prot::READ));
    let mut image = vec![0; 4096];
    let Page::Anon(code) = &pages[1].0 else {
        panic!("the vDSO is no file")
    };
    code.read(0, &mut image);
    image
}

/// Value of an entry of the dynamic section, which the second program header names.
fn dynamic(image: &[u8], tag: usize) -> usize {
    let table = word(image, 64 + 56 + 8);
    let entries = (0..32).map(|n| (word(image, table + n * 16), word(image, table + n * 16 + 8)));
    entries
        .take_while(|entry| entry.0 != 0)
        .find(|entry| entry.0 == tag)
        .expect("the entry")
        .1
}

/// Offset of a function, found through names and symbols as musl does.
fn function(image: &[u8], name: &str) -> u64 {
    let (strings, symbols) = (dynamic(image, 5), dynamic(image, 6));
    let count = u32::from_le_bytes(
        image[dynamic(image, 4) + 4..][..4]
            .try_into()
            .expect("whole words"),
    );
    let found = (0..usize::try_from(count).expect("it works")).find_map(|n| {
        let symbol = symbols + n * 24;
        let at = strings + (word(image, symbol) & 0xffff_ffff);
        image[at..]
            .starts_with(format!("{name}\0").as_bytes())
            .then(|| word(image, symbol + 8))
    });
    found
        .expect("the function")
        .try_into()
        .expect("whole words")
}

struct Guest {
    space: AddressSpace,
    cpu: Cpu,
    state: ThreadState,
    image: Vec<u8>,
}

impl Guest {
    fn new(machine: &Machine) -> Self {
        let space = program(machine, &[CALL, SVC, LOOP]);
        for (page, at) in machine.vdso().pages().iter().zip([VDSO, VDSO + 4096]) {
            space
                .map(GuestAddr(at), page.0.clone(), page.1)
                .expect("it works");
        }
        machine.vdso().keep_fresh(&SystemHost, 1);
        let (cpu, state) = (machine.new_cpu().expect("it works"), thread(machine));
        Self {
            space,
            cpu,
            state,
            image: image(machine),
        }
    }

    /// Calls a function; answers the number of the system call that it ends with.
    fn call(&mut self, name: &str, arguments: [u64; 2]) -> u64 {
        self.state.set_pc(CODE);
        self.state.set_x(0, arguments[0]);
        self.state.set_x(1, arguments[1]);
        self.state.set_x(8, 9999);
        self.state
            .set_x(9, VDSO + 4096 + function(&self.image, name));
        assert_eq!(
            run(&mut self.cpu, &mut self.state, &self.space),
            Trap::Syscall
        );
        self.state.syscall_nr()
    }

    fn pair(&self) -> [u64; 2] {
        let mut bytes = [0; 16];
        self.space
            .read(GuestAddr(DATA), &mut bytes)
            .expect("it works");
        [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("whole words")))
    }
}

#[test]
fn clocks_are_the_hosts_and_cost_no_exit() {
    let _turn = turn();
    let machine = machine();
    let mut guest = Guest::new(&machine);
    // The counter is not known before the first exit: a system call.
    assert_eq!(guest.call("__kernel_clock_gettime", [1, DATA]), 113);
    type Read = fn(&SystemHost) -> u64;
    let clocks: [(u64, Read); 6] = [
        (0, SystemHost::realtime_ns),
        (1, SystemHost::monotonic_ns),
        (4, SystemHost::monotonic_ns),
        (5, SystemHost::realtime_ns),
        (6, SystemHost::monotonic_ns),
        (7, SystemHost::boottime_ns),
    ];
    for (id, read) in clocks.into_iter().cycle().take(60) {
        let before = read(&SystemHost);
        assert_eq!(guest.call("__kernel_clock_gettime", [id, DATA]), 9999);
        let after = read(&SystemHost);
        let [seconds, rest] = guest.pair();
        let time = seconds * 1_000_000_000 + rest;
        // A tick of the counter is 16 ns; distances between clocks were measured in
        // parts of a microsecond, on a machine that may do something else meanwhile.
        assert!(rest < 1_000_000_000 && guest.state.x(0) == 0);
        let allowed = if matches!(id, 1 | 4 | 6) {
            16
        } else {
            5_000_000
        };
        assert!(
            before <= time + allowed && time <= after + allowed,
            "{id}: {before} {time}"
        );
    }
}

#[test]
fn time_of_day_and_resolution_are_answered_inside() {
    let _turn = turn();
    let machine = machine();
    let mut guest = Guest::new(&machine);
    guest.call("__kernel_getcpu", [0, 0]);
    let before = SystemHost.realtime_ns() / 1_000_000_000;
    assert_eq!(guest.call("__kernel_gettimeofday", [DATA, DATA + 32]), 9999);
    let [seconds, micros] = guest.pair();
    assert!(seconds.abs_diff(before) <= 1 && micros < 1_000_000);
    assert_eq!(guest.call("__kernel_clock_getres", [1, DATA]), 9999);
    assert_eq!(guest.pair(), [0, 1]);
    assert_eq!(guest.call("__kernel_clock_getres", [1, 0]), 9999);
    assert_eq!(guest.call("__kernel_getcpu", [DATA, DATA + 4]), 9999);
    assert_eq!(guest.pair()[0], 0);
}

#[test]
fn other_clocks_are_system_calls() {
    let _turn = turn();
    let machine = machine();
    let mut guest = Guest::new(&machine);
    guest.call("__kernel_getcpu", [0, 0]);
    for id in [2, 3, 8, 9, 10, 12, u64::MAX] {
        assert_eq!(
            guest.call("__kernel_clock_gettime", [id, DATA]),
            113,
            "clock {id}"
        );
        assert_eq!(
            guest.call("__kernel_clock_getres", [id, DATA]),
            114,
            "clock {id}"
        );
    }
    assert_eq!(guest.call("__kernel_clock_getres", [6, DATA]), 114);
}

#[test]
fn signal_handlers_return_through_the_symbol() {
    let _turn = turn();
    let machine = machine();
    let image = image(&machine);
    let offset = machine.vdso().elf_offset() + function(&image, "__kernel_rt_sigreturn");
    assert_eq!(offset, machine.vdso().sigreturn());
}
