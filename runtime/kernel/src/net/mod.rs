// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets. Local ones are ours; those of the Internet will be the host's.

pub mod unix;
