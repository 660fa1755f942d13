// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/in.h`, `linux/in6.h` and `linux/tcp.h`: addresses and options of the
//! Internet's sockets.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Version 4.
pub const AF_INET: u16 = 2;
/// Version 6.
pub const AF_INET6: u16 = 10;

/// TCP.
pub const IPPROTO_TCP: i32 = 6;
/// UDP.
pub const IPPROTO_UDP: i32 = 17;
/// Echo requests of version 4.
pub const IPPROTO_ICMP: i32 = 1;
/// Echo requests of version 6.
pub const IPPROTO_ICMPV6: i32 = 58;
/// No protocol has this number or a higher one.
pub const IPPROTO_MAX: i32 = 263;

/// Options of version 4.
pub const SOL_IP: i32 = 0;
/// Options of TCP.
pub const SOL_TCP: i32 = 6;
/// Options of version 6.
pub const SOL_IPV6: i32 = 41;

/// Send at once.
pub const TCP_NODELAY: i32 = 1;
/// Longest segment.
pub const TCP_MAXSEG: i32 = 2;
/// Send full segments only.
pub const TCP_CORK: i32 = 3;
/// Seconds until the peer is asked whether it lives.
pub const TCP_KEEPIDLE: i32 = 4;
/// Seconds between such questions.
pub const TCP_KEEPINTVL: i32 = 5;
/// How many stay unanswered before it is dead.
pub const TCP_KEEPCNT: i32 = 6;

/// Type of service.
pub const IP_TOS: i32 = 1;
/// Time to live.
pub const IP_TTL: i32 = 2;
/// Queue errors apart.
pub const IP_RECVERR: i32 = 11;
/// Time to live of multicasts.
pub const IP_MULTICAST_TTL: i32 = 33;
/// Hear one's own multicasts.
pub const IP_MULTICAST_LOOP: i32 = 34;

/// Time to live.
pub const IPV6_UNICAST_HOPS: i32 = 16;
/// Time to live of multicasts.
pub const IPV6_MULTICAST_HOPS: i32 = 18;
/// Hear one's own multicasts.
pub const IPV6_MULTICAST_LOOP: i32 = 19;
/// Queue errors apart.
pub const IPV6_RECVERR: i32 = 25;
/// Take no peers of version 4.
pub const IPV6_V6ONLY: i32 = 26;
/// Type of service.
pub const IPV6_TCLASS: i32 = 67;

/// An address of version 4 (`struct sockaddr_in`).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SockaddrIn {
    /// [`AF_INET`].
    pub family: u16,
    /// Port, most significant byte first.
    pub port: [u8; 2],
    /// Address.
    pub addr: [u8; 4],
    /// Padding.
    pub zero: [u8; 8],
}
const _: () = assert!(size_of::<SockaddrIn>() == 16);

/// An address of version 6 (`struct sockaddr_in6`).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SockaddrIn6 {
    /// [`AF_INET6`].
    pub family: u16,
    /// Port, most significant byte first.
    pub port: [u8; 2],
    /// Flow, most significant byte first.
    pub flow: [u8; 4],
    /// Address.
    pub addr: [u8; 16],
    /// Interface of an address that is valid on one link only.
    pub scope: u32,
}
const _: () = assert!(size_of::<SockaddrIn6>() == 28);
/// The shortest length that is taken for one: without the scope.
pub const SOCKADDR_IN6_MIN: usize = 24;
