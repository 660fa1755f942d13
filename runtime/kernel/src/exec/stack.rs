// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stack of a new program: strings, vectors, `argc`.
//!
//! From high to low: a null word, the file name, environment and argument strings,
//! platform name, 16 random bytes, then the auxiliary vector, the environment and
//! argument pointers, and `argc` at the stack pointer, which is a multiple of 16.

use linux_abi::Errno;
use linux_abi::auxv::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_EXECFN, AT_FLAGS, AT_GID, AT_HWCAP,
    AT_HWCAP2, AT_MINSIGSTKSZ, AT_NULL, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PLATFORM,
    AT_RANDOM, AT_RSEQ_ALIGN, AT_RSEQ_FEATURE_SIZE, AT_SECURE, AT_SYSINFO_EHDR, AT_UID,
};
use zerocopy::IntoBytes;

use super::{Args, MAX_ARG_LEN};
use crate::creds::Creds;
use crate::mm::{MemLimits, PAGE, UserAddr, UserMemory};

/// Strings may take a quarter of the stack, but at most this (three quarters of 8 MiB).
const MAX_STRINGS: u64 = 6 << 20;
/// And always at least this (`ARG_MAX`).
const MIN_STRINGS: u64 = 131_072;

/// What the program is told about itself.
pub(super) struct Facts<'a> {
    pub(super) phdr: u64,
    pub(super) phnum: u64,
    pub(super) base: u64,
    pub(super) entry: u64,
    pub(super) vdso: u64,
    pub(super) hwcap: [u64; 2],
    pub(super) creds: &'a Creds,
    pub(super) random: [u8; 16],
    pub(super) stack_top: u64,
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Do the strings and their pointers fit?
///
/// # Errors
/// `E2BIG`.
pub(super) fn check_size(args: &Args, limits: &MemLimits) -> Result<(), Errno> {
    let strings = || args.argv.iter().chain(&args.envp);
    if strings().any(|s| s.len() >= MAX_ARG_LEN) {
        return Err(Errno::E2BIG);
    }
    let bytes: u64 = strings().map(|s| count(s.len()) + 1 + 8).sum();
    let limit = (limits.stack / 4).clamp(MIN_STRINGS, MAX_STRINGS);
    if bytes > limit {
        Err(Errno::E2BIG)
    } else {
        Ok(())
    }
}

/// Strings laid out downwards from the top of the stack.
struct Strings {
    top: u64,
    /// The bytes, last first.
    pieces: Vec<Vec<u8>>,
    at: u64,
}

impl Strings {
    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.at -= count(bytes.len());
        self.pieces.push(bytes.to_vec());
        self.at
    }

    fn push_cstr(&mut self, text: &[u8]) -> u64 {
        let mut bytes = text.to_vec();
        bytes.push(0);
        self.push(&bytes)
    }

    fn write(&self, memory: &UserMemory) -> Result<(), Errno> {
        let bytes: Vec<u8> = self.pieces.iter().rev().flatten().copied().collect();
        debug_assert_eq!(self.top - self.at, count(bytes.len()));
        memory.copy_out(UserAddr(self.at), &bytes)
    }
}

/// Builds the stack; answers the stack pointer.
///
/// # Errors
/// `EFAULT` when it does not fit (as `E2BIG` has been checked: no memory).
pub(super) fn build(
    memory: &UserMemory,
    facts: &Facts<'_>,
    name: &[u8],
    args: &Args,
) -> Result<u64, Errno> {
    let mut strings = Strings {
        top: facts.stack_top,
        pieces: Vec::new(),
        at: facts.stack_top,
    };
    strings.push(&[0; 8]);
    let execfn = strings.push_cstr(name);
    let env_end = strings.at;
    let mut envp: Vec<u64> = args
        .envp
        .iter()
        .rev()
        .map(|s| strings.push_cstr(s))
        .collect();
    envp.reverse();
    let env_start = strings.at;
    let mut argv: Vec<u64> = args
        .argv
        .iter()
        .rev()
        .map(|s| strings.push_cstr(s))
        .collect();
    argv.reverse();
    let arg_start = strings.at;
    let padding = usize::try_from(strings.at % 16).unwrap_or(0);
    strings.push(&vec![0; padding]);
    let platform = strings.push_cstr(b"aarch64");
    let random = strings.push(&facts.random);
    let auxv = auxv(facts, execfn, platform, random);
    let mut words = vec![count(argv.len())];
    words.extend(&argv);
    words.push(0);
    words.extend(&envp);
    words.push(0);
    let auxv_at = words.len();
    words.extend(&auxv);
    strings.write(memory)?;
    let sp = (strings.at - 8 * count(words.len())) & !15;
    memory.copy_out(UserAddr(sp), words.as_slice().as_bytes())?;
    let mm = memory.mm();
    mm.set_auxv(words[auxv_at..].as_bytes());
    mm.update_layout(|layout| {
        layout.stack_start = sp;
        (layout.arg_start, layout.arg_end) = (arg_start, env_start);
        (layout.env_start, layout.env_end) = (env_start, env_end);
    });
    Ok(sp)
}

fn auxv(facts: &Facts<'_>, execfn: u64, platform: u64, random: u64) -> Vec<u64> {
    let creds = facts.creds;
    let rows = [
        (AT_SYSINFO_EHDR, facts.vdso),
        (AT_MINSIGSTKSZ, linux_abi::signal::MINSIGSTKSZ),
        (AT_HWCAP, facts.hwcap[0]),
        (AT_PAGESZ, PAGE),
        (AT_CLKTCK, linux_abi::time::USER_HZ),
        (AT_PHDR, facts.phdr),
        (AT_PHENT, 56),
        (AT_PHNUM, facts.phnum),
        (AT_BASE, facts.base),
        (AT_FLAGS, 0),
        (AT_ENTRY, facts.entry),
        (AT_UID, u64::from(creds.uid.real)),
        (AT_EUID, u64::from(creds.uid.effective)),
        (AT_GID, u64::from(creds.gid.real)),
        (AT_EGID, u64::from(creds.gid.effective)),
        (AT_SECURE, u64::from(creds.is_secure())),
        (AT_RANDOM, random),
        (AT_HWCAP2, facts.hwcap[1]),
        (
            AT_RSEQ_FEATURE_SIZE,
            u64::from(linux_abi::rseq::FEATURE_SIZE),
        ),
        (AT_RSEQ_ALIGN, u64::from(linux_abi::rseq::ORIG_SIZE)),
        (AT_EXECFN, execfn),
        (AT_PLATFORM, platform),
        (AT_NULL, 0),
    ];
    let is_present = |row: &&(u64, u64)| row.0 != AT_SYSINFO_EHDR || row.1 != 0;
    rows.iter()
        .filter(is_present)
        .flat_map(|&(kind, value)| [kind, value])
        .collect()
}
