// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets. Local ones are ours; those of the Internet are the host's.

pub mod inet;
mod network;
mod relay;
pub mod unix;

pub use network::{Network, Published};
pub use relay::relay;
