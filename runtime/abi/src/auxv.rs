// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/auxvec.h` and `asm/hwcap.h`: what `execve` tells a new program.
//!
//! Types of the auxiliary vector's entries. The values of `AT_HWCAP` come from
//! the machine, because they describe its processor. Linux 6.12.

/// End of the vector.
pub const AT_NULL: u64 = 0;
/// Address of the program headers.
pub const AT_PHDR: u64 = 3;
/// Size of a program header.
pub const AT_PHENT: u64 = 4;
/// Number of program headers.
pub const AT_PHNUM: u64 = 5;
/// Page size.
pub const AT_PAGESZ: u64 = 6;
/// Where the interpreter was loaded.
pub const AT_BASE: u64 = 7;
/// Flags.
pub const AT_FLAGS: u64 = 8;
/// Entry point of the program.
pub const AT_ENTRY: u64 = 9;
/// User id.
pub const AT_UID: u64 = 11;
/// Effective user id.
pub const AT_EUID: u64 = 12;
/// Group id.
pub const AT_GID: u64 = 13;
/// Effective group id.
pub const AT_EGID: u64 = 14;
/// Address of the platform string.
pub const AT_PLATFORM: u64 = 15;
/// Processor features.
pub const AT_HWCAP: u64 = 16;
/// Frequency of `times`.
pub const AT_CLKTCK: u64 = 17;
/// The program runs with more rights than its caller.
pub const AT_SECURE: u64 = 23;
/// Address of 16 random bytes.
pub const AT_RANDOM: u64 = 25;
/// More processor features.
pub const AT_HWCAP2: u64 = 26;
/// Size of the supported part of `struct rseq`.
pub const AT_RSEQ_FEATURE_SIZE: u64 = 27;
/// Alignment of `struct rseq`.
pub const AT_RSEQ_ALIGN: u64 = 28;
/// Address of the file name that was executed.
pub const AT_EXECFN: u64 = 31;
/// Address of the vDSO's ELF header.
pub const AT_SYSINFO_EHDR: u64 = 33;
/// Smallest signal stack.
pub const AT_MINSIGSTKSZ: u64 = 51;
