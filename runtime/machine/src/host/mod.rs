// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's operating system, as the kernel sees it (seam 3).
//!
//! Small traits that speak Linux: error numbers, mode bits and device numbers are
//! Linux's whatever the host is. Files are reached only through [`HostDir`]
//! handles and single names, which are never followed when they are links, so
//! nothing outside a handle's directory can be named.

mod clock;
#[cfg(target_os = "macos")]
#[path = "code_darwin.rs"]
pub(crate) mod code;
#[cfg(not(target_os = "macos"))]
#[path = "code_other.rs"]
pub(crate) mod code;
mod errno;
mod files;
pub mod net;
pub(crate) mod tear;
mod unix;

pub use clock::{HostClock, HostRandom, SystemHost};
pub use errno::from_host;
pub use files::{
    HostDir, HostEntry, HostFile, HostFsStat, HostKind, HostNode, HostOpen, HostSetAttr, HostStat,
    HostXattrs,
};
pub use unix::open_root;
