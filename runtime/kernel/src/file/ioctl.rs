// SPDX-License-Identifier: MIT OR Apache-2.0
//! The argument of an `ioctl` in user memory.

use linux_abi::Errno;

use crate::error::SysResult;
use crate::file::Caller;
use crate::mm::UserAddr;

/// Stores the result of an `ioctl` at its argument.
///
/// # Errors
/// `EFAULT`.
pub fn put_ioctl(caller: &Caller<'_>, arg: u64, value: &[u8]) -> SysResult<usize> {
    let task = caller.task.ok_or(Errno::EFAULT)?;
    task.copy_out(UserAddr(arg), value)?;
    Ok(0)
}

/// Fetches the argument of an `ioctl`.
///
/// # Errors
/// `EFAULT`.
pub fn get_ioctl(caller: &Caller<'_>, arg: u64, value: &mut [u8]) -> SysResult<()> {
    let task = caller.task.ok_or(Errno::EFAULT)?;
    Ok(task.copy_in(UserAddr(arg), value)?)
}
