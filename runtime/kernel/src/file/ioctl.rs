// SPDX-License-Identifier: MIT OR Apache-2.0
//! The argument of an `ioctl` in user memory.

use linux_abi::Errno;

use crate::error::SysResult;
use crate::file::Caller;

/// Stores the result of an `ioctl` at its argument.
///
/// # Errors
/// `EFAULT`.
pub fn put_ioctl(_caller: &Caller<'_>, _arg: u64, _value: &[u8]) -> SysResult<usize> {
    Err(Errno::EFAULT.into())
}

/// Fetches the argument of an `ioctl`.
///
/// # Errors
/// `EFAULT`.
pub fn get_ioctl(_caller: &Caller<'_>, _arg: u64, _value: &mut [u8]) -> SysResult<()> {
    Err(Errno::EFAULT.into())
}
