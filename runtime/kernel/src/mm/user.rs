// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies between the kernel and a program's memory.
//!
//! [`UserMemory`] is an address space with the limit its stack may grow to. A copy
//! first goes straight through the page tables; where that faults, the page is
//! brought in as for the program itself, and the copy goes on. Values are copied
//! whole and once: nothing of a program's memory is ever borrowed.

use std::sync::Arc;

use elfuse_machine::{Access, MemFault};
use linux_abi::Errno;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::{GuestAddr, Mm, PAGE, TASK_SIZE};

/// An address that a program passed; tag bits are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserAddr(pub u64);

impl UserAddr {
    /// Is it the null pointer?
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// `bytes` further on; wraps, so that a copy there faults.
    #[must_use]
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Without the tag byte that the processor ignores.
    const fn untagged(self) -> u64 {
        if self.0 & (1 << 55) == 0 {
            self.0 & 0x00ff_ffff_ffff_ffff
        } else {
            self.0
        }
    }
}

/// One piece of a scattered buffer (`struct iovec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct IoVec {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// A program's memory.
#[derive(Clone)]
pub struct UserMemory {
    mm: Arc<Mm>,
    stack_limit: u64,
}

fn byte_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl UserMemory {
    /// The memory of `mm`, whose stack may grow to `stack_limit` bytes.
    #[must_use]
    pub fn new(mm: Arc<Mm>, stack_limit: u64) -> Self {
        Self { mm, stack_limit }
    }

    /// The address space.
    #[must_use]
    pub fn mm(&self) -> &Arc<Mm> {
        &self.mm
    }

    fn range(addr: UserAddr, len: usize) -> Result<u64, Errno> {
        let start = addr.untagged();
        let end = start.checked_add(byte_count(len)).ok_or(Errno::EFAULT)?;
        if end > TASK_SIZE {
            Err(Errno::EFAULT)
        } else {
            Ok(start)
        }
    }

    fn repair(&self, fault: MemFault) -> Result<(), Errno> {
        self.mm
            .fault(fault.addr.0, fault.access, self.stack_limit)
            .map_err(|_| Errno::EFAULT)
    }

    /// Copies in; says how many bytes came before a fault.
    pub fn read_partial(&self, addr: UserAddr, buf: &mut [u8]) -> usize {
        let Ok(start) = Self::range(addr, buf.len()) else {
            return 0;
        };
        let mut done = 0;
        while done < buf.len() {
            let at = GuestAddr(start + byte_count(done));
            match self.mm.space().read(at, &mut buf[done..]) {
                Ok(()) => return buf.len(),
                Err(fault) => {
                    done += fault.done;
                    if self.repair(fault).is_err() {
                        return done;
                    }
                }
            }
        }
        done
    }

    /// Copies out; says how many bytes went before a fault.
    pub fn write_partial(&self, addr: UserAddr, data: &[u8]) -> usize {
        let Ok(start) = Self::range(addr, data.len()) else {
            return 0;
        };
        let mut done = 0;
        while done < data.len() {
            let at = GuestAddr(start + byte_count(done));
            match self.mm.space().write(at, &data[done..]) {
                Ok(()) => return data.len(),
                Err(fault) => {
                    done += fault.done;
                    if self.repair(fault).is_err() {
                        return done;
                    }
                }
            }
        }
        done
    }

    /// Copies in.
    ///
    /// # Errors
    /// `EFAULT`; `buf` is then partly filled.
    pub fn copy_in(&self, addr: UserAddr, buf: &mut [u8]) -> Result<(), Errno> {
        if self.read_partial(addr, buf) == buf.len() {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies out.
    ///
    /// # Errors
    /// `EFAULT`; the memory is then partly written.
    pub fn copy_out(&self, addr: UserAddr, data: &[u8]) -> Result<(), Errno> {
        if self.write_partial(addr, data) == data.len() {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// Copies a value in.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_value<T: FromBytes + IntoBytes + FromZeros>(
        &self,
        addr: UserAddr,
    ) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        self.copy_in(addr, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies a value out.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_value<T: IntoBytes + Immutable>(
        &self,
        addr: UserAddr,
        value: &T,
    ) -> Result<(), Errno> {
        self.copy_out(addr, value.as_bytes())
    }

    /// Copies a string in, without its terminator, of at most `max` bytes with it.
    ///
    /// # Errors
    /// `EFAULT`; `ENAMETOOLONG` when there is no terminator within `max` bytes.
    pub fn read_cstr(&self, addr: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let mut at = addr.untagged();
        while text.len() < max {
            // Never read across a page that may not be needed.
            let to_page_end = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let mut chunk = [0; 256];
            let len = chunk.len().min(to_page_end).min(max - text.len());
            self.copy_in(UserAddr(at), &mut chunk[..len])?;
            if let Some(end) = chunk[..len].iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&chunk[..end]);
                return Ok(text);
            }
            text.extend_from_slice(&chunk[..len]);
            at = at.wrapping_add(byte_count(len));
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// Reads a futex word.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn load_u32(&self, addr: UserAddr) -> Result<u32, Errno> {
        loop {
            match self.mm.space().load_u32(GuestAddr(addr.untagged())) {
                Ok(value) => return Ok(value),
                Err(fault) => self.repair(fault)?,
            }
        }
    }

    /// Replaces a futex word if it still is `current`; answers what it was.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn compare_exchange_u32(
        &self,
        addr: UserAddr,
        current: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, Errno> {
        loop {
            let at = GuestAddr(addr.untagged());
            match self.mm.space().compare_exchange_u32(at, current, new) {
                Ok(outcome) => return Ok(outcome),
                Err(fault) => self.repair(fault)?,
            }
        }
    }

    /// Changes a futex word atomically; answers what it was.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn update_u32(&self, addr: UserAddr, change: impl Fn(u32) -> u32) -> Result<u32, Errno> {
        let mut current = self.load_u32(addr)?;
        loop {
            match self.compare_exchange_u32(addr, current, change(current))? {
                Ok(old) => return Ok(old),
                Err(other) => current = other,
            }
        }
    }

    /// The page behind a word, brought in (identity of shared futexes).
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn page_of(&self, addr: UserAddr, access: Access) -> Result<super::Page, Errno> {
        let at = GuestAddr(super::page_floor(addr.untagged()));
        loop {
            if let Some((page, _)) = self.mm.space().lookup(at) {
                return Ok(page);
            }
            self.repair(MemFault {
                addr: at,
                access,
                done: 0,
            })?;
        }
    }
}
