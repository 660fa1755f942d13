// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes: counts, atomic writes, and what the last end leaves behind.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::PollEvents;

use super::{Pipe, PipeEnd};
use crate::error::{SysErr, SysResult};
use crate::file::{Caller, File, IoFlags, SliceSource, VecSink};
use crate::vfs::FsCred;

fn write(end: &Arc<dyn File>, data: &[u8]) -> SysResult<usize> {
    let cred = FsCred::root();
    end.try_write(
        &Caller::kernel(&cred),
        &mut SliceSource(data),
        &mut 0,
        IoFlags::empty(),
    )
}

fn read(end: &Arc<dyn File>, limit: usize) -> SysResult<Vec<u8>> {
    let cred = FsCred::root();
    let mut sink = VecSink::new(limit);
    end.try_read(&Caller::kernel(&cred), &mut sink, &mut 0, IoFlags::empty())?;
    Ok(sink.into_inner())
}

const AGAIN: SysErr = SysErr::Errno(Errno::EAGAIN);

#[test]
fn full_pipe_takes_no_part_of_an_atomic_write() {
    let (_, r, w) = Pipe::pair();
    assert_eq!(write(&w, &[1; 65_000]).unwrap(), 65_000);
    assert_eq!(write(&w, &[2; 4096]).unwrap_err(), AGAIN);
    assert_eq!(write(&w, &[2; 5000]).unwrap(), 536);
    assert_eq!(read(&r, 100_000).unwrap().len(), 65_536);
    assert_eq!(read(&r, 1).unwrap_err(), AGAIN);
}

#[test]
fn last_writer_leaves_end_of_file_after_the_data() {
    let (_, r, w) = Pipe::pair();
    write(&w, b"x").unwrap();
    drop(w);
    assert_eq!(r.readiness(), PollEvents::READABLE | PollEvents::HUP);
    assert_eq!(read(&r, 9).unwrap(), b"x");
    assert_eq!(read(&r, 9).unwrap(), b"");
}

#[test]
fn write_without_reader_is_a_broken_pipe() {
    let (_, r, w) = Pipe::pair();
    drop(r);
    assert_eq!(write(&w, b"x").unwrap_err(), SysErr::Errno(Errno::EPIPE));
    assert!(w.readiness().contains(PollEvents::ERR));
}

#[test]
fn nonblocking_writer_of_a_fifo_nobody_reads_is_refused() {
    let pipe = Pipe::new();
    let flags = OpenFlags::WRONLY | OpenFlags::NONBLOCK;
    assert_eq!(pipe.open_end(flags).err(), Some(Errno::ENXIO));
}

#[test]
fn pipe_opened_again_has_met_its_partner() {
    let (pipe, r, w) = Pipe::pair();
    drop(w);
    let again = pipe.open_end(OpenFlags::empty()).unwrap();
    assert!(again.downcast::<PipeEnd>().unwrap().has_met_partner());
    drop((r, again));
    let flags = OpenFlags::WRONLY | OpenFlags::NONBLOCK;
    assert!(pipe.open_end(flags).is_ok());
}

#[test]
fn fifo_reader_meets_a_writer_that_came_and_went() {
    let pipe = Pipe::new();
    let reader = pipe.open_end(OpenFlags::empty()).unwrap();
    let end: &PipeEnd = reader.downcast().unwrap();
    assert!(!end.has_met_partner());
    assert!(!reader.readiness().contains(PollEvents::HUP));
    drop(pipe.open_end(OpenFlags::WRONLY).unwrap());
    assert!(end.has_met_partner());
    assert!(reader.readiness().contains(PollEvents::HUP));
}

#[test]
fn capacity_cannot_shrink_below_the_content() {
    let (_, _r, w) = Pipe::pair();
    write(&w, &[0; 9000]).unwrap();
    let end: &PipeEnd = w.downcast().unwrap();
    assert_eq!(end.set_capacity(5000, false), Err(Errno::EBUSY));
    assert_eq!(end.set_capacity(9000, false), Ok(16384));
    assert_eq!(end.set_capacity(1 << 21, false), Err(Errno::EPERM));
}
