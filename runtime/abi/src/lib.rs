// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Linux arm64 user-space ABI: numbers, structs, flags.
//!
//! One module per kernel header. Nothing here acts: structures have the layout
//! that programs see in memory (checked by assertions), flags keep the bits that
//! they do not know, because what to do about those is up to each system call.
#![no_std]
#![forbid(unsafe_code)]

pub mod auxv;
pub mod capability;
pub mod errno;
pub mod fcntl;
pub mod futex;
pub mod inet;
pub mod inotify;
pub mod ioctl;
pub mod mman;
pub mod nr;
pub mod poll;
pub mod prctl;
pub mod resource;
pub mod rseq;
pub mod sched;
pub mod signal;
pub mod socket;
pub mod stat;
pub mod system;
pub mod termios;
pub mod time;
pub mod wait;

pub use errno::Errno;
