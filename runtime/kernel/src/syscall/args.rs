// SPDX-License-Identifier: MIT OR Apache-2.0
//! From registers to arguments.
//!
//! [`FromArg`] decodes one register, and never fails: what Linux refuses is refused
//! by the handler, in Linux's order. It also shows the argument for `--strace`.

use std::fmt::Write as _;
use std::marker::PhantomData;

use linux_abi::Errno;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::file::Fd;
use crate::mm::UserAddr;
use crate::task::Task;

/// The longest path (`PATH_MAX`), terminator included.
pub const PATH_MAX: usize = 4096;
/// Bytes of a string that `--strace` shows.
const SHOWN: usize = 48;

/// An argument of a system call.
pub trait FromArg: Sized {
    /// Decodes a register.
    fn from_arg(raw: u64) -> Self;

    /// Shows it as `strace` does.
    fn show(_task: &Task, raw: u64, out: &mut String) {
        let _ = if raw > 0xffff {
            write!(out, "{raw:#x}")
        } else {
            write!(out, "{raw}")
        };
    }
}

/// The low half of a register.
#[must_use]
pub const fn low_word(raw: u64) -> u32 {
    (raw & 0xffff_ffff) as u32
}

impl FromArg for u64 {
    fn from_arg(raw: u64) -> Self {
        raw
    }
}

impl FromArg for i64 {
    fn from_arg(raw: u64) -> Self {
        raw.cast_signed()
    }
    fn show(_task: &Task, raw: u64, out: &mut String) {
        let _ = write!(out, "{}", raw.cast_signed());
    }
}

impl FromArg for usize {
    fn from_arg(raw: u64) -> Self {
        Self::try_from(raw).unwrap_or(Self::MAX)
    }
}

impl FromArg for u32 {
    fn from_arg(raw: u64) -> Self {
        low_word(raw)
    }
    fn show(_task: &Task, raw: u64, out: &mut String) {
        let _ = write!(out, "{:#x}", low_word(raw));
    }
}

impl FromArg for i32 {
    fn from_arg(raw: u64) -> Self {
        low_word(raw).cast_signed()
    }
    fn show(_task: &Task, raw: u64, out: &mut String) {
        let _ = write!(out, "{}", low_word(raw).cast_signed());
    }
}

impl FromArg for Fd {
    fn from_arg(raw: u64) -> Self {
        Self(low_word(raw).cast_signed())
    }
    fn show(_task: &Task, raw: u64, out: &mut String) {
        let _ = match low_word(raw).cast_signed() {
            -100 => write!(out, "AT_FDCWD"),
            fd => write!(out, "{fd}"),
        };
    }
}

impl FromArg for UserAddr {
    fn from_arg(raw: u64) -> Self {
        Self(raw)
    }
    fn show(_task: &Task, raw: u64, out: &mut String) {
        let _ = if raw == 0 {
            write!(out, "NULL")
        } else {
            write!(out, "{raw:#x}")
        };
    }
}

/// The address of a `T` in user memory: a claim, checked by every copy.
pub struct UserPtr<T> {
    /// Where.
    pub addr: UserAddr,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> FromArg for UserPtr<T> {
    fn from_arg(raw: u64) -> Self {
        Self::new(UserAddr(raw))
    }
    fn show(task: &Task, raw: u64, out: &mut String) {
        UserAddr::show(task, raw, out);
    }
}

impl<T> UserPtr<T> {
    /// A pointer to `addr`.
    #[must_use]
    pub const fn new(addr: UserAddr) -> Self {
        Self {
            addr,
            kind: PhantomData,
        }
    }

    /// Is it null?
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr.is_null()
    }

    /// The pointer, unless it is null.
    #[must_use]
    pub const fn non_null(self) -> Option<Self> {
        if self.is_null() { None } else { Some(self) }
    }

    /// The `index`th element.
    #[must_use]
    pub fn at(self, index: u64) -> Self {
        let size = u64::try_from(size_of::<T>()).unwrap_or(0);
        Self::new(self.addr.offset(index.wrapping_mul(size)))
    }
}

impl<T: FromBytes + IntoBytes + FromZeros> UserPtr<T> {
    /// Copies the value in.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read(self, task: &Task) -> Result<T, Errno> {
        task.read_value(self.addr)
    }
}

impl<T: IntoBytes + Immutable> UserPtr<T> {
    /// Copies a value out.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write(self, task: &Task, value: &T) -> Result<(), Errno> {
        task.write_value(self.addr, value)
    }

    /// Copies a value out, unless the pointer is null.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_if(self, task: &Task, value: &T) -> Result<(), Errno> {
        if self.is_null() {
            Ok(())
        } else {
            self.write(task, value)
        }
    }
}

/// A path in user memory.
#[derive(Clone, Copy)]
pub struct UserPath(pub UserAddr);

impl FromArg for UserPath {
    fn from_arg(raw: u64) -> Self {
        Self(UserAddr(raw))
    }
    fn show(task: &Task, raw: u64, out: &mut String) {
        UserStr::show(task, raw, out);
    }
}

impl UserPath {
    /// Copies the path in.
    ///
    /// # Errors
    /// `EFAULT`, `ENAMETOOLONG`.
    pub fn read(self, task: &Task) -> Result<Vec<u8>, Errno> {
        task.read_cstr(self.0, PATH_MAX)
    }
}

/// A string in user memory that is no path.
#[derive(Clone, Copy)]
pub struct UserStr(pub UserAddr);

impl FromArg for UserStr {
    fn from_arg(raw: u64) -> Self {
        Self(UserAddr(raw))
    }
    fn show(task: &Task, raw: u64, out: &mut String) {
        if raw == 0 {
            out.push_str("NULL");
            return;
        }
        match task.read_cstr(UserAddr(raw), PATH_MAX) {
            Ok(text) => {
                let shown = &text[..text.len().min(SHOWN)];
                let dots = if text.len() > SHOWN { "..." } else { "" };
                let _ = write!(out, "\"{}\"{dots}", shown.escape_ascii());
            }
            Err(_) => {
                let _ = write!(out, "{raw:#x}");
            }
        }
    }
}
