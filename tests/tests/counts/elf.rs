// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of a dozen instructions, made without a compiler: a loop around a system
//! call, a loop that starts another program, two processes that take turns. Encodings
//! are the Arm ARM's (C6.2).

use std::path::Path;

/// Where the file is mapped.
const BASE: u64 = 0x40_0000;
/// Bytes of the ELF header and its one program header.
const HEADERS: u16 = 120;

const SVC: u32 = 0xd400_0001;
/// `subs x19, x19, #1`.
const COUNT_DOWN: u32 = 0xf100_0673;
/// `movn x0, #0`: -1.
const MINUS_ONE: u32 = 0x9280_0000;

const SYS_EXIT_GROUP: u16 = 94;
const SYS_SCHED_YIELD: u16 = 124;
const SYS_CLONE: u16 = 220;
const SYS_EXECVE: u16 = 221;
const SYS_WAIT4: u16 = 260;
const SIGCHLD: u16 = 17;

/// Instructions, and the data after them.
#[derive(Default)]
struct Code {
    words: Vec<u32>,
}

impl Code {
    fn push(&mut self, word: u32) {
        self.words.push(word);
    }

    /// `movz x{register}, #value`.
    fn set(&mut self, register: u32, value: u16) {
        self.push(0xd280_0000 | u32::from(value) << 5 | register);
    }

    fn call(&mut self, number: u16, arguments: &[u16]) {
        for (register, &value) in (0..).zip(arguments) {
            self.set(register, value);
        }
        self.set(8, number);
        self.push(SVC);
    }

    /// Counts `x19` down and goes back to the instruction `start` while it is not 0.
    fn repeat_from(&mut self, start: usize) {
        self.push(COUNT_DOWN);
        let back = u32::try_from(self.words.len() - start).expect("a short loop");
        self.push(0x5400_0001 | (0x8_0000 - back) << 5);
    }

    fn address(&self) -> u64 {
        BASE + u64::from(HEADERS) + 4 * self.words.len() as u64
    }
}

fn little(fields: &[(u64, usize)]) -> Vec<u8> {
    let bytes = fields
        .iter()
        .flat_map(|&(value, size)| value.to_le_bytes()[..size].to_vec());
    bytes.collect()
}

/// Writes an executable with `code` and `data` in one segment.
fn write(path: &Path, code: &Code, data: &[u8]) {
    let size = u64::from(HEADERS) + 4 * code.words.len() as u64 + data.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for AArch64: entry, program headers at 64, none of sections.
    let header = [
        (2, 2),
        (183, 2),
        (1, 4),
        (BASE + u64::from(HEADERS), 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (1, 2),
        (0, 6),
    ];
    file.extend(little(&header));
    // A segment to load, readable and executable: the whole file.
    let segment = [
        (1, 4),
        (5, 4),
        (0, 8),
        (BASE, 8),
        (BASE, 8),
        (size, 8),
        (size, 8),
        (4096, 8),
    ];
    file.extend(little(&segment));
    assert_eq!(file.len(), usize::from(HEADERS));
    file.extend(code.words.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(data);
    std::fs::write(path, file).expect("write a program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("make it executable");
}

/// Calls `number` with `arguments`, `times` times.
pub(crate) fn calls(path: &Path, number: u16, arguments: &[u16], times: u16) {
    let mut code = Code::default();
    code.set(19, times);
    let start = code.words.len();
    code.call(number, arguments);
    code.repeat_from(start);
    code.call(SYS_EXIT_GROUP, &[0]);
    write(path, &code, &[]);
}

/// Two processes, each of which yields `times` times.
pub(crate) fn takes_turns(path: &Path, times: u16) {
    let mut code = Code::default();
    code.set(19, times);
    code.call(SYS_CLONE, &[SIGCHLD, 0, 0, 0, 0]);
    let start = code.words.len();
    code.call(SYS_SCHED_YIELD, &[]);
    code.repeat_from(start);
    code.call(SYS_EXIT_GROUP, &[0]);
    write(path, &code, &[]);
}

/// Forks, executes `/bin/true` and waits for it, `times` times.
pub(crate) fn spawns(path: &Path, times: u16) {
    let mut code = Code::default();
    code.set(19, times);
    let start = code.words.len();
    code.call(SYS_CLONE, &[SIGCHLD, 0, 0, 0, 0]);
    let fork = code.words.len();
    code.push(0);
    // wait4(-1, 0, 0, 0)
    code.set(8, SYS_WAIT4);
    code.push(MINUS_ONE);
    (1..4).for_each(|register| code.set(register, 0));
    code.push(SVC);
    code.repeat_from(start);
    code.call(SYS_EXIT_GROUP, &[0]);
    // The child: cbz x0 leads here.
    let child = u32::try_from(code.words.len() - fork).expect("a short jump");
    code.words[fork] = 0xb400_0000 | child << 5;
    // The addresses of the path and of the arguments are within 64 KiB of the base.
    let data = code.address() + 4 * 9;
    for (register, address) in [(0, data + 24), (1, data)] {
        code.set(
            register,
            u16::try_from(address - BASE).expect("a small program"),
        );
        // movk x{register}, #0x40, lsl #16
        code.push(0xf2a0_0000 | 0x40 << 5 | register);
    }
    code.set(2, 0);
    code.set(8, SYS_EXECVE);
    code.push(SVC);
    while code.address() < data {
        // Only if it cannot be executed: an undefined instruction.
        code.push(0);
    }
    let mut bytes = little(&[(data + 16, 8), (0, 8)]);
    bytes.extend(b"true\0\0\0\0/bin/true\0");
    write(path, &code, &bytes);
}
