// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions that the runtime's own shim and page tables put: small programs at EL0.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::code;
use super::{Answer, Failure, Question};
use crate::hv::Hypervisor;
use crate::{AddressSpace, Cpu, GuestAddr, Machine, MachineConfig, Page, Prot, ThreadState, Trap};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        name: "system-call",
        claim: "a system call of EL0 is one exit",
        fact: "1.5",
        ask: system_call,
    },
    Question {
        name: "write-and-execute",
        claim: "EL0 runs what it wrote on a page that is writable and executable",
        fact: "1.4",
        ask: write_and_execute,
    },
    Question {
        name: "zero-block",
        claim: "EL0 zeroes a block of ordinary memory without an exit",
        fact: "1.5",
        ask: zero_block,
    },
    Question {
        name: "unmapped-page",
        claim: "a page that was taken away faults at once",
        fact: "1.6",
        ask: unmapped_page,
    },
    Question {
        name: "two-spaces",
        claim: "address spaces with 16-bit numbers see their own pages",
        fact: "1.3",
        ask: two_spaces,
    },
    Question {
        name: "file-window",
        claim: "EL0 reads a host's file where it is mapped, and runs code in it",
        fact: "1.2",
        ask: file_window,
    },
];

const CODE: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;

/// A machine, a processor and a thread.
struct Guest {
    // Dropped before the machine.
    cpu: Cpu,
    thread: ThreadState,
    machine: Arc<Machine>,
}

impl Guest {
    fn new(hv: &dyn Hypervisor) -> Result<Self, Failure> {
        let ram_bytes = 8 << 20;
        let machine = Machine::new(hv, MachineConfig { ram_bytes })?;
        Ok(Self {
            cpu: machine.new_cpu()?,
            thread: machine.new_thread()?,
            machine,
        })
    }

    /// An address space with a program, and a page that begins with `word`.
    fn space(&self, program: &[u32], prot: Prot, word: u64) -> Result<AddressSpace, Failure> {
        let space = self.machine.new_space()?;
        let page = self.machine.alloc_frame_zeroed()?;
        for (n, word) in program.iter().enumerate() {
            page.write(n * 4, &word.to_le_bytes());
        }
        space.map(GuestAddr(CODE), Page::Anon(page), prot)?;
        let page = self.machine.alloc_frame_zeroed()?;
        page.write(0, &word.to_le_bytes());
        space.map(GuestAddr(DATA), Page::Anon(page), Prot::READ | Prot::WRITE)?;
        Ok(space)
    }

    /// Runs from the start with `x0`; what stopped it, and the number of exits.
    fn run(&mut self, space: &AddressSpace, x0: u64) -> (Trap, u64) {
        self.thread.set_pc(CODE);
        self.thread.set_x(0, x0);
        // A number that no fast system call has.
        self.thread.set_x(8, 0x7ff);
        let before = self.machine.counters().exits;
        let trap = self.cpu.run(&mut self.thread, space);
        (trap, self.machine.counters().exits - before)
    }
}

fn program() -> Prot {
    Prot::READ | Prot::EXEC
}

fn words(trap: Trap, exits: u64) -> String {
    format!("{trap:?} after {exits} exits")
}

fn system_call(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let mut guest = Guest::new(hv)?;
    let space = guest.space(&[code::SVC], program(), 0)?;
    let (trap, exits) = guest.run(&space, 0);
    Answer::needed(trap == Trap::Syscall && exits == 1, words(trap, exits))
}

fn write_and_execute(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let mut guest = Guest::new(hv)?;
    let all = Prot::READ | Prot::WRITE | Prot::EXEC;
    let words_ = [
        code::STORE_WORD,
        code::DC_CVAU_X0,
        code::DSB_ISH,
        code::IC_IVAU_X0,
        code::DSB_ISH,
        code::ISB,
        // This is overwritten by a NOP.
        code::BRK,
        code::SVC,
    ];
    let space = guest.space(&words_, all, 0)?;
    guest.thread.set_x(1, u64::from(code::NOP));
    let (trap, exits) = guest.run(&space, CODE + 6 * 4);
    Answer::needed(trap == Trap::Syscall && exits == 1, words(trap, exits))
}

fn zero_block(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let mut guest = Guest::new(hv)?;
    let space = guest.space(&[code::DC_ZVA_X2, code::LOAD, code::SVC], program(), 7)?;
    guest.thread.set_x(2, DATA);
    let (trap, exits) = guest.run(&space, DATA);
    let is_so = trap == Trap::Syscall && exits == 1 && guest.thread.x(1) == 0;
    Answer::needed(is_so, words(trap, exits))
}

fn unmapped_page(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let mut guest = Guest::new(hv)?;
    let space = guest.space(&[code::LOAD, code::SVC], program(), 7)?;
    let (first, _) = guest.run(&space, DATA);
    space.unmap(GuestAddr(DATA), 4096);
    let (second, exits) = guest.run(&space, DATA);
    let is_so = first == Trap::Syscall
        && matches!(second, Trap::MemFault { addr, .. } if addr == GuestAddr(DATA));
    Answer::needed(is_so, words(second, exits))
}

/// A file without a name, which holds `words`.
fn file_of(words: &[u32]) -> std::io::Result<File> {
    let name = format!("elfuse-probe-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(path)?;
    for word in words {
        file.write_all(&word.to_le_bytes())?;
    }
    Ok(file)
}

fn file_window(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let mut guest = Guest::new(hv)?;
    let file = file_of(&[code::LOAD, code::SVC])?;
    let window = guest.machine.map_file(file.as_fd(), 0, 8);
    let Some(page) = window.ok().and_then(|window| window.page(0)) else {
        return Answer::expected(false, "no window: files are read into memory instead");
    };
    let space = guest.space(&[], program(), 0)?;
    space.map(GuestAddr(CODE), Page::File(page), program())?;
    let (trap, exits) = guest.run(&space, CODE);
    let words_read = u64::from(code::LOAD) | u64::from(code::SVC) << 32;
    let is_so = trap == Trap::Syscall && guest.thread.x(1) == words_read;
    Answer::expected(is_so, words(trap, exits))
}

fn two_spaces(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let mut guest = Guest::new(hv)?;
    let read = [code::LOAD, code::SVC];
    let spaces = [
        guest.space(&read, program(), 11)?,
        guest.space(&read, program(), 22)?,
    ];
    let mut seen = Vec::new();
    for turn in 0..6 {
        let (trap, _) = guest.run(&spaces[turn % 2], DATA);
        seen.push(match trap {
            Trap::Syscall => guest.thread.x(1),
            _ => 0,
        });
    }
    Answer::needed(seen == [11, 22, 11, 22, 11, 22], format!("read {seen:?}"))
}
