// SPDX-License-Identifier: MIT OR Apache-2.0
//! Offsets and numbers shared by the EL1 shim and Rust. The build script includes
//! this file and gives every row to the assembler; `lib.rs` includes it as a module.

macro_rules! shared_with_shim {
    ($($name:ident = $value:expr, $text:literal;)*) => {
        $(#[doc = $text] pub(crate) const $name: usize = $value;)*
        /// Every row, for the build script.
        pub(crate) const ROWS: &[(&str, usize)] = &[$((stringify!($name), $value)),*];
    };
}

shared_with_shim! {
    THREAD_SP = 0xf8, "`SP_EL0`; the program counter follows.";
    THREAD_PSTATE = 0x108, "`SPSR`; `TPIDR_EL0` follows.";
    THREAD_ESR = 0x118, "`ESR`; `FAR` follows.";
    THREAD_FPSR = 0x128, "`FPSR`; `FPCR` follows.";
    THREAD_IDS = 0x140, "What fast system calls answer: seven words.";
    THREAD_ATTENTION = 0x160, "Not 0: no fast system calls.";
    THREAD_V = 0x200, "Vector registers.";
    CPU_THREAD = 0x00, "Address of the running thread's page.";
    CPU_COMMAND = 0x08, "What to do before going back; the kick word follows.";
    CPU_KICK = 0x10, "Not 0: come out instead of going back.";
    CPU_TTBR = 0x18, "New translation table.";
    CPU_TLBI_ASID = 0x20, "Operand of `TLBI ASIDE1`.";
    CPU_TLBI_COUNT = 0x28, "Entries of the list.";
    CPU_SCRATCH = 0x30, "Two words.";
    CPU_FAST_CALLS = 0x40, "Counts fast system calls.";
    CPU_TLBI_LIST = 0x48, "Operands of `TLBI VAE1`.";
    CPU_COUNTER = 0xc00, "The counter; its frequency follows.";
    CMD_LOAD_FP = 0, "Bit: load vector registers.";
    CMD_TTBR = 1, "Bit: set the translation table.";
    CMD_TLBI_ASID = 2, "Bit: invalidate an address space.";
    CMD_TLBI_LIST = 3, "Bit: invalidate pages.";
    CMD_ICACHE = 4, "Bit: invalidate the instruction cache.";
    CMD_LOAD = 5, "Bit: load all other registers.";
    CMD_COUNTER = 6, "Bit: read the counter and its frequency.";
    VVAR_SCALE = 0x00, "Nanoseconds for each tick, times a power of 2, which follows.";
    VVAR_MONOTONIC = 0x10, "Nanoseconds from the counter to this clock.";
    VVAR_REALTIME = 0x18, "The same for this clock.";
    VVAR_BOOTTIME = 0x20, "The same for this clock.";
    VDSO_SIGRETURN = 0x400, "Where signal handlers return to.";
    HVC_SYNC = 1, "The guest caused an exception.";
    HVC_IRQ = 2, "The host asked for an exit.";
    HVC_BAD = 3, "An exception where none may be.";
    HVC_KICK = 4, "The host asked for an exit before anything ran.";
}
