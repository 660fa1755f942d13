// SPDX-License-Identifier: MIT OR Apache-2.0
//! epoll over eventfds: levels, edges, one shot, nesting, closing.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::{EpollEvent, PollEvents};

use super::Epoll;
use crate::eventfd::EventFd;
use crate::file::{Caller, Fd, File, IoFlags, OpenFile, SliceSource, VecSink};
use crate::vfs::testing::World;

fn open(world: &World, file: Arc<dyn File>) -> Arc<OpenFile> {
    OpenFile::new(file, world.fs.cwd(), OpenFlags::RDWR)
}

fn event(events: PollEvents, data: u64) -> EpollEvent {
    EpollEvent {
        events: events.bits(),
        pad: 0,
        data,
    }
}

fn signal(world: &World, file: &OpenFile) {
    let caller = Caller::kernel(&world.cred);
    let one = 1u64.to_le_bytes();
    file.file()
        .try_write(&caller, &mut SliceSource(&one), &mut 0, IoFlags::empty())
        .unwrap();
}

fn consume(world: &World, file: &OpenFile) {
    let caller = Caller::kernel(&world.cred);
    file.file()
        .try_read(&caller, &mut VecSink::new(8), &mut 0, IoFlags::empty())
        .unwrap();
}

fn data(events: Vec<EpollEvent>) -> Vec<u64> {
    events.iter().map(|e| e.data).collect()
}

fn setup() -> (World, Arc<Epoll>, Arc<OpenFile>) {
    let world = World::on_tmpfs();
    let file = open(&world, Arc::new(EventFd::new(0, false)));
    (world, Epoll::new(), file)
}

#[test]
fn level_is_reported_until_it_is_gone() {
    let (world, epoll, file) = setup();
    epoll.add(Fd(3), &file, &event(PollEvents::IN, 7)).unwrap();
    assert_eq!(data(epoll.collect(8)), []);
    signal(&world, &file);
    assert_eq!(data(epoll.collect(8)), [7]);
    assert_eq!(data(epoll.collect(8)), [7]);
    consume(&world, &file);
    assert_eq!(data(epoll.collect(8)), []);
}

#[test]
fn edge_is_reported_once_for_each_change() {
    let (world, epoll, file) = setup();
    epoll
        .add(Fd(3), &file, &event(PollEvents::IN | PollEvents::ET, 7))
        .unwrap();
    signal(&world, &file);
    assert_eq!(data(epoll.collect(8)), [7]);
    assert_eq!(data(epoll.collect(8)), []);
    signal(&world, &file);
    assert_eq!(data(epoll.collect(8)), [7]);
}

#[test]
fn one_shot_is_silent_until_it_is_armed_again() {
    let (world, epoll, file) = setup();
    let once = event(PollEvents::IN | PollEvents::ONESHOT, 7);
    epoll.add(Fd(3), &file, &once).unwrap();
    signal(&world, &file);
    assert_eq!(data(epoll.collect(8)), [7]);
    signal(&world, &file);
    assert_eq!(data(epoll.collect(8)), []);
    epoll.modify(Fd(3), &file, &once).unwrap();
    assert_eq!(data(epoll.collect(8)), [7]);
}

#[test]
fn closed_file_is_reported_no_more() {
    let (world, epoll, file) = setup();
    epoll.add(Fd(3), &file, &event(PollEvents::IN, 7)).unwrap();
    signal(&world, &file);
    drop(file);
    assert_eq!(data(epoll.collect(8)), []);
}

#[test]
fn more_ready_files_than_room_are_reported_in_turn() {
    let (world, epoll, _) = setup();
    let files: Vec<_> = (0..4)
        .map(|_| open(&world, Arc::new(EventFd::new(1, false))))
        .collect();
    for (n, file) in (0..).zip(&files) {
        epoll
            .add(Fd(n), file, &event(PollEvents::IN, n.unsigned_abs().into()))
            .unwrap();
    }
    assert_eq!(data(epoll.collect(3)), [0, 1, 2]);
    assert_eq!(data(epoll.collect(3)), [3, 0, 1]);
}

#[test]
fn set_inside_a_set_is_ready_when_its_member_is() {
    let (world, outer, file) = setup();
    let inner = Epoll::new();
    let inner_file = open(&world, inner.clone());
    outer
        .add(Fd(4), &inner_file, &event(PollEvents::IN, 1))
        .unwrap();
    inner.add(Fd(3), &file, &event(PollEvents::IN, 7)).unwrap();
    assert_eq!(data(outer.collect(8)), []);
    signal(&world, &file);
    assert_eq!(data(outer.collect(8)), [1]);
}

#[test]
fn set_cannot_contain_itself() {
    let (world, outer, _) = setup();
    let inner = Epoll::new();
    let (outer_file, inner_file) = (open(&world, outer.clone()), open(&world, inner.clone()));
    let any = event(PollEvents::IN, 1);
    outer.add(Fd(4), &inner_file, &any).unwrap();
    assert_eq!(inner.add(Fd(5), &outer_file, &any), Err(Errno::ELOOP));
    assert_eq!(outer.add(Fd(6), &outer_file, &any), Err(Errno::ELOOP));
}

#[test]
fn same_descriptor_twice_is_refused_but_a_duplicate_is_not() {
    let (_world, epoll, file) = setup();
    let any = event(PollEvents::IN, 1);
    epoll.add(Fd(3), &file, &any).unwrap();
    assert_eq!(epoll.add(Fd(3), &file, &any), Err(Errno::EEXIST));
    epoll.add(Fd(4), &file, &any).unwrap();
    epoll.remove(Fd(3), &file).unwrap();
    assert_eq!(epoll.remove(Fd(3), &file), Err(Errno::ENOENT));
}
