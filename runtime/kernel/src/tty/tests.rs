// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terminals from both sides.

use std::sync::{Arc, Mutex};

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::PollEvents;

use super::pty::{Master, PtyTable};
use super::{Groups, Tty};
use crate::error::{SysErr, SysResult};
use crate::file::{Caller, File, IoFlags, SliceSource, VecSink};
use crate::vfs::FsCred;

#[derive(Default)]
struct Sent(Mutex<Vec<(i32, u32)>>);

impl Groups for Sent {
    fn signal_group(&self, group: i32, signal: u32) {
        self.0.lock().unwrap().push((group, signal));
    }
    fn hang_up_session(&self, session: i32) {
        self.0.lock().unwrap().push((-session, 1));
    }
}

struct Pair {
    master: Option<Arc<dyn File>>,
    slave: Option<Arc<dyn File>>,
    tty: Arc<Tty>,
    sent: Arc<Sent>,
    cred: FsCred,
}

impl Pair {
    fn new() -> Self {
        let (sent, cred) = (Arc::new(Sent::default()), FsCred::root());
        let master = PtyTable::new(sent.clone()).open_master().unwrap();
        let pty = master.downcast::<Master>().unwrap().pty().clone();
        assert_eq!(
            pty.open_slave(&Caller::kernel(&cred), OpenFlags::RDWR)
                .err(),
            Some(Errno::EIO)
        );
        pty.is_locked
            .store(false, std::sync::atomic::Ordering::Relaxed);
        let slave = pty
            .open_slave(&Caller::kernel(&cred), OpenFlags::RDWR)
            .unwrap();
        let tty = pty.tty().clone();
        Self {
            master: Some(master),
            slave: Some(slave),
            tty,
            sent,
            cred,
        }
    }

    fn write(&self, file: Option<&Arc<dyn File>>, data: &[u8]) -> SysResult<usize> {
        let caller = Caller::kernel(&self.cred);
        file.unwrap()
            .try_write(&caller, &mut SliceSource(data), &mut 0, IoFlags::empty())
    }

    fn read(&self, file: Option<&Arc<dyn File>>) -> SysResult<Vec<u8>> {
        let caller = Caller::kernel(&self.cred);
        let mut sink = VecSink::new(100_000);
        file.unwrap()
            .try_read(&caller, &mut sink, &mut 0, IoFlags::empty())?;
        Ok(sink.into_inner())
    }
}

#[test]
fn master_sees_echo_and_the_slave_sees_the_line() {
    let pair = Pair::new();
    pair.write(pair.master.as_ref(), b"ls\n").unwrap();
    assert_eq!(pair.read(pair.master.as_ref()).unwrap(), b"ls\r\n");
    assert_eq!(pair.read(pair.slave.as_ref()).unwrap(), b"ls\n");
    pair.write(pair.slave.as_ref(), b"out\n").unwrap();
    assert_eq!(pair.read(pair.master.as_ref()).unwrap(), b"out\r\n");
}

#[test]
fn interrupt_reaches_the_foreground_group_only() {
    let pair = Pair::new();
    pair.write(pair.master.as_ref(), b"\x03").unwrap();
    assert_eq!(*pair.sent.0.lock().unwrap(), []);
    pair.tty.lock().foreground = Some(42);
    pair.write(pair.master.as_ref(), b"\x03\x1a").unwrap();
    assert_eq!(*pair.sent.0.lock().unwrap(), [(42, 2), (42, 20)]);
}

#[test]
fn master_reads_an_error_after_the_last_slave_is_gone() {
    let mut pair = Pair::new();
    pair.write(pair.slave.as_ref(), b"bye").unwrap();
    pair.slave = None;
    assert_eq!(pair.read(pair.master.as_ref()).unwrap(), b"bye");
    assert_eq!(
        pair.read(pair.master.as_ref()),
        Err(SysErr::Errno(Errno::EIO))
    );
    assert!(
        pair.master
            .as_ref()
            .unwrap()
            .readiness()
            .contains(PollEvents::HUP)
    );
}

#[test]
fn slave_is_hung_up_when_the_master_goes() {
    let mut pair = Pair::new();
    pair.tty.lock().foreground = Some(7);
    pair.tty.lock().session = Some(5);
    pair.master = None;
    assert_eq!(pair.read(pair.slave.as_ref()).unwrap(), b"");
    assert_eq!(
        pair.write(pair.slave.as_ref(), b"x"),
        Err(SysErr::Errno(Errno::EIO))
    );
    assert_eq!(*pair.sent.0.lock().unwrap(), [(7, 1), (7, 18), (-5, 1)]);
}

#[test]
fn output_nobody_reads_fills_up_and_goes_on() {
    let pair = Pair::new();
    let mut total = 0;
    while let Ok(n) = pair.write(pair.slave.as_ref(), &[b'x'; 1000]) {
        total += n;
    }
    assert!((8000..=16384).contains(&total), "{total}");
    assert_eq!(pair.read(pair.master.as_ref()).unwrap().len(), total);
    assert!(pair.write(pair.slave.as_ref(), b"x").is_ok());
}
