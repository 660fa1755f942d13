// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm-generic/poll.h` and `linux/eventpoll.h`: the event bits that poll and
//! epoll share, and epoll's own.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes};

bitflags! {
    /// What a file is ready for (`__poll_t`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct PollEvents: u32 {
        /// Data to read.
        const IN = 0x1;
        /// Urgent data.
        const PRI = 0x2;
        /// Room to write.
        const OUT = 0x4;
        /// An error; always reported.
        const ERR = 0x8;
        /// The other side is gone; always reported.
        const HUP = 0x10;
        /// The descriptor is not open.
        const NVAL = 0x20;
        /// Same as `IN` for most files.
        const RDNORM = 0x40;
        /// Out-of-band data to read.
        const RDBAND = 0x80;
        /// Same as `OUT` for most files.
        const WRNORM = 0x100;
        /// Room for out-of-band data.
        const WRBAND = 0x200;
        /// Unused by Linux.
        const MSG = 0x400;
        /// The peer will send no more.
        const RDHUP = 0x2000;
        /// epoll: wake one waiter only.
        const EXCLUSIVE = 1 << 28;
        /// epoll: keep the system awake.
        const WAKEUP = 1 << 29;
        /// epoll: disarm after one report.
        const ONESHOT = 1 << 30;
        /// epoll: report edges.
        const ET = 1 << 31;
    }
}

impl PollEvents {
    /// Readable in the common way.
    pub const READABLE: Self = Self::IN.union(Self::RDNORM);
    /// Writable in the common way.
    pub const WRITABLE: Self = Self::OUT.union(Self::WRNORM);
    /// Reported whether asked for or not.
    pub const ALWAYS: Self = Self::ERR.union(Self::HUP);
}

/// One entry of `poll`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; negative entries are skipped.
    pub fd: i32,
    /// What to wait for.
    pub events: u16,
    /// What happened.
    pub revents: u16,
}

/// One event of epoll. Not packed on arm64.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct EpollEvent {
    /// Event bits.
    pub events: u32,
    /// Padding.
    pub pad: u32,
    /// The caller's value.
    pub data: u64,
}
const _: () = assert!(size_of::<EpollEvent>() == 16);

/// `epoll_ctl`: add a descriptor.
pub const EPOLL_CTL_ADD: u32 = 1;
/// `epoll_ctl`: remove a descriptor.
pub const EPOLL_CTL_DEL: u32 = 2;
/// `epoll_ctl`: change a descriptor.
pub const EPOLL_CTL_MOD: u32 = 3;
